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
#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>, start: usize, end: usize) -> usize {
    let mut rows = ROWS.get(end - start).copied().unwrap_or(0);
    if rows == 0 || matches!(scan.byte_before(start), b'_' | b'-') {
        return end;
    }
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
    let named = scan.near(start).any.has(Context::of_kind(spec.kind) | spec.words);
    if !spec.alone && !named {
        return None;
    }
    scan.push(spec.kind, start, at, if named { Proof::Named } else { Proof::Valid });
    Some(at)
}

/// For each number of letters and digits that stand together, the rows that can begin so: a bit for each.
const ROWS: [u32; LONGEST + 1] = {
    let mut all = [0_u32; LONGEST + 1];
    let mut length = 0;
    let mut slots: &mut [u32] = &mut all;
    while let [slot, rest @ ..] = slots {
        let mut specs = countries::SPECS;
        let mut bit = 1;
        while let [spec, more @ ..] = specs {
            if first_lengths(spec.pattern) >> length & 1 == 1 {
                *slot |= bit;
            }
            bit <<= 1;
            specs = more;
        }
        length += 1;
        slots = rest;
    }
    all
};

const fn first_lengths(pattern: &[u8]) -> u32 {
    let mut lengths = 0;
    let mut count = 0;
    let mut rest = pattern;
    while let [class, more @ ..] = rest {
        if matches!(*class, b'-' | b'.' | b'+') {
            lengths |= 1 << count;
        } else {
            count += 1;
        }
        rest = more;
    }
    // A separator that is needed always cuts, but a bit too many only costs a look.
    lengths | 1 << count
}
