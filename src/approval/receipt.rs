//! The receipt: what makes an approver's "approved" worth believing.

use super::person::Person;
use crate::caller::{Caller, Pinned, PinnedKey, numeric_date, verify_pinned};
use crate::policy::Approval;
use crate::reason::reasons;
use crate::shared::{SharedMemory, update};
use crate::time::{Span, Time};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;

/// The `typ` of receipts: no other token of the same key can stand in for one (RFC 8725, 3.11).
const TYPE: &str = "rerank-approval+jwt";
/// How far the approver's clock may be off.
const SKEW: Span = Span::from_secs(30);
/// More approvers than this are not read.
const MOST_APPROVERS: usize = 32;

/// A believed receipt. It can only be made by checking one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    id: String,
    approvers: Vec<String>,
    /// Until when it lets a call through.
    usable: Time,
    /// When it is expired for good.
    expires: Time,
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
    /// Who that is as a person, where a claim names people.
    pub person: Option<&'a str>,
    /// The call's digest, computed here and now.
    pub digest: &'a str,
    /// What the bundle wants.
    pub approval: &'a Approval,
}

reasons! {
    /// Why a receipt is not believed, or not taken. Each denies.
    pub enum Disbelief {
        Unproved "receipt-unproved" [ApprovalUnavailable]
            "the receipt is not signed by the pinned key, has ended, or lives longer than five minutes" =>
            "Hold `approver.key` against the approver's key; look at its clock.",
        Unreadable "receipt-unreadable" [ApprovalUnavailable]
            "what is signed has not the claims of a receipt" => "Look at the approver.",
        ForAnother "receipt-for-another" [ApprovalUnavailable]
            "the receipt is by another approver, or for another gateway, caller or approval" =>
            "Look at the approver; `approver.issuer` is its name.",
        AnotherCall "receipt-for-another-call" [ApprovalUnavailable]
            "the receipt is for another call" => "Look at the approver: it must repeat `request_digest`.",
        Unnamed "receipt-unnamed" [ApprovalUnavailable]
            "a name in the receipt cannot be told from every other" =>
            "Look at the approver: each has `sub`, and `person` where `approver.person_claim` is written.",
        SelfApproved "receipt-self-approved" [ApprovalUnavailable]
            "the caller approved the own call" => "Nothing: somebody else has to.",
        Untimely "receipt-untimely" [ApprovalUnavailable]
            "the receipt, or an approval in it, is older than the bundle's `ttl`, or from the future" =>
            "Have people approve anew; look at the approver's clock.",
        TooFew "receipt-too-few" [ApprovalUnavailable]
            "fewer distinct people of the named groups approved than the bundle wants" =>
            "Look at `min` and `groups` of the approval, and at who approved.",
        UsedBefore "receipt-used-before" [ApprovalUnavailable]
            "the receipt has let a call through before" => "Nothing: each is good for one call. Have people approve anew.",
        Crowded "receipt-memory-full" [ApprovalUnavailable]
            "there is no room to remember that the receipt was used" => "Nothing: there is in five minutes.",
        NoMemory "receipt-memory-unavailable" [ApprovalUnavailable]
            "the memory of used receipts, which workers share, cannot be used" =>
            "Look at Envoy's version and at the `vm_id`: the memory is the VM's.",
    }
}

impl fmt::Display for Disbelief {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.entry().means)
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
    /// Who that is as a person, where a claim names people.
    person: Option<String>,
    groups: Vec<String>,
    at: Value,
}

/// An approver by every name there is.
struct Known<'a> {
    sub: Person,
    person: Option<Person>,
    /// As the approver wrote it, for the record.
    shown: &'a str,
}

impl Receipt {
    /// Believes `receipt` if it is about `terms`.
    ///
    /// # Errors
    /// The first reason not to.
    pub fn check(receipt: &str, terms: Terms<'_>, now: Time) -> Result<Self, Disbelief> {
        let Pinned { claims, issued, expires } =
            verify_pinned(receipt.as_bytes(), terms.key, TYPE, now, SKEW).map_err(|_| Disbelief::Unproved)?;
        let claims: Claims = serde_json::from_value(Value::Object(claims)).map_err(|_| Disbelief::Unreadable)?;
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
        if !super::is_id(&claims.jti) || claims.apv.len() > MOST_APPROVERS {
            return Err(Disbelief::Unreadable);
        }
        if now.since(issued) > approval.ttl {
            return Err(Disbelief::Untimely);
        }
        let counted = people(&claims.apv, terms, issued, now)?;
        let until = counted.iter().map(|(_, at)| at.plus(approval.ttl));
        let usable = until.chain([issued.plus(approval.ttl), expires.plus(SKEW)]).min().unwrap_or_default();
        let mut approvers: Vec<_> = counted.into_iter().map(|(name, _)| name.to_owned()).collect();
        approvers.sort_unstable();
        Ok(Self { id: claims.jti, approvers, usable, expires: expires.plus(SKEW) })
    }

    /// Takes the receipt for one call: whoever comes second, in whichever worker of the process, does not get it.
    ///
    /// # Errors
    /// It was taken before, time has run out since it was checked, or nobody could remember that it is taken.
    pub fn take(&self, memory: &dyn SharedMemory, now: Time) -> Result<(), Disbelief> {
        if now > self.usable {
            return Err(Disbelief::Untimely);
        }
        let digest = Sha256::digest(self.id.as_bytes());
        let (Some(mark), Some([high, low])) = (digest.first_chunk::<MARK>(), digest.last_chunk::<2>()) else {
            return Err(Disbelief::NoMemory);
        };
        let bucket = usize::from(u16::from_be_bytes([*high, *low])) % BUCKETS;
        update(memory, &format!("receipt/{bucket}"), |old| self.enter(old, mark, now))
            .unwrap_or(Err(Disbelief::NoMemory))
    }

    /// The bucket with this receipt in it and without those that are expired, if it is not there and has room.
    fn enter(&self, old: &[u8], mark: &[u8; MARK], now: Time) -> (Option<Vec<u8>>, Result<(), Disbelief>) {
        let (entries, rest) = old.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            // Nobody of ours wrote this.
            return (None, Err(Disbelief::NoMemory));
        }
        let mut new = Vec::with_capacity(old.len().saturating_add(ENTRY));
        for entry in entries {
            let (Some(taken), Some(until)) = (entry.first_chunk::<MARK>(), entry.last_chunk::<8>()) else {
                return (None, Err(Disbelief::NoMemory));
            };
            if taken == mark {
                return (None, Err(Disbelief::UsedBefore));
            }
            if Time(u64::from_be_bytes(*until)) > now {
                new.extend_from_slice(entry);
            }
        }
        if new.len() >= MOST_RECEIPTS.saturating_mul(ENTRY) {
            // One that can still be shown is never forgotten to make room.
            return (None, Err(Disbelief::Crowded));
        }
        new.extend_from_slice(mark);
        new.extend_from_slice(&self.expires.plus(CLOCK_CORRECTION).0.to_be_bytes());
        (Some(new), Ok(()))
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

/// The memory of used receipts is so many slots, each with the receipts whose digest falls on it.
const BUCKETS: usize = 1024;
/// Most receipts in one of them.
const MOST_RECEIPTS: usize = 64;
/// Half a SHA-256 of a receipt's id.
const MARK: usize = 16;
/// A mark, and until when its receipt could be shown again, in milliseconds since 1970 (big-endian).
const ENTRY: usize = MARK + 8;
/// How far the clock may be set back without a receipt that was forgotten being valid again.
const CLOCK_CORRECTION: Span = Span::from_secs(600);

/// The distinct people whose approvals count, as the approver wrote their names, and when they gave them.
fn people<'a>(
    apv: &'a [Approver],
    terms: Terms<'_>,
    issued: Time,
    now: Time,
) -> Result<Vec<(&'a str, Time)>, Disbelief> {
    let approval = terms.approval;
    let own = [Some(terms.caller.subject()), terms.person].into_iter().flatten();
    let own: Vec<Person> = own.map(|name| Person::read(name).ok_or(Disbelief::Unnamed)).collect::<Result<_, _>>()?;
    let (mut seen, mut counted, mut too_old) = (BTreeSet::new(), Vec::new(), 0u32);
    for approver in apv {
        let known = approver.known(terms.person.is_some())?;
        // By subject alone, whatever the issuer: two identities of one name are one person, never two.
        if own.iter().any(|own| *own == known.sub || known.person.as_ref() == Some(own)) {
            return Err(Disbelief::SelfApproved);
        }
        let at = numeric_date(&approver.at).ok_or(Disbelief::Unreadable)?;
        if at > now.plus(SKEW) || at > issued.plus(SKEW) {
            return Err(Disbelief::Untimely);
        }
        if !approver.groups.iter().any(|group| approval.groups.contains(group)) {
            continue;
        }
        if now.since(at) > approval.ttl {
            too_old = too_old.saturating_add(1);
            continue;
        }
        // Whoever shares one name with somebody before is that somebody.
        let names = [Some(known.sub), known.person];
        let is_new = !names.iter().flatten().any(|name| seen.contains(name));
        seen.extend(names.into_iter().flatten());
        if is_new {
            counted.push((known.shown, at));
        }
    }
    let wanted = u64::from(approval.min).max(1);
    match u64::try_from(counted.len()).unwrap_or(0) {
        enough if enough >= wanted => Ok(counted),
        few if few.saturating_add(too_old.into()) >= wanted => Err(Disbelief::Untimely),
        _ => Err(Disbelief::TooFew),
    }
}

impl Approver {
    /// `by_person`: people are told apart by a claim, and the approver has to say it of everybody.
    fn known(&self, by_person: bool) -> Result<Known<'_>, Disbelief> {
        let sub = Person::read(&self.sub).ok_or(Disbelief::Unnamed)?;
        let name = self.person.as_deref();
        let person = name.map(|name| Person::read(name).ok_or(Disbelief::Unnamed)).transpose()?;
        if by_person && person.is_none() {
            return Err(Disbelief::Unnamed);
        }
        Ok(Known { sub, person, shown: name.unwrap_or(&self.sub).trim() })
    }
}
