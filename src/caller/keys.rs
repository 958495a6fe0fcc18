//! JWK sets (RFC 7517), read key by key, each key pinned to one algorithm.

use super::algorithm::Algorithm;
use super::signature::Verifier;
use super::source::SET_BYTES;
use super::{roca, token};
use crate::json::{self, Malformed};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;

/// Most keys read of one set.
const SET_KEYS: usize = 100;

/// Longest number of a key, in base64url: 4096 bits have 683 digits.
const NUMBER: usize = 700;

/// A public key, fit for exactly one algorithm.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: Option<Rc<str>>,
    pub(super) algorithm: Algorithm,
    /// SubjectPublicKeyInfo in DER, as native signature checks take it.
    pub(super) spki: Vec<u8>,
    pub(super) verifier: Verifier,
}

/// Two keys are the same if they prove the same tokens.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, self.algorithm, &self.spki) == (&other.id, other.algorithm, &other.spki)
    }
}

/// The usable keys of one set, at least one, no two with the same `kid`.
#[derive(Debug, PartialEq)]
pub(super) struct KeySet {
    pub(super) keys: Vec<Key>,
}

/// A key of a set that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Its position in `keys`, from zero.
    pub position: usize,
    /// Why.
    pub problem: KeyProblem,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyProblem {
    /// Not an object, or a member has another form than RFC 7517 gives it.
    Malformed,
    /// `use` or `key_ops` say it does not verify signatures.
    NotForSignatures,
    /// `kty`, `crv` or `alg` is none of those the issuer may use, or they do not fit together.
    NotAllowed,
    /// It has no `alg`, and more than one of the issuer's algorithms fits it.
    Ambiguous,
    /// It is a private key: whoever could read it here can sign tokens.
    Private,
    /// Its numbers are no good public key: wrong size, a point off the curve, a weak exponent, primes known to be weak.
    Weak,
}

/// Why a whole set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySetProblem {
    /// More than 512 KiB, or more than 100 keys.
    TooLarge,
    /// Not strict JSON.
    NotJson(Malformed),
    /// Not an object with an array `keys`.
    NotASet,
    /// Two keys have the same `kid`, so that a token could mean either.
    RepeatedKeyId,
    /// Secret and public keys in one set: a public key could be taken for a secret.
    Mixed,
    /// No key of it can be used.
    NoUsableKey,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Malformed => "the key is malformed",
            Self::NotForSignatures => "the key is not for verifying signatures",
            Self::NotAllowed => "the key's type is none of the issuer's algorithms",
            Self::Ambiguous => "the key has no `alg` and fits more than one of the issuer's algorithms",
            Self::Private => "the key is a private key",
            Self::Weak => "the key is weak or no valid public key",
        })
    }
}

impl fmt::Display for KeySetProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => out.write_str("the key set is too large"),
            Self::NotJson(why) => write!(out, "the key set is not JSON: {why}"),
            Self::NotASet => out.write_str("the key set is no object with an array `keys`"),
            Self::RepeatedKeyId => out.write_str("the key set repeats a `kid`"),
            Self::Mixed => out.write_str("the key set mixes secret and public keys"),
            Self::NoUsableKey => out.write_str("the key set has no usable key"),
        }
    }
}

impl KeySet {
    /// Reads a JWK set as fetched.
    pub(super) fn read(text: &[u8], allowed: &[Algorithm]) -> Result<(Self, Vec<LeftOut>), KeySetProblem> {
        if text.len() > SET_BYTES {
            return Err(KeySetProblem::TooLarge);
        }
        match json::read(text).map_err(KeySetProblem::NotJson)? {
            Value::Object(set) => match set.get("keys") {
                Some(Value::Array(keys)) => Self::from_keys(keys, allowed),
                _ => Err(KeySetProblem::NotASet),
            },
            _ => Err(KeySetProblem::NotASet),
        }
    }

    /// Takes the keys that can be used, and says why the others cannot.
    pub(super) fn from_keys(keys: &[Value], allowed: &[Algorithm]) -> Result<(Self, Vec<LeftOut>), KeySetProblem> {
        if keys.len() > SET_KEYS {
            return Err(KeySetProblem::TooLarge);
        }
        check_together(keys)?;
        let (mut usable, mut left_out) = (Vec::new(), Vec::new());
        for (position, key) in keys.iter().enumerate() {
            match Key::read(key, allowed) {
                Ok(key) => usable.push(key),
                Err(problem) => left_out.push(LeftOut { position, problem }),
            }
        }
        if usable.is_empty() { Err(KeySetProblem::NoUsableKey) } else { Ok((Self { keys: usable }, left_out)) }
    }

    /// The key with exactly this `kid`.
    pub(super) fn with_id(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id.as_deref() == Some(id))
    }

    /// The one key for this algorithm; none if there are several, for trying them in turn would let a token choose.
    pub(super) fn only_for(&self, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(key),
            _ => None,
        }
    }
}

/// What only shows when all keys are seen together, unusable ones too. Encryption keys may share the `kid` of a signature key.
fn check_together(keys: &[Value]) -> Result<(), KeySetProblem> {
    let (mut ids, mut secret, mut public) = (HashSet::new(), false, false);
    for key in keys {
        match key.get("kty").and_then(Value::as_str) {
            Some("oct") => secret = true,
            _ => public = true,
        }
        let encrypts = key.get("use").and_then(Value::as_str) == Some("enc");
        if let Some(id) = key.get("kid").and_then(Value::as_str)
            && !encrypts
            && !ids.insert(id)
        {
            return Err(KeySetProblem::RepeatedKeyId);
        }
    }
    if secret && public { Err(KeySetProblem::Mixed) } else { Ok(()) }
}

impl Key {
    /// Reads one public JWK for one of the `allowed` algorithms.
    pub(super) fn read(key: &Value, allowed: &[Algorithm]) -> Result<Self, KeyProblem> {
        let Value::Object(key) = key else { return Err(KeyProblem::Malformed) };
        check_use(key)?;
        // RFC 7518, section 6: the private members of every type, and the secret of `oct`.
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"].into_iter().any(|member| key.contains_key(member)) {
            return Err(KeyProblem::Private);
        }
        let algorithm = pin(key, allowed)?;
        // Sizes first: whoever serves a key writes it, and what is looked at next costs the more the longer it is.
        if ["n", "e", "x", "y"].into_iter().filter_map(|name| key.get(name)?.as_str()).any(|text| text.len() > NUMBER) {
            return Err(KeyProblem::Weak);
        }
        if let Some(modulus) = text(key, "n")?
            && roca::has_fingerprint(&token::decode(modulus).map_err(|_| KeyProblem::Malformed)?)
        {
            return Err(KeyProblem::Weak);
        }
        let (verifier, spki) = Verifier::new(algorithm, &plain(key, algorithm)?).ok_or(KeyProblem::Weak)?;
        Ok(Self { id: text(key, "kid")?.map(Rc::from), algorithm, spki, verifier })
    }
}

fn check_use(key: &Map<String, Value>) -> Result<(), KeyProblem> {
    if text(key, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyProblem::NotForSignatures);
    }
    match key.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.len() == 1 && operations.iter().all(|it| it == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(KeyProblem::NotForSignatures),
        Some(_) => Err(KeyProblem::Malformed),
    }
}

/// The one algorithm this key is for (RFC 8725, section 3.1): its own `alg`, or the only one of the issuer's that fits its type.
fn pin(key: &Map<String, Value>, allowed: &[Algorithm]) -> Result<Algorithm, KeyProblem> {
    let key_type = (text(key, "kty")?.ok_or(KeyProblem::Malformed)?, text(key, "crv")?);
    let named = text(key, "alg")?;
    let mut fitting = allowed
        .iter()
        .filter(|algorithm| algorithm.key_type() == key_type && named.is_none_or(|named| algorithm.name() == named));
    match (fitting.next(), fitting.next()) {
        (Some(algorithm), None) => Ok(*algorithm),
        (Some(_), Some(_)) => Err(KeyProblem::Ambiguous),
        (None, _) => Err(KeyProblem::NotAllowed),
    }
}

/// The key as a JWK of nothing but its type and public numbers, so that certificates and the like beside them do not count
/// against the library's size limit.
fn plain(key: &Map<String, Value>, algorithm: Algorithm) -> Result<String, KeyProblem> {
    let members: &[&str] = match algorithm.key_type() {
        ("RSA", _) => &["kty", "n", "e"],
        ("EC", _) => &["kty", "crv", "x", "y"],
        _ => &["kty", "crv", "x"],
    };
    let mut plain = Map::new();
    for member in members {
        let value = text(key, member)?.ok_or(KeyProblem::Malformed)?;
        plain.insert((*member).to_owned(), Value::from(value));
    }
    // Key numbers of another type (`x` in an RSA key) make it unclear which key this is.
    let foreign =
        ["crv", "x", "y", "n", "e", "pub"].into_iter().any(|name| key.contains_key(name) && !plain.contains_key(name));
    if foreign { Err(KeyProblem::Malformed) } else { Ok(Value::Object(plain).to_string()) }
}

fn text<'a>(key: &'a Map<String, Value>, member: &str) -> Result<Option<&'a str>, KeyProblem> {
    match key.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyProblem::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Signer, by_every_algorithm, encode, good, rsa_jwk};
    use super::*;
    use serde_json::json;

    const ALLOWED: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

    fn set(keys: &[Value]) -> Result<(KeySet, Vec<LeftOut>), KeySetProblem> {
        KeySet::read(json!({ "keys": keys }).to_string().as_bytes(), &ALLOWED)
    }

    fn changed(key: &Value, member: &str, value: Value) -> Value {
        let mut key = key.clone();
        key[member] = value;
        key
    }

    fn problem(key: &Value) -> Option<KeyProblem> {
        Key::read(key, &ALLOWED).err()
    }

    #[test]
    fn one_bad_key_harms_no_other() {
        let good = Signer::new().jwk("good");
        let bad = [
            json!("key"),
            json!({}),
            json!({"kty": "XYZ", "kid": "x"}),
            changed(&good, "kid", json!(7)),
            json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "small"}),
        ];
        let (usable, left_out) = set(&[&bad[..2], &[good], &bad[2..]].concat()).unwrap();
        assert_eq!(usable.keys.len(), 1);
        assert!(usable.with_id("good").is_some());
        assert_eq!(left_out.iter().map(|out| out.position).collect::<Vec<_>>(), [0, 1, 3, 4, 5]);
        assert_eq!(set(&bad), Err(KeySetProblem::NoUsableKey));
    }

    #[test]
    fn ambiguous_sets_are_refused_whole() {
        let (one, two) = (Signer::new().jwk("a"), Signer::new().jwk("a"));
        assert_eq!(set(&[one.clone(), two.clone()]), Err(KeySetProblem::RepeatedKeyId));
        assert_eq!(set(&[one.clone(), one.clone()]), Err(KeySetProblem::RepeatedKeyId));
        let unusable = json!({"kty": "RSA", "kid": "a"});
        assert_eq!(set(&[one.clone(), unusable]), Err(KeySetProblem::RepeatedKeyId), "one of them bad");
        let encrypts = changed(&two, "use", json!("enc"));
        assert_eq!(set(&[one.clone(), encrypts]).unwrap().0.keys.len(), 1);
        let secret = json!({"kty": "oct", "k": encode(&[7; 32]), "kid": "s"});
        assert_eq!(set(&[one, secret.clone()]), Err(KeySetProblem::Mixed));
        assert_eq!(set(&[secret]), Err(KeySetProblem::NoUsableKey));
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in
            ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"keys":[],"keys":[]}"#, "\u{feff}{\"keys\":[]}"]
        {
            assert!(KeySet::read(text.as_bytes(), &ALLOWED).is_err(), "{text}");
        }
        let key = Signer::new().jwk("a");
        let repeated = format!("{{\"keys\":[{}]}}", key.to_string().replacen('{', "{\"kid\":\"b\",", 1));
        assert!(matches!(KeySet::read(repeated.as_bytes(), &ALLOWED), Err(KeySetProblem::NotJson(_))));
        assert_eq!(set(&vec![key; 101]), Err(KeySetProblem::TooLarge));
        let huge = format!("{{\"keys\":[]{}}}", " ".repeat(SET_BYTES));
        assert_eq!(KeySet::read(huge.as_bytes(), &ALLOWED), Err(KeySetProblem::TooLarge));
    }

    #[test]
    fn keys_for_other_purposes_are_left_out() {
        let key = Signer::new().jwk("a");
        for (member, value, verdict) in [
            ("use", json!("sig"), None),
            ("use", json!("enc"), Some(KeyProblem::NotForSignatures)),
            ("use", json!("SIG"), Some(KeyProblem::NotForSignatures)),
            ("use", json!(null), Some(KeyProblem::Malformed)),
            ("key_ops", json!(["verify"]), None),
            ("key_ops", json!([]), Some(KeyProblem::NotForSignatures)),
            ("key_ops", json!(["sign"]), Some(KeyProblem::NotForSignatures)),
            ("key_ops", json!(["verify", "verify"]), Some(KeyProblem::NotForSignatures)),
            ("key_ops", json!("verify"), Some(KeyProblem::Malformed)),
            ("d", json!("AAAA"), Some(KeyProblem::Private)),
            ("k", json!("AAAA"), Some(KeyProblem::Private)),
            ("n", json!("AAAA"), Some(KeyProblem::Malformed)),
            ("alg", json!("ES256"), Some(KeyProblem::NotAllowed)),
            ("alg", json!("none"), Some(KeyProblem::NotAllowed)),
            ("crv", json!("Ed448"), Some(KeyProblem::NotAllowed)),
            ("crv", json!("P-256"), Some(KeyProblem::NotAllowed)),
            ("kty", json!("EC"), Some(KeyProblem::NotAllowed)),
            ("x5c", json!(["MIIB"]), None),
        ] {
            assert_eq!(problem(&changed(&key, member, value.clone())), verdict, "{member}: {value}");
        }
    }

    #[test]
    fn a_key_is_pinned_to_one_algorithm_or_left_out() {
        let mut key = rsa_jwk("a");
        key.as_object_mut().unwrap().remove("alg");
        assert_eq!(Key::read(&key, &[Algorithm::RS256, Algorithm::ES256]).unwrap().algorithm, Algorithm::RS256);
        let several = [Algorithm::RS256, Algorithm::PS256];
        assert_eq!(Key::read(&key, &several), Err(KeyProblem::Ambiguous));
        let named = changed(&key, "alg", json!("PS256"));
        assert_eq!(Key::read(&named, &several).unwrap().algorithm, Algorithm::PS256);
        assert_eq!(Key::read(&named, &[Algorithm::RS256]), Err(KeyProblem::NotAllowed));
    }

    #[test]
    fn weak_rsa_keys_are_left_out() {
        let key = rsa_jwk("a");
        let modulus = |bytes: usize| encode(&[&[0xc1], &vec![0x55; bytes - 2][..], &[0x01]].concat());
        assert_eq!(problem(&changed(&key, "n", modulus(256).into())), None);
        assert_eq!(problem(&changed(&key, "n", modulus(512).into())), None);
        for bytes in [64, 128, 255, 513, 1024] {
            assert_eq!(problem(&changed(&key, "n", modulus(bytes).into())), Some(KeyProblem::Weak), "{bytes}");
        }
        let even = encode(&[&[0xc1; 255][..], &[0]].concat());
        assert_eq!(problem(&changed(&key, "n", even.into())), Some(KeyProblem::Weak));
        for exponent in ["AQ", "Aw", "AAEAAQ", "AQAC", "AQAB=", ""] {
            assert_eq!(problem(&changed(&key, "e", exponent.into())), Some(KeyProblem::Weak), "{exponent}");
        }
    }

    #[test]
    fn points_off_the_curve_or_of_another_length_are_left_out() {
        let (_, keys) = by_every_algorithm(&good());
        let key = keys["keys"].as_array().unwrap().iter().find(|key| key["alg"] == "ES256").unwrap();
        assert_eq!(problem(key), None);
        let (x, y) = (key["x"].clone(), key["y"].clone());
        for (member, value) in [
            ("x", y),
            ("y", x),
            ("x", encode(&[0; 32]).into()),
            ("y", encode(&[0xff; 32]).into()),
            ("y", encode(&[1; 31]).into()),
            ("x", encode(&[1; 33]).into()),
            ("x", "".into()),
        ] {
            assert_eq!(problem(&changed(key, member, value)), Some(KeyProblem::Weak), "{member}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_sets_never_panic(text in "\\{\"keys\":\\[(\\{(\"(kty|crv|x|n|e|alg|kid|use|key_ops)\":(\"(RSA|EC|OKP|AQAB|sig)\"|1|\\[\\]|null),?){0,4}\\},?){0,3}\\]\\}") {
            let _ = KeySet::read(text.as_bytes(), &ALLOWED);
        }
    }
}
