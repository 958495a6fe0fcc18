//! The words of a bundle: every group, model, dataset, tenant and operation that its rules name, once each.

use super::glob::Pattern;
use super::index::Dimension;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// A word of one dimension, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Symbol(u32);

impl Symbol {
    /// The symbol with this number.
    pub(super) fn at(number: usize) -> Self {
        Self(u32::try_from(number).unwrap_or(u32::MAX))
    }

    pub(super) fn number(self) -> usize {
        self.0 as usize
    }
}

/// The words of all dimensions.
#[derive(Debug, Default)]
pub(super) struct Lexicon([Dictionary; 5]);

impl Lexicon {
    pub(super) fn dictionary(&self, dimension: Dimension) -> &Dictionary {
        let [groups, models, datasets, tenants, operations] = &self.0;
        match dimension {
            Dimension::Groups => groups,
            Dimension::Models => models,
            Dimension::Datasets => datasets,
            Dimension::Tenants => tenants,
            Dimension::Operations => operations,
        }
    }

    pub(super) fn dictionary_mut(&mut self, dimension: Dimension) -> &mut Dictionary {
        let [groups, models, datasets, tenants, operations] = &mut self.0;
        match dimension {
            Dimension::Groups => groups,
            Dimension::Models => models,
            Dimension::Datasets => datasets,
            Dimension::Tenants => tenants,
            Dimension::Operations => operations,
        }
    }
}

/// The words of one dimension.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    patterns: Vec<Pattern>,
    /// Whole names.
    names: HashMap<Rc<str>, Symbol>,
    /// Patterns with one `*`, at the end: by the length of what is before it, so that each length costs one look-up.
    prefixes: BTreeMap<usize, HashMap<Rc<str>, Symbol>>,
    /// All other patterns: tried one by one, each once however many rules have it.
    others: Vec<Symbol>,
    other_texts: HashMap<Rc<str>, Symbol>,
}

impl Dictionary {
    pub(super) fn len(&self) -> usize {
        self.patterns.len()
    }

    pub(super) fn pattern(&self, symbol: Symbol) -> Option<&Pattern> {
        self.patterns.get(symbol.number())
    }

    /// The symbol of a pattern that is known already.
    pub(super) fn known(&self, text: &str) -> Option<Symbol> {
        match (text.strip_suffix('*'), text.contains('*')) {
            (_, false) => self.names.get(text),
            (Some(prefix), true) if !prefix.contains('*') => self.prefixes.get(&prefix.len())?.get(prefix),
            _ => self.other_texts.get(text),
        }
        .copied()
    }

    /// Adds a pattern that is not known yet.
    pub(super) fn add(&mut self, pattern: Pattern) -> Symbol {
        let symbol = Symbol::at(self.patterns.len());
        if let Some(name) = pattern.whole() {
            self.names.insert(name.into(), symbol);
        } else if let Some(prefix) = pattern.prefix() {
            self.prefixes.entry(prefix.len()).or_default().insert(prefix.into(), symbol);
        } else {
            self.others.push(symbol);
            self.other_texts.insert(pattern.as_str().into(), symbol);
        }
        self.patterns.push(pattern);
        symbol
    }

    /// Adds the symbols that match `name` to `found`.
    pub(super) fn find(&self, name: &str, found: &mut Vec<Symbol>) {
        found.extend(self.names.get(name));
        for (length, prefixes) in self.prefixes.range(..=name.len()) {
            found.extend(name.get(..*length).and_then(|prefix| prefixes.get(prefix)));
        }
        let matching = |symbol: &&Symbol| self.pattern(**symbol).is_some_and(|pattern| pattern.matches(name));
        found.extend(self.others.iter().filter(matching));
    }
}
