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
    /// Fail when a rule decides in none of the tests: the same as `--min-coverage 100`.
    #[arg(long)]
    require_coverage: bool,
    /// Fail when fewer rules than this decide in some test, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Write the results into this file as well, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let mut end = End::Well;
    let wanted = if arguments.require_coverage { 100 } else { arguments.min_coverage.unwrap_or(0) };
    let (mut files, mut suites) = (Vec::new(), String::new());
    for path in &arguments.bundles {
        let name = path.display().to_string();
        match bundle::load(path) {
            Ok(Loaded { policy, .. }) => {
                let run = Run::of(&policy);
                if !run.passed() || !run.covers(wanted) {
                    end = end.max(End::Found);
                }
                suites.push_str(&run.junit(&name, wanted));
                match output {
                    Output::Text => say(&run.text(&name, wanted)),
                    Output::Json => files.push(run.json(&name, wanted)),
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

    /// Whether at least this percentage of the rules decides in some test.
    fn covers(&self, percent: u8) -> bool {
        let covered = self.rules.saturating_sub(self.uncovered.len());
        covered.saturating_mul(100) >= self.rules.saturating_mul(usize::from(percent))
    }

    /// What is short of the coverage that was asked for.
    fn shortfall(&self, wanted: u8) -> Option<String> {
        (!self.covers(wanted))
            .then(|| format!("less than {wanted} % of the rules decide in some test: {}", self.uncovered.join(", ")))
    }

    fn text(&self, file: &str, wanted: u8) -> String {
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
        if !self.covers(wanted) {
            let _ = write!(text, "; FAILED: {wanted} % must be covered");
        }
        text.push('\n');
        text
    }

    fn junit(&self, file: &str, wanted: u8) -> String {
        // Coverage is a case of its own where it is asked for, and so is that there are tests at all.
        let none = self.outcomes.is_empty().then(|| "a bundle without tests does not pass".to_owned());
        let own = [("there are tests", none.is_some(), none), ("coverage", wanted > 0, self.shortfall(wanted))];
        let own: Vec<_> =
            own.into_iter().filter(|(_, asked, _)| *asked).map(|(name, _, failure)| (name, failure)).collect();
        let failed = self.outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count();
        let failed = failed.saturating_add(own.iter().filter(|(_, failure)| failure.is_some()).count());
        let (file, tests) = (escaped(file), self.outcomes.len().saturating_add(own.len()));
        let mut suite = format!("<testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failed}\">\n");
        for outcome in &self.outcomes {
            // Writing to a string cannot fail.
            let _ = write!(suite, "  <testcase classname=\"{file}\" name=\"{}\">", escaped(&outcome.test.name));
            // Readers take one failure a case.
            let differences: Vec<String> = outcome
                .differences
                .iter()
                .map(|Difference { member, expected, got }| format!("{member}: expected {expected}, got {got}"))
                .collect();
            if !differences.is_empty() {
                let _ = write!(suite, "<failure message=\"{}\"/>", escaped(&differences.join("; ")));
            }
            suite.push_str("</testcase>\n");
        }
        for (name, failure) in own {
            let failure = failure.map(|why| format!("<failure message=\"{}\"/>", escaped(&why))).unwrap_or_default();
            let _ = writeln!(suite, "  <testcase classname=\"{file}\" name=\"{name}\">{failure}</testcase>");
        }
        suite.push_str("</testsuite>\n");
        suite
    }

    fn json(&self, file: &str, wanted: u8) -> Value {
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
        json!({"file": file, "ok": self.passed() && self.covers(wanted), "tests": tests, "rules": self.rules, "uncovered": self.uncovered})
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
