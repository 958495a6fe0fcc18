//! Rego in regorus, natively. The rules are data, by their group: what Rego's own advice on speed asks for.

use crate::Outcome;
use crate::world::{Call, Kind, World};
use regorus::{Engine, Value};
use serde_json::json;
use std::collections::BTreeMap;

const MODULE: &str = r#"
package guard
import rego.v1

default outcome := "deny"

in_dataset(rule) if rule.dataset == input.dataset
in_dataset(rule) if startswith(input.dataset, rule.beginning)

matching[kind] contains rule.id if {
    some group in input.groups
    some rule in data.rules[group]
    rule.model == input.model
    in_dataset(rule)
    kind := rule.kind
}

granted if {
    count(matching.allow) > 0
    not matching.deny
}

risk := 10 * count(matching.guard)

asked if risk >= 20

outcome := "ask" if {
    granted
    asked
}

outcome := "allow" if {
    granted
    not asked
}
"#;

pub struct Rego(Engine);

impl Rego {
    pub fn load(data: &str) -> Self {
        let mut engine = Engine::new();
        engine.add_policy("guard.rego".to_owned(), MODULE.to_owned()).expect("a module that compiles");
        engine.add_data(Value::from_json_str(data).expect("JSON")).expect("data");
        Self(engine)
    }

    pub fn decide(&mut self, asked: &Value) -> Outcome {
        self.0.set_input(asked.clone());
        let outcome = self.0.eval_rule("data.guard.outcome".to_owned()).expect("an answer");
        match outcome.as_string().expect("a text").as_ref() {
            "allow" => Outcome::Allow,
            "ask" => Outcome::Ask,
            _ => Outcome::Deny,
        }
    }
}

pub fn asked(call: &Call) -> Value {
    let input = json!({"groups": call.groups, "model": call.model, "dataset": call.dataset});
    Value::from_json_str(&input.to_string()).expect("JSON")
}

pub fn data(world: &World) -> String {
    let mut by_group: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    for rule in &world.rules {
        let kind = match rule.kind {
            Kind::Deny => "deny",
            Kind::Guard => "guard",
            Kind::Allow => "allow",
        };
        let dataset = if rule.is_beginning { "beginning" } else { "dataset" };
        let rule_data = json!({"id": rule.id, "kind": kind, "model": rule.model(), dataset: rule.dataset()});
        by_group.entry(format!("grp-{}", rule.group)).or_default().push(rule_data);
    }
    json!({"rules": by_group}).to_string()
}
