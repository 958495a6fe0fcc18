//! `rerank-guard explain`: what does a bundle say about one call, and why?

use crate::bundle::{self, Refused};
use crate::report::{say, say_json};
use crate::{End, Output};
use rerank_guard::policy::{Decision, Effect, Policy, Request};
use rerank_guard::time::Time;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A bundle in YAML or JSON; `-` is standard input.
    bundle: PathBuf,
    /// A call in YAML or JSON, as in the tests of a bundle; the options below come on top of it.
    #[arg(long)]
    request: Option<PathBuf>,
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
    /// When, such as 2027-01-31T08:00:00Z; now where it is not said.
    #[arg(long)]
    at: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let policy = match bundle::load(&arguments.bundle) {
        Ok(loaded) => loaded.policy,
        Err(refused) => return refused.end(&arguments.bundle, output),
    };
    let request = match arguments.request() {
        Ok(request) => request,
        Err(refused) => return refused.end(arguments.request.as_deref().unwrap_or(&arguments.bundle), output),
    };
    let decision = policy.decide(&request.question());
    match output {
        Output::Text => say(&text(&policy, &decision)),
        Output::Json => say_json(&machine(&policy, &decision)),
    }
    if decision.effect == Effect::Allow { End::Well } else { End::Found }
}

impl Arguments {
    fn request(&self) -> Result<Request, Refused> {
        let mut members = match &self.request {
            None => Map::new(),
            Some(path) => match bundle::read(path)?.1.value {
                Value::Object(members) => members,
                _ => return Err(Refused::Unreadable(format!("`{}` holds no object", path.display()))),
            },
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
        members.entry("at").or_insert_with(|| now().to_string().into());
        Request::read(&Value::Object(members)).map_err(|flaw| Refused::Unreadable(format!("no call: {flaw}")))
    }
}

fn claims(given: &[String]) -> Value {
    given.iter().map(|claim| claim.split_once('=').unwrap_or((claim, ""))).collect()
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn text(policy: &Policy, decision: &Decision) -> String {
    let mut lines =
        vec![("decision", decision.effect.as_str().to_owned()), ("reason", decision.reason.as_str().to_owned())];
    let list = |names: &[std::rc::Rc<str>]| names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    if !decision.rules.is_empty() {
        lines.push(("rules", list(&decision.rules)));
    }
    for name in &decision.approvals {
        if let Some(approval) = policy.approval(name) {
            let minutes = approval.ttl.secs_up() / 60;
            let groups = approval.groups.join(", ");
            lines.push(("approval", format!("{name}: {} of {groups}, within {minutes} minutes", approval.min)));
        }
    }
    if !decision.reasons.is_empty() {
        let reasons: Vec<String> = decision.reasons.iter().map(|(rule, points)| format!("{rule} {points}")).collect();
        lines.push(("risk", format!("{} ({})", decision.risk, reasons.join(", "))));
    }
    if !decision.masks.is_empty() {
        lines.push(("masks", list(&decision.masks)));
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
    for miss in &decision.near_misses {
        lines.push(("near miss", format!("{}, but for its {}", miss.rule, miss.what)));
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

fn machine(policy: &Policy, decision: &Decision) -> Value {
    let names = |names: &[std::rc::Rc<str>]| names.iter().map(|name| Value::from(&**name)).collect::<Vec<_>>();
    let near_misses: Vec<Value> =
        decision.near_misses.iter().map(|miss| json!({"rule": &*miss.rule, "what": miss.what.as_str()})).collect();
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
        "request_masks": names(&decision.request_masks),
        "credential": decision.credential.as_deref(),
        "approvals": names(&decision.approvals),
        "shadow": decision.shadow.as_ref().map(|shadow| json!({"decision": shadow.effect.as_str(), "rules": names(&shadow.rules)})),
        "bundle": {"id": policy.id(), "serial": policy.serial()},
    })
}
