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
    /// Whether this form and the check digit are enough, without a word that says so.
    pub(super) alone: bool,
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
        Self { groups, joins: Joins::Same, alone: false }
    }

    /// In groups, and found only where words say so.
    pub(super) const fn grouped(groups: &'static [usize]) -> Self {
        Self { groups, joins: Joins::Same, alone: false }
    }

    /// In this form, found anywhere.
    pub(super) const fn alone(groups: &'static [usize]) -> Self {
        Self { groups, joins: Joins::Same, alone: true }
    }

    /// With these separators, found anywhere.
    pub(super) const fn parted(groups: &'static [usize], joins: &'static [Join]) -> Self {
        Self { groups, joins: Joins::These(joins), alone: true }
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
    for spec in TABLES.iter().copied().flatten() {
        let Some(form) = spec.forms.iter().find(|form| form.fits(window)) else { continue };
        if !scan.wants(spec.kind) || is_inside(window, next) || !(spec.is_valid)(digits) {
            continue;
        }
        let named = scan.near(first.start).any.has(Context::of_kind(spec.kind) | spec.words);
        if form.alone || named {
            let proof = if named { Proof::Named } else { Proof::Valid };
            scan.push(spec.kind, first.start, last.end, proof);
        }
    }
}

/// Whether the window is part of a longer number: joined to a neighbour by anything but a space.
fn is_inside(window: &[Group], next: Option<Join>) -> bool {
    let joined = |join: Join| matches!(join, Join::Hyphen | Join::Dot | Join::Slash);
    window.first().is_some_and(|first| joined(first.join)) || next.is_some_and(joined)
}
