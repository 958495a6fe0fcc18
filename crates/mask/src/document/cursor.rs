//! Reads the tokens of RFC 8259.

use super::Unmaskable;
use crate::bytes::{self, Block, Set};
use serde::de::IgnoredAny;
use std::ops::Range;

/// A place in a body.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl Cursor<'_> {
    pub(super) fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn malformed(&self) -> Unmaskable {
        Unmaskable::Malformed { at: self.at }
    }

    pub(super) fn skip_space(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    pub(super) fn literal(&mut self, name: &[u8]) -> Result<(), Unmaskable> {
        if !self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(name)) {
            return Err(self.malformed());
        }
        self.at += name.len();
        Ok(())
    }

    /// Goes behind the string that begins here. Returns where it stands, without the quotes, and whether it surely is ASCII
    /// without escapes. That its escapes are ones JSON has is seen where they are decoded.
    pub(super) fn string_end(&mut self) -> Result<(Range<usize>, bool), Unmaskable> {
        let start = self.at + 1;
        let mut plain = true;
        self.at = start;
        loop {
            let mut wide = Set::NONE;
            let ends = |block: Block| {
                wide = wide.or(block.wide());
                block.is(b'"').or(block.is(b'\\')).or(block.between(0, 0x1f))
            };
            self.at = bytes::find(self.text.as_bytes(), self.at, ends).unwrap_or(self.text.len());
            plain &= wide.is_empty();
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((start..self.at - 1, plain));
                }
                Some(b'\\') => {
                    plain = false;
                    self.at += 2;
                }
                _ => return Err(self.malformed()),
            }
        }
    }

    pub(super) fn number_end(&mut self) -> Result<(), Unmaskable> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Goes behind the array or object that begins here.
    pub(super) fn nested_end(&mut self) -> Result<(), Unmaskable> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => {
                self.at += values.byte_offset();
                Ok(())
            }
            _ => Err(self.malformed()),
        }
    }

    /// Goes behind the value that begins here.
    pub(super) fn value_end(&mut self) -> Result<(), Unmaskable> {
        match self.byte() {
            Some(b'{' | b'[') => self.nested_end(),
            Some(b'"') => self.string_end().map(drop),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => self.number_end(),
        }
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Unmaskable> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        if count == 0 {
            self.at = self.text.len().min(self.at);
            return Err(self.malformed());
        }
        self.at += count;
        Ok(())
    }
}
