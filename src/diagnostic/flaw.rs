//! One thing that is wrong, and its place.

use std::fmt;

/// One thing that is wrong. A document with any is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where in the document.
    pub place: Place,
    /// Whether the member's name is at fault, or what it says.
    pub part: Part,
    /// What is wrong: one line, lower-case.
    pub what: String,
    /// What would be right.
    pub hint: Option<String>,
}

/// Which half of a member is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its name.
    Name,
    /// What it says.
    Value,
}

impl Flaw {
    /// A flaw of the value at `place`.
    #[must_use]
    pub fn new(place: impl Into<Place>, what: impl Into<String>) -> Self {
        Self { place: place.into(), part: Part::Value, what: what.into(), hint: None }
    }

    /// As seen from outside of `outer`, in which its document stands.
    #[must_use]
    pub fn inside(mut self, outer: &Place) -> Self {
        self.place = outer.join(self.place);
        self
    }

    /// With what would be right.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With what would be right, where that is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(out, " ({hint})"))
    }
}

impl std::error::Error for Flaw {}

/// A way from the document's root to one of its values, written `rules[3].allow.datasets[0]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place(Vec<Step>);

/// One step of a [`Place`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To an object's member.
    Name(String),
    /// To a list's item, counted from 0.
    Item(usize),
}

impl Place {
    /// The document itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The member `name` of this place.
    #[must_use]
    pub fn name(&self, name: &str) -> Self {
        self.step(Step::Name(name.to_owned()))
    }

    /// The item `number` of this place.
    #[must_use]
    pub fn item(&self, number: usize) -> Self {
        self.step(Step::Item(number))
    }

    /// The steps from the root.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    fn step(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The place of `names`, one inside of the other.
    #[must_use]
    pub fn of<const N: usize>(names: [&str; N]) -> Self {
        names.into_iter().map(|name| Step::Name(name.to_owned())).collect()
    }

    /// This place as seen from `parent`'s parent.
    pub(crate) fn under(self, parent: Step) -> Self {
        Self([parent].into_iter().chain(self.0).collect())
    }

    /// `inner`, taken as a way from this place on.
    #[must_use]
    pub fn join(&self, inner: Self) -> Self {
        Self(self.0.iter().cloned().chain(inner.0).collect())
    }
}

impl FromIterator<Step> for Place {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

/// A [`Place`] that is only written out where there is a flaw: most places have none.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spot<'s> {
    Root,
    Name(&'s Spot<'s>, &'s str),
    Item(&'s Spot<'s>, usize),
}

impl<'s> Spot<'s> {
    pub(crate) fn name(&'s self, name: &'s str) -> Self {
        Self::Name(self, name)
    }

    pub(crate) fn item(&'s self, number: usize) -> Self {
        Self::Item(self, number)
    }
}

impl From<Spot<'_>> for Place {
    fn from(spot: Spot<'_>) -> Self {
        match spot {
            Spot::Root => Self::root(),
            Spot::Name(parent, name) => Self::from(*parent).name(name),
            Spot::Item(parent, number) => Self::from(*parent).item(number),
        }
    }
}

impl From<&Spot<'_>> for Place {
    fn from(spot: &Spot<'_>) -> Self {
        (*spot).into()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("the document");
        }
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(number) => write!(out, "[{number}]")?,
                Step::Name(name) if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') => {
                    write!(out, "{}{name}", if at == 0 { "" } else { "." })?;
                }
                Step::Name(name) => write!(out, "[{name:?}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_like_paths_into_the_document() {
        let place = Place::root().name("rules").item(3).name("allow").name("datasets").item(0);
        assert_eq!(place.to_string(), "rules[3].allow.datasets[0]");
        assert_eq!(Place::root().name("a.b").name("c").to_string(), "[\"a.b\"].c");
        assert_eq!(Place::root().to_string(), "the document");
    }
}
