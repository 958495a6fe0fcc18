//! A mask as the policy bundle writes it.

use super::detect::Context;
use super::fields::Field;
use super::kind::{Kind, What};
use super::masks::{Masks, Refused};
use super::pattern::{Compiled, Pattern};
use super::words::Words;
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

/// Something in a mask that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskFlaw {
    /// The member of the mask, names with a `.` between them.
    pub member: String,
    /// Its item, if it is a list.
    pub number: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub hint: String,
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

    /// All that keeps the mask from being carried out, but for keys of pseudonyms that are not there.
    #[must_use]
    pub fn flaws(&self) -> Vec<MaskFlaw> {
        let mut flaws = Vec::new();
        for (number, text) in self.fields.iter().enumerate() {
            if let Err(why) = Field::parse(text) {
                let what = format!("`{}` is no field rule", text.escape_debug());
                flaws.push(MaskFlaw {
                    member: "fields".to_owned(),
                    number: Some(number),
                    what,
                    hint: format!("it {why}"),
                });
            }
        }
        for (name, pattern) in &self.patterns {
            let member = format!("patterns.{name}");
            if !is_pattern_name(name) {
                let what = format!("`{}` cannot be a pattern's name", name.escape_debug());
                let hint = "write at most 32 small letters, digits and `_`, a letter first".to_owned();
                flaws.push(MaskFlaw { member: "patterns".to_owned(), number: None, what, hint });
            } else if let Err(why) = Compiled::new(pattern) {
                let what = "no pattern that can be looked for".to_owned();
                flaws.push(MaskFlaw { member: format!("{member}.regex"), number: None, what, hint: why.to_string() });
            } else if let Err((number, why)) = Words::default().add(&pattern.context, Context::NONE) {
                let what =
                    format!("`{}` is no word", pattern.context.get(number).map_or("", |word| word).escape_debug());
                let member = format!("{member}.context");
                flaws.push(MaskFlaw { member, number: Some(number), what, hint: why.to_string() });
            }
        }
        if !flaws.is_empty() {
            return flaws;
        }
        let ids = self.replace.split("{pseudonym:").skip(1).filter_map(|rest| rest.split_once('}')).map(|(id, _)| id);
        let keys: Vec<_> = ids.map(|id| (id, &[0u8; 32][..])).collect();
        let Err(refused) = Masks::compile_with_keys(&[("", self)], &keys) else { return flaws };
        let (member, number, what, hint) = match refused {
            Refused::UnknownPlaceholder { .. } => (
                "replace",
                None,
                "braces that say nothing here".to_owned(),
                "known are `{kind}`, `{same_length}`, `{last:1}` to `{last:4}` (for no keys and passwords), `{domain}` (e-mail \
                 alone), `{pseudonym:<key>}` and, alone, `{drop}`",
            ),
            Refused::UnusableLabel { .. } => (
                "replace",
                None,
                "a replacement that would itself be found, or would make findings of what stands next to it".to_owned(),
                "write at most 96 characters without control characters, and names of kinds and words of `context` only in `[…]` or `<…>`",
            ),
            Refused::TooManyFields => (
                "fields",
                None,
                "the rules need too large a table together".to_owned(),
                "write fewer with `*` or `**`, or more exact ones",
            ),
            Refused::DeniesUnfound { number, .. } => {
                let name = self.deny.iter().flat_map(|deny| &deny.kinds).flatten().nth(number);
                let what = format!(
                    "`{}` is nothing that this mask finds",
                    name.map(String::as_str).unwrap_or_default().escape_debug()
                );
                ("deny.kinds", Some(number), what, "name kinds of its `detect`, or `field`")
            }
            Refused::TooManyPatterns => {
                ("patterns", None, "too many patterns".to_owned(), "the masks of a call may have 16 patterns in all")
            }
            other => ("replace", None, other.to_string(), "write another"),
        };
        flaws.push(MaskFlaw { member: member.to_owned(), number, what, hint: hint.to_owned() });
        flaws
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
