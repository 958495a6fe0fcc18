//! What there is to say about what stands around a filter.

use crate::report::Severity;
use rerank_guard::diagnostic::{Flaw, Place};

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) severity: Severity,
    pub(crate) flaw: Flaw,
    /// Whether its place is one in the plugin's own document.
    pub(crate) is_inside: bool,
}

/// All of them, in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Notes(pub(crate) Vec<Note>);

impl Notes {
    /// The filter is not safe.
    pub(super) fn error(&mut self, place: Place, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Note { severity: Severity::Error, flaw: Flaw::new(place, what).hint(hint), is_inside: false });
    }

    /// It may be meant, and probably is not.
    pub(super) fn warning(&mut self, place: Place, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Note { severity: Severity::Warning, flaw: Flaw::new(place, what).hint(hint), is_inside: false });
    }

    /// As [`error`](Self::error), of a field in the plugin's own document.
    pub(super) fn error_inside(&mut self, field: &Place, what: impl Into<String>, hint: impl Into<String>) {
        self.inside(Severity::Error, field, what, hint);
    }

    /// As [`warning`](Self::warning), likewise.
    pub(super) fn warning_inside(&mut self, field: &Place, what: impl Into<String>, hint: impl Into<String>) {
        self.inside(Severity::Warning, field, what, hint);
    }

    fn inside(&mut self, severity: Severity, field: &Place, what: impl Into<String>, hint: impl Into<String>) {
        let flaw = Flaw::new(field.clone(), what).hint(hint);
        self.0.push(Note { severity, flaw, is_inside: true });
    }
}
