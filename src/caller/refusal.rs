//! Why a credential proves no caller.

use super::reason::Reason;
use std::fmt;

/// Why a credential was refused: one reason each, never with a value of the token in it, for whatever stands in a refused token
/// is either an attacker's or personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No header that can hold a token is there.
    NoToken,
    /// The header holds something else than a token: another scheme, or nothing.
    NotAToken,
    /// More than one header, or one more than once.
    SeveralTokens,
    /// Longer than [`super::TOKEN_BYTES`], or its header than [`super::HEADER_BYTES`].
    TooLong,
    /// Not three non-empty parts: an encrypted, detached or JSON-serialised token, or no token at all.
    NotThreeParts,
    /// A part is not canonical unpadded base64url.
    NotBase64Url,
    /// The header is no JSON object everybody reads alike.
    HeaderMalformed,
    /// The header has a member that changes how a token must be read or which key to trust (`crit`, `b64`, `zip`, `jwk`, …).
    HeaderForbids(&'static str),
    /// The payload is no JSON object everybody reads alike.
    PayloadMalformed,
    /// Header or payload has thousands of members, or hundreds: no issuer makes such, and each costs more than its bytes.
    TooManyMembers,
    /// Header or payload is nested deeper than any issuer makes it.
    TooDeep,
    /// `alg` is not one this issuer may use.
    AlgorithmNotAllowed,
    /// `typ` is not one this issuer may use: a token made for another purpose.
    WrongType,
    /// No `iss`.
    IssuerMissing,
    /// `iss` is not exactly one of the configured issuers.
    UnknownIssuer,
    /// No `aud`.
    AudienceMissing,
    /// `aud` names none of the configured audiences.
    WrongAudience,
    /// No `exp`.
    ExpiryMissing,
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYetValid,
    /// `iat` lies in the future.
    IssuedInFuture,
    /// Valid for longer than the configuration allows, or expiring before it was issued.
    LifetimeTooLong,
    /// No `sub`, or an empty one.
    SubjectMissing,
    /// A required claim is missing.
    ClaimMissing(&'static str),
    /// A claim is of a form it must not have.
    ClaimMalformed(&'static str),
    /// The token is bound (`cnf`) in a way that cannot be checked: never taken as a bearer token.
    Bound,
    /// The token is bound to a client certificate, and its sender has shown none.
    CertificateMissing,
    /// The token is bound to a key, and stood behind `Bearer ` (RFC 9449, section 7.2).
    SentAsBearer,
    /// The token is bound to another key than its sender's.
    WrongHolder,
    /// The configured groups claim is missing.
    GroupsMissing,
    /// The token says its groups must be asked for elsewhere (Entra ID's "overage").
    GroupsElsewhere,
    /// The groups claim has not the configured form.
    GroupsMalformed,
    /// A group of the token has the name that the configuration gives to another one.
    GroupsClash,
    /// There is a client certificate, and nothing says that TLS has verified it.
    UnprovedPeer,
    /// The client certificate names no configured caller.
    UnknownPeer,
    /// The client certificate's SPIFFE ID has not the form the standard gives it.
    PeerMalformed,
    /// Sent as `DPoP`, but bound to no key (RFC 9449, section 7.1).
    NotBound,
    /// Sent as `DPoP`, and no proof of possession with it.
    ProofMissing,
    /// More than one proof of possession (RFC 9449, section 4.3, check 1).
    SeveralProofs,
    /// The proof of possession is no good: its form, or the member named.
    ProofRefused(&'static str),
    /// The proof of possession was shown before.
    ProofReplayed,
    /// Too many proofs of possession were shown lately for another one to be remembered.
    TooManyProofs,
    /// The memory of proofs, which all workers share, cannot be used now.
    NoProofMemory,
    /// No key with this `kid`. `source`: where a fetch has been asked for that may bring it.
    UnknownKey {
        /// The source whose next answer can change the verdict; none when its rate of fetches is used up.
        source: Option<usize>,
    },
    /// No `kid`, and the issuer has more than one fitting key or none.
    KeyIdMissing,
    /// The key with this `kid` is for another algorithm.
    KeyMismatch,
    /// The signature is not by this key over these bytes.
    BadSignature,
    /// Too many bad signatures came for another one to be looked at now.
    TooManyBadSignatures,
    /// The issuer's keys have not been fetched yet.
    NoKeysYet {
        /// The source whose next answer can change the verdict.
        source: usize,
    },
    /// The issuer's keys were fetched too long ago to be trusted.
    KeysStale {
        /// The source whose next answer can change the verdict.
        source: usize,
    },
}

impl Refusal {
    /// For metrics and records: one of a fixed set of words.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::NoToken => Reason::NoToken,
            Self::NotAToken => Reason::NotAToken,
            Self::SeveralTokens => Reason::SeveralTokens,
            Self::TooLong => Reason::TooLong,
            Self::NotThreeParts => Reason::NotThreeParts,
            Self::NotBase64Url => Reason::NotBase64Url,
            Self::HeaderMalformed => Reason::HeaderMalformed,
            Self::HeaderForbids(_) => Reason::HeaderForbids,
            Self::PayloadMalformed => Reason::PayloadMalformed,
            Self::TooManyMembers => Reason::TooManyMembers,
            Self::TooDeep => Reason::TooDeep,
            Self::AlgorithmNotAllowed => Reason::AlgorithmNotAllowed,
            Self::WrongType => Reason::WrongType,
            Self::IssuerMissing => Reason::IssuerMissing,
            Self::UnknownIssuer => Reason::UnknownIssuer,
            Self::AudienceMissing => Reason::AudienceMissing,
            Self::WrongAudience => Reason::WrongAudience,
            Self::ExpiryMissing => Reason::ExpiryMissing,
            Self::Expired => Reason::Expired,
            Self::NotYetValid => Reason::NotYetValid,
            Self::IssuedInFuture => Reason::IssuedInFuture,
            Self::LifetimeTooLong => Reason::LifetimeTooLong,
            Self::SubjectMissing => Reason::SubjectMissing,
            Self::ClaimMissing(_) => Reason::ClaimMissing,
            Self::ClaimMalformed(_) => Reason::ClaimMalformed,
            Self::Bound => Reason::Bound,
            Self::CertificateMissing => Reason::CertificateMissing,
            Self::SentAsBearer => Reason::SentAsBearer,
            Self::WrongHolder => Reason::WrongHolder,
            Self::GroupsMissing => Reason::GroupsMissing,
            Self::GroupsElsewhere => Reason::GroupsElsewhere,
            Self::GroupsMalformed => Reason::GroupsMalformed,
            Self::GroupsClash => Reason::GroupsClash,
            Self::UnprovedPeer => Reason::UnprovedPeer,
            Self::UnknownPeer => Reason::UnknownPeer,
            Self::PeerMalformed => Reason::PeerMalformed,
            Self::NotBound => Reason::NotBound,
            Self::ProofMissing => Reason::ProofMissing,
            Self::SeveralProofs => Reason::SeveralProofs,
            Self::ProofRefused(_) => Reason::ProofRefused,
            Self::ProofReplayed => Reason::ProofReplayed,
            Self::TooManyProofs => Reason::TooManyProofs,
            Self::NoProofMemory => Reason::NoProofMemory,
            Self::UnknownKey { .. } => Reason::UnknownKey,
            Self::KeyIdMissing => Reason::KeyIdMissing,
            Self::KeyMismatch => Reason::KeyMismatch,
            Self::BadSignature => Reason::BadSignature,
            Self::TooManyBadSignatures => Reason::TooManyBadSignatures,
            Self::NoKeysYet { .. } => Reason::NoKeysYet,
            Self::KeysStale { .. } => Reason::KeysStale,
        }
    }

    /// Whether the same credential may be accepted soon, because the fault is not its own: 503 with `Retry-After`, not
    /// 401.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::NoKeysYet { .. }
                | Self::KeysStale { .. }
                | Self::TooManyBadSignatures
                | Self::TooManyProofs
                | Self::NoProofMemory
        )
    }

    /// The source of keys whose next answer can change the verdict, for those who would rather hold a call than refuse it.
    #[must_use]
    pub const fn awaits(self) -> Option<usize> {
        match self {
            Self::NoKeysYet { source } | Self::KeysStale { source } => Some(source),
            Self::UnknownKey { source } => source,
            _ => None,
        }
    }

    /// The `error` of `WWW-Authenticate` (RFC 6750, section 3.1; RFC 9449, section 7.1); none where no token was shown, for there is
    /// nothing wrong with it then. A certificate is no token.
    ///
    /// RFC 6750 would have 400 for `invalid_request`; it is 401 like the others here, so that whoever proves nothing gets one answer.
    pub(super) const fn error(self) -> Option<&'static str> {
        match self {
            Self::NoToken | Self::NotAToken | Self::UnprovedPeer | Self::UnknownPeer | Self::PeerMalformed => None,
            Self::SeveralTokens => Some("invalid_request"),
            Self::ProofMissing | Self::SeveralProofs | Self::ProofRefused(_) | Self::ProofReplayed => {
                Some("invalid_dpop_proof")
            }
            _ => Some("invalid_token"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken => out.write_str("there is no token"),
            Self::NotAToken => out.write_str("the header for tokens holds something else"),
            Self::SeveralTokens => out.write_str("there is more than one token"),
            Self::TooLong => out.write_str("the token is too long"),
            Self::NotThreeParts => out.write_str("the token has not exactly three parts"),
            Self::NotBase64Url => out.write_str("a part of the token is not canonical base64url"),
            Self::HeaderMalformed => out.write_str("the token's header is no strict JSON object"),
            Self::HeaderForbids(member) => write!(out, "the token's header has the member `{member}`"),
            Self::PayloadMalformed => out.write_str("the token's payload is no strict JSON object"),
            Self::TooManyMembers => out.write_str("the token's header or payload has too many members"),
            Self::TooDeep => out.write_str("the token's header or payload is nested too deep"),
            Self::AlgorithmNotAllowed => out.write_str("the algorithm in `alg` is not allowed for the issuer"),
            Self::WrongType => out.write_str("the type in `typ` is not allowed for the issuer"),
            Self::IssuerMissing => out.write_str("the claim `iss` is missing"),
            Self::UnknownIssuer => out.write_str("the issuer in `iss` is not configured"),
            Self::AudienceMissing => out.write_str("the claim `aud` is missing"),
            Self::WrongAudience => out.write_str("the claim `aud` names another audience"),
            Self::ExpiryMissing => out.write_str("the claim `exp` is missing"),
            Self::Expired => out.write_str("the token has expired (`exp`)"),
            Self::NotYetValid => out.write_str("the token is not valid yet (`nbf`)"),
            Self::IssuedInFuture => out.write_str("the token was issued in the future (`iat`)"),
            Self::LifetimeTooLong => out.write_str("the token is valid for too long (`exp`)"),
            Self::SubjectMissing => out.write_str("the claim `sub` is missing or empty"),
            Self::ClaimMissing(claim) => write!(out, "the claim `{claim}` is missing"),
            Self::ClaimMalformed(claim) => write!(out, "the claim `{claim}` is malformed"),
            Self::Bound => out.write_str("the token is bound (`cnf`) in a way that cannot be checked"),
            Self::CertificateMissing => {
                out.write_str("the token is bound to a client certificate (`cnf`) and its sender shows none")
            }
            Self::SentAsBearer => {
                out.write_str("the token is bound to a key (`cnf`) and must be sent as `DPoP`, with a proof")
            }
            Self::WrongHolder => out.write_str("the token is bound to another key than its sender's (`cnf`)"),
            Self::GroupsMissing => out.write_str("the groups claim is missing"),
            Self::GroupsElsewhere => out.write_str("the token names too many groups to carry them"),
            Self::GroupsMalformed => out.write_str("the groups claim has not the configured form"),
            Self::GroupsClash => out.write_str("a group has the name the configuration gives to another group"),
            Self::UnprovedPeer => out.write_str("nothing says that the client certificate was verified"),
            Self::UnknownPeer => out.write_str("the client certificate names no configured caller"),
            Self::PeerMalformed => out.write_str("the client certificate's SPIFFE ID is malformed"),
            Self::NotBound => out.write_str("the token was sent as `DPoP`, but is bound to no key"),
            Self::ProofMissing => out.write_str("the token was sent as `DPoP` without a proof of possession"),
            Self::SeveralProofs => out.write_str("there is more than one proof of possession"),
            Self::ProofRefused(what) => write!(out, "the proof of possession is refused for its `{what}`"),
            Self::ProofReplayed => out.write_str("the proof of possession was shown before"),
            Self::TooManyProofs => out.write_str("too many proofs of possession to remember another one"),
            Self::NoProofMemory => out.write_str("the memory of proofs of possession cannot be used now"),
            Self::UnknownKey { .. } => out.write_str("the issuer has no key with this `kid`"),
            Self::KeyIdMissing => {
                out.write_str("the token has no `kid` and the issuer has not exactly one fitting key")
            }
            Self::KeyMismatch => out.write_str("the key with this `kid` is for another algorithm"),
            Self::BadSignature => out.write_str("the signature does not verify"),
            Self::TooManyBadSignatures => {
                out.write_str("too many bad signatures came for another one to be looked at now")
            }
            Self::NoKeysYet { .. } => out.write_str("the issuer's keys have not been fetched yet"),
            Self::KeysStale { .. } => out.write_str("the issuer's keys could not be refreshed for too long"),
        }
    }
}

impl std::error::Error for Refusal {}
