//! Dates of birth: dates where words speak of birth.

use super::checksum::is_day;
use super::class::is_letter;
use super::number::{Group, Join, Run};
use super::scan::Scan;
use super::{Context, Proof};
use crate::kind::Kind;

#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>, run: &Run<'_>) {
    if !scan.wants(Kind::DateOfBirth) {
        return;
    }
    let said = scan.path.has(Context::of_kind(Kind::DateOfBirth));
    for from in 0..run.starts {
        let groups = run.groups_from(from);
        let Some(first) = groups.first() else { return };
        if !said && !scan.hears_words(first.start) {
            return;
        }
        let range = numeric(scan, groups).or_else(|| written(scan, first));
        of_birth(scan, range);
    }
}

/// Looks at a number that stands alone, which can be a day.
#[inline(never)]
pub(super) fn look_day(scan: &mut Scan<'_>, day: Group) {
    if scan.wants(Kind::DateOfBirth) {
        let range = written(scan, &day);
        of_birth(scan, range);
    }
}

fn of_birth(scan: &mut Scan<'_>, range: Option<(usize, usize)>) {
    if let Some((start, end)) = range
        && scan.near(start).any.has(Context::of_kind(Kind::DateOfBirth))
    {
        scan.push(Kind::DateOfBirth, start, end, Proof::Context);
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
fn written(scan: &Scan<'_>, day: &Group) -> Option<(usize, usize)> {
    let gap = |byte: &u8| matches!(byte, b' ' | b'.' | b',' | b'-');
    // The month or the year behind it is apart.
    if day.digits() > 2 || !gap(&scan.byte(day.end)) || !(1..=31).contains(&value(scan, day)) {
        return None;
    }
    let next = scan.end_of(day.end, gap);
    let year_end = |from: usize| (scan.map.digits(from).trailing_ones() == 4).then_some(from + 4);
    if next > day.end && begins_like_one(scan.text.get(next..).unwrap_or_default()) {
        let month_end = scan.end_within(next, 13, is_letter);
        if is_month(scan.text.get(next..month_end)?) {
            let end = year_end(scan.end_of(month_end, gap))?;
            return Some((day.start, end));
        }
    }
    let end = year_end(next)?;
    let before = scan.start_of(day.start, 3, gap);
    let month = scan.start_of(before, 12, is_letter);
    (before < day.start && is_month(scan.text.get(month..before)?)).then_some((month, end))
}

/// Whether a word is a month.
fn is_month(word: &[u8]) -> bool {
    (3..=12).contains(&word.len()) && begins_like_one(word)
}

/// Whether a text begins with the first three letters of a month, in the languages of most bundles.
fn begins_like_one(text: &[u8]) -> bool {
    let Some(&[one, two, three]) = text.first_chunk() else { return false };
    let head = [one, two, three].map(|byte| byte.to_ascii_lowercase());
    matches!(
        &head,
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
