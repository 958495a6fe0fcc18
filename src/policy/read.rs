//! From JSON to a [`Bundle`], with everything that does not fit in one report: each entry is read on its own.

use super::bundle::{ApprovalTerms, Bundle, Credential, Named, Rule, SCHEMA};
use crate::diagnostic::{Flaw, Part, Place, Words, salvage};
use crate::mask;
use crate::time::Span;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A bundle as far as it could be read.
pub(super) struct Draft<'t> {
    /// All but the rules.
    pub(super) bundle: Bundle,
    pub(super) rules: Rules<'t>,
    /// For each test read, its number in the document.
    pub(super) tests: Vec<usize>,
    /// What could not be read. Names of entries with flaws are still in the bundle, so that what refers to them is not called
    /// wrong as well.
    pub(super) flaws: Vec<Flaw>,
}

/// Rules, read one at a time: all of them at once would take several times the memory of the policy they become.
pub(super) enum Rules<'t> {
    Read(Vec<Rule>),
    Written(Vec<&'t RawValue>),
}

/// The rules that could not be read.
#[derive(Default)]
pub(super) struct Lost {
    /// Their ids; empty ones where they have none.
    pub(super) ids: Vec<String>,
    pub(super) flaws: Vec<Flaw>,
}

impl Rules<'_> {
    /// Shows every rule that can be read, with its number in the document.
    pub(super) fn each(self, mut show: impl FnMut(usize, Rule)) -> Lost {
        let mut lost = Lost::default();
        match self {
            Self::Read(rules) => rules.into_iter().enumerate().for_each(|(number, rule)| show(number, rule)),
            Self::Written(rules) => {
                let place = Place::root().name("rules");
                for (number, written) in rules.into_iter().enumerate() {
                    let mut value = value(written);
                    match entry(|| place.item(number), &mut value, &mut lost.flaws) {
                        Some(rule) => show(number, rule),
                        None => lost.ids.push(value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()),
                    }
                }
            }
        }
        lost
    }
}

impl From<Bundle> for Draft<'_> {
    fn from(mut bundle: Bundle) -> Self {
        let rules = Rules::Read(std::mem::take(&mut bundle.rules));
        let tests = (0..bundle.tests.len()).collect();
        Self { bundle, rules, tests, flaws: Vec::new() }
    }
}

/// Reads a bundle's text. Repeated member names must have been refused before (see [`crate::json::check`]).
pub(super) fn draft(text: &str) -> Result<Draft<'_>, Vec<Flaw>> {
    let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else {
        return Err(vec![Flaw::new(
            Place::root(),
            "found no object, expected a bundle with `schema`, `bundle` and `rules`",
        )]);
    };
    let mut reader = Reader { members, flaws: Vec::new() };
    let schema: Option<String> = reader.member("schema");
    let identity = reader.member("bundle");
    let groups = reader.entries("groups", Vec::new);
    let models = reader.entries("models", nameless);
    let datasets = reader.entries("datasets", nameless);
    let credentials = reader.entries("credentials", || Credential {});
    let masks = reader.entries("masks", || mask::Rule::detecting(&[], ""));
    let approvals = reader.entries("approvals", || ApprovalTerms { groups: Vec::new(), min: 1, ttl: Span::default() });
    let rules = Rules::Written(reader.list("rules"));
    let tests = reader.list("tests");
    let (tests_read, tests) = reader.items("tests", tests).into_iter().unzip();
    let (rest, mut flaws) = (reader.members, reader.flaws);
    for name in rest.keys() {
        let mut flaw = Flaw::new(Place::root().name(name), format!("unknown name `{}`", name.escape_debug()));
        flaw.part = Part::Name;
        flaws.push(flaw.hint(crate::wording::known(name, &MEMBERS)));
    }
    let (Some(schema), Some(bundle)) = (schema, identity) else {
        // All that does not fit is told all the same.
        flaws.extend(rules.each(|_, _| ()).flaws);
        return Err(flaws);
    };
    if schema != SCHEMA {
        return Err(vec![
            Flaw::new(Place::root().name("schema"), "an unknown schema").hint(format!("write `{SCHEMA}`")),
        ]);
    }
    let bundle =
        Bundle { schema, bundle, groups, models, datasets, credentials, masks, approvals, rules: Vec::new(), tests };
    Ok(Draft { bundle, rules, tests: tests_read, flaws })
}

const MEMBERS: [&str; 10] =
    ["schema", "bundle", "groups", "models", "datasets", "credentials", "masks", "approvals", "rules", "tests"];

fn nameless() -> Named {
    Named { patterns: None, labels: Vec::new() }
}

struct Reader<'t> {
    members: BTreeMap<String, &'t RawValue>,
    flaws: Vec<Flaw>,
}

impl<'t> Reader<'t> {
    /// A member that must be there.
    fn member<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let Some(written) = self.members.remove(name) else {
            self.flaws.push(Flaw::new(Place::root(), format!("`{name}` is missing")));
            return None;
        };
        entry(|| Place::root().name(name), &mut value(written), &mut self.flaws)
    }

    /// A member that is an object of named entries. Where an entry cannot be read, `instead` keeps its name.
    fn entries<T: DeserializeOwned>(&mut self, name: &str, instead: fn() -> T) -> BTreeMap<String, T> {
        let place = Place::root().name(name);
        match self.members.remove(name).map(value) {
            None => BTreeMap::new(),
            Some(Value::Object(entries)) => entries
                .into_iter()
                .map(|(name, mut value)| {
                    let read = entry(|| place.name(&name), &mut value, &mut self.flaws).unwrap_or_else(instead);
                    (name, read)
                })
                .collect(),
            Some(_) => {
                self.flaws.push(Flaw::new(place, "expected names, each with its entry"));
                BTreeMap::new()
            }
        }
    }

    /// A member that is a list, its items still to be read. `rules` must be there.
    fn list(&mut self, name: &str) -> Vec<&'t RawValue> {
        let Some(written) = self.members.remove(name) else {
            if name == "rules" {
                self.flaws.push(Flaw::new(Place::root(), "`rules` is missing"));
            }
            return Vec::new();
        };
        serde_json::from_str(written.get()).unwrap_or_else(|_| {
            self.flaws.push(Flaw::new(Place::root().name(name), "expected a list"));
            Vec::new()
        })
    }

    /// The items that can be read; the numbers are those of the document.
    fn items<T: DeserializeOwned>(&mut self, name: &str, written: Vec<&RawValue>) -> Vec<(usize, T)> {
        let place = Place::root().name(name);
        let read = |(number, written): (usize, &RawValue)| {
            Some((number, entry(|| place.item(number), &mut value(written), &mut self.flaws)?))
        };
        written.into_iter().enumerate().filter_map(read).collect()
    }
}

/// What a text that was found to be JSON says.
fn value(written: &RawValue) -> Value {
    serde_json::from_str(written.get()).unwrap_or_default()
}

/// Reads an entry; of one with a flaw nothing comes.
fn entry<T: DeserializeOwned>(place: impl Fn() -> Place, value: &mut Value, flaws: &mut Vec<Flaw>) -> Option<T> {
    salvage(Words::Bundle, place, value, flaws).whole()
}
