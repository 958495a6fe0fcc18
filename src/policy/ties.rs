//! Finds allows between which nothing would say whose credential a call gets. The check errs on the side of a report: it asks
//! whether two patterns could meet in some name, and takes for granted that some caller is in the groups of both rules.

use super::bundle::Mode;
use super::check::{Allow, Rule};
use super::glob::{Exactness, Pattern};
use super::index::Dimension;
use super::lexicon::Lexicon;
use crate::diagnostic::{Flaw, Place};
use std::collections::{HashMap, HashSet};

/// One flaw for every allow that ties with an earlier one. Shadow rules give no credential, so they tie with nothing.
pub(super) fn find(allows: &[Rule<Allow>], lexicon: &Lexicon) -> Vec<Flaw> {
    let ways: Vec<Way<'_>> =
        allows.iter().filter(|allow| allow.mode == Mode::Enforce).flat_map(|allow| Way::all(allow, lexicon)).collect();
    let loose: [HashSet<Exactness>; 3] =
        [0, 1, 2].map(|dimension| ways.iter().filter_map(|way| way.loose(dimension)).collect());
    let mut buckets: HashMap<_, Vec<&Way<'_>>> = HashMap::new();
    for way in &ways {
        buckets.entry(way.key(&loose)).or_default().push(way);
    }
    let mut tied: Vec<(usize, Flaw)> = Vec::new();
    let mut told = HashSet::new();
    for ways in buckets.values_mut() {
        let one = ways.first().map(|way| way.credential());
        if ways.iter().all(|way| Some(way.credential()) == one) {
            continue;
        }
        ways.sort_by_key(|way| way.rule.place);
        for (at, way) in ways.iter().enumerate() {
            if told.contains(&way.rule.place) {
                continue;
            }
            let earlier = ways.iter().take(at).find(|other| way.ties_with(other));
            if let Some(earlier) = earlier {
                told.insert(way.rule.place);
                tied.push((way.rule.place, way.flaw(earlier)));
            }
        }
    }
    tied.sort_by_key(|(place, _)| *place);
    tied.into_iter().map(|(_, flaw)| flaw).collect()
}

/// One of the ways in which an allow can match: one entry of each list.
struct Way<'r> {
    rule: &'r Rule<Allow>,
    /// Dataset, model, tenant; None is any tenant.
    entries: [Option<&'r Pattern>; 3],
}

impl<'r> Way<'r> {
    fn all(rule: &'r Rule<Allow>, lexicon: &'r Lexicon) -> Vec<Self> {
        let entries = |dimension| -> Vec<Option<&'r Pattern>> {
            let dictionary = lexicon.dictionary(dimension);
            rule.reach.symbols(dimension).map_or_else(
                || vec![None],
                |symbols| symbols.iter().map(|symbol| dictionary.pattern(*symbol)).collect(),
            )
        };
        let (models, tenants) = (entries(Dimension::Models), entries(Dimension::Tenants));
        let mut ways = Vec::new();
        for dataset in entries(Dimension::Datasets) {
            for model in &models {
                ways.extend(tenants.iter().map(|tenant| Self { rule, entries: [dataset, *model, *tenant] }));
            }
        }
        ways
    }

    fn credential(&self) -> Option<&str> {
        self.rule.terms.credential.as_deref()
    }

    fn entry(&self, dimension: usize) -> Option<&'r Pattern> {
        self.entries.get(dimension).copied().flatten()
    }

    fn exactness(&self, dimension: usize) -> Exactness {
        self.entry(dimension).map(Pattern::exactness).unwrap_or_default()
    }

    /// How exact the entry is, where it can meet others than itself that are equally exact: two whole names meet only if
    /// they are the same, and so do two beginnings of the same length.
    fn loose(&self, dimension: usize) -> Option<Exactness> {
        let pattern = self.entry(dimension)?;
        (pattern.whole().is_none() && pattern.prefix().is_none()).then(|| pattern.exactness())
    }

    /// Ways that tie have the same key.
    fn key(&self, loose: &[HashSet<Exactness>; 3]) -> (u32, [(Exactness, Option<&'r str>); 3]) {
        let key = |dimension: usize| {
            let exactness = self.exactness(dimension);
            let any = loose.get(dimension).is_none_or(|loose| loose.contains(&exactness));
            // Any tenant and `*` are one.
            let text = self.entry(dimension).map_or("*", |pattern| pattern.as_str());
            (exactness, (!any).then_some(text))
        };
        (self.rule.terms.precedence, [key(0), key(1), key(2)])
    }

    fn ties_with(&self, other: &Self) -> bool {
        self.credential() != other.credential()
            && self.entries.iter().zip(&other.entries).all(|(one, other)| match (one, other) {
                (Some(one), Some(other)) => one.overlaps(other),
                _ => true,
            })
    }

    fn flaw(&self, earlier: &Self) -> Flaw {
        let rule = Place::root().name("rules").item(self.rule.place);
        let place = if self.rule.terms.credential.is_some() { rule.name("use") } else { rule };
        let text = |way: &Self, dimension| way.entry(dimension).map_or("*", |pattern| pattern.as_str()).to_owned();
        Flaw::new(
            place,
            format!(
                "ties with `{}` (rules[{}]), which uses another credential, on dataset `{}` and model `{}`",
                earlier.rule.id,
                earlier.rule.place,
                text(self, 0),
                text(self, 1)
            ),
        )
        .hint("make one of them more exact, or give one a higher `precedence`")
    }
}
