//! What is found in a call when a rule of the bundle asks for it.

use super::habits;
use crate::call::{Call, Dialect, any_text};
use crate::caller::Caller;
use crate::mask::{Kind, Masks, mask_parts};
use crate::policy::{Claims, Facts, Novelty};
use crate::shared::SharedMemory;
use serde_json::{Map, Value};
use std::fmt;

/// A call that was read, with all that is known of its caller.
pub(super) struct Observed<'a> {
    pub(super) call: &'a Call,
    pub(super) caller: &'a Caller,
    pub(super) dialect: &'a Dialect,
    pub(super) body: &'a [u8],
    /// The caller's calls in this minute, and their documents; None: unknown, or nobody asks.
    pub(super) rates: Option<(u64, u64)>,
    pub(super) memory: &'a dyn SharedMemory,
}

/// Shows no content.
impl fmt::Debug for Observed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Observed").field("rates", &self.rates).finish_non_exhaustive()
    }
}

impl Facts for Observed<'_> {
    fn has_kind(&self, _: &[Kind], masks: &Masks) -> bool {
        // What cannot be looked into may hold anything.
        let texts = self.dialect.texts.each_ref().map(String::as_str);
        mask_parts(self.body, &texts, masks).map_or(true, |masked| !masked.found().is_empty())
    }

    fn has_term(&self, terms: &[String]) -> bool {
        let mut look = |text: &str| {
            let text = text.to_lowercase();
            terms.iter().any(|term| text.contains(term.as_str()))
        };
        any_text(self.dialect, self.body, &mut look).unwrap_or(true)
    }

    fn is_first_use(&self, of: Novelty) -> bool {
        let name = match of {
            Novelty::Model => &self.call.model,
            Novelty::Dataset => &self.call.dataset,
        };
        habits::is_first_use(self.memory, (self.caller.issuer(), self.caller.subject()), of, name)
    }

    fn calls_this_minute(&self) -> Option<u64> {
        self.rates.map(|(calls, _)| calls)
    }

    fn documents_this_minute(&self) -> Option<u64> {
        self.rates.map(|(_, documents)| documents)
    }
}

impl Claims for Caller {
    fn all(&self) -> &Map<String, Value> {
        self.claims()
    }
}
