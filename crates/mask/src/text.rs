//! Masks one string: a text body, or a string of a JSON body.

use super::detect::{Context, Finder, Span};
use super::finding::{self, Located};
use super::kind::{Kinds, What};
use super::masks::Masks;
use super::secret;
use super::unmaskable::Unmaskable;
use super::view::{self, Form, Undecodable};
use std::ops::Range;

/// Masks strings, one after the other, and keeps its buffers between them.
pub(super) struct Masker<'a> {
    pub(super) masks: &'a Masks,
    pub(super) secrets: &'a [&'a [u8]],
    /// Where nothing is to be masked, and only what is there is to be told, by [`Self::seen`]: the kinds to look for.
    pub(super) only_looks: Option<Kinds>,
    /// The most bytes that one string may become.
    pub(super) most: usize,
    finder: Finder,
    view: Vec<u8>,
    spans: Vec<Span>,
    /// What was found in the last round, sorted and apart.
    hits: Vec<(Range<usize>, What)>,
    /// Where those stand in the raw text.
    places: Vec<Range<usize>>,
    /// What the last round made of the text, and room for the next.
    masked: String,
    spare: String,
    /// Whether the last round replaced the whole text by one label.
    is_whole: bool,
    found: Vec<What>,
    /// Where the findings of the last string stood in it, if somebody wants to know.
    pub(super) located: Option<Vec<Located>>,
}

/// One round of masking.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// Whether the text is as it came.
    first: bool,
    /// How many bytes are taken along on both sides of a finding.
    reach: usize,
}

/// Why one string could not be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    Undecodable(Undecodable),
    Secret,
    Unsettled,
    /// It becomes longer than this.
    Grows(usize),
}

impl Undone {
    pub(super) fn at(self, at: usize) -> Unmaskable {
        match self {
            Self::Undecodable(Undecodable::Surrogate) => Unmaskable::LoneSurrogate { at },
            Self::Undecodable(Undecodable::Escape) => Unmaskable::Malformed { at },
            Self::Secret => Unmaskable::Secret,
            Self::Unsettled => Unmaskable::Unsettled { at },
            Self::Grows(most) => Unmaskable::Grows { most },
        }
    }
}

impl From<Undecodable> for Undone {
    fn from(why: Undecodable) -> Self {
        Self::Undecodable(why)
    }
}

impl<'a> Masker<'a> {
    /// How often a string is masked as its findings stand. What is left of a text can be a finding only then: a label brings a
    /// word closer to a number, or parts what stood together. Whose text has findings still was written to have them, and more is
    /// taken along with each from then on.
    const CALM: u32 = 3;
    /// How many bytes are taken along on both sides of a finding first, and how many times as many in each round from then on.
    const REACH: usize = 32;
    const GROWTH: usize = 16;

    pub(super) fn new(masks: &'a Masks, secrets: &'a [&'a [u8]], most: usize) -> Self {
        Self {
            masks,
            secrets,
            only_looks: None,
            most,
            finder: Finder::default(),
            view: Vec::new(),
            spans: Vec::new(),
            hits: Vec::new(),
            places: Vec::new(),
            masked: String::new(),
            spare: String::new(),
            is_whole: false,
            found: Vec::new(),
            located: None,
        }
    }

    /// The kinds found in the last string, one for each finding.
    pub(super) fn found(&self) -> &[What] {
        &self.found
    }

    /// Masks `raw`; whether there was something to mask. What comes out, which [`masked`](Self::masked) gives, has no finding.
    ///
    /// It ends, whatever stands in the text: what is taken along with each finding grows round by round, until the rest of the text
    /// is one finding, and what stands in its place is none, which is seen to when masks are read.
    pub(super) fn mask(&mut self, raw: &str, form: Form, context: Context) -> Result<bool, Undone> {
        self.found.clear();
        if let Some(located) = &mut self.located {
            located.clear();
        }
        if !self.round(raw, form, context, Round { first: true, reach: 0 })? {
            return Ok(false);
        }
        // A replacement can have escapes.
        let form = if form == Form::Bare { Form::Json } else { form };
        let mut round = Round { first: false, reach: 0 };
        for number in 1_u32.. {
            if number >= Self::CALM {
                round.reach = round.reach.saturating_mul(Self::GROWTH).max(Self::REACH);
            }
            let before = std::mem::replace(&mut self.masked, std::mem::take(&mut self.spare));
            let again = self.round(&before, form, context, round)?;
            self.spare = before;
            if !again {
                std::mem::swap(&mut self.masked, &mut self.spare);
                return Ok(true);
            }
            if self.is_whole {
                return Ok(true);
            }
        }
        Err(Undone::Unsettled)
    }

    /// What the detectors find in `text`, which is left as it is.
    pub(super) fn find(&mut self, text: &[u8], context: Context) -> Vec<Span> {
        self.finder.find_into(text, context, self.only_looks.unwrap_or(self.masks.kinds()), &mut self.spans);
        // Hardly a number has something in it, and an empty copy costs nothing.
        if self.only_looks.is_some() { Vec::new() } else { self.spans.clone() }
    }

    /// The kinds of all that was found in all strings, those of findings too that yielded to others.
    pub(super) const fn seen(&self) -> Kinds {
        self.finder.seen
    }

    /// What the last string with findings became.
    pub(super) fn masked(&self) -> &str {
        &self.masked
    }

    /// As [`masked`](Self::masked), to keep.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.masked)
    }

    /// Masks `raw` once, into `masked`; whether there was something to mask.
    fn round(&mut self, raw: &str, form: Form, context: Context, round: Round) -> Result<bool, Undone> {
        let Round { first, reach } = round;
        let plain = view::is_plain(raw, form);
        let view = if plain {
            raw.as_bytes()
        } else {
            view::decode(raw, form, &mut self.view)?;
            if first && secret::stands_in(self.secrets, &self.view) {
                return Err(Undone::Secret);
            }
            &self.view
        };
        self.finder.find_into(view, context, self.only_looks.unwrap_or(self.masks.kinds()), &mut self.spans);
        if self.only_looks.is_some() {
            return Ok(false);
        }
        self.hits.clear();
        self.hits.extend(self.spans.iter().map(|span| (span.start..span.end, What::Kind(span.kind))));
        if self.masks.has_patterns() {
            self.masks.find_patterns(view, context, &mut self.hits);
            merge(&mut self.hits, self.masks);
        }
        if self.hits.is_empty() {
            return Ok(false);
        }
        if reach > 0 {
            widen(&mut self.hits, view, reach);
            merge(&mut self.hits, self.masks);
        }
        self.is_whole = matches!(self.hits.as_slice(), [(range, _)] if *range == (0..view.len()));
        self.places.clear();
        self.places.extend(self.hits.iter().map(|(range, _)| range.clone()));
        if !plain {
            self.places = view::locate(raw, form, &self.places)?;
        }
        self.found.extend(self.hits.iter().map(|(_, what)| what.clone()));
        if let (true, Some(located)) = (first, &mut self.located) {
            let all = self.places.iter().zip(&self.hits);
            located.extend(all.map(|(raw, (range, what))| Located {
                raw: raw.clone(),
                what: what.clone(),
                proof: finding::proof(self.masks, &self.spans, what, range),
            }));
        }
        self.replace(raw, form, plain, reach == 0)?;
        Ok(true)
    }

    /// Whether one of the last findings takes the whole value along.
    pub(super) fn drops(&self) -> bool {
        self.found.iter().any(|what| self.masks.replacement(what).is_none_or(|replacement| replacement.drops))
    }

    /// Puts replacements in the place of the last findings. What they keep of a value they take from the view of it, unless more
    /// than the value is replaced.
    fn replace(&mut self, raw: &str, form: Form, plain: bool, keeps: bool) -> Result<(), Undone> {
        let view = if plain { raw.as_bytes() } else { &self.view };
        let masked = &mut self.masked;
        masked.clear();
        masked.reserve(raw.len());
        let mut copied = 0;
        // Both stand in order.
        let mut spans = self.spans.iter().peekable();
        for (place, (seen, what)) in self.places.iter().zip(&self.hits) {
            // A place that is cut wrongly must not leave anything behind, so it fails.
            masked.push_str(raw.get(copied..place.start).ok_or(Undone::Unsettled)?);
            let replacement = self.masks.replacement(what).ok_or(Undone::Unsettled)?;
            let value = view.get(seen.clone()).unwrap_or_default();
            while spans.next_if(|span| span.start < seen.start).is_some() {}
            let stretched = spans.peek().is_some_and(|span| span.start == seen.start && span.stretched);
            if keeps && !stretched {
                replacement.write(value, form, masked);
            } else {
                replacement.write_instead(value, form, masked);
            }
            copied = place.end;
            if masked.len() > self.most {
                return Err(Undone::Grows(self.most));
            }
        }
        masked.push_str(raw.get(copied..).ok_or(Undone::Unsettled)?);
        if masked.len() > self.most {
            return Err(Undone::Grows(self.most));
        }
        if self.places.len() == self.hits.len() { Ok(()) } else { Err(Undone::Unsettled) }
    }
}

/// Takes `reach` bytes of `text` along on both sides of each finding.
fn widen(hits: &mut [(Range<usize>, What)], text: &[u8], reach: usize) {
    let inside = |at: usize| text.get(at).is_some_and(|byte| (0x80..0xc0).contains(byte));
    for (range, _) in hits {
        range.start = range.start.saturating_sub(reach);
        range.end = range.end.saturating_add(reach).min(text.len());
        while inside(range.start) {
            range.start -= 1;
        }
        while inside(range.end) {
            range.end += 1;
        }
    }
}

/// Sorts findings; of those that overlap one is made over all of them, replaced by what gives away least.
pub(super) fn merge(hits: &mut Vec<(Range<usize>, What)>, masks: &Masks) {
    let reveals = |what: &What| masks.replacement(what).map_or(0, |replacement| replacement.reveals());
    hits.sort_by(|(one, _), (other, _)| one.start.cmp(&other.start).then(other.end.cmp(&one.end)));
    hits.dedup_by(|(next, next_what), (before, what)| {
        let overlap = next.start < before.end;
        if overlap {
            before.end = before.end.max(next.end);
            if (reveals(next_what), &*next_what) < (reveals(what), &*what) {
                *what = next_what.clone();
            }
        }
        overlap
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Rule, mask_text};
    use proptest::prelude::*;

    fn everything() -> Masks {
        let rule = Rule::detecting(Kind::ALL, "[{kind}]");
        Masks::compile(&[("all", &rule)]).unwrap()
    }

    fn masked(text: &str) -> String {
        let masked = mask_text(text.as_bytes(), &everything(), &[]).unwrap();
        masked.body().map_or(text.to_owned(), |body| String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn findings_are_replaced_and_the_rest_stays() {
        for (text, wanted) in [
            ("write to ann@example.org or +49 30 901820.", "write to [email] or [phone]."),
            ("card ４１１１ １１１１ １１１１ １１１１!", "card [credit_card]!"),
            ("a\u{200b}nn＠example．org", "[email]"),
            ("nothing “here” 日本", "nothing “here” 日本"),
            ("x ann@example.org\u{200b} y", "x [email]\u{200b} y"),
            (r"C:\u0041 ann@example.org", r"C:\u0041 [email]"),
        ] {
            assert_eq!(masked(text), wanted);
        }
    }

    #[test]
    fn of_what_is_taken_along_with_a_finding_nothing_is_kept() {
        let (cards, numbers) =
            (Rule::detecting(&[Kind::CreditCard], "<{last:4}>"), Rule::detecting(&[Kind::UsSsn], "[x]"));
        let (mails, phones) = (Rule::detecting(&[Kind::Email], "***@{domain}"), Rule::detecting(&[Kind::Phone], "[y]"));
        let masks = Masks::compile(&[("a", &cards), ("b", &numbers), ("c", &mails), ("d", &phones)]).unwrap();
        for (text, wanted) in [
            ("4111 1111 1111 1111", "<1111>"),
            ("ann@example.org", "***@example.org"),
            ("+49 4111 1111 1111 1111", "<>"),
            ("536-22-8726-ann@example.org", "***@example.org"),
            ("ann@example.org+bob@example.com", "***@"),
        ] {
            let masked = mask_text(text.as_bytes(), &masks, &[]).unwrap();
            assert_eq!(std::str::from_utf8(masked.body().unwrap()).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn findings_are_counted_by_kind_without_places() {
        let text = b"a@example.org, b@example.org, 4111111111111111";
        let masked = mask_text(text, &everything(), &[]).unwrap();
        let counts: Vec<_> =
            masked.found().iter().map(|found| (found.kind.clone(), found.count, found.pointers.len())).collect();
        assert_eq!(counts, [(Kind::CreditCard.into(), 1, 0), (Kind::Email.into(), 2, 0)]);
    }

    #[test]
    fn own_patterns_are_found_beside_kinds_and_overlaps_are_masked_whole() {
        let pattern = |regex: &str| crate::Pattern { regex: regex.to_owned(), check: None, context: Vec::new() };
        let patterns = [("badge", pattern(r"\bB-\d{4}\b")), ("host", pattern(r"[a-z]{1,9}@\w{2,9}\.corp"))];
        let patterns = patterns.into_iter().map(|(name, pattern)| (name.to_owned(), pattern)).collect();
        let rule = Rule { patterns, ..Rule::detecting(&[Kind::Email], "[{kind}]") };
        let masks = Masks::compile(&[("m", &rule)]).unwrap();
        let masked = |text: &str| {
            let masked = mask_text(text.as_bytes(), &masks, &[]).unwrap();
            let told: Vec<_> = masked.found().iter().map(|one| (one.kind.name().to_owned(), one.count)).collect();
            (String::from_utf8(masked.body().unwrap_or(text.as_bytes()).to_vec()).unwrap(), told)
        };
        let (text, told) =
            masked("ann@example.org wears \u{ff22}-\u{ff11}234 or B-1234, not B-12345; root@db1.corp.example.org");
        assert_eq!(text, "[email] wears [custom_badge] or [custom_badge], not B-12345; [email]");
        assert_eq!(told, [("email".to_owned(), 2), ("custom_badge".to_owned(), 2)]);
        assert_eq!(masked("x@y9.corp9").0, "[custom_host]9");
    }

    fn badges(context: &[&str], replace: &str) -> Masks {
        let context = context.iter().map(|word| (*word).to_owned()).collect();
        let pattern = crate::Pattern { regex: r"\b[A-Z]{3}-\d{3}\b".to_owned(), check: None, context };
        let rule = Rule { patterns: [("badge".to_owned(), pattern)].into(), ..Rule::detecting(&[], replace) };
        Masks::compile(&[("m", &rule)]).unwrap()
    }

    #[test]
    fn own_patterns_that_ask_for_words_match_only_behind_one() {
        let masks = badges(&["badge", "ausweis"], "[{kind}]");
        for (text, wanted) in [
            ("badge EMP-123", "badge [custom_badge]"),
            ("BADGE: EMP-123, EMP-124 and EMP-125", "BADGE: [custom_badge], [custom_badge] and [custom_badge]"),
            ("userBadge=EMP-123", "userBadge=[custom_badge]"),
            ("employee_badge_no EMP-123", "employee_badge_no [custom_badge]"),
            ("Ausweis-Nr. \u{ff25}MP-123", "Ausweis-Nr. [custom_badge]"),
            ("EMP-123", "EMP-123"),
            ("badges EMP-123", "badges EMP-123"),
            ("EMP-123 is a badge", "EMP-123 is a badge"),
            ("[badge] EMP-123", "[badge] EMP-123"),
            (
                "badge, that is what they all wear from then on: EMP-123",
                "badge, that is what they all wear from then on: EMP-123",
            ),
            (
                "EMP-123 badge EMP-124 but not as far behind it as EMP-125",
                "EMP-123 badge [custom_badge] but not as far behind it as EMP-125",
            ),
            // A match without a word hides none that has one.
            ("ABC-123-badge-ABC-124", "ABC-123-badge-[custom_badge]"),
        ] {
            let masked = mask_text(text.as_bytes(), &masks, &[]).unwrap();
            assert_eq!(masked.body().map_or(text, |body| std::str::from_utf8(body).unwrap()), wanted);
        }
        let list = "badge ".to_owned() + &"EMP-123, ".repeat(500);
        for replace in ["[{kind}]", "", "x"] {
            let masked = mask_text(list.as_bytes(), &badges(&["badge"], replace), &[]).unwrap();
            assert_eq!(masked.found()[0].count, 500, "{replace}");
        }
    }

    #[test]
    fn a_replacement_may_not_be_a_word_that_a_pattern_asks_for() {
        let compiled = |replace: &str| {
            let pattern =
                crate::Pattern { regex: "EMP-[0-9]{3}".to_owned(), check: None, context: vec!["badge".to_owned()] };
            let rule =
                Rule { patterns: [("b".to_owned(), pattern)].into(), ..Rule::detecting(&[Kind::Email], replace) };
            Masks::compile(&[("m", &rule)]).map(|_| ())
        };
        assert!(matches!(compiled("a badge"), Err(crate::Refused::UnusableLabel { .. })));
        assert_eq!(compiled("[badge]"), Ok(()));
        assert_eq!(compiled("gone"), Ok(()));
    }

    #[test]
    fn patterns_that_would_find_labels_or_differ_by_mask_are_refused() {
        let rule = |name: &str, regex: &str, replace: &str| {
            let pattern = crate::Pattern { regex: regex.to_owned(), check: None, context: Vec::new() };
            Rule { patterns: [(name.to_owned(), pattern)].into(), ..Rule::detecting(&[], replace) }
        };
        assert!(Masks::compile(&[("m", &rule("a", r"\[\w{3,20}\]", "[{kind}]"))]).is_err());
        assert!(Masks::compile(&[("m", &rule("a", r"\[\w{3,20}\]", "({kind})"))]).is_ok());
        assert!(Masks::compile(&[("m", &rule("a", "[a-z]{3}", "x"))]).is_err());
        assert!(Masks::compile(&[("m", &rule("A", "AB-1", "x"))]).is_err());
        assert!(Masks::compile(&[("m", &rule("a", "AB-1", "x")), ("n", &rule("a", "AB-1", "y"))]).is_ok());
        assert!(Masks::compile(&[("m", &rule("a", "AB-1", "x")), ("n", &rule("a", "AB-2", "y"))]).is_err());
        let many: Vec<_> = (0..17).map(|at| (format!("m{at}"), rule(&format!("p{at}"), "AB-1", "x"))).collect();
        let many: Vec<_> = many.iter().map(|(name, rule)| (name.as_str(), rule)).collect();
        assert!(Masks::compile(many.get(..16).unwrap()).is_ok() && Masks::compile(&many).is_err());
    }

    #[test]
    fn what_cannot_be_masked_does_not_leave() {
        assert_eq!(mask_text(b"ab\xff", &everything(), &[]), Err(Unmaskable::NotUtf8 { at: 2 }));
        assert_eq!(mask_text(b"key sk-123.", &everything(), &[b"sk-123"]), Err(Unmaskable::Secret));
        let hidden = "key s\u{200b}k-123.";
        assert_eq!(mask_text(hidden.as_bytes(), &everything(), &[b"sk-123"]), Err(Unmaskable::Secret));
    }

    #[test]
    fn a_list_of_numbers_after_one_word_settles() {
        let list = "tel ".to_owned() + &"12345678, ".repeat(500);
        assert_eq!(masked(&list), "tel ".to_owned() + &"[phone], ".repeat(500));
    }

    /// Texts in which windows overlap, labels part what stood together, or words come closer by each round.
    const CHAINS: &[&str] = &[
        ".3012",
        "eyJaaaaaaaaaaaaaaaa.b.",
        "1 ",
        "12-",
        "a@b.de@",
        "::a",
        "219-45-6789 ",
        "12 30",
        " 4150",
        "4111 ",
        "41 11 ",
        ":",
        "1:f:",
        "12/12/",
        "1.1.1.1 ",
        "12.",
        "00:1A:2B:3C:4D:5E:",
        "a@b.de+",
        "+1 ",
        "555-0132 ",
        "%40",
        "https://a:b@",
        "219456789 ",
    ];

    #[test]
    fn no_chain_of_findings_is_too_long_to_settle() {
        for replace in ["[{kind}]", "", "x", "{same_length}", "\u{ad}"] {
            let masks = Masks::compile(&[("all", &Rule::detecting(Kind::ALL, replace))]).unwrap();
            for head in ["", "ssn ", "phone: "] {
                for unit in CHAINS {
                    for count in [40, 700] {
                        let text = head.to_owned() + &unit.repeat(count);
                        let once = mask_text(text.as_bytes(), &masks, &[]).unwrap();
                        let once = once.body().unwrap_or(text.as_bytes());
                        let twice = mask_text(once, &masks, &[]).unwrap();
                        assert_eq!(twice.body(), None, "{head}{unit} by {count} as {replace:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn words_that_come_closer_round_by_round_settle() {
        // Each number that goes brings the next one near the word.
        let text = "ssn".to_owned() + &" and then 219456789".repeat(1000);
        for replace in ["", "x"] {
            let masks = Masks::compile(&[("all", &Rule::detecting(&[Kind::UsSsn], replace))]).unwrap();
            let once = mask_text(text.as_bytes(), &masks, &[]).unwrap();
            assert_eq!(mask_text(once.body().unwrap(), &masks, &[]).unwrap().body(), None, "{replace:?}");
        }
    }

    #[test]
    fn chains_of_tokens_and_rows_of_digits_settle() {
        for text in ["eyJaaaaaaaaaaaaaaaa.b.", "1 ", "12-", "a@b.de@", "::a", "219-45-6789 "] {
            let text = text.repeat(300);
            assert!(mask_text(text.as_bytes(), &everything(), &[]).is_ok(), "{text}");
        }
    }

    #[test]
    fn parts_and_pseudonyms_are_taken_from_what_is_seen_and_settle() {
        let masked = |replace: &str, text: &str| {
            let rule = Rule::detecting(&[Kind::CreditCard, Kind::Phone], replace);
            let masks = Masks::compile_with_keys(&[("m", &rule)], &[("k", &[9; 32])]).unwrap();
            let masked = mask_text(text.as_bytes(), &masks, &[]).unwrap();
            let body = masked.body().unwrap();
            assert_eq!(mask_text(body, &masks, &[]).unwrap().body(), None);
            String::from_utf8(body.to_vec()).unwrap()
        };
        assert_eq!(masked("****{last:4}", "x ４１１１ 1111 1111 1111 y"), "x ****1111 y");
        assert_eq!(masked("{same_length}", "tel 12345678, 12345678"), "tel ********, ********");
        let once = masked("[{pseudonym:k}]", "４１１１111111111111 or 4111-1111-1111-1111");
        let (one, other) = once.split_once(" or ").unwrap();
        assert_eq!(one, other);
    }

    proptest! {
        #[test]
        fn masking_twice_is_masking_once(text in "([0-9]{1,6}|[ .@:+()-]|tel|card|ssn|ip|x|a\\.de|\u{200b}|４){0,40}") {
            let masks = everything();
            if let Ok(once) = mask_text(text.as_bytes(), &masks, &[]) {
                let once = once.body().unwrap_or(text.as_bytes()).to_vec();
                let twice = mask_text(&once, &masks, &[]).unwrap();
                prop_assert_eq!(twice.body(), None);
                prop_assert!(twice.found().is_empty());
            }
        }

        #[test]
        fn patterns_that_ask_for_words_leave_nothing_to_find(
            text in "(EMP-123|badge|BADGE_|[a-z ,-]{1,6}|Badge){0,24}", replace in "(\\[\\{kind\\}\\]||x|\\{same_length\\})",
        ) {
            let masks = badges(&["badge"], &replace);
            if let Ok(once) = mask_text(text.as_bytes(), &masks, &[]) {
                let once = once.body().unwrap_or(text.as_bytes()).to_vec();
                let twice = mask_text(&once, &masks, &[]).unwrap();
                prop_assert!(twice.found().is_empty(), "{}", String::from_utf8_lossy(&once));
            }
        }

        #[test]
        fn nothing_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = mask_text(&body, &everything(), &[b"x"]);
        }
    }
}
