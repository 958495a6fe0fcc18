//! Rules and calls, random but always the same ones.
//!
//! The shape: 1 000 groups, 20 models, 500 datasets. Every rule names one group, one model, one dataset and `rerank`; one rule
//! in ten names a beginning of dataset names instead of one dataset. Of ten rules one denies, two guard (a mask, 10 points of
//! risk, an approval from 20 points on) and seven allow (up to 100 documents). With [`Layout::Spread`] every group has as many
//! rules; with [`Layout::Crowded`] one group, which every caller is in, owns nine rules of ten.
//!
//! A caller is in 8 groups. Every second call is what one of the allows is about, so that something is granted; the others ask
//! for any model on any dataset.

use serde_json::{Map, Value, json};

pub const GROUPS: u64 = 1_000;
const MODELS: u64 = 20;
const DATASETS: u64 = 500;
const GROUPS_OF_A_CALLER: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Spread,
    Crowded,
}

impl Layout {
    pub fn read(name: &str) -> Option<Self> {
        match name {
            "spread" => Some(Self::Spread),
            "crowded" => Some(Self::Crowded),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Deny,
    Guard,
    Allow,
}

/// A rule, before it is written in any engine's language.
pub struct Rule {
    pub id: String,
    pub kind: Kind,
    pub group: u64,
    pub model: u64,
    pub dataset: u64,
    /// All datasets whose names begin so.
    pub is_beginning: bool,
}

pub struct World {
    pub rules: Vec<Rule>,
    pub calls: Vec<Call>,
}

/// A call of at most 100 documents.
pub struct Call {
    pub groups: Vec<String>,
    pub model: String,
    pub dataset: String,
}

impl World {
    pub fn new(rules: u64, calls: usize, layout: Layout) -> Self {
        let mut random = Random(rules);
        let rules: Vec<Rule> = (0..rules).map(|number| Rule::new(number, &mut random, layout)).collect();
        let allows: Vec<&Rule> = rules.iter().filter(|rule| rule.kind == Kind::Allow).collect();
        let calls = (0..calls).map(|number| {
            let mut groups: Vec<u64> = (0..GROUPS_OF_A_CALLER).map(|_| random.below(GROUPS)).collect();
            let (mut model, mut dataset) = (random.below(MODELS), random.below(DATASETS));
            if number % 2 == 0 {
                let meant = allows[random.below(allows.len() as u64) as usize];
                (groups[1], model, dataset) = (meant.group, meant.model, meant.dataset);
            }
            if layout == Layout::Crowded {
                groups[0] = 0;
            }
            let groups = groups.into_iter().map(|group| format!("grp-{group}")).collect();
            Call { groups, model: model_name(model), dataset: format!("set-{dataset}") }
        });
        let calls = calls.collect();
        Self { rules, calls }
    }

    /// The rules as a bundle of rerank-guard.
    pub fn bundle(&self) -> String {
        let groups: Map<String, Value> =
            (0..GROUPS).map(|number| (format!("g{number}"), json!([format!("grp-{number}")]))).collect();
        let datasets: Map<String, Value> = (0..DATASETS).map(|number| (format!("set-{number}"), json!({}))).collect();
        let mut bundle = json!({
            "schema": "rerank-guard/v1",
            "bundle": {"id": "bench", "serial": 1},
            "groups": groups,
            "datasets": datasets,
            "credentials": {"only": {}},
            "masks": {"pii": {"detect": ["email"]}},
            "approvals": {"desk": {"groups": ["leads"], "min": 1, "ttl": "10m"}},
        });
        bundle["rules"] = self.rules.iter().map(Rule::written).collect();
        bundle.to_string()
    }
}

impl Rule {
    fn new(number: u64, random: &mut Random, layout: Layout) -> Self {
        let group = if layout == Layout::Crowded && random.below(10) > 0 { 0 } else { random.below(GROUPS) };
        let (model, is_beginning, dataset) = (random.below(MODELS), random.below(10) == 0, random.below(DATASETS));
        let kind = match random.below(10) {
            0 => Kind::Deny,
            1..=2 => Kind::Guard,
            _ => Kind::Allow,
        };
        Self { id: format!("r{number}"), kind, group, model, dataset, is_beginning }
    }

    pub fn model(&self) -> String {
        model_name(self.model)
    }

    /// The dataset, or the beginning of its name without a `*`.
    pub fn dataset(&self) -> String {
        format!("set-{}", self.dataset)
    }

    fn written(&self) -> Value {
        let star = if self.is_beginning { "*" } else { "" };
        let selectors = json!({"groups": [format!("g{}", self.group)], "models": [self.model()],
            "datasets": [format!("{}{star}", self.dataset())], "operations": ["rerank"]});
        match self.kind {
            Kind::Deny => json!({"id": self.id, "deny": selectors}),
            Kind::Guard => json!({"id": self.id, "guard": selectors, "risk": 10,
                "require": {"masks": ["pii"], "approval": "desk", "when_risk_at_least": 20}}),
            Kind::Allow => json!({"id": self.id, "allow": selectors, "use": "only", "limits": {"documents": 100}}),
        }
    }
}

fn model_name(number: u64) -> String {
    format!("model-{number}")
}

/// Steele, Lea and Flood's SplitMix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
