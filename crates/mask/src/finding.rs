//! Each finding for itself, for reports: where it stands and what speaks for it. Never what it is.

use super::detect::{Span, validator};
use super::kind::What;
use super::masks::Masks;
use super::view::{Form, unescaped};
use std::ops::Range;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind.
    pub kind: What,
    /// The JSON pointer (RFC 6901) of the value it stands in, member names with findings in their masked form. None for a text body.
    pub pointer: Option<String>,
    /// Whether it stands in the name of the member, not in its value.
    pub in_name: bool,
    /// Where the value is a string of JSON: the pointer of the value in it, one for each such string.
    pub inside: Vec<String>,
    /// Where it stands in the decoded string, the text body or the number as written, in Unicode code points (not bytes, not
    /// UTF-16 units). None where it was no finding before another in the same string was masked, and of an array, object, `true` or
    /// `false` that a field rule masks.
    pub place: Option<Range<usize>>,
    /// What speaks for it: `form`, `context`, `check` or `check+context`; `rule` where a field rule says so.
    pub proof: &'static str,
    /// What its form is checked with, such as `issuer range, Luhn`.
    pub validator: &'static str,
}

/// What a string had, in the order it stands there.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) raw: Range<usize>,
    pub(super) what: What,
    pub(super) proof: &'static str,
}

impl Finding {
    pub(super) fn of(what: &What, proof: &'static str, pointer: Option<String>, place: Option<Range<usize>>) -> Self {
        let validator = match what {
            What::Kind(kind) => validator(*kind),
            What::Field => "the operator's field rule",
            What::Custom(_) => "the operator's pattern",
        };
        Self { kind: what.clone(), pointer, in_name: false, inside: Vec::new(), place, proof, validator }
    }
}

/// What speaks for the finding at `range`, among the detectors' own, which are sorted.
pub(super) fn proof(masks: &Masks, spans: &[Span], what: &What, range: &Range<usize>) -> &'static str {
    if let What::Custom(name) = what {
        return masks.proof_of_pattern(name);
    }
    let known = spans.binary_search_by_key(&range.start, |span| span.start).ok().and_then(|at| spans.get(at));
    known.filter(|span| span.end == range.end).map_or("form", Span::proof)
}

/// The places of what was located in `raw`, in code points; one walk over the text however much there is.
pub(super) fn places<'a>(
    raw: &'a str,
    form: Form,
    located: &'a [Located],
) -> impl Iterator<Item = (&'a Located, Range<usize>)> {
    let (mut at, mut count) = (0, 0);
    let mut count_to = move |until: usize| {
        let piece = raw.get(at..until).unwrap_or_default();
        count += if form == Form::Plain { piece.chars().count() } else { unescaped(piece).chars().count() };
        at = until;
        count
    };
    located.iter().map(move |one| {
        let start = count_to(one.raw.start);
        (one, start..count_to(one.raw.end))
    })
}
