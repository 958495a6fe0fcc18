//! Two findings side by side: whatever joins them, no half of either may be left.

use super::{Context, find};
use crate::kind::{Kind, Kinds};
use std::collections::BTreeMap;

/// Texts that have a finding of the kind where they stand alone.
const SAMPLES: &[(Kind, &str)] = &[
    (Kind::Jwt, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV"),
    (Kind::ApiKey, "ghp_aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0eF2hI4"),
    (Kind::BearerToken, "Authorization: Bearer mF_9.B5f-4.1JqM1234567"),
    (Kind::UrlCredentials, "postgres://ann:s3cret@db.internal"),
    (Kind::Iban, "DE89370400440532013000"),
    (Kind::Iban, "DE89 3704 0044 0532 0130 00"),
    (Kind::CreditCard, "4111111111111111"),
    (Kind::CreditCard, "4111 1111 1111 1111"),
    (Kind::CreditCard, "4111-1111-1111-1111"),
    (Kind::CreditCard, "3714 496353 98431"),
    (Kind::CryptoAddress, "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ"),
    (Kind::CryptoAddress, "0x52908400098527886E0F7030069857D2E4169EE7"),
    (Kind::UsSsn, "536-22-8726"),
    (Kind::UsSsn, "536 22 8726"),
    (Kind::UsSsn, "ssn 536228726"),
    (Kind::UsAba, "aba 121000358"),
    (Kind::UsNpi, "npi 1234567893"),
    (Kind::UsMbi, "1EG4-TE5-MK73"),
    (Kind::UsDea, "DEA BB1388568"),
    (Kind::BrCnpj, "12.ABC.345/01DE-35"),
    (Kind::UkNino, "AA123456B"),
    (Kind::UkNino, "AA 12 34 56 B"),
    (Kind::DeIdCard, "Ausweis L01X00T47"),
    (Kind::FrNir, "1 84 12 2A 451 089 33"),
    (Kind::EsNif, "12345678Z"),
    (Kind::EsNif, "X9613851N"),
    (Kind::ItCodiceFiscale, "RSSMRA85T10A562S"),
    (Kind::PlPesel, "pesel 44051401458"),
    (Kind::SePersonnummer, "121212+1212"),
    (Kind::FiHetu, "131052-308T"),
    (Kind::TrKimlik, "tckn 10000000146"),
    (Kind::AuTfn, "tfn 876 543 210"),
    (Kind::AuAbn, "51 824 753 556"),
    (Kind::AuMedicare, "2123 45670 1"),
    (Kind::InAadhaar, "3123 4567 8909"),
    (Kind::InAadhaar, "3123-4567-8909"),
    (Kind::InPan, "AAAPA1234A"),
    (Kind::KrRrn, "960121-1234567"),
    (Kind::SgNric, "S1234567D"),
    (Kind::ThNationalId, "1-2345-67890-12-1"),
    (Kind::ZaId, "800101 5009 087"),
    (Kind::NgNin, "NIN: 23456789019"),
    (Kind::Passport, "passport no. 912803456"),
    (Kind::DrivingLicence, "Licence: MORGA607054SM9IJ"),
    (Kind::Email, "ann.lee@gmail.com"),
    (Kind::Email, "bob@mail.example.org"),
    (Kind::IpAddress, "192.168.10.21"),
    (Kind::IpAddress, "2001:db8::1"),
    (Kind::MacAddress, "00:1A:2B:3C:4D:5E"),
    (Kind::MacAddress, "00-1a-2b-3c-4d-5e"),
    (Kind::Vin, "1M8GDM9AXKP042788"),
    (Kind::Imei, "imei 490154203237518"),
    (Kind::Bic, "BIC: DEUTDEFF"),
    (Kind::DateOfBirth, "born 12.03.1980"),
    (Kind::Phone, "+49 30 901820"),
    (Kind::Phone, "(415) 555-0132"),
    (Kind::Phone, "415-555-0132"),
    (Kind::Phone, "415.555.0132"),
    (Kind::Phone, "tel 5550132"),
];

const SEPARATORS: &[&str] = &[
    " ", "  ", "-", " - ", "/", ",", ", ", ";", "|", "_", "+", "&", "=", "\n", "\t", "%20", "%2C", "(", ") ", "#", "~",
    "*", ":", ".",
];

/// Where the second begins with a word, which `-`, `_` and `/` join to the first as they do a part of a name, and an escape to its
/// letters; and where the first says that numbers near it are those of things.
fn is_word(one: (Kind, &str), separator: &str, other: (Kind, &str)) -> bool {
    let named = other.1.contains(' ') && other.1.starts_with(|first: char| first.is_ascii_alphabetic());
    let worded = named && !other.1.starts_with("AA 12") && !other.1.starts_with("DE89 ");
    let url = other.0 == Kind::UrlCredentials && matches!(separator, "-" | "_" | "/");
    let things = matches!(one.0, Kind::Passport | Kind::DrivingLicence);
    url || worded && matches!(separator, "-" | "_" | "/" | "%2C" | "%20")
        || things && matches!(other.0, Kind::AuMedicare | Kind::InAadhaar)
}

/// Where one follows the other as the parts of one of them do, both are something else: a longer address, a fingerprint, a key.
fn is_one(one: (Kind, &str), separator: &str, other: (Kind, &str)) -> bool {
    let own = |text: &str| text.contains(separator) || text.contains(':') && separator == ":";
    // A telephone number that only a word tells goes on as far as digits do.
    if separator == "-" && one.1.starts_with("tel ") && other.0 == Kind::FiHetu {
        return true;
    }
    match separator {
        ":" | "." => one.0 == Kind::IpAddress || other.0 == Kind::IpAddress || own(one.1) || own(other.1),
        "/" => one.0 == Kind::IpAddress,
        "_" if one.0 == other.0 && one.0 == Kind::IpAddress => true,
        "-" | "_" => [one, other].iter().any(|(kind, text)| *kind == Kind::MacAddress && text.contains('-')),
        _ => false,
    }
}

fn ranges(text: &str) -> Vec<(usize, usize)> {
    find(text.as_bytes(), Context::NONE, Kinds::all()).into_iter().map(|span| (span.start, span.end)).collect()
}

#[test]
fn each_sample_is_found_alone() {
    for (kind, text) in SAMPLES {
        let found = find(text.as_bytes(), Context::NONE, Kinds::all());
        assert!(found.iter().any(|span| span.kind == *kind), "{kind:?} in {text}: {found:?}");
    }
}

#[test]
fn no_half_of_two_findings_is_left_whatever_joins_them() {
    let mut left: BTreeMap<(&str, Kind, Kind), (usize, String)> = BTreeMap::new();
    let mut count = 0;
    for one in SAMPLES {
        for other in SAMPLES {
            for separator in SEPARATORS
                .iter()
                .filter(|separator| !is_one(*one, separator, *other) && !is_word(*one, separator, *other))
            {
                let text = format!("{}{separator}{}", one.1, other.1);
                let from = one.1.len() + separator.len();
                let wanted =
                    ranges(one.1).into_iter().chain(ranges(other.1).into_iter().map(|(a, b)| (a + from, b + from)));
                let found = ranges(&text);
                let covers = |at: usize| found.iter().any(|(start, end)| (*start..*end).contains(&at));
                // What no letter or digit of is left is not left.
                let is_letter = |at: &usize| text.as_bytes()[*at].is_ascii_alphanumeric();
                count += 1;
                if !wanted.flat_map(|(start, end)| start..end).filter(is_letter).all(covers) {
                    let (times, _) = left.entry((separator, one.0, other.0)).or_insert((0, text.clone()));
                    *times += 1;
                }
            }
        }
    }
    for ((separator, one, other), (times, text)) in &left {
        println!("{separator:?} {one:?} {other:?} {times}: {text:?} has {:?}", ranges(text));
    }
    assert!(left.is_empty(), "{} of {count}", left.len());
}
