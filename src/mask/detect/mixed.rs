//! Identifiers of letters and digits: one table row each, by pattern, check character and context.

use super::scan::Scan;
use super::{Context, Proof, countries};
use crate::mask::kind::Kind;

/// One kind of identifier.
pub(super) struct Spec {
    pub(super) kind: Kind,
    /// `A` is a letter, `9` a digit, `*` either, `-` at most one space or hyphen, `.` at most
    /// one dot, `+` one hyphen or plus sign.
    pub(super) pattern: &'static [u8],
    /// Whether the letters (as capitals) and digits can be such an identifier.
    pub(super) is_valid: fn(&[u8]) -> bool,
    /// Whether pattern and check are enough, without a word that says so.
    pub(super) alone: bool,
    /// What else than the kind's own words speaks for it.
    pub(super) words: Context,
}

/// The longest identifier, without separators.
const LONGEST: usize = 24;

/// Looks for identifiers that begin with the letters and digits `start..end`, which stand together. Returns where to go on.
pub(super) fn look(scan: &mut Scan<'_>, start: usize, end: usize) -> usize {
    match rows(scan, start, end) {
        0 => end,
        rows => look_for_all(scan, start, end, rows),
    }
}

/// The rows that can stand there.
fn rows(scan: &Scan<'_>, start: usize, end: usize) -> u32 {
    let Some(known) = ROWS.get(end - start) else { return 0 };
    let behind = match (scan.byte(end), scan.byte(end + 1)) {
        (b' ' | b'-' | b'.' | b'+', b'0'..=b'9') => known.digit,
        (b' ' | b'-' | b'.' | b'+', b'A'..=b'Z' | b'a'..=b'z') => known.letter,
        _ => 0,
    };
    let rows = known.whole | behind;
    if rows == 0 || matches!(scan.byte_before(start), b'_' | b'-') { 0 } else { rows }
}

#[inline(never)]
fn look_for_all(scan: &mut Scan<'_>, start: usize, end: usize, mut rows: u32) -> usize {
    let words = scan.map.words(start);
    let digits = scan.map.digits(start);
    let letters = words & !digits;
    let mut until = end;
    while rows != 0 {
        let row = rows.trailing_zeros() as usize;
        rows &= rows - 1;
        let head = HEADS.get(row).copied().unwrap_or_default();
        // Most are ruled out by their first characters.
        if (head.letters & !letters) | (head.digits & !digits) | (head.either & !words) == 0
            && let Some(spec) = countries::SPECS.get(row).filter(|spec| scan.wants(spec.kind))
        {
            until = until.max(look_for(scan, start, spec).unwrap_or(end));
        }
    }
    until
}

/// What the characters of a pattern before its first separator must be: a bit for each.
#[derive(Clone, Copy, Default)]
struct Head {
    letters: u64,
    digits: u64,
    either: u64,
}

/// The heads of all rows.
const HEADS: [Head; countries::SPECS.len()] = {
    let mut all = [Head { letters: 0, digits: 0, either: 0 }; countries::SPECS.len()];
    let mut slots: &mut [Head] = &mut all;
    let mut specs = countries::SPECS;
    while let ([slot, rest @ ..], [spec, more @ ..]) = (slots, specs) {
        let mut bit = 1;
        let mut pattern = spec.pattern;
        while let [class, others @ ..] = pattern {
            match *class {
                b'A' => slot.letters |= bit,
                b'9' => slot.digits |= bit,
                b'*' => slot.either |= bit,
                _ => break,
            }
            bit <<= 1;
            pattern = others;
        }
        slots = rest;
        specs = more;
    }
    all
};

/// As [`look`], where the digits at `at` can belong to letters before them, as in `AB 12 34 56 C` and `X-1234567-L`.
pub(super) fn look_before(scan: &mut Scan<'_>, at: usize) {
    let parted = matches!(scan.byte_before(at), b' ' | b'-');
    let Some(end) = at.checked_sub(1).filter(|_| parted) else { return };
    let count = scan.map.words_before(end);
    if matches!(count, 1 | 2) {
        let start = end - count;
        if scan.text.get(start..end).is_some_and(|letters| letters.iter().all(u8::is_ascii_alphabetic)) {
            look(scan, start, end);
        }
    }
}

fn look_for(scan: &mut Scan<'_>, start: usize, spec: &Spec) -> Option<usize> {
    let mut read = [0_u8; LONGEST];
    let mut length = 0_usize;
    let mut at = start;
    for class in spec.pattern {
        let byte = scan.byte(at);
        let fits = match class {
            b'A' => byte.is_ascii_alphabetic(),
            b'9' => byte.is_ascii_digit(),
            b'*' => byte.is_ascii_alphanumeric(),
            b'+' if !matches!(byte, b'-' | b'+') => return None,
            separator => {
                at += usize::from(match separator {
                    b'.' => byte == b'.',
                    _ => matches!(byte, b' ' | b'-' | b'+'),
                });
                continue;
            }
        };
        if !fits {
            return None;
        }
        if let Some(slot) = read.get_mut(length) {
            *slot = byte.to_ascii_uppercase();
        }
        length += 1;
        at += 1;
    }
    let joined = matches!(scan.byte(at), b'_' | b'-') && scan.byte(at + 1).is_ascii_alphanumeric();
    if scan.byte(at).is_ascii_alphanumeric() || joined || !(spec.is_valid)(read.get(..length).unwrap_or_default()) {
        return None;
    }
    let near = scan.near(start).any;
    let proof = match (near.has(Context::of_kind(spec.kind)), spec.alone) {
        (true, _) => Proof::Named,
        (false, true) => Proof::Valid,
        // A passport, say, that is not said to be a German one.
        (false, false) if near.has(spec.words) => Proof::Hint,
        (false, false) => return None,
    };
    scan.push(spec.kind, start, at, proof);
    Some(at)
}

/// The rows that can begin with letters and digits that stand together: a bit for each.
#[derive(Clone, Copy)]
struct Rows {
    /// Those that end there as well.
    whole: u32,
    /// Those that go on with a digit, and with a letter, behind a separator.
    digit: u32,
    letter: u32,
}

/// The rows by the number of those letters and digits.
const ROWS: [Rows; LONGEST + 1] = {
    let mut all = [Rows { whole: 0, digit: 0, letter: 0 }; LONGEST + 1];
    let mut length = 0;
    let mut slots: &mut [Rows] = &mut all;
    while let [slot, rest @ ..] = slots {
        let mut specs = countries::SPECS;
        let mut bit = 1;
        while let [spec, more @ ..] = specs {
            add(slot, bit, spec.pattern, length);
            bit <<= 1;
            specs = more;
        }
        length += 1;
        slots = rest;
    }
    all
};

/// Adds the row `bit` if its pattern can have `length` characters before it ends or is parted.
const fn add(rows: &mut Rows, bit: u32, pattern: &[u8], length: usize) {
    let mut count = 0;
    let mut rest = pattern;
    while let [class, more @ ..] = rest {
        if !is_separator(*class) {
            count += 1;
        } else if count == length {
            // What stands behind it.
            match more {
                [b'9', ..] => rows.digit |= bit,
                [b'A', ..] => rows.letter |= bit,
                _ => {
                    rows.digit |= bit;
                    rows.letter |= bit;
                }
            }
        }
        rest = more;
    }
    if count == length {
        rows.whole |= bit;
    }
}

const fn is_separator(class: u8) -> bool {
    matches!(class, b'-' | b'.' | b'+')
}
