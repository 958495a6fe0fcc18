//! May they? A policy bundle, checked and compiled, decides on calls.
//!
//! Three kinds of rule, so that their order cannot matter: a `deny` denies whatever it matches; a `guard` never grants, it adds
//! limits, masks, approvals and risk to whatever it matches; an `allow` grants and names the credential. Only guards carry
//! obligations: so taking an allow away can never free a call from one.
//!
//! ```
//! use rerank_guard::policy::{Effect, Policy, Reason, Request};
//!
//! let bundle = br#"{
//!     "schema": "rerank-guard/v1",
//!     "bundle": {"id": "search", "serial": 1, "not_after": "2036-01-01"},
//!     "groups": {"search": ["grp-search"]},
//!     "datasets": {"handbook": {}},
//!     "credentials": {"cohere-prod": {}},
//!     "rules": [{"id": "search-handbook", "use": "cohere-prod", "allow": {"groups": ["search"],
//!         "models": ["rerank-v3.5"], "datasets": ["handbook"], "operations": ["rerank"]}}]
//! }"#;
//! let policy = Policy::load(bundle).unwrap();
//! let mut call = Request::about("rerank-v3.5", "handbook");
//! let denied = policy.decide(&call.question());
//! assert_eq!((denied.effect, denied.reason), (Effect::Deny, Reason::NoRule));
//!
//! call.groups = vec!["grp-search".to_owned()];
//! let allowed = policy.decide(&call.question());
//! assert_eq!((allowed.effect, allowed.credential.as_deref()), (Effect::Allow, Some("cohere-prod")));
//! ```

mod bundle;
mod check;
mod decide;
mod expect;
mod facts;
pub mod fetched;
mod floor;
mod glob;
mod index;
mod lexicon;
mod lint;
#[cfg(test)]
mod naive;
mod read;
mod reason;
#[cfg(test)]
mod refusals;
pub mod signed;
mod terms;
mod ties;
mod when;

pub use bundle::{
    Bundle, Expect, Force, Limits, Named, OPERATIONS, Request, Rule as WrittenRule, SCHEMA, Selectors, Test,
};
pub use decide::{Decision, Effect, Limit, Miss, NEAR_MISSES, NearMiss, Question, Shadow};
pub use expect::{Difference, Outcome};
pub use facts::{Claims, Facts, Novelty, Stated};
pub use index::Dimension;
pub use lint::lint;
pub use reason::{FetchReason, Reason};
pub(crate) use terms::{Search, Sought, Terms};
pub use when::{Hours, When};

use crate::diagnostic::{Flaw, Place};
use crate::hexadecimal::hexadecimal;
use crate::json;
use crate::mask;
use crate::time::{Span, Time};
use check::{Allow, Checked, Guard, Rule};
use index::{Index, Reach};
use lexicon::Lexicon;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A bundle that was checked and compiled. One that exists is valid: every name in it resolves and every obligation can be
/// carried out.
#[derive(Debug)]
pub struct Policy {
    id: String,
    serial: u64,
    not_after: Option<Time>,
    digest: String,
    denies: Vec<Rule<()>>,
    guards: Vec<Rule<Guard>>,
    allows: Vec<Rule<Allow>>,
    index: Index,
    masks: BTreeMap<Rc<str>, mask::Rule>,
    approvals: BTreeMap<Rc<str>, Approval>,
    credentials: Vec<Rc<str>>,
    tests: Vec<Test>,
    lexicon: Lexicon,
    counts_calls: bool,
    remembers_uses: bool,
    sought: Sought,
}

/// Who can approve a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its name in the bundle.
    pub name: Rc<str>,
    /// Groups of the identity provider; every approver is in one of them.
    pub groups: Vec<String>,
    /// How many different people it takes.
    pub min: u32,
    /// How long they may take.
    pub ttl: Span,
}

impl Policy {
    /// Reads, checks and compiles a bundle in JSON. Its digest is that of exactly these bytes.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once; never empty.
    pub fn load(text: &[u8]) -> Result<Self, Vec<Flaw>> {
        json::check(text).map_err(|malformed| vec![Flaw::new(Place::root(), malformed.to_string())])?;
        let written = std::str::from_utf8(text).map_err(|_| vec![Flaw::new(Place::root(), "not UTF-8")])?;
        Self::from_draft(read::draft(written)?, digest(text))
    }

    /// Reads, checks and compiles a bundle that stands in another document, which was found to be strict JSON. Its digest is that of its
    /// canonical form, as the tool writes bundles, so that how it is laid out does not matter.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn load_inline(text: &RawValue) -> Result<Self, Vec<Flaw>> {
        let malformed = |why: serde_json::Error| vec![Flaw::new(Place::root(), why.to_string())];
        let mut digest = Sha256::new();
        canonical(text, 2, &mut |text| digest.update(text)).map_err(malformed)?;
        Self::from_draft(read::draft(text.get())?, hexadecimal("", &digest.finalize()))
    }

    /// Checks and compiles a bundle; `digest` is how it will be named in records.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once; never empty.
    pub fn compile(bundle: Bundle, digest: String) -> Result<Self, Vec<Flaw>> {
        if bundle.schema != SCHEMA {
            return Err(vec![Flaw::new(Place::root().name("schema"), "an unknown schema")]);
        }
        Self::from_draft(bundle.into(), digest)
    }

    fn from_draft(draft: read::Draft<'_>, digest: String) -> Result<Self, Vec<Flaw>> {
        let identity = draft.bundle.bundle.clone();
        let Checked { mut denies, mut guards, mut allows, masks, approvals, credentials, tests, lexicon } =
            check::check(draft)?;
        let conditions = denies.iter().map(|rule| &rule.when).chain(guards.iter().map(|rule| &rule.when)).flatten();
        let (counts_calls, remembers_uses) = conditions
            .clone()
            .fold((false, false), |(counts, uses), when| (counts || when.counts_calls(), uses || when.asks_for_uses()));
        let sought = Sought {
            kinds: conditions.clone().flat_map(|when| when.kinds()).collect(),
            terms: Terms::new(conditions.flat_map(|when| when.terms())),
        };
        Ok(Self {
            sought,
            counts_calls,
            remembers_uses,
            id: identity.id,
            serial: identity.serial,
            not_after: identity.not_after,
            digest,
            index: Index::build([reaches(&mut denies), reaches(&mut guards), reaches(&mut allows)], &lexicon),
            denies,
            guards,
            allows,
            masks,
            approvals,
            credentials,
            tests,
            lexicon,
        })
    }

    /// Decides on a call. Nothing matching denies, and so does a bundle past its `not_after`.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        decide::decide(self, question)
    }

    /// The bundle's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Which version of the bundle.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// SHA-256 of the bundle's bytes, in lower-case hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// From when on it denies everything.
    #[must_use]
    pub fn not_after(&self) -> Option<Time> {
        self.not_after
    }

    /// The credentials that allows use, by name: what the platform's configuration must have.
    pub fn credentials(&self) -> impl Iterator<Item = &Rc<str>> {
        self.credentials.iter()
    }

    /// All masks, by name: what must be compiled before the first call.
    pub fn masks(&self) -> impl Iterator<Item = (&Rc<str>, &mask::Rule)> {
        self.masks.iter()
    }

    /// The mask called `name`.
    #[must_use]
    pub fn mask(&self, name: &str) -> Option<&mask::Rule> {
        self.masks.get(name)
    }

    /// All approvals.
    pub fn approvals(&self) -> impl Iterator<Item = &Approval> {
        self.approvals.values()
    }

    /// The approval called `name`.
    #[must_use]
    pub fn approval(&self, name: &str) -> Option<&Approval> {
        self.approvals.get(name)
    }

    /// The ids of all rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rc<str>> {
        let denies = self.denies.iter().map(|rule| &rule.id);
        let guards = self.guards.iter().map(|rule| &rule.id);
        denies.chain(guards).chain(self.allows.iter().map(|rule| &rule.id))
    }

    /// Whether a rule asks how often a caller calls: then every call is counted.
    pub(crate) const fn counts_calls(&self) -> bool {
        self.counts_calls
    }

    /// Whether a rule asks what a caller has used before: then uses are remembered.
    pub(crate) const fn remembers_uses(&self) -> bool {
        self.remembers_uses
    }

    /// What rules ask about the texts of calls.
    pub(crate) const fn sought(&self) -> &Sought {
        &self.sought
    }

    /// Runs the bundle's own tests.
    pub fn run_tests(&self) -> impl Iterator<Item = Outcome<'_>> {
        self.tests.iter().map(|test| Outcome::of(self, test))
    }
}

/// What the index keeps, and rules need no more.
fn reaches<Terms>(rules: &mut [Rule<Terms>]) -> Vec<Reach> {
    rules.iter_mut().map(|rule| std::mem::take(&mut rule.reach)).collect()
}

/// Writes a value without blanks and with the members of objects in order, as [`serde_json::Value`] is written; only what is `levels`
/// deep is ever read as one.
fn canonical(value: &RawValue, levels: u8, write: &mut dyn FnMut(&str)) -> Result<(), serde_json::Error> {
    let Some(levels) = levels.checked_sub(1).filter(|_| value.get().starts_with(['{', '['])) else {
        write(&serde_json::from_str::<serde_json::Value>(value.get())?.to_string());
        return Ok(());
    };
    if value.get().starts_with('[') {
        let mut before = "[";
        for item in serde_json::from_str::<Vec<&RawValue>>(value.get())? {
            write(before);
            canonical(item, levels, write)?;
            before = ",";
        }
        write(if before == "[" { "[]" } else { "]" });
    } else {
        let mut before = "{";
        for (name, member) in serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get())? {
            write(before);
            write(&serde_json::to_string(&name)?);
            write(":");
            canonical(member, levels, write)?;
            before = ",";
        }
        write(if before == "{" { "{}" } else { "}" });
    }
    Ok(())
}

fn digest(text: &[u8]) -> String {
    hexadecimal("", &Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-c\"\\\\é\n]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 30, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c\"é]{0,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Digests of bundles that stand in configurations stay what they were, and those of the tool.
        #[test]
        fn the_canonical_form_is_that_of_a_value(value in value()) {
            for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let raw: &RawValue = serde_json::from_str(&written).unwrap();
                let mut form = String::new();
                canonical(raw, 2, &mut |text| form.push_str(text)).unwrap();
                prop_assert_eq!(form, value.to_string());
            }
        }
    }

    #[test]
    fn the_digest_of_an_inline_bundle_does_not_depend_on_how_it_is_laid_out() {
        let text = r#"{ "rules": [ {"id":"a", "deny":{} } ], "schema":"rerank-guard/v1",
            "bundle": {"serial":1, "id":"\u0062"}, "masks": {} }"#;
        let inline = Policy::load_inline(serde_json::from_str(text).unwrap()).unwrap();
        let compact =
            r#"{"bundle":{"id":"b","serial":1},"masks":{},"rules":[{"deny":{},"id":"a"}],"schema":"rerank-guard/v1"}"#;
        assert_eq!(inline.digest(), Policy::load(compact.as_bytes()).unwrap().digest());
    }
}
