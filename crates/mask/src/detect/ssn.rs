//! US social security numbers.

use super::number::{Group, Join, Run};
use super::scan::Scan;
use super::{Context, Proof};
use crate::kind::Kind;

#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>, run: &Run<'_>) {
    if !scan.wants(Kind::UsSsn) {
        return;
    }
    for from in 0..run.starts {
        match run.groups_from(from) {
            [one, two, three, rest @ ..] if (one.digits(), two.digits(), three.digits()) == (3, 2, 4) => {
                parted(scan, [*one, *two, *three], rest.first());
            }
            [one, two, ..] if matches!((one.digits(), two.digits()), (3, 6) | (5, 4)) && two.join == Join::Hyphen => {
                with_context(scan, one.start, two.end);
            }
            [one, ..] if one.digits() == 9 && one.join != Join::Dot => {
                with_context(scan, one.start, one.end);
            }
            _ => {}
        }
    }
}

/// Three groups with the same separator. Spaces also part numbers of a table or an address, so a neighbour,
/// or a word such as `suite`, asks for context.
fn parted(scan: &mut Scan<'_>, [one, two, three]: [Group; 3], next: Option<&Group>) {
    let join = two.join;
    let known = matches!(join, Join::Hyphen | Join::Dot | Join::Space);
    if !known || three.join != join || !is_issued(scan, one.start, three.end) {
        return;
    }
    let joined = (one.join == join, next.is_some_and(|next| next.join == join));
    let neighbour = joined != (false, false);
    let range = (one.start, three.end);
    match (neighbour, join) {
        (true, Join::Space) if with_context(scan, range.0, range.1) => {}
        (_, _) if !is_other(scan, one.start, join) => scan.push_hanging(Kind::UsSsn, range, Proof::Valid, joined),
        (true, _) => {}
        (false, _) => {
            with_context(scan, range.0, range.1);
        }
    }
}

/// Whether words say that it is something else: a thing, where spaces part it, or a number of goods (`Order #…`, `invoice no. …`);
/// a `+` begins telephone numbers.
fn is_other(scan: &Scan<'_>, start: usize, join: Join) -> bool {
    let before = (start.checked_sub(2).map_or(0, |at| scan.byte(at)), scan.byte_before(start));
    let said = match before {
        (_, b'#' | b'+') => true,
        (sign, b' ') => sign.is_ascii_alphanumeric() || matches!(sign, b'.' | b'#'),
        _ => join == Join::Space,
    };
    if !said {
        return false;
    }
    let near = scan.near(start);
    let goods = near.closest.has(Context::GOODS)
        || (near.closest.has(Context::NUMBER | Context::THING) && near.any.has(Context::GOODS));
    goods || (join == Join::Space && near.closest.has(Context::THING)) || scan.byte_before(start) == b'+'
}

fn with_context(scan: &mut Scan<'_>, start: usize, end: usize) -> bool {
    let said = scan.near(start).any.has(Context::of_kind(Kind::UsSsn) | Context::SSN) && is_issued(scan, start, end);
    if said {
        scan.push(Kind::UsSsn, start, end, Proof::Context);
    }
    said
}

/// Area, group and serial are ones the administration gives, and the number is none of those it printed on leaflets.
fn is_issued(scan: &Scan<'_>, start: usize, end: usize) -> bool {
    let digits = scan.text.get(start..end).unwrap_or_default().iter().filter(|byte| byte.is_ascii_digit());
    let number = digits.fold(0_u32, |number, digit| number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')));
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    let leaflet = matches!(number, 78_051_120 | 219_099_999 | 457_555_462);
    area != 0 && area != 666 && area < 900 && group != 0 && serial != 0 && !leaflet
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn parted_numbers_are_found_alone_and_bare_ones_with_context() {
        check(
            Kind::UsSsn,
            &[
                "«078-05-1123»",
                "«078.05.1123».",
                "abc «078 05 1123» abc",
                "ssn «219456789»",
                "social security number: «07805-1121» «078-051121»",
                "SSN «078 05 1123» 12 1990",
                "«899-99-9999»",
                "ID «123-45-6789», account #«123-45-6789», no. «123-45-6789»",
                "order for SSN «123-45-6789»",
                "ordered by Ann, «123-45-6789»",
            ],
        );
        // The name of a member says nothing against it: an order has a customer.
        check_at(Kind::UsSsn, "order", &["«123-45-6789»"]);
        check_at(Kind::UsSsn, "userSsn", &["«219456789»"]);
    }

    #[test]
    fn near_misses_are_no_social_security_numbers() {
        check(
            Kind::UsSsn,
            &[
                "219456789",
                "000-12-3456",
                "666-12-3456",
                "900-12-3456",
                "078-00-1123",
                "078-05-0000",
                "078-05-1120",
                "219-09-9999",
                "078-05.1123",
                "078-05-1123-4",
                "1-078-05-1123",
                "0780-05-1123",
                "078-05-11234",
                "123.45.6789.1",
                "2 123 45 6789",
                "Suite 680 36 4022 Oakridge Lane",
                "ssn 0780511201",
                "a078-05-1123",
                "Order #123-45-6789",
                "invoice no. 123-45-6789",
                "tracking ID 123-45-6789",
                "+678 05 1123",
            ],
        );
    }
}
