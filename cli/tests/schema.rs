//! The schemas as editors and other programs use them, read by another implementation: what ships is valid, what is refused for
//! its form is invalid, and the committed files are what the types say.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "all of it is tests"
)]

use jsonschema::Validator;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn tool(arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_rerank-guard")).args(arguments).current_dir(root()).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn committed(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join("schema").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn validator(name: &str) -> Validator {
    jsonschema::validator_for(&committed(name)).unwrap()
}

/// The JSON of a bundle, by way of the tool's own reader of YAML.
fn bundle(file: &str) -> Value {
    serde_json::from_str(&tool(&["compile", "--with-tests", file])).unwrap()
}

#[test]
fn the_committed_schemas_are_what_the_tool_writes() {
    for document in ["bundle", "config", "record"] {
        let text = std::fs::read_to_string(root().join(format!("schema/{document}.schema.json"))).unwrap();
        assert_eq!(tool(&["schema", document]), text, "`make reference` writes it anew");
    }
}

#[test]
fn the_committed_pages_of_the_reference_are_what_the_tool_writes() {
    for page in ["reasons", "configuration", "bundle", "metrics", "record"] {
        let text = std::fs::read_to_string(root().join(format!("docs/reference/{page}.md"))).unwrap();
        assert!(tool(&["reference", page]) == text, "docs/reference/{page}.md: `make reference` writes it anew");
    }
}

#[test]
fn the_pages_of_documents_tell_of_every_field_and_of_none_without_a_word() {
    let pages = ["configuration", "bundle"]
        .map(|page| std::fs::read_to_string(root().join(format!("docs/reference/{page}.md"))).unwrap())
        .concat();
    // The configuration's schema has the bundle's in it.
    let schema = committed("config.schema.json");
    let objects = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for object in objects {
        let forms = object["oneOf"].as_array().into_iter().flatten().chain([object]);
        for name in forms.filter_map(|one| one["properties"].as_object()).flat_map(|fields| fields.keys()) {
            assert!(pages.contains(&format!("\n| `{name}` |")), "`{name}` of {}", object["description"]);
        }
    }
    for row in pages.lines().filter(|line| line.starts_with("| `")) {
        assert!(!row.ends_with("|  |"), "it tells nothing: {row}");
    }
}

#[test]
fn every_bundle_that_ships_is_valid_and_names_its_schema() {
    let validator = validator("bundle.schema.json");
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("policies")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let errors: Vec<String> =
                validator.iter_errors(&bundle(path.to_str().unwrap())).map(|error| error.to_string()).collect();
            assert_eq!(errors, [""; 0], "{}", path.display());
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().next(), Some("# yaml-language-server: $schema=../schema/bundle.schema.json"));
            seen += 1;
        }
    }
    assert!(seen >= 4);
}

#[test]
fn every_configuration_that_ships_is_valid() {
    let (config, bundles) = (validator("config.schema.json"), validator("bundle.schema.json"));
    for file in ["envoy/minimal.yaml", "envoy/full.yaml"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let start = text.find("value: |").unwrap();
        // The JSON is a literal block of YAML: lines that are indented further than its name.
        let line = text[..start].rsplit('\n').next().unwrap();
        let indent = line.len();
        let block = text[start..]
            .lines()
            .skip(1)
            .take_while(|line| line.trim().is_empty() || line.len() - line.trim_start().len() > indent);
        let document: Value = serde_json::from_str(&block.collect::<Vec<_>>().join("\n")).unwrap();
        let errors: Vec<String> = config.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{file}");
        if let Some(inline) = document.pointer("/bundle/inline") {
            assert!(bundles.is_valid(inline), "{file}");
        }
    }
}

#[test]
fn what_is_refused_for_its_form_is_invalid() {
    let (validator, example) = (validator("bundle.schema.json"), bundle("policies/bank.yaml"));
    assert!(validator.is_valid(&example));
    let rule = |value: Value| ("/rules/-", value);
    let selectors =
        json!({"groups": ["fraud"], "models": ["in-house"], "datasets": ["cases"], "operations": ["rerank"]});
    for (pointer, value) in [
        ("/schema", json!("rerank-guard/v2")),
        ("/grops", json!({})),
        ("/bundle/serial", json!(-1)),
        ("/bundle/serial", json!("7")),
        ("/bundle/not_after", json!("soon")),
        ("/bundle/not_after", json!("2027-13-01")),
        ("/bundle/not_after", Value::Null),
        ("/bundle/id", json!("a b")),
        ("/groups/fraud", json!([])),
        ("/groups/fraud", json!(["grp-*"])),
        ("/groups/a b", json!(["grp"])),
        ("/datasets/cases/match", json!([])),
        ("/datasets/cases/match", json!(["hr-?"])),
        ("/datasets/cases/lables", json!([])),
        ("/credentials/tei-bank", json!({"env": "KEY"})),
        ("/masks/money/detect", json!(["e-mail"])),
        ("/approvals/fraud-lead/min", json!(0)),
        ("/approvals/fraud-lead/groups", json!([])),
        ("/approvals/fraud-lead/ttl", json!("ten minutes")),
        rule(json!({"id": "more"})),
        rule(json!({"id": "more", "deny": {}, "guard": {}, "risk": 1})),
        rule(json!({"deny": {}})),
        rule(json!({"id": "", "deny": {}})),
        rule(json!({"id": "more", "deny": {}, "where": "always"})),
        rule(json!({"id": "more", "deny": {}, "mode": "off"})),
        rule(json!({"id": "more", "deny": {"group": []}})),
        rule(json!({"id": "more", "deny": {"groups": []}})),
        rule(json!({"id": "more", "deny": {"models": ["a b"]}})),
        rule(json!({"id": "more", "deny": {"labels": ["regulated"], "datasets": ["cases"]}})),
        rule(json!({"id": "more", "deny": {"operations": ["rank"]}})),
        rule(json!({"id": "more", "deny": {}, "when": {}})),
        rule(json!({"id": "more", "deny": {}, "when": {"hours": {"days": ["mo"]}}})),
        rule(json!({"id": "more", "deny": {}, "when": {"hours": {"from": "8:00"}}})),
        rule(json!({"id": "more", "deny": {}, "when": {"claims": {"amr": []}}})),
        rule(json!({"id": "more", "deny": {}, "limits": {"top_n": 1}})),
        rule(json!({"id": "more", "deny": {}, "expires": "2027-01-01"})),
        rule(json!({"id": "more", "guard": {}, "risk": 1, "use": "tei-bank"})),
        rule(json!({"id": "more", "guard": {}, "risk": 1, "limits": {}})),
        rule(json!({"id": "more", "guard": {}, "limits": {"documents": 0}})),
        rule(json!({"id": "more", "guard": {}, "limits": {"return_documents": true}})),
        rule(json!({"id": "more", "allow": {"groups": ["fraud"]}})),
        rule(json!({"id": "more", "allow": selectors, "risk": 5})),
        rule(json!({"id": "more", "allow": selectors, "require": {"masks": ["money"]}})),
        ("/tests/0/expect/decision", json!("ask")),
        ("/tests/0/expect/reason", json!("so")),
        ("/tests/0/request/documents", json!(1.5)),
    ] {
        let mut document = example.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match document.pointer_mut(parent).unwrap() {
            Value::Array(items) => items.push(value.clone()),
            Value::Object(members) => drop(members.insert(name.to_owned(), value.clone())),
            _ => panic!("{pointer}"),
        }
        assert!(!validator.is_valid(&document), "{pointer}: {value}");
    }
    // And each of these is right but for that.
    for value in [
        json!({"id": "more", "deny": {}, "when": {"claims": {"amr": ["pwd"]}}}),
        json!({"id": "more", "guard": {}, "risk": 1}),
        json!({"id": "more", "allow": selectors, "use": "tei-bank", "limits": {"documents": 1}}),
    ] {
        let mut document = example.clone();
        document["rules"].as_array_mut().unwrap().push(value.clone());
        assert!(validator.is_valid(&document), "{value}");
    }
}

#[test]
fn what_no_configuration_says_is_invalid() {
    let validator = validator("config.schema.json");
    let sound = json!({
        "gateway": "eu1", "bundle": {"embedded": true},
        "callers": {"issuers": [{"issuer": "https://idp.example", "audiences": ["rg"],
            "keys": {"jwks": {"cluster": "idp", "authority": "idp.example", "path": "/jwks.json"}}}]},
        "origins": ["https://rerank.example"],
        "routes": [{"path": "/rerank", "dialect": "tei", "model": "m", "dataset": {"fixed": "d"}, "clusters": ["tei"],
                    "authorities": ["rerank.example"], "host": "tei.internal", "credentials": ["tei"]}],
        "credentials": {"tei": {"env": "TEI"}},
    });
    let errors: Vec<String> = validator.iter_errors(&sound).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    for (pointer, value) in [
        ("/typo", json!(1)),
        ("/gateway", json!("")),
        ("/bundle", json!({"embedded": true, "inline": {}})),
        ("/bundle", json!({"embedded": false})),
        ("/callers/issuers/0/aud", json!("x")),
        ("/callers/issuers/0/algorithms", json!(["HS256"])),
        ("/callers/issuers/0/clock_skew", json!(30)),
        ("/callers/issuers/0/keys", json!({"jwks": {"cluster": "idp"}})),
        ("/routes", json!([])),
        ("/routes/0/path", json!("rerank")),
        ("/routes/0/dataset", json!({"fixd": "d"})),
        ("/limits", json!({"request_bytes": 0})),
        ("/limits", json!({"request_byte": 1})),
        ("/pass", json!([{"method": "DELETE", "path": "/x"}])),
        ("/response_headers", json!(["X-Header"])),
        ("/credentials/tei", json!({"env": "TEI", "header": "X-Key"})),
        ("/credentials/tei", json!({"env": "TEI", "secret": "abc"})),
    ] {
        let mut document = sound.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value.clone());
        assert!(!validator.is_valid(&document), "{pointer}: {value}");
    }
}
