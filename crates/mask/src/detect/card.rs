//! Payment card numbers (ISO/IEC 7812).

use super::checksum::{is_one_digit, luhn};
use super::number::{Group, Join};
use super::scan::Scan;
use super::{Context, Proof};
use crate::kind::Kind;

/// Whether a number of these first digits and this length is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Issued {
    Yes,
    /// Such cards are rare, other numbers of that form are not.
    Rarely,
    No,
}

/// Looks at `window`, groups of a run that have `digits` together, the last of which is their check digit. Whether it is a card.
#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>, window: &[Group], digits: &[u8]) -> bool {
    let (Some(first), Some(last)) = (window.first(), window.last()) else { return false };
    if is_one_digit(digits) {
        return false;
    }
    let grouping = grouping(window);
    let issued = issued(digits);
    if grouping == Grouping::None || issued == Issued::No {
        return false;
    }
    let near = scan.near(first.start);
    let card = near.any.has(Context::of_kind(Kind::CreditCard));
    let usual = grouping == Grouping::Usual && issued == Issued::Yes;
    let is_card = (usual && !near.closest.has(Context::ARTICLE)) || card;
    if is_card {
        // One side of a decimal point, or a part of something longer.
        let part = window.len() == 1 && first.join == Join::First && scan.hangs(first.start, u8::is_ascii_digit);
        let before = part || (window.len() == 1 && first.join == Join::Dot);
        let behind = scan.byte(last.end) == b'.' && scan.byte(last.end + 1).is_ascii_digit();
        scan.push_hanging(Kind::CreditCard, (first.start, last.end), Proof::Valid, (before, behind));
    }
    is_card
}

/// Looks at four groups of four digits from `at` on, of which `digits` tells where digits stand, that are parted by what parts no other
/// number: a comma, `_`, `/`, `|`, `;`, a tab, or two blanks. Nothing may go on that way, for lists are written so. Returns where the
/// card ends.
pub(super) fn look_parted(scan: &mut Scan<'_>, at: usize, digits: u64) -> Option<usize> {
    const BY_ONE: u64 = 0b01111_01111_01111_01111;
    const BY_TWO: u64 = 0b001111_001111_001111_001111;
    let size = match (digits & ((1 << 20) - 1), digits & ((1 << 23) - 1)) {
        (BY_ONE, _) => 1,
        (_, BY_TWO) => 2,
        _ => return None,
    };
    let end = at + 16 + 3 * size;
    let text = scan.text.get(at..end)?;
    let sign = text.get(4..4 + size)?;
    if !matches!(sign, [b',' | b'_' | b'/' | b'|' | b';' | b'\t'] | [b' ', b' ']) {
        return None;
    }
    let mut number = [0_u8; 16];
    for (slots, group) in number.chunks_mut(4).zip(text.chunks(4 + size)) {
        let (group, behind) = group.split_at_checked(4)?;
        if !behind.is_empty() && behind != sign {
            return None;
        }
        slots.iter_mut().zip(group).for_each(|(slot, digit)| *slot = digit.wrapping_sub(b'0'));
    }
    let goes_on = at.checked_sub(size).and_then(|before| scan.text.get(before..at)) == Some(sign)
        && at.checked_sub(size + 1).is_some_and(|before| scan.byte(before).is_ascii_digit())
        || scan.text.get(end..end + size) == Some(sign) && scan.byte(end + size).is_ascii_digit();
    let is_card = !goes_on
        && !scan.byte(end).is_ascii_alphabetic()
        && luhn(&number)
        && !is_one_digit(&number)
        && issued(&number) == Issued::Yes
        && scan.wants(Kind::CreditCard);
    is_card.then(|| {
        scan.push(Kind::CreditCard, at, end, Proof::Valid);
        end
    })
}

/// How many digits cards have that begin with these two: a bit for each number of them.
pub(super) const fn lengths(first: u8, second: u8) -> u32 {
    const ALL: u32 = 0xff << 12;
    const FROM_16: u32 = 0xf << 16;
    match (first, second) {
        (b'1', b'9') => 1 << 15 | 1 << 16 | 1 << 18 | 1 << 19,
        (b'1', _) | (b'2', b'1') | (b'3', b'4' | b'7') => 1 << 15,
        (b'2', b'2') | (b'3', b'5') => FROM_16,
        (b'2', b'3'..=b'7') | (b'5', b'1'..=b'5') | (b'8', b'6') | (b'9', b'7' | b'8') => 1 << 16,
        (b'3', b'0' | b'6' | b'8' | b'9') => 1 << 14 | FROM_16,
        (b'4', _) => 1 << 13 | 1 << 16 | 1 << 19,
        (b'5', b'0' | b'6'..=b'9') | (b'6', _) | (b'0', b'6') => ALL,
        (b'8', b'1' | b'2') => 1 << 16 | 1 << 18 | 1 << 19,
        _ => 0,
    }
}

/// How the digits are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grouping {
    /// As cards are: in one piece, or in groups with the same separator, of which the first has four digits, or digit by digit.
    Usual,
    /// As some write all numbers, so that only a word makes it a card.
    Odd,
    None,
}

fn grouping(window: &[Group]) -> Grouping {
    let Some((first, rest)) = window.split_first() else { return Grouping::None };
    let Some(second) = rest.first() else { return Grouping::Usual };
    let same = rest.iter().all(|group| group.join == second.join);
    let join = match second.join {
        Join::Space | Join::Hyphen => true,
        Join::Dot => window.len() >= 3,
        Join::First | Join::Slash | Join::Wide => false,
    };
    let groups = first.digits() == 4
        && rest.iter().rev().skip(1).all(|group| (3..=7).contains(&group.digits()))
        && rest.last().is_some_and(|group| (1..=7).contains(&group.digits()));
    let pairs = window.iter().all(|group| group.digits() == first.digits()) && first.digits() <= 3;
    match same && join {
        true if groups || pairs => Grouping::Usual,
        true if window.len() <= 7 => Grouping::Odd,
        _ => Grouping::None,
    }
}

/// The issuers' ranges and lengths.
fn issued(digits: &[u8]) -> Issued {
    let head = |count: usize| digits.iter().take(count).fold(0_u32, |head, digit| head * 10 + u32::from(*digit));
    let (two, three, four, six) = (head(2), head(3), head(4), head(6));
    let length = digits.len();
    let sure = match two {
        // JCB and UATP begin like dates and times do.
        13..=18 if four == 1800 => length == 15,
        // Mir, BORICA, Mastercard, JCB.
        20..=27 => {
            (four == 2131 && length == 15)
                || ((2200..=2205).contains(&four) && (16..=19).contains(&length))
                || ((2221..=2720).contains(&four) && length == 16)
        }
        // Diners Club.
        30 => matches!(three, 300..=305 | 309) && matches!(length, 14 | 16..=19),
        36 | 38 | 39 => matches!(length, 14 | 16..=19),
        // American Express.
        34 | 37 => length == 15,
        // JCB; of the rest of 35, which is nobody's, only the usual length.
        35 => length == 16 || ((3528..=3589).contains(&four) && (17..=19).contains(&length)),
        // Visa.
        40..=49 => matches!(length, 13 | 16 | 19),
        // Mastercard.
        51..=55 if length == 16 => true,
        // Maestro.
        50 | 56..=58 | 63 | 67 | 6 if is_maestro(two, four) => (12..=19).contains(&length),
        // UnionPay, Discover, RuPay, Verve, Elo, Maestro.
        50 | 60..=69 | 81 | 82 => matches!(length, 16 | 18 | 19),
        // Uzcard, Humo, Troy.
        86 | 97 | 98 => matches!(four, 8600 | 9860 | 9792) && length == 16,
        _ => false,
    };
    let rare = match two {
        // UATP, and the Indonesian network.
        10..=19 => length == 15 || (four == 1946 && matches!(length, 16 | 18 | 19)),
        50 | 56..=69 => (12..=19).contains(&length) && six != 0,
        _ => false,
    };
    match (sure, rare) {
        (true, _) => Issued::Yes,
        (false, true) => Issued::Rarely,
        (false, false) => Issued::No,
    }
}

fn is_maestro(two: u32, four: u32) -> bool {
    matches!(two, 56..=58)
        || matches!(four, 5018 | 5020 | 5038 | 6304 | 6390 | 6706 | 6709 | 6759 | 6761..=6763 | 6771 | 604)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn cards_of_every_issuer_are_found_in_every_grouping() {
        check(
            Kind::CreditCard,
            &[
                "«4111111111111111»",
                "card «4111 1111 1111 1111», exp 12/27",
                "«4111-1111-1111-1111»",
                "«4111.1111.1111.1111».",
                "«4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1»",
                "«41 11 11 11 11 11 11 11»",
                "amex «3714 496353 98431»",
                "«371449635398431»",
                "diners «3056 930902 5904»",
                "«30569309025904»",
                "jcb «3528000700000000», «213100000000001»",
                "kort «3501491638107069», «3598605537395855»",
                "mastercard «5555555555554444» «2223000048400011»",
                "discover «6011000400000000»",
                "maestro «6759649826438453» «5019717010103742» «501800000009»",
                "visa 13 «4222222222222», 19 «4000000000000000006»",
                "unionpay «6200000000000005»",
                "mir «2200000000000053»",
                "credit card: «122000000000003»",
                "id=«4111111111111111»;",
                "order_«4111111111111111»",
                "4111 1111 1111 1112 «4111 1111 1111 1111»",
                "card «378-2822-46310-005», amex «378 282 246 310 005»",
                "card «622575 1234567890127»",
                "«4111,1111,1111,1111» «4111/1111/1111/1111», «4111_1111_1111_1111»; «4111|1111|1111|1111»",
                "a\t«4111\t1111\t1111\t1111»\nb, «4111  1111  1111  1111»  x «4111;1111;1111;1111»",
            ],
        );
        check_at(Kind::CreditCard, "card", &["«122000000000003»"]);
    }

    #[test]
    fn near_misses_are_no_cards() {
        check(
            Kind::CreditCard,
            &[
                "4111111111111112",
                "4012-8888-8888-1882",
                "36168002586008",
                "350149163810706",
                "1748503543012",
                "122000000000003",
                "0.4111111111111111",
                "4111111111111111.00",
                "a4111111111111111",
                "4111111111111111a",
                "41111111111111111111111",
                "4111,1111/1111,1111",
                "4111, 1111, 1111, 1111",
                "4111,1111,1111,1112",
                "9,4111,1111,1111,1111",
                "4111,1111,1111,1111,2",
                "4111/1111/1111/1111a",
                "2021/2022/2023/2024",
                "4111  1111 1111  1111",
                "4111 1111-1111 1111",
                "5555555555555555",
                "0000000000000000",
                "ean 4222222222222",
                "378-2822-46310-005",
                "622575 1234567890127",
                "card 378/2822/46310/005",
                "card 378 2822-46310 005",
                "9f8c2d1e-4b7a-4c3e-9d2f-501800000009",
            ],
        );
    }

    #[test]
    fn no_number_that_is_issued_has_another_length_than_its_first_digits_say() {
        for head in 0..10_000_u32 {
            let text = format!("{head:04}11");
            let lengths = lengths(text.as_bytes()[0], text.as_bytes()[1]);
            for length in (0..24_usize).filter(|length| lengths >> length & 1 == 0 && *length >= 6) {
                let mut digits = vec![0_u8; length];
                digits.iter_mut().zip(text.bytes()).for_each(|(slot, digit)| *slot = digit - b'0');
                assert_eq!(issued(&digits), Issued::No, "{text} of {length}");
            }
        }
    }
}
