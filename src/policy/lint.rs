//! What is allowed in a bundle and probably not meant.

use super::bundle::{Bundle, Mode, Named, Rule, Selectors};
use super::glob::Pattern;
use crate::diagnostic::{Flaw, Part, Place, Spot};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// The label of data that anybody may see; every other label says that a dataset needs care.
const PUBLIC: &str = "public";

/// Looks over a bundle that loads, at the time `now`. What comes out are warnings: the bundle works as it is written.
#[must_use]
pub fn lint(bundle: &Bundle, now: Time) -> Vec<Flaw> {
    let mut warnings = Vec::new();
    match bundle.bundle.not_after {
        None => {
            let flaw = Flaw::new(Place::root().name("bundle"), "the bundle never ends");
            warnings.push(flaw.hint("give it a `not_after`, so that no old one can be kept in force for ever"));
        }
        Some(end) if end <= now => {
            let flaw =
                Flaw::new(Place::root().name("bundle").name("not_after"), "the bundle has ended: it denies everything");
            warnings.push(flaw.hint("give it a later `not_after`"));
        }
        Some(_) => {}
    }
    unused(bundle, &mut warnings);
    let rules = Spot::Root.name("rules");
    for (number, rule) in bundle.rules.iter().enumerate() {
        let place = rules.item(number);
        if let Some(allow) = &rule.allow {
            care(bundle, rule, allow, &place, &mut warnings);
            expired(bundle, rule, &place, now, &mut warnings);
        }
        never(bundle, rule, &place, &mut warnings);
    }
    warnings
}

/// Allows that grant nothing any more, or for less long than they say.
fn expired(bundle: &Bundle, rule: &Rule, place: &Spot<'_>, now: Time, warnings: &mut Vec<Flaw>) {
    let Some(end) = rule.expires else { return };
    let place = place.name("expires");
    if end <= now {
        let flaw = Flaw::new(place, format!("`{}` has expired: it matches nothing any more", rule.id));
        warnings.push(flaw.hint("take it out, or give it a later day"));
    } else if let Some(bundle_end) = bundle.bundle.not_after.filter(|bundle_end| *bundle_end < end) {
        let what = format!("`{}` says that it lasts longer than its bundle, which ends at {bundle_end}", rule.id);
        warnings
            .push(Flaw::new(place, what).hint("give the bundle a later `not_after`, or the rule an earlier `expires`"));
    }
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

/// Rules of which some deny leaves nothing.
fn never(bundle: &Bundle, rule: &Rule, place: &Spot<'_>, warnings: &mut Vec<Flaw>) {
    let Some(selectors) = rule.allow.as_ref().or(rule.guard.as_ref()).or(rule.deny.as_ref()) else { return };
    let taken_back = bundle.rules.iter().find(|other| {
        let Some(deny) = &other.deny else { return false };
        // Of two denies of the same calls the second one is told.
        let is_other = other.id != rule.id && (rule.deny.is_none() || !is_before(bundle, rule, other));
        is_other && other.mode == Mode::Enforce && other.when.is_none() && covers_all(bundle, deny, selectors)
    });
    if let Some(deny) = taken_back {
        let what = match (&rule.deny, &rule.guard) {
            (Some(_), _) => format!("`{}` changes nothing: `{}` denies all of it already", rule.id, deny.id),
            (_, Some(_)) => format!("`{}` never has an effect: `{}` denies all of it", rule.id, deny.id),
            _ => format!("`{}` never matches: `{}` denies all of it", rule.id, deny.id),
        };
        warnings.push(Flaw::new(place.name("id"), what).hint("take one of them out"));
    }
}

/// Whether `other` covers exactly what `rule` does and comes after it.
fn is_before(bundle: &Bundle, rule: &Rule, other: &Rule) -> bool {
    let place = |wanted: &Rule| bundle.rules.iter().position(|rule| rule.id == wanted.id);
    let (Some(own), Some(others)) = (&rule.deny, &other.deny) else { return false };
    rule.when.is_none() && rule.mode == Mode::Enforce && covers_all(bundle, own, others) && place(rule) < place(other)
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
        lint(&serde_json::from_str(&text).unwrap(), Time::parse("2028-01-01").unwrap())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_tidy_bundle_gives_no_warnings() {
        assert_eq!(warned(json!({})), [""; 0]);
    }

    #[test]
    fn of_rules_that_a_deny_leaves_nothing_of_the_later_is_told() {
        let hr = json!({"id": "d1", "deny": {"datasets": ["hr"]}});
        for (rules, warning) in [
            (
                json!([hr, {"id": "g", "guard": {"labels": ["regulated"]}, "risk": 1}]),
                Some("rules[2].id: `g` never has an effect: `d1`"),
            ),
            (json!([hr, {"id": "g", "guard": {}, "risk": 1}]), None),
            (json!([hr, {"id": "d2", "deny": {"datasets": ["hr"]}}]), Some("rules[2].id: `d2` changes nothing: `d1`")),
            (
                json!([hr, {"id": "d2", "deny": {"datasets": ["hr"], "models": ["x"]}}]),
                Some("rules[2].id: `d2` changes nothing: `d1`"),
            ),
            (
                json!([{"id": "d2", "deny": {"datasets": ["hr"], "models": ["x"]}}, hr]),
                Some("rules[1].id: `d2` changes nothing: `d1`"),
            ),
            (json!([hr, {"id": "d2", "deny": {"datasets": ["hr", "web"], "models": ["x"]}}]), None),
        ] {
            let mut all = rules.as_array().unwrap().clone();
            let allow = json!({"id": "a", "use": "c", "owner": "o", "expires": "2029-01-01", "allow":
                {"groups": ["staff"], "models": ["m"], "datasets": ["hr", "web"], "operations": ["rerank"]}});
            all.insert(0, allow);
            let told = warned(json!({"/rules": all}));
            assert_eq!(told.len(), usize::from(warning.is_some()), "{rules}: {told:?}");
            assert!(told.iter().all(|told| told.starts_with(warning.unwrap())), "{told:?}");
        }
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
                json!({"/bundle/not_after": "2028-01-01", "/rules/0/expires": "2027-01-01"}),
                vec!["bundle.not_after: the bundle has ended", "rules[0].expires: `a` has expired"],
            ),
            (
                json!({"/rules/0/expires": "2030-01-02"}),
                vec!["rules[0].expires: `a` says that it lasts longer than its bundle"],
            ),
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
