//! Masks a text body: first what field rules name in it, then what the detectors find in what has come of it.

use super::detect::Context;
use super::document::{Read, mask_fields_in};
use super::finding::{self, Finding};
use super::found::Masked;
use super::masks::Masks;
use super::secret;
use super::text::Masker;
use super::unmaskable::Unmaskable;
use super::view::Form;

/// Masks a text body, or a preview: what is found anywhere in it is replaced, and what field rules name in it, by the last name of
/// each: in JSON, and before a `:` or `=`.
///
/// # Errors
/// A body that is not UTF-8, or has one of `secrets` in it. Where there are field rules, also one that names a field where its value
/// cannot be told, and JSON that [`mask_json`](super::mask_json) would refuse.
pub fn mask_text(body: &[u8], masks: &Masks, secrets: &[&[u8]]) -> Result<Masked, Unmaskable> {
    mask_text_within(body, masks, secrets, usize::MAX)
}

/// As [`mask_text`], of which at most `most` bytes may come out. Masking stops as soon as more would.
///
/// # Errors
/// As [`mask_text`], and where more than `most` bytes would come out.
pub fn mask_text_within(body: &[u8], masks: &Masks, secrets: &[&[u8]], most: usize) -> Result<Masked, Unmaskable> {
    whole(body, secrets, Masker::new(masks, secrets, most)).map(|(masked, _)| masked)
}

/// As [`mask_text`], and tells each finding.
///
/// # Errors
/// As [`mask_text`].
pub fn mask_text_and_tell(body: &[u8], masks: &Masks, secrets: &[&[u8]]) -> Result<(Masked, Vec<Finding>), Unmaskable> {
    let mut masker = Masker::new(masks, secrets, usize::MAX);
    masker.located = Some(Vec::new());
    whole(body, secrets, masker)
}

fn whole(body: &[u8], secrets: &[&[u8]], mut masker: Masker<'_>) -> Result<(Masked, Vec<Finding>), Unmaskable> {
    let text = std::str::from_utf8(body).map_err(|error| Unmaskable::NotUtf8 { at: error.valid_up_to() })?;
    if secret::stands_in(secrets, body) {
        return Err(Unmaskable::Secret);
    }
    let tells = masker.located.is_some();
    let read = match masker.masks.text_fields() {
        Some(fields) => mask_fields_in(text, fields, masker.masks, secrets, tells, masker.most)?,
        None => Read::default(),
    };
    let Read { text: read, mut tally, mut told } = read;
    let now = read.as_deref().unwrap_or(text);
    let masked = masker.mask(now, Form::Plain, Context::NONE).map_err(|why| why.at(0))?;
    let masked = masked.then(|| masker.take());
    tally.add(masker.found(), || None);
    masker.masks.let_pass(&tally)?;
    let located = masker.located.as_deref().unwrap_or_default();
    // Places are those of the text as it came.
    let place = |place| Some(place).filter(|_| read.is_none());
    let found = finding::places(now, Form::Plain, located);
    told.extend(found.map(|(one, range)| Finding::of(&one.what, one.proof, None, place(range))));
    Ok((Masked::new(masked.or_else(|| read.clone()).map(String::into_bytes), tally), told))
}
