//! What colons join: IPv6 and hardware addresses, credentials in URLs.

use super::scan::Scan;
use super::{Proof, ip, number};
use crate::kind::Kind;

/// Looks around the colon at `at`. Returns where to go on.
#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>, at: usize) -> usize {
    let url = if scan.wants(Kind::UrlCredentials) { look_url(scan, at) } else { None };
    url.or_else(|| look_mac(scan, at)).unwrap_or_else(|| ip::look_v6(scan, at))
}

/// Looks for an EUI-48 that the separator at `at` (`:`, `-` or `.`) is the first of: `00:1A:2B:3C:4D:5E`, `001A.2B3C.4D5E`.
pub(super) fn look_mac(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    if !scan.wants(Kind::MacAddress) {
        return None;
    }
    let separator = scan.byte(at);
    let (size, count) = if separator == b'.' { (4, 3) } else { (2, 6) };
    // Most colons and full stops have no other behind the next two or four characters.
    if scan.byte(at + size + 1) != separator {
        return None;
    }
    let start = at.checked_sub(size)?;
    let end = start + size * count + count - 1;
    let text = scan.text.get(start..end)?;
    let hex = text.chunks(size + 1).all(|part| {
        let (pair, behind) = part.split_at_checked(size).unwrap_or((part, &[]));
        pair.iter().all(u8::is_ascii_hexdigit) && behind.iter().all(|byte| *byte == separator)
    });
    let (one, last, next) = (scan.byte_before(start), scan.byte(end), scan.byte(end + 1));
    let before = one == separator;
    let behind = last == separator && (next == separator || next.is_ascii_alphanumeric());
    let inside = one.is_ascii_alphanumeric() && !number::is_escaped(scan, start);
    let is_more = inside || last.is_ascii_alphanumeric() || (before && separator == b':' && !scan.follows(start));
    let digits =
        |wanted: u8| text.iter().filter(|byte| **byte != separator).all(|byte| byte.eq_ignore_ascii_case(&wanted));
    if !hex || is_more || digits(b'0') || digits(b'f') {
        return None;
    }
    scan.push_hanging(Kind::MacAddress, (start, end), Proof::Valid, (before, behind));
    (!before && !behind).then_some(end)
}

/// Looks for `user:password@` behind the `://` that begins at `at`.
pub(super) fn look_url(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    const LONGEST: usize = 512;
    let start = at + 3;
    let is_scheme = scan.text.get(at..start) == Some(b"://") && scan.byte_before(at).is_ascii_alphanumeric();
    if !is_scheme {
        return None;
    }
    let limit = scan.text.len().min(start + LONGEST);
    let authority = scan.text.get(start..limit)?;
    let ends =
        |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'<' | b'>' | b'\\') || byte.is_ascii_whitespace();
    let authority = authority.get(..authority.iter().position(ends).unwrap_or(authority.len()))?;
    let at_sign = authority.iter().rposition(|byte| *byte == b'@')?;
    let user_info = authority.get(..at_sign)?;
    let colon = user_info.iter().position(|byte| *byte == b':')?;
    // Only stars or nothing behind the colon: no password any more.
    let password = user_info.get(colon + 1..)?;
    if !password.iter().any(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80) {
        return None;
    }
    scan.push(Kind::UrlCredentials, start, start + at_sign, Proof::Valid);
    Some(start + at_sign)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn hardware_addresses_are_found_in_three_forms() {
        check(
            Kind::MacAddress,
            &[
                "MAC «00:1A:2B:3C:4D:5E».",
                "«00-1a-2b-3c-4d-5e», «AA-BB-CC-DD-EE-FF»",
                "«aa:bb:cc:dd:ee:ff»: up",
                "«0012.3456.789a»",
                "00:1A:2B:3C:4D",
                "FF:FF:FF:FF:FF:FF 00:00:00:00:00:00",
                "10:2F:33-AC-29-C3",
                "00:1A:2B:3C:4D:5E:6F",
                "x00:1A:2B:3C:4D:5E",
                "12:34:56",
                "9f8c2d1e-4b7a-4c3e-9d2f-000000000000",
            ],
        );
    }

    #[test]
    fn credentials_in_urls_are_found_and_hosts_are_left() {
        check(
            Kind::UrlCredentials,
            &[
                "postgres://«ann:s3cret»@db.internal:5432/x",
                "https://«user:p@ss»@example.org/",
                "https://example.org:8080/a@b",
                "https://ann@example.org",
                "https://ann:***@example.org",
                "see: //a:b@c",
                "a://b:c d@e",
            ],
        );
    }
}
