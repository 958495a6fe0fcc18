//! IPv4 and IPv6 addresses (RFC 791, RFC 4291), with the prefix length or zone that stands behind.

use super::number::{Join, Run, is_escaped};
use super::scan::Scan;
use super::{Context, Proof};
use crate::kind::Kind;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Four groups with dots, and no dot with a fifth: that is a version.
#[inline(never)]
pub(super) fn look_v4(scan: &mut Scan<'_>, run: &Run<'_>) {
    if !scan.wants(Kind::IpAddress) {
        return;
    }
    let mut before = run.row;
    for from in 0..run.starts {
        let [one, two, three, four, rest @ ..] = run.groups_from(from) else { return };
        let last = before.replace(one.digits());
        if ![two, three, four].iter().all(|group| group.join == Join::Dot) {
            continue;
        }
        // In a longer number with dots, but for what has more digits than one of its parts can have.
        let joined = (one.join == Join::Dot, rest.first().is_some_and(|next| next.join == Join::Dot));
        let part = joined.0 && last.is_none_or(|digits| digits <= 3)
            || joined.1 && rest.first().is_some_and(|next| next.digits() <= 3);
        if part || !is::<Ipv4Addr>(scan, one.start, four.end) {
            continue;
        }
        // `::ffff:192.0.2.1` is one address, found at its colons.
        let mapped = scan.byte_before(one.start) == b':' && v6_around(scan, one.start - 1).is_some();
        let near = scan.near(one.start);
        if !mapped && (!near.closest.has(Context::VERSION) || near.closest.has(Context::of_kind(Kind::IpAddress))) {
            let end = if joined.1 { four.end } else { prefix_end(scan, four.end, 32) };
            scan.push_hanging(Kind::IpAddress, (one.start, end), Proof::Form, joined);
        }
    }
}

/// Looks around the colon at `at`. Returns where to go on.
pub(super) fn look_v6(scan: &mut Scan<'_>, at: usize) -> usize {
    if !scan.wants(Kind::IpAddress) {
        return at + 1;
    }
    // Its first colon tells what the bytes around it are.
    if at < scan.no_address_until {
        return at + 1;
    }
    let next = scan.byte(at + 1);
    if !(next == b':' || next.is_ascii_hexdigit()) {
        return at + 1;
    }
    let Some((start, end)) = v6_around(scan, at) else {
        scan.no_address_until = scan.end_of(at, is_v6);
        return at + 1;
    };
    // Nothing but colons is the unspecified address only where addresses are spoken of.
    if end - start == 2 && scan.byte(end) != b'/' && !scan.near(start).any.has(Context::of_kind(Kind::IpAddress)) {
        return end;
    }
    let joined = (scan.byte_before(start) == b'_', scan.byte(end) == b'_');
    let end = zone_end(scan, end);
    let end = prefix_end(scan, end, 128);
    scan.push_hanging(Kind::IpAddress, (start, end), Proof::Valid, joined);
    end
}

/// The IPv6 address that the colon at `at` is in.
fn v6_around(scan: &Scan<'_>, at: usize) -> Option<(usize, usize)> {
    const LONGEST: usize = 45;
    let start = scan.start_of(at, LONGEST, is_v6);
    let start = if start + 2 < at && is_escaped(scan, start + 2) { start + 2 } else { start };
    let mut end = scan.end_within(at, LONGEST + 1, is_v6);
    // Letters and digits that cannot be in an address: this is a name or a longer number.
    let inside = scan.byte_before(start).is_ascii_alphanumeric() && !is_escaped(scan, start);
    if inside || scan.byte(end).is_ascii_alphanumeric() {
        return None;
    }
    if !can_be_v6(scan.text.get(start..end).unwrap_or_default()) {
        return None;
    }
    // A full stop or colon of the sentence.
    while end > at + 1 && (scan.byte_before(end) == b'.' || scan.text.get(start..end).is_some_and(ends_in_one_colon)) {
        end -= 1;
    }
    (end > start && is::<Ipv6Addr>(scan, start, end)).then_some((start, end))
}

/// Whether bytes of IPv6 addresses can be one, but for a full stop or colon behind it: most are ruled out without reading them as one.
fn can_be_v6(text: &[u8]) -> bool {
    let (mut colons, mut row, mut doubles, mut digits) = (0, 0, 0, 0);
    for byte in text {
        match byte {
            b':' => {
                colons += 1;
                row += 1;
                digits = 0;
                doubles += u32::from(row == 2);
                if row > 2 || doubles > 1 {
                    return false;
                }
            }
            b'.' => (row, digits) = (0, 0),
            _ => {
                row = 0;
                digits += 1;
                if digits > 4 {
                    return false;
                }
            }
        }
    }
    colons >= 2 && (doubles > 0 || colons >= 6)
}

fn ends_in_one_colon(text: &[u8]) -> bool {
    text.ends_with(b":") && !text.ends_with(b"::")
}

fn is_v6(byte: &u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

/// Where a zone (RFC 6874) such as `%eth0` ends.
fn zone_end(scan: &Scan<'_>, end: usize) -> usize {
    // Not a sign that URLs write so.
    let escape = matches!(scan.byte(end + 1), b'0' | b'2' | b'3' | b'7') && scan.byte(end + 2).is_ascii_hexdigit();
    if scan.byte(end) != b'%' || escape {
        return end;
    }
    let zone = scan.end_within(end + 1, 32, u8::is_ascii_alphanumeric);
    if zone > end + 1 { zone } else { end }
}

/// Where a prefix length of at most `most` bits ends.
fn prefix_end(scan: &Scan<'_>, end: usize, most: u32) -> usize {
    let digits = scan.end_within(end + 1, 4, u8::is_ascii_digit);
    let bits = || std::str::from_utf8(scan.text.get(end + 1..digits)?).ok()?.parse::<u32>().ok();
    let is_prefix = scan.byte(end) == b'/' && digits <= end + 4 && bits().is_some_and(|bits| bits <= most);
    if is_prefix && !scan.byte(digits).is_ascii_alphanumeric() { digits } else { end }
}

fn is<A: std::str::FromStr>(scan: &Scan<'_>, start: usize, end: usize) -> bool {
    let text = scan.text.get(start..end).and_then(|text| std::str::from_utf8(text).ok());
    text.is_some_and(|text| text.parse::<A>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn addresses_are_found_with_their_prefix_and_zone() {
        check(
            Kind::IpAddress,
            &[
                "«192.168.0.1»",
                "from «10.0.0.1», «8.8.8.8».",
                "http://«203.0.113.7»:8080/x",
                "«192.168.1.0/24» and «10.0.0.0»/123",
                "«2001:db8::1»",
                "[«2001:db8::1»]:8080",
                "gateway «fe80::1%eth0»,",
                "«684D:1111:222:3333:4444:5555:6:77»",
                "«::ffff:192.0.2.1».",
                "«64:ff9b::192.0.2.0/96»",
                "«2001:db8::/32»",
                "loopback «::1» and ip «::»",
                "src=«::» dst=«::1»",
                "see «2001:db8::8a2e:370:7334»: down",
                "SSH to user@«2001:db8::1»",
                "v1.2.3.4 is a release of ours, «1.2.3.4» not",
            ],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_address_is_ruled_out_before_it_is_read(text in "([0-9a-f]{0,4}[:.]{1,2}){2,9}[0-9a-f]{0,3}[:.]{0,2}") {
            let trimmed = text.trim_end_matches('.');
            for end in [trimmed, trimmed.strip_suffix(':').unwrap_or(trimmed)] {
                proptest::prop_assert!(end.parse::<Ipv6Addr>().is_err() || can_be_v6(text.as_bytes()));
            }
        }
    }

    #[test]
    fn near_misses_are_no_addresses() {
        check(
            Kind::IpAddress,
            &[
                "1.2.3",
                "1.2.3.4.5",
                "256.1.1.1",
                "192.168.1.256",
                "01.02.03.04",
                "v1.2.3.4",
                "version 1.2.3.4",
                "Chrome/124.0.0.0",
                "text192.168.1.1",
                "192.168.1.1text",
                "12:34:56",
                "1:2:3:4",
                "aa:bb:cc:dd:ee:ff",
                "std::cout",
                "MyClass::toString",
                ":::",
                "a :: b",
                "fe80::1text",
                "2001::db8::1",
                "12345:db8::1",
                "::ffff:256.0.0.1",
                "2026-07-01T08:00:00Z",
            ],
        );
        check_at(Kind::IpAddress, "version", &["1.2.3.4"]);
    }
}
