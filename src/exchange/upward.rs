//! The head of a request as it goes upstream: what is on the list, in a form that is known, and nothing else.
//!
//! The list is written whole in place of the head that came, so a header that nobody thought of stays here. What is on it is looked
//! at all the same: a caller's credential does not go upstream because it stands in `user-agent`.

use super::head::Headers;
use super::permit::Permit;
use super::reason::RequestReason;
use super::reply::Problem;
use super::values::{Findings, MOST_OF_A_VALUE, found, is_like_a_token, is_of_id, is_plain, masked};
use super::{Guard, Head, Refused, refused};
use crate::call::{Dialect, Route, Source};
use crate::media::ContentType;

/// Names that go upstream on every route, beside those of the configuration and the dialect.
const NAMES: [&str; 4] = ["accept", "idempotency-key", "traceparent", "user-agent"];

/// The head of a call, but for the credential and what depends on its body.
pub(super) fn of_call(headers: &Headers, route: &Route, dialect: &Dialect, guard: &Guard) -> Result<Head, Refused> {
    let dataset = |name: &str| {
        [Some(&route.dataset), route.tenant.as_ref()]
            .into_iter()
            .flatten()
            .any(|source| matches!(source, Source::Header(header) if header == name))
    };
    let is_listed =
        |name: &str| (guard.sends(name) || dialect.headers.iter().any(|sent| sent == name)) && !dataset(name);
    let mut head = carried(headers, &is_listed, guard)?;
    if let Some(host) = &route.host {
        head.retain(|(name, _)| name != ":authority");
        head.push((":authority".to_owned(), host.clone()));
    }
    let media_type = dialect.media_type.as_ref().map_or("application/json", |(text, _)| text);
    head.push(("content-type".to_owned(), media_type.to_owned()));
    // What is compressed cannot be masked.
    head.push(("accept-encoding".to_owned(), "identity".to_owned()));
    Ok(head)
}

/// Completes the head of a call, as the permit says. `length`: of a body that was edited.
pub(super) fn with_permit(mut head: Head, headers: &Headers, permit: &Permit, length: Option<usize>) -> Head {
    let credential = permit.as_whom();
    head.retain(|(name, _)| name != credential.header());
    head.push((credential.header().to_owned(), credential.value().to_owned()));
    let length = length.map(|length| length.to_string()).or_else(|| stated_length(headers));
    head.extend(length.map(|length| ("content-length".to_owned(), length)));
    head
}

/// The head of a stream that is listed as no call: without any credential. Its body is not looked into, so what describes it goes on.
pub(super) fn in_passing(headers: &Headers, guard: &Guard) -> Result<Head, Refused> {
    let mut head = carried(headers, &|name| guard.sends(name), guard)?;
    for name in ["content-type", "content-encoding"] {
        let value = headers.one(name).filter(|value| match name {
            "content-type" => ContentType::read(value.as_bytes()).is_some(),
            _ => value.len() <= 64 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b", -".contains(&byte)),
        });
        match value.map(|value| (value, found(name, value, &[&guard.config.every_mask]))) {
            Some((_, Findings::Secret)) => return Err(holds_credential(name)),
            Some((value, Findings::Nothing)) => head.push((name.to_owned(), value.to_owned())),
            Some((_, Findings::Personal)) | None => {}
        }
    }
    head.extend(stated_length(headers).map(|length| ("content-length".to_owned(), length)));
    Ok(head)
}

fn carried(headers: &Headers, is_listed: &dyn Fn(&str) -> bool, guard: &Guard) -> Result<Head, Refused> {
    let mut head = Head::with_capacity(12);
    for (name, _) in headers.iter() {
        match name {
            // They were decided on, and a request without them is none.
            ":method" | ":path" | ":authority" | ":scheme" => {
                let value = headers.one(name).ok_or(refused(Problem::TooLarge, RequestReason::HeadersUnreadable))?;
                head.push((name.to_owned(), value.to_owned()));
            }
            name if NAMES.contains(&name) || is_listed(name) => match carry(name, headers.one(name), guard) {
                Carried::Goes(value) => head.push((name.to_owned(), value)),
                Carried::Stays => {}
                Carried::Credential => return Err(holds_credential(name)),
            },
            _ => {}
        }
    }
    // Envoy chooses no route without it, and it says nothing else.
    let proto =
        ["x-forwarded-proto", ":scheme"].into_iter().find_map(|name| headers.one(name).filter(|one| is_scheme(one)));
    head.extend(proto.map(|proto| ("x-forwarded-proto".to_owned(), proto.to_owned())));
    Ok(head)
}

fn is_scheme(text: &str) -> bool {
    matches!(text, "http" | "https")
}

fn holds_credential(name: &str) -> Refused {
    let what =
        format!("the request header `{name}` holds a credential: leave it out, only `authorization` may hold one");
    refused(Problem::Malformed(what), RequestReason::CredentialInHeader)
}

fn stated_length(headers: &Headers) -> Option<String> {
    let digits =
        |length: &&str| !length.is_empty() && length.len() < 16 && length.bytes().all(|byte| byte.is_ascii_digit());
    headers.one("content-length").filter(digits).map(str::to_owned)
}

/// What comes of a header that is on the list.
#[derive(Debug, PartialEq, Eq)]
enum Carried {
    Goes(String),
    /// Its value has another form than its name says, is doubled, or has personal data in it.
    Stays,
    Credential,
}

fn carry(name: &str, value: Option<&str>, guard: &Guard) -> Carried {
    let Some(value) = value else { return Carried::Stays };
    if name == "traceparent" {
        return if is_traceparent(value) { Carried::Goes(value.to_owned()) } else { Carried::Stays };
    }
    // It stays here either way, and is not worth a longer look.
    if value.len() > MOST_OF_A_VALUE {
        return if is_like_a_token(value) { Carried::Credential } else { Carried::Stays };
    }
    let every = &guard.config.every_mask;
    let has_form = match name {
        "idempotency-key" => value.len() <= 255 && value.bytes().all(is_of_id),
        _ => is_plain(value),
    };
    // Also where the form is another: of a credential its caller has to hear.
    match found(name, value, &[every]) {
        Findings::Secret => Carried::Credential,
        _ if !has_form => Carried::Stays,
        Findings::Nothing => Carried::Goes(value.to_owned()),
        // Services turn away who sends none.
        Findings::Personal if name == "user-agent" => masked(value, every).map_or(Carried::Stays, Carried::Goes),
        Findings::Personal => Carried::Stays,
    }
}

/// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01` (W3C Trace Context, section 3.2).
fn is_traceparent(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    let [version, trace, span, _] = parts[..] else { return false };
    parts.iter().map(|part| part.len()).eq([2, 32, 16, 2])
        && parts.iter().all(|part| part.bytes().all(is_hexadecimal))
        && version != "ff"
        && [trace, span].iter().all(|id| id.bytes().any(|byte| byte != b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_has_one_form() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        assert!(is_traceparent(&format!("00-{trace}-{span}-01")));
        assert!(is_traceparent(&format!("cc-{trace}-{span}-00")));
        for value in [
            String::new(),
            format!("ff-{trace}-{span}-01"),
            format!("00-{trace}-{span}-01-x"),
            format!("00-{trace}-{span}"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", "ann.lee@example.com-ann.lee@exam"),
        ] {
            assert!(!is_traceparent(&value), "{value}");
        }
    }
}
