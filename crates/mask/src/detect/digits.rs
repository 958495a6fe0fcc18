//! Numbers of digits alone that countries and industries give: one table row each, by form, check digit and context.

use super::number::{Group, Join};
use super::scan::Scan;
use super::{Context, Proof, americas, asia, europe, industry};
use crate::kind::Kind;

/// One kind of number.
pub(super) struct Spec {
    pub(super) kind: Kind,
    pub(super) forms: &'static [Form],
    /// Whether the digits can be such a number: check digits, dates, ranges.
    pub(super) is_valid: fn(&[u8]) -> bool,
    /// What else than the kind's own words speaks for it.
    pub(super) words: Context,
}

/// How it is written.
pub(super) struct Form {
    /// The digits of each group.
    pub(super) groups: &'static [usize],
    pub(super) joins: Joins,
    pub(super) alone: Alone,
}

/// Whether a form and the check digit are enough, without a word that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    Never,
    /// Where no word speaks of orders, parcels and the like: one in ten of their numbers has that check digit too.
    AmongNoThings,
    Always,
}

/// What stands between the groups.
pub(super) enum Joins {
    /// The same space or hyphen everywhere.
    Same,
    /// Exactly these.
    These(&'static [Join]),
}

impl Form {
    /// In one piece, and found only where words say so.
    pub(super) const fn bare(groups: &'static [usize]) -> Self {
        Self { groups, joins: Joins::Same, alone: Alone::Never }
    }

    /// In groups, and found only where words say so.
    pub(super) const fn grouped(groups: &'static [usize]) -> Self {
        Self { groups, joins: Joins::Same, alone: Alone::Never }
    }

    /// In these groups, found anywhere but where words speak of things.
    pub(super) const fn likely(groups: &'static [usize]) -> Self {
        Self { groups, joins: Joins::Same, alone: Alone::AmongNoThings }
    }

    /// In this form, found anywhere.
    pub(super) const fn alone(groups: &'static [usize]) -> Self {
        Self { groups, joins: Joins::Same, alone: Alone::Always }
    }

    /// With these separators, found anywhere.
    pub(super) const fn parted(groups: &'static [usize], joins: &'static [Join]) -> Self {
        Self { groups, joins: Joins::These(joins), alone: Alone::Always }
    }

    /// With these separators, and found only where words say so.
    pub(super) const fn dotted(groups: &'static [usize], joins: &'static [Join]) -> Self {
        Self { groups, joins: Joins::These(joins), alone: Alone::Never }
    }

    fn fits(&self, window: &[Group]) -> bool {
        let sizes = window.len() == self.groups.len()
            && window.iter().zip(self.groups).all(|(group, size)| group.digits() == *size);
        let mut joins = window.iter().skip(1).map(|group| group.join);
        sizes
            && match self.joins {
                Joins::These(these) => joins.eq(these.iter().copied()),
                Joins::Same => joins
                    .next()
                    .is_none_or(|first| matches!(first, Join::Space | Join::Hyphen) && joins.all(|join| join == first)),
            }
    }
}

/// All rows.
pub(super) const TABLES: &[&[Spec]] = &[americas::SPECS, europe::SPECS, asia::SPECS, industry::SPECS];

/// The forms that begin with the groups of a window: a place in [`TREE`], the root of which has no groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Begun(u8);

/// What stands in the way of no form.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Where the tree goes on, by the digits of the next group; 0 where it does not.
    next: [u8; Begun::MOST + 1],
    /// The rows with a form of these groups: a bit for each.
    rows: u64,
    /// Those of them with one that has other signs than the same space or hyphen between all groups.
    mixed: u64,
}

impl Begun {
    /// The most digits of a group that any form has.
    const MOST: usize = 15;

    /// Adds a group; whether there is a form that begins so.
    pub(super) fn add(&mut self, digits: usize) -> bool {
        self.0 = self.node().and_then(|node| node.next.get(digits)).copied().unwrap_or(0);
        self.0 != 0
    }

    /// The rows that have a form of these groups: a bit for each. `same`: whether the same space or hyphen stands between all.
    pub(super) fn rows(self, same: bool) -> u64 {
        self.node().map_or(0, |node| if same { node.rows } else { node.mixed })
    }

    fn node(self) -> Option<&'static Node> {
        TREE.get(usize::from(self.0))
    }
}

/// Looks at `window`, groups of a run that have `digits` together, for what `rows` have. `joined`: to something before and behind it.
#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>, window: &[Group], digits: &[u8], rows: u64, joined: (bool, bool)) {
    let (Some(first), Some(last)) = (window.first(), window.last()) else { return };
    let mut rows = rows;
    while rows != 0 {
        let spec = SPECS.get(rows.trailing_zeros() as usize).copied().flatten();
        rows &= rows - 1;
        let Some(spec) = spec.filter(|spec| scan.wants(spec.kind)) else { continue };
        let Some(form) = spec.forms.iter().find(|form| form.fits(window)) else { continue };
        // Words are asked once for all that begins here, check digits are counted for each.
        let near = scan.near(first.start).any;
        // A word for this kind alone decides between countries whose numbers look alike; one for all of them does not.
        let named = near.has(Context::of_kind(spec.kind));
        let alone = match form.alone {
            Alone::Always => true,
            Alone::AmongNoThings => !near.has(Context::THING),
            Alone::Never => false,
        };
        if (alone || named || near.has(spec.words)) && (spec.is_valid)(digits) {
            let proof = if named { Proof::Named } else { Proof::Valid };
            scan.push_hanging(spec.kind, (first.start, last.end), proof, joined);
        }
    }
}

const COUNT: usize = {
    let mut count = 0;
    let mut tables = TABLES;
    while let [table, more @ ..] = tables {
        count += table.len();
        tables = more;
    }
    count
};

/// The rows of all tables.
const SPECS: [Option<&Spec>; COUNT] = {
    let mut all = [None; COUNT];
    let mut slots: &mut [Option<&Spec>] = &mut all;
    let mut tables = TABLES;
    let mut rows: &[Spec] = &[];
    while let [slot, rest @ ..] = slots {
        while let ([], [table, more @ ..]) = (rows, tables) {
            rows = table;
            tables = more;
        }
        if let [row, more @ ..] = rows {
            *slot = Some(row);
            rows = more;
        }
        slots = rest;
    }
    all
};

/// Room for all beginnings of forms.
const NODES: usize = 96;

/// The forms of all rows, by the digits of one group after the other: hardly any row of groups goes far in it.
static TREE: [Node; NODES] = {
    let mut tree = [Node { next: [0; Begun::MOST + 1], rows: 0, mixed: 0 }; NODES];
    let mut count = 1;
    let mut specs: &[Option<&Spec>] = &SPECS;
    let mut bit = 1;
    while let [spec, more @ ..] = specs {
        let mut forms: &[Form] = match spec {
            Some(spec) => spec.forms,
            None => &[],
        };
        while let [form, others @ ..] = forms {
            count = grow(&mut tree, count, form, bit);
            forms = others;
        }
        bit <<= 1;
        specs = more;
    }
    tree
};

/// Adds a form of the row that has `bit`, and returns how many of the places are taken then.
const fn grow(tree: &mut [Node; NODES], mut count: usize, form: &Form, bit: u64) -> usize {
    let mut at = 0;
    let mut groups = form.groups;
    while let [group, rest @ ..] = groups {
        assert!(*group <= Begun::MOST, "a group of a form has fifteen digits at most");
        if let (_, [node, ..]) = tree.split_at_mut(at)
            && let (_, [next, ..]) = node.next.split_at_mut(*group)
        {
            if *next == 0 {
                assert!(count < NODES, "there is room for all forms");
                *next = count as u8;
                count += 1;
            }
            at = *next as usize;
        }
        groups = rest;
    }
    if let (_, [node, ..]) = tree.split_at_mut(at) {
        node.rows |= bit;
        node.mixed |= if matches!(form.joins, Joins::These(_)) { bit } else { 0 };
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(groups: &[usize]) -> Option<Begun> {
        let mut begun = Begun::default();
        groups.iter().all(|digits| begun.add(*digits)).then_some(begun)
    }

    #[test]
    fn every_form_is_found_by_its_groups_and_no_other_is() {
        let mut forms = 0;
        for (row, spec) in SPECS.iter().flatten().enumerate() {
            for form in spec.forms {
                let same = matches!(form.joins, Joins::Same);
                assert_ne!(begun(form.groups).unwrap().rows(same) >> row & 1, 0, "{:?} {:?}", spec.kind, form.groups);
                forms += 1;
            }
        }
        let root = TREE.iter().skip(1).flat_map(|node| node.next).all(|next| next != 1);
        assert!(root && forms > 40);
        let formed = |groups: &[usize], same| begun(groups).map_or(0, |begun| begun.rows(same));
        for other in [&[1][..], &[2, 2, 2], &[9, 9], &[8], &[3, 2, 4, 1], &[16], &[1, 1, 1, 1, 1, 1, 1, 1, 1]] {
            assert_eq!((formed(other, true), formed(other, false)), (0, 0), "{other:?}");
        }
        let count = |groups: &[usize], same| formed(groups, same).count_ones();
        let rows = SPECS.iter().flatten().filter(|spec| spec.forms.iter().any(|form| form.groups == [4, 4, 4]));
        assert_eq!(count(&[4, 4, 4], true), rows.count() as u32);
        assert_eq!(count(&[4, 4, 4], false), 0);
    }
}
