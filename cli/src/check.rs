//! `rerank-guard check`: is this a bundle, and if not, what is wrong with it and where?

use crate::bundle::{self, Loaded};
use crate::report::{say, say_json};
use crate::{End, Output};
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Bundles in YAML or JSON; `-` is standard input.
    #[arg(required = true)]
    bundles: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let mut end = End::Well;
    let mut files = Vec::new();
    for path in &arguments.bundles {
        match bundle::load(path) {
            Ok(Loaded { policy, .. }) => {
                let (name, rules) = (path.display().to_string(), policy.rules().count());
                if output == Output::Text {
                    say(&format!("{name}: ok, bundle `{}`, serial {}, {rules} rules\n", policy.id(), policy.serial()));
                }
                files.push(json!({"file": name, "ok": true, "bundle": policy.id(), "serial": policy.serial(),
                    "rules": rules, "findings": []}));
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
