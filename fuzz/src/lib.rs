//! What must hold for every input, one module for each fuzz target. A `check` panics where it does not hold; so the same code runs
//! under libFuzzer (`targets/`) and, over the committed seeds, in a plain test.

pub mod bundle;
pub mod call;
mod caller;
pub mod dpop;
mod gateway;
pub mod jwks;
pub mod mask_fields;
pub mod mask_json;
pub mod mask_pattern;
pub mod mask_stream;
pub mod mask_text;
pub mod receipt;
pub mod token;

use rerank_guard::mask::Masks;
use serde_json::json;

/// The replacements, chosen by the input's first byte, so that each is met.
fn replace(choice: u8) -> &'static str {
    match choice % 4 {
        0 => "[{kind}]",
        1 => "",
        2 => "{same_length}",
        _ => "{drop}",
    }
}

/// Masks with all kinds.
fn masks(choice: u8) -> Masks {
    let replace = replace(choice);
    let all: Vec<&str> = rerank_guard::mask::Kind::ALL.iter().map(|kind| kind.name()).collect();
    let rule = serde_json::from_value(json!({"detect": all, "replace": replace})).expect("a rule");
    Masks::compile(&[("all", &rule)]).expect("a rule that can be carried out")
}

/// Every seed of every target, and every input that once failed, still passes.
#[cfg(test)]
mod tests {
    fn run(target: &str, check: fn(&[u8])) {
        let folder = format!("{}/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).expect("a folder of seeds") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            check(&std::fs::read(path).expect("a seed"));
            count += 1;
        }
        assert!(count > 0, "no seeds in {folder}");
    }

    #[test]
    fn bundle() {
        run("bundle", crate::bundle::check);
    }

    #[test]
    fn mask_json() {
        run("mask_json", crate::mask_json::check);
    }

    #[test]
    fn mask_text() {
        run("mask_text", crate::mask_text::check);
    }

    #[test]
    fn mask_stream() {
        run("mask_stream", crate::mask_stream::check);
    }

    #[test]
    fn mask_fields() {
        run("mask_fields", crate::mask_fields::check);
    }

    #[test]
    fn mask_pattern() {
        run("mask_pattern", crate::mask_pattern::check);
    }

    #[test]
    fn call() {
        run("call", crate::call::check);
    }

    #[test]
    fn receipt() {
        run("receipt", crate::receipt::check);
    }

    #[test]
    fn token() {
        run("token", crate::token::check);
    }

    #[test]
    fn key_set() {
        run("key_set", crate::jwks::key_set);
    }

    #[test]
    fn discovery() {
        run("discovery", crate::jwks::discovery);
    }

    #[test]
    fn dpop() {
        run("dpop", crate::dpop::check);
    }
}
