//! Numbers of passports and driving licences. They have no check digit that all countries share, so only a word right before
//! them, or the name they stand under, makes them one.

use super::scan::Scan;
use super::{Context, Proof};
use crate::kind::Kind;

/// Looks at the letters and digits `start..end`, which stand together.
pub(super) fn look(scan: &mut Scan<'_>, start: usize, end: usize) {
    // Most groups of digits are shorter than any.
    if (5..=18).contains(&(end - start)) {
        look_at(scan, start, end);
    }
}

#[inline(never)]
fn look_at(scan: &mut Scan<'_>, start: usize, end: usize) {
    let length = end - start;
    let said = scan.near(start).any;
    if !said.has(Context::of_kind(Kind::Passport) | Context::of_kind(Kind::DrivingLicence)) {
        return;
    }
    for (kind, lengths) in [(Kind::Passport, 6..=9), (Kind::DrivingLicence, 5..=18)] {
        if !scan.wants(kind) || !lengths.contains(&length) || !said.has(Context::of_kind(kind)) {
            continue;
        }
        let number = scan.text.get(start..end).unwrap_or_default();
        let digits = number.iter().filter(|byte| byte.is_ascii_digit()).count();
        let before = matches!(scan.byte_before(start), b'-' | b'.' | b'/' | b'_' | b'@');
        let behind = matches!(scan.byte(end), b'-' | b'/' | b'_' | b'@') && scan.byte(end + 1).is_ascii_alphanumeric();
        if digits >= 4 {
            scan.push_hanging(kind, (start, end), Proof::Context, (before, behind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn papers_are_found_only_where_words_say_so() {
        check(
            Kind::Passport,
            &[
                "passport no. «912803456»",
                "Reisepass «C01X00T47»",
                "pasaporte «AAA123456»",
                "A12803456",
                "passport A-12803456",
                "passport office",
                "passport 1234567890",
            ],
        );
        // One that could be German is that only where a word says so.
        let find = |text: &str| -> Vec<Kind> {
            let found = super::super::find(text.as_bytes(), Context::NONE, crate::kind::Kinds::all());
            found.iter().map(|span| span.kind).collect()
        };
        assert_eq!(find("passport N19610571"), [Kind::Passport]);
        assert_eq!(find("Reisepass C01X00T47"), [Kind::DeIdCard]);
        check_at(Kind::Passport, "passportNumber", &["«A12803456»"]);
        check(
            Kind::DrivingLicence,
            &[
                "driver's license «H12234567»",
                "Licence: «MORGA607054SM9IJ» ok",
                "Führerschein «B072RRE2I55»",
                "H12234567",
            ],
        );
    }
}
