//! Numbers of digits alone that countries and industries give: one table row each, by form, check digit and context.

use super::number::{Group, Join};
use super::scan::Scan;
use super::{Context, Proof, americas, asia, europe, industry};
use crate::mask::kind::Kind;

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

/// Looks at `window`, groups of a run that have `digits` together. `next` is what joins the group behind it, if there is one.
pub(super) fn look(scan: &mut Scan<'_>, window: &[Group], digits: &[u8], next: Option<Join>) {
    let (Some(first), Some(last)) = (window.first(), window.last()) else { return };
    let mut rows = ROWS.get(digits.len()).copied().unwrap_or(0);
    if rows == 0 || is_inside(window, next) {
        return;
    }
    while rows != 0 {
        let spec = SPECS.get(rows.trailing_zeros() as usize).copied().flatten();
        rows &= rows - 1;
        let Some(spec) = spec.filter(|spec| scan.wants(spec.kind)) else { continue };
        let Some(form) = spec.forms.iter().find(|form| form.fits(window)) else { continue };
        if !(spec.is_valid)(digits) {
            continue;
        }
        let near = scan.near(first.start).any;
        // A word for this kind alone decides between countries whose numbers look alike; one for all of them does not.
        let named = near.has(Context::of_kind(spec.kind));
        let alone = match form.alone {
            Alone::Always => true,
            Alone::AmongNoThings => !near.has(Context::THING),
            Alone::Never => false,
        };
        if alone || named || near.has(spec.words) {
            let proof = if named { Proof::Named } else { Proof::Valid };
            scan.push(spec.kind, first.start, last.end, proof);
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

/// For each number of digits, the rows that have a form of so many: a bit for each.
const ROWS: [u64; 20] = {
    let mut all = [0_u64; 20];
    let mut digits = 0;
    let mut slots: &mut [u64] = &mut all;
    while let [slot, rest @ ..] = slots {
        let mut specs: &[Option<&Spec>] = &SPECS;
        let mut bit = 1;
        while let [spec, more @ ..] = specs {
            if let Some(spec) = spec
                && has_form_of(spec, digits)
            {
                *slot |= bit;
            }
            bit <<= 1;
            specs = more;
        }
        digits += 1;
        slots = rest;
    }
    all
};

const fn has_form_of(spec: &Spec, digits: usize) -> bool {
    let mut forms = spec.forms;
    while let [form, more @ ..] = forms {
        let mut sum = 0;
        let mut groups = form.groups;
        while let [group, others @ ..] = groups {
            sum += *group;
            groups = others;
        }
        if sum == digits {
            return true;
        }
        forms = more;
    }
    false
}

/// Whether the window is part of a longer number: joined to a neighbour by anything but a space.
fn is_inside(window: &[Group], next: Option<Join>) -> bool {
    let joined = |join: Join| matches!(join, Join::Hyphen | Join::Dot | Join::Slash);
    window.first().is_some_and(|first| joined(first.join)) || next.is_some_and(joined)
}
