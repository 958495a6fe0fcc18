//! Finds the rules that match a call without looking at the others.
//!
//! Every value of every dimension (group, model, dataset, tenant, operation) has the set of rules that name it. A call meets a
//! few sets in each dimension; a rule matches when it is in one of them in every dimension. The dimension with the fewest
//! rules leads: its rules are looked up in the others, one by one. Where even that one has many, the sets are laid over each
//! other 64 rules at a time, so the cost has a bound that is the same for every caller.

use super::glob::Pattern;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Which calls a rule is about, with names resolved. None is any.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach {
    /// Groups of the identity provider.
    pub(super) groups: Option<Vec<Rc<str>>>,
    pub(super) models: Option<Vec<Rc<Pattern>>>,
    pub(super) datasets: Option<Vec<Rc<Pattern>>>,
    pub(super) tenants: Option<Vec<Rc<Pattern>>>,
    pub(super) operations: Option<Vec<Rc<str>>>,
}

/// A property of calls that rules select by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The caller's groups.
    Groups,
    /// The model.
    Models,
    /// The dataset.
    Datasets,
    /// The tenant.
    Tenants,
    /// The operation.
    Operations,
}

impl Dimension {
    pub(super) const ALL: [Self; 5] = [Self::Groups, Self::Models, Self::Datasets, Self::Tenants, Self::Operations];
}

/// What a call is, as far as rules select by it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'q> {
    pub(super) groups: &'q [String],
    pub(super) model: &'q str,
    pub(super) dataset: &'q str,
    pub(super) tenant: Option<&'q str>,
    pub(super) operation: &'q str,
}

/// What a rule that names tenants means for a call that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untold {
    /// It matches: a deny or guard is not escaped by leaving something out.
    Matches,
    /// It does not: an allow takes what is known only.
    Differs,
}

/// The index over rules numbered from 0 in the order they came.
#[derive(Debug)]
pub(super) struct Index {
    rules: usize,
    untold: Untold,
    groups: Postings,
    models: Postings,
    datasets: Postings,
    tenants: Postings,
    operations: Postings,
}

impl Index {
    pub(super) fn build<'r>(reaches: impl Iterator<Item = &'r Reach>, untold: Untold) -> Self {
        let (mut groups, mut models, mut datasets) = (Builder::default(), Builder::default(), Builder::default());
        let (mut tenants, mut operations) = (Builder::default(), Builder::default());
        let mut rules = 0u32;
        for reach in reaches {
            groups.names(rules, reach.groups.as_deref());
            models.patterns(rules, reach.models.as_deref());
            datasets.patterns(rules, reach.datasets.as_deref());
            tenants.patterns(rules, reach.tenants.as_deref());
            operations.names(rules, reach.operations.as_deref());
            rules = rules.saturating_add(1);
        }
        let rules = rules as usize;
        Self {
            rules,
            untold,
            groups: groups.finish(rules),
            models: models.finish(rules),
            datasets: datasets.finish(rules),
            tenants: tenants.finish(rules),
            operations: operations.finish(rules),
        }
    }

    /// What the call meets in each dimension.
    pub(super) fn meet(&self, target: &Target<'_>) -> Met<'_> {
        let whole = Hits { everything: true, ..Hits::default() };
        Met {
            rules: self.rules,
            dimensions: [
                self.groups.any_of(target.groups),
                self.models.find(target.model),
                self.datasets.find(target.dataset),
                match (target.tenant, self.untold) {
                    (Some(tenant), _) => self.tenants.find(tenant),
                    (None, Untold::Matches) => whole,
                    (None, Untold::Differs) => self.tenants.unnamed(),
                },
                self.operations.find(target.operation),
            ],
        }
    }
}

/// The sets of rules that a call meets, by dimension.
#[derive(Debug)]
pub(super) struct Met<'i> {
    rules: usize,
    dimensions: [Hits<'i>; 5],
}

impl Met<'_> {
    /// The rules that match, ascending.
    pub(super) fn matching(&self) -> Vec<u32> {
        let dimensions: Vec<&Hits<'_>> = self.dimensions.iter().collect();
        search(self.rules, &dimensions, |_| true, usize::MAX)
    }

    /// The first `most` rules, of those `asked` for, that match in every dimension but `dimension`, ascending.
    pub(super) fn missing_only(&self, dimension: Dimension, asked: impl Fn(&u32) -> bool, most: usize) -> Vec<u32> {
        let (left_out, kept): (Vec<_>, Vec<_>) =
            Dimension::ALL.iter().zip(&self.dimensions).partition(|(other, _)| **other == dimension);
        let kept: Vec<&Hits<'_>> = kept.into_iter().map(|(_, hits)| hits).collect();
        search(self.rules, &kept, |rule| asked(&rule) && left_out.iter().all(|(_, hits)| !hits.contain(rule)), most)
    }
}

fn search(rules: usize, dimensions: &[&Hits<'_>], also: impl Fn(u32) -> bool, most: usize) -> Vec<u32> {
    let mut narrow: Vec<&Hits<'_>> = dimensions.iter().copied().filter(|hits| !hits.everything).collect();
    narrow.sort_by_key(|hits| hits.size());
    let Some((lead, rest)) = narrow.split_first() else {
        return (0..u32::try_from(rules).unwrap_or(u32::MAX)).filter(|rule| also(*rule)).take(most).collect();
    };
    let words = rules.div_ceil(64);
    let sets: usize = narrow.iter().map(|hits| hits.sets.len()).sum();
    // A look-up costs about as much as eight words of laying over.
    if lead.size().saturating_mul(8) <= words.saturating_mul(sets.max(1)) {
        let mut candidates: Vec<u32> = lead.sets.iter().flat_map(|set| set.members()).collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
            .into_iter()
            .filter(|rule| rest.iter().all(|hits| hits.contain(*rule)) && also(*rule))
            .take(most)
            .collect()
    } else {
        let layers: Vec<Vec<Cow<'_, [u64]>>> = narrow.iter().map(|hits| hits.layers(words)).collect();
        let word_at = |number: usize| {
            layers.iter().fold(u64::MAX, |all, layer| {
                if all == 0 {
                    return 0;
                }
                all & layer.iter().fold(0, |any, set| any | set.get(number).copied().unwrap_or(0))
            })
        };
        (0..words).flat_map(|number| bits(number, word_at(number))).filter(|rule| also(*rule)).take(most).collect()
    }
}

/// The rules whose bits are set in the word with this number.
fn bits(number: usize, mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        u32::try_from(number).ok()?.checked_mul(64)?.checked_add(bit)
    })
}

/// The sets that a call meets in one dimension.
#[derive(Debug, Default)]
struct Hits<'i> {
    /// No rule is left out.
    everything: bool,
    sets: Vec<&'i Set>,
}

impl Hits<'_> {
    fn size(&self) -> usize {
        self.sets.iter().map(|set| set.size).sum()
    }

    fn contain(&self, rule: u32) -> bool {
        self.everything || self.sets.iter().any(|set| set.contains(rule))
    }

    /// All sets as words: those kept as words as they are, the others laid out in one.
    fn layers(&self, words: usize) -> Vec<Cow<'_, [u64]>> {
        let mut layers: Vec<Cow<'_, [u64]>> = Vec::new();
        let mut scratch = Vec::new();
        for set in &self.sets {
            match &set.members {
                Members::Few(members) => {
                    scratch.resize(words, 0);
                    members.iter().for_each(|rule| set_bit(&mut scratch, *rule));
                }
                Members::Many(words) => layers.push(Cow::Borrowed(words)),
            }
        }
        if !scratch.is_empty() {
            layers.push(Cow::Owned(scratch));
        }
        layers
    }
}

/// The rules of one dimension, by what they name.
#[derive(Debug)]
struct Postings {
    rules: usize,
    /// Rules that name nothing here.
    unnamed: Set,
    names: HashMap<Rc<str>, Set>,
    /// Patterns with one `*`, at the end: by the length of what is before it, so that each length costs one look-up.
    prefixes: BTreeMap<usize, HashMap<Rc<str>, Set>>,
    /// All other patterns, tried one by one; each stands here once however many rules have it.
    patterns: Vec<(Rc<Pattern>, Set)>,
}

impl Postings {
    fn unnamed(&self) -> Hits<'_> {
        self.hits(std::iter::empty())
    }

    fn find(&self, name: &str) -> Hits<'_> {
        let whole = self.names.get(name);
        let prefixes = self
            .prefixes
            .range(..=name.len())
            .filter_map(|(length, by_prefix)| name.get(..*length).and_then(|prefix| by_prefix.get(prefix)));
        let patterns = self.patterns.iter().filter(|(pattern, _)| pattern.matches(name)).map(|(_, set)| set);
        self.hits(whole.into_iter().chain(prefixes).chain(patterns))
    }

    fn any_of(&self, names: &[String]) -> Hits<'_> {
        self.hits(names.iter().filter_map(|name| self.names.get(name.as_str())))
    }

    fn hits<'s>(&'s self, named: impl Iterator<Item = &'s Set>) -> Hits<'s> {
        if self.unnamed.size == self.rules {
            return Hits { everything: true, sets: Vec::new() };
        }
        let sets: Vec<&Set> = named.chain([&self.unnamed]).filter(|set| set.size > 0).collect();
        Hits { everything: sets.iter().any(|set| set.size == self.rules), sets }
    }
}

#[derive(Default)]
struct Builder {
    unnamed: Vec<u32>,
    names: HashMap<Rc<str>, Vec<u32>>,
    patterns: HashMap<Rc<Pattern>, Vec<u32>>,
}

impl Builder {
    fn names(&mut self, rule: u32, names: Option<&[Rc<str>]>) {
        match names {
            None => self.unnamed.push(rule),
            Some(names) => {
                for name in names {
                    push(self.names.entry(Rc::clone(name)).or_default(), rule);
                }
            }
        }
    }

    fn patterns(&mut self, rule: u32, patterns: Option<&[Rc<Pattern>]>) {
        match patterns {
            None => self.unnamed.push(rule),
            Some(patterns) => {
                for pattern in patterns {
                    push(self.patterns.entry(Rc::clone(pattern)).or_default(), rule);
                }
            }
        }
    }

    fn finish(self, rules: usize) -> Postings {
        let set = |members: Vec<u32>| Set::new(members, rules);
        let mut postings = Postings {
            rules,
            unnamed: set(self.unnamed),
            names: self.names.into_iter().map(|(name, members)| (name, set(members))).collect(),
            prefixes: BTreeMap::new(),
            patterns: Vec::new(),
        };
        for (pattern, members) in self.patterns {
            if let Some(name) = pattern.whole() {
                postings.names.insert(name.into(), set(members));
            } else if let Some(prefix) = pattern.prefix() {
                postings.prefixes.entry(prefix.len()).or_default().insert(prefix.into(), set(members));
            } else {
                postings.patterns.push((Rc::clone(&pattern), set(members)));
            }
        }
        postings
    }
}

/// Rules come in ascending order, and one may name the same thing twice.
fn push(members: &mut Vec<u32>, rule: u32) {
    if members.last() != Some(&rule) {
        members.push(rule);
    }
}

/// A set of rules.
#[derive(Debug)]
struct Set {
    size: usize,
    members: Members,
}

#[derive(Debug)]
enum Members {
    /// Ascending numbers: smaller while it holds less than one rule in 32.
    Few(Box<[u32]>),
    /// One bit a rule.
    Many(Box<[u64]>),
}

impl Set {
    fn new(members: Vec<u32>, rules: usize) -> Self {
        let size = members.len();
        if size.saturating_mul(32) < rules {
            return Self { size, members: Members::Few(members.into()) };
        }
        let mut words = vec![0; rules.div_ceil(64)];
        members.iter().for_each(|rule| set_bit(&mut words, *rule));
        Self { size, members: Members::Many(words.into()) }
    }

    fn contains(&self, rule: u32) -> bool {
        match &self.members {
            Members::Few(members) => members.binary_search(&rule).is_ok(),
            Members::Many(words) => words.get(rule as usize / 64).is_some_and(|word| word >> (rule % 64) & 1 == 1),
        }
    }

    fn members(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match &self.members {
            Members::Few(members) => Box::new(members.iter().copied()),
            Members::Many(words) => Box::new(words.iter().enumerate().flat_map(|(number, word)| bits(number, *word))),
        }
    }
}

fn set_bit(words: &mut [u64], rule: u32) {
    if let Some(word) = words.get_mut(rule as usize / 64) {
        *word |= 1 << (rule % 64);
    }
}
