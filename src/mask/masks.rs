//! The masks of a call: which kinds to find, and what stands in their place.

use super::detect::{self, Context};
use super::kind::{Kind, Kinds};
use super::replacement::{Replacement, Unusable};
use super::rule::Rule;
use super::view::Form;
use std::fmt;

/// The union of a call's masks.
///
/// Where several masks find the same kind, the replacement that gives away least stands in its place, and of equal ones that of
/// the mask whose name sorts first: the order of rules cannot matter.
#[derive(Debug, Clone, Default)]
pub struct Masks {
    kinds: Kinds,
    replacements: Vec<Replacement>,
}

/// Why masks or kept places cannot be used: a load error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// A mask finds nothing.
    FindsNothing {
        /// The mask.
        mask: String,
    },
    /// A mask's replacement has braces that say nothing, or nothing for one of its kinds.
    UnknownPlaceholder {
        /// The mask.
        mask: String,
    },
    /// A mask's pseudonyms have no key of at least 32 bytes.
    NoKey {
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
    const LONGEST: usize = 96;

    /// Reads the masks of the given names; none at all is fine, and finds nothing.
    ///
    /// # Errors
    /// A mask that cannot be carried out; one with a pseudonym is, for there is no key.
    pub fn compile(rules: &[(&str, &Rule)]) -> Result<Self, Refused> {
        Self::compile_with_keys(rules, &[])
    }

    /// As [`compile`](Self::compile), with the keys of pseudonyms by name: at least 32 bytes each.
    ///
    /// # Errors
    /// A mask that cannot be carried out, or whose key is not there or too short.
    pub fn compile_with_keys(rules: &[(&str, &Rule)], keys: &[(&str, &[u8])]) -> Result<Self, Refused> {
        let mut rules = rules.to_vec();
        rules.sort_by_key(|(name, _)| *name);
        let mut masks = Self::default();
        for (name, rule) in rules {
            if rule.detect.is_empty() {
                return Err(Refused::FindsNothing { mask: name.to_owned() });
            }
            for &kind in &rule.detect {
                masks.add(compile_one(name, &rule.replace, kind, keys)?);
            }
        }
        Ok(masks)
    }

    fn add(&mut self, replacement: Replacement) {
        self.kinds = self.kinds.with(replacement.kind);
        match self.replacements.iter_mut().find(|other| other.kind == replacement.kind) {
            Some(other) if replacement.reveals() < other.reveals() => *other = replacement,
            Some(_) => {}
            None => self.replacements.push(replacement),
        }
    }

    pub(super) fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// What stands in the place of a finding.
    pub(super) fn replacement(&self, kind: Kind) -> Option<&Replacement> {
        self.replacements.iter().find(|replacement| replacement.kind == kind)
    }
}

/// Reads one replacement, and looks at what it could bring into a body.
fn compile_one(mask: &str, template: &str, kind: Kind, keys: &[(&str, &[u8])]) -> Result<Replacement, Refused> {
    let mask = || mask.to_owned();
    let replacement = Replacement::compile(template, kind, keys).map_err(|why| match why {
        Unusable::Placeholder => Refused::UnknownPlaceholder { mask: mask() },
        Unusable::Key => Refused::NoKey { mask: mask() },
    })?;
    let mut sample = String::new();
    let value: &[u8] = if kind == Kind::Email { b"ann@example.org" } else { b"4155550132" };
    replacement.write(value, Form::Plain, &mut sample);
    let found = !detect::find(sample.as_bytes(), Context::anything(), Kinds::all()).is_empty();
    // A bare word such as `PHONE` would make telephone numbers of the numbers next to it.
    let speaks = Context::of_text(sample.as_bytes()).0 != Context::NONE;
    if found || speaks || sample.len() > Masks::LONGEST || sample.contains(char::is_control) {
        return Err(Refused::UnusableLabel { mask: mask() });
    }
    Ok(replacement)
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FindsNothing { mask } => write!(out, "mask `{mask}` detects nothing"),
            Self::UnknownPlaceholder { mask } => write!(
                out,
                "the replacement of mask `{mask}` has braces that are none of `{{kind}}`, `{{same_length}}`, `{{last:1}}` to \
                 `{{last:4}}`, `{{domain}}` (e-mail only), `{{pseudonym:<key>}}` and `{{drop}}` (alone)"
            ),
            Self::NoKey { mask } => {
                write!(out, "there is no key of at least 32 bytes for the pseudonyms of mask `{mask}`")
            }
            Self::UnusableLabel { mask } => write!(
                out,
                "the replacement of mask `{mask}` would itself be found, names a kind outside `[…]` or `<…>`, is longer than {} \
                 bytes, or has control characters",
                Masks::LONGEST
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

    fn label(masks: &Masks, kind: Kind) -> String {
        let mut label = String::new();
        masks.replacement(kind).unwrap().write(b"ann@example.org", Form::Plain, &mut label);
        label
    }

    #[test]
    fn what_gives_away_least_stands_for_a_kind_and_then_what_sorts_first_in_whatever_order_they_come() {
        let (a, b) = (rule(&[Kind::Email], "<a>"), rule(&[Kind::Email, Kind::Phone], "<{kind}>"));
        let c = rule(&[Kind::Email, Kind::Phone], "{same_length}");
        let d = rule(&[Kind::Email], "***@{domain}");
        let mut rules = [("a", &a), ("b", &b), ("0c", &c), ("0d", &d)];
        for _ in 0..4 {
            rules.rotate_left(1);
            let masks = Masks::compile(&rules).unwrap();
            assert_eq!(label(&masks, Kind::Email), "<a>");
            assert_eq!(label(&masks, Kind::Phone), "<phone>");
            assert!(!masks.kinds().has(Kind::Iban));
        }
        assert!(Masks::compile(&[]).unwrap().kinds().is_empty());
    }

    #[test]
    fn masks_that_cannot_be_carried_out_are_refused() {
        let long = "x".repeat(97);
        for (detect, replace) in [
            (&[][..], "x"),
            (&[Kind::Email], "{nid}"),
            (&[Kind::Email], "a@example.org"),
            (&[Kind::Email], "5555555"),
            (&[Kind::Email], "a\nb"),
            (&[Kind::Phone], "{kind} REMOVED"),
            (&[Kind::Email], "x@{domain}"),
            (&[Kind::Phone], "{last:4}{last:4}"),
            (&[Kind::Email], "{pseudonym:k1}"),
            (&[Kind::Email], &long),
        ] {
            assert!(Masks::compile(&[("m", &rule(detect, replace))]).is_err(), "{replace}");
        }
        for replace in ["", "****{last:4}", "{same_length}", "{drop}", "[{kind}]"] {
            assert!(
                Masks::compile(&[("m", &rule(Kind::ALL, replace))]).is_ok() || replace.contains("last"),
                "{replace}"
            );
        }
        let keys: &[(&str, &[u8])] = &[("k1", &[1; 32])];
        assert!(Masks::compile_with_keys(&[("m", &rule(Kind::ALL, "[{kind}:{pseudonym:k1}]"))], keys).is_ok());
    }
}
