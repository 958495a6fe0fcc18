//! Looks for all terms of a bundle at once: one automaton (Aho and Corasick, 1975) over folded text, so that what it costs does not
//! depend on how many rules have terms, or how many they have.

use crate::escapes;
use crate::fold::{self, By};
use crate::mask::Kind;
use std::collections::{BTreeSet, VecDeque};

/// A match that goes over the end of a string into the next one of the same document counts for terms of this many letters: of
/// shorter ones, two words that stand next to each other by chance make up too many.
const JOINED: usize = 5;

/// All terms of a bundle.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// As they are asked for, ascending.
    terms: Vec<String>,
    /// Over text folded by its looks, for every term.
    looks: Automaton,
    /// Over text folded by its letters: for the terms that are not Latin, whose letters do not look alike in both cases.
    letters: Automaton,
}

impl Terms {
    pub(super) fn new<'t>(terms: impl Iterator<Item = &'t str>) -> Self {
        let terms: Vec<String> = terms.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect();
        let (mut looks, mut letters) = (Automaton::default(), Automaton::default());
        for (number, term) in terms.iter().enumerate() {
            looks.add(&fold::text(term, By::Looks), number);
            let spelt = fold::text(term, By::Letters);
            // Latin is found by its looks already.
            if !spelt.is_ascii() {
                letters.add(&spelt, number);
            }
        }
        looks.link();
        letters.link();
        Self { terms, looks, letters }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether two terms are written differently at most.
    pub(super) fn are_one(one: &str, other: &str) -> bool {
        fold::text(one, By::Letters) == fold::text(other, By::Letters)
    }

    /// Whether `term` can be told at all: a term that folds to hardly anything would be found everywhere, or nowhere.
    pub(super) fn can_be(term: &str) -> bool {
        let folded = |by| fold::text(term, by).trim().chars().count();
        folded(By::Letters) >= 2 && folded(By::Looks) >= 2
    }
}

/// A search for all terms of a bundle in the texts of one call.
#[derive(Debug)]
pub(crate) struct Search<'t> {
    terms: &'t Terms,
    found: Vec<bool>,
    /// How far each automaton has come in this document.
    looks: usize,
    letters: usize,
}

impl<'t> Search<'t> {
    pub(crate) fn new(terms: &'t Terms) -> Self {
        let found = vec![false; terms.terms.len()];
        Self { terms, found, looks: 0, letters: 0 }
    }

    /// Begins another document.
    pub(crate) fn apart(&mut self) {
        (self.looks, self.letters) = (0, 0);
    }

    /// Looks through a text. `joined`: it goes on from the one before, as strings of one document do.
    pub(crate) fn text(&mut self, text: &str, joined: bool) {
        if self.terms.is_empty() {
            return;
        }
        let before = (self.looks, self.letters);
        (self.looks, self.letters) = if joined { before } else { (0, 0) };
        self.read(text);
        let after = (self.looks, self.letters);
        // Who takes a text for JSON reads its escapes; who reads them twice has to be met too.
        // What tags stand for is read by programs alone.
        if let Some(text) = fold::tagged(text) {
            (self.looks, self.letters) = if joined { before } else { (0, 0) };
            self.read(&text);
        }
        // Who takes a text for JSON, a link or HTML reads its escapes; who reads them twice has to be met too. Each time takes all that
        // stand in it, however many `\` are before them, so a second time is needed only where an escape hides an escape.
        let mut resolved = escapes::resolved(text);
        for _ in 0..escapes::MOST_TIMES {
            let Some(text) = resolved else { break };
            (self.looks, self.letters) = if joined { before } else { (0, 0) };
            self.read(&text);
            resolved = escapes::resolved(&text);
        }
        if resolved.is_some() {
            // Nobody writes so but to hide something.
            self.found.fill(true);
        }
        (self.looks, self.letters) = if joined { after } else { before };
    }

    /// Whether a term was found; None: it is none of those that were looked for.
    pub(crate) fn has(&self, term: &str) -> Option<bool> {
        let at = self.terms.terms.binary_search_by(|one| one.as_str().cmp(term)).ok()?;
        self.found.get(at).copied()
    }

    fn read(&mut self, text: &str) {
        let (terms, found) = (self.terms, &mut self.found);
        terms.looks.read(text, By::Looks, &mut self.looks, found);
        if !terms.letters.is_empty() {
            terms.letters.read(text, By::Letters, &mut self.letters, found);
        }
    }
}

/// Nodes are beginnings of terms; node 0 is the empty one.
#[derive(Debug, Default)]
struct Automaton {
    nodes: Vec<Node>,
    /// Where each ASCII character leads to from the start: most text never leaves it.
    start: Vec<u32>,
}

#[derive(Debug, Default)]
struct Node {
    next: Vec<(char, u32)>,
    /// The longest other node that ends alike.
    back: u32,
    /// The terms that end here, and the next node on the way back where some do.
    ends: Vec<u32>,
    more: u32,
    length: usize,
}

impl Automaton {
    fn is_empty(&self) -> bool {
        self.nodes.len() < 2
    }

    fn add(&mut self, term: &str, number: usize) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for (length, letter) in term.trim().chars().enumerate() {
            at = match self.step(at, letter) {
                Some(next) => next,
                None => {
                    let next = self.nodes.len();
                    if let (Some(node), Ok(next)) = (self.nodes.get_mut(at), u32::try_from(next)) {
                        let place = node.next.partition_point(|(one, _)| *one < letter);
                        node.next.insert(place, (letter, next));
                    }
                    self.nodes.push(Node { length: length + 1, ..Node::default() });
                    next
                }
            };
        }
        if let (Some(node), Ok(number)) = (self.nodes.get_mut(at), u32::try_from(number)) {
            node.ends.push(number);
        }
    }

    fn step(&self, at: usize, letter: char) -> Option<usize> {
        let next = &self.nodes.get(at)?.next;
        let place = next.binary_search_by_key(&letter, |(one, _)| *one).ok()?;
        next.get(place).map(|(_, next)| *next as usize)
    }

    /// Where a letter leads to: to a longer beginning, or to the longest that ends alike.
    fn go(&self, mut at: usize, letter: char) -> usize {
        loop {
            match self.step(at, letter) {
                Some(next) => return next,
                None if at == 0 => return 0,
                None => at = self.nodes.get(at).map_or(0, |node| node.back as usize),
            }
        }
    }

    /// Finds for each node the longest other one that ends alike, the short ones first.
    fn link(&mut self) {
        let mut queue: VecDeque<usize> = VecDeque::from([0]);
        while let Some(at) = queue.pop_front() {
            let (next, back) =
                self.nodes.get(at).map(|node| (node.next.clone(), node.back as usize)).unwrap_or_default();
            for (letter, next) in next {
                let next = next as usize;
                let back = if at == 0 { 0 } else { self.go(back, letter) };
                let more =
                    self.nodes.get(back).map_or(0, |node| if node.ends.is_empty() { node.more as usize } else { back });
                if let (Some(node), Ok(back), Ok(more)) =
                    (self.nodes.get_mut(next), u32::try_from(back), u32::try_from(more))
                {
                    (node.back, node.more) = (back, more);
                }
                queue.push_back(next);
            }
        }
        let start = |byte: u8| self.step(0, byte.into()).and_then(|next| u32::try_from(next).ok()).unwrap_or(0);
        self.start = (0..128).map(start).collect();
    }

    /// Goes on from `state`, which is in the string before.
    fn read(&self, text: &str, by: By, state: &mut usize, found: &mut [bool]) {
        let mut since = 0_usize;
        fold::each(text, by, |letter| {
            since += 1;
            *state = match self.start.get(letter as usize) {
                Some(next) if *state == 0 => *next as usize,
                _ => self.go(*state, letter),
            };
            let mut end = *state;
            while let Some(node) = self.nodes.get(end).filter(|_| end > 0) {
                if node.length <= since || node.length >= JOINED {
                    for number in &node.ends {
                        if let Some(found) = found.get_mut(*number as usize) {
                            *found = true;
                        }
                    }
                }
                end = node.more as usize;
            }
        });
    }
}

/// What a bundle wants to know of the texts of calls: of all its rules together, so that one look tells it.
#[derive(Debug, Default)]
pub(crate) struct Sought {
    /// The kinds of personal data.
    pub(crate) kinds: BTreeSet<Kind>,
    /// The terms.
    pub(crate) terms: Terms,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(terms: &[&str], texts: &[&str]) -> Vec<String> {
        let sought = Terms::new(terms.iter().copied());
        let mut search = Search::new(&sought);
        texts.iter().for_each(|text| search.text(text, true));
        terms.iter().filter(|term| search.has(term).unwrap()).map(|term| (*term).to_owned()).collect()
    }

    #[test]
    fn a_term_is_found_however_it_is_written() {
        for text in [
            "the Merger talks",
            "emergers",
            "MER\u{200b}GER",
            "m\u{ad}erger",
            "ｍｅｒｇｅｒ",
            "𝓶𝓮𝓻𝓰𝓮𝓻",
            "me\u{301}rger",
            "mеrgеr",
            r#"{"a":"mer\u0067er"}"#,
            r#"{\"a\":\"mer\\u0067er\"}"#,
            r"mer\u005cu0067er",
            r"\uff4derger",
            &format!("{}u0067er", r"mer\u005c"),
            "mer%67er",
            "mer%2567er",
            "mer&#103;er",
            "mer&amp;#x67;er",
            "\u{e006d}\u{e0065}\u{e0072}\u{e0067}\u{e0065}\u{e0072}",
            "me\u{2800}r\u{3164}g\u{115f}er",
        ] {
            assert_eq!(found(&["merger", "x1"], &[text]), ["merger"], "{text}");
        }
        let hiding = format!(r"\{}", "u005c".repeat(9));
        assert_eq!(found(&["merger", "x1"], &[&hiding]), ["merger", "x1"], "nobody knows what is behind it");
        for text in ["merge r", "mer", "m-erger", "nerger", "verger"] {
            assert_eq!(found(&["merger"], &[text]), [""; 0], "{text}");
        }
    }

    #[test]
    fn terms_are_folded_as_texts_are() {
        for (term, text) in [
            ("ＭＥＲＧＥＲ", "merger"),
            ("Übernahme", "ubernahme"),
            ("Übernahme", "U\u{308}BERNAHME"),
            ("слияние", "СЛИЯНИЕ"),
            ("ΝΗΣΟΣ", "ο νήσος"),
            ("νήσος", "ΝΗΣΟΣ"),
            ("project  falcon", "Project\n\u{a0}Falcon"),
            ("합병", "\u{1112}\u{1161}\u{11b8}\u{1107}\u{1167}\u{11bc}"),
        ] {
            assert_eq!(found(&[term], &[text]), [term], "{text}");
        }
        for (term, is_one) in
            [("hr", true), ("h\u{200b}r", true), ("h\u{200b}\u{200b}", false), ("\u{ad}\u{ad}\u{ad}", false)]
        {
            assert_eq!(Terms::can_be(term), is_one, "{term:?}");
        }
    }

    #[test]
    fn terms_within_terms_are_all_found() {
        let terms = ["he", "she", "his", "hers", "her", "ers"];
        assert_eq!(found(&terms, &["ushers"]), ["he", "she", "hers", "her", "ers"]);
        assert_eq!(found(&terms, &["shi s"]), [""; 0]);
        assert_eq!(found(&[], &["ushers"]), [""; 0]);
    }

    #[test]
    fn long_terms_are_found_in_two_strings_of_a_document_and_short_ones_are_not() {
        assert_eq!(found(&["merger", "hr"], &["the mer", "ger and h", "r"]), ["merger"]);
        assert_eq!(found(&["merger"], &["m", "e", "r", "g", "e", "r"]), ["merger"]);
        let sought = Terms::new(["merger"].into_iter());
        let mut search = Search::new(&sought);
        search.text("mer", true);
        search.apart();
        search.text("ger", true);
        search.text("mer", false);
        search.text("ger", false);
        assert_eq!(search.has("merger"), Some(false), "they are two documents");
        assert_eq!(search.has("another"), None);
    }

    proptest! {
        /// All at once finds what looking for each finds.
        #[test]
        fn one_automaton_finds_what_a_search_for_each_term_finds(
            terms in proptest::collection::vec("[abαη]{2,4}", 0..6),
            text in "[abABαηΗ\u{200b}]{0,20}",
        ) {
            let sought = Terms::new(terms.iter().map(String::as_str));
            let mut search = Search::new(&sought);
            search.text(&text, false);
            for term in &terms {
                let stands = |by| fold::text(&text, by).contains(&fold::text(term, by));
                prop_assert_eq!(search.has(term), Some(stands(By::Looks) || stands(By::Letters)), "{}", term);
            }
        }
    }
}
