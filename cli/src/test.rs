//! `rerank-guard test`: does a bundle decide as its own tests say, and which rules do they reach?

use crate::bundle::{self, Loaded};
use crate::report::{say, say_json};
use crate::{End, Output};
use rerank_guard::policy::{Outcome, Policy};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Bundles in YAML or JSON; `-` is standard input.
    #[arg(required = true)]
    bundles: Vec<PathBuf>,
    /// Fail when a rule decides in none of the tests.
    #[arg(long)]
    require_coverage: bool,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let mut end = End::Well;
    let mut files = Vec::new();
    for path in &arguments.bundles {
        let name = path.display().to_string();
        match bundle::load(path) {
            Ok(Loaded { policy, .. }) => {
                let run = Run::of(&policy);
                if !run.passed() || (arguments.require_coverage && !run.uncovered.is_empty()) {
                    end = end.max(End::Found);
                }
                match output {
                    Output::Text => say(&run.text(&name)),
                    Output::Json => files.push(run.json(&name)),
                }
            }
            Err(refused) => {
                let (how, value) = refused.tell(path, output);
                end = end.max(how);
                files.push(value);
            }
        }
    }
    if output == Output::Json {
        say_json(&json!({"ok": end == End::Well, "files": files}));
    }
    end
}

/// The tests of one bundle, run.
struct Run<'p> {
    outcomes: Vec<Outcome<'p>>,
    rules: usize,
    /// Rules that decided in no test.
    uncovered: Vec<String>,
}

impl<'p> Run<'p> {
    fn of(policy: &'p Policy) -> Self {
        let outcomes: Vec<Outcome<'p>> = policy.run_tests().collect();
        let shadows = outcomes.iter().filter_map(|outcome| outcome.decision.shadow.as_ref());
        let covered: BTreeSet<&str> = outcomes
            .iter()
            .flat_map(|outcome| &outcome.decision.rules)
            .chain(shadows.flat_map(|shadow| &shadow.rules))
            .map(|rule| &**rule)
            .collect();
        let uncovered = policy.rules().filter(|rule| !covered.contains(&***rule)).map(ToString::to_string).collect();
        Self { rules: policy.rules().count(), uncovered, outcomes }
    }

    /// Nothing tested is nothing passed.
    fn passed(&self) -> bool {
        !self.outcomes.is_empty() && self.outcomes.iter().all(|outcome| outcome.differences.is_empty())
    }

    fn text(&self, file: &str) -> String {
        let mut text = String::new();
        for outcome in &self.outcomes {
            let word = if outcome.differences.is_empty() { "ok" } else { "FAILED" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{file}: {word}: {}", outcome.test.name);
            for difference in &outcome.differences {
                let _ = writeln!(
                    text,
                    "    {}: expected {}, got {}",
                    difference.member, difference.expected, difference.got
                );
            }
        }
        let failed = self.outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count();
        let covered = self.rules.saturating_sub(self.uncovered.len());
        let _ = write!(
            text,
            "{file}: {} tests, {failed} failed, {covered} of {} rules covered",
            self.outcomes.len(),
            self.rules
        );
        if self.outcomes.is_empty() {
            text.push_str("; a bundle without tests does not pass");
        } else if !self.uncovered.is_empty() {
            let _ = write!(text, "; not covered: {}", self.uncovered.join(", "));
        }
        text.push('\n');
        text
    }

    fn json(&self, file: &str) -> Value {
        let tests: Vec<Value> = self
            .outcomes
            .iter()
            .map(|outcome| {
                let differences: Vec<Value> = outcome
                    .differences
                    .iter()
                    .map(|one| json!({"member": one.member, "expected": one.expected, "got": one.got}))
                    .collect();
                json!({"name": outcome.test.name, "ok": differences.is_empty(), "differences": differences})
            })
            .collect();
        json!({"file": file, "ok": self.passed(), "tests": tests, "rules": self.rules, "uncovered": self.uncovered})
    }
}
