//! Operators' own patterns, against another engine.

use regex_lite::Regex;
use rerank_guard::mask::{Masks, mask_text, mask_text_and_tell};
use serde_json::json;
use std::ops::Range;

/// The first line is an expression, the rest a text. What the loader accepts finds what regex-lite finds, leftmost and longest; and
/// masked twice there is nothing left.
pub fn check(data: &[u8]) {
    let Some(at) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (Ok(regex), Ok(text)) = (std::str::from_utf8(&data[..at]), std::str::from_utf8(&data[at + 1..])) else {
        return;
    };
    // A label that the pattern itself would find is refused; then nothing stands there.
    let Some(masks) = ["[{kind}]", ""].iter().find_map(|replace| compiled(regex, replace)) else { return };
    let Ok((masked, told)) = mask_text_and_tell(text.as_bytes(), &masks, &[]) else { return };
    if let Some(once) = masked.body() {
        let twice = mask_text(once, &masks, &[]).expect("what was masked can be masked");
        assert!(twice.found().is_empty(), "a finding is left in {}", String::from_utf8_lossy(once));
    }
    // What looks like something else is folded before patterns see it, and only these signs mean the same to both engines.
    let same = |one: char| matches!(one, ' '..='~' | '\n' | '\u{e9}' | '\u{df}');
    let differs = regex.contains("[^") && !text.is_ascii() || regex.contains(r"\s") && text.contains('\x0b');
    if differs || !text.chars().all(same) || regex.contains("[^") && text.contains('\n') {
        return;
    }
    let Some(wanted) = found_by_regex_lite(regex, text) else { return };
    // Places are told in characters, and those that were found only once others were replaced have none of their own.
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let found: Vec<Range<usize>> =
        told.iter().filter_map(|one| one.place.as_ref()).map(|place| places[place.start]..places[place.end]).collect();
    assert_eq!(found, wanted, "`{regex}` in {text:?}");
}

fn compiled(regex: &str, replace: &str) -> Option<Masks> {
    let rule = json!({"patterns": {"p": {"regex": regex}}, "replace": replace});
    Masks::compile(&[("m", &serde_json::from_value(rule).expect("a rule"))]).ok()
}

/// The leftmost and longest matches, none overlapping: from each place the longest piece that is one as a whole. Word boundaries, which
/// stand only at the ends, are looked at here: beyond ASCII every character is part of a word.
fn found_by_regex_lite(regex: &str, text: &str) -> Option<Vec<Range<usize>>> {
    const LONGEST: usize = 64;
    let (flag, rest) = regex.strip_prefix("(?i)").map_or(("", regex), |rest| ("(?i)", rest));
    let (begins, rest) = rest.strip_prefix(r"\b").map_or((false, rest), |rest| (true, rest));
    let bare = rest.strip_suffix(r"\b").filter(|rest| !rest.ends_with('\\'));
    let (ends, rest) = bare.map_or((false, rest), |rest| (true, rest));
    let whole = Regex::new(&format!("{flag}^(?:{rest})$")).ok()?;
    let is_word =
        |one: Option<char>| one.is_some_and(|one| one.is_ascii_alphanumeric() || one == '_' || one as u32 >= 0x80);
    let is_bound = |at: usize| is_word(text[..at].chars().next_back()) != is_word(text[at..].chars().next());
    let (mut found, mut from) = (Vec::new(), 0);
    for (start, _) in text.char_indices() {
        if start < from || begins && !is_bound(start) {
            continue;
        }
        let most = text.len().min(start + LONGEST);
        let end = (start + 1..=most)
            .rev()
            .filter(|end| text.is_char_boundary(*end) && (!ends || is_bound(*end)))
            .find(|end| whole.is_match(&text[start..*end]));
        if let Some(end) = end {
            found.push(start..end);
            from = end;
        }
    }
    Some(found)
}
