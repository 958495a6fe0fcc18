//! What a person sees of a text: a name with characters that show nothing, or turn the writing round, can pass for another one.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a person can see the character, or at least the room it takes: no control character, nothing of Unicode's format
/// characters and those that are ignored by default, no line or paragraph separator, none that only looks blank.
#[must_use]
pub(crate) fn is_visible(character: char) -> bool {
    let code = u32::from(character);
    if code < 0x80 {
        return (0x20..0x7f).contains(&code);
    }
    // Sorted, the first and last of each range.
    const HIDDEN: [(u32, u32); 32] = [
        (0x80, 0x9f),
        (0xad, 0xad),
        (0x34f, 0x34f),
        (0x600, 0x605),
        (0x61c, 0x61c),
        (0x6dd, 0x6dd),
        (0x70f, 0x70f),
        (0x890, 0x891),
        (0x8e2, 0x8e2),
        (0x115f, 0x1160),
        (0x17b4, 0x17b5),
        (0x180b, 0x180f),
        (0x200b, 0x200f),
        (0x2028, 0x202e),
        (0x2060, 0x206f),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xe000, 0xf8ff),
        (0xfdd0, 0xfdef),
        (0xfe00, 0xfe0f),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff0, 0xfffb),
        (0xfffe, 0xffff),
        (0x110bd, 0x110bd),
        (0x110cd, 0x110cd),
        (0x13430, 0x1345f),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0x1fffe, 0x1ffff),
        (0x2fffe, 0x2ffff),
        (0xe0000, 0x0010_ffff),
    ];
    let after = HIDDEN.partition_point(|(first, _)| *first <= code);
    after.checked_sub(1).and_then(|at| HIDDEN.get(at)).is_none_or(|(_, last)| code > *last)
}

/// The text with everything that cannot be seen written out (`\u{202e}`), but for the ends of lines and tabs.
#[must_use]
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let is_seen = |character: char| matches!(character, '\n' | '\t') || is_visible(character);
    if text.chars().all(is_seen) {
        return Cow::Borrowed(text);
    }
    let mut seen = String::with_capacity(text.len().saturating_add(16));
    for character in text.chars() {
        if is_seen(character) {
            seen.push(character);
        } else {
            let _ = write!(seen, "{}", character.escape_unicode());
        }
    }
    Cow::Owned(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_turns_text_round_is_not_visible() {
        let hidden = "\u{0}\u{1b}\n\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{115f}\u{180e}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{2800}\u{3164}\u{e000}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{ffff}\u{1d173}\u{e0001}\u{e0041}\u{e01ef}\u{10ffff}";
        for character in hidden.chars() {
            assert!(!is_visible(character), "{}", character.escape_unicode());
        }
        for character in "aZ09 ~!é\u{a0}ßд漢字カ한ع\u{301}😀𝒜\u{1f1e9}".chars() {
            assert!(is_visible(character), "{}", character.escape_unicode());
        }
    }

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(visible("a\u{202e}b\u{200b}c\u{1b}[0m"), "a\\u{202e}b\\u{200b}c\\u{1b}[0m");
        assert!(matches!(visible("two\nlines\tof é"), Cow::Borrowed(_)));
    }
}
