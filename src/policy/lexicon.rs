//! The words of a bundle: every group, model, dataset, tenant and operation that its rules name, once each.

use super::glob::{Exactness, Pattern};
use super::index::Dimension;
use crate::fold;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
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
    patterns: Vec<(Pattern, Exactness)>,
    /// Those that are compared as they are: of allows, which grant what they say and nothing that is like it.
    exact: Table,
    /// Those that are compared folded: of denies and guards, which nobody escapes by another case or look of a name.
    folded: Table,
}

/// Patterns by what they have to be looked up with.
#[derive(Debug, Default)]
struct Table {
    /// Whole names.
    names: Words,
    /// Patterns with one `*`, at the end: by the length of what is before it, ascending, so that each length costs one look-up.
    prefixes: Vec<(usize, Words)>,
    /// All other patterns: tried one by one, each once however many rules have it.
    others: Vec<Symbol>,
    other_texts: Words,
}

/// How a pattern is compared with names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    Exactly,
    Folded,
}

type Words = HashMap<Rc<str>, Symbol, BuildHasherDefault<Fast>>;

impl Dictionary {
    pub(super) fn len(&self) -> usize {
        self.patterns.len()
    }

    pub(super) fn pattern(&self, symbol: Symbol) -> Option<&Pattern> {
        self.patterns.get(symbol.number()).map(|(pattern, _)| pattern)
    }

    pub(super) fn exactness(&self, symbol: Symbol) -> Exactness {
        self.patterns.get(symbol.number()).map(|(_, exactness)| *exactness).unwrap_or_default()
    }

    /// The symbol of a pattern that is known already.
    pub(super) fn known(&self, text: &str, compared: Compared) -> Option<Symbol> {
        match compared {
            Compared::Exactly => self.exact.known(text),
            Compared::Folded => self.folded.known(&fold::compared(text)),
        }
    }

    /// Adds a pattern that is not known yet.
    pub(super) fn add(&mut self, pattern: Pattern, compared: Compared) -> Symbol {
        let symbol = Symbol::at(self.patterns.len());
        let (table, pattern) = match compared {
            Compared::Exactly => (&mut self.exact, pattern),
            Compared::Folded => (&mut self.folded, Pattern::name(&fold::compared(pattern.as_str()))),
        };
        table.add(&pattern, symbol);
        let exactness = pattern.exactness();
        self.patterns.push((pattern, exactness));
        symbol
    }

    /// Adds the symbols that match `name` to `found`.
    pub(super) fn find(&self, name: &str, found: &mut Vec<Symbol>) {
        self.exact.find(name, &self.patterns, found);
        if self.folded.is_empty() {
            return;
        }
        let begin = found.len();
        for (number, form) in fold::forms(name).enumerate() {
            self.folded.find(&form, &self.patterns, found);
            if number > 0 {
                let mut met = found.split_off(begin);
                met.sort_unstable();
                met.dedup();
                found.append(&mut met);
            }
        }
    }
}

impl Table {
    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.prefixes.is_empty() && self.others.is_empty()
    }

    fn known(&self, text: &str) -> Option<Symbol> {
        match (text.strip_suffix('*'), text.contains('*')) {
            (_, false) => self.names.get(text),
            (Some(prefix), true) if !prefix.contains('*') => self.beginnings(prefix.len())?.get(prefix),
            _ => self.other_texts.get(text),
        }
        .copied()
    }

    /// The beginnings of one length.
    fn beginnings(&self, length: usize) -> Option<&Words> {
        let at = self.prefixes.binary_search_by_key(&length, |(length, _)| *length).ok()?;
        self.prefixes.get(at).map(|(_, words)| words)
    }

    fn add(&mut self, pattern: &Pattern, symbol: Symbol) {
        if let Some(name) = pattern.whole() {
            self.names.insert(name.into(), symbol);
        } else if let Some(prefix) = pattern.prefix() {
            let at = self.prefixes.partition_point(|(length, _)| *length < prefix.len());
            if self.prefixes.get(at).is_none_or(|(length, _)| *length != prefix.len()) {
                self.prefixes.insert(at, (prefix.len(), Words::default()));
            }
            if let Some((_, words)) = self.prefixes.get_mut(at) {
                words.insert(prefix.into(), symbol);
            }
        } else {
            self.others.push(symbol);
            self.other_texts.insert(pattern.as_str().into(), symbol);
        }
    }

    fn find(&self, name: &str, patterns: &[(Pattern, Exactness)], found: &mut Vec<Symbol>) {
        found.extend(self.names.get(name));
        for (length, prefixes) in self.prefixes.iter().take_while(|(length, _)| *length <= name.len()) {
            found.extend(name.get(..*length).and_then(|prefix| prefixes.get(prefix)));
        }
        let matching =
            |symbol: &&Symbol| patterns.get(symbol.number()).is_some_and(|(pattern, _)| pattern.matches(name));
        found.extend(self.others.iter().filter(matching));
    }
}

/// A hash of few instructions: eight bytes at a time, each turned and multiplied into the next. Only the bundle puts words into
/// a table, and a look-up from outside costs one comparison with each word of one hash: callers cannot make it slow.
#[derive(Debug, Default)]
struct Fast(u64);

impl Fast {
    /// The golden ratio's bits, as in Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, 6.4).
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(Self::FACTOR);
    }
}

impl Hasher for Fast {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        // What is left, with its length, so that zero bytes at the end count.
        let left = rest.iter().fold(bytes.len() as u64, |left, byte| left << 8 | u64::from(*byte));
        self.mix(left);
    }

    fn write_u8(&mut self, _: u8) {
        // The end of a text; its length is in the hash already.
    }

    fn finish(&self) -> u64 {
        // The table takes its place from the low bits and seven more from the high ones.
        (self.0 ^ (self.0 >> 32)).wrapping_mul(Self::FACTOR) ^ (self.0 >> 29)
    }
}
