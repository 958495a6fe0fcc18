//! What a document is, by its names: a file given under the wrong option is told to be that, and not to be full of flaws.

use crate::envoy::{Filters, is_envoys};
use crate::report::Finding;
use serde_json::Value;

/// What a document is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bundle,
    Signed,
    Plugin,
    Envoy,
    /// Whatever it was given as.
    Unknown,
}

fn of(document: &Value) -> Kind {
    let has = |names: &[&str]| names.iter().all(|name| document.get(name).is_some());
    if has(&["payload", "signatures"]) {
        Kind::Signed
    } else if has(&["gateway", "routes"]) || has(&["callers", "routes"]) {
        Kind::Plugin
    } else if has(&["bundle", "rules"]) || has(&["schema", "rules"]) {
        Kind::Bundle
    } else if is_envoys(document) || !Filters::of(document).ours.is_empty() {
        Kind::Envoy
    } else {
        Kind::Unknown
    }
}

/// Why a document that was given as a bundle is none.
pub(crate) fn no_bundle(document: &Value) -> Option<Finding> {
    match of(document) {
        Kind::Bundle | Kind::Unknown => None,
        Kind::Signed => Some(finding(
            "this is a signed bundle, not the bundle itself",
            "write out what was signed with `rerank-guard verify`, and give that",
        )),
        Kind::Plugin => Some(finding(
            "this is a plugin configuration, not a bundle",
            "give it to `rerank-guard check` with `--config`",
        )),
        Kind::Envoy => Some(finding(
            "this is an Envoy configuration, not a bundle",
            "give it to `rerank-guard check` with `--config`",
        )),
    }
}

/// Why a document that was given as a configuration, Envoy's or the plugin's, is none.
pub(crate) fn no_config(document: &Value) -> Option<Finding> {
    match of(document) {
        Kind::Plugin | Kind::Envoy | Kind::Unknown => None,
        Kind::Bundle => Some(finding("this is a bundle, not a configuration", "give it without `--config`")),
        Kind::Signed => Some(finding(
            "this is a signed bundle, not a configuration",
            "write out what was signed with `rerank-guard verify`, and give that without `--config`",
        )),
    }
}

fn finding(what: &str, hint: &str) -> Finding {
    Finding { what: what.to_owned(), hint: Some(hint.to_owned()), place: None, at: None }
}
