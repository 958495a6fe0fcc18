//! Dates of birth: dates where words speak of birth.

use super::checksum::is_day;
use super::number::{Group, Join, Run};
use super::scan::Scan;
use super::{Context, Proof};
use crate::mask::kind::Kind;

pub(super) fn look(scan: &mut Scan<'_>, run: &Run) {
    if !scan.wants(Kind::DateOfBirth) {
        return;
    }
    for from in 0..run.groups().len() {
        let groups = run.groups_from(from);
        let range = numeric(scan, groups).or_else(|| written(scan, groups));
        if let Some((start, end)) = range
            && scan.near(start).any.has(Context::of_kind(Kind::DateOfBirth))
        {
            scan.push(Kind::DateOfBirth, start, end, Proof::Context);
        }
    }
}

/// `1980-03-12`, `12.03.1980`, `3/12/80`, `12 03 1980`.
fn numeric(scan: &Scan<'_>, groups: &[Group]) -> Option<(usize, usize)> {
    let [one, two, three, ..] = groups else { return None };
    let joined = two.join == three.join && !matches!(two.join, Join::Wide | Join::First);
    let lengths = (one.digits(), two.digits(), three.digits());
    if !joined || !matches!(lengths, (4, 1..=2, 1..=2) | (1..=2, 1..=2, 2 | 4)) {
        return None;
    }
    let (a, b, c) = (value(scan, one), value(scan, two), value(scan, three));
    let valid = match lengths {
        (4, 1..=2, 1..=2) => is_year(a) && is_day(b, c),
        (1..=2, 1..=2, 4) => is_year(c) && (is_day(b, a) || is_day(a, b)),
        (1..=2, 1..=2, 2) => two.join != Join::Space && (is_day(b, a) || is_day(a, b)),
        _ => false,
    };
    valid.then_some((one.start, three.end))
}

/// `12 March 1980`, `12. März 1980`, `March 12, 1980`: a day, and a month in letters before or behind it.
fn written(scan: &Scan<'_>, groups: &[Group]) -> Option<(usize, usize)> {
    let day = groups.first().filter(|day| day.digits() <= 2 && (1..=31).contains(&value(scan, day)))?;
    let gap = |byte: &u8| matches!(byte, b' ' | b'.' | b',' | b'-');
    let letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte >= 0x80;
    let month = scan.end_of(day.end, gap);
    let month_end = scan.end_of(month, letter);
    if month > day.end && is_month(scan.text.get(month..month_end)?) {
        let year = scan.end_of(month_end, gap);
        let end = scan.end_of(year, u8::is_ascii_digit);
        return (end == year + 4).then_some((day.start, end));
    }
    let before = scan.start_of(day.start, 3, gap);
    let month = scan.start_of(before, 12, letter);
    let year = scan.end_of(day.end, gap);
    let end = scan.end_of(year, u8::is_ascii_digit);
    let known = before < day.start && is_month(scan.text.get(month..before)?) && end == year + 4;
    known.then_some((month, end))
}

/// The first three letters of the months, in the languages of most bundles.
fn is_month(word: &[u8]) -> bool {
    let Some(head) = word.get(..3) else { return false };
    let head = head.to_ascii_lowercase();
    word.len() <= 12
        && matches!(
            head.as_slice(),
            b"jan"
                | b"feb"
                | b"mar"
                | b"apr"
                | b"may"
                | b"jun"
                | b"jul"
                | b"aug"
                | b"sep"
                | b"oct"
                | b"nov"
                | b"dec"
                | b"m\xc3\xa4"
                | b"mai"
                | b"okt"
                | b"dez"
                | b"f\xc3\xa9"
                | b"avr"
                | b"jui"
                | b"ao\xc3"
                | b"d\xc3\xa9"
                | b"ene"
                | b"abr"
                | b"ago"
                | b"dic"
                | b"gen"
                | b"mag"
                | b"giu"
                | b"lug"
                | b"set"
                | b"ott"
        )
}

fn is_year(year: u64) -> bool {
    (1900..=2099).contains(&year)
}

fn value(scan: &Scan<'_>, group: &Group) -> u64 {
    let digits = scan.text.get(group.start..group.end).unwrap_or_default();
    digits.iter().take(9).fold(0, |value, digit| value * 10 + u64::from(digit.wrapping_sub(b'0')))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn dates_are_found_only_where_words_speak_of_birth() {
        check(
            Kind::DateOfBirth,
            &[
                "born «12.03.1980» in Ulm",
                "DOB: «3/12/80»",
                "date of birth «1980-03-12»",
                "geboren am «12. März 1980»",
                "birthday: «March 12, 1980»",
                "born on «12 March 1980»",
                "1980-03-12",
                "born 1980-13-12",
                "born 13.13.1980",
                "born in 1980",
                "born 99/99/99",
            ],
        );
        check_at(Kind::DateOfBirth, "birthDate", &["«1980-03-12»", "«1980-03-12»T00:00:00Z"]);
        check_at(Kind::DateOfBirth, "createdAt", &["1980-03-12"]);
    }
}
