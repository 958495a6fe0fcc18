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

/// The digits of each group of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shape(u32);

impl Shape {
    /// The most digits of a group that any form has.
    const MOST: usize = 15;

    /// Adds a group; whether there can be a form that begins so.
    pub(super) const fn add(&mut self, digits: usize) -> bool {
        let room = self.0 >> 28 == 0 && digits <= Self::MOST;
        if room {
            self.0 = self.0 << 4 | digits as u32;
        }
        room
    }

    /// The rows that have a form of this shape: a bit for each.
    pub(super) fn rows(self) -> u64 {
        let mut place = self.place();
        loop {
            match SHAPES.get(place) {
                Some((shape, rows)) if *shape == self => return *rows,
                Some((shape, _)) if shape.0 != 0 => place = (place + 1) % PLACES,
                _ => return 0,
            }
        }
    }

    const fn place(self) -> usize {
        (self.0.wrapping_mul(0x9e37_79b1) >> 24) as usize % PLACES
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

/// Room for the shapes and as much again and more, so that a search ends soon.
const PLACES: usize = 256;

/// The rows that have a form of a shape, by the shape's hash, or the next free place behind it; a free place has no shape.
static SHAPES: [(Shape, u64); PLACES] = {
    let mut table = [(Shape(0), 0); PLACES];
    let mut specs: &[Option<&Spec>] = &SPECS;
    let mut bit = 1;
    while let [spec, more @ ..] = specs {
        let mut forms: &[Form] = match spec {
            Some(spec) => spec.forms,
            None => &[],
        };
        while let [form, others @ ..] = forms {
            let mut shape = Shape(0);
            let mut groups = form.groups;
            while let [group, rest @ ..] = groups {
                assert!(shape.add(*group), "a form has seven groups at most, of fifteen digits at most");
                groups = rest;
            }
            add(&mut table, shape, bit);
            forms = others;
        }
        bit <<= 1;
        specs = more;
    }
    table
};

const fn add(table: &mut [(Shape, u64); PLACES], shape: Shape, bit: u64) {
    let mut from = shape.place();
    loop {
        if let (_, [(known, rows), ..]) = table.split_at_mut(from)
            && (known.0 == 0 || known.0 == shape.0)
        {
            *known = shape;
            *rows |= bit;
            return;
        }
        from = (from + 1) % PLACES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_by_its_shape_and_no_other_is() {
        let shape = |groups: &[usize]| {
            let mut shape = Shape::default();
            groups.iter().all(|digits| shape.add(*digits)).then_some(shape)
        };
        let mut forms = 0;
        for (row, spec) in SPECS.iter().flatten().enumerate() {
            for form in spec.forms {
                assert_ne!(shape(form.groups).unwrap().rows() >> row & 1, 0, "{:?} {:?}", spec.kind, form.groups);
                forms += 1;
            }
        }
        assert!(SHAPES.iter().filter(|(shape, _)| shape.0 != 0).count() < PLACES / 2 && forms > 40);
        for other in [&[1][..], &[2, 2, 2], &[9, 9], &[8], &[3, 2, 4, 1]] {
            assert_eq!(shape(other).unwrap().rows(), 0, "{other:?}");
        }
        assert_eq!(shape(&[16]), None);
        assert_eq!(shape(&[1, 1, 1, 1, 1, 1, 1, 1, 1]), None);
    }
}
