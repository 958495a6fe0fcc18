//! Answers of a server that is not trusted, one after the other.

use super::super::signed::{Envelope, SignedBy, key_id, signed_bytes};
use super::*;
use base64::engine::general_purpose::STANDARD;
use ed25519_compact::{KeyPair, Seed};
use serde_json::{Value, json};

const START: Time = Time(1_800_000_000_000);

fn at(seconds: u64) -> Time {
    START.plus(Span::from_secs(seconds))
}

fn pair(seed: u8) -> KeyPair {
    KeyPair::from_seed(Seed::new([seed; 32]))
}

fn jwk(seed: u8) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": format!("key-{seed}"), "x": URL_SAFE_NO_PAD.encode(*pair(seed).pk)})
}

fn settings(change: Value) -> Value {
    let mut settings = json!({"cluster": "bundles", "authority": "bundles.example", "path": "/b.json", "id": "search",
        "keys": [jwk(1)], "max_bytes": 5000});
    settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    settings
}

fn source(change: Value) -> Source {
    let settings: Settings = serde_json::from_value(settings(change)).unwrap();
    assert_eq!(settings.flaws(), [""; 0]);
    Source::new(&settings, None)
}

/// A bundle that says which one it is by the name of a group.
fn bundle(serial: u64, word: &str) -> Vec<u8> {
    json!({"schema": "rerank-guard/v1", "bundle": {"id": "search", "serial": serial, "not_after": "2027-06-01"},
           "groups": {word: ["g"]}, "rules": []})
    .to_string()
    .into_bytes()
}

fn signed(bundle: &[u8], seed: u8) -> Vec<u8> {
    let sig = STANDARD.encode(*pair(seed).sk.sign(signed_bytes(bundle), None));
    let signatures = vec![SignedBy { key: key_id(&*pair(seed).pk), sig }];
    serde_json::to_vec(&Envelope { payload: STANDARD.encode(bundle), signatures }).unwrap()
}

fn fits(_: &Policy) -> Vec<String> {
    Vec::new()
}

struct World {
    source: Source,
    current: Option<Policy>,
}

impl World {
    fn new(change: Value) -> Self {
        Self { source: source(change), current: None }
    }

    fn hears(&mut self, status: u16, tag: Option<&str>, body: &[u8], now: Time) -> String {
        assert!(self.source.due(now).is_some(), "a fetch is due");
        let news = self.source.answered(Answer::Http { status, tag, body }, self.current.as_ref(), &fits, now, 0);
        match news {
            News::Loaded(policy) => {
                self.current = Some(*policy);
                "loaded".to_owned()
            }
            News::Unchanged => "unchanged".to_owned(),
            News::Refused(refused) => refused.as_str().to_owned(),
            News::RefusedAgain(reason) => format!("{reason} again"),
            News::Failed(failure) => failure.as_str().to_owned(),
            News::Unasked => "unasked".to_owned(),
        }
    }

    fn serial(&self) -> Option<u64> {
        self.current.as_ref().map(Policy::serial)
    }
}

#[test]
fn newer_bundles_replace_older_ones_and_never_the_other_way_round() {
    let mut world = World::new(json!({}));
    let mut now = START;
    for (bundle, says, serial) in [
        (bundle(5, "a"), "loaded", 5),
        (bundle(5, "a"), "unchanged", 5),
        (bundle(5, "b"), "conflicting", 5),
        (bundle(5, "b"), "conflicting again", 5),
        (bundle(4, "a"), "older", 5),
        (bundle(7, "a"), "loaded", 7),
        (bundle(5, "a"), "older", 7),
        (bundle(7, "a"), "unchanged", 7),
    ] {
        assert_eq!(world.hears(200, None, &signed(&bundle, 1), now), says);
        assert_eq!(world.serial(), Some(serial));
        now = now.plus(Span::from_secs(60));
    }
}

#[test]
fn whatever_else_comes_keeps_what_is_in_force() {
    let good = signed(&bundle(6, "a"), 1);
    let mut mixed: Value = serde_json::from_slice(&good).unwrap();
    mixed["payload"] = json!(STANDARD.encode(bundle(7, "a")));
    for (status, body, says) in [
        (200, signed(&bundle(6, "a"), 2), "unsigned"),
        (200, mixed.to_string().into_bytes(), "forged"),
        (200, good.get(..good.len() / 2).unwrap().to_vec(), "no-envelope"),
        (200, Vec::new(), "no-envelope"),
        (200, bundle(6, "a"), "no-envelope"),
        (200, vec![b' '; 5001], "too-large"),
        (500, good.clone(), "status"),
        (304, Vec::new(), "status"),
        (206, good.clone(), "status"),
    ] {
        let mut world = World::new(json!({}));
        assert_eq!(world.hears(status, None, &body, START), says);
        assert_eq!(world.serial(), None, "{says}");
        world.hears(200, None, &signed(&bundle(5, "a"), 1), at(60));
        assert_eq!(world.hears(status, None, &body, at(120)), says);
        assert_eq!(world.serial(), Some(5), "{says}");
        assert_eq!(world.hears(200, None, &good, at(300)), "loaded");
    }
}

#[test]
fn a_tag_is_sent_back_and_304_confirms() {
    let mut world = World::new(json!({"max_stale": "60s"}));
    let good = signed(&bundle(5, "a"), 1);
    assert_eq!(world.source.due(START).unwrap().tag, None);
    let answer = Answer::Http { status: 200, tag: Some("\"v5\""), body: &good };
    let News::Loaded(policy) = world.source.answered(answer, None, &fits, START, 0) else { panic!() };
    world.current = Some(*policy);
    assert_eq!(world.source.due(at(30)).unwrap().tag.as_deref(), Some("\"v5\""));
    let answer = Answer::Http { status: 304, tag: None, body: b"" };
    assert!(matches!(world.source.answered(answer, world.current.as_ref(), &fits, at(50), 0), News::Unchanged));
    assert!(!world.source.is_stale(at(110)) && world.source.is_stale(at(111)));
    // A bundle that is refused has no tag to come back to.
    let bad = signed(&bundle(4, "a"), 1);
    assert_eq!(world.hears(200, Some("\"v4\""), &bad, at(90)), "older");
    assert_eq!(world.source.due(at(200)).unwrap().tag.as_deref(), Some("\"v5\""));
}

#[test]
fn tags_that_are_none_are_not_sent_back() {
    for tag in ["v5", "\"", "\"a b\"", "\"a\r\nx: y\"", &format!("\"{}\"", "a".repeat(300))] {
        assert!(!is_tag(tag), "{tag}");
    }
    assert!(is_tag("\"v5\"") && is_tag("W/\"v5\""));
}

#[test]
fn the_bundle_to_start_with_is_a_floor_that_a_signed_one_of_its_serial_may_replace() {
    for (serial, says) in [(4, "below-floor"), (5, "loaded"), (6, "loaded")] {
        let mut world = World::new(json!({}));
        world.current = Some(Policy::load(&bundle(5, "built-in")).unwrap());
        assert_eq!(world.hears(200, None, &signed(&bundle(serial, "a"), 1), START), says);
        assert_eq!(world.serial(), Some(serial.max(5)));
    }
    let mut world = World::new(json!({"min_serial": 9}));
    assert_eq!(world.hears(200, None, &signed(&bundle(8, "a"), 1), START), "below-floor");
}

#[test]
fn a_key_replaces_another_while_both_are_trusted() {
    let mut world = World::new(json!({"keys": [jwk(1), jwk(2)]}));
    assert_eq!(world.hears(200, None, &signed(&bundle(5, "a"), 1), START), "loaded");
    assert_eq!(world.hears(200, None, &signed(&bundle(6, "a"), 2), at(60)), "loaded");
    assert_eq!(world.hears(200, None, &signed(&bundle(7, "a"), 3), at(120)), "unsigned");
}

#[test]
fn what_cannot_be_carried_out_is_refused() {
    let mut source = source(json!({}));
    source.due(START);
    let body = signed(&bundle(5, "a"), 1);
    let unfit = |_: &Policy| vec!["credentials: none".to_owned()];
    let answer = Answer::Http { status: 200, tag: None, body: &body };
    let News::Refused(refused) = source.answered(answer, None, &unfit, START, 0) else { panic!() };
    assert_eq!(refused.as_str(), "unfit");
}

#[test]
fn answers_nobody_asked_for_change_nothing() {
    let mut source = source(json!({}));
    let body = signed(&bundle(5, "a"), 1);
    let answer = Answer::Http { status: 200, tag: None, body: &body };
    assert!(matches!(source.answered(answer, None, &fits, START, 0), News::Unasked));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (change, field) in [
        (json!({"cluster": ""}), "cluster:"),
        (json!({"path": "b.json"}), "path:"),
        (json!({"keys": []}), "keys:"),
        (json!({"keys": [jwk(1), jwk(1)]}), "keys:"),
        (json!({"keys": [jwk(1), jwk(2), jwk(3)]}), "keys:"),
        (json!({"refresh": "10ms"}), "refresh:"),
        (json!({"timeout": "1m"}), "timeout:"),
        (json!({"max_bytes": 0}), "max_bytes:"),
        (json!({"max_stale": "10s"}), "max_stale:"),
    ] {
        let settings: Settings = serde_json::from_value(settings(change.clone())).unwrap();
        let flaws = settings.flaws();
        assert!(flaws.len() == 1 && flaws[0].starts_with(field), "{change}: {flaws:?}");
    }
    let mut private = jwk(1);
    private["d"] = json!("AAAA");
    let mut unnamed = jwk(1);
    unnamed["kid"] = json!("");
    for (key, says) in [
        (private, "private"),
        (unnamed, "without a name"),
        (json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "AAAA"}), "no Ed25519 public key"),
        (json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": "AAAA"}), "no Ed25519 key"),
    ] {
        let said = serde_json::from_value::<BundleKey>(key).unwrap_err().to_string();
        assert!(said.contains(says) && !said.contains("AAAA"), "{said}");
    }
}
