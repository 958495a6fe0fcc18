//! Callers for fuzzing: one issuer with one key that signs whatever it is given, and the public interface of the room.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_compact::{KeyPair, Seed};
use rerank_guard::caller::{Answer, Callers, Settings};
use rerank_guard::time::Time;
use serde_json::{Value, json};

pub(crate) const NOW: Time = Time(1_800_000_000_000);
pub(crate) const ISSUER: &str = "https://idp.test";
pub(crate) const HEADER: &str = r#"{"alg":"EdDSA","kid":"k"}"#;

/// Who signs: the issuer of tokens, or a holder of bound ones.
pub(crate) struct Signer(KeyPair);

impl Signer {
    pub(crate) fn new(seed: u8) -> Self {
        Self(KeyPair::from_seed(Seed::new([seed; 32])))
    }

    pub(crate) fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(*self.0.pk)})
    }

    /// A compact JWS over these very bytes.
    pub(crate) fn sign(&self, header: &[u8], claims: &[u8]) -> String {
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(*self.0.sk.sign(text.as_bytes(), None)))
    }

    /// RFC 7638.
    pub(crate) fn thumbprint(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(*self.0.pk);
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        URL_SAFE_NO_PAD.encode(hmac_sha256::Hash::hash(members.as_bytes()))
    }
}

/// Claims of a good token.
pub(crate) fn claims() -> Value {
    let now = NOW.secs();
    json!({"iss": ISSUER, "aud": "gw", "sub": "ann", "groups": ["g"], "iat": now - 60, "exp": now + 600})
}

/// An issuer whose keys come from `keys`: `inline`, `jwks` or `discovery`.
pub(crate) fn callers(keys: &Value) -> Callers {
    let all = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
    let issuer = json!({"issuer": ISSUER, "audiences": ["gw"], "algorithms": all, "keys": keys});
    let settings: Settings = serde_json::from_value(json!({"issuers": [issuer], "dpop": {}})).expect("settings");
    Callers::new(&settings).expect("callers")
}

/// An issuer whose one key is the signer's, known by `k`.
pub(crate) fn trusting(signer: &Signer) -> Callers {
    let mut jwk = signer.jwk();
    jwk["kid"] = json!("k");
    callers(&json!({"inline": {"keys": [jwk]}}))
}

pub(crate) const fn ok(body: &[u8]) -> Answer<'_> {
    Answer::Http { status: 200, body }
}
