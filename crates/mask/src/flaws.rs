//! What keeps a mask of the bundle from being carried out, told member by member to who wrote it.

use super::detect::Context;
use super::fields::Field;
use super::masks::{Masks, Refused};
use super::pattern::Compiled;
use super::rule::{Rule, is_pattern_name};
use super::words::Words;

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

impl Rule {
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
}
