//! `rerank-guard diff`: who can do more, and who less, with another bundle?
//!
//! Both bundles decide on one small call for every group, model, dataset and tenant that either of them names; a pattern stands
//! for itself with each `*` read as `x`, and one name of each kind is unknown to both. What needs several groups at once, a
//! claim or an hour is not tried.

use crate::bundle;
use crate::explain::now;
use crate::report::{say, say_json, unable};
use crate::{End, Output};
use rerank_guard::policy::{Bundle, Decision, Effect, Limits, Policy, Question, Selectors};
use rerank_guard::time::Time;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
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
    let (changes, tried) = changes(&World::of(&[old, new]), before, after, at);
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
            say(&text);
        }
        Output::Json => {
            let changes: Vec<Value> = changes.iter().map(Change::json).collect();
            say_json(&json!({"tried": tried, "widened": widened, "narrowed": narrowed, "changed": other,
                "changes": changes}));
        }
    }
    if changes.iter().any(|change| change.widens) { End::Found } else { End::Well }
}

/// What either bundle names.
struct World {
    groups: BTreeSet<String>,
    models: BTreeSet<String>,
    datasets: BTreeSet<String>,
    /// None is a call without one.
    tenants: BTreeSet<Option<String>>,
}

impl World {
    fn of(bundles: &[&Bundle]) -> Self {
        let unknown = || BTreeSet::from(["unknown".to_owned()]);
        let mut world =
            Self { groups: unknown(), models: unknown(), datasets: unknown(), tenants: BTreeSet::from([None]) };
        for bundle in bundles {
            world.groups.extend(bundle.groups.values().flatten().cloned());
            for (declared, names) in [(&bundle.models, &mut world.models), (&bundle.datasets, &mut world.datasets)] {
                for (name, named) in declared {
                    names.extend(
                        named.patterns.as_ref().unwrap_or(&vec![name.clone()]).iter().map(|text| witness(text)),
                    );
                }
            }
            for selectors in bundle.rules.iter().flat_map(|rule| [&rule.deny, &rule.guard, &rule.allow]).flatten() {
                let Selectors { models, datasets, tenants, .. } = selectors;
                let undeclared = |list: &Option<Vec<String>>, declared: &dyn Fn(&String) -> bool| -> Vec<String> {
                    list.iter().flatten().filter(|text| !declared(text)).map(|text| witness(text)).collect()
                };
                world.models.extend(undeclared(models, &|text| bundle.models.contains_key(text)));
                world.datasets.extend(undeclared(datasets, &|text| bundle.datasets.contains_key(text)));
                world.tenants.extend(undeclared(tenants, &|_| false).into_iter().map(Some));
            }
        }
        world
    }
}

fn witness(pattern: &str) -> String {
    pattern.replace('*', "x")
}

/// A call on which two bundles decide differently.
struct Change {
    way: Way,
    /// Whether anything about it is wider.
    widens: bool,
    group: String,
    model: String,
    dataset: String,
    tenant: Option<String>,
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
    fn call(&self) -> String {
        let tenant = self.tenant.as_ref().map(|tenant| format!(" for {tenant}")).unwrap_or_default();
        format!("{} on {} with {}{tenant}", self.group, self.dataset, self.model)
    }

    fn json(&self) -> Value {
        json!({"way": self.way.as_str(), "group": self.group, "model": self.model, "dataset": self.dataset,
            "tenant": self.tenant, "operation": "rerank", "what": self.what})
    }
}

fn changes(world: &World, before: &Policy, after: &Policy, at: Time) -> (Vec<Change>, usize) {
    let (claims, mut changes, mut tried) = (Map::new(), Vec::new(), 0usize);
    for group in &world.groups {
        let groups = [group.clone()];
        for dataset in &world.datasets {
            for model in &world.models {
                for tenant in &world.tenants {
                    let question = Question {
                        now: at,
                        subject: "",
                        issuer: "",
                        groups: &groups,
                        claims: &claims,
                        model,
                        dataset,
                        tenant: tenant.as_deref(),
                        operation: "rerank",
                        documents: 1,
                        query_bytes: 1,
                        document_bytes: 1,
                        top_n: 1,
                        return_documents: false,
                        parameters: &[],
                    };
                    tried = tried.saturating_add(1);
                    if let Some((way, widens, what)) = compared(&before.decide(&question), &after.decide(&question)) {
                        let (group, model, dataset) = (group.clone(), model.clone(), dataset.clone());
                        changes.push(Change { way, widens, group, model, dataset, tenant: tenant.clone(), what });
                    }
                }
            }
        }
    }
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
        if before.limits.parameters != after.limits.parameters {
            (wider, narrower) = (true, true);
            what.push("other parameters".to_owned());
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
