//! Field rules: what stands in these places is masked, whatever it is.
//!
//! A rule is written in one of two ways:
//! - as **names**, `ssn` or `customer.name`: the members of these names, one in the other, anywhere in the body. Names are
//!   compared by their letters and digits alone, without case and by their looks, so `home_address` is `homeAddress` too, and `ѕsn`
//!   with a Cyrillic letter is `ssn`. Arrays between them do not count, `*` stands for any one name, and a leading `*` says nothing:
//!   `*.ssn` is `ssn`.
//! - as a **pointer**, `/results/*/document/address`: a JSON pointer (RFC 6901) from the top of the body. Its names are compared
//!   as they are, case and all; but a member's name that has anything else than visible ASCII in it, or an escape, is compared as
//!   names are, for it may be one that was written to pass by. `*` stands for any one member or item, `**` for any number of them,
//!   also none.
//!
//! Both go on into strings that are JSON. All rules together become one deterministic automaton when they are loaded, so that a
//! name in a body costs one look-up, however many rules there are.

use rerank_guard_text::escapes;
use rerank_guard_text::fold::{self, By};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// Why a field rule cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoField {
    /// It names nothing.
    Empty,
    /// A `*` is part of a name, or a `**` stands where none can.
    Star,
    /// A `~` in a pointer is neither `~0` nor `~1`.
    Tilde,
    /// It is longer than 256 bytes.
    Long,
}

impl fmt::Display for NoField {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Empty => {
                "names no member: write a name such as `ssn` or `customer.name`, or a pointer such as `/results/*/document/name`"
            }
            Self::Star => {
                "has a star that stands for no whole step: `*` is any one step, and `**`, in a pointer and not last, any number"
            }
            Self::Tilde => "has a `~` that is neither `~0` nor `~1`",
            Self::Long => "is longer than 256 bytes",
        })
    }
}

/// A field rule that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    anchored: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Compared as it is.
    Exact(String),
    /// Compared in its [`loose`] form.
    Loose(String),
    Any,
    Rest,
}

impl Field {
    /// Reads a rule.
    pub(super) fn parse(text: &str) -> Result<Self, NoField> {
        if text.len() > 256 {
            return Err(NoField::Long);
        }
        match text.strip_prefix('/') {
            Some(steps) => Self::pointer(steps),
            None => Self::names(text),
        }
    }

    /// The rule as it is for texts, which have lines of names and values and parts of bodies: its last name alone, wherever it stands.
    /// One without a name is for every member.
    pub(super) fn in_text(&self) -> Self {
        let name = self.steps.iter().rev().find_map(|step| match step {
            Step::Exact(name) if index(name).is_some() => None,
            Step::Exact(name) => Some(loose(name)).filter(|name| !name.is_empty()),
            Step::Loose(name) => Some(name.clone()),
            Step::Any | Step::Rest => None,
        });
        Self { anchored: false, steps: vec![name.map_or(Step::Any, Step::Loose)] }
    }

    /// A rule of several names as one of a single name, for bodies that say a whole way in one: `customer.name`, `customer_name`.
    fn flat(&self) -> Option<Self> {
        let names = self.steps.iter().map(|step| match step {
            Step::Loose(name) => Some(name.as_str()),
            Step::Exact(_) | Step::Any | Step::Rest => None,
        });
        let name = names.collect::<Option<String>>()?;
        (self.steps.len() > 1).then(|| Self { anchored: self.anchored, steps: vec![Step::Loose(name)] })
    }

    fn pointer(text: &str) -> Result<Self, NoField> {
        let mut steps = Vec::new();
        for step in text.split('/') {
            steps.push(match step {
                "*" => Step::Any,
                "**" => Step::Rest,
                _ if step.contains('*') => return Err(NoField::Star),
                _ if step.replace("~0", "").replace("~1", "").contains('~') => return Err(NoField::Tilde),
                _ => Step::Exact(step.replace("~1", "/").replace("~0", "~")),
            });
        }
        match steps.last() {
            // What is under a place is masked with it.
            Some(Step::Rest) => Err(NoField::Star),
            Some(Step::Exact(name)) if name.is_empty() && steps.len() == 1 => Err(NoField::Empty),
            _ => Ok(Self { anchored: true, steps }),
        }
    }

    fn names(text: &str) -> Result<Self, NoField> {
        let mut steps = Vec::new();
        for name in text.split('.') {
            let loosely = loose(name);
            match name {
                // Whatever stands before the first name may be anything.
                "*" if steps.is_empty() => {}
                "*" => steps.push(Step::Any),
                _ if name.contains('*') => return Err(NoField::Star),
                _ if loosely.is_empty() => return Err(NoField::Empty),
                _ => steps.push(Step::Loose(loosely)),
            }
        }
        if steps.is_empty() { Err(NoField::Empty) } else { Ok(Self { anchored: false, steps }) }
    }
}

/// A name of a rule as names are compared: its letters first, so that both cases of one look alike. One that has no letter or digit is
/// compared by the signs it has.
fn loose(name: &str) -> String {
    key(&fold::text(name, By::Letters))
}

/// What a member's name is compared by.
fn key(name: &str) -> String {
    let folded = fold::name(name);
    if folded.is_empty() { fold::text(name, By::Looks).replace(['_', '-', ' '], "") } else { folded }
}

/// What parts the names on a way where one name says all of it.
const fn is_flat_sign(letter: char) -> bool {
    matches!(letter, '.' | '/' | '[' | ']' | ':')
}

/// Whether a name is what it looks like: visible ASCII, without a sign that escapes begin with.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'%' | b'&'))
}

/// All field rules of a call's masks, as one automaton.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    exact: HashMap<String, Class>,
    loose: HashMap<String, Class>,
    /// What pointers name, as names are compared: for members whose names are not what they look like.
    folded: HashMap<String, Class>,
    /// The classes of item numbers that rules name.
    items: HashMap<u32, Class>,
    /// The letters and digits with which names begin that `loose` has: most members' names begin with none of them.
    firsts: u128,
    /// A row for each state, a column for each class.
    table: Vec<State>,
    classes: usize,
    /// For each state a bit for each class that is hit there or further on. Hardly a body asks.
    ahead: OnceCell<Vec<u64>>,
}

/// What rules make of a name or an item: the same for all that no rule tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Class(u16);

impl Class {
    /// A member that no rule names.
    const MEMBER: Self = Self(0);
    /// An item that no rule names.
    const ITEM: Self = Self(1);
    /// A name that nobody can be said to know: every rule takes it for its own.
    const ANY: Self = Self(2);
}

/// How far rules have come on the way to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State(u16);

impl State {
    /// Nothing was named yet.
    pub(super) const START: Self = Self(0);
    const FIRST_HIT: u16 = 0xff00;

    const fn hit_of(replacement: u8) -> Self {
        Self(Self::FIRST_HIT | replacement as u16)
    }

    /// Whether what stands here is to be masked: by which replacement.
    pub(super) fn hit(self) -> Option<usize> {
        self.0.checked_sub(Self::FIRST_HIT).map(usize::from)
    }
}

/// The rules need more states than can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

impl Fields {
    /// The most entries of the table: 128 KiB.
    const ENTRIES: usize = 1 << 16;

    /// Compiles rules; each comes with the number of its replacement. Where several hit, the lowest number counts.
    pub(super) fn compile(rules: &[(Field, u8)]) -> Result<Option<Self>, TooMany> {
        if rules.is_empty() {
            return Ok(None);
        }
        let flat = rules.iter().filter_map(|(field, replacement)| Some((field.flat()?, *replacement)));
        let rules: Vec<_> = rules.iter().cloned().chain(flat).collect();
        let rules = rules.as_slice();
        let alphabet = Alphabet::of(rules);
        let mut states = BTreeMap::from([(start(rules), State::START)]);
        let mut waiting = vec![start(rules)];
        let mut table = Vec::new();
        let mut at = 0;
        while let Some(positions) = waiting.get(at).cloned() {
            at += 1;
            for symbol in &alphabet.symbols {
                let next = advance(rules, &positions, symbol);
                table.push(match accepted(rules, &next) {
                    Some(replacement) => State::hit_of(replacement),
                    None => match states.get(&next) {
                        Some(state) => *state,
                        None => {
                            let state = State(u16::try_from(waiting.len()).map_err(|_| TooMany)?);
                            states.insert(next.clone(), state);
                            waiting.push(next);
                            state
                        }
                    },
                });
            }
            if table.len() > Self::ENTRIES || waiting.len() >= usize::from(State::FIRST_HIT) {
                return Err(TooMany);
            }
        }
        let Alphabet { symbols, exact, loose, folded, items } = alphabet;
        let classes = symbols.len();
        let firsts = loose.keys().filter_map(|name| name.bytes().next()).filter(u8::is_ascii);
        let firsts = firsts.fold(0, |firsts, first| firsts | 1_u128 << first);
        Ok(Some(Self { exact, loose, folded, items, firsts, table, classes, ahead: OnceCell::new() }))
    }

    /// The class of a member's name, its escapes decoded. Those that stand in what it says are read as well: another reader may.
    pub(super) fn class(&self, name: &str) -> Class {
        if let Some(class) = self.exact.get(name) {
            return *class;
        }
        if is_plain(name) {
            if let Some(class) = self.flat(name) {
                return class;
            }
            let first = name.bytes().find(u8::is_ascii_alphanumeric).map(|first| first.to_ascii_lowercase());
            if first.is_some_and(|first| self.firsts & 1 << first == 0) || self.loose.is_empty() {
                return Class::MEMBER;
            }
            return self.loose.get(&key(name)).copied().unwrap_or(Class::MEMBER);
        }
        let mut read = Cow::Borrowed(name);
        for _ in 0..=escapes::MOST_TIMES {
            let known = |key: String| self.folded.get(&key).or_else(|| self.loose.get(&key));
            if let Some(class) = known(key(&read)).or_else(|| known(loose(&read))) {
                return *class;
            }
            if let Some(class) = self.flat(&read) {
                return class;
            }
            match escapes::resolved(&read) {
                Some(next) => read = Cow::Owned(next),
                None => return Class::MEMBER,
            }
        }
        Class::ANY
    }

    /// The class of a name that is a whole way, as in bodies without depth: `order.customer.name`, `customer[ssn]`, `ssn.0`. What it ends
    /// with counts, and of that the longest that a rule has.
    fn flat(&self, name: &str) -> Option<Class> {
        const MOST: usize = 8;
        if self.loose.is_empty() || !name.contains(is_flat_sign) {
            return None;
        }
        let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || is_flat_sign(letter));
        // A number belongs to its name, unless a sign stands before it.
        let stem = if name.get(stem.len()..).is_some_and(|rest| rest.starts_with(is_flat_sign)) { stem } else { name };
        if let Some(class) = self.loose.get(&key(name)) {
            return Some(*class);
        }
        let mut starts: Vec<usize> = stem.rmatch_indices(is_flat_sign).take(MOST).map(|(at, _)| at + 1).collect();
        starts.push(0);
        starts.iter().rev().find_map(|start| self.loose.get(&key(stem.get(*start..)?)).copied())
    }

    /// Whether a rule that has come as far as `state` can still hit a member by this name: there, or anywhere under it.
    pub(super) fn hits_ahead(&self, state: State, name: &str) -> bool {
        let class = self.class(name);
        if state.hit().is_some() {
            return true;
        }
        let words = self.classes.div_ceil(64);
        let ahead = self.ahead.get_or_init(|| self.look_ahead(words));
        let word = ahead.get(usize::from(state.0) * words + usize::from(class.0) / 64).copied().unwrap_or(0);
        // What has no name in any rule is not looked for.
        class != Class::MEMBER && word & 1 << (class.0 % 64) != 0
    }

    fn look_ahead(&self, words: usize) -> Vec<u64> {
        let rows = self.table.len() / self.classes.max(1);
        let mut ahead = vec![0_u64; rows * words];
        let mut has_changed = true;
        while std::mem::take(&mut has_changed) {
            for (state, row) in self.table.chunks(self.classes.max(1)).enumerate().rev() {
                for (class, next) in row.iter().enumerate() {
                    for word in 0..words {
                        let more = match next.hit() {
                            Some(_) => u64::from(class / 64 == word) << (class % 64),
                            None => ahead.get(usize::from(next.0) * words + word).copied().unwrap_or(0),
                        };
                        let Some(known) = ahead.get_mut(state * words + word) else { continue };
                        has_changed |= more & !*known != 0;
                        *known |= more;
                    }
                }
            }
        }
        ahead
    }

    /// Where the value of a member of that class is, under `state`.
    pub(super) fn member(&self, state: State, class: Class) -> State {
        if state.hit().is_some() {
            return state;
        }
        let entry = usize::from(state.0) * self.classes + usize::from(class.0);
        self.table.get(entry).copied().unwrap_or_default()
    }

    /// Whether a rule tells items of arrays apart.
    pub(super) fn numbers_items(&self) -> bool {
        !self.items.is_empty()
    }

    /// Where an item is, under `state`.
    pub(super) fn item(&self, state: State, index: u32) -> State {
        let class = if self.items.is_empty() { None } else { self.items.get(&index).copied() };
        self.member(state, class.unwrap_or(Class::ITEM))
    }
}

/// A position: the rule, and how many of its steps are behind.
type Position = (u16, u16);

/// What one class stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Symbol {
    /// Several names only where they look alike.
    Member {
        exact: BTreeSet<String>,
        loose: Option<String>,
    },
    Item(Option<String>),
    Any,
}

struct Alphabet {
    symbols: Vec<Symbol>,
    exact: HashMap<String, Class>,
    loose: HashMap<String, Class>,
    folded: HashMap<String, Class>,
    items: HashMap<u32, Class>,
}

impl Alphabet {
    fn of(rules: &[(Field, u8)]) -> Self {
        let steps = || rules.iter().flat_map(|(field, _)| &field.steps);
        let mut exact_names = BTreeSet::new();
        let mut loose_names = BTreeSet::new();
        for step in steps() {
            match step {
                Step::Exact(name) => drop(exact_names.insert(name.clone())),
                Step::Loose(name) => drop(loose_names.insert(name.clone())),
                Step::Any | Step::Rest => {}
            }
        }
        let mut all = Self {
            symbols: vec![Symbol::Member { exact: BTreeSet::new(), loose: None }, Symbol::Item(None), Symbol::Any],
            exact: HashMap::new(),
            loose: HashMap::new(),
            folded: HashMap::new(),
            items: HashMap::new(),
        };
        for name in &loose_names {
            let class = all.add(Symbol::Member { exact: BTreeSet::new(), loose: Some(name.clone()) });
            all.loose.insert(name.clone(), class);
        }
        let mut alike: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in &exact_names {
            alike.entry(loose(name)).or_default().insert(name.clone());
            let loosely = Some(loose(name)).filter(|name| loose_names.contains(name));
            let class = all.add(Symbol::Member { exact: BTreeSet::from([name.clone()]), loose: loosely });
            all.exact.insert(name.clone(), class);
            if let Some(index) = index(name) {
                let class = all.add(Symbol::Item(Some(name.clone())));
                all.items.insert(index, class);
            }
        }
        for (folded, exact) in alike {
            let loose = Some(folded.clone()).filter(|name| loose_names.contains(name));
            let class = all.add(Symbol::Member { exact, loose });
            all.folded.insert(folded, class);
        }
        all
    }

    fn add(&mut self, symbol: Symbol) -> Class {
        self.symbols.push(symbol);
        // More than this many names were refused as too many entries.
        Class(u16::try_from(self.symbols.len() - 1).unwrap_or(0))
    }
}

/// RFC 6901, section 4: an item's number has no leading zeros.
fn index(name: &str) -> Option<u32> {
    if name.len() > 1 && name.starts_with('0') || !name.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    name.parse().ok()
}

fn start(rules: &[(Field, u8)]) -> BTreeSet<Position> {
    let mut all = BTreeSet::new();
    for rule in 0..rules.len() {
        arrive(rules, (u16::try_from(rule).unwrap_or(u16::MAX), 0), &mut all);
    }
    all
}

fn field(rules: &[(Field, u8)], rule: u16) -> Option<&Field> {
    rules.get(usize::from(rule)).map(|(field, _)| field)
}

/// Adds a position, and those that are reached from it without a step.
fn arrive(rules: &[(Field, u8)], (rule, step): Position, into: &mut BTreeSet<Position>) {
    into.insert((rule, step));
    if let Some(Step::Rest) = field(rules, rule).and_then(|field| field.steps.get(usize::from(step))) {
        arrive(rules, (rule, step + 1), into);
    }
}

fn advance(rules: &[(Field, u8)], from: &BTreeSet<Position>, symbol: &Symbol) -> BTreeSet<Position> {
    let mut into = BTreeSet::new();
    for &(rule, step) in from {
        let Some(field) = field(rules, rule) else { continue };
        let Some(wanted) = field.steps.get(usize::from(step)) else { continue };
        let transparent = !field.anchored && matches!(symbol, Symbol::Item(_));
        if transparent || matches!(wanted, Step::Rest) || (!field.anchored && step == 0) {
            arrive(rules, (rule, step), &mut into);
        }
        let matched = match (wanted, symbol) {
            _ if transparent => false,
            (Step::Any, _) | (Step::Exact(_) | Step::Loose(_), Symbol::Any) => true,
            (Step::Exact(wanted), Symbol::Member { exact, .. }) => exact.contains(wanted),
            (Step::Exact(wanted), Symbol::Item(item)) => item.as_ref() == Some(wanted),
            (Step::Loose(wanted), Symbol::Member { loose, .. }) => loose.as_ref() == Some(wanted),
            (Step::Loose(_), Symbol::Item(_)) | (Step::Rest, _) => false,
        };
        if matched {
            arrive(rules, (rule, step + 1), &mut into);
        }
    }
    into
}

/// The least number of the replacements of rules that are all behind.
fn accepted(rules: &[(Field, u8)], positions: &BTreeSet<Position>) -> Option<u8> {
    let done =
        |(rule, step): &&Position| field(rules, *rule).is_some_and(|field| usize::from(*step) == field.steps.len());
    positions.iter().filter(done).filter_map(|(rule, _)| rules.get(usize::from(*rule))).map(|(_, number)| *number).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A step of a way: a member's name, or an item's number.
    #[derive(Debug, Clone)]
    enum Way {
        Member(String),
        Item(u32),
    }

    fn way(text: &str) -> Vec<Way> {
        let step = |step: &str| match step.strip_prefix('#') {
            Some(index) => Way::Item(index.parse().unwrap()),
            None => Way::Member(step.to_owned()),
        };
        text.split(' ').filter(|step| !step.is_empty()).map(step).collect()
    }

    fn compile(rules: &[&str]) -> Fields {
        let rules: Vec<_> = rules.iter().zip(0..).map(|(rule, at)| (Field::parse(rule).unwrap(), at)).collect();
        Fields::compile(&rules).unwrap().unwrap()
    }

    fn hit(fields: &Fields, way: &[Way]) -> Option<usize> {
        let state = way.iter().fold(State::START, |state, step| match step {
            Way::Member(name) => fields.member(state, fields.class(name)),
            Way::Item(index) => fields.item(state, *index),
        });
        state.hit()
    }

    #[test]
    fn names_hit_anywhere_and_pointers_where_they_say() {
        for (rule, hits, misses) in [
            ("ssn", "ssn|SSN|s_s_n|a ssn|#0 a #1 ssn|ssn x", "a|ssns|my_ssn"),
            ("*.ssn", "ssn|a ssn", "a"),
            (
                "home_address",
                "homeAddress|HOME-ADDRESS|x home address".replace("home address", "homeaddress").leak(),
                "home|address",
            ),
            (
                "ssn",
                "x.ssn|customer[ssn]|a/b/ssn|ns:ssn|ssn[0]|ssn.0|a.ssn[3].7|a.s\u{200b}sn",
                "ssn.x|x.my_ssn|ssn1|x.ssn.y",
            ),
            (
                "customer.name",
                "customer.name|order.customer.name|customer[name]|customerName|Customer/Name #2",
                "x.name|customer.x.name",
            ),
            ("customer.name", "customer name|a Customer #3 NAME|customer #0 #1 name", "name|customer|customer x name"),
            ("customer.*", "customer x|customer #0 x", "customer|customer #0"),
            ("a.*.c", "a b c|a #1 b #2 c|z a b c", "a c|a b b c"),
            ("/a", "a", "b|x a|A|#0 a"),
            ("/a~1b/~0", "a/b ~", "a b"),
            (
                "/results/*/document/address",
                "results #0 document address",
                "results document address|results #0 document Address",
            ),
            ("/results/0", "results #0|results 0", "results #1|results #00".replace("#00", "00").leak()),
            ("/a/**/z", "a z|a b z|a #0 b z", "z|a b|b a z"),
            ("/**/z", "z|a z|a #4 z", "a"),
            ("/*", "a|#9", ""),
        ] {
            let fields = compile(&[rule]);
            for text in hits.split('|').filter(|text| !text.is_empty()) {
                assert!(hit(&fields, &way(text)).is_some(), "{rule} misses {text}");
            }
            for text in misses.split('|').filter(|text| !text.is_empty()) {
                assert!(hit(&fields, &way(text)).is_none(), "{rule} hits {text}");
            }
        }
    }

    /// Whoever reads the body may take these for the name; a rule that does not would let the value pass.
    #[test]
    fn a_name_that_only_looks_otherwise_is_hit_by_names_and_by_pointers() {
        for rule in ["ssn", "/ssn", "*.ssn"] {
            let fields = compile(&[rule]);
            for name in [
                "\u{455}sn",
                "s\u{200b}sn",
                "s\u{0}sn",
                "ｓｓｎ",
                "𝐬𝐬𝐧",
                "s\u{e0041}sn",
                "s\u{3164}sn",
                "ssn\u{feff}",
                "s\u{332}sn",
                r"s\u0073n",
                r"s\\u0073n",
                r"s\x73n",
                r"s\u005cu0073n",
                "s%73n",
                "s%2573n",
                "s&#115;n",
                "s&#x73;n",
                "s&amp;#115;n",
                &format!("\\{}u0073sn", "u005c".repeat(30)),
            ] {
                assert!(
                    hit(&fields, &[Way::Member(name.to_owned())]).is_some(),
                    "{rule} misses {}",
                    name.escape_unicode()
                );
            }
            for name in ["sn", "s&n", "s%n", "ssm\u{fc}", "日本", "\u{200b}"] {
                assert!(
                    hit(&fields, &[Way::Member(name.to_owned())]).is_none(),
                    "{rule} hits {}",
                    name.escape_unicode()
                );
            }
        }
        let greek = compile(&["ηλικία"]);
        assert!(hit(&greek, &[Way::Member("ΗΛΙΚΊΑ".to_owned())]).is_some());
        // Of two pointers that look alike each is still its own; a name that can be either is both.
        let two = compile(&["/a/ssn", "/b/SSN"]);
        for (way, hits) in
            [("a ssn", true), ("a SSN", false), ("b SSN", true), ("b ssn", false), ("a ѕsn", true), ("b ѕsn", true)]
        {
            assert_eq!(hit(&two, &self::way(way)).is_some(), hits, "{way}");
        }
    }

    #[test]
    fn what_a_rule_can_still_hit_is_known() {
        let fields = compile(&["/meta/**/id", "customer.phone", "/a/b"]);
        let start = State::START;
        for (name, hits) in [("id", true), ("phone", true), ("b", true), ("x", false), ("meta", false)] {
            assert_eq!(fields.hits_ahead(start, name), hits, "{name}");
        }
        let elsewhere = fields.member(start, fields.class("results"));
        for (name, hits) in [("id", false), ("phone", true), ("b", false)] {
            assert_eq!(fields.hits_ahead(elsewhere, name), hits, "{name}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for (rule, why) in [
            ("", NoField::Empty),
            ("/", NoField::Empty),
            ("*", NoField::Empty),
            ("a..b", NoField::Empty),
            ("_", NoField::Empty),
            ("a*", NoField::Star),
            ("**.a", NoField::Star),
            ("/a/**", NoField::Star),
            ("/a*/b", NoField::Star),
            ("/***", NoField::Star),
            ("/a~2", NoField::Tilde),
            ("/a~", NoField::Tilde),
        ] {
            assert_eq!(Field::parse(rule), Err(why), "{rule}");
        }
        assert_eq!(Field::parse(&"x".repeat(257)), Err(NoField::Long));
    }

    #[test]
    fn rules_without_bound_are_refused() {
        let rules: Vec<_> = (0..200).map(|at| (Field::parse(&format!("n{at}")).unwrap(), 0)).collect();
        assert!(Fields::compile(&rules).is_ok());
        // Each `*` behind a name that can come again doubles the states.
        let wild = format!("a{}.z", ".*".repeat(20));
        assert_eq!(Fields::compile(&[(Field::parse(&wild).unwrap(), 0)]).map(|_| ()), Err(TooMany));
    }

    /// As the documentation has it, without an automaton.
    fn naive(rule: &str, way: &[Way]) -> bool {
        fn names(rule: &[&str], way: &[Way]) -> bool {
            match (rule, way) {
                ([], _) => true,
                (_, []) => false,
                (_, [Way::Item(_), rest @ ..]) => names(rule, rest),
                ([name, others @ ..], [Way::Member(member), rest @ ..]) => {
                    let plain = |text: &str| text.replace(['_', '-', ' '], "").to_lowercase();
                    (*name == "*" || plain(name) == plain(member)) && names(others, rest)
                }
            }
        }
        fn pointer(rule: &[&str], way: &[Way]) -> bool {
            match (rule, way) {
                ([], _) => true,
                (["**", others @ ..], _) if pointer(others, way) => true,
                (_, []) => false,
                (["**", ..], [_, rest @ ..]) => pointer(rule, rest),
                ([name, others @ ..], [step, rest @ ..]) => {
                    let step = match step {
                        Way::Member(name) => name.clone(),
                        Way::Item(index) => index.to_string(),
                    };
                    (*name == "*" || *name == step) && pointer(others, rest)
                }
            }
        }
        match rule.strip_prefix('/') {
            Some(rule) => pointer(&rule.split('/').collect::<Vec<_>>(), way),
            None => {
                let rule: Vec<_> = rule.split('.').skip_while(|name| *name == "*").collect();
                (0..=way.len()).any(|from| {
                    // A way begins anywhere; a first name that is a member begins it.
                    matches!(way.get(from), Some(Way::Member(_))) && names(&rule, way.get(from..).unwrap())
                })
            }
        }
    }

    proptest! {
        #[test]
        fn the_automaton_hits_as_a_naive_reading_of_the_rules(
            rules in proptest::collection::vec(
                "(a|b|B_c|\\*)(\\.(a|b|bc|\\*)){0,3}|(/(a|b|0|\\*|\\*\\*|bC)){0,3}/(a|b|\\*|1)", 1..6),
            way in proptest::collection::vec(
                prop_oneof!["a|b|A|bC|b_c|0|x".prop_map(Way::Member), (0u32..3).prop_map(Way::Item)], 0..7),
        ) {
            let rules: Vec<String> = rules.into_iter().filter(|rule| Field::parse(rule).is_ok()).collect();
            prop_assume!(!rules.is_empty());
            let fields = compile(&rules.iter().map(String::as_str).collect::<Vec<_>>());
            // The first prefix that is hit decides, and by the first rule that hits it.
            let expected = (1..=way.len()).find_map(|end| {
                let way = way.get(..end).unwrap();
                let earlier = |rule: &String| (0..end).any(|end| naive(rule, way.get(..end).unwrap()));
                rules.iter().position(|rule| naive(rule, way) && !earlier(rule))
            });
            prop_assert_eq!(hit(&fields, &way), expected);
        }
    }
}
