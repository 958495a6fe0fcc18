//! From a [`Bundle`](super::Bundle) to rules that mean something: every name resolved, every pattern compiled, every
//! obligation known to be possible. All flaws are found in one go.

use super::bundle::{Bundle, Force, Limits, Mode, Named, OPERATIONS, Rule as Written, Selectors, Test};
use super::flaw::{Flaw, Part, Place, Spot, nearest};
use super::glob::Pattern;
use super::index::{Dimension, Reach};
use super::lexicon::{Lexicon, Symbol};
use super::read::Draft;
use super::when::{Condition, When};
use super::{Approval, Reason};
use crate::mask;
use crate::time::{Span, Time};
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
}

impl<'b> Checker<'b> {
    fn new(bundle: &'b Bundle) -> Self {
        Self { bundle, flaws: Vec::new(), lexicon: Lexicon::default() }
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
        if let Some(known) = self.lexicon.dictionary(dimension).known(text) {
            return Some(known);
        }
        let pattern = match dimension {
            Dimension::Groups | Dimension::Operations => Pattern::name(text),
            Dimension::Models | Dimension::Datasets | Dimension::Tenants => self.pattern(text, place)?,
        };
        Some(self.lexicon.dictionary_mut(dimension).add(pattern))
    }

    fn rule(&mut self, number: usize, id: Rc<str>, rule: &Written, place: &Spot<'_>, into: &mut Checked) {
        let kinds = [("deny", &rule.deny), ("guard", &rule.guard), ("allow", &rule.allow)];
        let mut present = kinds.iter().filter_map(|(kind, selectors)| Some((*kind, selectors.as_ref()?)));
        let (Some((kind, selectors)), None) = (present.next(), present.next()) else {
            self.flaw(Flaw::new(place, "a rule is exactly one of `deny`, `guard` and `allow`"));
            return;
        };
        let belongs = |kinds: &[&str]| kinds.contains(&kind);
        for (name, there, right) in [
            ("require", rule.require.is_some(), belongs(&["guard"])),
            ("risk", rule.risk.is_some(), belongs(&["guard"])),
            ("limits", rule.limits.is_some(), belongs(&["guard", "allow"])),
            ("use", rule.credential.is_some(), belongs(&["allow"])),
            ("precedence", rule.precedence.is_some(), belongs(&["allow"])),
            ("expires", rule.expires.is_some(), belongs(&["allow"])),
        ] {
            if there && !right {
                let hint = match name {
                    "expires" => "only an allow can end by itself: what forbids stays until somebody removes it",
                    "use" | "precedence" => "only an allow goes upstream under a credential",
                    "limits" => "a deny has no limits: write a guard",
                    _ => "write a guard for the same calls: it binds every allow, also those added later",
                };
                let mut flaw = Flaw::new(place.name(name), format!("`{name}` cannot stand in {}", with_article(kind)));
                flaw.part = Part::Name;
                self.flaw(flaw.hint(hint));
            }
        }
        let reach = self.reach(selectors, kind, &place.name(kind));
        let when = rule.when.as_ref().and_then(|when| Condition::check(when, &place.name("when"), &mut self.flaws));
        let when = when.map(Box::new);
        if kind == "allow" {
            for name in rule.when.iter().flat_map(When::signals) {
                let mut flaw = Flaw::new(place.name("when").name(name), format!("`{name}` cannot stand in an allow"));
                flaw.part = Part::Name;
                self.flaw(
                    flaw.hint("signals of risk are for denies and guards: a signal that is missing must not grant"),
                );
            }
        }
        let limits = self.limits(rule.limits.as_ref(), &place.name("limits"));
        let mode = rule.mode;
        match kind {
            "deny" => into.denies.push(Rule { id, mode, reach, when, terms: (), place: number }),
            "guard" => {
                let terms = self.guard(rule, limits, place);
                into.guards.push(Rule { id, mode, reach, when, terms, place: number });
            }
            _ => {
                let credential = rule.credential.as_deref();
                if let Some(name) = credential {
                    let known = self.bundle.credentials.keys();
                    self.declared("credential", "credentials", name, known, &place.name("use"));
                }
                let terms = Allow {
                    limits,
                    credential: credential.map(Rc::from),
                    precedence: rule.precedence.unwrap_or(0),
                    expires: rule.expires,
                };
                into.allows.push(Rule { id, mode, reach, when, terms, place: number });
            }
        }
    }

    fn guard(&mut self, rule: &Written, limits: Limits, place: &Spot<'_>) -> Guard {
        let mut guard = Guard { limits, risk: rule.risk.unwrap_or(0), ..Guard::default() };
        if let Some(require) = &rule.require {
            let place = place.name("require");
            if let Some(name) = &require.approval {
                let known = self.bundle.approvals.keys();
                self.declared("approval", "approvals", name, known, &place.name("approval"));
                guard.approval = Some(name.as_str().into());
            }
            for (member, masks, into) in [
                ("masks", &require.masks, &mut guard.masks),
                ("request_masks", &require.request_masks, &mut guard.request_masks),
            ] {
                for (number, name) in masks.iter().enumerate() {
                    let known = self.bundle.masks.keys();
                    self.declared("mask", "masks", name, known, &place.name(member).item(number));
                    into.push(name.as_str().into());
                }
            }
            guard.force = require.force;
            let (force, written) = (place.name("force"), require.force);
            if written.return_documents == Some(true) {
                self.flaw(
                    Flaw::new(force.name("return_documents"), "forces what nobody minds")
                        .hint("write `false`, or leave it out"),
                );
            }
            if written.top_n == Some(0) {
                self.flaw(Flaw::new(force.name("top_n"), "no results at all").hint("write at least 1, or a deny"));
            }
            guard.deny_at = require.deny_when_risk_at_least;
            if guard.deny_at == Some(0) {
                self.flaw(
                    Flaw::new(place.name("deny_when_risk_at_least"), "denies whatever it matches")
                        .hint("write a `deny`"),
                );
            }
            guard.threshold = require.when_risk_at_least.unwrap_or(0);
            if require.when_risk_at_least.is_some() && require.approval.is_none() {
                self.flaw(
                    Flaw::new(place.name("when_risk_at_least"), "nothing to do at that risk")
                        .hint("name an `approval`"),
                );
            }
        }
        let asks = guard.force != Force::default()
            || !guard.masks.is_empty()
            || !guard.request_masks.is_empty()
            || guard.approval.is_some()
            || guard.deny_at.is_some();
        if guard.risk == 0 && !asks && guard.limits == Limits::default() {
            self.flaw(
                Flaw::new(place, "a guard that asks for nothing")
                    .hint("give it `require`, `limits` or `risk`, or take it out"),
            );
        }
        guard
    }

    /// A threshold that no call can reach would be an approval that never happens.
    fn thresholds(&mut self, guards: &[Rule<Guard>]) {
        let sum = |counted: &dyn Fn(Mode) -> bool| {
            let guards = guards.iter().filter(|guard| counted(guard.mode));
            guards.fold(0u32, |sum, guard| sum.saturating_add(guard.terms.risk))
        };
        let (enforced, all) = (sum(&|mode| mode == Mode::Enforce), sum(&|_| true));
        for guard in guards {
            let most = if guard.mode == Mode::Enforce { enforced } else { all };
            for (name, threshold) in [
                ("when_risk_at_least", guard.terms.threshold),
                ("deny_when_risk_at_least", guard.terms.deny_at.unwrap_or_default()),
            ] {
                if threshold > most {
                    let rules = Spot::Root.name("rules");
                    let rule = rules.item(guard.place);
                    self.flaw(
                        Flaw::new(rule.name("require").name(name), "no call reaches that risk")
                            .hint(format!("the guards' `risk` of this bundle sums up to {most}")),
                    );
                }
            }
        }
    }

    fn reach(&mut self, selectors: &Selectors, kind: &str, place: &Spot<'_>) -> Reach {
        let labelled = selectors.labels.as_ref().map(|labels| self.labelled(labels, &place.name("labels")));
        if labelled.is_some() && selectors.datasets.is_some() {
            let flaw = Flaw::new(place.name("labels"), "`labels` and `datasets` both say which datasets");
            self.flaw(flaw.hint("write one of them"));
        }
        let lists = [
            ("groups", selectors.groups.as_ref(), true),
            ("models", selectors.models.as_ref(), true),
            ("datasets", selectors.datasets.as_ref().or(labelled.as_ref()), true),
            ("tenants", selectors.tenants.as_ref(), false),
            ("operations", selectors.operations.as_ref(), true),
        ];
        let absent: Vec<String> = lists
            .iter()
            .filter(|(_, list, needed)| *needed && list.is_none())
            .map(|(name, _, _)| format!("`{name}`"))
            .collect();
        if kind == "allow" && !absent.is_empty() {
            self.flaw(
                Flaw::new(place, format!("an allow without {}", absent.join(", ")))
                    .hint("say what it grants; `[\"*\"]` is all models or datasets"),
            );
        }
        for (name, list, _) in lists {
            let unlabelled = name == "datasets" && labelled.is_some();
            if !unlabelled && list.is_some_and(Vec::is_empty) {
                self.flaw(
                    Flaw::new(place.name(name), "an empty list matches nothing")
                        .hint("name something, or leave it out"),
                );
            }
        }
        let mut reach = Reach::default();
        for (dimension, (name, list, _)) in Dimension::ALL.into_iter().zip(lists) {
            let symbols = list.map(|list| {
                let mut symbols = self.symbols(dimension, list, &place.name(name));
                symbols.sort_unstable();
                symbols.dedup();
                symbols.into_boxed_slice()
            });
            if let Some(slot) = reach.0.get_mut(dimension as usize) {
                *slot = symbols;
            }
        }
        reach
    }

    /// The datasets that have one of the labels.
    fn labelled(&mut self, labels: &[String], place: &Spot<'_>) -> Vec<String> {
        let bundle = self.bundle;
        if labels.is_empty() {
            self.flaw(Flaw::new(place, "an empty list matches nothing").hint("name something, or leave it out"));
        }
        for (number, label) in labels.iter().enumerate() {
            let mut known = bundle.datasets.values().flat_map(|named| &named.labels);
            if !known.any(|other| other == label) {
                let known = bundle.datasets.values().flat_map(|named| &named.labels).map(String::as_str);
                let hint = meant(label, known).unwrap_or_else(|| "give a dataset that label".to_owned());
                let what = format!("`{}` is no label of this bundle", label.escape_debug());
                self.flaw(Flaw::new(place.item(number), what).hint(hint));
            }
        }
        let having = |named: &Named| labels.iter().any(|label| named.labels.contains(label));
        bundle.datasets.iter().filter(|(_, named)| having(named)).map(|(name, _)| name.clone()).collect()
    }

    /// What the entries of a selector stand for.
    fn symbols(&mut self, dimension: Dimension, list: &[String], place: &Spot<'_>) -> Vec<Symbol> {
        let bundle = self.bundle;
        let mut symbols = Vec::with_capacity(list.len());
        for (number, text) in list.iter().enumerate() {
            let place = place.item(number);
            match dimension {
                Dimension::Groups => match bundle.groups.get(text) {
                    Some(groups) => {
                        symbols.extend(groups.iter().filter_map(|group| self.symbol(dimension, group, &place)))
                    }
                    None => self.undeclared("group", "groups", text, bundle.groups.keys(), &place),
                },
                Dimension::Models => {
                    // A bundle that declares no models leaves their names to the rules.
                    let free = bundle.models.is_empty();
                    self.selected(dimension, ("model", "models"), text, &bundle.models, free, &place, &mut symbols);
                }
                Dimension::Datasets => {
                    self.selected(
                        dimension,
                        ("dataset", "datasets"),
                        text,
                        &bundle.datasets,
                        false,
                        &place,
                        &mut symbols,
                    );
                }
                Dimension::Tenants => symbols.extend(self.symbol(dimension, text, &place)),
                Dimension::Operations if OPERATIONS.contains(&text.as_str()) => {
                    symbols.extend(self.symbol(dimension, text, &place));
                }
                Dimension::Operations => self.flaw(
                    Flaw::new(place, format!("`{}` is no operation", text.escape_debug()))
                        .hint(format!("known: {}", OPERATIONS.join(", "))),
                ),
            }
        }
        symbols
    }

    /// The patterns behind a declared name, or a pattern that stands for itself: one with a `*`, or any where `free` says that
    /// names need no declaration.
    #[allow(clippy::too_many_arguments, reason = "one step of `symbols`, named")]
    fn selected(
        &mut self,
        dimension: Dimension,
        (one, section): (&str, &str),
        text: &str,
        declared: &BTreeMap<String, Named>,
        free: bool,
        place: &Spot<'_>,
        symbols: &mut Vec<Symbol>,
    ) {
        match declared.get(text) {
            Some(Named { patterns: Some(own), .. }) => {
                let section = Spot::Root.name(section);
                let there = section.name(text);
                symbols.extend(own.iter().filter_map(|pattern| self.symbol(dimension, pattern, &there)));
            }
            Some(Named { patterns: None, .. }) => symbols.extend(self.symbol(dimension, text, place)),
            None if free || text.contains('*') => symbols.extend(self.symbol(dimension, text, place)),
            None => self.undeclared(one, section, text, declared.keys(), place),
        }
    }

    fn limits(&mut self, written: Option<&Limits>, place: &Spot<'_>) -> Limits {
        let limits = written.cloned().unwrap_or_default();
        for (name, limit) in [
            ("documents", limits.documents),
            ("query_bytes", limits.query_bytes),
            ("document_bytes", limits.document_bytes),
            ("top_n", limits.top_n),
        ] {
            if limit == Some(0) {
                self.flaw(Flaw::new(place.name(name), "no call keeps to 0").hint("write at least 1, or a deny"));
            }
        }
        if limits.return_documents == Some(true) {
            self.flaw(
                Flaw::new(place.name("return_documents"), "limits nothing").hint("write `false`, or leave it out"),
            );
        }
        if written.is_some() && limits == Limits::default() {
            self.flaw(Flaw::new(place, "no limits").hint("name one, or leave `limits` out"));
        }
        limits
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
