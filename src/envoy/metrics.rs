//! Counters in Envoy's stats. They can never fail a call, and their names come from fixed sets of words.

use super::abi;
use crate::caller::KeyEvent;
use crate::mask::{Found, What};
use crate::metrics::Counter;
use std::cell::RefCell;
use std::collections::HashMap;

/// Counters; each is defined when it first counts.
#[derive(Default)]
pub(super) struct Metrics {
    /// By outcome and reason: every call counts here, so its counter's name is put together only once.
    calls: RefCell<HashMap<(&'static str, &'static str), u32>>,
    /// What was masked in answers and in requests. Most calls count some of the few there are, so they are looked through in turn.
    masked: RefCell<Vec<(What, u32)>>,
    masked_in_request: RefCell<Vec<(What, u32)>>,
    /// The others, by name.
    others: RefCell<HashMap<Counter, u32>>,
}

impl Metrics {
    pub(super) fn call(&self, outcome: &'static str, reason: &'static str) {
        let Ok(mut calls) = self.calls.try_borrow_mut() else { return };
        let id = calls.get(&(outcome, reason)).copied().or_else(|| {
            let id = abi::define_counter(&Counter::calls(outcome, reason))?;
            calls.insert((outcome, reason), id);
            Some(id)
        });
        increment(id, 1);
    }

    /// Kinds are those of the module, `field`, and the few patterns that a bundle can name.
    pub(super) fn masked(&self, found: &[Found]) {
        count_kinds(&self.masked, Counter::masked, found);
    }

    pub(super) fn masked_in_request(&self, found: &[Found]) {
        count_kinds(&self.masked_in_request, Counter::masked_in_request, found);
    }

    pub(super) fn keys(&self, event: KeyEvent) {
        self.add(Counter::keys(event.as_str()), 1);
    }

    pub(super) fn bundle(&self, role: &'static str, event: &'static str, reason: &'static str) {
        self.add(Counter::bundles(role, event, reason), 1);
    }

    fn add(&self, name: Counter, count: u32) {
        let Ok(mut known) = self.others.try_borrow_mut() else { return };
        let id = known.get(&name).copied().or_else(|| {
            let id = abi::define_counter(&name)?;
            known.insert(name, id);
            Some(id)
        });
        increment(id, count);
    }
}

fn count_kinds(known: &RefCell<Vec<(What, u32)>>, counter: fn(&str) -> Counter, found: &[Found]) {
    let Ok(mut known) = known.try_borrow_mut() else { return };
    for Found { kind, count, .. } in found {
        let id = known.iter().find(|(what, _)| what == kind).map(|(_, id)| *id).or_else(|| {
            let id = abi::define_counter(&counter(kind.name()))?;
            known.push((kind.clone(), id));
            Some(id)
        });
        increment(id, *count);
    }
}

/// Counters must grow by more than zero.
fn increment(id: Option<u32>, count: u32) {
    if let (Some(id), 1..) = (id, count) {
        let _ = abi::increment(id, count);
    }
}
