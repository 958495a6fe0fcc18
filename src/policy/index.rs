//! Finds the rules that match a call without looking at the others.
//!
//! Rules are numbered: denies, guards, allows, each kind in the order of ids. Every value of every dimension (group, model,
//! dataset, tenant, operation) has the set of rules that name it, and every rule has its values. A call meets a few sets in each
//! dimension; a rule matches when it is in one of them in every dimension. The dimension with the fewest rules leads: its rules
//! are looked at one by one. Where even that one has many, the sets are laid over each other 64 rules at a time, so the cost
//! has a bound that is the same for every caller.

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

/// What a call means to the bundle: for each dimension the symbols that match it.
#[derive(Debug)]
pub(super) struct Meant {
    symbols: Vec<Symbol>,
    /// Where the symbols of each dimension end.
    ends: [usize; 5],
    has_tenant: bool,
}

impl Meant {
    pub(super) fn by(target: &Target<'_>, lexicon: &Lexicon) -> Self {
        let mut symbols = Vec::with_capacity(target.groups.len().saturating_add(12));
        let ends = Dimension::ALL.map(|dimension| {
            let dictionary = lexicon.dictionary(dimension);
            match dimension {
                Dimension::Groups => target.groups.iter().for_each(|group| dictionary.find(group, &mut symbols)),
                Dimension::Models => dictionary.find(target.model, &mut symbols),
                Dimension::Datasets => dictionary.find(target.dataset, &mut symbols),
                Dimension::Tenants => {
                    target.tenant.into_iter().for_each(|tenant| dictionary.find(tenant, &mut symbols));
                }
                Dimension::Operations => dictionary.find(target.operation, &mut symbols),
            }
            symbols.len()
        });
        Self { symbols, ends, has_tenant: target.tenant.is_some() }
    }

    pub(super) fn symbols(&self, dimension: Dimension) -> &[Symbol] {
        let end = |number: usize| self.ends.get(number).copied().unwrap_or(0);
        let start = (dimension as usize).checked_sub(1).map_or(0, end);
        self.symbols.get(start..end(dimension as usize)).unwrap_or_default()
    }
}

/// The index over the rules of a bundle.
#[derive(Debug)]
pub(super) struct Index {
    /// Where the guards begin.
    guards: u32,
    /// Where the allows begin.
    allows: u32,
    rules: u32,
    named: Named,
    dimensions: [Postings; 5],
}

/// The rules of a bundle that match, by their numbers within their kind.
#[derive(Debug)]
pub(super) struct Matching {
    numbers: Vec<u32>,
    guards: u32,
    allows: u32,
}

impl Matching {
    pub(super) fn denies(&self) -> impl Iterator<Item = usize> {
        self.between(0, self.guards)
    }

    pub(super) fn guards(&self) -> impl Iterator<Item = usize> {
        self.between(self.guards, self.allows)
    }

    pub(super) fn allows(&self) -> impl Iterator<Item = usize> {
        self.between(self.allows, u32::MAX)
    }

    fn between(&self, start: u32, end: u32) -> impl Iterator<Item = usize> {
        let numbers = self.numbers.iter().filter(move |number| (start..end).contains(number));
        numbers.map(move |number| number.saturating_sub(start) as usize)
    }
}

impl Index {
    /// Over the reaches of denies, guards and allows.
    pub(super) fn build([denies, guards, allows]: [Vec<Reach>; 3], lexicon: &Lexicon) -> Self {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (guards_from, allows_from) = (number(denies.len()), number(denies.len().saturating_add(guards.len())));
        let mut named = Named::default();
        denies.iter().chain(&guards).chain(&allows).for_each(|reach| named.add(reach));
        drop((denies, guards, allows));
        let dimensions =
            Dimension::ALL.map(|dimension| Postings::build(&named, dimension, lexicon.dictionary(dimension).len()));
        Self { guards: guards_from, allows: allows_from, rules: number(named.slots.len()), named, dimensions }
    }

    /// The rules that match a call.
    pub(super) fn matching(&self, meant: &Meant) -> Matching {
        let narrow = self.narrow(meant, 0);
        let numbers = match narrow.split_first() {
            None => (0..self.rules).collect(),
            Some((lead, rest)) if lead.lists && self.few(lead.size, &narrow) => {
                let mut rules = Vec::new();
                for set in self.sets(lead.dimension, meant) {
                    let fits = |rule: &&u32| rest.iter().all(|one| self.fits(**rule, one.dimension, meant));
                    rules.extend(set.members.iter().filter(fits));
                }
                if rules.len() > 1 {
                    rules.sort_unstable();
                    rules.dedup();
                }
                rules
            }
            Some(_) => {
                let layers = self.layers(&narrow, meant);
                let word = |number| {
                    layers.iter().fold(u64::MAX, |all, (_, layer)| if all == 0 { 0 } else { all & layer.word(number) })
                };
                (0..self.words())
                    .flat_map(|number| bits(number, word(number)))
                    .filter(|rule| *rule < self.rules)
                    .collect()
            }
        };
        Matching { numbers, guards: self.guards, allows: self.allows }
    }

    /// The first `most` allows, of those `asked` for, that match in all dimensions but one; ascending, with that dimension.
    pub(super) fn near_allows(
        &self,
        meant: &Meant,
        asked: impl Fn(usize) -> bool,
        most: usize,
    ) -> Vec<(usize, Dimension)> {
        let narrow = self.narrow(meant, self.allows);
        let number = |rule: u32| rule.saturating_sub(self.allows) as usize;
        let mut near = if let [first, second, ..] = &narrow[..]
            && self.few(first.size.saturating_add(second.size), &narrow)
        {
            // Who fails once only is in one of any two dimensions.
            let mut near = Vec::new();
            for set in [first, second].into_iter().flat_map(|one| self.sets(one.dimension, meant)) {
                for rule in set.from(self.allows) {
                    let mut failed = narrow.iter().filter(|one| !self.fits(*rule, one.dimension, meant));
                    if let (Some(one), None) = (failed.next(), failed.next()) {
                        near.push((*rule, one.dimension));
                    }
                }
            }
            near.sort_unstable();
            near.dedup();
            near.retain(|(rule, _)| asked(number(*rule)));
            near
        } else {
            let layers = self.layers(&narrow, meant);
            let failing = |at: usize| {
                let (mut once, mut twice) = (0, 0);
                for (_, layer) in &layers {
                    let fail = !layer.word(at);
                    twice |= once & fail;
                    once |= fail;
                }
                bits(at, once & !twice)
            };
            let dimension = |rule: u32| {
                let failed = layers.iter().find(|(_, layer)| layer.word(rule as usize / 64) >> (rule % 64) & 1 == 0);
                failed.map(|(dimension, _)| (rule, *dimension))
            };
            let rules = (self.allows as usize / 64..self.words()).flat_map(failing);
            let rules = rules.filter(|rule| (self.allows..self.rules).contains(rule) && asked(number(*rule)));
            rules.filter_map(dimension).take(most).collect()
        };
        near.truncate(most);
        near.into_iter().map(|(rule, dimension)| (number(rule), dimension)).collect()
    }

    /// The symbols that match a call and that an allow names, in one dimension; none where it takes all.
    pub(super) fn met_by_allow<'m>(
        &self,
        number: usize,
        dimension: Dimension,
        meant: &'m Meant,
    ) -> impl Iterator<Item = Symbol> + use<'_, 'm> {
        let slot = self.named.slot((self.allows as usize).saturating_add(number), dimension).unwrap_or(Named::ANY);
        meant.symbols(dimension).iter().copied().filter(move |symbol| self.named.has(slot, *symbol))
    }

    /// The dimensions in which not all rules from number `from` on match, the one with the fewest first.
    fn narrow(&self, meant: &Meant, from: u32) -> Vec<Narrow> {
        let all = self.rules.saturating_sub(from) as usize;
        let mut narrow = Vec::with_capacity(Dimension::ALL.len());
        for dimension in Dimension::ALL {
            let untold = dimension == Dimension::Tenants && !meant.has_tenant;
            let (mut size, mut is_narrow) = (0usize, true);
            for set in self.sets(dimension, meant) {
                let members = set.from(from).len();
                size = size.saturating_add(members);
                is_narrow &= members < all;
            }
            if is_narrow {
                // Without a tenant all denies and guards are met: no list has them.
                narrow.push(Narrow { dimension, size, lists: !untold || from >= self.allows });
            }
        }
        // One without lists never leads.
        narrow.sort_unstable_by_key(|one| (!one.lists, one.size));
        narrow
    }

    /// Whether a rule matches in one dimension.
    fn fits(&self, rule: u32, dimension: Dimension, meant: &Meant) -> bool {
        let Some(slot) = self.named.slot(rule as usize, dimension) else { return false };
        if slot == Named::ANY {
            return true;
        }
        if dimension == Dimension::Tenants && !meant.has_tenant {
            // A deny or guard is not escaped by leaving something out; an allow takes what is known only.
            return rule < self.allows;
        }
        meant.symbols(dimension).iter().any(|symbol| self.named.has(slot, *symbol))
    }

    /// The sets of rules that a call meets in one dimension, those that name nothing there included.
    fn sets<'i>(&'i self, dimension: Dimension, meant: &'i Meant) -> impl Iterator<Item = Set<'i>> {
        let postings = self.postings(dimension);
        let named = meant.symbols(dimension).iter().map(|symbol| symbol.number());
        let sets = named.chain(postings.map(Postings::unnamed));
        sets.filter_map(move |set| Some(postings?.set(set))).filter(|set| !set.members.is_empty())
    }

    fn postings(&self, dimension: Dimension) -> Option<&Postings> {
        self.dimensions.get(dimension as usize)
    }

    /// Whether looking at `rules` one by one costs less than laying all sets over each other.
    fn few(&self, rules: usize, narrow: &[Narrow]) -> bool {
        // One look at a rule costs about as much as eight words.
        rules.saturating_mul(8) <= self.words().saturating_mul(narrow.len().saturating_add(2)).max(512)
    }

    fn words(&self) -> usize {
        self.rules.div_ceil(64) as usize
    }

    fn layers<'i>(&'i self, narrow: &[Narrow], meant: &'i Meant) -> Vec<(Dimension, Layer<'i>)> {
        let layer = |one: &Narrow| {
            let mut layer = Layer { laid: Vec::new(), kept: Vec::new(), all_before: 0 };
            if one.dimension == Dimension::Tenants && !meant.has_tenant {
                layer.all_before = self.allows;
            }
            for set in self.sets(one.dimension, meant) {
                match set.words {
                    Some(words) => layer.kept.push(words),
                    None => {
                        layer.laid.resize(self.words(), 0);
                        set.members.iter().for_each(|rule| set_bit(&mut layer.laid, *rule));
                    }
                }
            }
            (one.dimension, layer)
        };
        narrow.iter().map(layer).collect()
    }
}

/// A dimension in which not all rules match.
#[derive(Debug)]
struct Narrow {
    dimension: Dimension,
    /// Rules in the sets that are met; one that is in several counts several times.
    size: usize,
    /// Whether the sets hold all rules that match.
    lists: bool,
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

/// The sets of one dimension, one bit a rule.
#[derive(Debug)]
struct Layer<'i> {
    /// Small sets, laid out together.
    laid: Vec<u64>,
    kept: Vec<&'i [u64]>,
    /// All rules before this one are in it, too.
    all_before: u32,
}

impl Layer<'_> {
    fn word(&self, number: usize) -> u64 {
        let before = (self.all_before as usize).saturating_sub(number.saturating_mul(64));
        let before = if before >= 64 { u64::MAX } else { (1u64 << before) - 1 };
        let laid = self.laid.get(number).copied().unwrap_or(0) | before;
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

impl<'i> Set<'i> {
    /// The rules from number `first` on.
    fn from(self, first: u32) -> &'i [u32] {
        let at = if first == 0 { 0 } else { self.members.partition_point(|rule| *rule < first) };
        self.members.get(at..).unwrap_or_default()
    }
}

/// What every rule names, one word for each dimension: all of it, one symbol, or where its symbols stand.
#[derive(Debug, Default)]
struct Named {
    slots: Vec<[u32; 5]>,
    /// Symbols of those that name several, each list with its length before it.
    lists: Vec<Symbol>,
}

impl Named {
    const ANY: u32 = u32::MAX;
    /// Marks a place in `lists`. Neither symbols nor lists come near that many: each is more than a byte of the bundle.
    const LIST: u32 = 1 << 31;

    fn add(&mut self, reach: &Reach) {
        let slots = Dimension::ALL.map(|dimension| match reach.symbols(dimension) {
            None => Self::ANY,
            Some([one]) => u32::try_from(one.number()).unwrap_or(Self::ANY - 1),
            Some(several) => {
                let at = u32::try_from(self.lists.len()).unwrap_or(Self::ANY - 1) | Self::LIST;
                self.lists.push(Symbol::at(several.len()));
                self.lists.extend_from_slice(several);
                at
            }
        });
        self.slots.push(slots);
    }

    fn slot(&self, rule: usize, dimension: Dimension) -> Option<u32> {
        self.slots.get(rule)?.get(dimension as usize).copied()
    }

    fn one(slot: u32) -> Option<Symbol> {
        (slot & Self::LIST == 0).then(|| Symbol::at(slot as usize))
    }

    fn many(&self, slot: u32) -> &[Symbol] {
        let at = (slot & !Self::LIST) as usize;
        let length = self.lists.get(at).map_or(0, |length| length.number());
        let start = at.saturating_add(1);
        self.lists.get(start..start.saturating_add(length)).unwrap_or_default()
    }

    /// Whether a slot that is not [`Self::ANY`] has a symbol.
    fn has(&self, slot: u32, symbol: Symbol) -> bool {
        match Self::one(slot) {
            Some(one) => one == symbol,
            None => slot != Self::ANY && self.many(slot).contains(&symbol),
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
    fn build(named: &Named, dimension: Dimension, symbols: usize) -> Self {
        let each = |visit: &mut dyn FnMut(u32, usize)| {
            for (rule, slots) in (0u32..).zip(&named.slots) {
                match slots.get(dimension as usize).copied().unwrap_or(Named::ANY) {
                    Named::ANY => visit(rule, symbols),
                    slot => match Named::one(slot) {
                        Some(symbol) => visit(rule, symbol.number()),
                        None => named.many(slot).iter().for_each(|symbol| visit(rule, symbol.number())),
                    },
                }
            }
        };
        // Counting sort: how many rules each set has, where it begins, and then the rules into their places.
        let mut starts = vec![0u32; symbols.saturating_add(2)];
        each(&mut |_, set| {
            if let Some(count) = starts.get_mut(set.saturating_add(1)) {
                *count = count.saturating_add(1);
            }
        });
        let mut sum = 0u32;
        for start in &mut starts {
            sum = sum.saturating_add(*start);
            *start = sum;
        }
        let mut next = starts.clone();
        let mut members = vec![0u32; sum as usize];
        each(&mut |rule, set| {
            if let Some(next) = next.get_mut(set) {
                if let Some(member) = members.get_mut(*next as usize) {
                    *member = rule;
                }
                *next = next.saturating_add(1);
            }
        });
        let rules = named.slots.len();
        let mut postings = Self { starts, members, large: Vec::new() };
        let large = (0..=symbols).filter_map(|set| {
            let members = postings.members(set);
            if members.len().saturating_mul(32) < rules.max(1) {
                return None;
            }
            let mut words = vec![0; rules.div_ceil(64)];
            members.iter().for_each(|rule| set_bit(&mut words, *rule));
            Some((u32::try_from(set).ok()?, words.into()))
        });
        postings.large = large.collect();
        postings
    }

    /// The set of the rules that name nothing here.
    fn unnamed(&self) -> usize {
        self.starts.len().saturating_sub(2)
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
}

fn set_bit(words: &mut [u64], rule: u32) {
    if let Some(word) = words.get_mut(rule as usize / 64) {
        *word |= 1 << (rule % 64);
    }
}
