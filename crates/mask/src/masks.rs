//! The masks of a call: which kinds to find, and what stands in their place.

use super::detect::{self, Context};
use super::fields::{Field, Fields, NoField};
use super::found::{Found, Tally};
use super::kind::{Kind, Kinds, What};
use super::pattern::{Compiled, Pattern};
use super::replacement::{Replacement, Unusable};
use super::rule::{Rule, is_pattern_name};
use super::unmaskable::Unmaskable;
use super::view::Form;
use super::words::{NoWord, Words};
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

/// The union of a call's masks.
///
/// Where several masks find the same kind, the replacement that gives away least stands in its place, and of equal ones that of
/// the mask whose name sorts first: the order of rules cannot matter.
#[derive(Debug, Clone, Default)]
pub struct Masks {
    kinds: Kinds,
    /// By kind.
    replacements: Vec<Option<Replacement>>,
    fields: Option<Fields>,
    /// The same for texts.
    text_fields: Option<Fields>,
    /// By the number that a hit of `fields` has: what gives away least comes first.
    field_replacements: Vec<Replacement>,
    patterns: Vec<Custom>,
    /// The words that patterns ask for.
    words: Words,
    denials: Vec<Denial>,
}

/// A pattern of the operator's own.
#[derive(Debug, Clone)]
struct Custom {
    name: Rc<str>,
    written: Pattern,
    compiled: Compiled,
    /// What has to be said next to a match, if anything.
    context: Option<Context>,
    replacement: Replacement,
}

/// What the names of patterns' findings begin with.
const CUSTOM: &str = "custom_";

/// What is not let pass at all.
#[derive(Debug, Clone)]
struct Denial {
    kinds: Vec<What>,
    above: u32,
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
    /// A field rule cannot be carried out.
    Field {
        /// The mask.
        mask: String,
        /// The rule's place among the mask's.
        number: usize,
        /// Why.
        why: NoField,
    },
    /// A pattern cannot be looked for, or has no name for records.
    Pattern {
        /// The mask.
        mask: String,
        /// The pattern's name.
        name: String,
    },
    /// A pattern asks for something that is no word.
    Word {
        /// The pattern's name.
        name: String,
        /// Its place among the pattern's words.
        number: usize,
        /// Why.
        why: NoWord,
    },
    /// Two masks mean different things by one pattern's name.
    PatternTwice {
        /// The name.
        name: String,
    },
    /// The masks have more patterns than [`Masks::PATTERNS`] together.
    TooManyPatterns,
    /// The field rules of all masks together need too large a table.
    TooManyFields,
    /// A mask's `deny` counts a kind that the mask does not find.
    DeniesUnfound {
        /// The mask.
        mask: String,
        /// The kind's place among those of `deny`.
        number: usize,
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
    /// The most patterns that the masks of a call may have: each is looked for by itself, and each is a name in metrics.
    pub const PATTERNS: usize = 16;

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
        let mut masks = Self { replacements: vec![None; Kind::ALL.len()], ..Self::default() };
        let mut fields = Vec::new();
        for (name, rule) in rules {
            if rule.finds_nothing() {
                return Err(Refused::FindsNothing { mask: name.to_owned() });
            }
            for &kind in &rule.detect {
                masks.add(kind, compile_one(name, &rule.replace, kind.into(), keys)?);
            }
            if !rule.fields.is_empty() {
                fields.push((compile_one(name, &rule.replace, What::Field, keys)?, read_fields(name, rule)?));
            }
            for (pattern, written) in &rule.patterns {
                masks.add_pattern(name, pattern, written, &rule.replace, keys)?;
            }
            masks.denials.extend(denial(name, rule)?);
        }
        masks.patterns.sort_by(|one, other| one.name.cmp(&other.name));
        masks.add_words()?;
        fields.sort_by_key(|(replacement, _)| replacement.reveals());
        let numbered =
            (0..).zip(&fields).flat_map(|(number, (_, fields))| fields.iter().map(move |field| (field, number)));
        let numbered: Vec<_> = numbered.map(|(field, number)| (field.clone(), number)).collect();
        // A hit has eight bits for its replacement.
        if fields.len() > usize::from(u8::MAX) {
            return Err(Refused::TooManyFields);
        }
        masks.fields = Fields::compile(&numbered).map_err(|_| Refused::TooManyFields)?;
        let numbered: Vec<_> = numbered.iter().map(|(field, number)| (field.in_text(), *number)).collect();
        masks.text_fields = Fields::compile(&numbered).map_err(|_| Refused::TooManyFields)?;
        masks.field_replacements = fields.into_iter().map(|(replacement, _)| replacement).collect();
        masks.check_against_patterns()?;
        Ok(masks)
    }

    fn add(&mut self, kind: Kind, replacement: Replacement) {
        self.kinds = self.kinds.with(kind);
        match self.replacements.get_mut(kind as usize) {
            Some(Some(other)) if replacement.reveals() >= other.reveals() => {}
            Some(slot) => *slot = Some(replacement),
            None => {}
        }
    }

    fn add_pattern(
        &mut self,
        mask: &str,
        name: &str,
        written: &Pattern,
        replace: &str,
        keys: &[(&str, &[u8])],
    ) -> Result<(), Refused> {
        let refused = || Refused::Pattern { mask: mask.to_owned(), name: name.to_owned() };
        let compiled = Compiled::new(written).ok().filter(|_| is_pattern_name(name)).ok_or_else(refused)?;
        let name: Rc<str> = format!("{CUSTOM}{name}").into();
        let replacement = compile_one(mask, replace, What::Custom(name.clone()), keys)?;
        let count = self.patterns.len();
        match self.patterns.iter_mut().find(|other| other.name == name) {
            Some(other) if other.written != *written => Err(Refused::PatternTwice { name: name.to_string() }),
            Some(other) => {
                if replacement.reveals() < other.replacement.reveals() {
                    other.replacement = replacement;
                }
                Ok(())
            }
            None if count >= Self::PATTERNS => Err(Refused::TooManyPatterns),
            None => {
                let written = written.clone();
                self.patterns.push(Custom { name, written, compiled, context: None, replacement });
                Ok(())
            }
        }
    }

    /// Gives each pattern that asks for words its place among what words say.
    fn add_words(&mut self) -> Result<(), Refused> {
        for (place, custom) in (0..).zip(&mut self.patterns) {
            if !custom.written.context.is_empty() {
                let says = Context::own(place);
                let name = || custom.name.strip_prefix(CUSTOM).unwrap_or_default().to_owned();
                let added = self.words.add(&custom.written.context, says);
                added.map_err(|(number, why)| Refused::Word { name: name(), number, why })?;
                custom.context = Some(says);
            }
        }
        Ok(())
    }

    /// No pattern may find what stands in the place of a finding, nor find something because of it.
    fn check_against_patterns(&self) -> Result<(), Refused> {
        let kinds = self.replacements.iter().flatten();
        let all = kinds.chain(&self.field_replacements).chain(self.patterns.iter().map(|custom| &custom.replacement));
        for replacement in all {
            let sample = sample(replacement);
            let mut found = Vec::new();
            let patterns = self.patterns.iter();
            patterns.for_each(|custom| custom.compiled.find_into(sample.as_bytes(), &mut found, |_, _| true));
            if !found.is_empty() || self.words.of_text(sample.as_bytes()) != Context::NONE {
                return Err(Refused::UnusableLabel { mask: replacement.what.name().to_owned() });
            }
        }
        Ok(())
    }

    /// Whether there are patterns of the operator's own.
    pub(super) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// What the words of a member's name say, those that patterns ask for among them.
    pub(super) fn context_of(&self, name: &[u8]) -> Context {
        Context::of(name) | self.words.of(name)
    }

    /// Appends what patterns find in `text`, pattern by pattern. `path` is what the names on the path to the text say.
    pub(super) fn find_patterns(&self, text: &[u8], path: Context, found: &mut Vec<(Range<usize>, What)>) {
        let mut ranges = Vec::new();
        for custom in &self.patterns {
            match custom.context.filter(|wanted| !path.has(*wanted)) {
                None => custom.compiled.find_into(text, &mut ranges, |_, _| true),
                Some(wanted) => custom.compiled.find_into(text, &mut ranges, |start, last_end| {
                    self.words.before(text, start).has(wanted)
                        || last_end.is_some_and(|end| is_listed(text, end, start))
                }),
            }
            found.extend(ranges.drain(..).map(|range| (range, What::Custom(custom.name.clone()))));
        }
    }

    pub(super) fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// What speaks for a finding of a pattern.
    pub(super) fn proof_of_pattern(&self, name: &str) -> &'static str {
        let custom = self.patterns.iter().find(|custom| *custom.name == *name);
        match custom.map(|custom| (custom.written.check.is_some(), custom.context.is_some())) {
            Some((true, true)) => "check+context",
            Some((true, false)) => "check",
            Some((false, true)) => "context",
            Some((false, false)) | None => "form",
        }
    }

    /// What stands in the place of a finding.
    pub(super) fn replacement(&self, what: &What) -> Option<&Replacement> {
        match what {
            What::Kind(kind) => self.of_kind(*kind),
            What::Field => self.field_replacements.first(),
            What::Custom(name) => {
                self.patterns.iter().find(|custom| custom.name == *name).map(|custom| &custom.replacement)
            }
        }
    }

    /// What stands in the place of a finding of `kind`.
    pub(super) fn of_kind(&self, kind: Kind) -> Option<&Replacement> {
        self.replacements.get(kind as usize)?.as_ref()
    }

    /// The field rules, if there are any.
    pub(super) fn fields(&self) -> Option<&Fields> {
        self.fields.as_ref()
    }

    /// The field rules as they are for texts, if there are any.
    pub(super) fn text_fields(&self) -> Option<&Fields> {
        self.text_fields.as_ref()
    }

    /// What stands where a field rule hit.
    pub(super) fn field_replacement(&self, hit: usize) -> Option<&Replacement> {
        self.field_replacements.get(hit)
    }

    /// Whether a body can be refused for what is found in it.
    #[must_use]
    pub fn can_deny(&self) -> bool {
        !self.denials.is_empty()
    }

    /// Whether a body with these findings may leave.
    pub(super) fn let_pass(&self, tally: &Tally) -> Result<(), Unmaskable> {
        let found = tally.found();
        let count = |denial: &Denial| {
            let counted = found.iter().filter(|one| denial.kinds.contains(&one.kind));
            counted.fold(0u32, |sum, one: &Found| sum.saturating_add(one.count))
        };
        match self.denials.iter().any(|denial| count(denial) > denial.above) {
            true => Err(Unmaskable::Denied(found.to_vec())),
            false => Ok(()),
        }
    }
}

/// Whether what begins at `start` is the next of a list behind what ended at `end`: a few signs or a short word apart.
fn is_listed(text: &[u8], end: usize, start: usize) -> bool {
    const APART: usize = 5;
    let between = text.get(end..start).unwrap_or_default();
    between.len() <= APART && !between.is_empty()
}

fn read_fields(mask: &str, rule: &Rule) -> Result<Vec<Field>, Refused> {
    let read = |(number, text): (usize, &String)| {
        Field::parse(text).map_err(|why| Refused::Field { mask: mask.to_owned(), number, why })
    };
    rule.fields.iter().enumerate().map(read).collect()
}

fn denial(mask: &str, rule: &Rule) -> Result<Option<Denial>, Refused> {
    let Some(deny) = &rule.deny else { return Ok(None) };
    let found = rule.finds();
    let kinds = match &deny.kinds {
        None => found,
        Some(names) => {
            let known = |(number, name): (usize, &String)| {
                let what = found.iter().find(|what| what.name() == name).cloned();
                what.ok_or_else(|| Refused::DeniesUnfound { mask: mask.to_owned(), number })
            };
            names.iter().enumerate().map(known).collect::<Result<_, _>>()?
        }
    };
    Ok(Some(Denial { kinds, above: deny.above }))
}

/// What a replacement puts in the place of something.
fn sample(replacement: &Replacement) -> String {
    let mut sample = String::new();
    let value: &[u8] = if replacement.what == Kind::Email { b"ann@example.org" } else { b"4155550132" };
    replacement.write(value, Form::Plain, &mut sample);
    sample
}

/// Reads one replacement, and looks at what it could bring into a body.
fn compile_one(mask: &str, template: &str, what: What, keys: &[(&str, &[u8])]) -> Result<Replacement, Refused> {
    let mask = || mask.to_owned();
    let replacement = Replacement::compile(template, what, keys).map_err(|why| match why {
        Unusable::Placeholder => Refused::UnknownPlaceholder { mask: mask() },
        Unusable::Key => Refused::NoKey { mask: mask() },
    })?;
    let sample = sample(&replacement);
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
            Self::Field { mask, number, why } => write!(out, "field rule {number} of mask `{mask}` {why}"),
            Self::Pattern { mask, name } => write!(out, "pattern `{name}` of mask `{mask}` cannot be looked for"),
            Self::Word { name, number, why } => write!(out, "word {number} of the context of pattern `{name}` is none: {why}"),
            Self::PatternTwice { name } => write!(out, "two masks mean different things by `{name}`: name one otherwise"),
            Self::TooManyPatterns => write!(out, "the masks have more than {} patterns in all", Masks::PATTERNS),
            Self::TooManyFields => out.write_str(
                "the field rules need too large a table together: write fewer of those with `*` or `**`, or more exact ones",
            ),
            Self::DeniesUnfound { mask, number } => {
                write!(out, "kind {number} of the `deny` of mask `{mask}` is none that the mask finds")
            }
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
        Rule::detecting(detect, replace)
    }

    fn label(masks: &Masks, kind: Kind) -> String {
        let mut label = String::new();
        masks.of_kind(kind).unwrap().write(b"ann@example.org", Form::Plain, &mut label);
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
