//! One JWS by one key that the configuration names, for approval receipts.

use super::algorithm::Algorithm;
use super::claims::{Claims, Moment, Window, date};
use super::keys::Key;
use super::refusal::Refusal;
use super::signature::{NoNativeSignatures, Proved, proves};
use super::token::{Token, plain_type};
use crate::time::{Span, Time};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// Longest validity of a pinned token, from `iat` to `exp`.
pub const PINNED_LIFETIME: Span = Span::from_secs(300);

/// A public key in the configuration: one JWK for EdDSA (Ed25519) or ES256.
#[derive(Debug)]
pub struct PinnedKey(pub(super) Key);

impl<'de> Deserialize<'de> for PinnedKey {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let key = Value::deserialize(reader)?;
        Key::read(&key, &[Algorithm::EdDSA, Algorithm::ES256]).map(Self).map_err(D::Error::custom)
    }
}

/// What a pinned token says.
#[derive(Debug, PartialEq)]
pub struct Pinned {
    /// All its claims.
    pub claims: Claims,
    /// `iat`.
    pub issued: Time,
    /// `exp`.
    pub expires: Time,
}

/// What `token` says, if it is a strict JWS of type `typ` by exactly `key`, with `iat` and `exp` no further apart than
/// [`PINNED_LIFETIME`] and `now` between them. What the other claims must say is the caller's business.
///
/// # Errors
/// Anything else. A token may leave out `kid`; if it has one, it must be the key's.
pub fn verify_pinned(token: &[u8], key: &PinnedKey, typ: &str, now: Time, skew: Span) -> Result<Pinned, Refusal> {
    let PinnedKey(key) = key;
    let token = Token::read(token)?;
    if Algorithm::named(&token.header.algorithm) != Some(key.algorithm) {
        return Err(Refusal::AlgorithmNotAllowed);
    }
    if token.header.kind.is_none() || !token.header.is_one_of(&[plain_type(typ)]) {
        return Err(Refusal::WrongType);
    }
    if token.header.key_id.is_some() && token.header.key_id.as_deref() != key.id.as_deref() {
        return Err(Refusal::UnknownKey { source: None });
    }
    let issued = date(&token.glance, "iat")?.ok_or(Refusal::ClaimMissing("iat"))?;
    let window = Window { skew, max_lifetime: PINNED_LIFETIME };
    let expires = window.check(&token.glance, Moment { now, latest: now })?;
    match proves(key, &token, now, &NoNativeSignatures) {
        Proved::Yes => Ok(Pinned { claims: token.claims()?, issued, expires }),
        Proved::No | Proved::Unclear => Err(Refusal::BadSignature),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, NOW_SECS, Signer, rsa_jwk};
    use super::*;
    use serde_json::json;

    const TYP: &str = "rerank-approval+jwt";
    const SKEW: Span = Span::from_secs(30);

    fn claims() -> Value {
        json!({"req": "sha256:00", "iat": NOW_SECS - 10, "exp": NOW_SECS + 200})
    }

    fn changed(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    #[test]
    fn only_a_fresh_token_of_the_right_type_by_the_pinned_key_is_read() {
        let signer = Signer::new();
        let key: PinnedKey = serde_json::from_value(signer.jwk("approver")).unwrap();
        let verdict = |header: Value, claims: Value| {
            let token = signer.raw(header.to_string().as_bytes(), claims.to_string().as_bytes());
            verify_pinned(token.as_bytes(), &key, TYP, NOW, SKEW)
        };
        let header = json!({"alg": "EdDSA", "typ": TYP});
        let read = verdict(header.clone(), claims()).unwrap();
        assert_eq!(Value::Object(read.claims), claims());
        assert_eq!((read.issued.secs(), read.expires.secs()), (NOW_SECS - 10, NOW_SECS + 200));
        assert!(verdict(json!({"alg": "EdDSA", "typ": TYP, "kid": "approver"}), claims()).is_ok());

        for (header, refusal) in [
            (json!({"alg": "EdDSA"}), Refusal::WrongType),
            (json!({"alg": "EdDSA", "typ": "JWT"}), Refusal::WrongType),
            (json!({"alg": "EdDSA", "typ": "at+jwt"}), Refusal::WrongType),
            (json!({"alg": "ES256", "typ": TYP}), Refusal::AlgorithmNotAllowed),
            (json!({"alg": "none", "typ": TYP}), Refusal::AlgorithmNotAllowed),
            (json!({"alg": "EdDSA", "typ": TYP, "kid": "other"}), Refusal::UnknownKey { source: None }),
            (json!({"alg": "EdDSA", "typ": TYP, "crit": ["x"]}), Refusal::HeaderForbids("crit")),
        ] {
            assert_eq!(verdict(header, claims()), Err(refusal));
        }
        for (claims, refusal) in [
            (changed("exp", json!(NOW_SECS - 30)), Refusal::Expired),
            (changed("iat", json!(NOW_SECS + 31)), Refusal::IssuedInFuture),
            (changed("exp", json!(NOW_SECS + 291)), Refusal::LifetimeTooLong),
            (changed("exp", json!("x")), Refusal::ClaimMalformed("exp")),
            (json!({"exp": NOW_SECS + 10}), Refusal::ClaimMissing("iat")),
            (json!({"iat": NOW_SECS}), Refusal::ExpiryMissing),
        ] {
            assert_eq!(verdict(header.clone(), claims), Err(refusal));
        }
        let forged = Signer::new().raw(header.to_string().as_bytes(), claims().to_string().as_bytes());
        assert_eq!(verify_pinned(forged.as_bytes(), &key, TYP, NOW, SKEW), Err(Refusal::BadSignature));
    }

    #[test]
    fn only_public_keys_of_the_two_algorithms_can_be_pinned() {
        assert!(serde_json::from_value::<PinnedKey>(rsa_jwk("a")).is_err());
        let mut private = Signer::new().jwk("a");
        private["d"] = "AAAA".into();
        let said = serde_json::from_value::<PinnedKey>(private).unwrap_err().to_string();
        assert!(said.contains("private") && !said.contains("AAAA"), "{said}");
    }
}
