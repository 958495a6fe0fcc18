//! The head of an answer as it goes back: names that are on the list, each with a value of the form that its name has. What an
//! upstream writes into a header is its own affair, and may be anybody's name or number.

use super::head::Headers;
use super::values::{Findings, found, is_of_id, is_plain};
use super::{Guard, Head};
use crate::mask::Masks;

/// What goes back, and how many headers do not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) head: Head,
    pub(super) dropped: usize,
}

/// The head of an answer, but for its length. `media_type`: what its body is called; `masks`: the call's.
pub(super) fn of_answer(headers: &Headers, media_type: Option<&str>, masks: &Masks, guard: &Guard) -> Kept {
    let mut kept = Kept { head: Head::with_capacity(8), dropped: 0 };
    let masks = [&guard.config.every_mask, masks];
    for (name, value) in headers.iter() {
        match (name, std::str::from_utf8(value)) {
            // They are written here.
            ("content-type" | "content-length", _) => {}
            (":status", Ok(value)) => kept.head.push((name.to_owned(), value.to_owned())),
            (_, Ok(value)) if goes(name, value, &masks, guard) => kept.head.push((name.to_owned(), value.to_owned())),
            _ => kept.dropped = kept.dropped.saturating_add(1),
        }
    }
    kept.head.extend(media_type.map(|name| ("content-type".to_owned(), name.to_owned())));
    kept
}

fn goes(name: &str, value: &str, masks: &[&Masks], guard: &Guard) -> bool {
    let clean = || found(name, value, masks) == Findings::Nothing;
    match name {
        "date" => is_date(value),
        "retry-after" => is_count(value) || is_date(value),
        "x-envoy-upstream-service-time" => is_count(value),
        "cache-control" => value.split(',').all(|directive| is_directive(directive.trim_matches([' ', '\t']))),
        "x-request-id" | "request-id" => (1..=128).contains(&value.len()) && value.bytes().all(is_of_id) && clean(),
        "server" => is_product(value) && clean(),
        _ if guard.config.response_headers.iter().any(|listed| listed == name) => is_plain(value) && clean(),
        _ => is_rate_limit(name) && is_rate(value) && clean(),
    }
}

/// A number that counts something: of eight digits at most, which no card and hardly any telephone has.
fn is_count(value: &str) -> bool {
    (1..=8).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn is_date(value: &str) -> bool {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = value.split(' ').collect();
    let [day, date, month, year, time, "GMT"] = parts[..] else { return false };
    day.strip_suffix(',').is_some_and(|day| DAYS.contains(&day))
        && number(date, 2)
        && MONTHS.contains(&month)
        && number(year, 4)
        && time.split(':').count() == 3
        && time.split(':').all(|part| number(part, 2))
}

/// A directive of `cache-control` (RFC 9111, RFC 5861, RFC 8246).
fn is_directive(directive: &str) -> bool {
    const PLAIN: [&str; 10] = [
        "no-cache",
        "no-store",
        "no-transform",
        "private",
        "public",
        "must-revalidate",
        "proxy-revalidate",
        "must-understand",
        "immutable",
        "max-age=0",
    ];
    const COUNTED: [&str; 4] = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"];
    PLAIN.iter().any(|plain| directive.eq_ignore_ascii_case(plain))
        || directive.split_once('=').is_some_and(|(name, count)| {
            COUNTED.iter().any(|counted| name.eq_ignore_ascii_case(counted)) && is_count(count)
        })
}

/// `uvicorn`, `nginx/1.25.3`, `gunicorn/20.1.0 (Ubuntu)`.
fn is_product(value: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b" ()+-./_".contains(&byte);
    (1..=64).contains(&value.len()) && value.bytes().all(is_fit)
}

/// Words that names of rate limits are made of, and those of their policies.
const RATE_WORDS: [&str; 40] = [
    "after",
    "audio",
    "burst",
    "cached",
    "call",
    "calls",
    "concurrency",
    "cost",
    "day",
    "endpoint",
    "generated",
    "hour",
    "images",
    "input",
    "limit",
    "minute",
    "model",
    "month",
    "monthly",
    "output",
    "over",
    "policy",
    "prompt",
    "q",
    "r",
    "remaining",
    "request",
    "requests",
    "reset",
    "resource",
    "retry",
    "second",
    "t",
    "tokens",
    "total",
    "trial",
    "units",
    "used",
    "w",
    "year",
];

/// `x-ratelimit-remaining-tokens`, `ratelimit-policy`: only words that say nothing of anybody.
fn is_rate_limit(name: &str) -> bool {
    let words = name.strip_prefix("x-").unwrap_or(name).strip_prefix("ratelimit-");
    words.is_some_and(|words| words.split('-').all(|word| RATE_WORDS.contains(&word)))
}

/// The value of a rate limit: numbers, times and lengths of time (`100`, `6m0s`, `100;w=60`, `limit=100, reset=5`), no words of
/// anybody's own.
fn is_rate(value: &str) -> bool {
    let is_known =
        |word: &str| RATE_WORDS.contains(&word) || ["default", "ms", "s", "m", "h", "d", "us", "ns"].contains(&word);
    // Times of our days in seconds and milliseconds; telephone and card numbers begin higher.
    let is_epoch = |digits: &str| matches!((digits.len(), digits.get(..2)), (10 | 13, Some("16" | "17" | "18" | "19")));
    let is_number = |digits: &str| digits.len() <= 9 || is_epoch(digits);
    let letters = |byte: &u8| byte.is_ascii_alphabetic();
    let digits = |byte: &u8| byte.is_ascii_digit();
    let text = |part: &[u8]| String::from_utf8_lossy(part).to_ascii_lowercase();
    (1..=96).contains(&value.len())
        && (is_timestamp(value)
            || (value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" \",;=.".contains(&byte))
                && value.as_bytes().split(|byte| !letters(byte)).all(|word| word.is_empty() || is_known(&text(word)))
                && value.as_bytes().split(|byte| !digits(byte)).all(|number| is_number(&text(number)))))
}

/// `2026-11-28T08:00:00Z`, also with a fraction.
fn is_timestamp(value: &str) -> bool {
    let form = b"dddd-dd-ddTdd:dd:dd";
    let (head, tail) = value.split_at_checked(form.len()).unwrap_or((value, ""));
    let is_of_form = |(byte, form): (u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == *form };
    let fraction = tail.strip_suffix('Z').map(|fraction| fraction.strip_prefix('.').unwrap_or(fraction));
    head.len() == form.len()
        && head.bytes().zip(form).all(is_of_form)
        && fraction.is_some_and(|digits| digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_one_form() {
        assert!(is_date("Sun, 06 Nov 1994 08:49:37 GMT"));
        for value in [
            "",
            "now",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ann",
            "Ann, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert!(!is_date(value), "{value}");
        }
    }

    #[test]
    fn directives_of_caches_are_known_ones() {
        for value in ["no-store", "Private", "max-age=31536000", "stale-if-error=60"] {
            assert!(is_directive(value), "{value}");
        }
        for value in ["", "ann", "private=\"ann\"", "max-age=4155550132", "max-age=ann", "max-age", "note=1"] {
            assert!(!is_directive(value), "{value}");
        }
    }

    #[test]
    fn names_of_rate_limits_say_nothing_of_anybody() {
        for name in [
            "x-ratelimit-limit",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-requests",
            "x-ratelimit-limit-tokens-generated",
            "ratelimit-policy",
            "ratelimit-reset",
            "x-ratelimit-limit-minute",
        ] {
            assert!(is_rate_limit(name), "{name}");
        }
        for name in [
            "x-ratelimit-",
            "x-ratelimit-ann",
            "ratelimit-limit-ann.lee",
            "x-ratelimit-limit--",
            "x-x-ratelimit-limit",
            "ratelimits",
        ] {
            assert!(!is_rate_limit(name), "{name}");
        }
    }

    #[test]
    fn rates_are_numbers_times_and_known_words() {
        for value in [
            "0",
            "1000",
            "99.5",
            "1780000000",
            "1780000000.123",
            "1780000000123",
            "6m0s",
            "1h2m3.5s",
            "17ms",
            "100;w=60",
            "100, 100;w=60, 1000;w=3600",
            "\"default\";q=100;w=60",
            "limit=100, remaining=50, reset=5",
            "2026-11-28T08:00:00Z",
            "2026-11-28T08:00:00.123456Z",
        ] {
            assert!(is_rate(value), "{value}");
        }
        for value in [
            "",
            "ann",
            "\"ann\";q=100",
            "100;w=60;pk=:YW5u:",
            "4155550132",
            "2125550132",
            "4111111111111111",
            "536-22-8726",
            "2026-11-28T08:00:00Zann",
            "2026-11-28T08:00:00",
            "d026-11-28T08:00:00Z",
        ] {
            assert!(!is_rate(value), "{value}");
        }
    }
}
