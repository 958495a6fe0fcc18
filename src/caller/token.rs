//! The strict reading of a compact JWS (RFC 7515), before anything in it is believed.
//!
//! It is ours because every library is lax somewhere: two readers of one token must never see two tokens, and a token of which one
//! byte is changed must be another token, or a cache keyed by its bytes could be flooded with one signature.

use super::object;
use super::refusal::Refusal;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// Longest token read, in bytes.
pub const TOKEN_BYTES: usize = 16 * 1024;

/// Longest header read, in base64url bytes.
pub const HEADER_BYTES: usize = 8 * 1024;

/// Header members that would change how the token must be read, or bring a key of the sender's choice. `crit` is among them
/// because no extension is understood here (RFC 7515, section 4.1.11); `salt` because jwt-simple gives it a meaning of its own.
const FORBIDDEN: [&str; 10] = ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "epk", "salt"];

/// A token as written: well formed, and nothing in it proved.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// The whole token.
    pub(super) text: &'a str,
    /// Header and payload, as they were signed.
    pub(super) signed: &'a str,
    pub(super) header: Header,
    pub(super) claims: Map<String, Value>,
    pub(super) signature: Vec<u8>,
}

/// What counts in a header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: String,
    pub(super) key_id: Option<String>,
    pub(super) kind: Option<String>,
}

impl<'a> Token<'a> {
    pub(super) fn read(token: &'a [u8]) -> Result<Self, Refusal> {
        let (token, _) = Self::read_with(token, None)?;
        Ok(token)
    }

    /// Reads a token that brings its own key in `jwk`, as proofs of possession do: it proves that its sender holds this key, and
    /// nothing else.
    pub(super) fn read_with_key(token: &'a [u8]) -> Result<(Self, Value), Refusal> {
        let (token, key) = Self::read_with(token, Some("jwk"))?;
        Ok((token, key.ok_or(Refusal::HeaderMalformed)?))
    }

    fn read_with(token: &'a [u8], allowed: Option<&str>) -> Result<(Self, Option<Value>), Refusal> {
        if token.len() > TOKEN_BYTES {
            return Err(Refusal::TooLong);
        }
        let text = std::str::from_utf8(token).map_err(|_| Refusal::NotBase64Url)?;
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::NotThreeParts)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::NotThreeParts)?;
        if header.is_empty() || payload.is_empty() || signature.is_empty() || payload.contains('.') {
            return Err(Refusal::NotThreeParts);
        }
        if header.len() > HEADER_BYTES {
            return Err(Refusal::TooLong);
        }
        let mut header = object::read(&decode(header)?, Refusal::HeaderMalformed)?;
        let member = allowed.and_then(|member| header.remove(member));
        let header = Header::read(header)?;
        let claims = object::read(&decode(payload)?, Refusal::PayloadMalformed)?;
        Ok((Self { text, signed, header, claims, signature: decode(signature)? }, member))
    }
}

impl Header {
    fn read(header: Map<String, Value>) -> Result<Self, Refusal> {
        if let Some(member) = FORBIDDEN.into_iter().find(|member| header.contains_key(*member)) {
            return Err(Refusal::HeaderForbids(member));
        }
        let (mut algorithm, mut key_id, mut kind) = (None, None, None);
        for (name, value) in header {
            let place = match name.as_str() {
                "alg" => &mut algorithm,
                "kid" => &mut key_id,
                "typ" => &mut kind,
                // No meaning for us, but their form is fixed, and other readers stumble over another one.
                "cty" | "x5t" | "x5t#S256" if !value.is_string() => return Err(Refusal::HeaderMalformed),
                _ => continue,
            };
            let Value::String(text) = value else { return Err(Refusal::HeaderMalformed) };
            *place = Some(text);
        }
        Ok(Self { algorithm: algorithm.ok_or(Refusal::HeaderMalformed)?, key_id, kind })
    }

    /// Whether `typ` is one of `allowed` (already [`plain_type`]s). A token without `typ` counts as a `JWT`.
    pub(super) fn is_one_of(&self, allowed: &[String]) -> bool {
        let kind = plain_type(self.kind.as_deref().unwrap_or("JWT"));
        allowed.contains(&kind)
    }
}

/// A media type in the short form of RFC 7515, section 4.1.9: without `application/` where nothing else has a slash, and in
/// lower case, for media types know no case.
pub(super) fn plain_type(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    match kind.strip_prefix("application/") {
        Some(short) if !short.contains('/') => short.to_owned(),
        _ => kind,
    }
}

/// Canonical unpadded base64url: no padding, no white space, no other alphabet, unused bits zero.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::NotBase64Url)
}

/// Unpadded base64url.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
