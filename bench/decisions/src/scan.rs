//! The rules one after the other, as a first version would do it.

use crate::Outcome;
use crate::world::{Call, Kind, World};

pub struct Scan(Vec<Rule>);

struct Rule {
    kind: Kind,
    group: String,
    model: String,
    dataset: String,
    is_beginning: bool,
}

impl Scan {
    pub fn load(world: &World) -> Self {
        let rule = |rule: &crate::world::Rule| Rule {
            kind: rule.kind,
            group: format!("grp-{}", rule.group),
            model: rule.model(),
            dataset: rule.dataset(),
            is_beginning: rule.is_beginning,
        };
        Self(world.rules.iter().map(rule).collect())
    }

    pub fn decide(&self, call: &Call) -> Outcome {
        let (mut denied, mut granted, mut risk) = (false, false, 0);
        for rule in &self.0 {
            let in_dataset =
                if rule.is_beginning { call.dataset.starts_with(&rule.dataset) } else { call.dataset == rule.dataset };
            if in_dataset && call.model == rule.model && call.groups.contains(&rule.group) {
                match rule.kind {
                    Kind::Deny => denied = true,
                    Kind::Guard => risk += 10,
                    Kind::Allow => granted = true,
                }
            }
        }
        Outcome::of(denied, granted, risk)
    }
}
