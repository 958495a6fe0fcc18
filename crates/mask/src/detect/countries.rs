//! Identifiers of letters and digits that countries and industries give.

use super::checksum::{is_day, number, weighted};
use super::class::is_word;
use super::mixed::Spec;
use super::number as runs;
use super::scan::Scan;
use super::{Context, Proof, europe};
use crate::kind::Kind;

pub(super) const SPECS: &[Spec] = &[
    Spec { kind: Kind::UsMbi, pattern: b"9A*9-A*9-AA99", is_valid: is_mbi, alone: true, words: Context::NONE },
    Spec { kind: Kind::UsDea, pattern: b"A*9999999", is_valid: is_dea, alone: false, words: Context::NONE },
    Spec { kind: Kind::UkNino, pattern: b"AA-99-99-99-A", is_valid: is_nino, alone: true, words: Context::NONE },
    Spec { kind: Kind::DeIdCard, pattern: b"*********", is_valid: is_german, alone: false, words: Context::PASSPORT },
    Spec { kind: Kind::DeIdCard, pattern: b"*********9", is_valid: is_german, alone: false, words: Context::PASSPORT },
    Spec {
        kind: Kind::FrNir,
        pattern: b"9-99-99-9A-999-999-99",
        is_valid: is_corsican,
        alone: true,
        words: Context::NONE,
    },
    Spec { kind: Kind::EsNif, pattern: b"99999999-A", is_valid: is_nif, alone: true, words: Context::NONE },
    Spec { kind: Kind::EsNif, pattern: b"99.999.999-A", is_valid: is_nif, alone: true, words: Context::NONE },
    Spec { kind: Kind::EsNif, pattern: b"9999999-A", is_valid: is_nif, alone: false, words: Context::TAX },
    Spec { kind: Kind::EsNif, pattern: b"A-9999999-A", is_valid: is_nie, alone: true, words: Context::NONE },
    Spec { kind: Kind::EsNif, pattern: b"A-9999999-A", is_valid: is_nif_klm, alone: false, words: Context::TAX },
    Spec { kind: Kind::BrCnpj, pattern: b"************99", is_valid: is_cnpj, alone: false, words: Context::TAX },
    Spec {
        kind: Kind::SePersonnummer,
        pattern: b"999999+9999",
        is_valid: is_personnummer,
        alone: true,
        words: Context::NONE,
    },
    Spec {
        kind: Kind::ItCodiceFiscale,
        pattern: b"AAAAAA**A**A***A",
        is_valid: is_codice_fiscale,
        alone: true,
        words: Context::NONE,
    },
    Spec { kind: Kind::FiHetu, pattern: b"999999A999*", is_valid: is_hetu, alone: true, words: Context::NONE },
    Spec { kind: Kind::FiHetu, pattern: b"999999+999*", is_valid: is_old_hetu, alone: true, words: Context::NONE },
    Spec { kind: Kind::InPan, pattern: b"AAAAA9999A", is_valid: is_pan, alone: true, words: Context::NONE },
    Spec { kind: Kind::InPan, pattern: b"AAAAA9999A", is_valid: |_| true, alone: false, words: Context::NONE },
    Spec { kind: Kind::SgNric, pattern: b"A9999999A", is_valid: is_nric, alone: true, words: Context::NONE },
    Spec {
        kind: Kind::SgNric,
        pattern: b"A9999999A",
        is_valid: looks_like_nric,
        alone: false,
        words: Context::NATIONAL,
    },
    Spec { kind: Kind::Vin, pattern: b"*****************", is_valid: is_vin, alone: true, words: Context::NONE },
    Spec {
        kind: Kind::Vin,
        pattern: b"*****************",
        is_valid: looks_like_vin,
        alone: false,
        words: Context::NONE,
    },
];

/// The values of letters (A is 10) and digits.
fn value(byte: u8) -> u32 {
    char::from(byte).to_digit(36).unwrap_or(0)
}

/// The digits of a text that has letters too.
fn digits(text: &[u8]) -> Vec<u8> {
    text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect()
}

/// Letters without S, L, O, I, B, Z, which look like digits.
fn is_mbi(text: &[u8]) -> bool {
    text.first() != Some(&b'0') && !text.iter().any(|byte| b"SLOIBZ".contains(byte))
}

/// The odd places and twice the even ones; the first letter is the kind of registrant.
fn is_dea(text: &[u8]) -> bool {
    let (Some(kind), &[one, two, three, four, five, six, check]) =
        (text.first(), digits(text.get(2..).unwrap_or_default()).as_slice())
    else {
        return false;
    };
    let sum = u32::from(one + three + five) + 2 * u32::from(two + four + six);
    b"ABCDEFGHJKLMPRSTUX".contains(kind) && sum % 10 == u32::from(check) && sum > 0
}

/// The prefixes that are given out.
fn is_nino(text: &[u8]) -> bool {
    let &[one, two, .., suffix] = text else { return false };
    let never = matches!(&[one, two], b"BG" | b"GB" | b"NK" | b"KN" | b"TN" | b"NT" | b"ZZ");
    !b"DFIQUV".contains(&one) && !b"DFIQUVO".contains(&two) && !never && matches!(suffix, b'A'..=b'D')
}

/// ICAO 9303: weights 7, 3, 1. The check digit is the last character, of nine or ten.
fn is_german(text: &[u8]) -> bool {
    let Some((&check, serial)) = text.split_last() else { return false };
    let first = text.first().is_some_and(|first| b"CFGHJKLMNPRTVWXYZ".contains(first));
    let known = text.iter().all(|byte| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte));
    let weights = [7, 3, 1].into_iter().cycle();
    let sum: u32 = serial.iter().zip(weights).map(|(byte, weight)| value(*byte) * weight).sum();
    // Nine characters also come without their check digit, so then the form must do.
    let form = text.len() == 9 && digits(text).len() >= 4;
    first && known && (form || (check.is_ascii_digit() && sum % 10 == value(check)))
}

/// The departments of Corsica count as 19 and 18.
fn is_corsican(text: &[u8]) -> bool {
    let &[sex, _, _, _, _, b'2', island, ..] = text else { return false };
    let less = match island {
        b'A' => 1_000_000,
        b'B' => 2_000_000,
        _ => return false,
    };
    let all: Vec<u8> = text.iter().map(|byte| if byte.is_ascii_digit() { byte - b'0' } else { 0 }).collect();
    let (head, check) = (all.get(..13).unwrap_or_default(), all.get(13..).unwrap_or_default());
    matches!(sex, b'1' | b'2') && 97 - number(head).saturating_sub(less) % 97 == number(check)
}

/// The letter is the number mod 23.
fn spanish_letter(number: u64) -> Option<u8> {
    let place = usize::try_from(number % 23).ok()?;
    b"TRWAGMYFPDXBNJZSQVHLCKE".get(place).copied()
}

fn is_nif(text: &[u8]) -> bool {
    let digits = digits(text);
    number(&digits) != 0 && spanish_letter(number(&digits)) == text.last().copied()
}

fn is_nie(text: &[u8]) -> bool {
    let head = match text.first() {
        Some(b'X') => 0,
        Some(b'Y') => 1,
        Some(b'Z') => 2,
        _ => return false,
    };
    spanish_letter(head * 10_000_000 + number(&digits(text))) == text.last().copied()
}

/// Spaniards who are too young or live abroad, and strangers.
fn is_nif_klm(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'K' | b'L' | b'M')) && is_nif(text)
}

/// As in [`americas`](super::americas), with letters in it, which numbers given from July 2026 on have: worth their code less 48.
fn is_cnpj(text: &[u8]) -> bool {
    let worth = |byte: &u8| u32::from(byte.saturating_sub(b'0'));
    let checks = |length: usize, weights: &[u32]| {
        let head = text.get(..length).unwrap_or_default();
        let sum: u32 = head.iter().zip(weights).map(|(byte, weight)| worth(byte) * weight).sum();
        text.get(length).is_some_and(|check| sum * 10 % 11 % 10 == worth(check))
    };
    let letters = text.iter().any(u8::is_ascii_uppercase);
    letters && checks(12, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) && checks(13, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
}

/// Looks at such a number as it is printed, `12.ABC.345/01DE-35`, whose last two digits are at `at`.
pub(super) fn look_cnpj(scan: &mut Scan<'_>, at: usize) {
    const FORM: &[u8; 18] = b"**.***.***/****-99";
    let Some(start) = at.checked_sub(16) else { return };
    let Some(number) = scan.text.get(start..start + FORM.len()) else { return };
    let fits = number.iter().zip(FORM).all(|(byte, form)| match form {
        b'*' => byte.is_ascii_alphanumeric(),
        b'9' => byte.is_ascii_digit(),
        _ => byte == form,
    });
    let before = is_word(&scan.byte_before(start)) && !runs::is_escaped(scan, start);
    let inside = before || is_word(&scan.byte(start + FORM.len()));
    if !fits || inside || !scan.wants(Kind::BrCnpj) {
        return;
    }
    let bare: Vec<u8> = number.iter().filter(|byte| is_word(byte)).map(u8::to_ascii_uppercase).collect();
    if is_cnpj(&bare) {
        scan.push(Kind::BrCnpj, start, start + FORM.len(), Proof::Valid);
    }
}

/// With `+` for those of a hundred years and more.
fn is_personnummer(text: &[u8]) -> bool {
    europe::is_personnummer(&digits(text))
}

/// Surname, name, year, month, day, place and a check letter. Digits can be letters, where two people would have the same code.
fn is_codice_fiscale(text: &[u8]) -> bool {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        _ => b"LMNPQRSTUV".iter().position(|letter| *letter == byte).and_then(|place| u8::try_from(place).ok()),
    };
    let &[_, _, _, _, _, _, year1, year2, month, day1, day2, _, place1, place2, place3, check] = text else {
        return false;
    };
    let all = [year1, year2, day1, day2, place1, place2, place3].map(digit);
    let &[Some(_), Some(_), Some(tens), Some(ones), Some(_), Some(_), Some(_)] = &all else { return false };
    let day = tens * 10 + ones;
    let born = b"ABCDEHLMPRST".contains(&month) && matches!(day, 1..=31 | 41..=71);
    let body = text.get(..15).unwrap_or_default();
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(place, byte)| {
            let even = if byte.is_ascii_digit() { u32::from(byte - b'0') } else { u32::from(byte.wrapping_sub(b'A')) };
            if place % 2 == 1 { even } else { italian(even) }
        })
        .sum();
    born && u32::from(check.wrapping_sub(b'A')) == sum % 26
}

/// The values of characters at odd places, by decree.
fn italian(even: u32) -> u32 {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    usize::try_from(even).ok().and_then(|place| ODD.get(place)).copied().unwrap_or(0)
}

/// A date, a letter for the century, and the rest of date and number mod 31.
fn is_hetu(text: &[u8]) -> bool {
    text.get(6).is_some_and(|century| b"ABCDEFYXWVU".contains(century)) && finnish(text, 7)
}

/// The same with a sign for the century.
fn is_old_hetu(text: &[u8]) -> bool {
    finnish(text, 6)
}

fn finnish(text: &[u8], order: usize) -> bool {
    let (Some(date), Some(order)) = (text.get(..6), text.get(order..order + 3)) else { return false };
    let nine = number(&digits(&[date, order].concat()));
    let (day, month) = (nine / 10_000_000, nine / 100_000 % 100);
    let check = usize::try_from(nine % 31).ok().and_then(|place| b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(place));
    is_day(month, day) && check == text.last()
}

/// The fourth letter is the kind of holder.
fn is_pan(text: &[u8]) -> bool {
    text.get(3).is_some_and(|holder| b"ABCFGHJKLPT".contains(holder))
}

fn looks_like_nric(text: &[u8]) -> bool {
    text.first().is_some_and(|series| b"STFGM".contains(series))
}

/// Weights 2, 7, 6, 5, 4, 3, 2, and more for those given from 2000 on.
fn is_nric(text: &[u8]) -> bool {
    let (Some(series), Some(check)) = (text.first(), text.last()) else { return false };
    let (more, letters) = match series {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    let sum = more + weighted(&digits(text), &[2, 7, 6, 5, 4, 3, 2]);
    usize::try_from(sum % 11).ok().and_then(|place| letters.get(place)) == Some(check)
}

/// Letters without I, O, Q, and digits; the last four are digits.
fn looks_like_vin(text: &[u8]) -> bool {
    let letters = text.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let tail = text.get(13..).is_some_and(|tail| tail.iter().all(u8::is_ascii_digit));
    letters >= 3 && tail && !text.iter().any(|byte| b"IOQ".contains(byte))
}

/// 49 CFR 565: the ninth character is the weighted sum mod 11, where 10 is `X`.
fn is_vin(text: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let worth = |byte: u8| match byte {
        b'A'..=b'H' => u32::from(byte - b'A') + 1,
        b'J'..=b'N' => u32::from(byte - b'J') + 1,
        b'P' | b'R' => u32::from(byte - b'P') + 7,
        b'S'..=b'Z' => u32::from(byte - b'S') + 2,
        _ => value(byte),
    };
    let sum: u32 = text.iter().zip(WEIGHTS).map(|(byte, weight)| worth(*byte) * weight).sum();
    let check = match sum % 11 {
        10 => b'X',
        rest => u8::try_from(rest).map_or(0, |rest| b'0' + rest),
    };
    looks_like_vin(text) && text.get(8) == Some(&check)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn identifiers_of_health_care() {
        check(
            Kind::UsMbi,
            &["«1EG4-TE5-MK73» «1EG4TE5MK73»", "1SG4-TE5-MK73", "AEG4-TE5-MK73", "1EG4TE5MK7", "1EG4TE5MK733"],
        );
        check(Kind::UsDea, &["DEA «BB1388568»", "dea number BG8207031", "BB1388568"]);
    }

    #[test]
    fn identifiers_of_european_countries() {
        check(
            Kind::UkNino,
            &[
                "«AA123456B» «AA 12 34 56 B», «tw987654a»",
                "AA 12 34 56 H",
                "BG123612A",
                "UV 98 76 54 B",
                "xAA123456B",
                "AA123456B-7",
            ],
        );
        check(
            Kind::EsNif,
            &["«12345678Z» «12345678-z» «12.345.678-Z»", "12345678A", "nif «1111111-G»", "401-023-2138"],
        );
        check(
            Kind::EsNif,
            &["nif «K1234567L» «m1234567l»", "dni «L-1234567-L»", "K1234567L", "nif K1234567A", "nif J1234567L"],
        );
        check(Kind::EsNif, &["«X9613851N» «Y8063915-Z» «z-8078221-m»", "Y8063915Q", "58063915Q"]);
        check(
            Kind::ItCodiceFiscale,
            &["«RSSMRA85T10A562S»", "«rssmra85t10a562s».", "RSSMRA85T10A562T", "AAAAAA00B11C333N"],
        );
        check(
            Kind::FiHetu,
            &[
                "«131052-308T» «131052A308T»",
                "131052-308U",
                "131052/308T",
                "131052308T",
                "«171170-5388»",
                "id «160724-3448».",
                "171170-5387",
                "311390-1111",
            ],
        );
        check(Kind::FrNir, &["«1 84 12 2A 451 089 33» «184122B45108960»", "184122A45108934"]);
        check(Kind::DeIdCard, &["Ausweis «L01X00T47»", "L01X00T47", "Reisepass «C01X00T478»", "Ausweis C01X00T479"]);
    }

    #[test]
    fn brazilian_firms_have_letters_in_their_numbers() {
        check(
            Kind::BrCnpj,
            &[
                "«12.ABC.345/01DE-35»",
                "cnpj: «12.abc.345/01de-35».",
                "CNPJ «12ABC34501DE35»",
                "12ABC34501DE35",
                "12.ABC.345/01DE-36",
                "CNPJ 12ABC34501DE36",
                "x12.ABC.345/01DE-35",
                "12.ABC.345/01DE-351",
                "12.ABC.345-01DE-35",
            ],
        );
        check_at(Kind::BrCnpj, "cnpj", &["«12ABC34501DE35»", "«11222333000181»"]);
        // A letter at every place but the last two, and none.
        let check_digits = |head: &str| {
            let digits = (0..100).map(|check| format!("{head}{check:02}"));
            digits.filter(|number| is_cnpj(number.as_bytes())).collect::<Vec<_>>()
        };
        for place in 0..12 {
            let mut head = "112223330001".to_owned();
            head.replace_range(place..=place, "Z");
            let [number] = check_digits(&head).try_into().unwrap();
            let part = |range: std::ops::Range<usize>| number.get(range).unwrap();
            let (head, tail) = ([part(0..2), part(2..5), part(5..8)].join("."), [part(8..12), part(12..14)].join("-"));
            let printed = format!("«{head}/{tail}»");
            check(Kind::BrCnpj, &[&printed, &format!("a {printed}, b")]);
        }
        assert!(check_digits("112223330001").is_empty());
    }

    #[test]
    fn signs_for_a_century_are_read_in_scandinavia() {
        check(Kind::SePersonnummer, &["«121212+1212» «181218+9874»", "181218+9875", "181318+9874", "tel 121212+12123"]);
        check(
            Kind::FiHetu,
            &[
                "«131052+308T»",
                "no. 12 «131052-308T»",
                "«131052Y308T» «131052U308T» «131052F308T»",
                "131052G308T",
                "131052T308T",
            ],
        );
    }

    #[test]
    fn identifiers_of_asian_countries() {
        check(Kind::InPan, &["«AAAPA1234A»", "«abbpm4567s»", "AAADA1234A", "ABCD1234"]);
        check(Kind::SgNric, &["«S1234567D» «F2346401L»", "S1234567A", "nric «S1234567A»", "PA12348L"]);
    }

    #[test]
    fn vehicles() {
        check(
            Kind::Vin,
            &[
                "«1M8GDM9AXKP042788»",
                "«1hgcm82633a004352»",
                "1M8GDM9A0KP042788",
                "VIN «WBA3A5C57CF256651»",
                "1M8GDM9AXKP0427889",
            ],
        );
        check_at(Kind::Vin, "vin", &["«1M8GDM9A0KP042788»", "IM8GDM9A0KP042788"]);
    }

    #[test]
    fn hashes_and_ids_are_none_of_them() {
        for row in
            ["9f8c2d1e-4b7a-4c3e-9d2f-000000000000", "d41d8cd98f00b204e9800998ecf8427e", "id_S1234567D", "a1b2c3d4"]
        {
            for spec in SPECS {
                check(spec.kind, &[row]);
            }
        }
    }
}
