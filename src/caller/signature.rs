//! Proving a signature: by the host where it can, by jwt-simple where it cannot.

use super::algorithm::{Algorithm, Hash};
use super::keys::Key;
use super::token::{HEADER_BYTES, TOKEN_BYTES, Token};
use crate::time::Time;
use jwt_simple::{JWTError, prelude::*};

/// Signature checks of the host, at native speed.
pub trait NativeSignatures {
    /// Whether `signature` is over `text` by the key `spki_der` (SubjectPublicKeyInfo): PKCS#1 v1.5 for an RSA key, ECDSA with a DER
    /// signature for a curve. None: the host has no such function, so the library does it. `Some(false)` for everything but a
    /// proven good signature.
    fn verify(&self, hash: Hash, spki_der: &[u8], signature: &[u8], text: &[u8]) -> Option<bool>;
}

/// A host without signature checks.
#[derive(Debug, Clone, Copy)]
pub struct NoNativeSignatures;

impl NativeSignatures for NoNativeSignatures {
    fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }
}

/// Whether a token was signed with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proved {
    Yes,
    No,
    /// The library, which judges whole tokens, refused it for another reason: that is no proof.
    Unclear,
}

/// Whether the token was signed with `key`. Which key that is, and that the token's `alg` is the key's, is settled before.
pub(super) fn proves(key: &Key, token: &Token<'_>, now: Time, native: &dyn NativeSignatures) -> Proved {
    match proves_text(key, token.signed.as_bytes(), &token.signature, native) {
        Some(true) => Proved::Yes,
        Some(false) => Proved::No,
        None => match key.verifier.verify(token, now) {
            Ok(()) => Proved::Yes,
            Err(why) if matches!(why.downcast_ref::<JWTError>(), Some(JWTError::InvalidSignature)) => Proved::No,
            Err(_) => Proved::Unclear,
        },
    }
}

/// What it costs to check a signature by this key in the module itself, as a multiple of the cheapest: EdDSA, some 400 µs in V8.
pub(super) fn cost(key: &Key) -> u64 {
    match key.algorithm {
        Algorithm::EdDSA => 1,
        Algorithm::ES256 => 2,
        Algorithm::ES384 => 10,
        _ => match key.spki.len() {
            // RSA: of 2048, 3072 and 4096 bits.
            ..350 => 4,
            350..480 => 7,
            _ => 15,
        },
    }
}

/// Whether `text` was signed with `key`, where that can be said of any text: by the host, and for EdDSA. jwt-simple says it for
/// the others, but of whole tokens only.
pub(super) fn proves_text(key: &Key, text: &[u8], signature: &[u8], native: &dyn NativeSignatures) -> Option<bool> {
    if let Verifier::EdDSA(key) = &key.verifier {
        let key = key.public_key().as_ref();
        return Some(signature.try_into().is_ok_and(|signature| key.verify(text, &signature).is_ok()));
    }
    let hash = key.algorithm.native_hash()?;
    let verify = |signature: &[u8]| native.verify(hash, &key.spki, signature, text);
    match key.algorithm {
        Algorithm::ES256 => ecdsa_der::<32>(signature).map_or(Some(false), |der| verify(&der)),
        Algorithm::ES384 => ecdsa_der::<48>(signature).map_or(Some(false), |der| verify(&der)),
        _ => verify(signature),
    }
}

/// A key as jwt-simple holds it: one type for each algorithm, so that no key can be used with another.
#[derive(Debug)]
pub(super) enum Verifier {
    RS256(RS256PublicKey),
    RS384(RS384PublicKey),
    RS512(RS512PublicKey),
    PS256(PS256PublicKey),
    PS384(PS384PublicKey),
    PS512(PS512PublicKey),
    ES256(ES256PublicKey),
    ES384(ES384PublicKey),
    EdDSA(Ed25519PublicKey),
}

impl Verifier {
    /// Reads a public JWK for `algorithm`, and gives its SubjectPublicKeyInfo with it. None for a bad key: RSA of less than 2048
    /// or more than 4096 bits or with an exponent other than 65537, a point that is not on the curve, numbers of another length.
    pub(super) fn new(algorithm: Algorithm, jwk: &str) -> Option<(Self, Vec<u8>)> {
        macro_rules! read {
            ($variant:ident, $key:ty) => {{
                let key = <$key>::from_jwk(jwk).ok()?;
                let spki = key.to_der().ok()?;
                (Self::$variant(key), spki)
            }};
        }
        Some(match algorithm {
            Algorithm::RS256 => read!(RS256, RS256PublicKey),
            Algorithm::RS384 => read!(RS384, RS384PublicKey),
            Algorithm::RS512 => read!(RS512, RS512PublicKey),
            Algorithm::PS256 => read!(PS256, PS256PublicKey),
            Algorithm::PS384 => read!(PS384, PS384PublicKey),
            Algorithm::PS512 => read!(PS512, PS512PublicKey),
            Algorithm::ES256 => read!(ES256, ES256PublicKey),
            Algorithm::ES384 => read!(ES384, ES384PublicKey),
            Algorithm::EdDSA => {
                let key = Ed25519PublicKey::from_jwk(jwk).ok()?;
                let spki = key.to_der();
                (Self::EdDSA(key), spki)
            }
        })
    }

    /// The key's thumbprint (RFC 7638), by SHA-256.
    pub(super) fn thumbprint(&self) -> Option<[u8; 32]> {
        let thumbprint = match self {
            Self::RS256(key) => key.jwk_thumbprint(),
            Self::RS384(key) => key.jwk_thumbprint(),
            Self::RS512(key) => key.jwk_thumbprint(),
            Self::PS256(key) => key.jwk_thumbprint(),
            Self::PS384(key) => key.jwk_thumbprint(),
            Self::PS512(key) => key.jwk_thumbprint(),
            Self::ES256(key) => key.jwk_thumbprint(),
            Self::ES384(key) => key.jwk_thumbprint(),
            Self::EdDSA(key) => key.jwk_thumbprint(),
        };
        super::token::decode(&thumbprint).ok()?.try_into().ok()
    }

    /// jwt-simple's whole verification. Its own rules on header and claims are set to be no stricter than ours, which are judged
    /// before, so that both ways of proving a signature accept the same tokens.
    pub(super) fn verify(&self, token: &Token<'_>, now: Time) -> Result<(), jwt_simple::Error> {
        let options = VerificationOptions {
            required_signature_type: token.header.kind.clone(),
            artificial_time: Some(UnixTimeStamp::from_secs(now.secs())),
            // Ours is at most 60 s and counts milliseconds, which this one drops.
            time_tolerance: Some(Duration::from_secs(120)),
            max_token_length: Some(TOKEN_BYTES),
            max_header_length: Some(HEADER_BYTES),
            ..VerificationOptions::default()
        };
        macro_rules! verify {
            ($key:expr) => {
                $key.verify_token::<NoCustomClaims>(token.text, Some(options)).map(|_| ())
            };
        }
        match self {
            Self::RS256(key) => verify!(key),
            Self::RS384(key) => verify!(key),
            Self::RS512(key) => verify!(key),
            Self::PS256(key) => verify!(key),
            Self::PS384(key) => verify!(key),
            Self::PS512(key) => verify!(key),
            Self::ES256(key) => verify!(key),
            Self::ES384(key) => verify!(key),
            Self::EdDSA(key) => verify!(key),
        }
    }
}

/// The DER form (RFC 3279, section 2.2.3) of an ECDSA signature as JWS has it (RFC 7518, section 3.4): r and s, `N` bytes each.
/// None for another length and for zero in either half, which no signer makes and some verifiers once took for everything.
fn ecdsa_der<const N: usize>(signature: &[u8]) -> Option<Vec<u8>> {
    if signature.len() != 2 * N {
        return None;
    }
    let (r, s) = signature.split_at_checked(N)?;
    let (r, s) = (der_integer(r)?, der_integer(s)?);
    // At most 2 * (2 + 1 + 48) = 102 bytes, so that one byte says the length.
    let length = u8::try_from(r.len() + s.len()).ok().filter(|length| *length < 0x80)?;
    Some([&[0x30, length], r.as_slice(), s.as_slice()].concat())
}

fn der_integer(number: &[u8]) -> Option<Vec<u8>> {
    let start = number.iter().position(|byte| *byte != 0)?;
    let digits = number.get(start..)?;
    // DER integers are signed: a leading one bit needs a zero byte before it.
    let sign: &[u8] = if digits.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
    let length = u8::try_from(sign.len() + digits.len()).ok()?;
    Some([&[0x02, length], sign, digits].concat())
}

#[cfg(test)]
mod tests {
    use super::super::keys::{KeyProblem, KeySet};
    use super::super::testing::{Host, corpus};
    use super::*;
    use serde_json::{Value, json};
    use std::rc::Rc;

    /// DER by hand: X.690, sections 8.3 and 8.9.
    #[test]
    fn ecdsa_signatures_become_der() {
        let signature = |r: &[u8], s: &[u8]| {
            let pad = |number: &[u8]| [&vec![0; 32 - number.len()], number].concat();
            [pad(r), pad(s)].concat()
        };
        for (r, s, der) in [
            (&[1][..], &[0x7f][..], &[0x30, 6, 2, 1, 1, 2, 1, 0x7f][..]),
            (&[0x80], &[1, 0], &[0x30, 8, 2, 2, 0, 0x80, 2, 2, 1, 0]),
            (&[0xff, 0], &[0x80, 0], &[0x30, 10, 2, 3, 0, 0xff, 0, 2, 3, 0, 0x80, 0]),
        ] {
            assert_eq!(ecdsa_der::<32>(&signature(r, s)).unwrap(), der);
        }
        let longest = ecdsa_der::<48>(&[0xff; 96]).unwrap();
        assert_eq!((longest.len(), &longest[..4]), (104, &[0x30, 102, 2, 49][..]));
        for none in
            [vec![], vec![1; 63], vec![1; 65], vec![0; 64], [[0; 32], [1; 32]].concat(), [[1; 32], [0; 32]].concat()]
        {
            assert_eq!(ecdsa_der::<32>(&none), None);
        }
    }

    /// Wycheproof gives each of its keys as JWK and as SubjectPublicKeyInfo.
    #[test]
    fn keys_for_the_host_are_the_der_that_wycheproof_gives() {
        for (file, jwk, algorithm) in [
            ("rsa_signature_2048_sha256_test.json", "keyJwk", Algorithm::RS256),
            ("rsa_pss_2048_sha256_mgf1_32_test.json", "publicKeyJwk", Algorithm::PS256),
            ("ecdsa_secp256r1_sha256_p1363_test.json", "publicKeyJwk", Algorithm::ES256),
            ("ed25519_test.json", "publicKeyJwk", Algorithm::EdDSA),
        ] {
            let Some(corpus) = corpus(file) else { return };
            let mut seen = 0;
            for group in corpus["testGroups"].as_array().unwrap() {
                if group[jwk].is_null() {
                    continue;
                }
                if group[jwk]["e"] == "Aw" {
                    assert_eq!(Key::read(&group[jwk], &[algorithm]).err(), Some(KeyProblem::Weak));
                    continue;
                }
                let key = Key::read(&group[jwk], &[algorithm]).unwrap();
                let der: String = key.spki.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(der, group["publicKeyDer"].as_str().unwrap(), "{file}");
                seen += 1;
            }
            assert!(seen > 0, "{file}");
        }
    }

    /// The signed texts of these vectors are no claims, so a good signature shows as the complaint about them that comes after
    /// it, and the host says nothing but yes or no.
    #[test]
    fn wycheproof_key_sets_and_tokens_are_judged_as_it_says() {
        let Some(corpus) = corpus("json_web_key_test.json") else { return };
        let all = [
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::EdDSA,
        ];
        for group in corpus["testGroups"].as_array().unwrap() {
            let keys = if group["public"].is_null() { &group["private"] } else { &group["public"] };
            let keys = if keys["keys"].is_null() { json!({ "keys": [keys] }) } else { keys.clone() };
            for test in group["tests"].as_array().unwrap() {
                let proved = KeySet::read(keys.to_string().as_bytes(), &all).is_ok_and(|(set, _)| {
                    let jws = test["jws"].as_str().unwrap();
                    let header = super::super::token::decode(jws.split('.').next().unwrap()).unwrap();
                    let header: Value = serde_json::from_slice(&header).unwrap();
                    set.with_id(header["kid"].as_str().unwrap())
                        .is_some_and(|key| header["alg"] == key.algorithm.name() && signature_holds(key, jws))
                });
                // Symmetric keys are never accepted here.
                let symmetric = keys["keys"].as_array().unwrap().iter().all(|key| key["kty"] == "oct");
                assert_eq!(proved, test["result"] == "valid" && !symmetric, "{} {}", test["tcId"], test["comment"]);
            }
        }
    }

    fn signature_holds(key: &Key, jws: &str) -> bool {
        let (signed, signature) = jws.rsplit_once('.').unwrap();
        let token = Token {
            text: jws,
            signed,
            header: Rc::new(super::super::token::Header { algorithm: String::new(), key_id: None, kind: None }),
            payload: Vec::new(),
            glance: Default::default(),
            signature: super::super::token::decode(signature).unwrap(),
        };
        let failure = key.verifier.verify(&token, Time::from_secs(1_800_000_000)).unwrap_err();
        !matches!(failure.downcast_ref::<JWTError>(), Some(JWTError::InvalidSignature))
    }

    #[test]
    fn wycheproof_ed25519_signatures_are_judged_as_it_says() {
        let Some(corpus) = corpus("ed25519_test.json") else { return };
        let mut judged = 0;
        for group in corpus["testGroups"].as_array().unwrap() {
            let key = Key::read(&group["publicKeyJwk"], &[Algorithm::EdDSA]).unwrap();
            for test in group["tests"].as_array().unwrap() {
                let verdict = proves_text(&key, &bytes(&test["msg"]), &bytes(&test["sig"]), &NoNativeSignatures);
                assert_eq!(verdict, Some(test["result"] == "valid"), "{} {}", test["tcId"], test["comment"]);
                judged += 1;
            }
        }
        assert_eq!(judged, 151);
    }

    fn bytes(hex: &Value) -> Vec<u8> {
        let digits = hex.as_str().unwrap().as_bytes().chunks(2);
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// jwt-simple verifies tokens only, and the texts of these vectors are none: they go to what it verifies with, under keys that this
    /// room takes. (The host's verdicts on the same vectors are taken in Envoy, end to end.)
    #[test]
    fn wycheproof_rsa_and_curve_signatures_are_judged_by_the_library_as_it_says() {
        use p256::ecdsa::signature::Verifier as _;
        use rsa::signature::Verifier as _;
        for (file, algorithm, number) in [
            ("rsa_signature_2048_sha256_test.json", Algorithm::RS256, 259),
            ("rsa_pss_2048_sha256_mgf1_32_test.json", Algorithm::PS256, 108),
            ("ecdsa_secp256r1_sha256_p1363_test.json", Algorithm::ES256, 262),
        ] {
            let Some(corpus) = corpus(file) else { return };
            let mut judged = 0;
            for group in corpus["testGroups"].as_array().unwrap() {
                let der = bytes(&group["publicKeyDer"]);
                for test in group["tests"].as_array().unwrap() {
                    let (text, signature) = (bytes(&test["msg"]), bytes(&test["sig"]));
                    let proved = match algorithm {
                        Algorithm::RS256 => {
                            let key = rsa::pkcs8::DecodePublicKey::from_public_key_der(&der).unwrap();
                            let key = rsa::pkcs1v15::VerifyingKey::<rsa::sha2::Sha256>::new(key);
                            rsa::pkcs1v15::Signature::try_from(&*signature).is_ok_and(|s| key.verify(&text, &s).is_ok())
                        }
                        Algorithm::PS256 => {
                            let key = rsa::pkcs8::DecodePublicKey::from_public_key_der(&der).unwrap();
                            let key = rsa::pss::VerifyingKey::<rsa::sha2::Sha256>::new(key);
                            rsa::pss::Signature::try_from(&*signature).is_ok_and(|s| key.verify(&text, &s).is_ok())
                        }
                        _ => {
                            let key: p256::ecdsa::VerifyingKey =
                                p256::pkcs8::DecodePublicKey::from_public_key_der(&der).unwrap();
                            p256::ecdsa::Signature::from_slice(&signature).is_ok_and(|s| key.verify(&text, &s).is_ok())
                        }
                    };
                    // One RSA signature lacks a parameter that some verifiers do without.
                    assert_eq!(proved, test["result"] == "valid", "{file} {} {}", test["tcId"], test["comment"]);
                    judged += 1;
                }
            }
            assert_eq!(judged, number, "{file}");
        }
    }

    #[test]
    fn the_host_is_asked_only_for_what_it_can() {
        for algorithm in [Algorithm::PS256, Algorithm::PS384, Algorithm::PS512, Algorithm::EdDSA] {
            assert_eq!(algorithm.native_hash(), None, "{algorithm}");
        }
        assert_eq!(Host.verify(Hash::Sha512, &[], &[], b"e30.e30"), Some(false));
    }
}
