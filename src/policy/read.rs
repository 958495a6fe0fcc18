//! From JSON to a [`Bundle`], with everything that does not fit in one report. serde stops at the first misfit, so each entry
//! is read on its own, what does not fit is noted and taken out, and the rest of the entry is read again.

use super::bundle::{ApprovalTerms, Bundle, Credential, Named, Rule, SCHEMA};
use super::flaw::{Flaw, Part, Place, Step};
use super::tracked;
use crate::mask;
use crate::time::Span;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A bundle as far as it could be read.
pub(super) struct Draft {
    pub(super) bundle: Bundle,
    /// For each rule read, its number in the document.
    pub(super) rules: Vec<usize>,
    /// The ids of rules that could not be read; empty ones where they have none.
    pub(super) lost: Vec<String>,
    /// For each test read, its number in the document.
    pub(super) tests: Vec<usize>,
    /// What could not be read. Names of entries with flaws are still in the bundle, so that what refers to them is not called
    /// wrong as well.
    pub(super) flaws: Vec<Flaw>,
}

impl From<Bundle> for Draft {
    fn from(bundle: Bundle) -> Self {
        let (rules, tests) = ((0..bundle.rules.len()).collect(), (0..bundle.tests.len()).collect());
        Self { bundle, rules, lost: Vec::new(), tests, flaws: Vec::new() }
    }
}

/// Reads a bundle document. Repeated member names must have been refused before (see [`crate::json::check`]).
pub(super) fn draft(document: Value) -> Result<Draft, Vec<Flaw>> {
    let Value::Object(members) = document else {
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
    let ids = rule_ids(reader.members.get("rules"));
    let (rule_numbers, rules): (Vec<usize>, Vec<Rule>) = reader.items("rules").into_iter().unzip();
    let lost =
        ids.into_iter().filter(|(number, _)| rule_numbers.binary_search(number).is_err()).map(|(_, id)| id).collect();
    let (test_numbers, tests) = reader.items("tests").into_iter().unzip();
    let (rest, mut flaws) = (reader.members, reader.flaws);
    for name in rest.keys() {
        let mut flaw = Flaw::new(Place::root().name(name), format!("unknown name `{}`", name.escape_debug()));
        flaw.part = Part::Name;
        flaws.push(flaw.hint(super::flaw::nearest(name, MEMBERS).map_or_else(
            || format!("known here: {}", MEMBERS.join(", ")),
            |meant| format!("did you mean `{meant}`?"),
        )));
    }
    let (Some(schema), Some(bundle)) = (schema, identity) else { return Err(flaws) };
    if schema != SCHEMA {
        return Err(vec![
            Flaw::new(Place::root().name("schema"), "an unknown schema").hint(format!("write `{SCHEMA}`")),
        ]);
    }
    let bundle = Bundle { schema, bundle, groups, models, datasets, credentials, masks, approvals, rules, tests };
    Ok(Draft { bundle, rules: rule_numbers, lost, tests: test_numbers, flaws })
}

const MEMBERS: [&str; 10] =
    ["schema", "bundle", "groups", "models", "datasets", "credentials", "masks", "approvals", "rules", "tests"];

fn nameless() -> Named {
    Named { patterns: None, labels: Vec::new() }
}

/// The ids of all rules, also of those that cannot be read, by number.
fn rule_ids(rules: Option<&Value>) -> Vec<(usize, String)> {
    let rules = rules.and_then(Value::as_array).into_iter().flatten().enumerate();
    rules
        .map(|(number, rule)| (number, rule.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()))
        .collect()
}

struct Reader {
    members: Map<String, Value>,
    flaws: Vec<Flaw>,
}

impl Reader {
    /// A member that must be there.
    fn member<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let Some(value) = self.members.remove(name) else {
            self.flaws.push(Flaw::new(Place::root(), format!("`{name}` is missing")));
            return None;
        };
        self.salvage(&Place::root().name(name), value)
    }

    /// A member that is an object of named entries. Where an entry cannot be read, `instead` keeps its name.
    fn entries<T: DeserializeOwned>(&mut self, name: &str, instead: fn() -> T) -> BTreeMap<String, T> {
        let place = Place::root().name(name);
        match self.members.remove(name) {
            None => BTreeMap::new(),
            Some(Value::Object(entries)) => entries
                .into_iter()
                .map(|(entry, value)| {
                    let read = self.salvage(&place.name(&entry), value).unwrap_or_else(instead);
                    (entry, read)
                })
                .collect(),
            Some(_) => {
                self.flaws.push(Flaw::new(place, "expected names, each with its entry"));
                BTreeMap::new()
            }
        }
    }

    /// A member that is a list; the numbers are those of the document. `rules` must be there.
    fn items<T: DeserializeOwned>(&mut self, name: &str) -> Vec<(usize, T)> {
        let place = Place::root().name(name);
        match self.members.remove(name) {
            None => {
                if name == "rules" {
                    self.flaws.push(Flaw::new(Place::root(), "`rules` is missing"));
                }
                Vec::new()
            }
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .filter_map(|(number, item)| Some((number, self.salvage(&place.item(number), item)?)))
                .collect(),
            Some(_) => {
                self.flaws.push(Flaw::new(place, "expected a list"));
                Vec::new()
            }
        }
    }

    /// Reads `value`; notes what does not fit, takes it out and tries again. What is left of an entry with a flaw would only
    /// mislead, so nothing comes of it.
    fn salvage<T: DeserializeOwned>(&mut self, place: &Place, mut value: Value) -> Option<T> {
        let mut whole = true;
        loop {
            match tracked::read(&value) {
                Ok(read) => return whole.then_some(read),
                // A member may be missing only because it was just taken out.
                Err(misfit) if misfit.missing && !whole => return None,
                Err(misfit) => {
                    whole = false;
                    let taken = !misfit.missing && take_out(&mut value, misfit.flaw.place.steps());
                    self.flaws.push(Flaw { place: place.join(misfit.flaw.place), ..misfit.flaw });
                    if !taken {
                        return None;
                    }
                }
            }
        }
    }
}

/// Removes what stands at `steps`. False when there is nothing to remove.
fn take_out(value: &mut Value, steps: &[Step]) -> bool {
    match (value, steps) {
        (Value::Object(members), [Step::Name(name)]) => members.remove(name).is_some(),
        (Value::Array(items), [Step::Item(number)]) if *number < items.len() => {
            // Without it those behind it would be numbered wrongly, so they go too.
            items.truncate(*number);
            true
        }
        (Value::Object(members), [Step::Name(name), rest @ ..]) => {
            members.get_mut(name).is_some_and(|member| take_out(member, rest))
        }
        (Value::Array(items), [Step::Item(number), rest @ ..]) => {
            items.get_mut(*number).is_some_and(|item| take_out(item, rest))
        }
        _ => false,
    }
}
