//! Member names that were read before: answers repeat the same few in every result.

use super::Context;
use crate::mask::fields::Class;
use std::ops::Range;

/// Names without a finding, by a hash of their bytes; a newer one takes an older one's place.
#[derive(Default)]
pub(super) struct Names(Vec<Option<Known>>);

#[derive(Clone)]
struct Known {
    raw: Range<usize>,
    /// Under what it had no finding.
    inherited: Context,
    says: (Context, Class),
}

impl Names {
    const PLACES: usize = 64;

    /// What the name at `raw` of `text` says, and what field rules make of it, if it was read before under the same names and
    /// had no finding.
    pub(super) fn known(&self, text: &str, raw: &Range<usize>, inherited: Context) -> Option<(Context, Class)> {
        let name = text.as_bytes().get(raw.clone())?;
        let known = self.0.get(place(name))?.as_ref()?;
        (known.inherited == inherited && text.as_bytes().get(known.raw.clone())? == name).then_some(known.says)
    }

    /// Remembers a name without a finding.
    pub(super) fn add(&mut self, text: &str, raw: &Range<usize>, inherited: Context, says: (Context, Class)) {
        if self.0.is_empty() {
            self.0.resize(Self::PLACES, None);
        }
        let name = text.as_bytes().get(raw.clone()).unwrap_or_default();
        if let Some(slot) = self.0.get_mut(place(name)) {
            *slot = Some(Known { raw: raw.clone(), inherited, says });
        }
    }
}

fn place(name: &[u8]) -> usize {
    let at = |from: usize| name.get(from).map_or(0, |byte| usize::from(*byte));
    (name.len() * 7 + at(0) * 3 + at(name.len() / 2) * 5 + at(name.len().wrapping_sub(1))) % Names::PLACES
}
