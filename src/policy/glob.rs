//! Patterns for names of models, datasets and tenants: a name, or a name with `*` for any run of characters, also an empty
//! one. Nothing else is special, upper and lower case differ (denies and guards are compared folded, see
//! the lexicon), and a `*` crosses every character, `/` included.

use std::fmt;

/// A pattern that can be matched in time linear in the name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Pattern {
    text: String,
}

/// How exactly a pattern names what it matches: greater is more exact. A whole name is above every pattern with a `*`; among
/// those, more characters are more exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Exactness {
    whole: bool,
    characters: usize,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPattern {
    /// There is nothing in it.
    Empty,
    /// It has more than 256 bytes.
    TooLong,
    /// It has two `*` in a row or more than 8.
    TooManyStars,
    /// It has a character of other pattern languages, which would not mean here what it means there, or one that no name has.
    Odd(char),
}

impl fmt::Display for NoPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("an empty pattern"),
            Self::TooLong => out.write_str("a pattern of more than 256 bytes"),
            Self::TooManyStars => out.write_str("two `*` in a row, or more than 8"),
            Self::Odd(odd) => write!(out, "`{}` in a pattern, where only `*` is special", odd.escape_default()),
        }
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// See [`NoPattern`].
    pub(super) fn parse(text: &str) -> Result<Self, NoPattern> {
        if text.is_empty() {
            return Err(NoPattern::Empty);
        }
        if text.len() > 256 {
            return Err(NoPattern::TooLong);
        }
        let odd = |c: &char| c.is_control() || c.is_whitespace() || "?[]{}()|\\^$!\"'`,;".contains(*c);
        if let Some(odd) = text.chars().find(odd) {
            return Err(NoPattern::Odd(odd));
        }
        if text.contains("**") || text.matches('*').count() > 8 {
            return Err(NoPattern::TooManyStars);
        }
        Ok(Self { text: text.to_owned() })
    }

    /// The pattern for one name that is compared whole, such as a group's; it holds no `*`.
    pub(super) fn name(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    /// The pattern as it was written.
    #[must_use]
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The one name it matches, where it has no `*`.
    #[must_use]
    pub(super) fn whole(&self) -> Option<&str> {
        (!self.text.contains('*')).then_some(&self.text)
    }

    /// What comes before its only `*`, where that stands at the end.
    #[must_use]
    pub(super) fn prefix(&self) -> Option<&str> {
        self.text.strip_suffix('*').filter(|prefix| !prefix.contains('*'))
    }

    /// Whether `name` is one of those meant.
    #[must_use]
    pub(super) fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.text.split_once('*') else { return name == self.text };
        let Some(mut name) = name.strip_prefix(head) else { return false };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        // What stands between two stars is taken where it comes first: that leaves most to what follows.
        for part in middle.split('*') {
            let Some((_, behind)) = name.split_once(part) else { return false };
            name = behind;
        }
        name.ends_with(tail)
    }

    /// See [`Exactness`].
    #[must_use]
    pub(super) fn exactness(&self) -> Exactness {
        let characters = self.text.chars().filter(|c| *c != '*').count();
        Exactness { whole: !self.text.contains('*'), characters }
    }

    /// Whether there is a name that both match.
    #[must_use]
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self.whole(), other.whole()) {
            (Some(name), _) => other.matches(name),
            (_, Some(name)) => self.matches(name),
            (None, None) => {
                let (one, other): (Vec<char>, Vec<char>) = (self.text.chars().collect(), other.text.chars().collect());
                share_a_name(&one, &other)
            }
        }
    }

    /// Whether every name that `other` matches is matched by this one too. Says no where it does not know.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // A `*` in `other` stands for any run; read as a character that occurs in no pattern, only a `*` here can meet it.
        self == other || self.matches(&other.text.replace('*', "\0"))
    }
}

/// Walks both patterns at once. `reached` holds, for the characters of `one` read so far, the positions in `other` at which
/// some common beginning ends.
fn share_a_name(one: &[char], other: &[char]) -> bool {
    let mut reached = vec![false; other.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    skip_stars(&mut reached, other);
    for c in one {
        let mut next = vec![false; reached.len()];
        for (at, _) in reached.iter().enumerate().filter(|(_, reached)| **reached) {
            let of_other = other.get(at);
            if *c == '*' {
                // Nothing, or any of what `other` has from here on.
                next.iter_mut().skip(at).for_each(|cell| *cell = true);
                break;
            }
            if of_other == Some(&'*') {
                mark(&mut next, at);
            } else if of_other == Some(c) {
                mark(&mut next, at + 1);
            }
        }
        skip_stars(&mut next, other);
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

/// A star may stand for nothing.
fn skip_stars(reached: &mut [bool], other: &[char]) {
    for (at, c) in other.iter().enumerate() {
        if *c == '*' && reached.get(at) == Some(&true) {
            mark(reached, at + 1);
        }
    }
}

fn mark(cells: &mut [bool], at: usize) {
    if let Some(cell) = cells.get_mut(at) {
        *cell = true;
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, by recursion: exponential, and obviously right.
    pub(crate) fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((b'*', rest)), _) => naive(rest, name) || name.split_first().is_some_and(|(_, n)| naive(pattern, n)),
            (Some((a, rest)), Some((b, name))) => a == b && naive(rest, name),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn a_star_stands_for_any_run_and_nothing_else_is_special() {
        for (pattern, name, matches) in [
            ("hr-*", "hr-reviews", true),
            ("hr-*", "hr-", true),
            ("hr-*", "hr", false),
            ("*", "", true),
            ("rerank-v3.*", "rerank-v3x5", false),
            ("*/bge-*-m3", "BAAI/bge-reranker-v2-m3", true),
            ("*/bge-*-m3", "BAAI/bge-m3", false),
            ("a*a", "a", false),
            ("people", "People", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), matches, "{pattern} on {name}");
        }
    }

    #[test]
    fn what_could_be_meant_otherwise_is_no_pattern() {
        for text in ["", "hr-?", "[ab]*", "{a,b}", "a b", "a**", "\u{0}", "a\n", "*a*a*a*a*a*a*a*a*", &"x".repeat(257)]
        {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_whole_name_is_more_exact_than_any_pattern() {
        let exactness = |text| Pattern::parse(text).unwrap().exactness();
        assert!(exactness("hr") > exactness("hr-reviews-of-people*"));
        assert!(exactness("hr-*") > exactness("h*"));
        assert_eq!(exactness("hr-*"), exactness("*-hr"));
    }

    fn small_pattern() -> impl Strategy<Value = String> {
        "[ab*]{1,7}".prop_map(|text| text.replace("**", "*").replace("**", "*").replace("**", "*"))
    }

    /// Every name over a, b and c of at most 7 letters: long enough for two patterns of 7.
    fn names() -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..7 {
            last = last.iter().flat_map(|name| ["a", "b", "c"].map(|letter| format!("{name}{letter}"))).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn matching_is_what_the_definition_says(pattern in small_pattern(), name in "[ab]{0,9}") {
            let compiled = Pattern::parse(&pattern).unwrap();
            prop_assert_eq!(compiled.matches(&name), naive(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn an_overlap_is_never_overlooked(one in small_pattern(), other in small_pattern()) {
            let (a, b) = (Pattern::parse(&one).unwrap(), Pattern::parse(&other).unwrap());
            let shared = names().iter().any(|name| a.matches(name) && b.matches(name));
            prop_assert_eq!(a.overlaps(&b), b.overlaps(&a));
            // Two patterns may share only names longer than those tried.
            prop_assert!(!shared || a.overlaps(&b));
            let letters = one.matches(|c| c != '*').count() + other.matches(|c| c != '*').count();
            prop_assert!(letters > 7 || shared == a.overlaps(&b));
        }

        #[test]
        fn what_covers_matches_all_of_it(one in small_pattern(), other in small_pattern()) {
            let (a, b) = (Pattern::parse(&one).unwrap(), Pattern::parse(&other).unwrap());
            if a.covers(&b) {
                prop_assert!(names().iter().all(|name| a.matches(name) || !b.matches(name)));
            }
        }

        #[test]
        fn whatever_comes_is_judged_without_a_panic(pattern in "\\PC{0,20}", name in "\\PC{0,20}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                let _ = (pattern.matches(&name), pattern.overlaps(&pattern), pattern.exactness());
            }
        }
    }
}
