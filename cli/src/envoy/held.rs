//! The filter of Envoy's own that holds its route: Envoy chooses it anew after a module has changed the request, and the module cannot
//! see that choice before it is used.

use super::at::At;
use serde_json::{Value, json};

/// What the module decided the cluster to be, in filter state.
const JUDGED: &str = "wasm.rerank_guard_cluster";

/// Whether an entry of `http_filters` is that filter, and does nothing else.
pub(super) fn is_it(entry: &At<'_>) -> bool {
    let Some(rbac) = entry.get("typed_config").and_then(|typed| typed.message("RBAC")) else { return false };
    if entry.is_on("disabled") || entry.is_on("is_optional") || rbac.get("matcher").is_some() {
        return false;
    }
    let Some(rules) = rbac.get("rules") else { return false };
    let policies = rules.get("policies").map(|all| all.inner()).unwrap_or_default();
    let allows = rules.get("action").is_none() || rules.is_enum("action", "ALLOW", 0);
    let [policy] = policies.as_slice() else { return false };
    allows && policy.get("condition").is_some_and(|condition| is_same(&condition, &condition_of(JUDGED)))
}

/// `!has(xds.cluster_name) || bytes(xds.cluster_name) == filter_state["…"]`
fn condition_of(judged: &str) -> Value {
    let xds = json!({"ident_expr": {"name": "xds"}});
    let cluster = json!({"operand": xds, "field": "cluster_name"});
    let is_there = json!({"operand": xds, "field": "cluster_name", "test_only": true});
    let none = json!({"call_expr": {"function": "!_", "args": [{"select_expr": is_there}]}});
    let bytes = json!({"call_expr": {"function": "bytes", "args": [{"select_expr": cluster}]}});
    let state = json!({"call_expr": {"function": "_[_]", "args": [
        {"ident_expr": {"name": "filter_state"}}, {"const_expr": {"string_value": judged}}]}});
    let same = json!({"call_expr": {"function": "_==_", "args": [bytes, state]}});
    json!({"call_expr": {"function": "_||_", "args": [none, same]}})
}

/// Whether `at` is `wanted` and no more, whichever form its names have.
fn is_same(at: &At<'_>, wanted: &Value) -> bool {
    match wanted {
        Value::Object(members) => {
            at.value.as_object().is_some_and(|have| have.len() == members.len())
                && members.iter().all(|(name, wanted)| at.get(name).is_some_and(|inner| is_same(&inner, wanted)))
        }
        Value::Array(items) => {
            let have = at.inner();
            at.value.is_array()
                && have.len() == items.len()
                && have.iter().zip(items).all(|(at, wanted)| is_same(at, wanted))
        }
        _ => at.value == wanted,
    }
}
