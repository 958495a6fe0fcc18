//! Builds a policy bundle into the module: `RERANK_GUARD_BUNDLE` names its JSON (`make wasm BUNDLE=…` sets it).

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=RERANK_GUARD_BUNDLE");
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR")?;
    let code = match env::var("RERANK_GUARD_BUNDLE") {
        Ok(path) if !path.is_empty() => {
            let path = fs::canonicalize(&path).map_err(|error| format!("RERANK_GUARD_BUNDLE: `{path}`: {error}"))?;
            println!("cargo::rerun-if-changed={}", path.display());
            format!("Some(include_bytes!({path:?}))")
        }
        _ => "None".to_owned(),
    };
    fs::write(Path::new(&out).join("embedded.rs"), code)?;
    Ok(())
}
