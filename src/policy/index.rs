//! Finds the rules that match a call without looking at the others.
//!
//! Every value of every dimension (group, model, dataset, tenant, operation) has the set of rules that name it. A call meets a
//! few sets in each dimension; a rule matches when it is in one of them in every dimension. The dimension with the fewest
//! rules leads: its rules are looked up in the others, one by one. Where even that one has many, the sets are laid over each
//! other 64 rules at a time, so the cost has a bound that is the same for every caller.

use super::lexicon::{Lexicon, Symbol};

/// Which calls a rule is about, with names resolved to symbols of a [`Lexicon`], ascending. None is any.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach(pub(super) [Option<Box<[Symbol]>>; 5]);

impl Reach {
    pub(super) fn symbols(&self, dimension: Dimension) -> Option<&[Symbol]> {
        self.0.get(dimension as usize).and_then(|symbols| symbols.as_deref())
    }
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

/// What a call means to the bundle: for each dimension the symbols that match it. None is a tenant that the call does not have.
#[derive(Debug)]
pub(super) struct Meant([Option<Vec<Symbol>>; 5]);

impl Meant {
    pub(super) fn by(target: &Target<'_>, lexicon: &Lexicon) -> Self {
        Self(Dimension::ALL.map(|dimension| {
            let mut symbols = Vec::new();
            let dictionary = lexicon.dictionary(dimension);
            match dimension {
                Dimension::Groups => target.groups.iter().for_each(|group| dictionary.find(group, &mut symbols)),
                Dimension::Models => dictionary.find(target.model, &mut symbols),
                Dimension::Datasets => dictionary.find(target.dataset, &mut symbols),
                Dimension::Tenants => dictionary.find(target.tenant?, &mut symbols),
                Dimension::Operations => dictionary.find(target.operation, &mut symbols),
            }
            Some(symbols)
        }))
    }

    pub(super) fn symbols(&self, dimension: Dimension) -> &[Symbol] {
        self.0.get(dimension as usize).and_then(|symbols| symbols.as_deref()).unwrap_or_default()
    }
}

/// What a rule that names tenants means for a call that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untold {
    /// It matches: a deny or guard is not escaped by leaving something out.
    Matches,
    /// It does not: an allow takes what is known only.
    Differs,
}

/// The index over the rules of one kind, numbered from 0 in the order they came.
#[derive(Debug)]
pub(super) struct Index {
    rules: usize,
    untold: Untold,
    dimensions: [Postings; 5],
}

impl Index {
    pub(super) fn build(reaches: &[&Reach], lexicon: &Lexicon, untold: Untold) -> Self {
        let dimensions =
            Dimension::ALL.map(|dimension| Postings::build(reaches, dimension, lexicon.dictionary(dimension).len()));
        Self { rules: reaches.len(), untold, dimensions }
    }

    /// The sets of rules that a call meets.
    pub(super) fn meet(&self, meant: &Meant) -> Met<'_> {
        let mut narrow: Vec<(Dimension, Hits<'_>)> = Vec::with_capacity(Dimension::ALL.len());
        for ((dimension, postings), symbols) in Dimension::ALL.into_iter().zip(&self.dimensions).zip(&meant.0) {
            let hits = match (symbols, self.untold) {
                (Some(symbols), _) => postings.hits(symbols, self.rules),
                (None, Untold::Differs) => postings.hits(&[], self.rules),
                (None, Untold::Matches) => continue,
            };
            if !hits.everything {
                narrow.push((dimension, hits));
            }
        }
        narrow.sort_by_key(|(_, hits)| hits.size);
        Met { rules: self.rules, narrow }
    }
}

/// The sets of rules that a call meets in the dimensions in which not all rules match, the smallest first.
#[derive(Debug)]
pub(super) struct Met<'i> {
    rules: usize,
    narrow: Vec<(Dimension, Hits<'i>)>,
}

impl<'i> Met<'i> {
    /// The rules that match, ascending.
    pub(super) fn matching(&self) -> Vec<u32> {
        let Some(((_, lead), rest)) = self.narrow.split_first() else {
            return (0..u32::try_from(self.rules).unwrap_or(u32::MAX)).collect();
        };
        if self.few(lead.size) {
            let mut rules = lead.members();
            rules.retain(|rule| rest.iter().all(|(_, hits)| hits.contain(*rule)));
            return rules;
        }
        let layers = self.layers();
        let word = |number| {
            layers.iter().fold(u64::MAX, |all, (_, layer)| if all == 0 { 0 } else { all & layer.word(number) })
        };
        (0..self.words()).flat_map(|number| bits(number, word(number))).collect()
    }

    /// The first `most` rules, of those `asked` for, that match in all dimensions but one; ascending, with that dimension.
    /// Numbers behind the last rule must not be asked for.
    pub(super) fn near(&self, asked: impl Fn(u32) -> bool, most: usize) -> Vec<(u32, Dimension)> {
        if let [(_, first), (_, second), ..] = &self.narrow[..]
            && self.few(first.size.saturating_add(second.size))
        {
            // Who fails once only is in one of any two dimensions. One search in all rules of a dimension costs less than one
            // in each of its sets.
            let lists = [first.members(), second.members()];
            let mut rules = lists.concat();
            rules.sort_unstable();
            rules.dedup();
            let failing = |rule: u32| {
                let mut failed =
                    self.narrow.iter().enumerate().filter(|(number, (_, hits))| match lists.get(*number) {
                        Some(list) => list.binary_search(&rule).is_err(),
                        None => !hits.contain(rule),
                    });
                let (first, second) = (failed.next(), failed.next());
                first.filter(|_| second.is_none()).map(|(_, (dimension, _))| (rule, *dimension))
            };
            return rules.into_iter().filter_map(failing).filter(|(rule, _)| asked(*rule)).take(most).collect();
        }
        let layers = self.layers();
        let failing = |number: usize| {
            let (mut once, mut twice) = (0, 0);
            for (_, layer) in &layers {
                let fail = !layer.word(number);
                twice |= once & fail;
                once |= fail;
            }
            bits(number, once & !twice)
        };
        let dimension = |rule: u32| {
            let failed = layers.iter().find(|(_, layer)| layer.word(rule as usize / 64) >> (rule % 64) & 1 == 0);
            failed.map(|(dimension, _)| (rule, *dimension))
        };
        (0..self.words()).flat_map(failing).filter(|rule| asked(*rule)).filter_map(dimension).take(most).collect()
    }

    /// Whether looking up `rules` one by one costs less than laying all sets over each other.
    fn few(&self, rules: usize) -> bool {
        let sets: usize = self.narrow.iter().map(|(_, hits)| hits.sets.len().max(1)).sum();
        // One look-up costs about as much as eight words.
        rules.saturating_mul(8) <= self.words().saturating_mul(sets)
    }

    fn words(&self) -> usize {
        self.rules.div_ceil(64)
    }

    fn layers(&self) -> Vec<(Dimension, Layer<'i>)> {
        self.narrow.iter().map(|(dimension, hits)| (*dimension, hits.layer(self.words()))).collect()
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
    /// All rules match.
    everything: bool,
    /// Rules in the sets; one that is in several counts several times.
    size: usize,
    sets: Vec<Set<'i>>,
}

impl<'i> Hits<'i> {
    /// The rules, ascending.
    fn members(&self) -> Vec<u32> {
        let mut rules = Vec::with_capacity(self.size);
        self.sets.iter().for_each(|set| rules.extend_from_slice(set.members));
        if self.sets.len() > 1 {
            rules.sort_unstable();
            rules.dedup();
        }
        rules
    }

    fn contain(&self, rule: u32) -> bool {
        self.sets.iter().any(|set| set.contains(rule))
    }

    fn layer(&self, words: usize) -> Layer<'i> {
        let mut layer = Layer { laid: Vec::new(), kept: Vec::new() };
        for set in &self.sets {
            match set.words {
                Some(words) => layer.kept.push(words),
                None => {
                    layer.laid.resize(words, 0);
                    set.members.iter().for_each(|rule| set_bit(&mut layer.laid, *rule));
                }
            }
        }
        layer
    }
}

/// The sets of one dimension, one bit a rule.
struct Layer<'i> {
    /// Small sets, laid out together.
    laid: Vec<u64>,
    kept: Vec<&'i [u64]>,
}

impl Layer<'_> {
    fn word(&self, number: usize) -> u64 {
        let laid = self.laid.get(number).copied().unwrap_or(0);
        self.kept.iter().fold(laid, |any, words| any | words.get(number).copied().unwrap_or(0))
    }
}

/// A set of rules.
#[derive(Debug, Clone, Copy)]
struct Set<'i> {
    /// Ascending.
    members: &'i [u32],
    /// One bit a rule, where the set is large.
    words: Option<&'i [u64]>,
}

impl Set<'_> {
    fn contains(&self, rule: u32) -> bool {
        match self.words {
            Some(words) => words.get(rule as usize / 64).is_some_and(|word| word >> (rule % 64) & 1 == 1),
            None => self.members.binary_search(&rule).is_ok(),
        }
    }
}

/// The rules of one dimension, by the symbols they name. The last set is of those that name nothing here.
#[derive(Debug)]
struct Postings {
    /// Where each set begins in `members`, and where the last one ends.
    starts: Vec<u32>,
    members: Vec<u32>,
    /// The sets of more than one rule in 32, again, as bits.
    large: Vec<(u32, Box<[u64]>)>,
}

impl Postings {
    fn build(reaches: &[&Reach], dimension: Dimension, symbols: usize) -> Self {
        let unnamed = [Symbol::at(symbols)];
        let named = |reach: &&Reach| -> Vec<usize> {
            let symbols = reach.symbols(dimension).unwrap_or(&unnamed);
            symbols.iter().map(|symbol| symbol.number()).collect()
        };
        // Counting sort: how many rules each set has, where it begins, and then the rules into their places.
        let mut starts = vec![0u32; symbols.saturating_add(2)];
        for set in reaches.iter().flat_map(named) {
            if let Some(count) = starts.get_mut(set.saturating_add(1)) {
                *count = count.saturating_add(1);
            }
        }
        let mut sum = 0u32;
        for start in &mut starts {
            sum = sum.saturating_add(*start);
            *start = sum;
        }
        let mut next = starts.clone();
        let mut members = vec![0u32; sum as usize];
        for (rule, reach) in (0u32..).zip(reaches) {
            for set in named(reach) {
                if let Some(next) = next.get_mut(set) {
                    if let Some(member) = members.get_mut(*next as usize) {
                        *member = rule;
                    }
                    *next = next.saturating_add(1);
                }
            }
        }
        let mut postings = Self { starts, members, large: Vec::new() };
        let large = (0..=symbols).filter_map(|set| {
            let members = postings.members(set);
            if members.len().saturating_mul(32) < reaches.len().max(1) {
                return None;
            }
            let mut words = vec![0; reaches.len().div_ceil(64)];
            members.iter().for_each(|rule| set_bit(&mut words, *rule));
            Some((u32::try_from(set).ok()?, words.into()))
        });
        postings.large = large.collect();
        postings
    }

    fn members(&self, set: usize) -> &[u32] {
        let bound = |number: usize| self.starts.get(number).map_or(0, |start| *start as usize);
        self.members.get(bound(set)..bound(set.saturating_add(1))).unwrap_or_default()
    }

    fn set(&self, set: usize) -> Set<'_> {
        let large = u32::try_from(set).ok().and_then(|set| self.large.binary_search_by_key(&set, |(set, _)| *set).ok());
        let words = large.and_then(|at| self.large.get(at)).map(|(_, words)| &**words);
        Set { members: self.members(set), words }
    }

    fn hits(&self, symbols: &[Symbol], rules: usize) -> Hits<'_> {
        let unnamed = self.starts.len().saturating_sub(2);
        let mut hits = Hits::default();
        for set in symbols.iter().map(|symbol| symbol.number()).chain([unnamed]) {
            let set = self.set(set);
            hits.everything |= set.members.len() == rules;
            if !set.members.is_empty() {
                hits.size = hits.size.saturating_add(set.members.len());
                hits.sets.push(set);
            }
        }
        hits
    }
}

fn set_bit(words: &mut [u64], rule: u32) {
    if let Some(word) = words.get_mut(rule as usize / 64) {
        *word |= 1 << (rule % 64);
    }
}
