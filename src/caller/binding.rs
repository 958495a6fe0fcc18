//! Tokens bound to a key (RFC 7800): a token with `cnf` is worth nothing without proof that whoever sends it holds that key.

use super::claims::Claims;
use super::refusal::Refusal;
use super::token;
use serde_json::Value;

/// What a token demands of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding {
    /// Nothing: whoever holds it can use it.
    None,
    /// A TLS client certificate with this SHA-256 digest (RFC 8705, section 3.1).
    Certificate([u8; 32]),
    /// A proof by the key with this thumbprint (RFC 9449, section 6.1).
    Key([u8; 32]),
}

impl Binding {
    /// A `cnf` that says anything but exactly one known thing cannot be checked, so the token is refused.
    pub(super) fn read(claims: &Claims) -> Result<Self, Refusal> {
        let confirmation = match claims.get("cnf") {
            None => return Ok(Self::None),
            Some(Value::Object(confirmation)) => confirmation,
            Some(_) => return Err(Refusal::Bound),
        };
        let mut members = confirmation.iter();
        match (members.next(), members.next()) {
            (Some((name, Value::String(value))), None) => match name.as_str() {
                "x5t#S256" => Ok(Self::Certificate(digest(value)?)),
                "jkt" => Ok(Self::Key(digest(value)?)),
                _ => Err(Refusal::Bound),
            },
            _ => Err(Refusal::Bound),
        }
    }
}

fn digest(text: &str) -> Result<[u8; 32], Refusal> {
    token::decode(text).ok().and_then(|digest| digest.try_into().ok()).ok_or(Refusal::ClaimMalformed("cnf"))
}
