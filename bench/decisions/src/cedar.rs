//! Cedar, natively. A deny is a `forbid`, an allow a `permit`; a guard is a `permit` of an action of its own, which is asked for
//! once the call itself is granted, since Cedar's answers carry no obligations. Requests and entities are made beforehand.

use crate::Outcome;
use crate::world::{Call, Kind, Rule, World};
use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use serde_json::json;
use std::fmt::Write;
use std::str::FromStr;

pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
}

/// A call as Cedar is asked it.
pub struct Asked {
    rerank: Request,
    guard: Request,
    entities: Entities,
}

impl Cedar {
    pub fn load(text: &str) -> Self {
        let policies = PolicySet::from_str(text).expect("policies that are well-formed");
        Self { authorizer: Authorizer::new(), policies }
    }

    pub fn decide(&self, asked: &Asked) -> Outcome {
        let denied = self.authorizer.is_authorized(&asked.rerank, &self.policies, &asked.entities);
        if denied.decision() == Decision::Deny {
            return Outcome::Deny;
        }
        let guards = self.authorizer.is_authorized(&asked.guard, &self.policies, &asked.entities);
        Outcome::of(false, true, 10 * guards.diagnostics().reason().count())
    }
}

impl Asked {
    pub fn new(call: &Call) -> Self {
        let parents: Vec<_> = call.groups.iter().map(|group| json!({"type": "Group", "id": group})).collect();
        let mut entities = vec![json!({"uid": {"type": "User", "id": "ann"}, "attrs": {}, "parents": parents})];
        let mut groups = call.groups.clone();
        groups.sort();
        groups.dedup();
        entities.extend(
            groups.iter().map(|group| json!({"uid": {"type": "Group", "id": group}, "attrs": {}, "parents": []})),
        );
        let entities = Entities::from_json_value(json!(entities), None).expect("entities");
        let request = |action: &str| {
            let context = json!({"model": call.model, "dataset": call.dataset});
            let uid = |text: &str| EntityUid::from_str(text).expect("a name");
            let context = Context::from_json_value(context, None).expect("a context");
            let (principal, resource) = (uid("User::\"ann\""), uid("Service::\"reranker\""));
            Request::new(principal, uid(&format!("Action::\"{action}\"")), resource, context, None).expect("a request")
        };
        Self { rerank: request("rerank"), guard: request("guard"), entities }
    }
}

pub fn text(world: &World) -> String {
    world.rules.iter().fold(String::new(), |mut text, rule| {
        policy(rule, &mut text).expect("a string takes everything");
        text
    })
}

fn policy(rule: &Rule, text: &mut String) -> std::fmt::Result {
    let (effect, action) = match rule.kind {
        Kind::Deny => ("forbid", "rerank"),
        Kind::Guard => ("permit", "guard"),
        Kind::Allow => ("permit", "rerank"),
    };
    let (group, model, dataset) = (rule.group, rule.model(), rule.dataset());
    let dataset = if rule.is_beginning { format!("like \"{dataset}*\"") } else { format!("== \"{dataset}\"") };
    writeln!(
        text,
        "@id(\"{}\") {effect}(principal in Group::\"grp-{group}\", action == Action::\"{action}\", resource) \
         when {{ context.model == \"{model}\" && context.dataset {dataset} }};",
        rule.id
    )
}
