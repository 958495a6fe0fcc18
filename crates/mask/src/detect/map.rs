//! A map of a text: what its bytes are, a bit for each, made in one pass.
//!
//! Where a number ends, which words stand before it, where a long token begins: what is asked of whole runs of bytes is answered by
//! counting bits, and not by loops over bytes.

use super::class::is_part;
use crate::bytes;
use std::ops::Range;

/// The map of one text; its memory is kept for the next.
#[derive(Debug, Default)]
pub(crate) struct Map {
    /// One for each sixty-four bytes.
    marks: Vec<Marks>,
    /// Sixteen bytes and more that stand together and can be parts of keys and tokens.
    pub(super) long: Vec<Range<usize>>,
    /// Where six capitals and more in a row begin.
    pub(super) capitals: Vec<usize>,
}

/// What sixty-four bytes are, the first in the lowest bit.
#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    digits: u64,
    /// Letters and digits of ASCII.
    words: u64,
    /// What tokens are made of (Base64url): those, `-` and `_`.
    tokens: u64,
    /// `@` and `:`.
    signs: u64,
}

impl Map {
    /// Bytes of a text for each of the marks.
    const STEP: usize = 64;
    /// The shortest token that is told.
    pub(super) const LONG: usize = 16;

    /// Reads `text`. `long` and `capitals`: whether long tokens and capitals are wanted.
    #[inline(never)]
    pub(super) fn read(&mut self, text: &[u8], long: bool, capitals: bool) {
        self.marks.clear();
        self.long.clear();
        self.capitals.clear();
        self.marks.reserve(text.len() / Self::STEP + 1);
        let (mut parts_run, mut upper_run) = (Runs::default(), Runs::default());
        let (parts, rest) = text.as_chunks::<{ Self::STEP }>();
        let last = bytes::padded(rest);
        let last = (!rest.is_empty()).then_some(&last);
        for (position, part) in parts.iter().chain(last).enumerate() {
            let from = position * Self::STEP;
            let [digits, letters, small, signs, hyphens, joints] = bytes::ask(part, |block| {
                [
                    block.between(b'0', b'9'),
                    block.letters(),
                    block.small(),
                    block.either(b'@', b':'),
                    block.either(b'-', b'_'),
                    block.joints(),
                ]
            });
            let words = digits | letters;
            self.marks.push(Marks { digits, words, tokens: words | hyphens, signs });
            if long {
                let (starts, two) = parts_run.go_on(words | joints, in_sixteens);
                self.add_long(text, from, starts, two);
            }
            if capitals {
                let (starts, _) = upper_run.go_on(letters & !small, in_sixes);
                self.add_capitals(from, starts);
            }
        }
        let end = self.marks.len() * Self::STEP;
        if long {
            let (starts, two) = parts_run.go_on(0, in_sixteens);
            self.add_long(text, end, starts, two);
        }
        if capitals {
            let (starts, _) = upper_run.go_on(0, in_sixes);
            self.add_capitals(end, starts);
        }
    }

    /// Adds what begins in the sixty-four bytes before `from`, at `starts`. `two`: those and the next.
    fn add_long(&mut self, text: &[u8], from: usize, mut starts: u64, two: u128) {
        while starts != 0 {
            let at = starts.trailing_zeros();
            starts &= starts - 1;
            let start = (from + at as usize).saturating_sub(Self::STEP);
            let count = (two >> at).trailing_ones();
            let mut end = start + count as usize;
            if at + count == 128 {
                let rest = text.get(end..).unwrap_or_default();
                end += rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
            }
            self.long.push(start..end);
        }
    }

    fn add_capitals(&mut self, from: usize, mut starts: u64) {
        while starts != 0 {
            let at = starts.trailing_zeros() as usize;
            starts &= starts - 1;
            self.capitals.push((from + at).saturating_sub(Self::STEP));
        }
    }

    /// The digits, `@` and `:`: sixty-four bytes at a time, with the place of the first.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (usize, u64)> {
        self.marks.iter().enumerate().map(|(position, marks)| (position * Self::STEP, marks.digits | marks.signs))
    }

    /// Sixty-four bits from `at` on.
    fn from(&self, at: usize, which: impl Fn(&Marks) -> u64) -> u64 {
        let (position, shift) = (at / Self::STEP, at % Self::STEP);
        let rest = self.marks.get(position..).unwrap_or_default();
        let low = rest.first().map_or(0, &which) >> shift;
        // In two steps, for a shift by all bits is none.
        low | rest.get(1).map_or(0, &which) << 1 << (Self::STEP - 1 - shift)
    }

    /// The digits among the sixty-four bytes from `at` on.
    pub(super) fn digits(&self, at: usize) -> u64 {
        self.from(at, |marks| marks.digits)
    }

    /// The letters and digits of ASCII among the sixty-four bytes from `at` on.
    pub(super) fn words(&self, at: usize) -> u64 {
        self.from(at, |marks| marks.words)
    }

    /// What tokens are made of among the sixty-four bytes from `at` on.
    pub(super) fn tokens(&self, at: usize) -> u64 {
        self.from(at, |marks| marks.tokens)
    }

    /// How many letters and digits of ASCII stand right before `at`, as far as sixty-four.
    pub(super) fn words_before(&self, at: usize) -> usize {
        let from = at.saturating_sub(Self::STEP);
        let count = (at - from) as u32;
        // What stands before is moved to the highest bits.
        let before = self.words(from).checked_shl(64 - count).unwrap_or(0);
        before.leading_ones() as usize
    }
}

/// Runs of bytes, sixty-four at a time.
#[derive(Default)]
struct Runs {
    last: u64,
    goes_on: bool,
}

impl Runs {
    /// Goes on to the next sixty-four. Returns where in the last ones runs begin that are `long`, and those with the next.
    fn go_on(&mut self, next: u64, long: impl Fn(u128) -> u128) -> (u64, u128) {
        let two = u128::from(self.last) | u128::from(next) << 64;
        let begins = self.last & !(self.last << 1 | u64::from(self.goes_on));
        let starts = if begins == 0 { 0 } else { begins & long(two) as u64 };
        self.goes_on = self.last >> 63 == 1;
        self.last = next;
        (starts, two)
    }
}

/// Those that fifteen more follow.
fn in_sixteens(bits: u128) -> u128 {
    let twos = bits & bits >> 1;
    let fours = twos & twos >> 2;
    let eights = fours & fours >> 4;
    eights & eights >> 8
}

/// Those that five more follow.
fn in_sixes(bits: u128) -> u128 {
    let twos = bits & bits >> 1;
    let fours = twos & twos >> 2;
    fours & twos >> 4
}

#[cfg(test)]
mod tests {
    use super::super::class::{is_token, is_upper, is_word};
    use super::*;
    use proptest::prelude::*;

    fn runs(text: &[u8], is: fn(&u8) -> bool, least: usize) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut at = 0;
        for run in text.split(|byte| !is(byte)) {
            if run.len() >= least {
                runs.push(at..at + run.len());
            }
            at += run.len() + 1;
        }
        runs
    }

    proptest! {
        #[test]
        fn the_map_is_what_a_look_at_each_byte_says(
            text in "([a-z]{1,9}|[A-Z]{1,9}|[0-9]{1,9}|[ @:.,_~/é-]|[a-zA-Z0-9_.=+~/-]{10,200}){0,40}", at in 0..300_usize
        ) {
            let text = text.as_bytes();
            let mut map = Map::default();
            map.read(b"something else: 12 ABCDEFGHIJKLMNOPQRS", true, true);
            map.read(text, true, true);
            let here = |passes: &dyn Fn(usize) -> bool| (0..64).fold(0_u64, |bits, bit| {
                bits | u64::from(at + bit < text.len() && passes(at + bit)) << bit
            });
            let is = |class: fn(&u8) -> bool| here(&|at| text.get(at).is_some_and(class));
            prop_assert_eq!(map.digits(at), is(u8::is_ascii_digit));
            prop_assert_eq!(map.words(at), is(is_word));
            prop_assert_eq!(map.tokens(at), is(is_token));
            let before = text.get(..at).unwrap_or(text);
            let words_before = before.iter().rev().take(64).take_while(|byte| is_word(byte)).count();
            prop_assert_eq!(map.words_before(before.len()), words_before);
            let is_candidate = |at: usize| text.get(at).is_some_and(|byte| byte.is_ascii_digit() || b"@:".contains(byte));
            for (base, candidates) in map.candidates() {
                prop_assert_eq!(candidates, (0..64).fold(0_u64, |all, bit| all | u64::from(is_candidate(base + bit)) << bit));
            }
            prop_assert_eq!(&map.long, &runs(text, is_part, Map::LONG));
            let capitals: Vec<_> = runs(text, is_upper, 6).into_iter().map(|run| run.start).collect();
            prop_assert_eq!(&map.capitals, &capitals);
            map.read(text, false, false);
            prop_assert!(map.long.is_empty() && map.capitals.is_empty());
        }
    }
}
