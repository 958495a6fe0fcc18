//! Tokens, keys and hosts for the tests of this room.

pub(super) use super::token::encode;
use super::*;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jwt_simple::prelude::{
    Claims as Minted, Duration, ECDSAP256KeyPairLike, ECDSAP256PublicKeyLike, ECDSAP384KeyPairLike,
    ECDSAP384PublicKeyLike, ES256KeyPair, ES256PublicKey, ES384KeyPair, ES384PublicKey, Ed25519KeyPair,
    EdDSAKeyPairLike, JWTClaims, NoCustomClaims, PS256KeyPair, PS384KeyPair, PS512KeyPair, RS256KeyPair,
    RS256PublicKey, RS384KeyPair, RS384PublicKey, RS512KeyPair, RS512PublicKey, RSAKeyPairLike, RSAPublicKeyLike,
    UnixTimeStamp, VerificationOptions,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

pub(super) const NOW: Time = Time(1_800_000_000_000);
pub(super) const NOW_SECS: u64 = 1_800_000_000;
pub(super) const ISSUER: &str = "https://idp.example";

/// The example private key of RFC 7520, section 3.4: generating one takes too long without optimisation.
const RSA: &str = r#"{
    "kty": "RSA",
    "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
    "e": "AQAB",
    "d": "bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwMSMkK1J3XTGgdrhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTMEzLYGqOe04noqeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5uDjd18kKhyv07lhfSJdrPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ",
    "p": "3Slxg_DwTXJcb6095RoXygQCAZ5RnAvZlno1yhHtnUex_fp7AZ_9nRaO7HX_-SFfGQeutao2TDjDAWU4Vupk8rw9JR0AzZ0N2fvuIAmr_WCsmGpeNqQnev1T7IyEsnh8UMt-n5CafhkikzhEsrmndH6LxOrvRJlsPp6Zv8bUq0k",
    "q": "uKE2dh-cTf6ERF4k4e_jy78GfPYUIaUyoSSJuBzp3Cubk3OCqs6grT8bR_cu0Dm1MZwWmtdqDyI95HrUeq3MP15vMMON8lHTeZu2lmKvwqW7anV5UzhM1iZ7z4yMkuUwFWoBvyY898EXvRD-hdqRxHlSqAZ192zB3pVFJ0s7pFc",
    "dp": "B8PVvXkvJrj2L-GYQ7v3y9r6Kw5g9SahXBwsWUzp19TVlgI-YV85q1NIb1rxQtD-IsXXR3-TanevuRPRt5OBOdiMGQp8pbt26gljYfKU_E9xn-RULHz0-ed9E9gXLKD4VGngpz-PfQ_q29pk5xWHoJp009Qf1HvChixRX59ehik",
    "dq": "CLDmDGduhylc9o7r84rEUVn7pzQ6PF83Y-iBZx5NT-TpnOZKF1pErAMVeKzFEl41DlHHqqBLSM0W1sOFbwTxYWZDm6sI6og5iTbwQGIC3gnJKbi_7k_vJgGHwHxgPaX2PnvP-zyEkDERuf-ry4c_Z11Cq9AqC2yeL6kdKT1cYF8",
    "qi": "3PiqvXQN0zwMeE-sBvZgi289XP9XCQF3VWqPzMKnIgQp7_Tugo6-NZBKCQsMf3HaEGBjTVJs_jcK8-TRXvaKe-7ZMaQj8VfBdYkssbu0NKDDhjJ-GtiseaDVWt7dcH0cfwxgFUHpQh7FoCrjFJ6h6ZEpMF6xmujs4qMpPz8aaI4"
}"#;

/// A connection of which this is known.
pub(super) struct Known<'a> {
    pub(super) source: Option<&'a [u8]>,
    pub(super) certificate: Option<[u8; 32]>,
}

impl Connection for Known<'_> {
    fn source(&self) -> Option<Vec<u8>> {
        self.source.map(<[u8]>::to_vec)
    }

    fn certificate(&self) -> Option<[u8; 32]> {
        self.certificate
    }
}

/// Claims that are accepted, to be changed.
pub(super) fn good() -> Value {
    json!({
        "iss": ISSUER, "aud": "rerank-guard", "sub": "ann", "groups": ["grp-bi"], "jti": "t-1",
        "iat": NOW_SECS - 60, "nbf": NOW_SECS - 60, "exp": NOW_SECS + 600,
    })
}

/// [`good`] with one claim replaced, or taken away by null.
pub(super) fn with(name: &str, value: Value) -> Value {
    let mut claims = good();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

/// An issuer's Ed25519 key, which can sign any bytes as header and payload.
pub(super) struct Signer {
    pair: Ed25519KeyPair,
}

impl Signer {
    pub(super) fn new() -> Self {
        Self { pair: Ed25519KeyPair::generate() }
    }

    pub(super) fn jwk(&self, id: &str) -> Value {
        let mut jwk: Value = serde_json::from_str(&self.pair.public_key().to_jwk()).unwrap();
        jwk["kid"] = id.into();
        jwk
    }

    pub(super) fn thumbprint(&self) -> String {
        self.pair.public_key().jwk_thumbprint()
    }

    pub(super) fn token(&self, claims: &Value) -> String {
        self.raw(br#"{"alg":"EdDSA","typ":"JWT","kid":"ed"}"#, claims.to_string().as_bytes())
    }

    pub(super) fn with_header(&self, header: &Value) -> String {
        self.raw(header.to_string().as_bytes(), good().to_string().as_bytes())
    }

    pub(super) fn raw(&self, header: &[u8], payload: &[u8]) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        self.sign(&signed)
    }

    /// A token of `signed` as it is, whatever that is.
    pub(super) fn sign(&self, signed: &str) -> String {
        let signature = self.pair.key_pair().as_ref().sk.sign(signed, None);
        format!("{signed}.{}", encode(signature.as_ref()))
    }
}

/// One token by each algorithm over the same claims, and the key set for all of them. `kid` is the algorithm's name.
pub(super) fn by_every_algorithm(claims: &Value) -> (Vec<(Algorithm, String)>, Value) {
    let (mut tokens, mut keys) = (Vec::new(), Vec::new());
    macro_rules! sign {
        ($algorithm:ident, $pair:expr) => {{
            let pair = $pair.with_key_id(stringify!($algorithm));
            tokens.push((Algorithm::$algorithm, pair.sign(minted(claims)).unwrap()));
            keys.push(serde_json::from_str::<Value>(&pair.public_key().to_jwk()).unwrap());
        }};
    }
    sign!(RS256, RS256KeyPair::from_jwk(RSA).unwrap());
    sign!(RS384, RS384KeyPair::from_jwk(RSA).unwrap());
    sign!(RS512, RS512KeyPair::from_jwk(RSA).unwrap());
    sign!(PS256, PS256KeyPair::from_jwk(RSA).unwrap());
    sign!(PS384, PS384KeyPair::from_jwk(RSA).unwrap());
    sign!(PS512, PS512KeyPair::from_jwk(RSA).unwrap());
    sign!(ES256, ES256KeyPair::generate());
    sign!(ES384, ES384KeyPair::generate());
    sign!(EdDSA, Ed25519KeyPair::generate());
    (tokens, json!({ "keys": keys }))
}

pub(super) fn rsa_jwk(id: &str) -> Value {
    let pair = RS256KeyPair::from_jwk(RSA).unwrap().with_key_id(id);
    serde_json::from_str(&pair.public_key().to_jwk()).unwrap()
}

pub(super) fn rs256(claims: &Value) -> String {
    RS256KeyPair::from_jwk(RSA).unwrap().with_key_id("rsa").sign(minted(claims)).unwrap()
}

/// Exactly these claims, as jwt-simple takes them.
pub(super) fn minted(claims: &Value) -> JWTClaims<Value> {
    let mut minted = Minted::with_custom_claims(claims.clone(), Duration::from_secs(1));
    (minted.issued_at, minted.expires_at, minted.invalid_before) = (None, None, None);
    minted
}

/// Settings with one issuer and these inline keys; every algorithm is allowed.
pub(super) fn inline(keys: &[Value]) -> Value {
    json!({"issuers": [{
        "issuer": ISSUER,
        "audiences": ["rerank-guard", "rerank-guard-eu"],
        "algorithms": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"],
        "keys": {"inline": {"keys": keys}},
    }]})
}

/// Those of `settings`, with proofs of possession unless they say otherwise.
pub(super) fn callers(settings: &Value) -> Callers {
    let mut settings = settings.clone();
    if settings.get("dpop").is_none() {
        settings["dpop"] = serde_json::json!({});
    }
    Callers::new(&serde_json::from_value(settings).unwrap()).unwrap()
}

/// Settings of one issuer whose keys are fetched; refreshed after 300 s, stale after 3600 s.
pub(super) fn fetched() -> Value {
    json!({"issuers": [{
        "issuer": ISSUER, "audiences": ["rerank-guard"], "algorithms": ["EdDSA"],
        "keys": {"jwks": {"cluster": "idp", "authority": "idp.example", "path": "/jwks.json"}},
    }]})
}

/// A host that verifies natively, played by jwt-simple from what a host is given: hash, SubjectPublicKeyInfo, DER signature and
/// text.
pub(super) struct Host;

impl NativeSignatures for Host {
    fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        // The same few are asked of every new host, and without optimisation each takes a while.
        static SAID: LazyLock<Mutex<HashMap<Vec<u8>, bool>>> = LazyLock::new(Mutex::default);
        let question = [hash.name().as_bytes(), spki, signature, text].join(&0);
        if let Some(said) = SAID.lock().unwrap().get(&question) {
            return Some(*said);
        }
        let says = Self::judge(hash, spki, signature, text);
        if text.len() < 100 {
            SAID.lock().unwrap().insert(question, says);
        }
        Some(says)
    }
}

impl Host {
    fn judge(hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> bool {
        if signature.is_empty() {
            return false;
        }
        let text = std::str::from_utf8(text).unwrap();
        let options = || VerificationOptions {
            artificial_time: Some(UnixTimeStamp::from_secs(NOW_SECS)),
            time_tolerance: Some(Duration::from_days(1)),
            required_signature_type: kind(text),
            ..VerificationOptions::default()
        };
        macro_rules! verify {
            ($key:ty, $signature:expr) => {
                <$key>::from_der(spki).ok().map(|key| {
                    let token = format!("{text}.{}", encode(&$signature));
                    key.verify_token::<NoCustomClaims>(&token, Some(options())).is_ok()
                })
            };
        }
        let rsa = match hash {
            Hash::Sha256 => verify!(RS256PublicKey, signature),
            Hash::Sha384 => verify!(RS384PublicKey, signature),
            Hash::Sha512 => verify!(RS512PublicKey, signature),
        };
        let curve = || match hash {
            Hash::Sha256 => verify!(ES256PublicKey, undo_der(signature, 32)),
            Hash::Sha384 => verify!(ES384PublicKey, undo_der(signature, 48)),
            Hash::Sha512 => None,
        };
        rsa.or_else(curve).unwrap_or(false)
    }
}

fn kind(text: &str) -> Option<String> {
    let header = URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["typ"].as_str().map(str::to_owned)
}

/// r and s out of `SEQUENCE { INTEGER r, INTEGER s }`, each in `size` bytes.
fn undo_der(signature: &[u8], size: usize) -> Vec<u8> {
    assert_eq!((signature[0], usize::from(signature[1])), (0x30, signature.len() - 2));
    let (mut fixed, mut rest) = (Vec::new(), &signature[2..]);
    while !rest.is_empty() {
        assert_eq!(rest[0], 0x02);
        let (number, behind) = rest[2..].split_at(usize::from(rest[1]));
        let digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        fixed.resize(fixed.len() + size - digits.len(), 0);
        fixed.extend(digits);
        rest = behind;
    }
    fixed
}

/// A file of the shared corpora, read in place; none, and a line to say so, where they are not there.
pub(super) fn corpus(name: &str) -> Option<Value> {
    let shared = std::env::var("RERANK_GUARD_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let path = format!("{shared}/data/jwt/{name}");
    match std::fs::read(&path) {
        Ok(text) => Some(serde_json::from_slice(&text).unwrap()),
        Err(why) => {
            eprintln!("skipped: `{path}` cannot be read: {why}");
            None
        }
    }
}

/// The verdict on `token` by fresh callers of `settings`: both ways of proving a signature must come to the same.
pub(super) fn verdict(settings: &Value, token: impl AsRef<[u8]>) -> Result<Caller, Refusal> {
    let by_library = callers(settings).identify(token.as_ref(), NOW, &NoNativeSignatures);
    let by_host = callers(settings).identify(token.as_ref(), NOW, &Host);
    assert_eq!(by_library, by_host, "host and library disagree");
    by_library.map(|caller| (*caller).clone())
}
