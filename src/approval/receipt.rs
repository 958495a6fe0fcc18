//! The receipt: what makes an approver's "approved" worth believing.

use crate::caller::{Caller, PinnedKey, verify_pinned};
use crate::policy::Approval;
use crate::time::{Span, Time};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;

/// The `typ` of receipts: no other token of the same key can stand in for one (RFC 8725, 3.11).
const TYPE: &str = "rerank-approval+jwt";
/// How far the approver's clock may be off.
const SKEW: Span = Span::from_secs(30);

/// A believed receipt. It can only be made by checking one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    id: String,
    approvers: Vec<String>,
}

/// What a receipt has to be about.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The approver's `iss`.
    pub issuer: &'a str,
    /// The key its receipts are signed with.
    pub key: &'a PinnedKey,
    /// This gateway.
    pub gateway: &'a str,
    /// Who asked.
    pub caller: &'a Caller,
    /// The call's digest, computed here and now.
    pub digest: &'a str,
    /// What the bundle wants.
    pub approval: &'a Approval,
}

/// Why a receipt is not believed. Each denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disbelief {
    /// Not signed by the pinned key, expired, made to live longer than five minutes, or no receipt at all.
    Unproved,
    /// Its claims are not those of a receipt.
    Unreadable,
    /// By another approver, for another gateway, caller or approval.
    ForAnother,
    /// For another call.
    AnotherCall,
    /// The caller approved the own call.
    SelfApproved,
    /// Fewer distinct people of the named groups than the bundle wants.
    TooFew,
}

impl Disbelief {
    /// One word for records and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unproved => "receipt-unproved",
            Self::Unreadable => "receipt-unreadable",
            Self::ForAnother => "receipt-for-another",
            Self::AnotherCall => "receipt-for-another-call",
            Self::SelfApproved => "receipt-self-approved",
            Self::TooFew => "receipt-too-few",
        }
    }
}

impl fmt::Display for Disbelief {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unproved => "the receipt is not proved",
            Self::Unreadable => "the receipt cannot be read",
            Self::ForAnother => "the receipt is for another gateway, caller or approval",
            Self::AnotherCall => "the receipt is for another call",
            Self::SelfApproved => "the caller approved the own call",
            Self::TooFew => "too few people approved",
        })
    }
}

impl std::error::Error for Disbelief {}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    requester_iss: String,
    req: String,
    approval: String,
    apv: Vec<Approver>,
    jti: String,
}

#[derive(Deserialize)]
struct Approver {
    sub: String,
    groups: Vec<String>,
}

impl Receipt {
    /// Believes `receipt` if it is about `terms`.
    ///
    /// # Errors
    /// The first reason not to.
    pub fn check(receipt: &str, terms: Terms<'_>, now: Time) -> Result<Self, Disbelief> {
        let claims = verify_pinned(receipt.as_bytes(), terms.key, TYPE, now, SKEW).map_err(|_| Disbelief::Unproved)?;
        let claims: Claims =
            serde_json::from_value(serde_json::Value::Object(claims)).map_err(|_| Disbelief::Unreadable)?;
        let (caller, approval) = (terms.caller, terms.approval);
        if claims.iss != terms.issuer
            || claims.aud != terms.gateway
            || claims.sub != caller.subject()
            || claims.requester_iss != caller.issuer()
            || claims.approval != *approval.name
        {
            return Err(Disbelief::ForAnother);
        }
        if claims.req != terms.digest {
            return Err(Disbelief::AnotherCall);
        }
        // People are told apart by subject alone: two identities of one name are counted as one person, never as two.
        if claims.apv.iter().any(|approver| approver.sub == caller.subject()) {
            return Err(Disbelief::SelfApproved);
        }
        let people: BTreeSet<&str> = claims
            .apv
            .iter()
            .filter(|approver| approver.groups.iter().any(|group| approval.groups.contains(group)))
            .map(|approver| approver.sub.as_str())
            .collect();
        if u64::try_from(people.len()).unwrap_or(0) < u64::from(approval.min).max(1) {
            return Err(Disbelief::TooFew);
        }
        Ok(Self { id: claims.jti, approvers: people.into_iter().map(str::to_owned).collect() })
    }

    /// The receipt's own id (`jti`).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The people who approved, sorted.
    #[must_use]
    pub fn approvers(&self) -> &[String] {
        &self.approvers
    }
}
