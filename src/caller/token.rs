//! The strict reading of a compact JWS (RFC 7515), before anything in it is believed.
//!
//! It is ours because every library is lax somewhere: two readers of one token must never see two tokens, and a token of which one
//! byte is changed must be another token, or a cache keyed by its bytes could be flooded with one signature.

use super::claims::Claims;
use super::object;
use super::refusal::Refusal;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use std::rc::Rc;

/// Longest token read, in bytes.
pub const TOKEN_BYTES: usize = 16 * 1024;

/// Longest header read, in base64url bytes.
pub const HEADER_BYTES: usize = 8 * 1024;

/// Header members that would change how the token must be read, or bring a key of the sender's choice. `crit` is among them
/// because no extension is understood here (RFC 7515, section 4.1.11); `salt` because jwt-simple gives it a meaning of its own.
const FORBIDDEN: [&str; 10] = ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "epk", "salt"];

/// What is looked for in a payload that nobody has proved: whose key to take, and whether it is worth a look.
const GLANCE: [&str; 4] = ["iss", "exp", "nbf", "iat"];

/// A token as written: nothing in it is proved, and of its claims only the few in [`GLANCE`] are read.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// The whole token.
    pub(super) text: &'a str,
    /// Header and payload, as they were signed.
    pub(super) signed: &'a str,
    pub(super) header: Rc<Header>,
    /// The claims' bytes.
    pub(super) payload: Vec<u8>,
    /// The claims in [`GLANCE`], all that is known of them before the signature is proved.
    pub(super) glance: Claims,
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
        Parts::of(token)?.token(|header| Header::read(header).map(Rc::new))
    }

    /// Reads a token that brings its own key in `jwk`, as proofs of possession do: it proves that its sender holds this key, and
    /// nothing else.
    pub(super) fn read_with_key(token: &'a [u8]) -> Result<(Self, Value), Refusal> {
        let mut key = None;
        let token = Parts::of(token)?.token(|mut header| {
            key = header.remove("jwk");
            Header::read(header).map(Rc::new)
        })?;
        Ok((token, key.ok_or(Refusal::HeaderMalformed)?))
    }

    /// All claims: what costs more than the rest of a token, so it is for tokens whose signature is proved.
    pub(super) fn claims(&self) -> Result<Claims, Refusal> {
        object::read(&self.payload, Refusal::PayloadMalformed)
    }
}

/// The three parts of a token, as they stand in it.
struct Parts<'a> {
    text: &'a str,
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a [u8]) -> Result<Self, Refusal> {
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
        Ok(Self { text, signed, header, payload, signature })
    }

    fn token(self, read: impl FnOnce(Map<String, Value>) -> Result<Rc<Header>, Refusal>) -> Result<Token<'a>, Refusal> {
        let header = read(object::read(&decode(self.header)?, Refusal::HeaderMalformed)?)?;
        self.with(header)
    }

    fn with(self, header: Rc<Header>) -> Result<Token<'a>, Refusal> {
        let payload = decode(self.payload)?;
        let glance = object::glance(&payload, &GLANCE, Refusal::PayloadMalformed)?;
        let Self { text, signed, signature, .. } = self;
        Ok(Token { text, signed, header, payload, glance, signature: decode(signature)? })
    }
}

/// Headers of tokens that were proved, by their text: all tokens by one key have the same one, so it need not be read each time.
#[derive(Debug, Default)]
pub(super) struct KnownHeaders {
    known: Vec<(Box<str>, Rc<Header>)>,
    /// Which one gives way next.
    next: usize,
}

impl KnownHeaders {
    /// Few keys sign at a time.
    const MOST: usize = 8;

    /// As [`Token::read`].
    pub(super) fn read<'a>(&self, token: &'a [u8]) -> Result<Token<'a>, Refusal> {
        let parts = Parts::of(token)?;
        match self.known.iter().find(|(text, _)| **text == *parts.header) {
            Some((_, header)) => parts.with(header.clone()),
            None => parts.token(|header| Header::read(header).map(Rc::new)),
        }
    }

    /// Keeps the header of a token that was proved.
    pub(super) fn keep(&mut self, token: &Token<'_>) {
        if self.known.iter().any(|(_, header)| Rc::ptr_eq(header, &token.header)) {
            return;
        }
        let Some((text, _)) = token.text.split_once('.') else { return };
        let entry = (text.into(), token.header.clone());
        match self.known.get_mut(self.next) {
            Some(old) => *old = entry,
            None => self.known.push(entry),
        }
        self.next = (self.next + 1) % Self::MOST;
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()), encode(b"signature"))
    }

    #[test]
    fn a_known_header_is_read_as_it_was_and_any_other_text_is_read_anew() {
        let mut headers = KnownHeaders::default();
        let first = token(r#"{"alg":"RS256","kid":"a"}"#, "{}");
        headers.keep(&headers.read(first.as_bytes()).unwrap());
        let again = token(r#"{"alg":"RS256","kid":"a"}"#, r#"{"sub":"ann"}"#);
        let read = headers.read(again.as_bytes()).unwrap();
        assert!(Rc::ptr_eq(&read.header, &headers.known[0].1));
        assert_eq!((read.header.key_id.as_deref(), read.claims().unwrap()["sub"].as_str()), (Some("a"), Some("ann")));
        for (header, id) in [
            (r#"{"alg":"RS256","kid":"b"}"#, Some("b")),
            (r#"{"alg":"RS256","kid":"a"} "#, Some("a")),
            (r#"{"alg":"RS256"}"#, None),
        ] {
            let other = token(header, "{}");
            let read = headers.read(other.as_bytes()).unwrap();
            assert!(!Rc::ptr_eq(&read.header, &headers.known[0].1), "{header}");
            assert_eq!(read.header.key_id.as_deref(), id);
        }
        let forbidden = token(r#"{"alg":"RS256","kid":"a","crit":[]}"#, "{}");
        assert_eq!(headers.read(forbidden.as_bytes()).err(), Some(Refusal::HeaderForbids("crit")));
        for (payload, refusal) in
            [(r#"{"iss":1,"iss":2}"#, None), (r#"{"sub":1,"sub":2}"#, Some(Refusal::PayloadMalformed))]
        {
            let spoilt = token(r#"{"alg":"RS256","kid":"a"}"#, payload);
            let read = headers.read(spoilt.as_bytes());
            assert_eq!(read.and_then(|token| token.claims()).err(), Some(Refusal::PayloadMalformed), "{refusal:?}");
        }
    }

    #[test]
    fn few_headers_are_kept_each_once() {
        let mut headers = KnownHeaders::default();
        for number in 0..30 {
            let token = token(&format!(r#"{{"alg":"RS256","kid":"{number}"}}"#), "{}");
            for _ in 0..2 {
                headers.keep(&headers.read(token.as_bytes()).unwrap());
            }
            assert!(headers.known.iter().any(|(_, header)| header.key_id.as_deref() == Some(&*number.to_string())));
        }
        assert_eq!(headers.known.len(), KnownHeaders::MOST);
    }
}
