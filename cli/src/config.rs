//! The platform team's plugin configuration, read by the same code as in the filter.

use crate::document::Document;
use crate::envoy::{Filters, is_envoys};
use crate::kind;
use rerank_guard::config::{Config, Flaws};
use rerank_guard::policy::{Flaw, Part, Place, Policy, Step};
use serde_json::{Value, json};

/// What there is to say about a configuration.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The configuration, if the filter would take it.
    pub(crate) config: Option<Config>,
    pub(crate) flaws: Vec<Flaw>,
    /// Whether its bundle is the one in the module, and not at hand to be checked with it.
    pub(crate) bundle_missing: bool,
}

/// Checks the configuration `document` with the bundle `embedded` in the module if that is what it asks for.
///
/// Without that bundle, and where the bundle itself is flawed, one that allows nothing stands in for it, so that all other flaws
/// are told too.
pub(crate) fn check(document: &Value, embedded: Option<&[u8]>) -> Checked {
    let asks = |supply: Option<&Value>| {
        supply
            .is_some_and(|supply| supply.get("embedded") == Some(&Value::Bool(true)) && supply.get("inline").is_none())
    };
    let bundle = document.get("bundle");
    let shadow = bundle.and_then(|bundle| bundle.get("shadow"));
    let bundle_missing = (asks(bundle) || asks(shadow)) && embedded.is_none();
    // It is whichever bundle the fetched ones have to be.
    let fetched_id = |supply: Option<&Value>| supply?.get("fetched")?.get("id")?.as_str().map(str::to_owned);
    let id = fetched_id(bundle).or_else(|| fetched_id(shadow)).unwrap_or_else(|| "none".to_owned());
    let stand_in =
        json!({"schema": "rerank-guard/v1", "bundle": {"id": id, "serial": u32::MAX}, "rules": []}).to_string();
    let mut flaws = Vec::new();
    let mut without = document.clone();
    for way in [&["bundle"][..], &["bundle", "shadow"]] {
        let place = way.iter().fold(Place::root(), |place, name| place.name(name)).name("inline");
        let supply = way.iter().try_fold(&mut without, |value, name| value.get_mut(name));
        let Some(members) = supply.and_then(Value::as_object_mut) else { continue };
        let inline = members.get("inline").map(|inline| inline.to_string().into_bytes());
        if let Some(found) = inline.and_then(|inline| Policy::load(&inline).err()) {
            flaws.extend(found.into_iter().map(|flaw| Flaw { place: join(&place, flaw.place.steps()), ..flaw }));
            members.remove("inline");
            members.insert("embedded".to_owned(), Value::Bool(true));
        }
    }
    let embedded = if flaws.is_empty() { embedded.unwrap_or(stand_in.as_bytes()) } else { stand_in.as_bytes() };
    match read(&without, embedded) {
        Ok(config) if flaws.is_empty() => Checked { config: Some(config), flaws, bundle_missing },
        Ok(_) => Checked { config: None, flaws, bundle_missing },
        Err(more) => {
            flaws.extend(more);
            Checked { config: None, flaws, bundle_missing }
        }
    }
}

/// The one configuration in `document`, which is the plugin's or Envoy's, as the filter would take it.
///
/// # Errors
/// Why there is none, in one line.
pub(crate) fn only(document: &Value) -> Result<Config, String> {
    if let Some(other) = kind::no_config(document) {
        return Err(other.what);
    }
    let filters = Filters::of(document);
    let inside = match (filters.ours.as_slice(), is_envoys(document)) {
        ([], false) => document.clone(),
        ([], true) => return Err("no filter of rerank-guard is in this Envoy configuration".to_owned()),
        ([filter], _) => match filter.plugin().map(|plugin| plugin.value) {
            Some(Value::String(text)) => Document::json(text).map_err(|malformed| malformed.what)?.value,
            _ => return Err("the filter has no configuration that can be read".to_owned()),
        },
        _ => return Err("several filters are in it: take one out into a file of its own".to_owned()),
    };
    let Checked { config, flaws, .. } = check(&inside, None);
    let flaw = flaws.first().map(|flaw| format!("{flaw}: `rerank-guard check --config` tells all its flaws"));
    config.ok_or_else(|| flaw.unwrap_or_default())
}

/// Reads it as the filter does. That stops at the first unknown field; here the rest is read without it, to tell all.
fn read(value: &Value, embedded: &[u8]) -> Result<Config, Vec<Flaw>> {
    let mut value = value.clone();
    let mut unknown = Vec::new();
    loop {
        let text = value.to_string();
        let lines = match Config::read(text.as_bytes(), Some(embedded)) {
            Ok(config) if unknown.is_empty() => return Ok(config),
            Ok(_) => return Err(unknown),
            Err(Flaws(lines)) => lines,
        };
        let written = Document::json(&text).ok();
        let flaws: Vec<Flaw> = lines.iter().map(|line| flaw(line, written.as_ref())).collect();
        let is_unknown = |flaw: &&Flaw| flaw.part == Part::Name && flaw.what.starts_with("unknown field");
        let removed = flaws.first().filter(is_unknown).is_some_and(|flaw| remove(&mut value, flaw.place.steps()));
        // A name written wrong is not told a second time as one that is missing.
        let is_told = |flaw: &Flaw| {
            let inside =
                |told: &Flaw| told.place.steps().split_last().map(|(_, outer)| outer) == Some(flaw.place.steps());
            flaw.what.starts_with("missing field") && unknown.iter().any(inside)
        };
        let flaws: Vec<Flaw> = flaws.into_iter().filter(|flaw| !is_told(flaw)).collect();
        unknown.extend(flaws);
        if !removed {
            return Err(unknown);
        }
    }
}

/// Takes a member away. True if it was there.
fn remove(value: &mut Value, way: &[Step]) -> bool {
    match (way, value) {
        ([Step::Name(name)], Value::Object(members)) => members.remove(name).is_some(),
        ([Step::Name(name), rest @ ..], Value::Object(members)) => {
            members.get_mut(name).is_some_and(|inner| remove(inner, rest))
        }
        ([Step::Item(number), rest @ ..], Value::Array(items)) => {
            items.get_mut(*number).is_some_and(|inner| remove(inner, rest))
        }
        _ => false,
    }
}

/// Reads a line of [`Flaws`]: the field comes first, before a colon or in backticks, or the reader's position last.
fn flaw(line: &str, document: Option<&Document>) -> Flaw {
    let Some(document) = document else { return Flaw::new(Place::root(), line) };
    if let Some(what) = line.strip_prefix("configuration: ") {
        let Some((what, column)) = what.rsplit_once(" at line 1 column ") else {
            return Flaw::new(Place::root(), what);
        };
        let (place, part) = column.parse().map_or((Place::root(), Part::Value), |column| document.reached(column));
        return Flaw { part, ..Flaw::new(place, what) };
    }
    if let Some((name, what)) = line.strip_prefix("dialect `").and_then(|rest| rest.split_once("`: ")) {
        let dialects = document.value.get("dialects").and_then(Value::as_array);
        let named = |dialect: &Value| dialect.get("name").and_then(Value::as_str) == Some(name);
        let at = dialects.and_then(|dialects| dialects.iter().position(named));
        return at
            .map_or(Flaw::new(Place::root(), line), |at| Flaw::new(Place::root().name("dialects").item(at), what));
    }
    if let Some((field, _)) = line.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
        return Flaw::new(document.follow(field), line);
    }
    match line.split_once(": ") {
        Some((field, what)) if !field.is_empty() => Flaw::new(document.follow(field), what),
        _ => Flaw::new(Place::root(), line),
    }
}

/// `inner` as a way from `outer` on.
pub(crate) fn join(outer: &Place, inner: &[Step]) -> Place {
    inner.iter().fold(outer.clone(), |place, step| match step {
        Step::Name(name) => place.name(name),
        Step::Item(number) => place.item(*number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(String, String)> {
        let document = Document::yaml(text).unwrap();
        let pointed =
            |flaw: &Flaw| text.get(document.locate(text, &flaw.place, flaw.part).unwrap()).unwrap().to_owned();
        check(&document.value, None).flaws.iter().map(|flaw| (flaw.place.to_string(), pointed(flaw))).collect()
    }

    const GOOD: &str = "gateway: eu1\nbundle: {embedded: true}\ncallers:\n  issuers:\n  - issuer: https://idp.example\n    audiences: [a]\n    \
        keys: {jwks: {cluster: c, authority: idp.example, path: /k}}\norigins: [https://a.example]\nroutes:\n- path: /rerank\n  dialect: tei\n  model: m\n  \
        dataset: {fixed: d}\n  clusters: [up]\n  credentials: [c]\ncredentials: {c: {env: KEY}}\n";

    #[test]
    fn every_flaw_is_found_where_it_stands() {
        assert_eq!(told(GOOD), []);
        for (right, wrong, place, pointed) in [
            ("dialect: tei", "dialect: tie", "routes[0].dialect", "tie"),
            ("dialect: tei", "dialekt: tei", "routes[0].dialekt", "dialekt"),
            ("gateway: eu1", "gateway: 5", "gateway", "5"),
            ("gateway: eu1", "", "the document", "bundle: {embedded: true}"),
            ("  model: m\n", "", "routes[0].model", "path: /rerank"),
            ("audiences: [a]", "audiences: []", "callers.issuers[0].audiences", "[]"),
            ("{fixed: d}", "{fixd: d}", "routes[0].dataset.fixd", "fixd"),
            ("{fixed: d}", "{fixed: [d]}", "routes[0].dataset.fixed", "[d]"),
            ("{env: KEY}", "{env: KEY, header: X}", "credentials.c", "{env: KEY, header: X}"),
            ("{embedded: true}", "{embedded: false}", "bundle.embedded", "false"),
            ("path: /k}", "path: k}", "callers.issuers[0].keys.jwks.path", "k"),
        ] {
            assert_eq!(told(&GOOD.replacen(right, wrong, 1)), [(place.to_owned(), pointed.to_owned())], "{wrong}");
        }
    }

    #[test]
    fn an_unknown_field_hides_no_other_flaw() {
        let text = GOOD
            .replace("gateway: eu1", "gateway: eu1\ngetaway: eu1")
            .replace("dialect: tei", "dialect: tie\n  modle: m")
            .replace("audiences: [a]", "audience: [a]\n    audiences: [a]");
        let places: Vec<String> = told(&text).into_iter().map(|(place, _)| place).collect();
        // In the order in which they are met: names sorted.
        assert_eq!(places, ["callers.issuers[0].audience", "getaway", "routes[0].modle", "routes[0].dialect"]);
    }

    #[test]
    fn a_flawed_bundle_hides_no_other_flaw() {
        let inline = "{inline: {schema: rerank-guard/v1, bundle: {id: b, serial: 1}, rules: [{id: r, alow: {}}]}}";
        let text = GOOD.replace("{embedded: true}", inline).replace("dialect: tei", "dialect: tie");
        let places: Vec<String> = told(&text).into_iter().map(|(_, pointed)| pointed).collect();
        assert!(places.contains(&"alow".to_owned()) && places.contains(&"tie".to_owned()), "{places:?}");
    }
}
