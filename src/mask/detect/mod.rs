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
use std::collections::BTreeMap;

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
        self.seen = spans.iter().fold(self.seen, |seen, span| seen.with(span.kind));
        resolve(spans);
    }
}

/// Of findings that overlap, keeps the one that is proved best, then the longest, then by the order of kinds. Telephone numbers
/// yield to everything: their form fits most other numbers.
#[inline(never)]
fn resolve(spans: &mut Vec<Span>) {
    spans.sort_unstable_by_key(|span| (span.start, span.end, span.kind, Reverse(span.proof)));
    if spans.iter().zip(spans.iter().skip(1)).all(|(span, next)| span.end <= next.start) {
        return;
    }
    let mut resolved = Vec::with_capacity(spans.len());
    let mut rest = spans.as_mut_slice();
    while let Some(first) = rest.first() {
        // As many as hang together by overlaps.
        let mut until = first.end;
        let chain = rest.iter().take_while(|span| {
            let hangs = span.start < until || span.end == until;
            until = until.max(span.end);
            hangs
        });
        let count = chain.count().max(1);
        let Some((chain, more)) = rest.split_at_mut_checked(count) else { break };
        choose(chain, &mut resolved);
        rest = more;
    }
    *spans = resolved;
}

/// Appends the best of `chain` that do not overlap, in order.
fn choose(chain: &mut [Span], chosen: &mut Vec<Span>) {
    if let [alone] = chain {
        chosen.push(alone.clone());
        return;
    }
    chain.sort_by_key(|span| {
        let length = span.end - span.start;
        (span.kind == Kind::Phone, Reverse(span.proof), Reverse(length), span.kind, span.start)
    });
    let mut taken: BTreeMap<usize, &Span> = BTreeMap::new();
    for span in chain.iter() {
        let before = taken.range(..=span.start).next_back();
        let after = taken.range(span.start..).next();
        if before.is_none_or(|(_, before)| before.end <= span.start)
            && after.is_none_or(|(start, _)| span.end <= *start)
        {
            taken.insert(span.start, span);
        }
    }
    chosen.extend(taken.into_values().cloned());
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn resolving_keeps_the_best_of_a_chain_and_all_that_stand_apart() {
        let span = |start, end, proof| Span { start, end, kind: Kind::Email, proof };
        let mut spans = vec![
            span(8, 12, Proof::Form),
            span(0, 5, Proof::Form),
            span(4, 9, Proof::Valid),
            span(20, 22, Proof::Form),
            span(20, 23, Proof::Form),
        ];
        resolve(&mut spans);
        assert_eq!(spans, [span(4, 9, Proof::Valid), span(20, 23, Proof::Form)]);
    }
}
