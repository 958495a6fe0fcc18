//! The platform team's plugin configuration, read by the same code as in the filter.

use crate::document::Document;
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
    let bundle = document.get("bundle");
    let is_embedded = bundle.is_some_and(|bundle| bundle.get("embedded") == Some(&Value::Bool(true)));
    let bundle_missing = is_embedded && embedded.is_none();
    let stand_in = json!({"schema": "rerank-guard/v1", "bundle": {"id": "none", "serial": 1}, "rules": []}).to_string();
    let embedded = embedded.unwrap_or(stand_in.as_bytes());
    let checked = |config, flaws| Checked { config, flaws, bundle_missing };
    let inline = bundle.and_then(|bundle| bundle.get("inline")).map(|inline| inline.to_string().into_bytes());
    let Some(in_bundle) = inline.and_then(|inline| Policy::load(&inline).err()) else {
        return match read(document, embedded) {
            Ok(config) => checked(Some(config), Vec::new()),
            Err(flaws) => checked(None, flaws),
        };
    };
    let mut flaws: Vec<Flaw> = in_bundle.into_iter().map(|flaw| under(&["bundle", "inline"], flaw)).collect();
    let mut without = document.clone();
    if let Some(bundle) = without.get_mut("bundle") {
        *bundle = json!({"embedded": true});
    }
    flaws.extend(read(&without, stand_in.as_bytes()).err().unwrap_or_default());
    checked(None, flaws)
}

fn read(value: &Value, embedded: &[u8]) -> Result<Config, Vec<Flaw>> {
    let text = value.to_string();
    Config::read(text.as_bytes(), Some(embedded)).map_err(|Flaws(lines)| {
        let written = Document::json(&text).ok();
        lines.iter().map(|line| flaw(line, written.as_ref())).collect()
    })
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

fn under(names: &[&str], flaw: Flaw) -> Flaw {
    let outer = names.iter().fold(Place::root(), |place, name| place.name(name));
    Flaw { place: join(&outer, flaw.place.steps()), ..flaw }
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
        keys: {jwks: {cluster: c, authority: idp.example, path: /k}}\nroutes:\n- path: /rerank\n  dialect: tei\n  model: m\n  \
        dataset: {fixed: d}\n  credentials: [c]\ncredentials: {c: {env: KEY}}\n";

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
    fn a_flawed_bundle_hides_no_other_flaw() {
        let inline = "{inline: {schema: rerank-guard/v1, bundle: {id: b, serial: 1}, rules: [{id: r, alow: {}}]}}";
        let text = GOOD.replace("{embedded: true}", inline).replace("dialect: tei", "dialect: tie");
        let places: Vec<String> = told(&text).into_iter().map(|(_, pointed)| pointed).collect();
        assert!(places.contains(&"alow".to_owned()) && places.contains(&"tie".to_owned()), "{places:?}");
    }
}
