//! The platform team's plugin configuration, read by the same code as in the filter.

use crate::document::Document;
use crate::envoy::{Filters, is_envoys};
use crate::kind;
use rerank_guard::config::Config;
use rerank_guard::diagnostic::Flaw;
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
/// Without that bundle, one that allows nothing stands in for it, so that all flaws of the configuration are told all the same.
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
    let (config, flaws) =
        match Config::read(document.to_string().as_bytes(), Some(embedded.unwrap_or(stand_in.as_bytes()))) {
            Ok(config) => (Some(config), Vec::new()),
            Err(flaws) => (None, flaws),
        };
    Checked { config, flaws, bundle_missing }
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
