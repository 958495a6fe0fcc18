//! How much calls hold while something is awaited: bodies that come slowly, calls that people are asked about, answers that cannot
//! leave before they are whole. Together it is bounded, and what one caller holds as well, so that nobody stops the gateway by waiting.

use super::reason::RequestReason;
use super::{Problem, Refused, refused};
use crate::caller::Caller;
use crate::config::Limits;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// What all calls of one VM may hold.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    most_per_caller: usize,
    held: Cell<usize>,
    callers: RefCell<HashMap<Rc<str>, Rc<Cell<usize>>>>,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            most: limits.held_bytes,
            most_per_caller: limits.held_bytes_per_caller,
            held: Cell::new(0),
            callers: RefCell::default(),
        }
    }

    /// How many bytes are held now.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.get()
    }

    /// The share of one call, which holds nothing yet. Callers that were not proved share one.
    pub(super) fn share(self: &Rc<Self>, caller: Option<&Caller>) -> Held {
        let name = caller.map(|caller| format!("{}\0{}", caller.issuer(), caller.subject())).unwrap_or_default();
        let name: Rc<str> = name.into();
        let of_caller = match self.callers.try_borrow_mut() {
            Ok(mut callers) => callers.entry(name.clone()).or_default().clone(),
            // Cannot be: nothing is asked while it is borrowed. It would count for all callers together.
            Err(_) => Rc::default(),
        };
        Held { budget: self.clone(), name, of_caller, bytes: 0 }
    }
}

/// What one call holds. However the call ends, it is given back.
#[derive(Debug)]
pub(super) struct Held {
    budget: Rc<Budget>,
    name: Rc<str>,
    of_caller: Rc<Cell<usize>>,
    bytes: usize,
}

impl Held {
    /// The call holds `bytes` from here on, if there is room for so many.
    pub(super) fn set(&mut self, bytes: usize) -> Result<(), Refused> {
        let of = |all: &Cell<usize>| all.get().saturating_sub(self.bytes).saturating_add(bytes);
        let (all, of_caller) = (of(&self.budget.held), of(&self.of_caller));
        // Less than before is never refused.
        if bytes > self.bytes {
            if of_caller > self.budget.most_per_caller {
                return Err(refused(Problem::Overloaded, RequestReason::HeldByCaller));
            }
            if all > self.budget.most {
                return Err(refused(Problem::Overloaded, RequestReason::Held));
            }
        }
        self.budget.held.set(all);
        self.of_caller.set(of_caller);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.set(0);
        // Nobody else of this caller holds anything: only the map and this call know the count.
        if Rc::strong_count(&self.of_caller) == 2
            && let Ok(mut callers) = self.budget.callers.try_borrow_mut()
        {
            callers.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget(most: usize, most_per_caller: usize) -> Rc<Budget> {
        let limits = Limits { held_bytes: most, held_bytes_per_caller: most_per_caller, ..Limits::default() };
        Rc::new(Budget::new(&limits))
    }

    #[test]
    fn what_is_above_the_budget_is_refused_and_says_whose_it_is() {
        let budget = budget(100, 60);
        let (mut one, mut other) = (budget.share(None), budget.share(None));
        assert_eq!(one.set(60), Ok(()));
        assert_eq!(other.set(1), Err(refused(Problem::Overloaded, RequestReason::HeldByCaller)));
        assert_eq!((one.set(10), other.set(50)), (Ok(()), Ok(())));
        budget.held.set(90);
        assert_eq!(one.set(21), Err(refused(Problem::Overloaded, RequestReason::HeldByCaller)));
        assert_eq!((other.set(40), budget.held.get()), (Ok(()), 80));
        budget.held.set(100);
        assert_eq!(one.set(11), Err(refused(Problem::Overloaded, RequestReason::Held)));
    }

    proptest! {
        #[test]
        fn all_is_given_back_and_nothing_is_ever_above_the_budget(
            steps in proptest::collection::vec((0..6_usize, 0..50_usize, any::<bool>()), 0..60),
        ) {
            let budget = budget(100, 100);
            let mut calls: Vec<Option<Held>> = (0..6).map(|_| None).collect();
            for (number, bytes, ends) in steps {
                let call = calls.get_mut(number).unwrap();
                if ends {
                    *call = None;
                } else {
                    let _ = call.get_or_insert_with(|| budget.share(None)).set(bytes);
                }
                let sum: usize = calls.iter().flatten().map(|held| held.bytes).sum();
                prop_assert_eq!((budget.held.get(), sum <= 100), (sum, true));
            }
            calls.clear();
            prop_assert_eq!(budget.held.get(), 0);
            prop_assert!(budget.callers.borrow().is_empty());
        }
    }
}
