//! What is allowed in a bundle and probably not meant.

use super::bundle::{Bundle, Mode, Named, Rule, Selectors};
use super::flaw::{Flaw, Part, Place, Spot};
use super::glob::Pattern;
use std::collections::{BTreeMap, BTreeSet};

/// The label of data that anybody may see; every other label says that a dataset needs care.
const PUBLIC: &str = "public";

/// Looks over a bundle that loads. What comes out are warnings: the bundle works as it is written.
#[must_use]
pub fn lint(bundle: &Bundle) -> Vec<Flaw> {
    let mut warnings = Vec::new();
    if bundle.bundle.not_after.is_none() {
        let flaw = Flaw::new(Place::root().name("bundle"), "the bundle never ends");
        warnings.push(flaw.hint("give it a `not_after`, so that no old one can be kept in force for ever"));
    }
    unused(bundle, &mut warnings);
    let rules = Spot::Root.name("rules");
    for (number, rule) in bundle.rules.iter().enumerate() {
        if let Some(allow) = &rule.allow {
            let place = rules.item(number);
            care(bundle, rule, allow, &place, &mut warnings);
            never(bundle, rule, allow, &place, &mut warnings);
        }
    }
    warnings
}

/// Names that nothing refers to.
fn unused(bundle: &Bundle, warnings: &mut Vec<Flaw>) {
    let selectors: Vec<&Selectors> =
        bundle.rules.iter().flat_map(|rule| [&rule.deny, &rule.guard, &rule.allow]).flatten().collect();
    let listed = |list: fn(&Selectors) -> &Option<Vec<String>>| -> BTreeSet<&str> {
        selectors.iter().filter_map(|selectors| list(selectors).as_ref()).flatten().map(String::as_str).collect()
    };
    let labels = listed(|selectors| &selectors.labels);
    let mut datasets = listed(|selectors| &selectors.datasets);
    let labelled = |named: &Named| named.labels.iter().any(|label| labels.contains(label.as_str()));
    datasets.extend(bundle.datasets.iter().filter(|(_, named)| labelled(named)).map(|(name, _)| name.as_str()));
    // A dataset may be declared for its labels, which then warn of patterns that reach it.
    datasets
        .extend(bundle.datasets.iter().filter(|(_, named)| !named.labels.is_empty()).map(|(name, _)| name.as_str()));
    let requires = || bundle.rules.iter().filter_map(|rule| rule.require.as_ref());
    let masks = requires().flat_map(|require| require.masks.iter().chain(&require.request_masks));
    let masks = masks.map(String::as_str).collect();
    let approvals = requires().filter_map(|require| require.approval.as_deref()).collect();
    let credentials = bundle.rules.iter().filter_map(|rule| rule.credential.as_deref()).collect();
    let mut tell = |section: &str, names: Vec<&String>, used: BTreeSet<&str>| {
        for name in names.into_iter().filter(|name| !used.contains(name.as_str())) {
            let mut flaw = Flaw::new(Place::root().name(section).name(name), format!("`{name}` is used by no rule"));
            flaw.part = Part::Name;
            warnings.push(flaw);
        }
    };
    tell("groups", bundle.groups.keys().collect(), listed(|selectors| &selectors.groups));
    tell("models", bundle.models.keys().collect(), listed(|selectors| &selectors.models));
    tell("datasets", bundle.datasets.keys().collect(), datasets);
    tell("credentials", bundle.credentials.keys().collect(), credentials);
    tell("masks", bundle.masks.keys().collect(), masks);
    tell("approvals", bundle.approvals.keys().collect(), approvals);
}

/// Allows on data that needs care.
fn care(bundle: &Bundle, rule: &Rule, allow: &Selectors, place: &Spot<'_>, warnings: &mut Vec<Flaw>) {
    let careful: Vec<(&String, Vec<Pattern>)> = bundle
        .datasets
        .iter()
        .filter(|(_, named)| named.labels.iter().any(|label| label != PUBLIC))
        .map(|(name, named)| (name, patterns_of(name, named)))
        .collect();
    let reached = |patterns: &[Pattern]| {
        let meets = |own: &[Pattern]| own.iter().any(|own| patterns.iter().any(|pattern| pattern.overlaps(own)));
        careful.iter().find(|(_, own)| meets(own)).map(|(name, _)| *name)
    };
    if let Some(dataset) = reached(&datasets(bundle, allow).unwrap_or_default()) {
        for (member, missing) in [("owner", rule.owner.is_none()), ("expires", rule.expires.is_none())] {
            if missing {
                let what = format!("`{}` grants the labelled dataset `{dataset}` without `{member}`", rule.id);
                warnings.push(Flaw::new(place.name("id"), what).hint(format!("give it an `{member}`")));
            }
        }
    }
    let (allow_place, entries) = (place.name("allow"), allow.datasets.iter().flatten());
    let list = allow_place.name("datasets");
    for (number, entry) in entries.enumerate().filter(|(_, entry)| entry.contains('*')) {
        let pattern = Pattern::parse(entry).ok();
        if let Some(dataset) = pattern.and_then(|pattern| reached(&[pattern])) {
            let what = format!("`{entry}` reaches the labelled dataset `{dataset}`");
            warnings.push(Flaw::new(list.item(number), what).hint("name the datasets that are meant"));
        }
    }
}

/// Allows that some deny takes back entirely.
fn never(bundle: &Bundle, rule: &Rule, allow: &Selectors, place: &Spot<'_>, warnings: &mut Vec<Flaw>) {
    let taken_back = bundle.rules.iter().find(|other| {
        let Some(deny) = &other.deny else { return false };
        other.mode == Mode::Enforce && other.when.is_none() && covers_all(bundle, deny, allow)
    });
    if let Some(deny) = taken_back {
        let what = format!("`{}` never matches: `{}` denies all of it", rule.id, deny.id);
        warnings.push(Flaw::new(place.name("id"), what).hint("take one of them out"));
    }
}

fn covers_all(bundle: &Bundle, deny: &Selectors, allow: &Selectors) -> bool {
    let groups = |selectors: &Selectors| {
        let aliases = selectors.groups.as_ref()?.iter();
        Some(aliases.filter_map(|alias| bundle.groups.get(alias)).flatten().cloned().collect::<BTreeSet<String>>())
    };
    let in_groups = match (groups(deny), groups(allow)) {
        (None, _) => true,
        (Some(deny), Some(allow)) => allow.is_subset(&deny),
        (Some(_), None) => false,
    };
    let operations = deny.operations.as_ref().is_none_or(|deny| {
        allow.operations.as_ref().is_some_and(|allow| allow.iter().all(|operation| deny.contains(operation)))
    });
    let within = |deny: Option<Vec<Pattern>>, allow: Option<Vec<Pattern>>| {
        let Some(deny) = deny else { return true };
        let any = || Pattern::parse("*").into_iter().collect();
        allow.unwrap_or_else(any).iter().all(|allowed| deny.iter().any(|denied| denied.covers(allowed)))
    };
    in_groups
        && operations
        && within(opened(deny.models.as_ref(), &bundle.models), opened(allow.models.as_ref(), &bundle.models))
        && within(datasets(bundle, deny), datasets(bundle, allow))
        && within(opened(deny.tenants.as_ref(), &BTreeMap::new()), opened(allow.tenants.as_ref(), &BTreeMap::new()))
}

fn datasets(bundle: &Bundle, selectors: &Selectors) -> Option<Vec<Pattern>> {
    match &selectors.labels {
        None => opened(selectors.datasets.as_ref(), &bundle.datasets),
        Some(labels) => {
            let having = |named: &Named| named.labels.iter().any(|label| labels.contains(label));
            let datasets = bundle.datasets.iter().filter(|(_, named)| having(named));
            Some(datasets.flat_map(|(name, named)| patterns_of(name, named)).collect())
        }
    }
}

fn opened(list: Option<&Vec<String>>, declared: &BTreeMap<String, Named>) -> Option<Vec<Pattern>> {
    let open = |text: &String| match declared.get(text) {
        Some(named) => patterns_of(text, named),
        None => Pattern::parse(text).into_iter().collect(),
    };
    Some(list?.iter().flat_map(open).collect())
}

fn patterns_of(name: &str, named: &Named) -> Vec<Pattern> {
    match &named.patterns {
        Some(patterns) => patterns.iter().filter_map(|text| Pattern::parse(text).ok()).collect(),
        None => Pattern::parse(name).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn warned(change: Value) -> Vec<String> {
        let mut bundle = json!({
            "schema": "rerank-guard/v1",
            "bundle": {"id": "b", "serial": 1, "not_after": "2030-01-01"},
            "groups": {"staff": ["s1", "s2"]},
            "datasets": {"hr": {"match": ["hr-*"], "labels": ["regulated"]}, "web": {"labels": ["public"]}},
            "credentials": {"c": {}},
            "rules": [
                {"id": "a", "use": "c", "owner": "o", "expires": "2029-01-01", "allow":
                    {"groups": ["staff"], "models": ["m"], "datasets": ["hr", "web"], "operations": ["rerank"]}}
            ]
        });
        for (pointer, value) in change.as_object().unwrap() {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            match bundle.pointer_mut(parent).unwrap() {
                Value::Array(items) => items.push(value.clone()),
                Value::Object(members) if value.is_null() => drop(members.remove(name)),
                Value::Object(members) => drop(members.insert(name.to_owned(), value.clone())),
                _ => panic!("{pointer}"),
            }
        }
        let text = bundle.to_string();
        super::super::Policy::load(text.as_bytes()).unwrap_or_else(|flaws| panic!("{flaws:#?}"));
        lint(&serde_json::from_str(&text).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_tidy_bundle_gives_no_warnings() {
        assert_eq!(warned(json!({})), [""; 0]);
    }

    #[test]
    fn what_is_probably_not_meant_is_told() {
        let deny = |selectors: Value| json!({"/rules/-": {"id": "d", "deny": selectors}});
        for (change, warnings) in [
            (json!({"/bundle/not_after": null}), vec!["bundle: the bundle never ends"]),
            (json!({"/groups/other": ["x"]}), vec!["groups.other: `other` is used by no rule"]),
            (json!({"/credentials/d": {}}), vec!["credentials.d: `d` is used by no rule"]),
            (json!({"/datasets/plain": {}}), vec!["datasets.plain: `plain` is used by no rule"]),
            (
                json!({"/rules/0/owner": null}),
                vec!["rules[0].id: `a` grants the labelled dataset `hr` without `owner`"],
            ),
            (
                json!({"/rules/0/allow/datasets": ["*-x", "web"]}),
                vec!["rules[0].allow.datasets[0]: `*-x` reaches the labelled dataset `hr`"],
            ),
            (json!({"/rules/0/allow/datasets": ["w*"], "/rules/0/owner": null}), vec![]),
            (deny(json!({"groups": ["staff"]})), vec!["rules[0].id: `a` never matches: `d` denies all of it"]),
            (deny(json!({"datasets": ["h*", "we*"]})), vec!["rules[0].id: `a` never matches: `d` denies all of it"]),
            (deny(json!({"datasets": ["hr"]})), vec![]),
            (
                deny(json!({"labels": ["regulated", "public"]})),
                vec!["rules[0].id: `a` never matches: `d` denies all of it"],
            ),
            (deny(json!({"tenants": ["t*"]})), vec![]),
            (deny(json!({"tenants": ["*"]})), vec!["rules[0].id: `a` never matches: `d` denies all of it"]),
            (json!({"/rules/-": {"id": "d", "mode": "shadow", "deny": {}}}), vec![]),
            (json!({"/rules/-": {"id": "d", "deny": {}, "when": {"claims": {"x": ["y"]}}}}), vec![]),
        ] {
            let told = warned(change.clone());
            assert_eq!(told.len(), warnings.len(), "{change}: {told:?}");
            for (told, warning) in told.iter().zip(&warnings) {
                assert!(told.starts_with(warning), "{told}, expected {warning}");
            }
        }
    }
}
