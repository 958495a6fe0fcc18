//! What is found in a call when a rule of the bundle asks for it.

use super::habits;
use crate::call::{Call, Dialect, Piece, each_text};
use crate::caller::Caller;
use crate::mask::{Kind, Masks, kinds_in};
use crate::policy::{Claims, Facts, Novelty, Search, Sought};
use crate::shared::SharedMemory;
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

/// A call that was read, with all that is known of its caller.
pub(super) struct Observed<'a> {
    pub(super) call: &'a Call,
    pub(super) caller: &'a Caller,
    pub(super) dialect: &'a Dialect,
    pub(super) body: &'a [u8],
    /// The caller's calls in this minute, and their documents; None: unknown, or nobody asks.
    pub(super) rates: Option<(u64, u64)>,
    pub(super) memory: &'a dyn SharedMemory,
    pub(super) texts: Texts<'a>,
}

/// What is known of a call's texts. They are looked into twice, once for all kinds of personal data and once for all terms that any rule
/// of the bundles asks for, when the first one asks; the others are told what was found then.
pub(super) struct Texts<'a> {
    /// What the bundle wants to know, and the one that is only asked.
    sought: [Option<&'a Sought>; 2],
    /// Finds the kinds of both; none where no rule asks for any.
    masks: Option<Rc<Masks>>,
    /// None: what cannot be looked into may hold anything.
    kinds: OnceCell<Option<Vec<Kind>>>,
    terms: OnceCell<Option<Vec<Search<'a>>>>,
}

#[cfg(test)]
thread_local! {
    /// How often the texts of calls were read in this thread.
    pub(super) static READINGS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Counts a reading, for tests.
fn count() {
    #[cfg(test)]
    READINGS.set(READINGS.get() + 1);
}

impl<'a> Texts<'a> {
    pub(super) fn new(sought: [Option<&'a Sought>; 2], masks: Option<Rc<Masks>>) -> Self {
        Self { sought, masks, kinds: OnceCell::new(), terms: OnceCell::new() }
    }

    fn kinds(&self, dialect: &Dialect, body: &[u8]) -> Option<&[Kind]> {
        let look = || {
            count();
            let places: Vec<&str> = dialect.looked_at.iter().map(String::as_str).collect();
            kinds_in(body, &places, self.masks.as_ref()?).ok()
        };
        self.kinds.get_or_init(look).as_deref()
    }

    fn terms(&self, dialect: &Dialect, body: &[u8]) -> Option<&[Search<'a>]> {
        let look = || {
            count();
            let mut searches: Vec<_> = self.sought.iter().flatten().map(|sought| Search::new(&sought.terms)).collect();
            each_text(dialect, body, &mut |piece| {
                for search in &mut searches {
                    match piece {
                        Piece::Apart => search.apart(),
                        Piece::Text(text) => search.text(text, true),
                        Piece::Aside(text) => search.text(text, false),
                    }
                }
            })?;
            Some(searches)
        };
        self.terms.get_or_init(look).as_deref()
    }
}

/// Shows no content.
impl fmt::Debug for Observed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Observed").field("rates", &self.rates).finish_non_exhaustive()
    }
}

impl Facts for Observed<'_> {
    fn has_kind(&self, kinds: &[Kind]) -> bool {
        let found = self.texts.kinds(self.dialect, self.body);
        found.is_none_or(|found| found.iter().any(|kind| kinds.contains(kind)))
    }

    fn has_term(&self, terms: &[String]) -> bool {
        let Some(searches) = self.texts.terms(self.dialect, self.body) else { return true };
        // A term that nobody looked for may be there.
        terms.iter().any(|term| searches.iter().find_map(|search| search.has(term)).unwrap_or(true))
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
