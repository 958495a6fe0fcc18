//! From a [`Bundle`](super::Bundle) to rules that mean something: every name resolved, every pattern compiled, every
//! obligation known to be possible. All flaws are found in one go.

mod rules;

use super::bundle::{Bundle, Force, Limits, Mode, Named, Test};
use super::glob::Pattern;
use super::index::{Dimension, Reach};
use super::lexicon::{Compared, Lexicon, Symbol};
use super::read::Draft;
use super::when::Condition;
use super::{Approval, Reason};
use crate::diagnostic::{Flaw, Part, Place, Spot};
use crate::mask;
use crate::time::{Span, Time};
use crate::wording::nearest;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// A checked rule.
#[derive(Debug)]
pub(super) struct Rule<Terms> {
    pub(super) id: Rc<str>,
    pub(super) mode: Mode,
    pub(super) reach: Reach,
    /// Most rules have none, and there may be many rules.
    pub(super) when: Option<Box<Condition>>,
    pub(super) terms: Terms,
    /// Where it stands in the document.
    pub(super) place: usize,
}

impl<Terms> Rule<Terms> {
    /// Whether a call's texts have to be read to tell whether it counts.
    pub(super) fn reads(&self) -> bool {
        self.when.as_ref().is_some_and(|when| when.reads())
    }
}

/// What a guard adds.
#[derive(Debug, Default)]
pub(super) struct Guard {
    pub(super) limits: Limits,
    pub(super) masks: Vec<Rc<str>>,
    pub(super) request_masks: Vec<Rc<str>>,
    pub(super) approval: Option<Rc<str>>,
    /// The risk from which on the approval is needed.
    pub(super) threshold: u32,
    /// The risk from which on the call is denied.
    pub(super) deny_at: Option<u32>,
    pub(super) risk: u32,
    pub(super) force: Force,
}

/// What an allow grants.
#[derive(Debug)]
pub(super) struct Allow {
    pub(super) limits: Limits,
    pub(super) credential: Option<Rc<str>>,
    pub(super) precedence: u32,
    pub(super) expires: Option<Time>,
}

/// All of a bundle, checked. Rules stand in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) denies: Vec<Rule<()>>,
    pub(super) guards: Vec<Rule<Guard>>,
    pub(super) allows: Vec<Rule<Allow>>,
    pub(super) masks: BTreeMap<Rc<str>, mask::Rule>,
    pub(super) approvals: BTreeMap<Rc<str>, Approval>,
    pub(super) credentials: Vec<Rc<str>>,
    pub(super) tests: Vec<Test>,
    pub(super) lexicon: Lexicon,
}

/// Checks `draft`; its own flaws come first.
pub(super) fn check(draft: Draft<'_>) -> Result<Checked, Vec<Flaw>> {
    let Draft { mut bundle, rules: written, tests: numbers, flaws } = draft;
    let written_tests = std::mem::take(&mut bundle.tests);
    let mut checker = Checker::new(&bundle);
    let unread = flaws.len();
    checker.flaws = flaws;
    checker.declarations();
    let mut checked = Checked {
        masks: bundle.masks.iter().map(|(name, mask)| (Rc::from(name.as_str()), mask.clone())).collect(),
        approvals: approvals(&bundle),
        ..Checked::default()
    };
    let mut ids: HashMap<Rc<str>, usize> = HashMap::new();
    let (rules, tests) = (Spot::Root.name("rules"), Spot::Root.name("tests"));
    let lost = written.each(|number, rule| {
        let place = rules.item(number);
        checker.name("a rule's id", &rule.id, &place.name("id"), Part::Value);
        let id: Rc<str> = rule.id.as_str().into();
        if let Some(first) = ids.insert(Rc::clone(&id), number) {
            checker.flaw(
                Flaw::new(place.name("id"), format!("the id `{id}` is used twice"))
                    .hint(format!("rules[{first}] has it already")),
            );
        }
        checker.rule(number, id, &rule, &place, &mut checked);
    });
    if lost.ids.is_empty() {
        // A guard lost to its own flaws would be missed in the sum.
        checker.thresholds(&checked.guards);
    }
    let ids: HashSet<&str> = ids.keys().map(|id| &**id).chain(lost.ids.iter().map(String::as_str)).collect();
    for (number, test) in numbers.iter().zip(&written_tests) {
        checker.test(test, &tests.item(*number), &ids);
    }
    checked.denies.sort_by(|one, other| one.id.cmp(&other.id));
    checked.guards.sort_by(|one, other| one.id.cmp(&other.id));
    checked.allows.sort_by(|one, other| one.id.cmp(&other.id));
    checked.credentials = checker.credentials_used(&checked.allows);
    checked.lexicon = checker.lexicon;
    checker.flaws.extend(super::ties::find(&checked.allows, &checked.lexicon));
    let mut flaws = checker.flaws;
    flaws.splice(unread..unread, lost.flaws);
    if flaws.is_empty() {
        checked.tests = written_tests;
        Ok(checked)
    } else {
        Err(flaws)
    }
}

fn approvals(bundle: &Bundle) -> BTreeMap<Rc<str>, Approval> {
    let approval = |(name, terms): (&String, &super::bundle::ApprovalTerms)| {
        let name: Rc<str> = name.as_str().into();
        let approval =
            Approval { name: Rc::clone(&name), groups: terms.groups.clone(), min: terms.min, ttl: terms.ttl };
        (name, approval)
    };
    bundle.approvals.iter().map(approval).collect()
}

struct Checker<'b> {
    bundle: &'b Bundle,
    flaws: Vec<Flaw>,
    lexicon: Lexicon,
    /// How the names of the rule that is being read are compared.
    compared: Compared,
}

impl<'b> Checker<'b> {
    fn new(bundle: &'b Bundle) -> Self {
        Self { bundle, flaws: Vec::new(), lexicon: Lexicon::default(), compared: Compared::Exactly }
    }

    fn flaw(&mut self, flaw: Flaw) {
        self.flaws.push(flaw);
    }

    /// Names stand in logs, records and paths of requests, so they are short and plain.
    fn name(&mut self, of: &str, name: &str, place: &Spot<'_>, part: Part) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !begins || name.len() > 64 || !name.bytes().all(plain) {
            let mut flaw = Flaw::new(place, format!("`{}` cannot be {of}", name.escape_debug()));
            flaw.part = part;
            self.flaw(flaw.hint("write at most 64 letters, digits, `.`, `_` or `-`, a letter or digit first"));
        }
    }

    fn declarations(&mut self) {
        let (bundle, root) = (self.bundle, Spot::Root);
        self.name("a bundle's id", &bundle.bundle.id, &root.name("bundle").name("id"), Part::Value);
        let section = root.name("groups");
        for (alias, groups) in &bundle.groups {
            let place = section.name(alias);
            self.name("a group's alias", alias, &place, Part::Name);
            self.provider_groups(groups, &place);
        }
        for (section, entries, of) in
            [("models", &bundle.models, "a model's name"), ("datasets", &bundle.datasets, "a dataset's name")]
        {
            let section = root.name(section);
            for (name, named) in entries {
                let place = section.name(name);
                self.name(of, name, &place, Part::Name);
                self.named(name, named, &place);
            }
        }
        for name in bundle.credentials.keys() {
            self.name("a credential's name", name, &root.name("credentials").name(name), Part::Name);
        }
        let section = root.name("masks");
        for (name, mask) in &bundle.masks {
            let place = section.name(name);
            self.name("a mask's name", name, &place, Part::Name);
            // A mask that could not be read has no kinds; it has its flaw already.
            if self.has_flaw_under(&place) {
                continue;
            }
            if mask.finds_nothing() {
                let flaw = Flaw::new(place.name("detect"), "a mask that finds nothing");
                self.flaw(flaw.hint("name at least one kind, a place under `fields`, or a pattern"));
                continue;
            }
            self.mask(mask, &place);
        }
        let section = root.name("approvals");
        for (name, terms) in &bundle.approvals {
            let place = section.name(name);
            self.name("an approval's name", name, &place, Part::Name);
            if self.has_flaw_under(&place) {
                continue;
            }
            self.provider_groups(&terms.groups, &place.name("groups"));
            for (number, group) in terms.groups.iter().enumerate() {
                if bundle.groups.get(group).is_some_and(|groups| !groups.contains(group)) {
                    self.flaw(
                        Flaw::new(place.name("groups").item(number), format!("`{group}` is an alias"))
                            .hint("approvals name the identity provider's groups, as approvers' tokens do"),
                    );
                }
            }
            if terms.min == 0 {
                self.flaw(Flaw::new(place.name("min"), "an approval by nobody").hint("write at least 1"));
            }
            if !(Span::from_secs(1)..=Span::from_secs(7 * 86_400)).contains(&terms.ttl) {
                self.flaw(Flaw::new(place.name("ttl"), "nobody can approve in that time").hint("write 1s to 7d"));
            }
        }
    }

    /// All that keeps a mask from being carried out, but for keys of pseudonyms that the platform's configuration lacks.
    fn mask(&mut self, mask: &mask::Rule, place: &Spot<'_>) {
        for flaw in mask.flaws() {
            let place = flaw.member.split('.').fold(Place::from(place), |place, name| place.name(name));
            let place = flaw.number.map_or(place.clone(), |number| place.item(number));
            self.flaw(Flaw::new(place, flaw.what).hint(flaw.hint));
        }
    }

    fn has_flaw_under(&self, place: &Spot<'_>) -> bool {
        let place = Place::from(place);
        self.flaws.iter().any(|flaw| flaw.place.steps().starts_with(place.steps()))
    }

    fn provider_groups(&mut self, groups: &[String], place: &Spot<'_>) {
        if groups.is_empty() && !self.has_flaw_under(place) {
            self.flaw(Flaw::new(place, "no groups").hint("name at least one group of the identity provider"));
        }
        for (number, group) in groups.iter().enumerate() {
            if group.is_empty() || group.len() > 256 || group.chars().any(char::is_control) {
                self.flaw(Flaw::new(place.item(number), "no name of a group"));
            } else if group.contains('*') {
                self.flaw(
                    Flaw::new(place.item(number), format!("`{}` has a `*`", group.escape_debug()))
                        .hint("groups are compared whole: name each"),
                );
            }
        }
    }

    fn named(&mut self, name: &str, named: &Named, place: &Spot<'_>) {
        match &named.patterns {
            None => {
                self.pattern(name, place);
            }
            Some(patterns) => {
                if patterns.is_empty() {
                    self.flaw(
                        Flaw::new(place.name("match"), "matches nothing").hint("write a pattern, or leave it out"),
                    );
                }
                for (number, pattern) in patterns.iter().enumerate() {
                    self.pattern(pattern, &place.name("match").item(number));
                }
            }
        }
        for (number, label) in named.labels.iter().enumerate() {
            self.name("a label", label, &place.name("labels").item(number), Part::Value);
        }
    }

    fn pattern(&mut self, text: &str, place: &Spot<'_>) -> Option<Pattern> {
        match Pattern::parse(text) {
            Ok(pattern) => Some(pattern),
            Err(no) => {
                // The patterns of a declared name are met again in every rule that uses it.
                if !self.has_flaw_under(place) {
                    self.flaw(Flaw::new(place, no.to_string()));
                }
                None
            }
        }
    }

    fn symbol(&mut self, dimension: Dimension, text: &str, place: &Spot<'_>) -> Option<Symbol> {
        let compared = match dimension {
            Dimension::Groups | Dimension::Operations => Compared::Exactly,
            Dimension::Models | Dimension::Datasets | Dimension::Tenants => self.compared,
        };
        if let Some(known) = self.lexicon.dictionary(dimension).known(text, compared) {
            return Some(known);
        }
        let pattern = match dimension {
            Dimension::Groups | Dimension::Operations => Pattern::name(text),
            Dimension::Models | Dimension::Datasets | Dimension::Tenants => self.pattern(text, place)?,
        };
        Some(self.lexicon.dictionary_mut(dimension).add(pattern, compared))
    }

    fn test(&mut self, test: &Test, place: &Spot<'_>, ids: &HashSet<&str>) {
        let (bundle, expect) = (self.bundle, &test.expect);
        let place = place.name("expect");
        for (name, list) in [("rules", &expect.rules), ("near_misses", &expect.near_misses)] {
            for (number, id) in list.iter().enumerate() {
                if !ids.contains(id.as_str()) {
                    let list = place.name(name);
                    let flaw =
                        Flaw::new(list.item(number), format!("`{}` is no rule of this bundle", id.escape_debug()));
                    self.flaw(flaw.maybe_hint(meant(id, ids.iter().copied())));
                }
            }
        }
        for (member, masks) in [("masks", &expect.masks), ("request_masks", &expect.request_masks)] {
            for (number, name) in masks.iter().flatten().enumerate() {
                self.declared("mask", "masks", name, bundle.masks.keys(), &place.name(member).item(number));
            }
        }
        for (number, name) in expect.approvals.iter().flatten().enumerate() {
            let list = place.name("approvals");
            self.declared("approval", "approvals", name, bundle.approvals.keys(), &list.item(number));
        }
        if let Some(name) = &expect.credential {
            self.declared("credential", "credentials", name, bundle.credentials.keys(), &place.name("credential"));
        }
        if let Some(reason) = &expect.reason
            && !Reason::ALL.iter().any(|known| known.as_str() == reason)
        {
            let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
            self.flaw(
                Flaw::new(place.name("reason"), format!("unknown value `{}`", reason.escape_debug()))
                    .hint(format!("known here: {}", known.join(", "))),
            );
        }
    }

    fn declared<'k>(
        &mut self,
        one: &str,
        section: &str,
        name: &str,
        mut known: impl Iterator<Item = &'k String> + Clone,
        place: &Spot<'_>,
    ) {
        if !known.clone().any(|other| other == name) {
            self.undeclared(one, section, name, known.by_ref(), place);
        }
    }

    fn undeclared<'k>(
        &mut self,
        one: &str,
        section: &str,
        name: &str,
        known: impl Iterator<Item = &'k String>,
        place: &Spot<'_>,
    ) {
        let hint = meant(name, known.map(String::as_str)).unwrap_or_else(|| match section {
            "models" | "datasets" => format!("declare it under `{section}`, or write a pattern with `*`"),
            _ => format!("declare it under `{section}`"),
        });
        self.flaw(Flaw::new(place, format!("`{}` is no {one} of this bundle", name.escape_debug())).hint(hint));
    }

    fn credentials_used(&self, allows: &[Rule<Allow>]) -> Vec<Rc<str>> {
        let used: HashSet<&str> = allows.iter().filter_map(|allow| allow.terms.credential.as_deref()).collect();
        self.bundle
            .credentials
            .keys()
            .filter(|name| used.contains(name.as_str()))
            .map(|name| name.as_str().into())
            .collect()
    }
}

fn meant<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    nearest(name, known).map(|meant| format!("did you mean `{meant}`?"))
}

fn with_article(kind: &str) -> String {
    format!("{} {kind}", if kind == "allow" { "an" } else { "a" })
}
