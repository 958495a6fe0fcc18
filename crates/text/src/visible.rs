//! What a person sees of a text: a name with characters that show nothing, or turn the writing round, can pass for another one.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character shows nothing at all, and none stands in its place: control characters that break no line, joiners, direction
/// marks, variation selectors, fillers, tags. The one table of these for all rooms: what is compared, looked into or shown.
pub const fn is_unseen(character: char) -> bool {
    matches!(character,
        '\0'..='\u{8}' | '\u{e}'..='\u{1b}' | '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a person can see the character, or at least the room it takes: no control character, nothing of Unicode's format
/// characters and those that are ignored by default, no line or paragraph separator, none that only looks blank.
#[must_use]
pub const fn is_visible(character: char) -> bool {
    // Besides what is unseen: breaks, format characters that draw something only with others, private and no characters.
    !is_unseen(character)
        && !matches!(character,
            '\t'..='\r' | '\u{1c}'..='\u{1f}' | '\u{85}' | '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}'
            | '\u{8e2}' | '\u{2028}' | '\u{2029}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fffe}' | '\u{ffff}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}' | '\u{1fffe}' | '\u{1ffff}' | '\u{2fffe}' | '\u{2ffff}'
            | '\u{e1000}'..)
}

/// The text with everything that cannot be seen written out (`\u{202e}`), but for the ends of lines and tabs.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
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
        for character in hidden.chars().filter(|character| is_unseen(*character)) {
            assert!(!is_visible(character));
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
