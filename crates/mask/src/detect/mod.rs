//! Finds personal data in one text.
//!
//! One pass over the bytes makes a map of the text, a few bits for each byte. It tells the few places that can begin or join a
//! finding (digits, `@`, `:`, long tokens, capitals in a row); the detectors then look at the candidate there, each with its
//! validator and its context rule, and ask the map where numbers and words end. A run of digits is read once and shown to all of
//! them. Where findings overlap, one is chosen.
//!
//! Detectors are not inlined into the scan: V8 keeps nothing in registers in a function of all of them.

mod americas;
mod asia;
mod bank;
mod card;
mod checksum;
mod class;
mod context;
mod countries;
mod crypto;
mod date;
mod digits;
mod email;
mod europe;
mod iban;
mod industry;
mod ip;
mod lexicon;
mod map;
mod mixed;
mod network;
mod number;
#[cfg(test)]
mod pairs;
mod papers;
mod phone;
mod scan;
mod secrets;
mod ssn;
mod validator;
mod vendors;

use super::kind::{Kind, Kinds};
use map::Map;
use number::Group;
use scan::{Asked, Scan};
use std::cmp::Reverse;
use std::ops::Range;

pub(super) use checksum::{luhn, verhoeff};
pub(super) use context::{Context, each_word, each_word_of_text};
pub(super) use scan::words_before;
pub(super) use validator::validator;

/// A finding: a range of bytes of the text, at character boundaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
    proof: Proof,
    /// Whether parts of others were taken along, of which nothing may be kept.
    pub(super) stretched: bool,
}

impl Span {
    /// What speaks for it, in a word.
    pub(super) const fn proof(&self) -> &'static str {
        match self.proof {
            Proof::Form => "form",
            Proof::Hint | Proof::Context => "context",
            Proof::Valid => "check",
            Proof::Named => "check+context",
        }
    }
}

/// What a sign joins to something before or behind it, as in `219-45-6789-415-555-0132`: a finding only where that is one too, and not
/// in a longer number.
#[derive(Debug)]
struct Hanging {
    span: Span,
    before: bool,
    behind: bool,
}

/// What speaks for a finding, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    /// Its form alone.
    Form,
    /// A word on the path or near it that other kinds share.
    Hint,
    /// A word on the path or near it.
    Context,
    /// A check digit, or a structure that is seldom met by chance.
    Valid,
    /// Both: a check digit, and a word that says what it is.
    Named,
}

/// What `text` has of `kinds`, sorted and without overlaps. `context` is what the names on the path to the text say.
pub(super) fn find(text: &[u8], context: Context, kinds: Kinds) -> Vec<Span> {
    let mut spans = Vec::new();
    Finder::default().find_into(text, context, kinds, &mut spans);
    spans
}

/// Finds personal data in one text after the other, and keeps its memory between them.
#[derive(Debug, Default)]
pub(super) struct Finder {
    map: Map,
    asked: Asked,
    groups: Vec<Group>,
    /// The kinds of all findings so far, those too that yielded to others.
    pub(super) seen: Kinds,
}

impl Finder {
    /// As [`find`], into `spans`.
    pub(super) fn find_into(&mut self, text: &[u8], context: Context, kinds: Kinds, spans: &mut Vec<Span>) {
        spans.clear();
        if kinds.is_empty() {
            return;
        }
        self.map.read(text, secrets::wanted(kinds), kinds.has(Kind::Bic));
        let mut scan = Scan::new(text, &self.map, context, kinds, &self.asked, &mut self.groups, spans);
        let mut at = 0_usize;
        for (base, mut left) in self.map.candidates() {
            loop {
                // Not what was looked at with others.
                left &= u64::MAX.checked_shl(u32::try_from(at.saturating_sub(base)).unwrap_or(64)).unwrap_or(0);
                if left == 0 {
                    break;
                }
                let candidate = base + left.trailing_zeros() as usize;
                at = match scan.byte(candidate) {
                    b'@' => email::look(&mut scan, candidate),
                    b':' => network::look(&mut scan, candidate),
                    _ => number::look(&mut scan, candidate),
                }
                .max(candidate + 1);
            }
        }
        secrets::look(&mut scan);
        bank::look(&mut scan);
        let (hanging, withdrawn) = (scan.hanging, scan.withdrawn);
        if !hanging.is_empty() {
            settle(spans, hanging);
        }
        self.seen = spans.iter().fold(self.seen.and(withdrawn), |seen, span| seen.with(span.kind));
        resolve(spans);
    }
}

/// Adds those of `hanging` that hang on findings: on one that covers what is joined to them, or on another that begins or ends there
/// and, in turn, hangs on findings or nothing.
#[inline(never)]
fn settle(spans: &mut Vec<Span>, mut hanging: Vec<Hanging>) {
    hanging.sort_by_key(|one| one.span.start);
    let from = hanging.first().map_or(0, |one| one.span.start).saturating_sub(2);
    let until = hanging.iter().map(|one| one.span.end).max().unwrap_or(0) + 2;
    let mut covered = Places::new(from..until);
    spans.iter().for_each(|span| covered.add(span.start..span.end, span.kind));
    let (mut ends, mut starts) = (Places::new(from..until), Places::new(from..until));
    let mut held = Vec::with_capacity(hanging.len());
    for Hanging { span, before, .. } in &hanging {
        let place = span.start.checked_sub(2);
        let holds =
            !before || place.is_some_and(|place| covered.has(place, span.kind) || ends.has(place + 1, span.kind));
        held.push(holds);
        if holds {
            ends.add(span.end..span.end + 1, span.kind);
        }
    }
    for (Hanging { span, behind, .. }, held) in hanging.into_iter().zip(held).rev() {
        let place = span.end + 1;
        let holds = held && (!behind || covered.has(place, span.kind) || starts.has(place, span.kind));
        if holds {
            starts.add(span.start..span.start + 1, span.kind);
            spans.push(span);
        }
    }
}

/// Kinds of which no two hang on each other: numbers with dots would be addresses, and fingerprints hardware addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alike {
    Not,
    Ip,
    Mac,
}

impl Alike {
    const COUNT: usize = 3;

    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::IpAddress => Self::Ip,
            Kind::MacAddress => Self::Mac,
            _ => Self::Not,
        }
    }
}

/// Places of a text, by what is alike, a bit for each: whoever writes a text can have something hang at nearly every byte.
struct Places {
    /// Those that count.
    within: Range<usize>,
    bits: Vec<[u64; Alike::COUNT]>,
}

impl Places {
    fn new(within: Range<usize>) -> Self {
        let bits = vec![[0; Alike::COUNT]; within.len() / 64 + 1];
        Self { within, bits }
    }

    /// Adds `places`, of something of `kind`.
    fn add(&mut self, places: Range<usize>, kind: Kind) {
        let bit = |place: usize| place.clamp(self.within.start, self.within.end) - self.within.start;
        let (mut from, until) = (bit(places.start), bit(places.end));
        while from < until {
            let (word, shift) = (from / 64, from % 64);
            let count = (64 - shift).min(until - from);
            if let Some(slot) = self.bits.get_mut(word).and_then(|words| words.get_mut(Alike::of(kind) as usize)) {
                *slot |= (u64::MAX >> (64 - count)) << shift;
            }
            from += count;
        }
    }

    /// Whether `place` is one of something that `kind` may hang on.
    fn has(&self, place: usize, kind: Kind) -> bool {
        let Some(bit) = place.checked_sub(self.within.start) else { return false };
        let Some(&[not, ip, mac]) = self.bits.get(bit / 64) else { return false };
        let others = match Alike::of(kind) {
            Alike::Not => not | ip | mac,
            Alike::Ip => not | mac,
            Alike::Mac => not | ip,
        };
        others >> (bit % 64) & 1 == 1
    }
}

/// Makes findings of which none overlap: all that a finding covers stays covered. Of those that overlap, the ones that are proved
/// best, then the longest, then by the order of kinds, say what was found; what the others have beyond them is taken along, so that
/// no half of a finding is left. Telephone numbers yield to everything: their form fits most other numbers.
#[inline(never)]
fn resolve(spans: &mut Vec<Span>) {
    // Detectors go over the text one after the other, so most stand in order already.
    spans.sort_by_key(|span| (span.start, span.end, span.kind, Reverse(span.proof)));
    if spans.iter().zip(spans.iter().skip(1)).all(|(span, next)| span.end <= next.start) {
        return;
    }
    let mut resolved = Vec::with_capacity(spans.len());
    let mut rest = spans.as_mut_slice();
    while let Some(first) = rest.first() {
        // As many as hang together by overlaps.
        let mut until = first.end;
        let chain = rest.iter().take_while(|span| {
            let hangs = span.start < until;
            until = until.max(span.end);
            hangs
        });
        let count = chain.count().max(1);
        let Some((chain, more)) = rest.split_at_mut_checked(count) else { break };
        cover(chain, &mut resolved);
        rest = more;
    }
    *spans = resolved;
}

/// Appends findings that do not overlap, in order, and cover all that those of `chain` do, which hang together.
fn cover(chain: &mut [Span], covered: &mut Vec<Span>) {
    /// A longer chain is a row of digits in which many windows fit. Its findings are counted from left to right.
    const LONG: usize = 32;
    let from = covered.len();
    let (Some(start), Some(end)) = (chain.first().map(|span| span.start), chain.iter().map(|span| span.end).max())
    else {
        return;
    };
    if chain.len() > LONG {
        let mut until = 0;
        for span in chain.iter().filter(|span| span.kind != Kind::Phone) {
            if span.start >= until {
                until = span.end;
                covered.push(span.clone());
            }
        }
    } else {
        choose(chain, covered);
    }
    // Telephone numbers alone.
    if covered.len() == from {
        covered.extend(chain.first().cloned());
    }
    let mut next = end;
    for span in covered.iter_mut().skip(from).rev() {
        span.stretched |= span.end != next;
        span.end = next;
        next = span.start;
    }
    if let Some(first) = covered.get_mut(from) {
        first.stretched |= first.start != start;
        first.start = start;
    }
}

/// Appends the best of `chain` that do not overlap, in order.
fn choose(chain: &mut [Span], chosen: &mut Vec<Span>) {
    if let [alone] = chain {
        chosen.push(alone.clone());
        return;
    }
    chain.sort_by_key(|span| {
        let length = span.end - span.start;
        // A password before a host looks like an e-mail address.
        let order = (span.kind == Kind::Phone, span.kind != Kind::UrlCredentials);
        (order, Reverse(span.proof), Reverse(length), span.kind, span.start)
    });
    let from = chosen.len();
    for span in chain.iter() {
        let taken = chosen.get(from..).unwrap_or_default();
        let place = taken.partition_point(|other| other.start < span.start);
        let before = place.checked_sub(1).and_then(|before| taken.get(before));
        let after = taken.get(place);
        if before.is_none_or(|before| before.end <= span.start) && after.is_none_or(|after| span.end <= after.start) {
            chosen.insert(from + place, span.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a detector finds, as text.
    pub(super) fn found(kind: Kind, path: &str, text: &str) -> Vec<String> {
        find(text.as_bytes(), Context::of(path.as_bytes()), [kind].into_iter().collect())
            .into_iter()
            .map(|span| text.get(span.start..span.end).unwrap().to_owned())
            .collect()
    }

    /// Each row: a text in which `«…»` marks what must be found.
    pub(super) fn check(kind: Kind, rows: &[&str]) {
        check_at(kind, "", rows);
    }

    pub(super) fn check_at(kind: Kind, path: &str, rows: &[&str]) {
        for row in rows {
            let text = row.replace(['«', '»'], "");
            let wanted: Vec<&str> =
                row.split('«').skip(1).filter_map(|rest| rest.split_once('»')).map(|(found, _)| found).collect();
            assert_eq!(found(kind, path, &text), wanted, "{kind:?} at `{path}` in: {row}");
        }
    }

    #[test]
    fn a_finding_that_is_proved_better_wins_and_telephone_numbers_yield() {
        let all = |text: &str| -> Vec<(Kind, String)> {
            find(text.as_bytes(), Context::NONE, Kinds::all())
                .into_iter()
                .map(|span| (span.kind, text.get(span.start..span.end).unwrap().to_owned()))
                .collect()
        };
        let one = |kind, text: &str| vec![(kind, text.to_owned())];
        assert_eq!(all("phone 4111 1111 1111 1111"), one(Kind::CreditCard, "4111 1111 1111 1111"));
        assert_eq!(all("call 219-45-6789"), one(Kind::UsSsn, "219-45-6789"));
        assert_eq!(all("tel DE89 3704 0044 0532 0130 00"), one(Kind::Iban, "DE89 3704 0044 0532 0130 00"));
        assert_eq!(all("phone 192.168.10.21"), one(Kind::IpAddress, "192.168.10.21"));
        assert_eq!(all("mail 4155550132@example.org"), one(Kind::Email, "4155550132@example.org"));
    }

    /// One finding a round was all that such a row gave: behind it the rest began anew.
    #[test]
    fn a_row_of_numbers_is_found_whole_at_once() {
        for unit in ["9-3", "-5-4", "-54", "2-6-", ".009", "/008", "/009", ".00"] {
            for kinds in [Kinds::all(), Kinds::NONE.with(Kind::CreditCard).with(Kind::Phone)] {
                let text = unit.repeat(600);
                let spans = find(text.as_bytes(), Context::NONE, kinds);
                let mut masked = String::new();
                let mut until = 0;
                for span in &spans {
                    masked += text.get(until..span.start).unwrap();
                    masked += "[x]";
                    until = span.end;
                }
                masked += text.get(until..).unwrap();
                let left = find(masked.as_bytes(), Context::NONE, kinds);
                assert!(spans.len() > 10 && left.is_empty(), "{unit}: {} and {}", spans.len(), left.len());
            }
        }
    }

    #[test]
    fn of_findings_that_overlap_all_is_covered_and_the_best_say_what_it_is() {
        let span = |start, end, proof| Span { start, end, kind: Kind::Email, proof, stretched: false };
        let more = |start, end, proof| Span { stretched: true, ..span(start, end, proof) };
        let mut spans = vec![
            span(8, 12, Proof::Form),
            span(0, 5, Proof::Form),
            span(4, 9, Proof::Valid),
            span(20, 22, Proof::Form),
            span(20, 23, Proof::Form),
            span(23, 25, Proof::Form),
        ];
        resolve(&mut spans);
        assert_eq!(spans, [more(0, 12, Proof::Valid), span(20, 23, Proof::Form), span(23, 25, Proof::Form)]);
        let mut chain: Vec<Span> = (0..5).map(|at| span(at * 4, at * 4 + 6, Proof::Form)).collect();
        resolve(&mut chain);
        assert_eq!(chain, [more(0, 8, Proof::Form), more(8, 16, Proof::Form), span(16, 22, Proof::Form)]);
    }

    proptest! {
        #[test]
        fn what_one_finding_covers_stays_covered(
            all in proptest::collection::vec((0..400_usize, 1..30_usize, 0..Kind::ALL.len(), 0..3_usize), 0..120)
        ) {
            let proofs = [Proof::Form, Proof::Context, Proof::Valid];
            let spans: Vec<Span> = all.into_iter().map(|(start, length, kind, proof)| {
                Span { start, end: start + length, kind: Kind::ALL[kind], proof: proofs[proof], stretched: false }
            }).collect();
            let mut resolved = spans.clone();
            resolve(&mut resolved);
            prop_assert!(resolved.iter().zip(resolved.iter().skip(1)).all(|(one, next)| one.end <= next.start));
            let covers = |spans: &[Span], at: usize| spans.iter().any(|span| (span.start..span.end).contains(&at));
            for at in 0..450 {
                prop_assert_eq!(covers(&spans, at), covers(&resolved, at));
            }
        }
    }
}
