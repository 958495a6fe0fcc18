//! A document that is a text inside another one, as Envoy's configuration holds the plugin's: where its lines stand outside.

use std::ops::Range;

/// Where each line of the inner text begins in the outer one.
#[derive(Debug)]
pub(crate) struct Inner<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Inner<'t> {
    /// `text` is what the scalar at `at` in `outer` means. None where it is written with escapes or folds.
    pub(crate) fn find(outer: &str, at: &Range<usize>, text: &'t str) -> Option<Self> {
        let written = outer.get(at.start..)?;
        if let Some(within) = outer.get(at.clone()).and_then(|written| written.find(text)) {
            let begin = at.start.saturating_add(within);
            let starts = lines(text).map(|(offset, _)| begin.saturating_add(offset)).collect();
            return Some(Self { text, starts });
        }
        // A block: every line with the same indentation before it. The first one may share its line with nothing else.
        let line_start = outer.get(..at.start)?.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let written_lines: Vec<(usize, &str)> =
            lines(outer.get(line_start..)?).map(|(offset, line)| (line_start.saturating_add(offset), line)).collect();
        let first = lines(text).next()?.1;
        let begins = written_lines
            .iter()
            .position(|(_, line)| line.ends_with(first) && line.trim_start() == first.trim_start())?;
        let (_, first_written) = written_lines.get(begins)?;
        let indent = first_written.len().checked_sub(first.len())?;
        let mut starts = Vec::new();
        for (number, (_, line)) in lines(text).enumerate() {
            match written_lines.get(begins.saturating_add(number)) {
                Some((offset, have)) if have.get(indent..) == Some(line) => starts.push(offset.saturating_add(indent)),
                Some((offset, have)) if line.is_empty() && have.trim().is_empty() => starts.push(*offset),
                None if line.is_empty() => starts.push(at.start.saturating_add(written.len())),
                _ if line.is_empty() && number.saturating_add(1) == lines(text).count() => {}
                _ => return None,
            }
        }
        Some(Self { text, starts })
    }

    /// The range of the outer text that is `range` of the inner one: its part on the first line.
    pub(crate) fn outside(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let (number, (begin, line)) =
            lines(self.text).enumerate().take_while(|(_, (begin, _))| *begin <= range.start).last()?;
        let start = self.starts.get(number)?;
        let place = |offset: usize| start.saturating_add(offset.saturating_sub(begin).min(line.len()));
        Some(place(range.start)..place(range.end))
    }
}

/// The lines with the offsets at which they begin; behind a last newline is one more, empty.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut begin = 0_usize;
    text.split('\n').map(move |line| {
        let at = begin;
        begin = begin.saturating_add(line.len()).saturating_add(1);
        (at, line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use rerank_guard::diagnostic::{Part, Place};

    #[test]
    fn what_stands_in_a_text_is_found_outside() {
        for outer in [
            "a:\n  b: |\n    {\n      \"x\": [1,\n\n        22]\n    }\nc: 1\n",
            "a:\n  b: |-\n    {\n      \"x\": [1,\n\n        22]\n    }",
            "a:\n  b: '{\"x\": 22}'\n",
            "a: {b: '{\"x\": 22}', c: 1}\n",
        ] {
            let document = Document::yaml(outer).unwrap();
            let text = document.value["a"]["b"].as_str().unwrap();
            let at = document.locate(outer, &Place::root().name("a").name("b"), Part::Value).unwrap();
            let inner = Inner::find(outer, &at, text).unwrap_or_else(|| panic!("{outer}"));
            let within = text.find("22").unwrap();
            assert_eq!(outer.get(inner.outside(&(within..within + 2)).unwrap()), Some("22"), "{outer}");
        }
    }

    #[test]
    fn what_is_written_otherwise_is_not_guessed() {
        for outer in ["a: \"{\\\"x\\\": 22}\"\n", "a: >\n  {\"x\":\n  22}\n"] {
            let document = Document::yaml(outer).unwrap();
            let text = document.value["a"].as_str().unwrap();
            let at = document.locate(outer, &Place::root().name("a"), Part::Value).unwrap();
            assert!(Inner::find(outer, &at, text).is_none(), "{outer}");
        }
    }
}
