//! Counters in Envoy's stats. They can never fail a call, and their names come from fixed sets of words.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use std::cell::RefCell;
use std::collections::HashMap;

/// Counters by name; each is defined when it first counts.
#[derive(Default)]
pub(super) struct Metrics(RefCell<HashMap<String, u32>>);

impl Metrics {
    pub(super) fn call(&self, outcome: &'static str, reason: &'static str) {
        self.add(format!("rerank_guard.calls.outcome.{outcome}.reason.{reason}"), 1);
    }

    /// Kinds are those of the module, `field`, and the few patterns that a bundle can name.
    pub(super) fn masked(&self, kind: &str, count: u32) {
        self.add(format!("rerank_guard.masked.kind.{kind}"), count);
    }

    pub(super) fn masked_in_request(&self, kind: &str, count: u32) {
        self.add(format!("rerank_guard.masked_in_request.kind.{kind}"), count);
    }

    pub(super) fn keys(&self, outcome: &'static str) {
        self.add(format!("rerank_guard.keys.fetch.{outcome}"), 1);
    }

    pub(super) fn bundle(&self, role: &'static str, event: &'static str, reason: &'static str) {
        self.add(format!("rerank_guard.bundles.role.{role}.event.{event}.reason.{reason}"), 1);
    }

    fn add(&self, name: String, count: u32) {
        let Ok(mut known) = self.0.try_borrow_mut() else { return };
        let id = match known.get(&name) {
            Some(id) => *id,
            None => {
                let Ok(id) = hostcalls::define_metric(MetricType::Counter, &name) else { return };
                known.insert(name, id);
                id
            }
        };
        if count > 0 {
            let _ = hostcalls::increment_metric(id, i64::from(count));
        }
    }
}
