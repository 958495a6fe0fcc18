//! `rerank-guard diff`: who can do more, and who less, with another bundle?
//!
//! Both bundles decide on calls for every group, model, dataset and tenant that either of them names; a pattern stands for itself
//! with each `*` read as `x`, and one name of each kind is unknown to both. Each is tried as one small call, and as the calls that
//! a rule is about which only one of the bundles has: with its claims, in its hours, as large as its limits, and with its group
//! beside every other.

use crate::bundle;
use crate::explain::now;
use crate::progress::Progress;
use crate::report::{say, say_json, unable};
use crate::{End, Output};
use rerank_guard::policy::{Bundle, Decision, Effect, Limits, Policy, Question, Request, WrittenRule};
use rerank_guard::time::{Span, Time};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The bundle that is in force, in YAML or JSON.
    old: PathBuf,
    /// The bundle that would come after it.
    new: PathBuf,
    /// When the calls are, such as 2027-01-31T08:00:00Z; now where it is not said.
    #[arg(long)]
    at: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let at = match arguments.at.as_deref().map(Time::parse) {
        None => now(),
        Some(Some(at)) => at,
        Some(None) => return unable("`--at` is no date: write 2027-01-31 or 2027-01-31T08:00:00Z", output),
    };
    let mut both = Vec::new();
    for path in [&arguments.old, &arguments.new] {
        match bundle::load(path) {
            Ok(loaded) => both.push((loaded.bundle, loaded.policy)),
            Err(refused) => return refused.end(path, output),
        }
    }
    let [(old, before), (new, after)] = &both[..] else { return End::Unable };
    let differing = differing(old, new);
    let world = World::of(&[old, new], &differing, at);
    let (changes, tried) = changes(&world, before, after);
    let count = |way| changes.iter().filter(|change| change.way == way).count();
    let (widened, narrowed, other) = (count(Way::Wider), count(Way::Narrower), count(Way::Other));
    match output {
        Output::Text => {
            let mut text = changes.iter().fold(String::new(), |mut text, change| {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{:<8} {}: {}", change.way.as_str(), change.call(), change.what.join(", "));
                text
            });
            let _ = writeln!(
                text,
                "{tried} calls tried: {widened} widened, {narrowed} narrowed, {other} otherwise changed"
            );
            let ids: BTreeSet<&str> = differing.iter().map(|rule| rule.id.as_str()).collect();
            if changes.is_empty() && !ids.is_empty() {
                let ids: Vec<&str> = ids.into_iter().collect();
                let _ = writeln!(
                    text,
                    "rules that differ without any of these calls being decided otherwise: {}",
                    ids.join(", ")
                );
            }
            say(&text);
        }
        Output::Json => {
            let changes: Vec<Value> = changes.iter().map(Change::json).collect();
            let rules: BTreeSet<&str> = differing.iter().map(|rule| rule.id.as_str()).collect();
            say_json(&json!({"tried": tried, "widened": widened, "narrowed": narrowed, "changed": other,
                "changes": changes, "rules": rules}));
        }
    }
    if changes.iter().any(|change| change.widens) { End::Found } else { End::Well }
}

/// The rules, in either version, that are not the same in both bundles. What they name may differ, too: then all of them do.
fn differing<'b>(old: &'b Bundle, new: &'b Bundle) -> Vec<&'b WrittenRule> {
    let same_names = old.groups == new.groups && old.models == new.models && old.datasets == new.datasets;
    let missing = |from: &'b Bundle, other: &'b Bundle| {
        let others: BTreeMap<&str, &WrittenRule> = other.rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
        from.rules.iter().filter(move |rule| !same_names || others.get(rule.id.as_str()) != Some(rule))
    };
    missing(old, new).chain(missing(new, old)).collect()
}

/// What is tried.
struct World {
    /// Groups of one caller.
    groups: Vec<Vec<String>>,
    models: BTreeSet<String>,
    datasets: BTreeSet<String>,
    /// None is a call without one.
    tenants: BTreeSet<Option<String>>,
    /// How else calls are. The first one is small, now, and without claims.
    calls: Vec<Request>,
}

impl World {
    fn of(bundles: &[&Bundle], differing: &[&WrittenRule], at: Time) -> Self {
        let unknown = || BTreeSet::from(["unknown".to_owned()]);
        let mut groups = unknown();
        let (mut models, mut datasets, mut tenants) = (unknown(), unknown(), BTreeSet::from([None]));
        for bundle in bundles {
            groups.extend(bundle.groups.values().flatten().cloned());
            for (declared, names) in [(&bundle.models, &mut models), (&bundle.datasets, &mut datasets)] {
                for (name, named) in declared {
                    names.extend(
                        named.patterns.as_ref().unwrap_or(&vec![name.clone()]).iter().map(|text| witness(text)),
                    );
                }
            }
            for selectors in bundle.rules.iter().flat_map(|rule| [&rule.deny, &rule.guard, &rule.allow]).flatten() {
                let undeclared = |list: &Option<Vec<String>>, declared: &dyn Fn(&String) -> bool| -> Vec<String> {
                    list.iter().flatten().filter(|text| !declared(text)).map(|text| witness(text)).collect()
                };
                models.extend(undeclared(&selectors.models, &|text| bundle.models.contains_key(text)));
                datasets.extend(undeclared(&selectors.datasets, &|text| bundle.datasets.contains_key(text)));
                tenants.extend(undeclared(&selectors.tenants, &|_| false).into_iter().map(Some));
            }
        }
        // What forbids to one group forbids to whoever is in it as well: so its group goes with every other.
        let companions: BTreeSet<&String> = differing
            .iter()
            .flat_map(|rule| [&rule.deny, &rule.guard])
            .flatten()
            .filter_map(|selectors| selectors.groups.as_ref())
            .flatten()
            .filter_map(|alias| bundles.iter().find_map(|bundle| bundle.groups.get(alias)?.first()))
            .collect();
        let mut callers: Vec<Vec<String>> = groups.iter().map(|group| vec![group.clone()]).collect();
        for companion in companions {
            let others = groups.iter().filter(|group| *group != companion);
            callers.extend(others.map(|group| vec![group.clone(), companion.clone()]));
        }
        let mut calls = vec![small(at)];
        for call in differing.iter().flat_map(|rule| about(rule, at)) {
            if !calls.contains(&call) {
                calls.push(call);
            }
        }
        Self { groups: callers, models, datasets, tenants, calls }
    }

    fn tried(&self) -> usize {
        [self.groups.len(), self.models.len(), self.datasets.len(), self.tenants.len(), self.calls.len()]
            .into_iter()
            .fold(1usize, usize::saturating_mul)
    }
}

fn witness(pattern: &str) -> String {
    pattern.replace('*', "x")
}

/// A call of which only who, with what and on what is still to be said.
fn small(at: Time) -> Request {
    Request { at, query_bytes: 1, document_bytes: 1, top_n: Some(1), ..Request::about("", "") }
}

/// The calls that a rule is about, beyond its selectors: under its conditions, and also as large as its limits.
fn about(rule: &WrittenRule, at: Time) -> Vec<Request> {
    let mut call = small(at);
    if let Some(when) = &rule.when {
        for (claim, values) in &when.claims {
            if let Some(value) = values.first() {
                say_claim(&mut call.claims, claim, value);
            }
        }
        // The first hour of the week from now on in which the condition holds, if any does.
        let hour = Span::from_secs(3_600);
        let mut time = at;
        for _ in 0..24 * 7 {
            if when.has_hour(time) {
                call.at = time;
                break;
            }
            time = time.plus(hour);
        }
    }
    let Some(limits) = &rule.limits else { return vec![call] };
    let large = Request {
        documents: limits.documents.unwrap_or(call.documents),
        query_bytes: limits.query_bytes.unwrap_or(call.query_bytes),
        document_bytes: limits.document_bytes.unwrap_or(call.document_bytes),
        top_n: limits.top_n.or(call.top_n),
        parameters: limits.parameters.clone().unwrap_or_default(),
        ..call.clone()
    };
    let repeated = Request { return_documents: true, ..call.clone() };
    vec![call, large, repeated]
}

/// A claim, or a member inside of one, by its JSON pointer.
fn say_claim(claims: &mut Map<String, Value>, name: &str, value: &str) {
    let Some(pointer) = name.strip_prefix('/') else {
        claims.insert(name.to_owned(), value.into());
        return;
    };
    let steps: Vec<String> = pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let Some((last, outer)) = steps.split_last() else { return };
    let mut members = claims;
    for step in outer {
        let inner = members.entry(step.clone()).or_insert_with(|| json!({}));
        match inner {
            Value::Object(inner) => members = inner,
            _ => return,
        }
    }
    members.insert(last.clone(), value.into());
}

/// A call on which two bundles decide differently.
struct Change {
    way: Way,
    /// Whether anything about it is wider.
    widens: bool,
    groups: Vec<String>,
    call: Request,
    what: Vec<String>,
}

/// Which way a call changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Wider,
    Narrower,
    /// Wider in one thing and narrower in another, or only under another credential.
    Other,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Self::Wider => "widened",
            Self::Narrower => "narrowed",
            Self::Other => "changed",
        }
    }
}

impl Change {
    /// The call in words: who, on what, with what, and what else is special about it.
    fn call(&self) -> String {
        let Request { model, dataset, tenant, claims, documents, query_bytes, document_bytes, top_n, .. } = &self.call;
        let mut text = format!("{} on {dataset} with {model}", self.groups.join(" + "));
        if let Some(tenant) = tenant {
            let _ = write!(text, " for {tenant}");
        }
        let sizes = [
            ("documents", *documents),
            ("query_bytes", *query_bytes),
            ("document_bytes", *document_bytes),
            ("top_n", top_n.unwrap_or(1)),
        ];
        for (name, size) in sizes.into_iter().filter(|(_, size)| *size > 1) {
            let _ = write!(text, ", {name} {size}");
        }
        if self.call.return_documents {
            text.push_str(", documents repeated");
        }
        if !self.call.parameters.is_empty() {
            let _ = write!(text, ", {}", self.call.parameters.join(" and "));
        }
        if !claims.is_empty() {
            let _ = write!(text, ", claims {}", Value::Object(claims.clone()));
        }
        text
    }

    fn json(&self) -> Value {
        let Request { model, dataset, tenant, claims, documents, query_bytes, document_bytes, top_n, .. } = &self.call;
        json!({"way": self.way.as_str(), "widens": self.widens, "groups": self.groups, "model": model, "dataset": dataset,
            "tenant": tenant, "operation": self.call.operation, "documents": documents, "query_bytes": query_bytes,
            "document_bytes": document_bytes, "top_n": top_n, "return_documents": self.call.return_documents,
            "parameters": self.call.parameters, "claims": claims, "at": self.call.at, "what": self.what})
    }
}

fn changes(world: &World, before: &Policy, after: &Policy) -> (Vec<Change>, usize) {
    let tried = world.tried();
    let mut progress = Progress::new("diff", u64::try_from(tried).unwrap_or(u64::MAX));
    let mut changes = Vec::new();
    for groups in &world.groups {
        for dataset in &world.datasets {
            for model in &world.models {
                for tenant in &world.tenants {
                    // What is told of the small call need not be told again of others.
                    let mut told: Vec<Vec<String>> = Vec::new();
                    for call in &world.calls {
                        let question =
                            Question { groups, model, dataset, tenant: tenant.as_deref(), ..call.question() };
                        let found = compared(&before.decide(&question), &after.decide(&question));
                        if let Some((way, widens, what)) = found.filter(|(_, _, what)| !told.contains(what)) {
                            told.push(what.clone());
                            let (model, dataset, tenant) = (model.clone(), dataset.clone(), tenant.clone());
                            let call = Request { model, dataset, tenant, ..call.clone() };
                            changes.push(Change { way, widens, groups: groups.clone(), call, what });
                        }
                    }
                    progress.advance(world.calls.len());
                }
            }
        }
    }
    progress.clear();
    (changes, tried)
}

fn compared(before: &Decision, after: &Decision) -> Option<(Way, bool, Vec<String>)> {
    let (mut wider, mut narrower, mut what) = (false, false, Vec::new());
    if before.effect != after.effect {
        wider |= after.effect < before.effect;
        narrower |= after.effect > before.effect;
        what.push(format!("{} -> {}", before.effect.as_str(), after.effect.as_str()));
    }
    if before.effect != Effect::Deny && after.effect != Effect::Deny {
        for (kind, before, after) in [
            ("mask", &before.masks, &after.masks),
            ("request mask", &before.request_masks, &after.request_masks),
            ("approval", &before.approvals, &after.approvals),
        ] {
            for lost in before.iter().filter(|name| !after.contains(name)) {
                wider = true;
                what.push(format!("without {kind} {lost}"));
            }
            for more in after.iter().filter(|name| !before.contains(name)) {
                narrower = true;
                what.push(format!("with {kind} {more}"));
            }
        }
        if before.risk != after.risk {
            // Less risk is less that somebody would be asked about.
            wider |= after.risk < before.risk;
            narrower |= after.risk > before.risk;
            what.push(format!("risk {} -> {}", before.risk, after.risk));
        }
        for (name, before, after) in limits(&before.limits, &after.limits) {
            if before != after {
                // None is no limit at all.
                let looser = before.is_some_and(|before| after.is_none_or(|after| after > before));
                wider |= looser;
                narrower |= !looser;
                let text = |limit: Option<u64>| limit.map_or("any".to_owned(), |limit| limit.to_string());
                what.push(format!("{name} {} -> {}", text(before), text(after)));
            }
        }
        let (had, has) = (&before.limits.parameters, &after.limits.parameters);
        if had != has {
            // None is no limit at all.
            let within = |inner: &Option<Vec<String>>, outer: &Option<Vec<String>>| match (inner, outer) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(inner), Some(outer)) => inner.iter().all(|name| outer.contains(name)),
            };
            wider |= !within(has, had);
            narrower |= !within(had, has);
            let text = |list: &Option<Vec<String>>| {
                list.as_ref().map_or("any".to_owned(), |list| format!("[{}]", list.join(", ")))
            };
            what.push(format!("parameters {} -> {}", text(had), text(has)));
        }
        if before.credential != after.credential {
            let name = |credential: &Option<std::rc::Rc<str>>| credential.as_deref().unwrap_or("none").to_owned();
            what.push(format!("credential {} -> {}", name(&before.credential), name(&after.credential)));
        }
    }
    let way = match (wider, narrower) {
        (true, false) => Way::Wider,
        (false, true) => Way::Narrower,
        _ => Way::Other,
    };
    (!what.is_empty()).then_some((way, wider, what))
}

/// Limits of both, as numbers: `return_documents` is 0 where it is forbidden.
fn limits(before: &Limits, after: &Limits) -> [(&'static str, Option<u64>, Option<u64>); 5] {
    let returns = |limits: &Limits| limits.return_documents.map(u64::from);
    [
        ("documents", before.documents, after.documents),
        ("query_bytes", before.query_bytes, after.query_bytes),
        ("document_bytes", before.document_bytes, after.document_bytes),
        ("top_n", before.top_n, after.top_n),
        ("return_documents", returns(before), returns(after)),
    ]
}
