//! What is written of a body: only what lies between replacements is copied, and only when there is one.

use crate::unmaskable::Unmaskable;
use std::ops::Range;

/// The masked body: what was replaced so far, and how far the original is copied.
pub(super) struct Output<'a> {
    text: &'a str,
    written: Vec<u8>,
    copied: usize,
    /// The most bytes that may be written.
    most: usize,
    /// Whether more would have been. Then nothing more is written, and nothing leaves.
    is_full: bool,
}

impl<'a> Output<'a> {
    pub(super) fn of(text: &'a str, most: usize) -> Self {
        Self { text, written: Vec::new(), copied: 0, most, is_full: false }
    }

    /// What there was no room for must not leave.
    pub(super) fn has_room(&self) -> Result<(), Unmaskable> {
        if self.is_full { Err(Unmaskable::Grows { most: self.most }) } else { Ok(()) }
    }

    /// The member that begins at `start`, with its comma if it has one, and whose name begins at `name`.
    pub(super) fn member(&self, start: usize, name: usize) -> Member {
        Member { start, name, written: self.written.len(), copied: self.copied }
    }

    /// Puts `replacement` in the place of `range`, which lies behind all replaced before.
    pub(super) fn replace(&mut self, range: Range<usize>, replacement: &str) {
        if self.written.is_empty() {
            self.written.reserve(self.text.len());
        }
        let before = self.text.as_bytes().get(self.copied..range.start).unwrap_or_default();
        self.copied = range.end;
        self.is_full |= self.written.len().saturating_add(before.len() + replacement.len()) > self.most;
        if !self.is_full {
            self.written.extend_from_slice(before);
            self.written.extend_from_slice(replacement.as_bytes());
        }
    }

    /// Forgets what was replaced from `member` on.
    pub(super) fn undo(&mut self, member: &Member) {
        self.written.truncate(member.written);
        self.copied = member.copied;
    }

    /// The whole body, if anything was replaced.
    pub(super) fn finish(mut self) -> Result<Option<Vec<u8>>, Unmaskable> {
        if self.copied == 0 {
            return Ok(None);
        }
        let behind = self.text.as_bytes().get(self.copied..).unwrap_or_default();
        self.is_full |= self.written.len().saturating_add(behind.len()) > self.most;
        self.has_room()?;
        self.written.extend_from_slice(behind);
        Ok(Some(self.written))
    }
}

/// Where a member begins, and what was written before it.
#[derive(Clone, Copy, Default)]
pub(super) struct Member {
    /// At the comma before it, if there is one.
    pub(super) start: usize,
    /// At its name.
    pub(super) name: usize,
    written: usize,
    copied: usize,
}
