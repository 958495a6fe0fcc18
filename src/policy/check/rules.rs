//! Rules, one at a time: what they reach, what they add or grant, and their limits.

use super::{Allow, Checked, Checker, Guard, Rule, meant, with_article};
use crate::diagnostic::{Flaw, Part, Spot};
use crate::policy::bundle::{Force, Limits, Mode, Named, OPERATIONS, Rule as Written, Selectors};
use crate::policy::index::{Dimension, Reach};
use crate::policy::lexicon::{Compared, Symbol};
use crate::policy::when::{Condition, When};
use std::collections::BTreeMap;
use std::rc::Rc;

impl Checker<'_> {
    pub(super) fn rule(&mut self, number: usize, id: Rc<str>, rule: &Written, place: &Spot<'_>, into: &mut Checked) {
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
    pub(super) fn thresholds(&mut self, guards: &[Rule<Guard>]) {
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
        self.compared = if kind == "allow" { Compared::Exactly } else { Compared::Folded };
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
}
