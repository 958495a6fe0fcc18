//! rerank-guard itself.

use crate::Outcome;
use crate::world::Call;
use rerank_guard::policy::{Effect, Policy, Question, Stated};
use rerank_guard::time::Time;
use serde_json::{Map, Value};
use std::hint::black_box;

pub struct Ours {
    policy: Policy,
    claims: Map<String, Value>,
    /// Nothing is found in a call, and its caller did nothing before: no rule of these bundles asks.
    facts: Stated,
}

impl Ours {
    /// Reads the bundle, checks it and builds the index.
    pub fn load(bundle: &str) -> Self {
        let policy = Policy::load(bundle.as_bytes()).unwrap_or_else(|flaws| panic!("{:?}", flaws.first()));
        Self { policy, claims: Map::new(), facts: Stated::default() }
    }

    pub fn decide(&self, call: &Call) -> Outcome {
        let decision = black_box(self.policy.decide(&self.question(call)));
        match decision.effect {
            Effect::Allow => Outcome::Allow,
            Effect::Ask => Outcome::Ask,
            Effect::Deny => Outcome::Deny,
        }
    }

    /// The call as the bench's bundles look at it.
    fn question<'a>(&'a self, call: &'a Call) -> Question<'a> {
        Question {
            now: Time::from_secs(1_800_000_000),
            subject: "ann",
            issuer: "https://idp.example",
            groups: &call.groups,
            claims: &self.claims,
            model: &call.model,
            dataset: &call.dataset,
            tenant: None,
            operation: "rerank",
            documents: 50,
            query_bytes: 200,
            document_bytes: 2000,
            top_n: 10,
            return_documents: false,
            parameters: &[],
            facts: &self.facts,
        }
    }
}
