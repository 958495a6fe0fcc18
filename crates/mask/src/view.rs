//! What the detectors see of a string: escapes decoded, look-alike characters folded, invisible ones dropped.
//!
//! The view is never longer than the raw text, and no table of offsets is kept: where a finding stands in the raw text is found
//! by walking it once more, which only strings with both escapes and findings pay for.

use super::bytes;
use rerank_guard_text::escapes::{self, NoEscape};
use rerank_guard_text::visible::is_unseen;
use std::borrow::Cow;
use std::ops::Range;

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Between the quotes of a JSON string.
    Json,
    /// The same, and known to be ASCII without escapes.
    Bare,
    /// As it stands.
    Plain,
}

/// Why a string has no view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// An escape that JSON does not have.
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
}

/// Whether the view of `raw` is `raw`: no escapes, and nothing to fold.
pub(super) fn is_plain(raw: &str, form: Form) -> bool {
    if form == Form::Bare {
        return true;
    }
    let text = raw.as_bytes();
    let mut at = 0;
    while let Some(odd) = next_odd(text, at, form) {
        let seen = raw.get(odd..).and_then(|rest| rest.chars().next());
        match seen {
            Some(seen) if seen != '\\' && fold(seen) == Some(seen) => at = odd + seen.len_utf8(),
            _ => return false,
        }
    }
    true
}

/// The next character or escape from `from` on that may not be seen as it stands.
fn next_odd(text: &[u8], from: usize, form: Form) -> Option<usize> {
    match form {
        // JSON has no control character between quotes but by an escape.
        Form::Json => bytes::find(text, from, |block| block.wide().or(block.is(b'\\'))),
        Form::Plain => bytes::find(text, from, |block| {
            block.wide().or(block.is(b'\\')).or(block.between(0, 8)).or(block.between(0xe, 0x1f)).or(block.is(0x7f))
        }),
        Form::Bare => None,
    }
}

/// Writes the view of `raw` into `view`.
///
/// # Errors
/// A lone surrogate, or an escape JSON does not have.
pub(super) fn decode(raw: &str, form: Form, view: &mut Vec<u8>) -> Result<(), Undecodable> {
    view.clear();
    let text = raw.as_bytes();
    let mut walk = Walk { raw, form, at: 0 };
    while let Some(odd) = next_odd(text, walk.at, form) {
        view.extend_from_slice(text.get(walk.at..odd).unwrap_or_default());
        walk.at = odd;
        // Of all that is odd, line breaks and quotes are by far the most.
        let simple = match text.get(odd..odd + 2) {
            Some(b"\\n") => Some(b'\n'),
            Some(b"\\\"") => Some(b'"'),
            Some(b"\\t") => Some(b'\t'),
            _ => None,
        };
        if let (Some(seen), true) = (simple, form != Form::Plain) {
            view.push(seen);
            walk.at += 2;
        } else if let Some(Piece::One(_, Some(seen))) = walk.next()? {
            view.extend_from_slice(seen.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    view.extend_from_slice(text.get(walk.at..).unwrap_or_default());
    Ok(())
}

/// Where ranges of the view, sorted and apart, stand in the raw text.
pub(super) fn locate(raw: &str, form: Form, ranges: &[Range<usize>]) -> Result<Vec<Range<usize>>, Undecodable> {
    let mut located = Vec::with_capacity(ranges.len());
    let mut ranges = ranges.iter();
    let mut wanted = ranges.next();
    let mut start = None;
    let mut walk = Walk { raw, form, at: 0 };
    let mut seen_until = 0;
    while let (Some(range), Some(piece)) = (wanted, walk.next()?) {
        let (raw_range, length) = match &piece {
            Piece::Run(run) => (run.clone(), run.len()),
            Piece::One(raw_range, seen) => (raw_range.clone(), seen.map_or(0, char::len_utf8)),
        };
        let is_run = matches!(piece, Piece::Run(_));
        let from = seen_until;
        seen_until += length;
        let mut range = range;
        loop {
            if start.is_none() && range.start < seen_until {
                start = Some(raw_range.start + if is_run { range.start.saturating_sub(from) } else { 0 });
            }
            let (Some(begun), true) = (start, range.end <= seen_until) else { break };
            located.push(begun..if is_run { raw_range.start + range.end.saturating_sub(from) } else { raw_range.end });
            start = None;
            wanted = ranges.next();
            let Some(following) = wanted else { break };
            range = following;
        }
    }
    Ok(located)
}

/// A piece of raw text.
enum Piece {
    /// ASCII that is seen as it stands.
    Run(Range<usize>),
    /// One character or escape, and what is seen of it.
    One(Range<usize>, Option<char>),
}

struct Walk<'a> {
    raw: &'a str,
    form: Form,
    at: usize,
}

impl Walk<'_> {
    fn next(&mut self) -> Result<Option<Piece>, Undecodable> {
        let Some(&byte) = self.raw.as_bytes().get(self.at) else { return Ok(None) };
        let start = self.at;
        let end = next_odd(self.raw.as_bytes(), start, self.form).unwrap_or(self.raw.len());
        if end > start {
            self.at = end;
            return Ok(Some(Piece::Run(start..end)));
        }
        let rest = self.raw.as_bytes().get(start..).unwrap_or_default();
        let seen = if let Ok(said) = escapes::said(rest, self.form != Form::Plain) {
            self.at += said.length;
            said.seen
        } else if byte == b'\\' && self.form == Form::Plain {
            self.at += 1;
            '\\'
        } else if byte == b'\\' {
            let escape = escapes::json(rest)?;
            self.at += escape.length;
            escape.seen
        } else {
            let seen = self.raw.get(start..).and_then(|rest| rest.chars().next()).ok_or(Undecodable::Escape)?;
            self.at += seen.len_utf8();
            seen
        };
        Ok(Some(Piece::One(start..self.at, fold(seen))))
    }
}

impl From<NoEscape> for Undecodable {
    fn from(why: NoEscape) -> Self {
        match why {
            NoEscape::Unknown => Self::Escape,
            NoEscape::Half(_) => Self::Surrogate,
        }
    }
}

/// What is seen of a character: ASCII where it only looks different, nothing where it cannot be seen.
fn fold(seen: char) -> Option<char> {
    if is_unseen(seen) {
        return None;
    }
    let code = u32::from(seen);
    Some(match seen {
        '\u{1c}'..='\u{1f}' => ' ',
        '\0'..='\u{7f}' => seen,
        // Keycaps only hide what they are drawn around.
        '\u{20e3}' => return None,
        '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        '\u{2024}' | '\u{3002}' | '\u{fe52}' | '\u{ff61}' => '.',
        '\u{fe6b}' => '@',
        // Full-width forms of `!` to `~`: digits, letters, `＠`, `．`, `－`.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(code - 0xfee0).unwrap_or(seen),
        _ => digit(code).unwrap_or(seen),
    })
}

/// The decimal digits of other scripts (Unicode `Nd`), which all come in runs of ten.
fn digit(code: u32) -> Option<char> {
    const ZEROS: [u32; 60] = [
        0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
        0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
        0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450,
        0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
        0x1e140, 0x1e2f0, 0x1e4f0, 0x1e950, 0x1fbf0,
    ];
    if (0x1d7ce..=0x1d7ff).contains(&code) {
        return char::from_digit((code - 0x1d7ce) % 10, 10);
    }
    let zero = ZEROS.get(ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?)?;
    char::from_digit(code - zero, 10)
}

/// The value of a JSON string that is known to be one, given without its quotes.
pub(super) fn unescaped(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    serde_json::from_str(&format!("\"{raw}\"")).map_or(Cow::Borrowed(raw), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn view(raw: &str, form: Form) -> String {
        let mut view = Vec::new();
        decode(raw, form, &mut view).unwrap();
        String::from_utf8(view).unwrap()
    }

    #[test]
    fn look_alikes_are_folded_and_hidden_characters_dropped() {
        for (raw, seen) in [
            ("４１１１", "4111"),
            ("a＠b．c", "a@b.c"),
            ("1\u{2011}2\u{2013}3\u{2212}4", "1-2-3-4"),
            ("1\u{a0}2\u{202f}3\u{3000}4", "1 2 3 4"),
            ("4\u{200b}1\u{200d}1\u{feff}1\u{ad}", "4111"),
            ("٤١١١ ۴۱۱۱ ४१११ 𝟒𝟏𝟏𝟏", "4111 4111 4111 4111"),
            ("4\u{fe0f}\u{20e3}1\u{fe0f}\u{20e3}", "41"),
            ("4\u{0}1\u{3164}1\u{115f}1\u{2800}\u{17b4}\u{180b}\u{ffa0}\u{7f}\u{1}\u{e0041}", "4111"),
            ("a@b\u{3002}c\u{ff61}d\u{ff0e}e", "a@b.c.d.e"),
            ("1\u{1f}2\u{2028}3", "1 2\n3"),
            ("naïve “déjà” 日本語 😀", "naïve “déjà” 日本語 😀"),
        ] {
            assert_eq!(view(raw, Form::Plain), seen);
        }
    }

    #[test]
    fn escapes_in_what_a_text_says_are_seen_as_what_they_stand_for_at_any_depth() {
        for (raw, seen) in [
            (r"card\n4111", "card\n4111"),
            (r"card\\\n4111", "card\n4111"),
            (r"a\u0040b.c \u00234", "a@b.c #4"),
            (r"a\tb\r\nc", "a\tb\n\nc"),
            (r"DE89\xa03704\xg0", "DE89 3704\\xg0"),
            ("\u{1e950}\u{11066}", "00"),
            (r#"\"\x\4111\ud83d\u12"#, r#"\"\x\4111\ud83d\u12"#),
            ("\\", "\\"),
        ] {
            assert_eq!(view(raw, Form::Plain), seen, "{raw}");
        }
        for (raw, seen) in [
            (r"card\\n4111", "card\n4111"),
            (r"card\\\\n4111", "card\n4111"),
            (r"card\\\n4111", "card\\\n4111"),
            (r"a\\u0040b", "a@b"),
            (r"card\u005cn4111", "card\n4111"),
            (r"a\u005cu0040b", "a@b"),
            (r"\\ud835\\udfd2\u005cud835\u005cudfd2", "44"),
            (r"\\x\\", "\\x\\"),
        ] {
            assert_eq!(view(raw, Form::Json), seen, "{raw}");
        }
        assert_eq!(locate(r"card\\n4111", Form::Json, &[0..4, 5..9]).unwrap(), [0..4, 7..11]);
        let many = format!("{}n4", "\\".repeat(1000));
        assert!(view(&many, Form::Plain).ends_with("\\\n4"));
    }

    #[test]
    fn every_escape_is_decoded() {
        assert_eq!(view(r#"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00\uFF20"#, Form::Json), "\"\\/\u{c}\n\r\tAé😀@");
        let refused = |raw| decode(raw, Form::Json, &mut Vec::new()).unwrap_err();
        for raw in [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\n", r"\ud83d\ud83d"] {
            assert_eq!(refused(raw), Undecodable::Surrogate, "{raw}");
        }
        for raw in [r"\x", r"\u12", r"\u12g4", "\\"] {
            assert_eq!(refused(raw), Undecodable::Escape, "{raw}");
        }
    }

    #[test]
    fn ranges_are_found_again_in_the_raw_text() {
        let raw = "\\u0041x\u{200b}４\u{200b}\\ny";
        assert_eq!(view(raw, Form::Json), "Ax4\ny");
        let all: Vec<_> = (0..5).map(|at| at..at + 1).collect();
        assert_eq!(locate(raw, Form::Json, &all).unwrap(), [0..6, 6..7, 10..13, 16..18, 18..19]);
        assert_eq!(locate(raw, Form::Json, &[1..3, 4..5]).unwrap(), [6..13, 18..19]);
        assert_eq!(locate("abc", Form::Json, &[0..1, 1..3]).unwrap(), [0..1, 1..3]);
    }

    proptest! {
        #[test]
        fn the_view_of_a_json_string_is_the_folded_value(value in "[a4\u{200b}４é\"\\\\\n\u{1}😀 -]{0,20}", all in any::<bool>()) {
            let mut raw = serde_json::to_string(&value).unwrap();
            if all {
                raw = value.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            } else {
                raw = raw.get(1..raw.len() - 1).unwrap().to_owned();
            }
            let folded: String = value.chars().filter_map(fold).collect();
            prop_assert_eq!(&view(&raw, Form::Json), &folded);
            prop_assert!(!is_plain(&raw, Form::Json) || raw == folded);
            // Each seen character alone decodes to itself from where it was located.
            let each: Vec<_> = folded.char_indices().map(|(at, seen)| at..at + seen.len_utf8()).collect();
            let located = locate(&raw, Form::Json, &each).unwrap();
            prop_assert_eq!(located.len(), each.len());
            for (place, seen) in located.into_iter().zip(folded.chars()) {
                prop_assert_eq!(view(raw.get(place).unwrap(), Form::Json), seen.to_string());
            }
        }
    }
}
