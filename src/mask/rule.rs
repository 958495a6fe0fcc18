//! A mask as the policy bundle writes it.

use super::kind::Kind;
use serde::{Deserialize, Serialize};

/// A mask of the bundle: what to look for, and what to put in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The kinds to find.
    pub detect: Vec<Kind>,
    /// What stands in a finding's place; `{kind}` becomes the kind's name.
    #[serde(default = "label")]
    pub replace: String,
}

fn label() -> String {
    "[{kind}]".to_owned()
}
