//! Numbers that industries give: banks, health care, devices.

use super::Context;
use super::checksum::{is_one_digit, luhn, part, weighted};
use super::digits::{Form, Spec};
use crate::kind::Kind;

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: Kind::UsAba,
        forms: &[Form::bare(&[9]), Form::grouped(&[4, 4, 1])],
        is_valid: is_aba,
        words: Context::NONE,
    },
    Spec {
        kind: Kind::UsNpi,
        forms: &[Form::bare(&[10]), Form::grouped(&[4, 3, 3])],
        is_valid: is_npi,
        words: Context::NONE,
    },
    Spec {
        kind: Kind::Imei,
        forms: &[Form::bare(&[15]), Form::grouped(&[2, 6, 6, 1]), Form::grouped(&[8, 6, 1])],
        is_valid: is_imei,
        words: Context::NONE,
    },
];

/// The districts of the Federal Reserve, and weights 3, 7, 1.
fn is_aba(digits: &[u8]) -> bool {
    let district = matches!(part(digits, 0, 2), 1..=12 | 21..=32 | 61..=72 | 80);
    district && weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// Luhn over the number behind 80840, the card issuer prefix of US health care.
fn is_npi(digits: &[u8]) -> bool {
    let prefixed: Vec<u8> = [8, 0, 8, 4, 0].iter().chain(digits).copied().collect();
    matches!(digits.first(), Some(1 | 2)) && luhn(&prefixed)
}

fn is_imei(digits: &[u8]) -> bool {
    luhn(digits) && !is_one_digit(digits)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn they_need_a_word_and_a_check_digit() {
        check_at(Kind::UsAba, "routingNumber", &["«121000358»", "«1210-0035-8»", "121000359", "421042111"]);
        check_at(Kind::UsNpi, "npi", &["«1234567893»", "«1234-567-893»", "1234567894", "3234567893"]);
        check_at(Kind::Imei, "imei", &["«490154203237518»", "«49-015420-323751-8»", "490154203237519"]);
        check(Kind::UsAba, &["121000358", "aba «121000358»"]);
        check(Kind::UsNpi, &["1234567893"]);
        check(Kind::Imei, &["490154203237518"]);
    }
}
