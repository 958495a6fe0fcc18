//! Numbers of the Americas.

use super::Context;
use super::checksum::{is_one_digit, last, luhn, weighted};
use super::digits::{Form, Spec};
use super::number::Join;
use crate::kind::Kind;

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: Kind::UsItin,
        forms: &[Form::alone(&[3, 2, 4]), Form::bare(&[9]), Form::grouped(&[3, 6]), Form::grouped(&[5, 4])],
        is_valid: is_itin,
        words: Context::SSN.or(Context::TAX),
    },
    Spec {
        kind: Kind::CaSin,
        forms: &[Form::bare(&[9]), Form::grouped(&[3, 3, 3])],
        is_valid: is_sin,
        words: Context::NATIONAL,
    },
    Spec {
        kind: Kind::BrCpf,
        forms: &[
            Form::parted(&[3, 3, 3, 2], &[Join::Dot, Join::Dot, Join::Hyphen]),
            Form::bare(&[11]),
            Form::grouped(&[9, 2]),
        ],
        is_valid: is_cpf,
        words: Context::TAX,
    },
    Spec {
        kind: Kind::BrCnpj,
        forms: &[Form::parted(&[2, 3, 3, 4, 2], &[Join::Dot, Join::Dot, Join::Slash, Join::Hyphen]), Form::bare(&[14])],
        is_valid: is_cnpj,
        words: Context::TAX,
    },
];

/// Area 900 to 999, and the groups the Internal Revenue Service gives.
fn is_itin(digits: &[u8]) -> bool {
    let &[9, _, _, ten, one, ..] = digits else { return false };
    matches!(ten * 10 + one, 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// The first digit is the province; 0 and 8 are not given to people.
fn is_sin(digits: &[u8]) -> bool {
    !matches!(digits.first(), None | Some(0 | 8)) && luhn(digits) && !is_one_digit(digits)
}

fn is_cpf(digits: &[u8]) -> bool {
    let Some((_, head)) = digits.split_last() else { return false };
    !is_one_digit(digits)
        && brazilian(head, &[10, 9, 8, 7, 6, 5, 4, 3, 2])
        && brazilian(digits, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])
}

fn is_cnpj(digits: &[u8]) -> bool {
    let Some((_, head)) = digits.split_last() else { return false };
    !is_one_digit(digits)
        && brazilian(head, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
        && brazilian(digits, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
}

/// Whether the last digit is the weighted sum of the others times ten, mod 11, where 10 counts as 0.
fn brazilian(digits: &[u8], weights: &[u32]) -> bool {
    weighted(digits, weights) * 10 % 11 % 10 == last(digits)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn taxpayers_of_the_united_states() {
        check(
            Kind::UsItin,
            &["«911-70-1234»", "itin «911701234»", "911701234", "911-89-1234", "811-70-1234", "911-70-12345"],
        );
    }

    #[test]
    fn canadian_social_insurance_numbers_need_a_word() {
        check(
            Kind::CaSin,
            &[
                "Social Insurance Number: «130 692 544»",
                "SIN «130 692 544»",
                "nas «731-530-150»",
                "sin 130 692 545",
                "sin 046 454 286",
                "130 692 544",
            ],
        );
        check_at(Kind::CaSin, "sin", &["«550090112»", "999 999 999", "046454286", "1306925440"]);
    }

    #[test]
    fn brazilian_tax_numbers() {
        check(
            Kind::BrCpf,
            &[
                "«529.982.247-25»",
                "cpf «52998224725»",
                "52998224725",
                "529.982.247-26",
                "111.111.111-11",
                "529-982-247-25",
            ],
        );
        check(
            Kind::BrCnpj,
            &["«11.222.333/0001-81»", "CNPJ «11222333000181»", "11.222.333/0001-80", "00.000.000/0000-00"],
        );
    }
}
