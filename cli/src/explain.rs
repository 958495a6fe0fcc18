//! `rerank-guard explain`: what does a bundle say about one call, and why?

use crate::bundle::{self, Refused};
use crate::report::{say, say_json};
use crate::why::why;
use crate::{End, Output};
use rerank_guard::policy::{Decision, Effect, Force, Policy, Request};
use rerank_guard::time::{Span, Time};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A bundle in YAML or JSON; `-` is standard input.
    bundle: PathBuf,
    /// A call in YAML or JSON, as in the tests of a bundle; the options below come on top of it.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// A call out of audit records, such as an access log: the last one in it, at the time it came. Records hold no claims: give
    /// those with `--claim`.
    #[arg(long, value_name = "FILE", conflicts_with = "request")]
    record: Option<PathBuf>,
    /// Of the records, the one with this decision id.
    #[arg(long, value_name = "ID", requires = "record")]
    decision_id: Option<String>,
    /// The caller's subject.
    #[arg(long)]
    sub: Option<String>,
    /// The caller's issuer.
    #[arg(long)]
    iss: Option<String>,
    /// A group of the caller, as the identity provider names it; once for each.
    #[arg(long = "group")]
    groups: Vec<String>,
    /// The model.
    #[arg(long)]
    model: Option<String>,
    /// The dataset.
    #[arg(long)]
    dataset: Option<String>,
    /// The tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// The operation; `rerank` where it is not said.
    #[arg(long)]
    operation: Option<String>,
    /// How many documents; 1 where it is not said.
    #[arg(long)]
    documents: Option<u64>,
    /// Bytes of the query.
    #[arg(long)]
    query_bytes: Option<u64>,
    /// Bytes of the largest document.
    #[arg(long)]
    document_bytes: Option<u64>,
    /// Results asked for; all documents where it is not said.
    #[arg(long)]
    top_n: Option<u64>,
    /// The response shall repeat the documents.
    #[arg(long)]
    return_documents: bool,
    /// A further parameter of the call, by name; once for each.
    #[arg(long = "parameter")]
    parameters: Vec<String>,
    /// A claim of the caller, as `name=value`; once for each.
    #[arg(long = "claim")]
    claims: Vec<String>,
    /// A kind of personal data in the call, such as `iban`; once for each.
    #[arg(long = "pii")]
    pii: Vec<String>,
    /// A sensitive term in the call; once for each.
    #[arg(long = "term")]
    terms: Vec<String>,
    /// What the caller uses for the first time: `model` or `dataset`; once for each.
    #[arg(long = "first-use")]
    first_use: Vec<String>,
    /// The caller's calls in this minute, this one counted.
    #[arg(long)]
    calls_per_minute: Option<u64>,
    /// The documents of those calls.
    #[arg(long)]
    documents_per_minute: Option<u64>,
    /// When, such as 2027-01-31T08:00:00Z; now where it is not said.
    #[arg(long)]
    at: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let (policy, bundle) = match bundle::load(&arguments.bundle) {
        Ok(loaded) => (loaded.policy, loaded.bundle),
        Err(refused) => return refused.end(&arguments.bundle, output),
    };
    let request = match arguments.request() {
        Ok(request) => request,
        Err(refused) => {
            let file = arguments.request.as_deref().or(arguments.record.as_deref());
            return refused.end(file.unwrap_or(&arguments.bundle), output);
        }
    };
    let decision = policy.decide(&request.question());
    let near: Vec<Near<'_>> = decision
        .near_misses
        .iter()
        .map(|miss| Near { rule: &miss.rule, what: miss.what.as_str(), why: why(&bundle, &request, miss) })
        .collect();
    match output {
        Output::Text => say(&text(&policy, &decision, &near)),
        Output::Json => say_json(&machine(&policy, &decision, &near)),
    }
    if decision.effect == Effect::Allow { End::Well } else { End::Found }
}

impl Arguments {
    fn request(&self) -> Result<Request, Refused> {
        let mut members = match (&self.request, &self.record) {
            (Some(path), _) => match bundle::read(path)?.1.value {
                Value::Object(members) => members,
                _ => return Err(Refused::Unreadable(format!("`{}` holds no object", path.display()))),
            },
            (None, Some(path)) => recorded(path, self.decision_id.as_deref())?,
            (None, None) => Map::new(),
        };
        for (name, given) in [
            ("sub", self.sub.clone().map(Value::from)),
            ("iss", self.iss.clone().map(Value::from)),
            ("groups", (!self.groups.is_empty()).then(|| Value::from(self.groups.clone()))),
            ("model", self.model.clone().map(Value::from)),
            ("dataset", self.dataset.clone().map(Value::from)),
            ("tenant", self.tenant.clone().map(Value::from)),
            ("operation", self.operation.clone().map(Value::from)),
            ("documents", self.documents.map(Value::from)),
            ("query_bytes", self.query_bytes.map(Value::from)),
            ("document_bytes", self.document_bytes.map(Value::from)),
            ("top_n", self.top_n.map(Value::from)),
            ("return_documents", self.return_documents.then_some(Value::Bool(true))),
            ("parameters", (!self.parameters.is_empty()).then(|| Value::from(self.parameters.clone()))),
            ("claims", (!self.claims.is_empty()).then(|| claims(&self.claims))),
            ("at", self.at.clone().map(Value::from)),
        ] {
            if let Some(given) = given {
                members.insert(name.to_owned(), given);
            }
        }
        let signals = [
            ("pii", (!self.pii.is_empty()).then(|| Value::from(self.pii.clone()))),
            ("terms", (!self.terms.is_empty()).then(|| Value::from(self.terms.clone()))),
            ("first_use", (!self.first_use.is_empty()).then(|| Value::from(self.first_use.clone()))),
            ("calls_per_minute", self.calls_per_minute.map(Value::from)),
            ("documents_per_minute", self.documents_per_minute.map(Value::from)),
        ];
        for (name, given) in signals {
            if let (Some(given), Some(stated)) =
                (given, members.entry("signals").or_insert_with(|| json!({})).as_object_mut())
            {
                stated.insert(name.to_owned(), given);
            }
        }
        members.entry("at").or_insert_with(|| now().to_string().into());
        Request::read(&Value::Object(members)).map_err(|flaw| Refused::Unreadable(format!("no call: {flaw}")))
    }
}

/// The call of the last record in a file, or of the one with this id, as the tests of a bundle write calls.
fn recorded(path: &Path, id: Option<&str>) -> Result<Map<String, Value>, Refused> {
    let name = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| Refused::Unreadable(format!("cannot read `{name}`: {error}")))?;
    // An access log holds each record in an array, which is empty where the module failed; records of bundles stand before the
    // call's.
    let record = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let record = match line.get("record") {
            Some(Value::Array(records)) => records.last()?.clone(),
            _ => line,
        };
        let is_asked = id.is_none_or(|id| record.get("decision_id").and_then(Value::as_str) == Some(id));
        (is_asked && record.pointer("/call/model").is_some_and(Value::is_string)).then_some(record)
    };
    let Some(record) = text.lines().rev().find_map(record) else {
        let what = id.map_or("a call that could be read".to_owned(), |id| format!("the decision id `{id}`"));
        return Err(Refused::Unreadable(format!("no record of `{name}` has {what}")));
    };
    let mut members = Map::new();
    let places = [("sub", "/actor/sub"), ("iss", "/actor/iss"), ("groups", "/actor/groups"), ("at", "/time")];
    let of_call = [
        "model",
        "dataset",
        "tenant",
        "operation",
        "documents",
        "query_bytes",
        "document_bytes",
        "top_n",
        "return_documents",
        "parameters",
    ];
    let of_call = of_call.map(|name| (name, format!("/call/{name}")));
    let places = places.iter().map(|(name, place)| (*name, (*place).to_owned())).chain(of_call);
    for (name, place) in places {
        if let Some(value) = record.pointer(&place).filter(|value| !value.is_null()) {
            members.insert(name.to_owned(), value.clone());
        }
    }
    Ok(members)
}

/// An allow that nearly matched.
struct Near<'d> {
    rule: &'d str,
    what: &'static str,
    why: String,
}

fn claims(given: &[String]) -> Value {
    given.iter().map(|claim| claim.split_once('=').unwrap_or((claim, ""))).collect()
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn text(policy: &Policy, decision: &Decision, near: &[Near<'_>]) -> String {
    let mut lines =
        vec![("decision", decision.effect.as_str().to_owned()), ("reason", decision.reason.as_str().to_owned())];
    let list = |names: &[std::rc::Rc<str>]| names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    if !decision.rules.is_empty() {
        lines.push(("rules", list(&decision.rules)));
    }
    for name in &decision.approvals {
        if let Some(approval) = policy.approval(name) {
            let groups = approval.groups.join(", ");
            lines.push(("approval", format!("{name}: {} of {groups}, within {}", approval.min, span(approval.ttl))));
        }
    }
    if !decision.reasons.is_empty() {
        let reasons: Vec<String> = decision.reasons.iter().map(|(rule, points)| format!("{rule} {points}")).collect();
        lines.push(("risk", format!("{} ({})", decision.risk, reasons.join(", "))));
    }
    if !decision.masks.is_empty() {
        lines.push(("masks", list(&decision.masks)));
    }
    let forced = forced(decision);
    if !forced.is_empty() {
        let forced: Vec<String> = forced.into_iter().map(|(name, value)| format!("{name} {value}")).collect();
        lines.push(("forced", forced.join(", ")));
    }
    if !decision.request_masks.is_empty() {
        lines.push(("request masks", list(&decision.request_masks)));
    }
    if decision.effect != Effect::Deny {
        lines.push(("credential", decision.credential.as_deref().unwrap_or("none").to_owned()));
        let limits: Vec<String> = limits(decision).into_iter().map(|(name, limit)| format!("{name} {limit}")).collect();
        if !limits.is_empty() {
            lines.push(("limits", limits.join(", ")));
        }
    }
    for Near { rule, what, why } in near {
        lines.push(("near miss", format!("{rule}, but for its {what}: {why}")));
    }
    if let Some(shadow) = &decision.shadow {
        lines.push(("shadow", format!("{} with {}", shadow.effect.as_str(), list(&shadow.rules))));
    }
    lines.push(("bundle", format!("{}, serial {}", policy.id(), policy.serial())));
    lines.into_iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<11} {value}");
        text
    })
}

/// A span in its largest whole unit.
fn span(span: Span) -> String {
    let seconds = span.secs_up();
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let whole = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or(format!("{seconds} seconds"), |(unit, name)| format!("{} {name}", seconds / unit))
}

fn limits(decision: &Decision) -> Vec<(&'static str, Value)> {
    let limits = &decision.limits;
    [
        ("documents", limits.documents.map(Value::from)),
        ("query_bytes", limits.query_bytes.map(Value::from)),
        ("document_bytes", limits.document_bytes.map(Value::from)),
        ("top_n", limits.top_n.map(Value::from)),
        ("return_documents", limits.return_documents.map(Value::from)),
        ("parameters", limits.parameters.clone().map(Value::from)),
    ]
    .into_iter()
    .filter_map(|(name, limit)| Some((name, limit?)))
    .collect()
}

fn forced(decision: &Decision) -> Vec<(&'static str, Value)> {
    let Force { return_documents, top_n } = decision.force;
    [("return_documents", return_documents.map(Value::from)), ("top_n", top_n.map(Value::from))]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn machine(policy: &Policy, decision: &Decision, near: &[Near<'_>]) -> Value {
    let names = |names: &[std::rc::Rc<str>]| names.iter().map(|name| Value::from(&**name)).collect::<Vec<_>>();
    let near_misses: Vec<Value> =
        near.iter().map(|Near { rule, what, why }| json!({"rule": rule, "what": what, "why": why})).collect();
    let reasons: Vec<Value> =
        decision.reasons.iter().map(|(rule, points)| json!({"rule": &**rule, "points": points})).collect();
    let limits: Map<String, Value> =
        limits(decision).into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect();
    json!({
        "decision": decision.effect.as_str(),
        "reason": decision.reason.as_str(),
        "rules": names(&decision.rules),
        "near_misses": near_misses,
        "risk": decision.risk,
        "reasons": reasons,
        "limits": limits,
        "masks": names(&decision.masks),
        "force": forced(decision).into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
        "request_masks": names(&decision.request_masks),
        "credential": decision.credential.as_deref(),
        "approvals": names(&decision.approvals),
        "shadow": decision.shadow.as_ref().map(|shadow| json!({"decision": shadow.effect.as_str(), "rules": names(&shadow.rules)})),
        "bundle": {"id": policy.id(), "serial": policy.serial()},
    })
}
