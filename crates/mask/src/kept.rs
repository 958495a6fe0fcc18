//! Where numbers are structure, not text.

use super::masks::Refused;

/// Patterns of JSON pointers whose numbers are left as they stand: indexes, scores, usage.
///
/// A pattern is a JSON pointer (RFC 6901) in which `*` stands for any one step and a last `**` for one or more, such as
/// `/results/*/index` or `/usage/**`. Strings are looked at everywhere, kept or not.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    steps: Vec<Step>,
    start: u64,
}

/// One step of one pattern. The patterns lie one behind the other, so that a set of positions in all of them is one word.
#[derive(Debug, Clone)]
struct Step {
    matches: Matches,
    last: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Matches {
    Name(String),
    Any,
    Rest,
}

/// Which patterns a value's path follows so far: a bit for each step that may come next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    next: u64,
    kept: bool,
}

impl Place {
    /// Whether a number in this place is left as it stands.
    pub(super) fn is_kept(self) -> bool {
        self.kept
    }

    /// Whether something under this place can be left as it stands.
    pub(super) fn leads_on(self) -> bool {
        self.next != 0
    }
}

impl Kept {
    /// The most steps of all patterns together.
    const STEPS: usize = 64;

    /// Reads the patterns.
    ///
    /// # Errors
    /// A pattern that is no JSON pointer, with `**` elsewhere than at its end, or more than 64 steps in all.
    pub fn compile(patterns: &[&str]) -> Result<Self, Refused> {
        let mut kept = Self::default();
        for pattern in patterns {
            let refused = || Refused::KeptPattern { pattern: (*pattern).to_owned() };
            let names = pattern.strip_prefix('/').ok_or_else(refused)?;
            let mut rest = names.split('/').peekable();
            kept.start |= 1_u64.checked_shl(u32::try_from(kept.steps.len()).unwrap_or(u32::MAX)).unwrap_or(0);
            while let Some(name) = rest.next() {
                let last = rest.peek().is_none();
                let matches = match name {
                    "*" => Matches::Any,
                    "**" if last => Matches::Rest,
                    _ if name.contains('*') => return Err(refused()),
                    _ => Matches::Name(name.replace("~1", "/").replace("~0", "~")),
                };
                kept.steps.push(Step { matches, last });
            }
            if kept.steps.len() > Self::STEPS {
                return Err(Refused::KeptPatterns { most: Self::STEPS });
            }
        }
        Ok(kept)
    }

    /// Whether a pattern can tell items of arrays apart.
    pub(super) fn numbers_items(&self) -> bool {
        self.steps.iter().any(|step| matches!(&step.matches, Matches::Name(name) if name.parse::<u32>().is_ok()))
    }

    pub(super) fn root(&self) -> Place {
        Place { next: self.start, kept: false }
    }

    /// The place of the member or item `name` of the value at `place`; `is` compares the name.
    pub(super) fn step(&self, place: Place, is: impl Fn(&str) -> bool) -> Place {
        let mut into = Place::default();
        let mut left = place.next;
        while left != 0 {
            let position = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            let Some(step) = self.steps.get(position as usize) else { continue };
            let matched = match &step.matches {
                Matches::Name(name) => is(name),
                Matches::Any => true,
                Matches::Rest => {
                    into.next |= 1 << position;
                    true
                }
            };
            if matched && step.last {
                into.kept = true;
            } else if matched {
                into.next |= 1_u64.checked_shl(position + 1).unwrap_or(0);
            }
        }
        into
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(patterns: &[&str], path: &[&str]) -> bool {
        let kept = Kept::compile(patterns).unwrap();
        let mut place = kept.root();
        for name in path {
            place = kept.step(place, |step| step == *name);
        }
        place.is_kept()
    }

    #[test]
    fn a_number_is_kept_exactly_where_a_pattern_says() {
        let patterns = ["/results/*/index", "/results/*/relevance_score", "/usage/**", "/a~1b/~0", "/*/score"];
        for (path, kept) in [
            ("results 0 index", true),
            ("results 17 relevance_score", true),
            ("results 0 document", false),
            ("results 0 index 3", false),
            ("results index", false),
            ("usage", false),
            ("usage total_tokens", true),
            ("usage billed_units search_units", true),
            ("a/b ~", true),
            ("0 score", true),
            ("results score", true),
            ("score", false),
            ("results", false),
        ] {
            let path: Vec<&str> = path.split(' ').collect();
            assert_eq!(keeps(&patterns, &path), kept, "{path:?}");
        }
        assert!(!keeps(&[], &["results"]));
    }

    #[test]
    fn patterns_that_say_something_else_are_refused() {
        for pattern in ["", "results", "/a/**/b", "/a*", "/***"] {
            assert!(Kept::compile(&[pattern]).is_err(), "{pattern}");
        }
        let many = "/a".repeat(65);
        assert!(Kept::compile(&[&many]).is_err());
        assert!(Kept::compile(&[&"/a".repeat(64)]).is_ok());
    }
}
