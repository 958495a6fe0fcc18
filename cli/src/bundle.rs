//! Bundles in files: YAML as people write it, or the JSON that the module reads.

use crate::document::{Document, Malformed};
use crate::explain::now;
use crate::kind;
use crate::report::{Finding, Severity, Source, complain, say_json};
use crate::{End, Output};
use rerank_guard::diagnostic::Flaw;
use rerank_guard::policy::{Bundle, Policy, lint};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

/// Why there is no policy.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The file could not be read.
    Unreadable(String),
    /// There are flaws in it; never empty.
    Flawed(Source, Vec<Finding>),
}

impl Refused {
    /// Tells people, if it is them who are told. What programs are told comes back, for the file at `path`.
    pub(crate) fn tell(&self, path: &Path, output: Output) -> (End, Value) {
        let file = path.display().to_string();
        match self {
            Self::Flawed(source, findings) => {
                if output == Output::Text {
                    source.print(Severity::Error, findings);
                }
                let findings: Vec<Value> = findings.iter().map(|finding| source.json(finding)).collect();
                (End::Found, json!({"file": file, "ok": false, "findings": findings}))
            }
            Self::Unreadable(why) => {
                if output == Output::Text {
                    complain(why);
                }
                (End::Unable, json!({"file": file, "ok": false, "error": why}))
            }
        }
    }

    /// Tells everybody, and ends.
    pub(crate) fn end(&self, path: &Path, output: Output) -> End {
        let (end, value) = self.tell(path, output);
        if output == Output::Json {
            say_json(&value);
        }
        end
    }
}

/// A bundle that loads.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) policy: Policy,
    /// The bundle as it is written.
    pub(crate) bundle: Bundle,
    /// What is probably not meant.
    pub(crate) warnings: Vec<Finding>,
    /// The bundle as the module would read it, tests included.
    pub(crate) value: Value,
    pub(crate) source: Source,
    /// Whether the text is JSON already.
    pub(crate) json: bool,
}

/// Reads and checks the bundle at `path`; `-` is standard input.
pub(crate) fn load(path: &Path) -> Result<Loaded, Refused> {
    let (source, document, json) = read(path)?;
    if let Some(other) = kind::no_bundle(&document.value) {
        return Err(Refused::Flawed(source, vec![other]));
    }
    let bytes = if json { source.text.clone().into_bytes() } else { document.value.to_string().into_bytes() };
    match Policy::load(&bytes) {
        Ok(policy) => {
            let bundle: Bundle = serde_json::from_slice(&bytes)
                .map_err(|error| Refused::Unreadable(format!("`{}` loads, but not twice: {error}", source.path)))?;
            let warnings = lint(&bundle, now()).iter().map(|flaw| finding(&source, &document, flaw)).collect();
            Ok(Loaded { policy, bundle, warnings, value: document.value, source, json })
        }
        Err(flaws) => {
            let mut findings: Vec<Finding> = flaws.iter().map(|flaw| finding(&source, &document, flaw)).collect();
            findings.sort_by_key(|finding| finding.at.as_ref().map(|at| at.start));
            Err(Refused::Flawed(source, findings))
        }
    }
}

/// Reads the file at `path` without asking what it says. True with JSON, by its name or by how it begins.
pub(crate) fn read(path: &Path) -> Result<(Source, Document, bool), Refused> {
    let name = path.display().to_string();
    let bytes = if name == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = bytes.map_err(|error| Refused::Unreadable(format!("cannot read `{name}`: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Refused::Unreadable(format!("`{name}` is not UTF-8 at byte {at}"))
    })?;
    let json = path.extension().is_some_and(|extension| extension == "json");
    let source = Source { path: name, text };
    match if json { Document::json(&source.text) } else { Document::yaml(&source.text) } {
        Ok(document) => Ok((source, document, json)),
        Err(Malformed { what, hint, at }) => {
            Err(Refused::Flawed(source, vec![Finding { what, hint, place: None, at }]))
        }
    }
}

fn finding(source: &Source, document: &Document, flaw: &Flaw) -> Finding {
    Finding {
        what: flaw.what.clone(),
        hint: flaw.hint.clone(),
        place: (!flaw.place.steps().is_empty()).then(|| flaw.place.to_string()),
        at: document.locate(&source.text, &flaw.place, flaw.part),
    }
}
