//! The tests a bundle brings along: calls, and what must come out.

use super::Policy;
use super::bundle::{Expect, Force, Request, Test};
use super::decide::{Decision, Effect, Question};
use crate::diagnostic::{Flaw, Words, read};
use serde_json::Value;
use std::rc::Rc;

/// What came out of one test.
#[derive(Debug)]
pub struct Outcome<'p> {
    /// The test.
    pub test: &'p Test,
    /// The decision.
    pub decision: Decision,
    /// Where the decision is not what the test expects; none when it passed.
    pub differences: Vec<Difference>,
}

/// Where a decision is not what a test expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The member of `expect`.
    pub member: &'static str,
    /// What it expects.
    pub expected: String,
    /// What came out.
    pub got: String,
}

impl<'p> Outcome<'p> {
    pub(super) fn of(policy: &Policy, test: &'p Test) -> Self {
        let decision = policy.decide(&test.request.question());
        let differences = test.expect.differences(&decision);
        Self { test, decision, differences }
    }
}

impl Request {
    /// Reads a call written by hand.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn read(document: &Value) -> Result<Self, Flaw> {
        read(document, Words::Bundle)
    }

    /// A call of nobody, with one document.
    #[must_use]
    pub fn about(model: &str, dataset: &str) -> Self {
        let operation = super::OPERATIONS.first().copied().unwrap_or_default().to_owned();
        Self { model: model.to_owned(), dataset: dataset.to_owned(), operation, documents: 1, ..Self::default() }
    }

    /// The request as the policy is asked it.
    #[must_use]
    pub fn question(&self) -> Question<'_> {
        Question {
            now: self.at,
            subject: &self.sub,
            issuer: &self.iss,
            groups: &self.groups,
            claims: &self.claims,
            model: &self.model,
            dataset: &self.dataset,
            tenant: self.tenant.as_deref(),
            operation: &self.operation,
            documents: self.documents,
            query_bytes: self.query_bytes,
            document_bytes: self.document_bytes,
            top_n: self.top_n.unwrap_or(self.documents),
            return_documents: self.return_documents,
            parameters: &self.parameters,
            facts: &self.signals,
        }
    }
}

impl Expect {
    fn differences(&self, decision: &Decision) -> Vec<Difference> {
        let mut compared = vec![
            same("decision", Some(self.decision.as_str()), decision.effect.as_str()),
            among("rules", &self.rules, &decision.rules),
            self.masks.as_ref().and_then(|masks| all("masks", masks, &decision.masks)),
            self.request_masks.as_ref().and_then(|masks| all("request_masks", masks, &decision.request_masks)),
            self.approvals.as_ref().and_then(|approvals| all("approvals", approvals, &decision.approvals)),
            self.force.filter(|force| *force != decision.force).map(|force| Difference {
                member: "force",
                expected: written(force),
                got: written(decision.force),
            }),
            same("credential", self.credential.as_deref(), decision.credential.as_deref().unwrap_or("none")),
            same("risk", self.risk.map(|risk| risk.to_string()).as_deref(), &decision.risk.to_string()),
            same("reason", self.reason.as_deref(), decision.reason.as_str()),
        ];
        let near: Vec<Rc<str>> = decision.near_misses.iter().map(|miss| Rc::clone(&miss.rule)).collect();
        compared.push(among("near_misses", &self.near_misses, &near));
        let shadow = decision.shadow.as_ref().map_or("none", |shadow| shadow.effect.as_str());
        compared.push(same("shadow", self.shadow.map(Effect::as_str), shadow));
        compared.into_iter().flatten().collect()
    }
}

fn written(force: Force) -> String {
    serde_json::to_string(&force).unwrap_or_default()
}

fn same(member: &'static str, expected: Option<&str>, got: &str) -> Option<Difference> {
    let expected = expected.filter(|expected| *expected != got)?;
    Some(Difference { member, expected: expected.to_owned(), got: got.to_owned() })
}

/// Rules come and go: a test names those it is about.
fn among(member: &'static str, expected: &[String], got: &[Rc<str>]) -> Option<Difference> {
    let there = expected.iter().all(|expected| got.iter().any(|got| **got == **expected));
    (!there).then(|| Difference { member, expected: list(expected), got: list(got) })
}

/// One mask or approval too few is a leak, one too many a surprise.
fn all(member: &'static str, expected: &[String], got: &[Rc<str>]) -> Option<Difference> {
    let mut sorted: Vec<&str> = expected.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let equal = sorted.iter().copied().eq(got.iter().map(|name| &**name));
    (!equal).then(|| Difference { member, expected: list(expected), got: list(got) })
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    format!("[{}]", names.join(", "))
}
