//! Numbers of Asia, Australia and Africa that have digits alone.

use super::Context;
use super::checksum::{is_day, is_one_digit, last, luhn, part, verhoeff, weighted};
use super::digits::{Form, Spec};
use super::number::Join;
use crate::kind::Kind;

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: Kind::AuTfn,
        forms: &[Form::bare(&[9]), Form::grouped(&[3, 3, 3])],
        is_valid: is_tfn,
        words: Context::TAX,
    },
    Spec {
        kind: Kind::AuAbn,
        forms: &[Form::alone(&[2, 3, 3, 3]), Form::bare(&[11])],
        is_valid: is_abn,
        words: Context::TAX,
    },
    Spec {
        kind: Kind::AuMedicare,
        forms: &[Form::likely(&[4, 5, 1]), Form::bare(&[10]), Form::bare(&[11])],
        is_valid: is_medicare,
        words: Context::NONE,
    },
    Spec {
        kind: Kind::InAadhaar,
        forms: &[Form::likely(&[4, 4, 4]), Form::bare(&[12])],
        is_valid: is_aadhaar,
        words: Context::NATIONAL,
    },
    Spec {
        kind: Kind::KrRrn,
        forms: &[Form::parted(&[6, 7], &[Join::Hyphen]), Form::grouped(&[6, 7]), Form::bare(&[13])],
        is_valid: is_rrn,
        words: Context::NATIONAL,
    },
    Spec {
        kind: Kind::ThNationalId,
        forms: &[Form::alone(&[1, 4, 5, 2, 1]), Form::bare(&[13])],
        is_valid: is_thai,
        words: Context::NATIONAL,
    },
    Spec {
        kind: Kind::ZaId,
        forms: &[Form::alone(&[6, 4, 3]), Form::alone(&[6, 4, 2, 1]), Form::bare(&[13])],
        is_valid: is_south_african,
        words: Context::NATIONAL,
    },
    Spec { kind: Kind::NgNin, forms: &[Form::bare(&[11])], is_valid: is_nigerian, words: Context::NATIONAL },
];

fn is_tfn(digits: &[u8]) -> bool {
    weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11) && !is_one_digit(digits)
}

/// Mod 89, with one taken from the first digit.
fn is_abn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    digits.first() != Some(&0) && sum % 89 == 10
}

/// The ninth digit checks the first eight; the tenth is the issue, an eleventh the person on the card.
fn is_medicare(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]);
    matches!(digits.first(), Some(2..=6)) && u64::from(sum % 10) == part(digits, 8, 1) && part(digits, 9, 1) != 0
}

fn is_aadhaar(digits: &[u8]) -> bool {
    let palindrome = digits.iter().eq(digits.iter().rev());
    digits.first() >= Some(&2) && !palindrome && verhoeff(digits)
}

/// A date and the sex with the century. The check digit is not looked at: numbers given since October 2020 have none.
fn is_rrn(digits: &[u8]) -> bool {
    is_day(part(digits, 2, 2), part(digits, 4, 2)) && matches!(part(digits, 6, 1), 1..=8)
}

/// The kind of person, the province and district, and mod 11.
fn is_thai(digits: &[u8]) -> bool {
    let province = matches!(
        part(digits, 1, 2),
        10..=19 | 20..=27 | 30..=49 | 50..=58 | 60..=67 | 70..=77 | 80..=86 | 90..=96
    );
    let rest = weighted(digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    matches!(digits.first(), Some(1..=8)) && province && (11 - rest) % 10 == last(digits)
}

/// A date, the citizenship, and Luhn.
fn is_south_african(digits: &[u8]) -> bool {
    is_day(part(digits, 2, 2), part(digits, 4, 2)) && part(digits, 10, 1) <= 2 && luhn(digits)
}

fn is_nigerian(digits: &[u8]) -> bool {
    digits.first() != Some(&0) && verhoeff(digits) && !is_one_digit(digits)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn numbers_with_a_form_of_their_own_are_found_anywhere() {
        check(Kind::AuAbn, &["«51 824 753 556»", "52 824 753 556", "51824753556", "abn «51824753556»"]);
        check(Kind::AuMedicare, &["«2123 45670 1»", "2123 25870 1", "medicare «2123456701»", "1123 45670 1"]);
        check(
            Kind::InAadhaar,
            &[
                "«3123 4567 8909»",
                "«3123-4567-8909»",
                "1234-5678-9012",
                "tracking number 3123 4567 8909",
                "aadhaar «312345678909»",
            ],
        );
        check(
            Kind::KrRrn,
            &[
                "«960121-1234567»",
                "960121-0234567",
                "001332-1234567",
                "rrn «9601211021413» «960121 1021413»",
                "960121 1021413",
                "9601211021413",
            ],
        );
        check(Kind::ThNationalId, &["«1-2345-67890-12-1»", "1-2345-67890-12-2", "1034567890124"]);
        check(Kind::ZaId, &["«800101 5009 087» «800101 5009 08 7»", "800101 5009 086", "8001015009087"]);
        check(Kind::ZaId, &["SA ID number: «8001015009087»"]);
    }

    #[test]
    fn the_others_need_a_word() {
        check_at(Kind::AuTfn, "tfn", &["«876 543 210»", "«876543210»", "824 753 557"]);
        check_at(Kind::ZaId, "rsaId", &["«8001015009087»", "8001015009086", "8013015009087"]);
        check_at(Kind::ThNationalId, "thaiId", &["«1234567890121»", "1234567890122", "0234567890124", "1284567890124"]);
        check_at(Kind::NgNin, "nin", &["«12345678902» «98765432102»", "12345678901", "02345678901", "12345678902-1"]);
        check(Kind::NgNin, &["12345678902", "NIN: «23456789019»", "tin 23456789019"]);
        check(Kind::AuTfn, &["876 543 210"]);
    }
}
