//! E-mail addresses (RFC 5321, RFC 6531).

use super::Proof;
use super::scan::Scan;
use crate::kind::Kind;

/// Looks around the `@` at `at`. Returns where to go on.
#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>, at: usize) -> usize {
    if !scan.wants(Kind::Email) {
        return at + 1;
    }
    // Most that are no address have no domain, which shows sooner.
    let Some(end) = domain_end(scan, at + 1) else { return at + 1 };
    let Some(start) = local_start(scan, at) else { return at + 1 };
    scan.push(Kind::Email, start, end, Proof::Valid);
    end
}

/// Looks around an `@` that is written as in URLs (RFC 3986) or HTML, and whose digits begin at `digits`. Returns where to go on.
#[inline(never)]
pub(super) fn look_encoded(scan: &mut Scan<'_>, digits: usize) -> Option<usize> {
    const FORMS: [(&[u8], &[u8]); 4] = [(b"%", b"40"), (b"%", b"2540"), (b"&#", b"64;"), (b"&#x", b"40;")];
    let rest = scan.text.get(digits..)?;
    let before = scan.text.get(..digits)?;
    let (head, tail) = FORMS.iter().find(|(head, tail)| rest.starts_with(tail) && before.ends_with(head))?;
    let at = digits - head.len();
    let end = domain_end(scan, digits + tail.len())?;
    let start = local_start(scan, at)?;
    if scan.wants(Kind::Email) {
        scan.push(Kind::Email, start, end, Proof::Valid);
    }
    Some(end)
}

/// What characters begin with that are in no alphabet of Europe.
const FOREIGN: u8 = 0xe0;

/// Where the part before the `@` begins: up to 64 bytes of letters, digits and the signs that are used in practice, or a quoted
/// string. It needs a letter or digit, so that `***@example.org` is no address any more.
fn local_start(scan: &Scan<'_>, at: usize) -> Option<usize> {
    const LONGEST: usize = 64;
    if scan.byte_before(at) == b'"' {
        let quoted = scan.start_of(at - 1, LONGEST, |byte| !matches!(byte, b'"' | b'\n'));
        return (scan.byte_before(quoted) == b'"' && quoted < at - 1).then(|| quoted - 1);
    }
    let is_local = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || *byte >= 0x80
            || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'&' | b'~' | b'!' | b'#' | b'$' | b'*' | b'^')
    };
    let start = scan.start_of(at, LONGEST, is_local);
    let local = scan.text.get(start..at)?;
    // Scripts without blanks between words stand right before an address, and are no part of it unless it is in one, too.
    let last = local.iter().rev().find(|byte| !(0x80..0xc0).contains(*byte));
    let foreign = local.iter().rposition(|byte| *byte >= FOREIGN).filter(|_| last.is_some_and(|last| *last < FOREIGN));
    let start =
        start + foreign.map_or(0, |place| place + local.get(place).map_or(0, |byte| if *byte < 0xf0 { 3 } else { 4 }));
    let local = scan.text.get(start..at)?;
    // Quotes and signs before it are the sentence's; and never begin inside a character.
    let sign = |byte: &u8| !(byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0xc0);
    let skipped = local.iter().position(|byte| !sign(byte))?;
    let local = local.get(skipped..)?;
    local.iter().any(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80).then_some(start + skipped)
}

/// Where the domain that begins at `start` ends: labels of at most 63 bytes, at least two, and the last one no number.
fn domain_end(scan: &Scan<'_>, start: usize) -> Option<usize> {
    const LONGEST: usize = 253;
    let mut end = None;
    let mut label = start;
    let mut labels = 0;
    loop {
        let until = scan.end_of(label, |byte| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte >= 0x80);
        let name = scan.text.get(label..until).unwrap_or_default();
        let name = name.get(..name.iter().rposition(|byte| *byte != b'-').map_or(0, |last| last + 1))?;
        if name.is_empty() || name.len() > 63 || name.starts_with(b"-") || until - start > LONGEST {
            break;
        }
        labels += 1;
        // Nor behind one.
        let foreign = name.iter().position(|byte| *byte >= FOREIGN).filter(|_| name.first().is_some_and(u8::is_ascii));
        if let Some(name) = foreign.and_then(|place| name.get(..place)) {
            if labels > 1 && is_top(name) {
                end = Some(label + name.len());
            }
            break;
        }
        // No top-level domain has a hyphen, but something may hang on one: `ann@example.org-bob@example.com`.
        let top = name.iter().position(|byte| *byte == b'-').and_then(|hyphen| name.get(..hyphen)).unwrap_or(name);
        if labels > 1 && is_top(name) {
            end = Some(label + name.len());
        } else if labels > 1 && is_top(top) {
            end = Some(label + top.len());
        }
        if scan.byte(until) != b'.' || name.len() != until - label {
            break;
        }
        label = until + 1;
    }
    let end = end?;
    (!is_image(scan.text.get(start..end)?)).then_some(end)
}

fn is_top(label: &[u8]) -> bool {
    let letters = label.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
    label.len() >= 2 && (letters || label.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"xn--")))
}

/// `logo@2x.png` is a file.
fn is_image(domain: &[u8]) -> bool {
    let Some((scale, file)) = domain.split_first() else { return false };
    scale.is_ascii_digit() && matches!(file, b"x.png" | b"x.jpg" | b"x.jpeg" | b"x.gif" | b"x.webp" | b"x.svg")
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn addresses_are_found_without_the_sentence_around_them() {
        check(
            Kind::Email,
            &[
                "«ann@example.org»",
                "mail <«ann.o'neil+tag@mail.example.co.uk»>.",
                "('«ann@example.org»')",
                "user_email=«j.chen@support.example.com» ok",
                "mailto:«ann@example.org»?subject=x",
                "«ann@example.org», «bob@example.org»;«c@d.de».",
                "«user@xn--80ak6aa92e.com» «a@xn--d1acufc.xn--p1ai»",
                "«用户@例子.广告»",
                "«\"ann smith\"@example.org»",
                "see «ann@example.org»-- bye",
                "如有问题请联系客服中心«alice@example.com»我们会在两个工作日内回复您",
                "メールは«ann.lee@mail.example.org»です、«josé@exämple.org»、«b@c.de»。",
                "«ann@example.org».",
                "«ann@example.org».1",
            ],
        );
    }

    #[test]
    fn addresses_are_found_as_urls_and_html_write_them() {
        check(
            Kind::Email,
            &[
                "/search?user=«ann%40example.org»&page=2",
                "?to=«ann.smith%2540example.co.uk»#x",
                "<td>«ann&#64;example.org»</td> «bob&#x40;example.org»",
                "?id=«a1%40163.com»",
                "100%40 off",
                "a&#65;example.org",
                "ann%41example.org",
                "0x40example.org",
                "#64;example.org",
                "%40example.org",
            ],
        );
    }

    #[test]
    fn near_misses_are_no_addresses() {
        check(
            Kind::Email,
            &[
                "info@presidio.",
                "@handle",
                "a@b",
                "a@b.c",
                "pkg@1.2.3",
                "a@-b.org",
                "a @b.org",
                "logo@2x.png",
                "***@example.org",
                "a@.org",
                "\"\"@example.org",
                "a@b..org",
            ],
        );
    }

    #[test]
    fn a_long_local_part_does_not_hide_an_address() {
        let long = "a".repeat(300) + "@example.org";
        assert_eq!(super::super::tests::found(Kind::Email, "", &long).len(), 1);
    }
}
