//! Operators' own patterns: a small kind of regular expression that can only cost linear time.
//!
//! What matches is bounded, 64 characters at most, so a pattern becomes an automaton whose states are the bits of one word
//! (Glushkov's construction). Every match has to contain something rare at a known distance from its begin: a word of three
//! characters or more, or a digit, capital letter or sign. The scan looks for that alone, in SIMD registers, and runs the automaton
//! only around it.

use super::bytes;
use super::detect;
use super::secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// A pattern as a mask of the bundle writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// The expression: characters, classes (`[A-Z0-9]`, `\d`, `\w`, `\s`), groups, `|`, `?`, `{n}`, `{n,m}`, `\b` at either end,
    /// and `(?i)` in front.
    pub regex: String,
    /// What the match's digits must satisfy as well.
    #[serde(default)]
    pub check: Option<Check>,
    /// Words of which one has to stand in the forty bytes before a match, or in one of the two nearest names on the way to it; the
    /// case of ASCII letters does not count, and names are read word by word (`badgeNumber`, `badge_no`). In a list of matches the
    /// first needs it. Without any a match needs none.
    #[serde(default)]
    pub context: Vec<String>,
}

/// A check over the digits of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// ISO/IEC 7812-1, annex B.
    Luhn,
    /// Verhoeff's, as in Aadhaar numbers.
    Verhoeff,
}

/// Why an expression is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPattern {
    /// It is no expression, from this byte on.
    Syntax(usize),
    /// It has something that is not understood here: an escape, a flag, an assertion, a `.`.
    Unknown(usize),
    /// A repetition has no end.
    Unbounded(usize),
    /// Matches can be longer than 64 bytes.
    Long,
    /// Matches can be shorter than three bytes.
    Short,
    /// No match need contain anything rare.
    Common,
}

impl fmt::Display for NoPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(at) => write!(out, "it is no expression from character {at} on"),
            Self::Unknown(at) => write!(
                out,
                "character {at} is not understood: write characters, classes such as `[A-Z0-9]`, `\\d`, `\\w`, `\\s`, groups, `|`, \
                 `?`, `{{n,m}}`, `\\b` at either end, and `(?i)` in front; escape signs with `\\`"
            ),
            Self::Unbounded(at) => write!(out, "the repetition at character {at} has no end: write `{{1,20}}` or the like"),
            Self::Long => out.write_str("a match can be longer than 64 bytes"),
            Self::Short => out.write_str("a match can be shorter than three bytes"),
            Self::Common => out.write_str(
                "a match need not contain anything rare: put three characters in a row, or a digit, capital letter or sign, outside of \
                 `|`, `?` and `{0,…}`",
            ),
        }
    }
}

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Set([u64; 4]);

impl Set {
    fn of(bytes: impl IntoIterator<Item = u8>) -> Self {
        bytes.into_iter().fold(Self::default(), |mut set, byte| {
            set.add(byte);
            set
        })
    }

    fn add(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word & (1 << (byte & 63)) != 0)
    }

    fn or(self, other: Self) -> Self {
        Self::of((0..=255).filter(|byte| self.has(*byte) || other.has(*byte)))
    }

    fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=255).filter(|byte| self.has(*byte))
    }

    /// Letters in either case where one is there.
    fn folded(self) -> Self {
        Self::of(self.bytes().flat_map(|byte| [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]))
    }

    /// What can be seen of ASCII and is not in the set.
    fn inverted(self) -> Self {
        Self::of((b' '..=b'~').filter(|byte| !self.has(*byte)))
    }

    /// The one byte in it.
    fn single(&self) -> Option<u8> {
        let mut bytes = self.bytes();
        bytes.next().filter(|_| bytes.next().is_none())
    }

    /// Whether texts have few of it.
    fn is_rare(&self) -> bool {
        let common = |byte: u8| byte.is_ascii_lowercase() || byte == b' ' || byte >= 0x80;
        self.bytes().count() <= 36 && self.ranges().len() <= 4 && !self.bytes().any(common)
    }

    fn ranges(&self) -> Vec<(u8, u8)> {
        self.bytes().fold(Vec::new(), |mut ranges: Vec<(u8, u8)>, byte| {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(byte) => *last = byte,
                _ => ranges.push((byte, byte)),
            }
            ranges
        })
    }
}

/// An expression.
#[derive(Debug, Clone)]
enum Node {
    Set(Set),
    Row(Vec<Node>),
    Either(Vec<Node>),
    Times(Box<Node>, u8, u8),
}

impl Node {
    /// The fewest and the most bytes of a match.
    fn length(&self) -> (usize, usize) {
        match self {
            Self::Set(_) => (1, 1),
            Self::Row(nodes) => {
                nodes.iter().map(Self::length).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1.saturating_add(one.1)))
            }
            Self::Either(nodes) => {
                let lengths = || nodes.iter().map(Self::length);
                (lengths().map(|one| one.0).min().unwrap_or(0), lengths().map(|one| one.1).max().unwrap_or(0))
            }
            Self::Times(node, least, most) => {
                let (short, long) = node.length();
                (short.saturating_mul((*least).into()), long.saturating_mul((*most).into()))
            }
        }
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    folds: bool,
    depth: usize,
}

impl Parser<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, wanted: &[u8]) -> bool {
        let is_there = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(wanted));
        if is_there {
            self.at += wanted.len();
        }
        is_there
    }

    fn either(&mut self) -> Result<Node, NoPattern> {
        // Groups in groups are read by recursion.
        self.depth += 1;
        if self.depth > 16 {
            return Err(NoPattern::Long);
        }
        let mut all = vec![self.row()?];
        while self.takes(b"|") {
            all.push(self.row()?);
        }
        self.depth -= 1;
        Ok(if all.len() == 1 { all.pop().unwrap_or(Node::Row(Vec::new())) } else { Node::Either(all) })
    }

    fn row(&mut self) -> Result<Node, NoPattern> {
        let mut row = Vec::new();
        loop {
            let start = self.at;
            let node = match self.byte() {
                None | Some(b'|' | b')') => return Ok(Node::Row(row)),
                Some(b'(') => {
                    self.at += 1;
                    if self.byte() == Some(b'?') && !self.takes(b"?:") {
                        return Err(NoPattern::Unknown(start));
                    }
                    let inner = self.either()?;
                    if !self.takes(b")") {
                        return Err(NoPattern::Syntax(start));
                    }
                    inner
                }
                Some(b'[') => Node::Set(self.class()?),
                Some(b'\\') => Node::Set(self.escape()?),
                Some(b'.' | b'^' | b'$') => return Err(NoPattern::Unknown(start)),
                Some(b'?' | b'*' | b'+' | b'{' | b'}' | b']') => return Err(NoPattern::Syntax(start)),
                Some(byte) if byte < 0x80 => {
                    self.at += 1;
                    Node::Set(self.set([byte]))
                }
                Some(_) => {
                    // A character beyond ASCII is a row of its bytes.
                    let mut bytes = Vec::new();
                    while let Some(byte) = self.byte().filter(|byte| *byte >= 0x80) {
                        if !bytes.is_empty() && byte >= 0xc0 {
                            break;
                        }
                        bytes.push(Node::Set(Set::of([byte])));
                        self.at += 1;
                    }
                    Node::Row(bytes)
                }
            };
            row.push(self.repeated(node)?);
        }
    }

    fn repeated(&mut self, node: Node) -> Result<Node, NoPattern> {
        let start = self.at;
        let times = match self.byte() {
            Some(b'?') => {
                self.at += 1;
                (0, 1)
            }
            Some(b'*' | b'+') => return Err(NoPattern::Unbounded(start)),
            Some(b'{') => {
                self.at += 1;
                let least = self.number(start)?;
                let most = if self.takes(b",") {
                    if self.byte() == Some(b'}') {
                        return Err(NoPattern::Unbounded(start));
                    }
                    self.number(start)?
                } else {
                    least
                };
                if !self.takes(b"}") || most < least || most == 0 {
                    return Err(NoPattern::Syntax(start));
                }
                (least, most)
            }
            _ => return Ok(node),
        };
        if matches!(self.byte(), Some(b'?' | b'*' | b'+' | b'{')) {
            return Err(NoPattern::Unknown(self.at));
        }
        Ok(Node::Times(Box::new(node), times.0, times.1))
    }

    fn number(&mut self, start: usize) -> Result<u8, NoPattern> {
        let from = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits =
            self.text.get(from..self.at).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
        if digits.is_empty() { Err(NoPattern::Syntax(start)) } else { digits.parse().map_err(|_| NoPattern::Long) }
    }

    fn set(&self, bytes: impl IntoIterator<Item = u8>) -> Set {
        let set = Set::of(bytes);
        if self.folds { set.folded() } else { set }
    }

    fn escape(&mut self) -> Result<Set, NoPattern> {
        let start = self.at;
        self.at += 1;
        let byte = self.byte().ok_or(NoPattern::Syntax(start))?;
        self.at += 1;
        Ok(match byte {
            b'd' => Set::of(b'0'..=b'9'),
            b'w' => Set::of((b'0'..=b'z').filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')),
            b's' => Set::of(*b" \t\n\r"),
            // Elsewhere these are where a word begins and ends, and nothing needs them as signs.
            b'<' | b'>' => return Err(NoPattern::Unknown(start)),
            byte if byte.is_ascii_punctuation() => Set::of([byte]),
            _ => return Err(NoPattern::Unknown(start)),
        })
    }

    fn class(&mut self) -> Result<Set, NoPattern> {
        let start = self.at;
        self.at += 1;
        let inverted = self.takes(b"^");
        let mut set = Set::default();
        loop {
            let one = match self.byte() {
                None => return Err(NoPattern::Syntax(start)),
                Some(b']') => break,
                Some(b'\\') => self.escape()?,
                Some(b'[') | Some(0x80..) => return Err(NoPattern::Unknown(self.at)),
                Some(byte) => {
                    self.at += 1;
                    Set::of([byte])
                }
            };
            // `-` before the bracket is itself.
            let is_range = self.byte() == Some(b'-') && self.text.get(self.at + 1).is_some_and(|byte| *byte != b']');
            set = set.or(match (one.single(), is_range) {
                (Some(first), true) => {
                    self.at += 1;
                    let last = match self.byte() {
                        Some(b'\\') => self.escape()?.single().ok_or(NoPattern::Syntax(start))?,
                        Some(byte) if byte < 0x80 => {
                            self.at += 1;
                            byte
                        }
                        _ => return Err(NoPattern::Unknown(self.at)),
                    };
                    if last < first {
                        return Err(NoPattern::Syntax(start));
                    }
                    Set::of(first..=last)
                }
                _ => one,
            });
        }
        self.at += 1;
        let set = if self.folds { set.folded() } else { set };
        let set = if inverted { set.inverted() } else { set };
        if set == Set::default() { Err(NoPattern::Syntax(start)) } else { Ok(set) }
    }
}

/// What every match contains, and is looked for.
#[derive(Debug, Clone)]
enum Anchor {
    Word(Vec<u8>),
    OneOf(Vec<(u8, u8)>),
}

impl Anchor {
    fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        match self {
            Self::Word(word) => secret::find(text, word, from),
            Self::OneOf(ranges) => bytes::find(text, from, |block| {
                ranges.iter().fold(bytes::Set::NONE, |set, (first, last)| set.or(block.between(*first, *last)))
            }),
        }
    }
}

/// A pattern that can be looked for.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    /// For each byte, the states that read it.
    reads: Vec<u64>,
    first: u64,
    last: u64,
    /// For each state, those that may follow.
    follow: Vec<u64>,
    /// Whether a word has to begin and end where a match does.
    bounds: (bool, bool),
    anchor: Anchor,
    /// How many bytes of a match can stand before the anchor, at least and at most.
    before: (usize, usize),
    check: Option<Check>,
}

impl Compiled {
    const LONGEST: usize = 64;

    pub(super) fn new(pattern: &Pattern) -> Result<Self, NoPattern> {
        let mut parser = Parser { text: pattern.regex.as_bytes(), at: 0, folds: false, depth: 0 };
        parser.folds = parser.takes(b"(?i)");
        let begins = parser.takes(br"\b");
        let end = parser.text.strip_suffix(br"\b").filter(|rest| rest.len() >= parser.at && !rest.ends_with(b"\\"));
        parser.text = end.unwrap_or(parser.text);
        let node = parser.either()?;
        if parser.at < parser.text.len() {
            return Err(NoPattern::Syntax(parser.at));
        }
        let (short, long) = node.length();
        if long > Self::LONGEST {
            return Err(NoPattern::Long);
        }
        if short < 3 {
            return Err(NoPattern::Short);
        }
        let (anchor, before) = anchor(&node).ok_or(NoPattern::Common)?;
        let mut compiled = Self {
            reads: vec![0; 256],
            first: 0,
            last: 0,
            follow: Vec::new(),
            bounds: (begins, end.is_some()),
            anchor,
            before,
            check: pattern.check,
        };
        let part = compiled.add(&node)?;
        (compiled.first, compiled.last) = (part.first, part.last);
        Ok(compiled)
    }

    fn add(&mut self, node: &Node) -> Result<Part, NoPattern> {
        match node {
            Node::Set(set) => {
                let position = self.follow.len();
                if position >= Self::LONGEST {
                    return Err(NoPattern::Long);
                }
                self.follow.push(0);
                let bit = 1 << position;
                for byte in set.bytes() {
                    if let Some(reads) = self.reads.get_mut(usize::from(byte)) {
                        *reads |= bit;
                    }
                }
                Ok(Part { first: bit, last: bit, empty: false })
            }
            Node::Row(nodes) => nodes.iter().try_fold(Part::EMPTY, |row, node| {
                let next = self.add(node)?;
                Ok(self.join(row, next))
            }),
            Node::Either(nodes) => nodes.iter().try_fold(Part { empty: false, ..Part::EMPTY }, |all, node| {
                let one = self.add(node)?;
                Ok(Part { first: all.first | one.first, last: all.last | one.last, empty: all.empty | one.empty })
            }),
            Node::Times(node, least, most) => (0..*most).try_fold(Part::EMPTY, |row, time| {
                let mut next = self.add(node)?;
                next.empty |= time >= *least;
                Ok(self.join(row, next))
            }),
        }
    }

    fn join(&mut self, row: Part, next: Part) -> Part {
        for (position, follow) in self.follow.iter_mut().enumerate() {
            if row.last & (1 << position) != 0 {
                *follow |= next.first;
            }
        }
        Part {
            first: if row.empty { row.first | next.first } else { row.first },
            last: if next.empty { row.last | next.last } else { next.last },
            empty: row.empty && next.empty,
        }
    }

    /// Appends where the pattern matches in `text`, the leftmost and longest first, none overlapping. `may_begin` is asked of each
    /// place where a match begins, and gives where the match before it ended.
    pub(super) fn find_into(
        &self,
        text: &[u8],
        found: &mut Vec<Range<usize>>,
        may_begin: impl Fn(usize, Option<usize>) -> bool,
    ) {
        let (mut from, mut untried, mut last_end) = (0, 0, None);
        while let Some(at) = self.anchor.find(text, from) {
            from = at + 1;
            let Some(last) = at.checked_sub(self.before.0) else { continue };
            for start in untried.max(at.saturating_sub(self.before.1))..=last {
                // Every start is tried once.
                untried = start + 1;
                if let Some(end) = self.end(text, start).filter(|_| may_begin(start, last_end)) {
                    found.push(start..end);
                    (untried, last_end) = (end, Some(end));
                    break;
                }
            }
        }
    }

    /// Where the longest match that begins at `start` ends.
    fn end(&self, text: &[u8], start: usize) -> Option<usize> {
        let is_word = |at: Option<usize>| {
            let byte = at.and_then(|at| text.get(at)).copied().unwrap_or(b' ');
            byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
        };
        let is_bound = |at: usize| is_word(at.checked_sub(1)) != is_word(Some(at));
        if self.bounds.0 && !is_bound(start) {
            return None;
        }
        let (mut next, mut end) = (self.first, None);
        for (offset, byte) in text.get(start..)?.iter().take(Self::LONGEST).enumerate() {
            let states = next & self.reads.get(usize::from(*byte)).copied().unwrap_or(0);
            if states == 0 {
                break;
            }
            let here = start + offset + 1;
            if states & self.last != 0
                && (!self.bounds.1 || is_bound(here))
                && self.is_checked(text.get(start..here).unwrap_or_default())
            {
                end = Some(here);
            }
            next = 0;
            let mut left = states;
            while left != 0 {
                next |= self.follow.get(left.trailing_zeros() as usize).copied().unwrap_or(0);
                left &= left.wrapping_sub(1);
            }
        }
        end
    }

    fn is_checked(&self, text: &[u8]) -> bool {
        let Some(check) = self.check else { return true };
        let digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_digit).collect();
        match check {
            Check::Luhn => !digits.is_empty() && detect::luhn(&digits),
            Check::Verhoeff => !digits.is_empty() && detect::verhoeff(&digits),
        }
    }
}

/// Where a part of an expression begins and ends, and whether it can be empty.
#[derive(Clone, Copy)]
struct Part {
    first: u64,
    last: u64,
    empty: bool,
}

impl Part {
    const EMPTY: Self = Self { first: 0, last: 0, empty: true };
}

/// The rarest thing that every match has, and how many bytes stand before it.
fn anchor(node: &Node) -> Option<(Anchor, (usize, usize))> {
    /// What stands for certain in a row: one set each, or nothing that is certain.
    fn flatten(node: &Node, into: &mut Vec<(Option<Set>, (usize, usize))>) {
        match node {
            Node::Set(set) => into.push((Some(*set), (1, 1))),
            Node::Row(nodes) => nodes.iter().for_each(|node| flatten(node, into)),
            Node::Either(_) => into.push((None, node.length())),
            Node::Times(inner, least, most) => {
                (0..*least).for_each(|_| flatten(inner, into));
                let (_, long) = inner.length();
                into.push((None, (0, long.saturating_mul(usize::from(most.saturating_sub(*least))))));
            }
        }
    }
    let mut row = Vec::new();
    flatten(node, &mut row);
    let mut before = (0, 0);
    let (mut word, mut word_before): (Vec<u8>, (usize, usize)) = (Vec::new(), before);
    let mut best: Option<(usize, Anchor, (usize, usize))> = None;
    // What is looked for less often is better: long words, then small sets.
    let mut offer = |worth: usize, anchor: Anchor, before: (usize, usize)| {
        if best.as_ref().is_none_or(|(other, ..)| worth > *other) {
            best = Some((worth, anchor, before));
        }
    };
    for (set, length) in row {
        match set.and_then(|set| set.single()) {
            Some(byte) => {
                if word.is_empty() {
                    word_before = before;
                }
                word.push(byte);
                if word.len() >= 3 {
                    offer(1000 + word.len(), Anchor::Word(word.clone()), word_before);
                }
            }
            None if length == (0, 0) => {}
            None => word.clear(),
        }
        if let Some(set) = set.filter(Set::is_rare) {
            offer(256 - set.bytes().count(), Anchor::OneOf(set.ranges()), before);
        }
        before = (before.0 + length.0, before.1 + length.1);
    }
    best.map(|(_, anchor, before)| (anchor, before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(regex: &str) -> Result<Compiled, NoPattern> {
        Compiled::new(&Pattern { regex: regex.to_owned(), check: None, context: Vec::new() })
    }

    fn matches(compiled: &Compiled, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        compiled.find_into(text.as_bytes(), &mut found, |_, _| true);
        found.into_iter().map(|range| text.get(range).unwrap().to_owned()).collect()
    }

    #[test]
    fn patterns_match_the_leftmost_and_longest() {
        for (regex, text, wanted) in [
            ("EMP-[0-9]{6}", "see EMP-123456, EMP-12345 and EMP-1234567", "EMP-123456|EMP-123456"),
            (r"\bEMP-\d{4,6}\b", "EMP-12345 xEMP-12345 EMP-1234567 EMP-1234_ EMP-1234", "EMP-12345|EMP-1234"),
            (
                "(?i)case no[:.]? ?[0-9]{3}",
                "CASE NO: 123 case no.456 Case no 789",
                "CASE NO: 123|case no.456|Case no 789",
            ),
            ("[A-Z]{2}(-|/)?[0-9]{2,3}", "AB12 AB-123 ABC/99 xY/1", "AB12|AB-123|BC/99"),
            ("(?:ab|abc|b)x{2}Q", "abcxxQ abxxQ bxxQ axxQ", "abcxxQ|abxxQ|bxxQ"),
            (r"[^0-9 ]{2}\#[\]\-x]", "ab#] a1#x zz#- é#x", "ab#]|zz#-"),
            ("Stra\u{df}e [0-9]{1,3}", "Stra\u{df}e 12, Strasse 12", "Stra\u{df}e 12"),
            (r"\w{3}@\d", "abc@1 _a9@2 a-b@3", "abc@1|_a9@2"),
            ("A{3}", "AAAAAAA", "AAA|AAA"),
        ] {
            assert_eq!(matches(&pattern(regex).unwrap(), text).join("|"), wanted, "{regex}");
        }
    }

    #[test]
    fn checks_choose_among_matches() {
        let luhn =
            Compiled::new(&Pattern { regex: r"M\d{4,8}".to_owned(), check: Some(Check::Luhn), context: Vec::new() })
                .unwrap();
        assert_eq!(matches(&luhn, "M79927398713 M18 M1230 M1231"), ["M1230"]);
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused() {
        for (regex, why) in [
            ("", NoPattern::Short),
            ("AB", NoPattern::Short),
            ("ABC?", NoPattern::Short),
            ("A+", NoPattern::Unbounded(1)),
            ("AB[0-9]*", NoPattern::Unbounded(7)),
            ("A{3,}", NoPattern::Unbounded(1)),
            ("A.C", NoPattern::Unknown(1)),
            ("^ABC", NoPattern::Unknown(0)),
            (r"A\x41", NoPattern::Unknown(1)),
            (r"AB\bCD", NoPattern::Unknown(2)),
            (r"\<ABC", NoPattern::Unknown(0)),
            ("(?=A)BC", NoPattern::Unknown(0)),
            ("A{2}?BC", NoPattern::Unknown(4)),
            ("[[:alpha:]]BC", NoPattern::Unknown(1)),
            ("[\u{e9}]BC", NoPattern::Unknown(1)),
            ("(ABC", NoPattern::Syntax(0)),
            ("ABC)", NoPattern::Syntax(3)),
            ("[ABC", NoPattern::Syntax(0)),
            ("[]ABC", NoPattern::Syntax(0)),
            ("[b-a]BC", NoPattern::Syntax(0)),
            ("A{3,2}", NoPattern::Syntax(1)),
            ("A{x}BC", NoPattern::Syntax(1)),
            ("ABC\\", NoPattern::Syntax(3)),
            ("?ABC", NoPattern::Syntax(0)),
            ("A{65}", NoPattern::Long),
            ("(AB){40}", NoPattern::Long),
            ("A{999}", NoPattern::Long),
            ("[a-z]{3}", NoPattern::Common),
            ("[a-z]{3}[0-9]?", NoPattern::Common),
            ("(ABC|DEF)", NoPattern::Common),
            ("(?i)[a-z]{3}", NoPattern::Common),
            ("[ -~]{3}", NoPattern::Common),
            (&"(".repeat(40), NoPattern::Long),
        ] {
            assert_eq!(pattern(regex).map(|_| ()), Err(why), "{regex}");
        }
    }

    /// All ends of matches of a node from `at` on, by backtracking.
    fn ends(node: &Node, text: &[u8], at: usize) -> Vec<usize> {
        let mut all = match node {
            Node::Set(set) => text.get(at).filter(|byte| set.has(**byte)).map(|_| at + 1).into_iter().collect(),
            Node::Row(nodes) => {
                nodes.iter().fold(vec![at], |from, node| from.iter().flat_map(|at| ends(node, text, *at)).collect())
            }
            Node::Either(nodes) => nodes.iter().flat_map(|node| ends(node, text, at)).collect(),
            Node::Times(node, least, most) => {
                let (mut from, mut all) = (vec![at], Vec::new());
                for time in 0..=*most {
                    if time >= *least {
                        all.extend(from.clone());
                    }
                    from = from.iter().flat_map(|at| ends(node, text, *at)).collect();
                    from.sort_unstable();
                    from.dedup();
                }
                all
            }
        };
        all.sort_unstable();
        all.dedup();
        all
    }

    proptest! {
        #[test]
        fn matches_are_those_of_a_backtracking_reading(
            regex in "(\\[AB\\]|\\[\\^A\\]|A|B|a|b|1|\\(A\\|ab\\)|\\(1\\|AB\\|b\\)|A\\?|b\\?|B\\{1,2\\}|a\\{0,2\\}|\\(A1\\?\\)\\{1,2\\}){3,7}",
            text in "[ABab1]{0,30}",
        ) {
            let Ok(compiled) = pattern(&regex) else { return Ok(()) };
            let mut parser = Parser { text: regex.as_bytes(), at: 0, folds: false, depth: 0 };
            let node = parser.either().unwrap();
            let (mut at, mut wanted) = (0, Vec::new());
            while at < text.len() {
                match ends(&node, text.as_bytes(), at).pop() {
                    Some(end) => {
                        wanted.push(text.get(at..end).unwrap().to_owned());
                        at = end;
                    }
                    None => at += 1,
                }
            }
            prop_assert_eq!(matches(&compiled, &text), wanted, "{}", regex);
        }

        #[test]
        fn no_expression_makes_it_panic(regex in "[A-C0-3(){}|?,\\[\\]\\\\bdws^.*+i:\u{e9}-]{0,20}", text in "[A-C0-3 \u{e9}-]{0,40}") {
            if let Ok(compiled) = pattern(&regex) {
                matches(&compiled, &text);
            }
        }
    }
}
