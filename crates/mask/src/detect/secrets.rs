//! Secrets: tokens, vendors' keys, private keys, and addresses of cryptocurrencies, which are as long.
//!
//! They are long tokens, which the map of the text tells.

use super::class::is_token;
use super::map::Map;
use super::scan::Scan;
use super::{Context, Proof, crypto, network, number, vendors};
use crate::bytes;
use crate::kind::{Kind, Kinds};
use crate::secret::find;

/// The kinds that are long tokens. Of hardware addresses, `AA-BB-CC-DD-EE-FF` is one.
const TOKENS: Kinds = Kinds::NONE
    .with(Kind::PrivateKey)
    .with(Kind::Jwt)
    .with(Kind::ApiKey)
    .with(Kind::BearerToken)
    .with(Kind::CryptoAddress)
    .with(Kind::MacAddress);

/// Whether long tokens can be of `kinds`.
pub(super) fn wanted(kinds: Kinds) -> bool {
    kinds.meets(TOKENS)
}

/// Looks at all long tokens of the map.
#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>) {
    let (map, mut until) = (scan.map, 0);
    for token in &map.long {
        // What was looked at with the one before, as the lines of a key are.
        let start = token.start.max(until);
        // Behind an escape such as `%20`.
        let start = if number::is_escaped(scan, start + 2) { start + 2 } else { start };
        if token.end > start {
            until = parts(scan, start, token.end);
        }
    }
}

/// Looks at the tokens that signs such as `.`, `/` and `=` join. Returns where to go on.
fn parts(scan: &mut Scan<'_>, start: usize, end: usize) -> usize {
    if scan.wants(Kind::PrivateKey)
        && end - start >= LINE
        && let Some(until) = private_key(scan, start, end)
    {
        return until;
    }
    if scan.wants(Kind::BearerToken) {
        bearer(scan, start, end);
    }
    if scan.wants(Kind::ApiKey)
        && let Some(from) = vendors::secret_of_hook(scan.text.get(start..end).unwrap_or_default())
    {
        let dots = scan.text.get(start..end).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'.').count();
        scan.push(Kind::ApiKey, start + from, end - dots, Proof::Valid);
        return end;
    }
    if scan.wants(Kind::ApiKey) && end - start >= NAMED {
        named(scan, start, end);
    }
    let mut at = start;
    while at < end {
        let until = scan.token_end(at).min(end);
        let long = until - at >= Map::LONG && number::uuid_end(scan, at) != Some(until);
        at = if long { token(scan, at, until) } else { until } + 1;
    }
    end
}

/// Looks at a token of sixteen bytes or more. Returns where to go on.
fn token(scan: &mut Scan<'_>, start: usize, end: usize) -> usize {
    // A hardware address, alone, or joined to something.
    if end - start == 17
        && let Some(until) = network::look_mac(scan, start + 2)
    {
        return until;
    }
    for at in [start + 2, end - 15] {
        if end - start > 17 && scan.byte(at) == b'-' {
            network::look_mac(scan, at);
        }
    }
    if scan.wants(Kind::Jwt)
        && let Some((from, until)) = jwt(scan, start, end)
    {
        scan.push(Kind::Jwt, from, until, Proof::Valid);
        before(scan, start, from);
        return until;
    }
    if scan.wants(Kind::ApiKey)
        && let Some((from, until)) = api_key(scan, start, end).or_else(|| telegram(scan, start, end))
    {
        scan.push(Kind::ApiKey, from, until, Proof::Valid);
        before(scan, start, from);
        return until;
    }
    if scan.wants(Kind::CryptoAddress) {
        addresses(scan, start, end);
    }
    end
}

/// Looks at what a token has before what was found in it from `from` on.
fn before(scan: &mut Scan<'_>, start: usize, from: usize) {
    if from > start + Map::LONG {
        token(scan, start, from - 1);
    }
}

/// Addresses in a token: it whole, or what stands between the signs that join tokens. Checksums tell them from anything else.
fn addresses(scan: &mut Scan<'_>, start: usize, end: usize) {
    let mut at = start;
    while at < end {
        let until = scan.word_end(at).min(end);
        if until - at >= Map::LONG && crypto::is_address(scan.text.get(at..until).unwrap_or_default()) {
            scan.push(Kind::CryptoAddress, at, until, Proof::Valid);
        }
        at = until + 1;
    }
}

/// The shortest line of a key that is looked for: RFC 7468 has 64 letters in each but the last.
const LINE: usize = 48;

/// The PEM block (RFC 7468) whose first line `start..end` can be, from header to footer or, where it is cut off, as far as its
/// lines go. Returns where it ends.
fn private_key(scan: &mut Scan<'_>, start: usize, end: usize) -> Option<usize> {
    const LABELS: [&[u8]; 2] = [b"PRIVATE KEY-----", b"PRIVATE KEY BLOCK-----"];
    const BEGIN: &[u8] = b"-----BEGIN ";
    // Encrypted keys have two lines of headers in between.
    const BEFORE: usize = 160;
    // The longest key in use, RSA with 16384 bits, has about 13 KB.
    const LONGEST: usize = 16 << 10;
    let is_line =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\n' | b'\r' | b'\\' | b' ');
    let from = start.saturating_sub(BEFORE);
    // The line can hang on the header, where the line break is lost.
    let before = scan.text.get(from..end.min(start + BEGIN.len() + 24))?;
    find(before, BEGIN, 0)?;
    let begin = before.windows(BEGIN.len()).rposition(|part| part == BEGIN)?;
    let header = scan.text.get(from + begin..scan.text.len().min(from + begin + 64))?;
    let (label, at) = LABELS.iter().find_map(|label| find(header, label, 0).map(|at| (*label, at)))?;
    let body = from + begin + at + label.len();
    let rest = scan.text.get(body..scan.text.len().min(body + LONGEST))?;
    let end = match find(rest, label, 0) {
        Some(footer) => body + footer + label.len(),
        None => scan.end_of(body, is_line).max(end),
    };
    scan.push(Kind::PrivateKey, from + begin, end, Proof::Valid);
    Some(end)
}

/// What stands behind `Bearer` or `Basic`: `start..end`, up to the full stop of the sentence.
fn bearer(scan: &mut Scan<'_>, start: usize, end: usize) {
    // Most tokens stand behind something else.
    if scan.byte_before(start) != b' ' {
        return;
    }
    let token = scan.text.get(start..end).unwrap_or_default();
    let before = scan.text.get(start.saturating_sub(7)..start).unwrap_or_default();
    let named = before.eq_ignore_ascii_case(b"bearer ")
        || before.get(before.len().saturating_sub(6)..).is_some_and(|name| name.eq_ignore_ascii_case(b"basic "));
    if !named {
        return;
    }
    let sentence = token.iter().rev().take_while(|byte| **byte == b'.').count();
    let digits = token.iter().any(u8::is_ascii_digit);
    if digits && token.len() - sentence >= Map::LONG {
        scan.push(Kind::BearerToken, start, end - sentence, Proof::Context);
    }
}

/// The shortest key that is known only by what is said of it: those of Cohere and Amazon have 40 letters, Azure's 43 and more.
const NAMED: usize = 32;

/// A key without a prefix, where a word says that something is secret or an `api key`: `start..end`, or what stands behind its `=`.
/// Only of capitals, small letters and digits together, so that hashes, UUIDs and names are none.
fn named(scan: &mut Scan<'_>, start: usize, end: usize) {
    let whole = scan.text.get(start..end).unwrap_or_default();
    // Most long tokens are hashes and names.
    if !is_mixed(whole) {
        return;
    }
    let padding = whole.iter().rev().take_while(|byte| **byte == b'=').count();
    let head = whole.get(..whole.len() - padding).unwrap_or_default();
    let from = start + head.iter().rposition(|byte| *byte == b'=').map_or(0, |equals| equals + 1);
    let key = scan.text.get(from..end).unwrap_or_default();
    // A full stop ends a sentence, and parts names of files and hosts.
    if !(NAMED..=128).contains(&key.len()) || key.contains(&b'.') || !is_mixed(key) || !vendors::is_random(key) {
        return;
    }
    let near = scan.near(from).any;
    if near.has(Context::SECRET) || (near.has(Context::KEY) && near.has(Context::VENDOR)) {
        scan.push(Kind::ApiKey, from, end, Proof::Context);
    }
}

/// Whether there are capitals, small letters and digits.
fn is_mixed(text: &[u8]) -> bool {
    let has = |first, last| bytes::find(text, 0, |block| block.between(first, last)).is_some();
    has(b'A', b'Z') && has(b'0', b'9') && has(b'a', b'z')
}

/// The token that begins with `eyJ` (`{"` in Base64), perhaps joined to something before it, if it has the three parts of a JWS or the
/// five of a JWE.
fn jwt(scan: &Scan<'_>, start: usize, end: usize) -> Option<(usize, usize)> {
    const HEAD: &[u8] = b"eyJ";
    let head = scan.text.get(start..end)?;
    let payload = scan.text.get(end..end + 4)?;
    let signed = payload == b".eyJ";
    let encrypted = payload.first() == Some(&b'.');
    if !(signed || encrypted) {
        return None;
    }
    let mut from = 0;
    if !head.starts_with(HEAD) {
        let joined = |from: usize| matches!(from.checked_sub(1).and_then(|sign| head.get(sign)), Some(b'-' | b'_'));
        loop {
            from = find(head, HEAD, from + 1)?;
            if joined(from) {
                break;
            }
        }
    }
    // All that hangs on it, so that no rest of a longer chain is left to be looked at again.
    let mut until = end;
    let mut parts = 1;
    while scan.byte(until) == b'.' {
        until = scan.end_of(until + 1, is_token);
        parts += 1;
    }
    (signed && parts >= 3 || parts >= 5).then_some((start + from, until))
}

/// A vendor's key in the token, perhaps behind a name such as `key-`.
fn api_key(scan: &Scan<'_>, start: usize, end: usize) -> Option<(usize, usize)> {
    let token = scan.text.get(start..end)?;
    let next = |from: &usize| behind_joint(scan, *from, end);
    for from in std::iter::successors(Some(start), next).take(8) {
        let whole = || scan.text.get(from..scan.end_of(end, is_base64)).unwrap_or_default();
        if let Some(length) = vendors::key_length(scan.text.get(from..end)?, whole) {
            return Some((from, from + length));
        }
    }
    let parted = matches!(scan.byte_before(start), b'.' | b'~' | b'=' | b'/');
    if parted && let Some(length) = vendors::length_before(scan.text.get(..start)?, token) {
        let until = scan.end_of(end, |byte| is_token(byte) || *byte == b'.');
        return Some((start - length, until));
    }
    if matches!(token.len(), 36 | 37 | 50) && vendors::has_known_tail(token) {
        return Some((start, end));
    }
    chained(scan, start, end)
}

fn is_base64(byte: &u8) -> bool {
    is_token(byte) || matches!(byte, b'+' | b'/' | b'=')
}

/// Keys that are known by the lengths of their parts: of Discord's bots (a number in Base64, a time, a MAC), Airtable, and Microsoft Entra.
fn chained(scan: &Scan<'_>, start: usize, end: usize) -> Option<(usize, usize)> {
    let first = scan.byte(start);
    let part = |at: usize| scan.token_end(at) - at;
    let known = match (end - start, scan.byte(end)) {
        (23..=28, b'.') if matches!(first, b'M' | b'N' | b'O') => {
            let second = part(end + 1);
            let third = end + 2 + second;
            let fits = matches!(second, 6 | 7) && scan.byte(third - 1) == b'.' && (27..=40).contains(&part(third));
            fits.then_some((start, third + part(third)))
        }
        (17, b'.') if scan.text.get(start..start + 3) == Some(b"pat") => {
            (part(end + 1) == 64).then_some((start, end + 65))
        }
        _ => None,
    };
    if known.is_some() || scan.byte_before(start) != b'~' {
        return known;
    }
    let from = start.checked_sub(6)?;
    let until = scan.end_of(start, |byte| is_token(byte) || matches!(byte, b'.' | b'~'));
    let head = scan.text.get(from..start)?;
    let fits = matches!(head, [.., b'0'..=b'9', b'Q', b'~']) && (31..=35).contains(&(until - start));
    (fits && vendors::is_random(scan.text.get(start..until)?)).then_some((from, until))
}

/// The token of a Telegram bot: the bot's number, a colon, and 35 characters.
fn telegram(scan: &Scan<'_>, start: usize, end: usize) -> Option<(usize, usize)> {
    if end - start != 35 || scan.byte_before(start) != b':' {
        return None;
    }
    let colon = start.checked_sub(1)?;
    let number = scan.start_of(colon, 11, u8::is_ascii_digit);
    let key = scan.text.get(start..end)?;
    ((8..=10).contains(&(colon - number)) && key.starts_with(b"AA") && vendors::is_random(key)).then_some((number, end))
}

/// Where the token that ends at `end` goes on behind its first `-` or `_` from `from` on.
fn behind_joint(scan: &Scan<'_>, from: usize, end: usize) -> Option<usize> {
    let mut at = from;
    while at < end {
        let words = scan.map.words(at).trailing_ones() as usize;
        at += words;
        if words < 64 {
            return (at < end).then_some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn tokens_are_found_whole() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV";
        check(
            Kind::Jwt,
            &[&format!("token=«{jwt}»; x"), "eyJhbGciOiJIUzI1NiJ9.x", "eyJhbGciOiJIUzI1NiJ9", &format!("x{jwt}")],
        );
        check(
            Kind::BearerToken,
            &[
                "Authorization: Bearer «mF_9.B5f-4.1JqM1234567»",
                "bearer «abcdefgh12345678+/==»",
                "Basic «QWxhZGRpbjpvcGVuIHNlc2FtZTE=»",
                "the bearer of-this-long-message-is-nobody",
                "Bearer short1",
            ],
        );
    }

    #[test]
    fn vendors_keys_are_found_by_their_prefix() {
        let letters = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0eF2hI4kL6nO8";
        let of = |prefix: &str, count: usize| format!("key «{prefix}{}» end", letters.repeat(3).get(..count).unwrap());
        check(
            Kind::ApiKey,
            &[
                "«AKIAIOSFODNN7EXAMPLE»",
                &of("ghp_", 36),
                &of("github_pat_", 82),
                &of("xoxb-123456-", 20),
                &of("sk_live_", 24),
                &of("sk-ant-api03-", 93),
                &of("sk-proj-", 48),
                &of("AIza", 35),
                &of("hf_", 34),
                &format!("key «SG.{}.{}» end", letters.get(..22).unwrap(), letters.get(..40).unwrap()),
                &of("glpat-", 20),
                &format!("api_key-«ghp_{}»", letters.get(..36).unwrap()),
            ],
        );
        check(
            Kind::ApiKey,
            &[
                "AKIAIOSFODNN7EXAMPL",
                "AKIAIOSFODNN7EXAMPLEE",
                "ghp_short",
                "sk_live_xxxxxxxxxxxxxxxxxxxxxxxx",
                "sk-learn-is-a-library",
                "SGaB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0",
            ],
        );
    }

    #[test]
    fn keys_of_hexadecimal_digits_have_exactly_so_many() {
        let hex = "0123456789abcdef0123456789abcdef";
        for prefix in ["SK", "AC", "dapi", "key-"] {
            check(
                Kind::ApiKey,
                &[
                    &format!("x «{prefix}{hex}» y"),
                    &format!("{prefix}{hex}0"),
                    &format!("{prefix}{}", hex.get(1..).unwrap()),
                ],
            );
        }
        check(
            Kind::ApiKey,
            &[&format!("«dapi{hex}-2»"), &format!("DAPI{hex}"), &format!("SK{}", "0".repeat(32)), &format!("x{hex}")],
        );
    }

    #[test]
    fn tokens_of_bots_are_found_with_their_number() {
        let token = "AAF7qXc2Lw9eRt4Yu6Io8Pa1Sd3Fg5Hj0Kz";
        check(
            Kind::ApiKey,
            &[
                &format!("bot«1234567890:{token}»"),
                &format!("https://api.example/bot«12345678:{token}»/getMe"),
                &format!("foo:{token}"),
                &format!("1234567:{token}"),
                &format!("12345678901:{token}"),
                &format!("1234567890:{token}x"),
                &format!("1234567890:B{}", token.get(1..).unwrap()),
            ],
        );
    }

    #[test]
    fn keys_without_a_prefix_are_found_where_words_say_so() {
        let amazon = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let azure = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
        let cohere = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0eF2hI4kL6n";
        check(
            Kind::ApiKey,
            &[
                &format!("aws_secret_access_key = «{amazon}»"),
                &format!("AWS_SECRET_ACCESS_KEY=«{amazon}»"),
                &format!("AccountName=x;AccountKey=«{azure}»;EndpointSuffix=core"),
                &format!("cohere api key: «{cohere}»"),
                &format!("x {amazon} y"),
                &format!("cache key {cohere}"),
                &format!("the secret is {}", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
                &format!("secret: {}", "9f8c2d1e-4b7a-4c3e-9d2f-000000000000"),
                "secret a-very-long-word-with-many-hyphens-in-it-and-no-digit",
                &format!("secret host {cohere}.example.org"),
            ],
        );
        let path = |name: &str, row: &str| super::super::tests::check_at(Kind::ApiKey, name, &[row]);
        path("clientSecret", &format!("«{cohere}»"));
        path("apiKey", &format!("«{cohere}»"));
        path("api_key", &format!("«{cohere}»"));
        path("key", cohere);
        path("apiVersion", cohere);
    }

    #[test]
    fn private_keys_are_found_from_header_to_footer() {
        let lines = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        for newline in ["\n", "\\n", " "] {
            for name in
                ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"]
            {
                let block =
                    format!("-----BEGIN {name}-----{newline}{lines}{newline}{lines}+/=={newline}-----END {name}-----");
                check(Kind::PrivateKey, &[&format!("a «{block}» b")]);
            }
        }
        check(Kind::PrivateKey, &[&format!("«-----BEGIN PRIVATE KEY-----\n{lines}\n{lines}»; cut")]);
        check(Kind::PrivateKey, &[&format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----")]);
    }

    #[test]
    fn hashes_ids_and_words_are_no_secrets() {
        for kind in [Kind::ApiKey, Kind::Jwt, Kind::BearerToken, Kind::PrivateKey, Kind::CryptoAddress] {
            check(
                kind,
                &[
                    "9f8c2d1e-4b7a-4c3e-9d2f-000000000000",
                    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                    "a-very-long-word-with-many-hyphens-in-it",
                    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                ],
            );
        }
    }
}
