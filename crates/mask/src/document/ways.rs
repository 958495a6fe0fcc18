//! What is known of the ways to values: what the names on them say, what the dialect keeps there, how far field rules have come.
//!
//! Answers repeat the same few names in every result, so what a name makes of a way is remembered, and a way is called by its
//! number.

use crate::bytes;
use crate::detect::Context;
use crate::fields::State;
use crate::kept::Place;
use std::ops::Range;

/// What is known of a way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Way {
    /// What its last name says.
    pub(super) name: Context,
    /// What its last two names say.
    pub(super) says: Context,
    /// Where it leads, by the patterns of kept places.
    pub(super) place: Place,
    /// How far field rules have come.
    pub(super) field: State,
}

impl Way {
    /// The way to a member whose name says `name`, without its place and how far rules have come.
    pub(super) fn member(&self, name: Context) -> Self {
        Self { name, says: name | self.name, ..Self::default() }
    }
}

/// The number of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Id(u32);

impl Id {
    /// The way to the body itself.
    pub(super) const ROOT: Self = Self(0);
}

/// The ways of one body.
pub(super) struct Ways {
    ways: Vec<Way>,
    /// Steps that were gone before, by a hash; a newer one takes an older one's place.
    steps: Vec<Step>,
}

/// One step from a way to another.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    under: Id,
    /// The root where there is none.
    into: Id,
    name: Name,
}

#[derive(Debug, Clone, Copy, Default)]
struct Name {
    /// The first eight bytes.
    head: u64,
    length: usize,
    /// Where it stands in the body.
    start: usize,
}

impl Name {
    /// That of the items of an array. No name is so long.
    const ITEM: Self = Self { head: 0, length: usize::MAX, start: 0 };

    fn of(text: &str, raw: &Range<usize>) -> Self {
        let name = text.as_bytes().get(raw.clone()).unwrap_or_default();
        Self { head: bytes::head(name), length: name.len(), start: raw.start }
    }

    fn is(&self, other: &Self, text: &str) -> bool {
        let rest = |name: &Self| text.as_bytes().get(name.start + 8..name.start + name.length);
        // All of most names is in the head.
        let short = self.length <= 8 || self.length == usize::MAX;
        self.head == other.head && self.length == other.length && (short || rest(self) == rest(other))
    }
}

impl Ways {
    /// More than these are forgotten. Twice what can be gone at once.
    const MOST: usize = 1 << 9;
    const STEPS: usize = 64;

    pub(super) fn from(root: Way) -> Self {
        Self { ways: vec![root], steps: Vec::new() }
    }

    pub(super) fn get(&self, id: Id) -> Way {
        self.ways.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// A way that no step is remembered to.
    pub(super) fn add(&mut self, way: Way) -> Id {
        let id = Id(u32::try_from(self.ways.len()).unwrap_or(u32::MAX));
        self.ways.push(way);
        id
    }

    /// Where the step by the member's name at `raw` of `text` leads, if it was gone before.
    pub(super) fn member(&self, under: Id, text: &str, raw: &Range<usize>) -> Option<Id> {
        self.known(under, text, &Name::of(text, raw))
    }

    /// Where the step to an item leads, if it was gone before.
    pub(super) fn item(&self, under: Id) -> Option<Id> {
        self.known(under, "", &Name::ITEM)
    }

    fn known(&self, under: Id, text: &str, name: &Name) -> Option<Id> {
        let step = self.steps.get(slot(under, name))?;
        (step.under == under && step.name.is(name, text) && step.into != Id::ROOT).then_some(step.into)
    }

    /// Adds a way and remembers the step to it by the member's name at `raw` of `text`.
    pub(super) fn add_member(&mut self, under: Id, text: &str, raw: &Range<usize>, way: Way) -> Id {
        self.remember(under, Name::of(text, raw), way)
    }

    /// Adds a way and remembers the step to it from an array.
    pub(super) fn add_item(&mut self, under: Id, way: Way) -> Id {
        self.remember(under, Name::ITEM, way)
    }

    fn remember(&mut self, under: Id, name: Name, way: Way) -> Id {
        let into = self.add(way);
        if self.steps.is_empty() {
            self.steps.resize(Self::STEPS, Step::default());
        }
        if let Some(step) = self.steps.get_mut(slot(under, &name)) {
            *step = Step { under, into, name };
        }
        into
    }

    /// Whether ways are to be forgotten before more are added.
    pub(super) fn are_many(&self) -> bool {
        self.ways.len() >= Self::MOST
    }

    /// Forgets all ways but the root and `gone`, which get new numbers.
    pub(super) fn forget_all_but<'a>(&mut self, gone: impl Iterator<Item = &'a mut Id>) {
        let old = std::mem::take(&mut self.ways);
        self.steps.clear();
        self.ways.extend(old.first());
        for id in gone {
            let way = old.get(id.0 as usize).copied().unwrap_or_default();
            *id = if *id == Id::ROOT { Id::ROOT } else { self.add(way) };
        }
    }
}

fn slot(under: Id, name: &Name) -> usize {
    (bytes::hash(name.head ^ u64::from(under.0) << 32, name.length) >> 58) as usize % Ways::STEPS
}
