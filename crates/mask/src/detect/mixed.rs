//! Identifiers of letters and digits: one table row each, by pattern, check character and context.

use super::number::is_escaped;
use super::scan::Scan;
use super::{Context, Proof, countries};
use crate::kind::Kind;

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
    let parted = match scan.byte(end) {
        b' ' => known.space,
        b'-' | b'+' => known.hyphen,
        b'.' => known.dot,
        _ => Next::NONE,
    };
    let behind = match scan.byte(end + 1) {
        b'0'..=b'9' => parted.digit,
        b'A'..=b'Z' | b'a'..=b'z' => parted.letter,
        _ => 0,
    };
    let rows = known.whole | behind;
    // Joined to something that is no finding. Tokens and codes are looked at later.
    let token = || scan.map.words_before(start - 1) >= 8;
    let part = rows != 0 && matches!(scan.byte_before(start), b'_' | b'-') && !scan.follows(start) && !token();
    if part { 0 } else { rows }
}

#[inline(never)]
fn look_for_all(scan: &mut Scan<'_>, start: usize, end: usize, mut rows: u32) -> usize {
    let (words, digits) = (scan.map.words(start), scan.map.digits(start));
    let mut until = end;
    while rows != 0 {
        let row = rows.trailing_zeros() as usize;
        rows &= rows - 1;
        // Most are ruled out by their first two parts.
        if FORMS.get(row).is_some_and(|form| form.fits(end - start, words, digits))
            && let Some(spec) = countries::SPECS.get(row).filter(|spec| scan.wants(spec.kind))
        {
            until = until.max(look_for(scan, start, spec).unwrap_or(end));
        }
    }
    until
}

/// What the characters of a pattern must be, without its separators: a bit for each.
#[derive(Clone, Copy)]
struct Form {
    letters: u64,
    digits: u64,
    either: u64,
    /// Before which ones a separator may stand.
    parted: u64,
}

impl Form {
    const fn of(pattern: &[u8]) -> Self {
        let mut form = Self { letters: 0, digits: 0, either: 0, parted: 0 };
        let mut bit = 1;
        let mut rest = pattern;
        while let [class, more @ ..] = rest {
            match *class {
                b'A' => form.letters |= bit,
                b'9' => form.digits |= bit,
                b'*' => form.either |= bit,
                _ => form.parted |= bit,
            }
            if !is_separator(*class) {
                bit <<= 1;
            }
            rest = more;
        }
        form
    }

    /// Whether a text can be of this form that begins with `count` letters and digits, perhaps with a separator and more behind.
    /// `words` are the letters and digits in it, `digits` the digits.
    fn fits(&self, count: usize, words: u64, digits: u64) -> bool {
        let count = count as u32 & 31;
        let parted = self.parted >> count;
        // Up to the next separator.
        let next = if parted & 1 == 1 { (parted & !1).trailing_zeros() } else { 0 };
        let (words_behind, digits_behind) = (words >> count >> 1, digits >> count >> 1);
        self.is(0, below(count), words, digits) && self.is(count, below(next), words_behind, digits_behind)
    }

    /// Whether those of the characters from `from` on that are in `part` are what they must be.
    fn is(&self, from: u32, part: u64, words: u64, digits: u64) -> bool {
        let odd = (self.letters >> from) & !(words & !digits)
            | (self.digits >> from) & !digits
            | (self.either >> from) & !words;
        odd & part == 0
    }
}

/// The lowest `count` bits.
const fn below(count: u32) -> u64 {
    match u64::MAX.checked_shl(count) {
        Some(above) => !above,
        None => u64::MAX,
    }
}

/// The forms of all rows.
const FORMS: [Form; countries::SPECS.len()] = {
    let mut all = [Form { letters: 0, digits: 0, either: 0, parted: 0 }; countries::SPECS.len()];
    let mut slots: &mut [Form] = &mut all;
    let mut specs = countries::SPECS;
    while let ([slot, rest @ ..], [spec, more @ ..]) = (slots, specs) {
        *slot = Form::of(spec.pattern);
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
    // Behind an escape such as `%20`.
    let count = if count > 2 && is_escaped(scan, end - count + 2) { count - 2 } else { count };
    if matches!(count, 1 | 2) {
        let start = end - count;
        if scan.text.get(start..end).is_some_and(|letters| letters.iter().all(u8::is_ascii_alphabetic)) {
            look(scan, start, end);
        }
    }
}

fn look_for(scan: &mut Scan<'_>, start: usize, spec: &Spec) -> Option<usize> {
    let (read, length, end, behind) = read(scan, start, spec.pattern)?;
    if !(spec.is_valid)(read.get(..length).unwrap_or_default()) {
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
    let before = matches!(scan.byte_before(start), b'_' | b'-');
    scan.push_hanging(spec.kind, (start, end), proof, (before, behind));
    (!before && !behind).then_some(end)
}

/// Reads what stands at `start` if it is as `pattern` says and stands alone: its letters, as capitals, and digits, how many they
/// are, where it ends, and whether a sign joins more to it.
fn read(scan: &Scan<'_>, start: usize, pattern: &[u8]) -> Option<([u8; LONGEST], usize, usize, bool)> {
    let mut read = [0_u8; LONGEST];
    let mut length = 0_usize;
    let mut at = start;
    for class in pattern {
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
    (!scan.byte(at).is_ascii_alphanumeric()).then_some((read, length, at, joined))
}

/// The rows that can begin with letters and digits that stand together: a bit for each.
#[derive(Clone, Copy)]
struct Rows {
    /// Those that end there as well.
    whole: u32,
    /// Those that go on behind a space, behind a hyphen or plus sign, and behind a dot.
    space: Next,
    hyphen: Next,
    dot: Next,
}

/// The rows that go on with a digit, and with a letter.
#[derive(Clone, Copy)]
struct Next {
    digit: u32,
    letter: u32,
}

impl Next {
    const NONE: Self = Self { digit: 0, letter: 0 };

    const fn add(&mut self, bit: u32, pattern: &[u8]) {
        if !matches!(pattern, [b'A', ..]) {
            self.digit |= bit;
        }
        if !matches!(pattern, [b'9', ..]) {
            self.letter |= bit;
        }
    }
}

/// The rows by the number of those letters and digits.
const ROWS: [Rows; LONGEST + 1] = {
    let mut all = [Rows { whole: 0, space: Next::NONE, hyphen: Next::NONE, dot: Next::NONE }; LONGEST + 1];
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
            match *class {
                b'.' => rows.dot.add(bit, more),
                b'+' => rows.hyphen.add(bit, more),
                _ => {
                    rows.space.add(bit, more);
                    rows.hyphen.add(bit, more);
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

#[cfg(test)]
mod tests {
    use super::super::map::Map;
    use super::super::scan::Asked;
    use super::*;
    use crate::kind::Kinds;
    use proptest::prelude::*;

    /// A text of the form of a pattern, or nearly: each character is of its class as `choices` say, separators are there or not.
    fn written(pattern: &[u8], choices: &[u8]) -> String {
        let one_of = |all: &[u8], choice: u8| char::from(all[usize::from(choice) % all.len()]);
        pattern
            .iter()
            .zip(choices.iter().cycle())
            .filter_map(|(class, choice)| match class {
                _ if *choice > 250 => Some(one_of(b"A0 .", *choice)),
                b'A' => Some(one_of(b"AZaz", *choice)),
                b'9' => Some(one_of(b"0189", *choice)),
                b'*' => Some(one_of(b"A1z9", *choice)),
                b'+' => Some(one_of(b"+-", *choice)),
                separator => Some(one_of(if *separator == b'.' { b".\0" } else { b" -+\0" }, *choice))
                    .filter(|sign| *sign != '\0'),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn no_row_is_ruled_out_whose_pattern_a_text_follows(
            row in 0..countries::SPECS.len(), choices in proptest::collection::vec(any::<u8>(), 7..29), behind in "[ .,x-]?[0-9]{0,2}"
        ) {
            let pattern = countries::SPECS[row].pattern;
            let text = format!("({}{behind}", written(pattern, &choices));
            let (mut map, asked, mut groups, mut spans) = (Map::default(), Asked::default(), Vec::new(), Vec::new());
            map.read(text.as_bytes(), false, false);
            let scan = Scan::new(text.as_bytes(), &map, Context::NONE, Kinds::all(), &asked, &mut groups, &mut spans);
            let end = scan.word_end(1);
            let looked_for = rows(&scan, 1, end) >> row & 1 == 1 && FORMS[row].fits(end - 1, map.words(1), map.digits(1));
            prop_assert!(looked_for || read(&scan, 1, pattern).is_none(), "{text}");
        }
    }

    #[test]
    fn numbers_of_things_are_ruled_out_before_they_are_read() {
        for text in ["20-3318 ", "P-220 ", "2024-05-17 ", "8080/tcp", "10.0.0.1 "] {
            let mut map = Map::default();
            map.read(text.as_bytes(), false, false);
            let (asked, mut groups, mut spans) = (Asked::default(), Vec::new(), Vec::new());
            let scan = Scan::new(text.as_bytes(), &map, Context::NONE, Kinds::all(), &asked, &mut groups, &mut spans);
            let end = scan.word_end(0);
            let left = rows(&scan, 0, end);
            let fits = |row: &usize| left >> row & 1 == 1 && FORMS[*row].fits(end, map.words(0), map.digits(0));
            assert_eq!((0..FORMS.len()).filter(fits).count(), 0, "{text}");
        }
    }
}
