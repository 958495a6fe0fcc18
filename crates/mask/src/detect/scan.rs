//! The text a scan walks over, and what detectors ask of it.

use super::class::is_letter;
use super::context::Words;
use super::lexicon::meaning;
use super::map::Map;
use super::number::Group;
use super::{Context, Hanging, Proof, Span};
use crate::bytes;
use crate::kind::{Kind, Kinds};
use std::cell::Cell;

/// A scan of one text.
pub(super) struct Scan<'a> {
    pub(super) text: &'a [u8],
    pub(super) map: &'a Map,
    /// What the names on the path say.
    pub(super) path: Context,
    kinds: Kinds,
    spans: &'a mut Vec<Span>,
    /// What is a finding only where it hangs on others.
    pub(super) hanging: Vec<Hanging>,
    /// The kinds of findings that were taken back.
    pub(super) withdrawn: Kinds,
    /// Where the run of digits begins that is looked at: there are no words in it. Outside of all texts where there is none.
    pub(super) run: usize,
    /// Up to where the bytes of an IPv6 address were looked at that is none.
    pub(super) no_address_until: usize,
    /// Where the last telephone number ended: a list of them needs the word only once.
    pub(super) phones_until: Option<usize>,
    /// Where the last payment card ended: behind it, the rest of a row of digits begins anew.
    pub(super) card_until: Option<usize>,
    asked: &'a Asked,
    /// Where runs of digits are read into, one after the other.
    pub(super) groups: &'a mut Vec<Group>,
}

/// What the words before the last places asked for say, by the last bits of the place: several detectors ask in turn, each for
/// every group of a run.
#[derive(Debug, Default)]
pub(super) struct Asked {
    places: [Cell<usize>; PLACES],
    near: [Cell<Near>; PLACES],
}

impl Asked {
    /// Forgets all.
    pub(super) fn clear(&self) {
        // No place of a text.
        self.places.iter().for_each(|place| place.set(usize::MAX));
    }
}

/// A power of two.
const PLACES: usize = 8;

/// What the words before a place say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Near {
    /// All of them, and the path.
    pub(super) any: Context,
    /// The closest word alone; the path where there is none.
    pub(super) closest: Context,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        text: &'a [u8],
        map: &'a Map,
        path: Context,
        kinds: Kinds,
        asked: &'a Asked,
        groups: &'a mut Vec<Group>,
        spans: &'a mut Vec<Span>,
    ) -> Self {
        asked.clear();
        let (hanging, run) = (Vec::new(), usize::MAX);
        Self {
            text,
            map,
            path,
            kinds,
            spans,
            hanging,
            run,
            withdrawn: Kinds::NONE,
            no_address_until: 0,
            phones_until: None,
            card_until: None,
            asked,
            groups,
        }
    }

    /// The byte at `at`; 0 outside the text.
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// The byte before `at`; 0 outside the text.
    pub(super) fn byte_before(&self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |before| self.byte(before))
    }

    pub(super) fn wants(&self, kind: Kind) -> bool {
        self.kinds.has(kind)
    }

    pub(super) fn wants_any(&self, kinds: Kinds) -> bool {
        self.kinds.meets(kinds)
    }

    pub(super) fn push(&mut self, kind: Kind, start: usize, end: usize, proof: Proof) {
        self.spans.push(Span { start, end, kind, proof, stretched: false });
    }

    /// As [`push`](Self::push), for what a sign joins to something before or behind it: a finding only where that is one too.
    pub(super) fn push_hanging(
        &mut self,
        kind: Kind,
        (start, end): (usize, usize),
        proof: Proof,
        joined: (bool, bool),
    ) {
        match joined {
            (false, false) => self.push(kind, start, end, proof),
            (before, behind) => {
                self.hanging.push(Hanging { span: Span { start, end, kind, proof, stretched: false }, before, behind })
            }
        }
    }

    /// Whether one of the last findings reaches up to the sign before `start`.
    pub(super) fn follows(&self, start: usize) -> bool {
        const LAST: usize = 4;
        let reaches = |span: &Span| span.start + 1 < start && span.end + 1 >= start;
        self.spans.iter().rev().take(LAST).any(reaches)
            || self.hanging.iter().rev().take(LAST).any(|one| one.span.end + 1 == start)
    }

    /// Takes back the last findings that are part of `start..end`, which is something else, unless a word says what they are.
    pub(super) fn withdraw(&mut self, start: usize, end: usize) {
        let is_part = |span: &Span| span.start >= start && span.end <= end && span.proof != Proof::Named;
        while let Some(span) = self.spans.pop_if(|span| is_part(span)) {
            self.withdrawn = self.withdrawn.with(span.kind);
        }
    }

    /// Where the bytes that satisfy `is` end, from `from` on.
    pub(super) fn end_of(&self, from: usize, is: impl Fn(&u8) -> bool) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        from + rest.iter().position(|byte| !is(byte)).unwrap_or(rest.len())
    }

    /// As [`end_of`](Self::end_of), at most `most` of them.
    pub(super) fn end_within(&self, from: usize, most: usize, is: impl Fn(&u8) -> bool) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        let count = rest.len().min(most);
        let rest = rest.get(..count).unwrap_or_default();
        from + rest.iter().position(|byte| !is(byte)).unwrap_or(count)
    }

    /// Where the bytes that satisfy `is` begin, up to `until`, at most `most` of them.
    pub(super) fn start_of(&self, until: usize, most: usize, is: impl Fn(&u8) -> bool) -> usize {
        let from = until.saturating_sub(most);
        let before = self.text.get(from..until).unwrap_or_default();
        until - before.iter().rev().position(|byte| !is(byte)).unwrap_or(before.len())
    }

    /// Whether words can stand near enough before `at`: there are none in a run of digits.
    pub(super) fn hears_words(&self, at: usize) -> bool {
        at < self.run.saturating_add(BEFORE)
    }

    /// What the words before `at` say.
    pub(super) fn near(&self, at: usize) -> Near {
        if !self.hears_words(at) {
            return Near { any: self.path, closest: self.path };
        }
        let slot = at % PLACES;
        let (Some(place), Some(known)) = (self.asked.places.get(slot), self.asked.near.get(slot)) else {
            return self.read_near(at);
        };
        if place.get() != at {
            known.set(self.read_near(at));
            place.set(at);
        }
        known.get()
    }

    #[inline(never)]
    fn read_near(&self, at: usize) -> Near {
        let from = at.saturating_sub(BEFORE);
        let window = self.text.get(from..at).unwrap_or_default();
        let words = Words::of(self.text.get(from..).unwrap_or_default(), window.len());
        // A word cut by the window says nothing.
        let cut = if from == 0 { 0 } else { (words.letters.trailing_ones() as usize).min(window.len()) };
        if words.label_ends != 0 {
            let (any, last) = Context::of_text(words_before(self.text, at));
            return Near { any: any | self.path, closest: last.unwrap_or(self.path) };
        }
        let mut begins = words.begins & (u64::MAX << cut);
        let (mut any, mut closest) = (self.path, self.path);
        while begins != 0 {
            let start = begins.trailing_zeros();
            begins &= begins - 1;
            let letters = (!(words.letters >> start)).trailing_zeros();
            let end = (start + letters).min(begins.trailing_zeros()) as usize;
            closest = meaning(window.get(start as usize..end).unwrap_or_default());
            any = any | closest;
        }
        Near { any, closest }
    }

    /// What the first word behind `at` says.
    pub(super) fn following(&self, at: usize) -> Context {
        let start = self.end_of(at, |byte| matches!(byte, b' ' | b'-' | b'(' | b','));
        let end = self.end_of(start, u8::is_ascii_alphabetic);
        if start == at || start - at > 3 {
            return Context::NONE;
        }
        Context::of_text(self.text.get(start..end).unwrap_or_default()).0
    }

    /// Where the digits that begin at `at` end.
    pub(super) fn digits_end(&self, at: usize) -> usize {
        self.run_end(at, Map::digits)
    }

    /// Where the letters and digits that begin at `at` end.
    pub(super) fn word_end(&self, at: usize) -> usize {
        self.run_end(at, Map::words)
    }

    /// Where the token that begins at `at` ends.
    pub(super) fn token_end(&self, at: usize) -> usize {
        self.run_end(at, Map::tokens)
    }

    fn run_end(&self, at: usize, which: impl Fn(&Map, usize) -> u64) -> usize {
        let mut end = at;
        loop {
            let count = which(self.map, end).trailing_ones() as usize;
            end += count;
            if count < 64 {
                return end;
            }
        }
    }

    /// Whether the number at `at` hangs on letters and digits before it, as the last part of a UUID does. `is` says which bytes
    /// before the separator count.
    pub(super) fn hangs(&self, at: usize, is: impl Fn(&u8) -> bool) -> bool {
        let separator = matches!(self.byte_before(at), b'-' | b'.' | b'/' | b'_' | b':');
        let token = |end| self.text.get(self.start_of(end, 16, u8::is_ascii_alphanumeric)..end).unwrap_or_default();
        separator && at.checked_sub(1).is_some_and(|end| token(end).iter().any(is))
    }
}

/// How far back words count, in bytes.
const BEFORE: usize = 40;

/// The words before `at` that count.
pub(crate) fn words_before(text: &[u8], at: usize) -> &[u8] {
    let from = at.saturating_sub(BEFORE);
    let before = text.get(from..at).unwrap_or_default();
    // A word cut by the window says nothing.
    let cut = if from == 0 { 0 } else { before.iter().position(|byte| !is_letter(byte)).unwrap_or(before.len()) };
    let cut = if from == 0 { 0 } else { cut.max(label_cut(text, from, before)) };
    before.get(cut..).unwrap_or_default()
}

/// How much of a window that begins at `from` is the rest of a label such as `[credit_card]`, whose words say nothing.
fn label_cut(text: &[u8], from: usize, window: &[u8]) -> usize {
    /// The longest label.
    const LONGEST: usize = 96;
    let is_bracket = |byte: &u8| matches!(byte, b'[' | b']' | b'<' | b'>');
    // Hardly any window has the end of one, which a block at a time tells.
    if bytes::find(window, 0, |block| block.either(b']', b'>')).is_none() {
        return 0;
    }
    let Some(end) = window.iter().position(is_bracket) else { return 0 };
    let start = from.saturating_sub(LONGEST);
    let outside = text.get(start..from).unwrap_or_default();
    let Some(open) = outside.iter().rposition(is_bracket) else { return 0 };
    let is_label = matches!(window.get(end), Some(b']' | b'>')) && matches!(outside.get(open), Some(b'[' | b'<'));
    let glued = open.checked_sub(1).and_then(|before| outside.get(before)).is_some_and(u8::is_ascii_alphanumeric);
    if is_label && !glued { end + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_stands_near_is_what_reading_word_by_word_says(
            text in "(phone|Tel|born|cardNumber|SSNNumber|iban|Téléphone|né|[a-zA-Z]{1,9}|[0-9]{1,5}|[ .:_/é\\[\\]<>-]){0,40}", at in 0..200_usize
        ) {
            let text = text.as_bytes();
            let at = at.min(text.len());
            // No number begins in the middle of a word.
            let at = at + text.iter().skip(at).take_while(|byte| is_letter(byte)).count();
            let path = Context::of(b"orderId");
            let (map, asked, mut groups, mut spans) = (Map::default(), Asked::default(), Vec::new(), Vec::new());
            let scan = Scan::new(text, &map, path, Kinds::all(), &asked, &mut groups, &mut spans);
            let (any, last) = Context::of_text(words_before(text, at));
            for _ in 0..2 {
                let near = scan.near(at);
                prop_assert_eq!((near.any, near.closest), (any | path, last.unwrap_or(path)));
            }
        }
    }

    #[test]
    fn a_label_that_the_window_cuts_says_nothing() {
        let words = |text: &str| String::from_utf8(words_before(text.as_bytes(), text.len()).to_vec()).unwrap();
        let tail = " and thirty more bytes behind it";
        assert_eq!(words(&format!("paid by [credit_card]{tail}")), tail);
        assert_eq!(words(&format!("paid by <credit_card>{tail}")), tail);
        assert_eq!(words(&format!("paid by user[credit_card]{tail}")), format!("_card]{tail}"));
        assert_eq!(words(&format!("paid by credit_card]{tail}")), format!("_card]{tail}"));
        assert_eq!(words(&format!("paid by [x] credit_card]{tail}")), format!("_card]{tail}"));
        assert_eq!(words("[phone] x"), "[phone] x");
    }
}
