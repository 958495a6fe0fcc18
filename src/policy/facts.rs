//! What conditions may ask of a call beyond what it says of itself. Each answer costs something, so it is asked only where a rule
//! that is about the call needs it.

use super::terms::Terms;
use crate::mask::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// The costly half of a call. What cannot be told is told as if it were so: towards the stricter side.
pub trait Facts: fmt::Debug {
    /// Whether the call's texts (query, documents, parameters) hold personal data of one of the `kinds`.
    fn has_kind(&self, kinds: &[Kind]) -> bool;
    /// Whether one of the `terms` stands in them, however it is written there.
    fn has_term(&self, terms: &[String]) -> bool;
    /// Whether the caller has not yet been let through to this model or dataset.
    fn is_first_use(&self, of: Novelty) -> bool;
    /// The caller's calls in this minute of the clock, this one among them. None: nobody knows.
    fn calls_this_minute(&self) -> Option<u64>;
    /// The documents of those calls.
    fn documents_this_minute(&self) -> Option<u64>;
}

/// The claims of a caller's token, asked for only where a rule that is about the call has a condition on them.
pub trait Claims: fmt::Debug {
    /// All of them. Those that are not there are unknown, which counts towards the stricter side.
    fn all(&self) -> &Map<String, Value>;
}

impl Claims for Map<String, Value> {
    fn all(&self) -> &Self {
        self
    }
}

/// What a caller can use for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Novelty {
    /// The model.
    Model,
    /// The dataset.
    Dataset,
}

/// What is stated of a call that somebody wrote by hand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Stated {
    /// The kinds of personal data in query and documents.
    pub pii: Vec<Kind>,
    /// The sensitive terms in them.
    pub terms: Vec<String>,
    /// What the caller uses for the first time.
    pub first_use: Vec<Novelty>,
    /// The caller's calls in this minute, this one among them.
    pub calls_per_minute: u64,
    /// The documents of those calls.
    pub documents_per_minute: u64,
}

impl Facts for Stated {
    fn has_kind(&self, kinds: &[Kind]) -> bool {
        self.pii.iter().any(|kind| kinds.contains(kind))
    }

    fn has_term(&self, terms: &[String]) -> bool {
        self.terms.iter().any(|stated| terms.iter().any(|term| Terms::are_one(stated, term)))
    }

    fn is_first_use(&self, of: Novelty) -> bool {
        self.first_use.contains(&of)
    }

    fn calls_this_minute(&self) -> Option<u64> {
        Some(self.calls_per_minute)
    }

    fn documents_this_minute(&self) -> Option<u64> {
        Some(self.documents_per_minute)
    }
}
