//! Numbers of Europe that have digits alone.

use super::Context;
use super::checksum::{is_day, is_one_digit, last, luhn, mod_11_10, number, part, weighted};
use super::digits::{Form, Spec};
use super::number::Join;
use crate::kind::Kind;

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: Kind::UkNhs,
        forms: &[Form::bare(&[10]), Form::grouped(&[3, 3, 4])],
        is_valid: is_nhs,
        words: Context::NONE,
    },
    Spec {
        kind: Kind::DeTaxId,
        forms: &[Form::bare(&[11]), Form::grouped(&[2, 3, 3, 3])],
        is_valid: is_german_tax_id,
        words: Context::TAX,
    },
    Spec {
        kind: Kind::FrNir,
        forms: &[Form::alone(&[15]), Form::alone(&[1, 2, 2, 2, 3, 3, 2]), Form::alone(&[13, 2])],
        is_valid: is_nir,
        words: Context::SSN.or(Context::NATIONAL),
    },
    Spec {
        kind: Kind::NlBsn,
        forms: &[
            Form::bare(&[9]),
            Form::grouped(&[4, 2, 3]),
            Form::dotted(&[4, 2, 3], &[Join::Dot, Join::Dot]),
            Form::grouped(&[3, 3, 3]),
        ],
        is_valid: is_bsn,
        words: Context::NATIONAL,
    },
    Spec {
        kind: Kind::BeNationalNumber,
        forms: &[
            Form::parted(&[2, 2, 2, 3, 2], &[Join::Dot, Join::Dot, Join::Hyphen, Join::Dot]),
            Form::parted(&[2, 2, 2, 3, 2], &[Join::Dot, Join::Dot, Join::Space, Join::Dot]),
            Form::parted(&[2, 2, 2, 3, 2], &[Join::Dot, Join::Dot, Join::Hyphen, Join::Space]),
            Form::grouped(&[2, 2, 2, 3, 2]),
            Form::bare(&[11]),
            Form::grouped(&[6, 3, 2]),
        ],
        is_valid: is_belgian,
        words: Context::NATIONAL,
    },
    Spec {
        kind: Kind::PtNif,
        forms: &[Form::bare(&[9]), Form::grouped(&[3, 3, 3])],
        is_valid: is_portuguese,
        words: Context::TAX,
    },
    Spec { kind: Kind::PlPesel, forms: &[Form::bare(&[11])], is_valid: is_pesel, words: Context::NATIONAL },
    Spec {
        kind: Kind::SePersonnummer,
        forms: &[
            Form::parted(&[6, 4], &[Join::Hyphen]),
            Form::parted(&[8, 4], &[Join::Hyphen]),
            Form::grouped(&[6, 4]),
            Form::grouped(&[8, 4]),
            Form::bare(&[10]),
            Form::bare(&[12]),
        ],
        is_valid: is_personnummer,
        words: Context::NATIONAL,
    },
    Spec { kind: Kind::TrKimlik, forms: &[Form::bare(&[11])], is_valid: is_kimlik, words: Context::NATIONAL },
];

/// Mod 11, where 11 counts as 0 and 10 is never given.
fn is_nhs(digits: &[u8]) -> bool {
    let check = 11 - weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check % 11 == last(digits) && check != 10 && !is_one_digit(digits)
}

/// No digit stands more than three times among the first ten.
fn is_german_tax_id(digits: &[u8]) -> bool {
    let Some((_, head)) = digits.split_last() else { return false };
    let often = (0..10).any(|wanted| head.iter().filter(|digit| **digit == wanted).count() > 3);
    digits.first() != Some(&0) && !often && mod_11_10(digits)
}

/// Sex, year, month (or a code for an unknown one), place, order, and 97 less the rest mod 97.
fn is_nir(digits: &[u8]) -> bool {
    let sex = matches!(digits.first(), Some(1 | 2 | 3 | 4 | 7 | 8));
    let month = matches!(part(digits, 3, 2), 1..=12 | 20..=42 | 50..=99);
    sex && month && 97 - part(digits, 0, 13) % 97 == part(digits, 13, 2)
}

/// The eleven-test, in which the last digit counts negative.
fn is_bsn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum != 0 && sum % 11 == last(digits) && !is_one_digit(digits)
}

/// Mod 97, with a 2 in front for those born from 2000 on. Months are 20 or 40 higher in the register of strangers. What is not
/// known of the date is 0, and where the numbers of a day ran out, month and day count on from 0.
fn is_belgian(digits: &[u8]) -> bool {
    let (head, check) = (part(digits, 0, 9), part(digits, 9, 2));
    let month = part(digits, 2, 2) % 20;
    let day = part(digits, 4, 2);
    let born = month == 0 || is_day(month, day) || (month <= 12 && day == 0);
    born && (97 - head % 97 == check || 97 - (head + 2_000_000_000) % 97 == check)
}

fn is_portuguese(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest < 2 { 0 } else { 11 - rest };
    // 45 is for people from abroad, the seventies for inheritances and funds.
    let given = matches!(part(digits, 0, 2), 10..=39 | 45 | 50..=69 | 70..=72 | 74 | 75 | 77..=99);
    given && check == last(digits) && !is_one_digit(digits)
}

/// The century stands in the month.
fn is_pesel(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    sum.is_multiple_of(10) && is_day(part(digits, 2, 2) % 20, part(digits, 4, 2))
}

/// Luhn over the last ten. Days are 60 higher for those who are not registered.
pub(super) fn is_personnummer(digits: &[u8]) -> bool {
    let Some(short) = digits.len().checked_sub(10).and_then(|from| digits.get(from..)) else { return false };
    let day = part(short, 4, 2);
    let century = digits.len() == 10 || matches!(part(digits, 0, 2), 18..=20);
    century && luhn(short) && is_day(part(short, 2, 2), if day > 60 { day - 60 } else { day })
}

fn is_kimlik(digits: &[u8]) -> bool {
    let &[one, ..] = digits else { return false };
    let odd = weighted(digits, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let even = weighted(digits, &[0, 1, 0, 1, 0, 1, 0, 1]);
    let tenth = part(digits, 9, 1);
    let all = weighted(digits, &[1; 10]);
    // 7 times the odd places less the even ones; 100 keeps it positive.
    one != 0 && u64::from((odd * 7 + 100 - even) % 10) == tenth && all % 10 == last(digits) && number(digits) != 0
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn numbers_with_a_form_of_their_own_are_found_anywhere() {
        check(
            Kind::FrNir,
            &[
                "«255081416802538»",
                "nir «2 55 08 14 168 025 38».",
                "255081416802539",
                "555081416802538",
                "2 55 18 14 168 025 38",
            ],
        );
        check(
            Kind::BeNationalNumber,
            &[
                "«85.07.30-033.28»",
                "«17.07.30-033.84»",
                "85.07.30-033.29",
                "85073003328",
                "rijksregister «85073003328»",
                "«85.07.30 033.28» «85.07.30-033 28»",
                "niss «85 07 30 033 28»",
                "rijksregister «80010000236», 80014000229",
            ],
        );
        check(
            Kind::SePersonnummer,
            &[
                "«811218-9876»",
                "«19910924-2397» är mitt pnr",
                "811218-9875",
                "811318-9876",
                "personnummer «8112189876»",
                "personnummer «811218 9876», pnr «19811218 9876»",
                "811218 9876",
            ],
        );
    }

    #[test]
    fn a_word_for_one_country_decides_between_numbers_that_look_alike() {
        let find = |text: &str| -> Vec<Kind> {
            let kinds = [Kind::TrKimlik, Kind::PlPesel].into_iter().collect();
            super::super::find(text.as_bytes(), Context::NONE, kinds).iter().map(|span| span.kind).collect()
        };
        // Sound in both, and `kimlik` is the Turkish word; `identity` would be either's.
        assert_eq!(find("TC kimlik no 75652068548"), [Kind::TrKimlik]);
        assert_eq!(find("PESEL 75652068548"), [Kind::PlPesel]);
        assert_eq!(find("identity 75652068548").len(), 1);
        let find = |text: &str| -> Vec<Kind> {
            let kinds = [Kind::DeTaxId, Kind::BrCpf].into_iter().collect();
            super::super::find(text.as_bytes(), Context::NONE, kinds).iter().map(|span| span.kind).collect()
        };
        assert_eq!(find("Steuer-ID: 92453551604"), [Kind::DeTaxId]);
        assert_eq!(find("CPF 92453551604"), [Kind::BrCpf]);
    }

    #[test]
    fn the_others_need_a_word() {
        check_at(Kind::UkNhs, "nhsNumber", &["«943 476 5919»", "«9434765919»", "943 476 5918", "9434765919-1"]);
        check_at(Kind::DeTaxId, "steuerId", &["«86095742719»", "«86 095 742 719»", "86095742718", "06095742719"]);
        check_at(Kind::NlBsn, "bsn", &["«111222333»", "«1112.22.333»", "111222334", "000000000"]);
        check(Kind::NlBsn, &["1112.22.333"]);
        check_at(
            Kind::PtNif,
            "nif",
            &["«123456789»", "«451234561» «701234563»", "123456788", "412345676", "731234561"],
        );
        check_at(Kind::PlPesel, "pesel", &["«44051401458»", "«02070803628»", "44051401459", "44133101458"]);
        check_at(Kind::TrKimlik, "tckn", &["«10000000146»", "«36493665440»", "10000000145", "00000000000"]);
        for (kind, text) in [
            (Kind::UkNhs, "943 476 5919"),
            (Kind::DeTaxId, "86095742719"),
            (Kind::NlBsn, "111222333"),
            (Kind::PtNif, "123456789"),
            (Kind::PlPesel, "44051401458"),
            (Kind::TrKimlik, "10000000146"),
        ] {
            check(kind, &[text]);
        }
    }
}
