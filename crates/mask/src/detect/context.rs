//! What words say about the numbers next to them.

use super::class::{is_letter, is_lower, is_upper};
use super::lexicon::meaning;
use crate::bytes;
use crate::kind::Kind;
use std::ops::{BitOr, Range};

/// What words say, as a set: of kinds of numbers, and of other matters above those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Context(u128);

impl Context {
    pub(crate) const NONE: Self = Self(0);
    /// Somebody is called or reached; what follows can be the number, the time or the matter.
    pub(super) const CALL: Self = Self(1 << 100);
    /// Behind a number: which of somebody's numbers it is.
    pub(super) const LINE: Self = Self(1 << 101);
    /// A social security number, of whatever country.
    pub(super) const SSN: Self = Self(1 << 102);
    /// A tax number, of whatever country.
    pub(super) const TAX: Self = Self(1 << 103);
    /// A number that a state gives its citizens.
    pub(super) const NATIONAL: Self = Self(1 << 104);
    /// A version, which looks like an IPv4 address.
    pub(super) const VERSION: Self = Self(1 << 105);
    /// An article number, which looks like a payment card.
    pub(super) const ARTICLE: Self = Self(1 << 106);
    /// A number that names a thing or counts: no telephone number.
    pub(super) const THING: Self = Self(1 << 107);
    /// Something that nobody else may know.
    pub(super) const SECRET: Self = Self(1 << 108);
    /// A key, of whatever.
    pub(super) const KEY: Self = Self(1 << 109);
    /// Whose key it is, or what for.
    pub(super) const VENDOR: Self = Self(1 << 110);
    /// A number of whatever, as in `my number is`.
    pub(super) const NUMBER: Self = Self(1 << 97);
    /// Somebody's: `my`, `your`.
    pub(super) const OWN: Self = Self(1 << 98);
    /// What is bought and sent: its numbers are nobody's.
    pub(super) const GOODS: Self = Self(1 << 99);
    /// What is sent to telephones, among others.
    pub(super) const MESSAGE: Self = Self(1 << 111);
    /// What only words of running text say.
    const OF_TEXT: Self = Self::CALL.or(Self::LINE).or(Self::NUMBER).or(Self::OWN).or(Self::GOODS).or(Self::MESSAGE);
    /// A passport or identity card.
    pub(super) const PASSPORT: Self = Self::of_kind(Kind::Passport);

    /// What the operator's own pattern at this place asks for; there are sixteen at most.
    pub(crate) const fn own(place: u32) -> Self {
        Self(match 1_u128.checked_shl(112 + place) {
            Some(bit) => bit,
            None => 0,
        })
    }

    /// Numbers of this kind.
    pub(crate) const fn of_kind(kind: Kind) -> Self {
        Self(1 << kind as u32)
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Everything that speaks for a finding.
    pub(crate) fn anything() -> Self {
        let kinds = Kind::ALL.iter().fold(Self::NONE, |all, kind| all | Self::of_kind(*kind));
        kinds
            | Self::CALL
            | Self::LINE
            | Self::NUMBER
            | Self::OWN
            | Self::MESSAGE
            | Self::SSN
            | Self::TAX
            | Self::NATIONAL
            | Self::SECRET
            | Self::KEY
            | Self::VENDOR
    }

    pub(crate) fn has(self, some: Self) -> bool {
        self.0 & some.0 != 0
    }

    /// What the words of a name say together. Words end at anything but letters, and at `camelCase` humps.
    /// Words for calling are verbs of a sentence, and an order has customers too; as a name they say nothing about the number
    /// under it.
    pub(crate) fn of(name: &[u8]) -> Self {
        let mut all = Self::NONE;
        each_word(name, |word| all = all | meaning(word));
        Self(all.0 & !Self::OF_TEXT.0)
    }

    /// As [`of`](Self::of), for running text: with what the last word says alone, and without the words in brackets that stand
    /// for what was masked, which must not make findings of the numbers next to them.
    pub(crate) fn of_text(text: &[u8]) -> (Self, Option<Self>) {
        let mut all = Self::NONE;
        let mut last = None;
        each_word_of_text(text, |word| {
            let says = meaning(word);
            all = all | says;
            last = Some(says);
        });
        (all, last)
    }
}

impl BitOr for Context {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The words of the first bytes of a text, a bit for each byte, the first in the lowest.
pub(super) struct Words {
    /// What they are made of.
    pub(super) letters: u64,
    /// Where they begin. A hump begins one (`phoneNumber`), and so does the last capital of several (`SSNNumber`).
    pub(super) begins: u64,
    /// Where a label of what was masked can end.
    pub(super) label_ends: u64,
}

impl Words {
    /// How many bytes are read.
    const READ: usize = 48;

    /// `count`: how many bytes count, 48 at most; a hump may not be told by what stands behind them.
    pub(super) fn of(text: &[u8], count: usize) -> Self {
        let there = !u64::MAX.checked_shl(count as u32).unwrap_or(0);
        let padded: [u8; Self::READ];
        let read = match text.first_chunk() {
            Some(read) => read,
            None => {
                padded = bytes::padded(text);
                &padded
            }
        };
        let [letters, small, wide, label_ends] =
            bytes::ask(read, |block| [block.letters(), block.small(), block.wide(), block.either(b']', b'>')]);
        let (letters, wide, label_ends) = (letters & there, wide & there, label_ends & there);
        let (lower, upper) = (letters & small, letters & !small);
        let letters = letters | wide;
        let humps = upper & (lower << 1 | (upper << 1 & lower >> 1));
        Self { letters, begins: (letters & !(letters << 1)) | humps, label_ends }
    }
}

/// Gives each word of running text as it stands, but for those in brackets that stand for what was masked.
pub(crate) fn each_word_of_text(text: &[u8], mut give: impl FnMut(&[u8])) {
    let mut rest = text;
    loop {
        let label = label_in(rest);
        let (words, behind) = match &label {
            Some(label) => (rest.get(..label.start), rest.get(label.end..)),
            None => (Some(rest), None),
        };
        each_word(words.unwrap_or_default(), &mut give);
        match behind {
            Some(behind) => rest = behind,
            None => return,
        }
    }
}

/// The first `[…]` or `<…>` in a text, unless it is glued to a word (`user[phone]`).
fn label_in(text: &[u8]) -> Option<Range<usize>> {
    // Hardly any text has the end of one, which a block at a time tells.
    bytes::find(text, 0, |block| block.either(b']', b'>'))?;
    let mut start = None;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'[' | b'<' => {
                let before = at.checked_sub(1).and_then(|before| text.get(before));
                start = Some(at).filter(|_| !before.is_some_and(u8::is_ascii_alphanumeric));
            }
            b']' | b'>' => {
                if let Some(start) = start {
                    return Some(start..at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Gives each word of `text` as it stands. A hump begins a word (`phoneNumber`), and so does the last capital of several
/// (`SSNNumber`).
pub(crate) fn each_word(text: &[u8], mut give: impl FnMut(&[u8])) {
    let mut rest = text;
    while let Some(start) = rest.iter().position(is_letter) {
        let Some(word) = rest.get(start..) else { return };
        let (word, behind) = word.split_at_checked(word_end(word)).unwrap_or((word, &[]));
        give(word);
        rest = behind;
    }
}

/// Where the word that `text` begins with ends.
fn word_end(text: &[u8]) -> usize {
    let mut before = 0;
    for (at, byte) in text.iter().enumerate() {
        let hump =
            || is_upper(byte) && (is_lower(&before) || (is_upper(&before) && text.get(at + 1).is_some_and(is_lower)));
        if !is_lower(byte) && (!is_letter(byte) || hump()) {
            return at;
        }
        before = *byte;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_convention() {
        for name in
            ["phone", "homePhone", "phoneNumber", "PHONE_NUMBER", "home-phone", "user.phone", "phone2", "PHONENumber"]
        {
            assert!(Context::of(name.as_bytes()).has(Context::of_kind(Kind::Phone)), "{name}");
        }
        for name in ["phoney", "microphone", "", "telly", "dataphone1"] {
            assert!(!Context::of(name.as_bytes()).has(Context::of_kind(Kind::Phone)), "{name}");
        }
        assert!(Context::of(b"userSSN").has(Context::SSN));
        assert!(Context::of(b"SSNValue").has(Context::SSN));
        assert!(Context::of("votre Téléphone :".as_bytes()).has(Context::of_kind(Kind::Phone)));
    }

    #[test]
    fn labels_of_masked_numbers_say_nothing_in_text() {
        for text in ["[phone]", "x [phone], <ssn> ", "<phone> [x]", "[phone][ssn]"] {
            assert_eq!(Context::of_text(text.as_bytes()).0, Context::NONE, "{text}");
        }
        for text in ["phone [x]", "[x] phone", "user[phone]", "[phone", "phone]", "<[phone"] {
            assert_eq!(Context::of_text(text.as_bytes()).0, Context::of_kind(Kind::Phone), "{text}");
        }
    }

    #[test]
    fn the_last_word_is_told_apart() {
        let (all, last) = Context::of_text(b"call about ticket ");
        assert!(all.has(Context::CALL));
        assert_eq!(last, Some(Context::THING | Context::GOODS));
        assert_eq!(Context::of_text(b" 12 "), (Context::NONE, None));
        let long = "a".repeat(100) + "phone";
        assert_eq!(Context::of(long.as_bytes()), Context::NONE);
    }
}
