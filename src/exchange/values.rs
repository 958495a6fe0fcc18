//! The values of headers that cross the border, either way: what stands in them.

use crate::escapes::percent;
use crate::mask::{Kept, Kind, Masks, Unmaskable, What, mask_json, mask_text};
use std::borrow::Cow;

/// No value that crosses is longer, in bytes.
pub(super) const MOST_OF_A_VALUE: usize = 1024;

/// What stands in a header's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Findings {
    Nothing,
    /// Personal data, or something that cannot be looked into.
    Personal,
    /// A credential.
    Secret,
}

/// Looks at a value as it stands and with its percent-escapes resolved. The name of the header is the name of the member it would
/// be in a body: it says what numbers are, and field rules reach it.
pub(super) fn found(name: &str, value: &str, masks: &[&Masks]) -> Findings {
    let unescaped = unescaped(value);
    let parted = parted(value);
    let mut is_personal = false;
    for text in [Some(value), unescaped.as_deref(), parted.as_deref()].into_iter().flatten() {
        if is_like_a_token(text) {
            return Findings::Secret;
        }
        let Ok(member) = serde_json::to_string(&*without_versions(text)) else { return Findings::Personal };
        let body = format!("{{\"{name}\":{member}}}");
        for masks in masks {
            match mask_json(body.as_bytes(), masks, &Kept::default(), &[]) {
                Ok(masked) if masked.found().iter().any(|found| is_secret(&found.kind)) => return Findings::Secret,
                Ok(masked) => is_personal |= !masked.found().is_empty() || masked.body().is_some(),
                Err(Unmaskable::Denied(found)) if found.iter().any(|found| is_secret(&found.kind)) => {
                    return Findings::Secret;
                }
                Err(_) => is_personal = true,
            }
        }
    }
    if is_personal { Findings::Personal } else { Findings::Nothing }
}

/// The value without its personal data. None: what shows only behind escapes is not masked in front of them.
pub(super) fn masked(value: &str, every: &Masks) -> Option<String> {
    if value.contains('%') {
        return None;
    }
    let (masked, _) = mask_text(value.as_bytes(), every, &[]).ok()?.into_parts();
    masked.and_then(|masked| String::from_utf8(masked).ok())
}

/// Whether a value is visible ASCII with blanks between, not empty and no longer than any that means something.
pub(super) fn is_plain(value: &str) -> bool {
    (1..=MOST_OF_A_VALUE).contains(&value.len()) && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

const fn is_secret(what: &What) -> bool {
    use Kind::{ApiKey, BearerToken, Jwt, PrivateKey, UrlCredentials};
    matches!(what, What::Kind(PrivateKey | Jwt | ApiKey | BearerToken | UrlCredentials))
}

/// Whether a text has the beginning of a JOSE object (RFC 7515: base64url of `{"`), or more letters without a break than any name,
/// version or digest has. A token that is encoded once more is such a run too.
pub(super) fn is_like_a_token(text: &str) -> bool {
    const DIGEST: usize = 128;
    text.as_bytes().split(|byte| !(byte.is_ascii_alphanumeric() || b"+/_=-".contains(byte))).any(|run| {
        run.len() > DIGEST || run.windows(3).position(|three| three == b"eyJ").is_some_and(|at| run.len() - at >= 20)
    })
}

/// An id with blanks behind the words in it, so that what hangs on a word is looked at alone: `req-536-22-8726`. None: it is no id, or
/// has no such word.
fn parted(text: &str) -> Option<String> {
    let is_joint = |letter: char| matches!(letter, '-' | '_' | ':' | '.');
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !text.bytes().all(is_of_id) || !text.split(is_joint).any(is_word) {
        return None;
    }
    let mut parted = String::with_capacity(text.len());
    for part in text.split_inclusive(is_joint) {
        match part.strip_suffix(is_joint) {
            Some(word) if is_word(word) => {
                parted.push_str(word);
                parted.push(' ');
            }
            _ => parted.push_str(part),
        }
    }
    Some(parted)
}

/// Letters of ids, digests and UUIDs.
pub(super) const fn is_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-')
}

/// The text with its percent-escapes resolved, twice where they were escaped. None: it has none.
fn unescaped(text: &str) -> Option<String> {
    text.contains('%').then(|| String::from_utf8_lossy(&percent(&percent(text.as_bytes()))).into_owned())
}

/// The text without the numbers of versions, such as `Chrome/126.0.0.0`: four of them are no address.
fn without_versions(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 5;
    if !text.contains('/') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for (number, part) in text.split('/').enumerate() {
        let end = part.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(part.len());
        let (version, rest) = part.split_at(end);
        let ends = rest.is_empty() || rest.starts_with([' ', ';', ')', ',', '-', '+']);
        let is_version = number > 0 && ends && version.split('.').all(|part| (1..=LONGEST).contains(&part.len()));
        plain.push_str(if number > 0 { "/" } else { "" });
        plain.push_str(if is_version { "v" } else { version });
        plain.push_str(rest);
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Rule;

    fn every() -> Masks {
        Masks::compile(&[("every", &Rule::detecting(Kind::ALL, "[{kind}]"))]).unwrap()
    }

    const JWT: &str =
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4iLCJncm91cHMiOlsiYSJdfQ.c2lnbmF0dXJlLW9mLXNvbWVib2R5LWVsc2UtaGVyZQ";

    #[test]
    fn a_credential_is_told_however_it_stands_in_a_value() {
        let every = every();
        let long = "a".repeat(129);
        for value in [
            JWT,
            &format!("client {JWT}"),
            &format!("Bearer {JWT}"),
            &JWT.replace('.', "%2e"),
            &JWT.replace('.', "%252E"),
            JWT.rsplit_once('.').unwrap().0,
            "token=eyJhbGciOiJSUzI1NiJ9.x",
            "Bearer aGVsbG8tdGhpcy1pcy1hLXRva2Vu.c29tZQ",
            "Basic YW5uOnBhc3N3b3Jk",
            "ghp_aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA3bC6",
            "AKIAIOSFODNN7EXAMPLE",
            "https://ann:pa55word@example.com/",
            "https%3A%2F%2Fann%3Apa55word%40example.com%2F",
            &long,
        ] {
            assert_eq!(found("user-agent", value, &[&every]), Findings::Secret, "{value}");
        }
    }

    #[test]
    fn personal_data_is_told_and_masked() {
        let every = every();
        for value in [
            "ann.lee@example.com",
            "agent (ann.lee@example.com)",
            "agent (ann.lee%40example.com)",
            "4111 1111 1111 1111",
            "agent/4111111111111111",
            "536-22-8726",
            "10.1.2.3",
            "req-536-22-8726",
            "id:10.1.2.3",
            "card_4111111111111111",
            "agent (from 10.1.2.3)",
        ] {
            assert_eq!(found("user-agent", value, &[&every]), Findings::Personal, "{value}");
        }
        // The name of the header is a word that says what a number is.
        assert_eq!(found("x-phone", "030 901820", &[&every]), Findings::Personal);
        assert_eq!(masked("agent/1 (ann.lee@example.com)", &every).as_deref(), Some("agent/1 ([email])"));
        assert_eq!(masked("agent/1 (ann.lee%40example.com)", &every), None);
    }

    #[test]
    fn field_rules_and_patterns_of_the_call_reach_values() {
        let rule: Rule = serde_json::from_value(serde_json::json!({
            "fields": ["x_customer"], "patterns": {"badge": {"regex": r"\bEMP-\d{6}\b"}}, "replace": "[{kind}]",
        }))
        .unwrap();
        let masks = Masks::compile(&[("own", &rule)]).unwrap();
        assert_eq!(found("x-customer", "Ann", &[&masks]), Findings::Personal);
        assert_eq!(found("x-note", "badge EMP-123456", &[&masks]), Findings::Personal);
        assert_eq!(found("x-note", "badge", &[&masks]), Findings::Nothing);
    }

    #[test]
    fn what_clients_really_send_holds_nothing() {
        let every = every();
        for value in [
            "python-httpx/0.28.1",
            "python-requests/2.32.3",
            "Python/3.12 aiohttp/3.11.11",
            "cohere/5.21.1",
            "OpenAI/Python 1.109.1",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.87",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "elasticsearch-py/9.5.1 (Python/3.12.4; elastic-transport/9.5.0)",
            "okhttp/4.12.0",
            "curl/8.5.0",
            "Go-http-client/2.0",
            "Apache-HttpClient/5.3.1 (Java/21.0.3)",
            "node",
            "ai/7.0.173 ai-sdk/provider-utils/4.0.52 runtime/node.js/v22.11.0",
            "Boto3/1.34.131 md/Botocore#1.34.131 ua/2.0 os/linux#6.5.0-1022-aws md/arch#x86_64 lang/python#3.12.3",
            "langchain:partner",
            "*/*",
            "application/json",
            "application/json, text/event-stream;q=0.9, */*;q=0.1",
            "application/json;q=1, text/event-stream;q=0",
            "application/vnd.elasticsearch+json; compatible-with=9",
            "9b2d6f2e-7f0f-4b86-9d5c-0f2c6f1f9a10",
            "stainless-python-retry-0c5b3f1e-5b0a-4a53-8c1e-7ad1a4a0a0f6",
            "",
        ] {
            assert_eq!(found("user-agent", value, &[&every]), Findings::Nothing, "{value}");
        }
    }

    #[test]
    fn identifiers_are_seldom_taken_for_anything() {
        let every = every();
        let (mut state, mut taken) = (1_u128, 0);
        for _ in 0..2000 {
            state = state.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(0x5851_F42D_4C95_7F2D);
            let digits = format!("{:032x}", state ^ (state >> 61));
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap());
            for id in [parts.join("-"), digits.clone(), format!("req_{digits}")] {
                taken += usize::from(found("x-request-id", &id, &[&every]) != Findings::Nothing);
            }
        }
        assert!(taken <= 6, "{taken} of 6000");
    }
}
