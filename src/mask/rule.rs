//! A mask as the policy bundle writes it.

use super::kind::Kind;
use serde::{Deserialize, Serialize};

/// A mask of the bundle: what to look for, and what to put in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The kinds to find.
    pub detect: Vec<Kind>,
    /// What stands in a finding's place. In it, `{kind}` becomes the kind's name, `{same_length}` as many stars as the value has
    /// characters, `{last:4}` its last characters (1 to 4, at most half), `{domain}` the domain of an e-mail address, and
    /// `{pseudonym:k1}` the key's name and twenty letters that are the same for the same value (HMAC-SHA-256 under that key).
    /// `{drop}` alone takes the whole member out of its object, or leaves `null` in an array; where neither can be, in a
    /// member's name or a text body, a label stands instead.
    #[serde(default = "label")]
    pub replace: String,
}

fn label() -> String {
    "[{kind}]".to_owned()
}
