//! The masks of a call: which kinds to find, and what stands in their place.

use super::detect::{self, Context};
use super::kind::{Kind, Kinds};
use super::rule::Rule;
use std::fmt;

/// The union of a call's masks.
///
/// Where several masks find the same kind, the one whose name sorts first says what stands in its place, so that the order of
/// rules cannot matter.
#[derive(Debug, Clone, Default)]
pub struct Masks {
    kinds: Kinds,
    labels: Vec<Label>,
}

/// What stands in the place of findings of one kind.
#[derive(Debug, Clone)]
struct Label {
    kind: Kind,
    text: String,
    /// As it stands between the quotes of a JSON string.
    json: String,
}

/// Why masks or kept places cannot be used: a load error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// A mask finds nothing.
    FindsNothing {
        /// The mask.
        mask: String,
    },
    /// A mask's replacement has braces that are not `{kind}`.
    UnknownPlaceholder {
        /// The mask.
        mask: String,
    },
    /// A mask's replacement would itself be found, would make a finding of what stands next to it, is too long, or has control
    /// characters.
    UnusableLabel {
        /// The mask.
        mask: String,
    },
    /// A kept place is no JSON pointer pattern.
    KeptPattern {
        /// The pattern.
        pattern: String,
    },
    /// There are too many kept places.
    KeptPatterns {
        /// The most steps all patterns may have together.
        most: usize,
    },
}

impl Masks {
    /// The longest replacement, in bytes.
    const LABEL: usize = 64;

    /// Reads the masks of the given names; none at all is fine, and finds nothing.
    ///
    /// # Errors
    /// A mask that cannot be carried out.
    pub fn compile(rules: &[(&str, &Rule)]) -> Result<Self, Refused> {
        let mut rules = rules.to_vec();
        rules.sort_by_key(|(name, _)| *name);
        let mut masks = Self::default();
        for (name, rule) in rules {
            let mask = || name.to_owned();
            if rule.detect.is_empty() {
                return Err(Refused::FindsNothing { mask: mask() });
            }
            for &kind in &rule.detect {
                let label = rule.replace.replace("{kind}", kind.name());
                if label.contains(['{', '}']) {
                    return Err(Refused::UnknownPlaceholder { mask: mask() });
                }
                let found = !detect::find(label.as_bytes(), Context::anything(), Kinds::all()).is_empty();
                // A bare word such as `PHONE` would make telephone numbers of the numbers next to it.
                let speaks = Context::of_text(label.as_bytes()).0 != Context::NONE;
                if found || speaks || label.len() > Self::LABEL || label.contains(char::is_control) {
                    return Err(Refused::UnusableLabel { mask: mask() });
                }
                if !masks.kinds.has(kind) {
                    masks.kinds = masks.kinds.with(kind);
                    let json = label.replace('\\', r"\\").replace('"', r#"\""#);
                    masks.labels.push(Label { kind, text: label, json });
                }
            }
        }
        Ok(masks)
    }

    pub(super) fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// What stands in the place of a finding.
    pub(super) fn label(&self, kind: Kind) -> &str {
        self.labels.iter().find(|label| label.kind == kind).map_or("", |label| &label.text)
    }

    /// As [`label`](Self::label), for a JSON string.
    pub(super) fn json_label(&self, kind: Kind) -> &str {
        self.labels.iter().find(|label| label.kind == kind).map_or("", |label| &label.json)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FindsNothing { mask } => write!(out, "mask `{mask}` detects nothing"),
            Self::UnknownPlaceholder { mask } => {
                write!(out, "the replacement of mask `{mask}` has braces that are not `{{kind}}`")
            }
            Self::UnusableLabel { mask } => write!(
                out,
                "the replacement of mask `{mask}` would itself be found, names a kind outside `[…]` or `<…>`, is longer than {} \
                 bytes, or has control characters",
                Masks::LABEL
            ),
            Self::KeptPattern { pattern } => write!(
                out,
                "`{pattern}` is no kept place: a JSON pointer with `*` for one step and a last `**` for the rest"
            ),
            Self::KeptPatterns { most } => write!(out, "the kept places have more than {most} steps in all"),
        }
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(detect: &[Kind], replace: &str) -> Rule {
        Rule { detect: detect.to_vec(), replace: replace.to_owned() }
    }

    #[test]
    fn the_mask_whose_name_sorts_first_labels_a_kind_in_whatever_order_they_come() {
        let (a, b) = (rule(&[Kind::Email], "<a>"), rule(&[Kind::Email, Kind::Phone], "<{kind}>"));
        for rules in [[("a", &a), ("b", &b)], [("b", &b), ("a", &a)]] {
            let masks = Masks::compile(&rules).unwrap();
            assert_eq!(masks.label(Kind::Email), "<a>");
            assert_eq!(masks.label(Kind::Phone), "<phone>");
            assert!(!masks.kinds().has(Kind::Iban));
        }
        assert!(Masks::compile(&[]).unwrap().kinds().is_empty());
    }

    #[test]
    fn masks_that_cannot_be_carried_out_are_refused() {
        let long = "x".repeat(65);
        for (detect, replace) in [
            (&[][..], "x"),
            (&[Kind::Email], "{nid}"),
            (&[Kind::Email], "a@example.org"),
            (&[Kind::Email], "5555555"),
            (&[Kind::Email], "a\nb"),
            (&[Kind::Phone], "{kind} REMOVED"),
            (&[Kind::Email], &long),
        ] {
            assert!(Masks::compile(&[("m", &rule(detect, replace))]).is_err(), "{replace}");
        }
        assert!(Masks::compile(&[("m", &rule(&[Kind::Email], ""))]).is_ok());
    }
}
