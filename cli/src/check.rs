//! `rerank-guard check`: is this a bundle, and if not, what is wrong with it and where?

use crate::bundle::{self, Loaded};
use crate::report::{Severity, say, say_json};
use crate::{End, Output};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Bundles in YAML or JSON; `-` is standard input.
    #[arg(required = true)]
    bundles: Vec<PathBuf>,
    /// Take warnings for findings.
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let mut end = End::Well;
    let mut files = Vec::new();
    for path in &arguments.bundles {
        match bundle::load(path) {
            Ok(Loaded { policy, warnings, source, .. }) => {
                if arguments.strict && !warnings.is_empty() {
                    end = end.max(End::Found);
                }
                let (name, rules) = (path.display().to_string(), policy.rules().count());
                if output == Output::Text {
                    source.print(Severity::Warning, &warnings);
                    say(&format!("{name}: ok, bundle `{}`, serial {}, {rules} rules\n", policy.id(), policy.serial()));
                }
                let warnings: Vec<Value> = warnings.iter().map(|warning| source.json(warning)).collect();
                files.push(json!({"file": name, "ok": true, "bundle": policy.id(), "serial": policy.serial(),
                    "rules": rules, "findings": [], "warnings": warnings}));
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
