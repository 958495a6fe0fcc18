//! Member names that were read before: answers repeat the same few in every result.

use super::{Entered, Path};
use crate::mask::bytes;
use crate::mask::fields::State;
use crate::mask::kept::Place;
use std::ops::Range;

/// Names without a finding, by a hash of their bytes; a newer one takes an older one's place.
#[derive(Default)]
pub(super) struct Names(Vec<Option<Known>>);

/// Where a name stands: what the names before it say, the place of its object, and how far field rules have come there.
type Under = (Path, Place, State);

#[derive(Clone)]
struct Known {
    raw: Range<usize>,
    /// The first eight bytes.
    head: u64,
    under: Under,
    entered: Entered,
}

impl Names {
    const PLACES: usize = 64;

    /// What the name at `raw` of `text` makes of the way, if it was read before in the same place and had no finding.
    pub(super) fn known(&self, text: &str, raw: &Range<usize>, under: Under) -> Option<Entered> {
        let name = text.as_bytes().get(raw.clone())?;
        let head = bytes::head(name);
        let known = self.0.get(place(head, name.len()))?.as_ref()?;
        let same = known.head == head && known.raw.len() == name.len() && known.under == under;
        // All of most names is in the head.
        let rest = || text.as_bytes().get(known.raw.clone()).and_then(|known| known.get(8..)) == name.get(8..);
        (same && (name.len() <= 8 || rest())).then_some(known.entered)
    }

    /// Remembers a name without a finding.
    pub(super) fn add(&mut self, text: &str, raw: &Range<usize>, under: Under, entered: Entered) {
        if self.0.is_empty() {
            self.0.resize(Self::PLACES, None);
        }
        let name = text.as_bytes().get(raw.clone()).unwrap_or_default();
        let head = bytes::head(name);
        if let Some(slot) = self.0.get_mut(place(head, name.len())) {
            *slot = Some(Known { raw: raw.clone(), head, under, entered });
        }
    }
}

fn place(head: u64, length: usize) -> usize {
    (bytes::hash(head, length) >> 58) as usize % Names::PLACES
}
