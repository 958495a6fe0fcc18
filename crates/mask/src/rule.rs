//! A mask as the policy bundle writes it.

use super::kind::{Kind, What};
use super::pattern::Pattern;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A mask of the bundle: what to look for, and what to put in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The kinds to find.
    #[serde(default)]
    pub detect: Vec<Kind>,
    /// Places in which everything is masked, of whatever JSON type: names (`ssn`, `customer.name`) or pointers
    /// (`/results/*/document/address`). Numbers, `true` and `false` that the dialect keeps
    /// (index, scores, usage) stay where a rule hits them; of an array or object with such in it only the rest is masked. `null`
    /// stays. These findings are told as `field`.
    #[serde(default)]
    pub fields: Vec<String>,
    /// The operator's own patterns, by name: small letters, digits and `_`, a letter first, 32 at most. Their findings are told as
    /// `custom_` and the name. All masks of a call may have 16 in all.
    #[serde(default)]
    pub patterns: BTreeMap<String, Pattern>,
    /// What stands in a finding's place. In it, `{kind}` becomes the kind's name, `{same_length}` as many stars as the value has
    /// characters, `{last:4}` its last characters (1 to 4, at most half), `{domain}` the domain of an e-mail address, and
    /// `{pseudonym:k1}` the key's name and twenty letters that are the same for the same value (HMAC-SHA-256 under that key).
    /// `{drop}` alone takes the whole member out of its object, or leaves `null` in an array; where neither can be, in a
    /// member's name or a text body, a label stands instead. Of arrays, objects, `true` and `false` nothing is kept.
    #[serde(default = "label")]
    pub replace: String,
    /// When to refuse the whole body instead.
    #[serde(default)]
    pub deny: Option<Deny>,
}

/// How many findings are too many for a body to leave at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// More findings than this refuse the body.
    #[serde(default)]
    pub above: u32,
    /// The kinds that count, by the names records tell them by; all that the mask finds where it is not said.
    #[serde(default)]
    pub kinds: Option<Vec<String>>,
}

impl Rule {
    /// A mask that finds `detect` and puts `replace` in its place.
    #[must_use]
    pub fn detecting(detect: &[Kind], replace: &str) -> Self {
        Self {
            detect: detect.to_vec(),
            fields: Vec::new(),
            patterns: BTreeMap::new(),
            replace: replace.to_owned(),
            deny: None,
        }
    }
}

impl Rule {
    /// Whether there is nothing it could find.
    #[must_use]
    pub fn finds_nothing(&self) -> bool {
        self.detect.is_empty() && self.fields.is_empty() && self.patterns.is_empty()
    }

    /// What it can find.
    #[must_use]
    pub fn finds(&self) -> Vec<What> {
        let fields = (!self.fields.is_empty()).then_some(What::Field);
        let patterns = self.patterns.keys().map(|name| What::Custom(format!("custom_{name}").into()));
        self.detect.iter().map(|kind| What::Kind(*kind)).chain(fields).chain(patterns).collect()
    }
}

/// Names stand in labels, records and metrics.
pub(super) fn is_pattern_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn label() -> String {
    "[{kind}]".to_owned()
}
