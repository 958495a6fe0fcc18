//! How long a decision takes, by the number of rules, natively or in WebAssembly:
//!
//! ```text
//! cargo run --release --example decide
//! cargo build --release --example decide --target wasm32-wasip1   # then run it under any WASI host
//! ```
//!
//! The bundles are random but always the same: 1 000 groups, 20 models, 500 datasets, one rule in ten on a beginning of dataset
//! names; a caller in 8 groups. `spread` gives every group as many rules; in `crowded` one group, which every caller is in,
//! owns nine rules of ten.

use rerank_guard::policy::{Effect, Policy, Question};
use rerank_guard::time::Time;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    println!("{:>8} {:>8} {:>10} {:>10} {:>12}   effects", "rules", "groups", "load ms", "us/call", "slowest us");
    for crowded in [false, true] {
        for rules in [1_000, 10_000, 100_000] {
            measure(rules, crowded);
        }
    }
}

fn measure(rules: u64, crowded: bool) {
    let bundle = bundle(rules, crowded).to_string();
    let begun = Instant::now();
    let policy = match Policy::load(bundle.as_bytes()) {
        Ok(policy) => policy,
        Err(flaws) => {
            println!("the generated bundle has {} flaws, such as {:?}", flaws.len(), flaws.first());
            return;
        }
    };
    let load = begun.elapsed();
    let mut random = Random(7);
    let calls: Vec<(Vec<String>, String, String)> = (0..500).map(|_| call(&mut random, crowded)).collect();
    let claims = serde_json::Map::new();
    let mut effects = [0u32; 3];
    let mut slowest = 0.0f64;
    let (rounds, mut decided) = (20, 0u32);
    let begun = Instant::now();
    for round in 0..rounds {
        for (groups, model, dataset) in &calls {
            let question = question(groups, &claims, model, dataset);
            let one = Instant::now();
            let decision = black_box(policy.decide(black_box(&question)));
            if round > 0 {
                slowest = slowest.max(one.elapsed().as_secs_f64());
            }
            decided = decided.saturating_add(1);
            match decision.effect {
                Effect::Allow => effects[0] = effects[0].saturating_add(1),
                Effect::Ask => effects[1] = effects[1].saturating_add(1),
                Effect::Deny => effects[2] = effects[2].saturating_add(1),
            }
        }
    }
    let took = begun.elapsed();
    println!(
        "{rules:>8} {:>8} {:>10.1} {:>10.2} {:>12.1}   {effects:?}",
        if crowded { "crowded" } else { "spread" },
        load.as_secs_f64() * 1e3,
        took.as_secs_f64() * 1e6 / f64::from(decided),
        slowest * 1e6,
    );
}

/// Nothing is found in a call, and its caller did nothing before.
static NOTHING: std::sync::LazyLock<rerank_guard::policy::Stated> = std::sync::LazyLock::new(Default::default);

fn question<'a>(
    groups: &'a [String],
    claims: &'a serde_json::Map<String, Value>,
    model: &'a str,
    dataset: &'a str,
) -> Question<'a> {
    Question {
        now: Time::from_secs(1_800_000_000),
        subject: "ann",
        issuer: "https://idp.example",
        groups,
        claims,
        model,
        dataset,
        tenant: None,
        operation: "rerank",
        documents: 50,
        query_bytes: 200,
        document_bytes: 2000,
        top_n: 10,
        return_documents: false,
        parameters: &[],
        facts: &*NOTHING,
    }
}

fn call(random: &mut Random, crowded: bool) -> (Vec<String>, String, String) {
    let mut groups: Vec<String> = (0..8).map(|_| format!("grp-{}", random.below(1000))).collect();
    if crowded && let Some(first) = groups.first_mut() {
        "grp-0".clone_into(first);
    }
    (groups, format!("model-{}", random.below(20)), format!("set-{}", random.below(500)))
}

fn bundle(rules: u64, crowded: bool) -> Value {
    let mut random = Random(rules);
    let groups: serde_json::Map<String, Value> =
        (0..1000).map(|number| (format!("g{number}"), json!([format!("grp-{number}")]))).collect();
    let datasets: serde_json::Map<String, Value> =
        (0..500).map(|number| (format!("set-{number}"), json!({}))).collect();
    let rules: Vec<Value> = (0..rules).map(|number| rule(number, &mut random, crowded)).collect();
    json!({
        "schema": "rerank-guard/v1",
        "bundle": {"id": "bench", "serial": 1},
        "groups": groups,
        "datasets": datasets,
        "credentials": {"only": {}},
        "masks": {"pii": {"detect": ["email"]}},
        "approvals": {"desk": {"groups": ["leads"], "min": 1, "ttl": "10m"}},
        "rules": rules,
    })
}

fn rule(number: u64, random: &mut Random, crowded: bool) -> Value {
    let group = if crowded && random.below(10) > 0 { 0 } else { random.below(1000) };
    let model = format!("model-{}", random.below(20));
    let dataset = match random.below(10) {
        0 => format!("set-{}*", random.below(500)),
        _ => format!("set-{}", random.below(500)),
    };
    let selectors =
        json!({"groups": [format!("g{group}")], "models": [model], "datasets": [dataset], "operations": ["rerank"]});
    match random.below(10) {
        0 => json!({"id": format!("r{number}"), "deny": selectors}),
        1..=2 => json!({"id": format!("r{number}"), "guard": selectors, "risk": 10,
            "require": {"masks": ["pii"], "approval": "desk", "when_risk_at_least": 20}}),
        _ => json!({"id": format!("r{number}"), "allow": selectors, "use": "only", "limits": {"documents": 100}}),
    }
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
