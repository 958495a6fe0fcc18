//! What the registered claims (RFC 7519, section 4.1) must say. Nothing here is believed before the signature is proved; its times
//! are judged before, because that costs less.

use super::object;
use super::refusal::Refusal;
use crate::time::{Span, Time};
use serde_json::{Map, Value};
use std::cell::OnceCell;

/// The claims of one token.
pub(super) type Claims = Map<String, Value>;

/// The claims of a token that was verified: as bytes until somebody asks for them. Most rules ask for none, and as values they take
/// some four times the memory, which a worker has for thousands of tokens.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    payload: Box<[u8]>,
    read: OnceCell<Claims>,
}

impl Kept {
    /// `payload`: as [`object::read`] has accepted it.
    pub(super) fn new(payload: Vec<u8>) -> Self {
        Self { payload: payload.into(), read: OnceCell::new() }
    }

    pub(super) fn read(&self) -> &Claims {
        // The same bytes were read before, so this cannot fail. Were it to, no claim would be known, and rules that ask for one are
        // then as strict as they can be.
        self.read.get_or_init(|| object::read(&self.payload, Refusal::PayloadMalformed).unwrap_or_default())
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.payload == other.payload
    }
}

/// The time, as two judges of it: what has to have begun is held against the clock, what has to have not yet ended against the
/// latest it has ever shown, so that a clock set back revives nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Time,
    pub(super) latest: Time,
}

/// How far the clock may be set back without anything that had expired being valid again. If it goes back further, it was wrong
/// before, and is believed now.
pub(super) const CLOCK_CORRECTION: Span = Span::from_secs(600);

/// How long tokens may be valid and how far clocks may differ.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) skew: Span,
    pub(super) max_lifetime: Span,
}

impl Window {
    /// Judges `exp` (required), `nbf` and `iat`; gives the time of `exp`.
    pub(super) fn check(&self, claims: &Claims, moment: Moment) -> Result<Time, Refusal> {
        let expires = date(claims, "exp")?.ok_or(Refusal::ExpiryMissing)?;
        let (not_before, issued) = (date(claims, "nbf")?, date(claims, "iat")?);
        if moment.latest >= expires.plus(self.skew) {
            return Err(Refusal::Expired);
        }
        let begun = moment.now.plus(self.skew);
        if not_before.is_some_and(|not_before| not_before > begun) {
            return Err(Refusal::NotYetValid);
        }
        if issued.is_some_and(|issued| issued > begun) {
            return Err(Refusal::IssuedInFuture);
        }
        // Without `iat` the time of issue is unknown, but it is not later than now.
        if expires > begun.plus(self.max_lifetime) {
            return Err(Refusal::LifetimeTooLong);
        }
        if issued.is_some_and(|issued| expires <= issued || expires > issued.plus(self.max_lifetime)) {
            return Err(Refusal::LifetimeTooLong);
        }
        Ok(expires)
    }
}

/// A NumericDate: a number of seconds, whole or not, from zero to below 2^53. Text, null and the like are refused, never read as
/// zero or as "no limit".
pub(super) fn date(claims: &Claims, name: &'static str) -> Result<Option<Time>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    numeric_date(value).map(Some).ok_or(Refusal::ClaimMalformed(name))
}

/// The time that a NumericDate tells; None for what is none, as for [`date`].
pub(crate) fn numeric_date(value: &Value) -> Option<Time> {
    const LIMIT: u64 = 1 << 53;
    let Value::Number(number) = value else { return None };
    if let Some(seconds) = number.as_u64() {
        return (seconds < LIMIT).then(|| Time::from_secs(seconds));
    }
    let seconds = number.as_f64().filter(|seconds| seconds.is_sign_positive() && *seconds < LIMIT as f64)?;
    // In range, so the cast neither wraps nor saturates; a part of a millisecond is dropped.
    Some(Time((seconds * 1000.0) as u64))
}

/// A claim that is a string if it is there at all.
pub(super) fn text<'a>(claims: &'a Claims, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::ClaimMalformed(name)),
    }
}

/// `aud` is one of `allowed`, or an array of strings with one of them in it.
pub(super) fn check_audience(claims: &Claims, allowed: &[String]) -> Result<(), Refusal> {
    let named = match claims.get("aud") {
        None => return Err(Refusal::AudienceMissing),
        Some(Value::String(audience)) => allowed.contains(audience),
        Some(Value::Array(audiences)) => {
            let mut named = false;
            for audience in audiences {
                let Value::String(audience) = audience else { return Err(Refusal::ClaimMalformed("aud")) };
                named |= allowed.contains(audience);
            }
            named
        }
        Some(_) => return Err(Refusal::ClaimMalformed("aud")),
    };
    if named { Ok(()) } else { Err(Refusal::WrongAudience) }
}

/// `sub`, which must be there, not be empty, and be fit for a header or a record.
pub(super) fn subject(claims: &Claims) -> Result<&str, Refusal> {
    let subject = text(claims, "sub")?.ok_or(Refusal::SubjectMissing)?;
    if subject.is_empty() {
        return Err(Refusal::SubjectMissing);
    }
    if is_printable(subject) { Ok(subject) } else { Err(Refusal::ClaimMalformed("sub")) }
}

/// What an OAuth 2.0 access token must carry (RFC 9068, section 2.2) and is not required of every token anyway.
pub(super) fn check_rfc9068(claims: &Claims) -> Result<(), Refusal> {
    date(claims, "iat")?.ok_or(Refusal::ClaimMissing("iat"))?;
    for name in ["client_id", "jti"] {
        text(claims, name)?.filter(|text| !text.is_empty()).ok_or(Refusal::ClaimMissing(name))?;
    }
    Ok(())
}

/// No control characters, which could end a line of a header or a record, and none that nobody sees, which could make it pass for
/// another.
pub(super) fn is_printable(text: &str) -> bool {
    text.chars().all(crate::visible::is_visible)
}
