//! What was masked, told without telling it.

use super::kind::What;

/// How often one kind was found, and where. Never what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The kind.
    pub kind: What,
    /// How many findings there were.
    pub count: u32,
    /// JSON pointers (RFC 6901) of the first places with such a finding, at most [`Found::POINTERS`]; member names with findings
    /// stand in their masked form, and those that are no plain identifier, and so may be somebody's, as `*`. Empty for a text
    /// body.
    pub pointers: Vec<String>,
    /// Whether there were more places than `pointers` names.
    pub truncated: bool,
}

impl Found {
    /// The most places named for one kind.
    pub const POINTERS: usize = 16;
}

/// A body that was looked at whole, and in which every finding was replaced. Only [`mask_json`](super::mask_json) and
/// [`mask_text`](super::mask_text) make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    body: Option<Vec<u8>>,
    found: Vec<Found>,
}

impl Masked {
    pub(super) fn new(body: Option<Vec<u8>>, tally: Tally) -> Self {
        Self { body, found: tally.0 }
    }

    /// The masked body, or nothing when the body may leave byte for byte as it came.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// What was found, a kind at most once, by kind.
    #[must_use]
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// The masked body (nothing: unchanged) and what was found.
    #[must_use]
    pub fn into_parts(self) -> (Option<Vec<u8>>, Vec<Found>) {
        (self.body, self.found)
    }
}

/// Counts findings as they come, sorted by kind.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<Found>);

impl Tally {
    /// Counts the findings of one place; `pointer` is asked only while places are still named.
    pub(super) fn add(&mut self, kinds: &[What], mut pointer: impl FnMut() -> Option<String>) {
        // A place is named once for a kind, however often it is found there: a bit for each kind, and the few others by themselves.
        let mut named_kinds = 0_u128;
        let mut named: Vec<&What> = Vec::new();
        for kind in kinds {
            let Some(found) = self.of(kind) else { continue };
            found.count = found.count.saturating_add(1);
            if let What::Kind(kind) = kind {
                let bit = 1 << *kind as u32;
                if named_kinds & bit != 0 {
                    continue;
                }
                named_kinds |= bit;
            } else if named.contains(&kind) {
                continue;
            } else {
                named.push(kind);
            }
            if found.pointers.len() < Found::POINTERS {
                found.pointers.extend(pointer());
            } else {
                found.truncated = true;
            }
        }
    }

    /// Appends each kind as often as it was found.
    pub(super) fn kinds_into(&self, kinds: &mut Vec<What>) {
        for found in &self.0 {
            kinds.extend(std::iter::repeat_n(found.kind.clone(), found.count as usize));
        }
    }

    fn of(&mut self, kind: &What) -> Option<&mut Found> {
        let position = match self.0.binary_search_by(|found| found.kind.cmp(kind)) {
            Ok(position) => position,
            Err(position) => {
                let found = Found { kind: kind.clone(), count: 0, pointers: Vec::new(), truncated: false };
                self.0.insert(position, found);
                position
            }
        };
        self.0.get_mut(position)
    }

    pub(super) fn found(&self) -> &[Found] {
        &self.0
    }
}
