//! Masks what stands where a field rule says, whatever it is.

use super::pointer::pointer;
use super::{Pass, Unmaskable};
use crate::finding::Finding;
use crate::kind::What;
use crate::view::{self, Form, Undecodable, unescaped};
use std::ops::Range;

impl Pass<'_> {
    /// Masks the value that begins here with `first`, or the beginning of one; whether an array or object was opened.
    #[inline(never)]
    pub(super) fn mask_field(&mut self, first: Option<u8>, hit: usize) -> Result<bool, Unmaskable> {
        let place = self.ways.get(self.here()).place;
        let start = self.cursor.at;
        match first {
            // Under it is something that the dialect keeps: all else in it is masked.
            Some(b'{') if place.leads_on() => return self.open(b'}'),
            Some(b'[') if place.leads_on() => return self.open(b']'),
            Some(b'{' | b'[') => self.cursor.nested_end()?,
            Some(b'"') => return self.mask_field_string(hit).map(|()| false),
            Some(b'-' | b'0'..=b'9') => self.cursor.number_end()?,
            Some(b't') => self.cursor.literal(b"true")?,
            Some(b'f') => self.cursor.literal(b"false")?,
            // There is nothing in it to mask.
            Some(b'n') => return self.cursor.literal(b"null").map(|()| false),
            _ => return Err(self.cursor.malformed()),
        }
        if !matches!(first, Some(b'{' | b'[')) && place.is_kept() {
            if matches!(first, Some(b'-' | b'0'..=b'9')) {
                // The rule leaves it; it is looked at all the same.
                self.cursor.at = start;
                self.number()?;
            }
            return Ok(false);
        }
        let raw = self.cursor.text.get(start..self.cursor.at).unwrap_or_default();
        let is_number = matches!(first, Some(b'-' | b'0'..=b'9'));
        let masks = self.masker.masks;
        let replacement = masks.field_replacement(hit).ok_or(Unmaskable::Unsettled { at: start })?;
        self.tell_field(is_number.then_some(0..raw.len()));
        if replacement.drops && !self.keeps_shape {
            self.drop_value(start);
        } else {
            let mut instead = String::from("\"");
            if is_number {
                replacement.write(raw.as_bytes(), Form::Json, &mut instead);
            } else {
                replacement.write_instead(raw.as_bytes(), Form::Json, &mut instead);
            }
            instead.push('"');
            self.output.replace(start..self.cursor.at, &instead);
        }
        self.count(&[What::Field]);
        Ok(false)
    }

    fn mask_field_string(&mut self, hit: usize) -> Result<(), Unmaskable> {
        let (raw, _) = self.cursor.string_end()?;
        let text = self.cursor.text.get(raw.clone()).unwrap_or_default();
        let mut value = Vec::new();
        view::decode(text, Form::Json, &mut value).map_err(|why| match why {
            Undecodable::Surrogate => Unmaskable::LoneSurrogate { at: raw.start },
            Undecodable::Escape => Unmaskable::Malformed { at: raw.start },
        })?;
        let masks = self.masker.masks;
        let replacement = masks.field_replacement(hit).ok_or(Unmaskable::Unsettled { at: raw.start })?;
        let mut instead = String::new();
        if !replacement.drops || self.keeps_shape {
            replacement.write(&value, Form::Json, &mut instead);
            // What was masked before is no finding again.
            if instead == text {
                return Ok(());
            }
        }
        if self.told.is_some() {
            self.tell_field(Some(0..unescaped(text).chars().count()));
        }
        if replacement.drops && !self.keeps_shape {
            self.drop_value(raw.start - 1);
        } else {
            self.output.replace(raw, &instead);
        }
        self.count(&[What::Field]);
        Ok(())
    }

    /// Tells that the value which is being read is masked, from where to where if it is a string or number.
    pub(super) fn tell_field(&mut self, place: Option<Range<usize>>) {
        if let Some(told) = &mut self.told {
            let pointer = pointer(self.prefix, &self.open, self.cursor.text, None);
            told.push(Finding::of(&What::Field, "rule", Some(pointer), place));
        }
    }
}
