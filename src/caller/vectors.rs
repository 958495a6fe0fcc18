//! Signatures of public test vectors, judged inside the module as those of tokens are. Only in modules built to be tested.

use super::algorithm::Algorithm;
use super::keys::{Key, KeySet};
use super::signature::{NativeSignatures, proves_text};
use super::token::decode;
use serde_json::{Value, json};

/// The verdicts on a JSON array of vectors: `{"alg", "jwk", "text", "signature"}`, text and signature in base64url, or `{"jwks", "jws"}`
/// for a whole token. `true` and `false` are the host's word (the library's for EdDSA); null: it has none for this algorithm; `"key"`:
/// no such key is taken.
#[must_use]
pub fn judge(vectors: &[u8], native: &dyn NativeSignatures) -> Vec<u8> {
    let vectors: Vec<Value> = serde_json::from_slice(vectors).unwrap_or_default();
    let verdicts: Vec<Value> = vectors
        .iter()
        .map(|vector| token(vector, native).or_else(|| text(vector, native)).unwrap_or_default())
        .collect();
    json!(verdicts).to_string().into_bytes()
}

fn text(vector: &Value, native: &dyn NativeSignatures) -> Option<Value> {
    let part = |name: &str| vector.get(name)?.as_str();
    let algorithm = Algorithm::named(part("alg")?)?;
    let Ok(key) = Key::read(vector.get("jwk")?, &[algorithm]) else { return Some(json!("key")) };
    Some(json!(proves_text(&key, &decode(part("text")?).ok()?, &decode(part("signature")?).ok()?, native)))
}

fn token(vector: &Value, native: &dyn NativeSignatures) -> Option<Value> {
    let (signed, signature) = vector.get("jws")?.as_str()?.rsplit_once('.')?;
    let header: Value = serde_json::from_slice(&decode(signed.split('.').next()?).ok()?).ok()?;
    let algorithm = Algorithm::named(header.get("alg")?.as_str()?);
    let Ok((set, _)) = KeySet::read(vector.get("jwks")?.to_string().as_bytes(), algorithm.as_slice()) else {
        return Some(json!("key"));
    };
    let Some(key) = set.with_id(header.get("kid")?.as_str()?) else { return Some(json!("key")) };
    Some(json!(proves_text(key, signed.as_bytes(), &decode(signature).ok()?, native)))
}
