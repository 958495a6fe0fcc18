//! What was found in files, for people (with the line and a caret) and for programs.

use crate::{End, Output};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::ops::Range;

/// Something wrong in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: String,
    pub(crate) hint: Option<String>,
    /// The way to it in the document, such as `rules[3].allow`.
    pub(crate) place: Option<String>,
    /// Bytes of the text.
    pub(crate) at: Option<Range<usize>>,
}

/// How bad findings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The file is refused.
    Error,
    /// It is taken, and probably not what was meant.
    Warning,
}

/// A file and what was found in it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Prints findings for people, on standard error: standard output belongs to what was asked for.
    pub(crate) fn print(&self, severity: Severity, findings: &[Finding]) {
        if findings.is_empty() {
            return;
        }
        let error = std::io::stderr();
        let colours = error.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let rendered: Vec<String> = findings.iter().map(|finding| self.render(severity, finding, &renderer)).collect();
        // Nobody is left to tell when standard error is gone.
        let _ = error.lock().write_all(format!("{}\n", rendered.join("\n\n")).as_bytes());
    }

    fn render(&self, severity: Severity, finding: &Finding, renderer: &Renderer) -> String {
        let level = if severity == Severity::Error { Level::ERROR } else { Level::WARNING };
        let title = level.primary_title(&finding.what);
        let mut group = match &finding.at {
            Some(at) => {
                let annotation = AnnotationKind::Primary.span(self.visible(at)).label(finding.place.as_deref());
                title.element(Snippet::source(&self.text).path(self.path.as_str()).annotation(annotation))
            }
            None => {
                let place = finding.place.as_deref().map_or(String::new(), |place| format!(", {place}"));
                title.element(Level::NOTE.message(format!("in {}{place}", self.path)))
            }
        };
        if let Some(hint) = &finding.hint {
            group = group.element(Level::HELP.message(hint));
        }
        renderer.render(&[group])
    }

    /// A caret needs something to stand under.
    fn visible(&self, at: &Range<usize>) -> Range<usize> {
        let start = at.start.min(self.text.len());
        let next = self.text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        start..at.end.clamp(start.saturating_add(next), self.text.len().max(start.saturating_add(next)))
    }

    /// A finding for programs; lines and columns count from 1, columns in characters.
    pub(crate) fn json(&self, finding: &Finding) -> Value {
        let position = finding.at.as_ref().and_then(|at| {
            let before = self.text.get(..at.start)?;
            let line = before.matches('\n').count().saturating_add(1);
            let column = before.rsplit('\n').next()?.chars().count().saturating_add(1);
            Some((line, column))
        });
        json!({
            "file": self.path,
            "line": position.map(|(line, _)| line),
            "column": position.map(|(_, column)| column),
            "place": finding.place,
            "what": finding.what,
            "hint": finding.hint,
        })
    }
}

/// Prints what was asked for.
pub(crate) fn say(text: &str) {
    // A reader that has gone, such as `head`, wants no more.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Prints a value for programs.
pub(crate) fn say_json(value: &Value) {
    say(&format!("{value}\n"));
}

/// Tells people what cannot be done.
pub(crate) fn complain(why: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {why}");
}

/// Tells why it cannot be done, and ends.
pub(crate) fn unable(why: &str, output: Output) -> End {
    match output {
        Output::Text => complain(why),
        Output::Json => say_json(&json!({"ok": false, "error": why})),
    }
    End::Unable
}
