//! `rerank-guard test`: does a bundle decide as its own tests say, and which rules do they reach?

use crate::bundle::{self, Loaded};
use crate::report::{say, say_json, unable};
use crate::{End, Output};
use rerank_guard::policy::{Difference, Outcome, Policy};
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
    /// Write the results into this file as well, as JUnit XML.
    #[arg(long)]
    junit: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let mut end = End::Well;
    let (mut files, mut suites) = (Vec::new(), String::new());
    for path in &arguments.bundles {
        let name = path.display().to_string();
        match bundle::load(path) {
            Ok(Loaded { policy, .. }) => {
                let run = Run::of(&policy);
                if !run.passed() || (arguments.require_coverage && !run.uncovered.is_empty()) {
                    end = end.max(End::Found);
                }
                suites.push_str(&run.junit(&name));
                match output {
                    Output::Text => say(&run.text(&name)),
                    Output::Json => files.push(run.json(&name)),
                }
            }
            Err(refused) => {
                let (how, value) = refused.tell(path, output);
                end = end.max(how);
                suites.push_str(&format!(
                    "<testsuite name=\"{0}\" tests=\"1\" failures=\"1\"><testcase name=\"{0} loads\"><failure message=\"it does \
                     not\"/></testcase></testsuite>\n",
                    escaped(&path.display().to_string())
                ));
                files.push(value);
            }
        }
    }
    if let Some(path) = &arguments.junit {
        let report = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{suites}</testsuites>\n");
        if let Err(error) = std::fs::write(path, report) {
            return unable(&format!("cannot write `{}`: {error}", path.display()), output);
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

    fn junit(&self, file: &str) -> String {
        let failed = self.outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count();
        let (file, tests) = (escaped(file), self.outcomes.len());
        let mut suite = format!("<testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failed}\">\n");
        for outcome in &self.outcomes {
            // Writing to a string cannot fail.
            let _ = write!(suite, "  <testcase classname=\"{file}\" name=\"{}\">", escaped(&outcome.test.name));
            for Difference { member, expected, got } in &outcome.differences {
                let message = escaped(&format!("{member}: expected {expected}, got {got}"));
                let _ = write!(suite, "<failure message=\"{message}\"/>");
            }
            suite.push_str("</testcase>\n");
        }
        suite.push_str("</testsuite>\n");
        suite
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

/// Text for an attribute of XML 1.0, which has no way at all to write most control characters.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
        escaped
    })
}
