//! Every counter there is, in one table. The shell counts under a [`Counter`], and only this table makes one: no counter exists that
//! `docs/reference/metrics.md` does not explain. Names are made of fixed words, never of what a caller sent.

use crate::caller::KeyEvent;
use crate::exchange::Role;
use crate::exchange::reason::{BundleEvent, Outcome};
use crate::mask::Kind;
use crate::policy::FetchReason;
use crate::reason::Answer;

/// The full name of a counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Counter(String);

impl Counter {
    /// As Envoy's stats have it, behind `wasmcustom.`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// A family of counters.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// How the name of each begins.
    pub name: &'static str,
    /// What stands behind it, in this order, each as `.label.value`.
    pub labels: &'static [Label],
    /// What it counts.
    pub means: &'static str,
    /// What the operator does about it.
    pub remedy: &'static str,
}

/// A part of a counter's name.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// What it is called.
    pub name: &'static str,
    /// What it can be.
    pub values: Values,
}

/// What a label can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// What came of a call: an [`Outcome`], or the [`Answer`] of what was refused.
    Outcomes,
    /// Why: all that `docs/reference/reasons.md` has for calls.
    Reasons,
    /// What was masked: a [`Kind`], `field`, or a pattern of the bundle's, of which a call has sixteen at most.
    Kinds,
    /// A [`KeyEvent`].
    KeyEvents,
    /// A [`Role`].
    Roles,
    /// A [`BundleEvent`].
    BundleEvents,
    /// A [`FetchReason`], or `ok`.
    FetchReasons,
}

impl Values {
    /// The words, but for those that stand on the page of reasons, and for names of patterns.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        match self {
            Self::Outcomes => {
                Outcome::ALL.map(Outcome::as_str).into_iter().chain(Answer::ALL.map(Answer::code)).collect()
            }
            Self::Reasons => Vec::new(),
            Self::Kinds => Kind::ALL.iter().map(|kind| kind.name()).chain(["field"]).collect(),
            Self::KeyEvents => KeyEvent::ALL.map(KeyEvent::as_str).to_vec(),
            Self::Roles => [Role::Enforced, Role::Shadow].map(Role::as_str).to_vec(),
            Self::BundleEvents => BundleEvent::ALL.map(BundleEvent::as_str).to_vec(),
            Self::FetchReasons => ["ok"].into_iter().chain(FetchReason::ALL.map(FetchReason::as_str)).collect(),
        }
    }
}

/// Makes the counters' names, and the list of all: `function "name" {label: what it can be} "what it counts" => "what to do about it"`.
macro_rules! metrics {
    ($($function:ident $name:literal {$($label:ident: $values:ident),+} $means:literal => $remedy:literal,)+) => {
        impl Counter {
            $(#[doc = $means]
            #[must_use]
            pub fn $function($($label: &str),+) -> Self {
                let mut name = String::from($name);
                $(
                    name.push_str(concat!(".", stringify!($label), "."));
                    name.push_str($label);
                )+
                Self(name)
            })+
        }

        /// All there are.
        pub const ALL: &[Metric] = &[$(Metric {
            name: $name,
            labels: &[$(Label { name: stringify!($label), values: Values::$values }),+],
            means: $means,
            remedy: $remedy,
        }),+];
    };
}

metrics! {
    calls "rerank_guard.calls" {outcome: Outcomes, reason: Reasons}
        "every call, once, when it has ended" =>
        "Look the reason up on the page of reasons. Worth an alert: `no-keys-yet` after the start, and any `unmaskable-response`.",
    masked "rerank_guard.masked" {kind: Kinds}
        "findings that were masked in answers" =>
        "Nothing by itself. A kind that rises has come into a dataset: look at its source.",
    masked_in_request "rerank_guard.masked_in_request" {kind: Kinds}
        "findings that were masked in requests on their way upstream" =>
        "Nothing by itself. A kind that rises has come into what callers send.",
    keys "rerank_guard.keys" {fetch: KeyEvents}
        "what came of asking for issuers' keys" =>
        "Alert on `failed`: keys that get older than `max_stale` refuse every token.",
    bundles "rerank_guard.bundles" {role: Roles, event: BundleEvents, reason: FetchReasons}
        "what came of asking for a bundle, where it is fetched" =>
        "Alert on `refused` and on `failed` that stays: the bundle in force gets old.",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn counters_are_named_as_dashboards_know_them() {
        for (counter, name) in [
            (Counter::calls("served", "ok"), "rerank_guard.calls.outcome.served.reason.ok"),
            (Counter::masked("email"), "rerank_guard.masked.kind.email"),
            (Counter::masked_in_request("field"), "rerank_guard.masked_in_request.kind.field"),
            (Counter::keys("replaced"), "rerank_guard.keys.fetch.replaced"),
            (
                Counter::bundles("shadow", "refused", "signature"),
                "rerank_guard.bundles.role.shadow.event.refused.reason.signature",
            ),
        ] {
            assert_eq!(counter.name(), name);
        }
    }

    #[test]
    fn every_metric_is_there_once_with_a_sentence_for_both_and_words_that_a_name_can_hold() {
        let mut seen = BTreeSet::new();
        for Metric { name, labels, means, remedy } in ALL {
            assert!(seen.insert(name), "{name} twice");
            assert!(!means.ends_with('.') && remedy.ends_with('.'), "{name}");
            for Label { name: label, values } in *labels {
                let words = values.words();
                assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "{name}: {label}");
                let is_plain =
                    |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter);
                assert!(words.iter().all(|word| word.chars().all(is_plain)), "{name}: {label}");
            }
        }
    }
}
