//! Who a caller is, once proved.

use super::algorithm::Algorithm;
use super::binding::Binding;
use super::claims::{Claims, Kept};
use crate::time::Time;
use std::rc::Rc;

/// A verified caller. Only this room can make one.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    pub(super) issuer: Rc<str>,
    pub(super) subject: String,
    pub(super) groups: Vec<String>,
    pub(super) claims: Kept,
    pub(super) proof: Proof,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) key_id: Option<Rc<str>>,
    pub(super) token_id: Option<String>,
    pub(super) expires: Option<Time>,
    /// `exp` and the leeway that its issuer's clock has.
    pub(super) valid_until: Option<Time>,
    pub(super) binding: Binding,
}

/// How a caller was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By a token that whoever holds it can use (RFC 6750).
    Bearer,
    /// By a token that only the holder of a TLS client certificate can use (RFC 8705).
    BoundToCertificate,
    /// By a token that only the holder of a key can use, and a proof by it (RFC 9449).
    BoundToKey,
    /// By a TLS client certificate, without a token.
    Certificate,
}

impl Proof {
    /// For records: one of a fixed set of words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::BoundToCertificate => "certificate-bound",
            Self::BoundToKey => "dpop",
            Self::Certificate => "certificate",
        }
    }
}

impl Caller {
    /// `iss`, as configured.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: not empty, no control characters.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The groups, under the names the configuration gives them, each once.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// All claims of the token; nothing without one.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        self.claims.read()
    }

    /// How the caller was proved.
    #[must_use]
    pub const fn proof(&self) -> Proof {
        self.proof
    }

    /// The algorithm of the token's signature; none without a token.
    #[must_use]
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// `kid` of the key that proved it, if the key has one; without a token, the certificate's SHA-256 in base64url.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// `jti`.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// `exp`; none without a token: TLS has judged how long a certificate is valid.
    #[must_use]
    pub const fn expires(&self) -> Option<Time> {
        self.expires
    }
}
