//! `rerank-guard compile`: from YAML to the JSON that the module reads.

use crate::bundle::{self, Loaded};
use crate::report::{say, say_json, unable};
use crate::{End, Output};
use rerank_guard::policy::Policy;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A bundle in YAML or JSON; `-` is standard input.
    bundle: PathBuf,
    /// The file to write; standard output without it.
    #[arg(short, long)]
    into: Option<PathBuf>,
    /// Keep the tests, which the module does not need.
    #[arg(long)]
    with_tests: bool,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let loaded = match bundle::load(&arguments.bundle) {
        Ok(loaded) => loaded,
        Err(refused) => return refused.end(&arguments.bundle, output),
    };
    let compiled = compiled(loaded, arguments.with_tests);
    // What is shipped is what was loaded, so it is loaded once more as it will be.
    let policy = match Policy::load(compiled.as_bytes()) {
        Ok(policy) => policy,
        Err(flaws) => {
            let flaws: Vec<String> = flaws.iter().map(ToString::to_string).collect();
            return unable(&format!("the compiled bundle does not load: {}", flaws.join("; ")), output);
        }
    };
    match (&arguments.into, output) {
        (Some(path), _) => {
            if let Err(error) = std::fs::write(path, &compiled) {
                return unable(&format!("cannot write `{}`: {error}", path.display()), output);
            }
            match output {
                Output::Text => eprintln!(
                    "{}: bundle `{}`, serial {}, sha256:{}",
                    path.display(),
                    policy.id(),
                    policy.serial(),
                    policy.digest()
                ),
                Output::Json => {
                    say_json(&json!({"ok": true, "file": path.display().to_string(), "bundle": policy.id(),
                    "serial": policy.serial(), "sha256": policy.digest()}))
                }
            }
        }
        (None, _) => say(&compiled),
    }
    End::Well
}

/// A bundle in JSON that keeps its tests stays byte for byte what it is.
pub(crate) fn compiled(loaded: Loaded, with_tests: bool) -> String {
    let Loaded { mut value, source, json, .. } = loaded;
    let dropped = !with_tests && value.as_object_mut().is_some_and(|members| members.remove("tests").is_some());
    if json && !dropped { source.text } else { value.to_string() }
}
