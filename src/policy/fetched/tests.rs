//! Answers of a server that is not trusted, one after the other.

use super::super::signed::{Envelope, SignedBy, key_id, signed_bytes};
use super::*;
use crate::shared::{LocalMemory, Versioned};
use base64::engine::general_purpose::STANDARD;
use ed25519_compact::{KeyPair, Seed};
use serde_json::{Value, json};
use std::rc::Rc;

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
    assert_eq!(settings.flaws(), []);
    Source::new(&settings, None, "enforced")
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
    memory: Rc<LocalMemory>,
}

impl World {
    fn new(change: Value) -> Self {
        Self { source: source(change), current: None, memory: Rc::default() }
    }

    fn hears(&mut self, status: u16, tag: Option<&str>, body: &[u8], now: Time) -> String {
        assert!(self.source.due(&*self.memory, now).is_some(), "a fetch is due");
        let news = self.source.answered(
            Answer::Http { status, tag, body },
            self.current.as_ref(),
            &fits,
            &*self.memory,
            now,
            0,
        );
        match news {
            News::Loaded(policy) => {
                self.current = Some(*policy);
                "loaded".to_owned()
            }
            News::Unchanged => "unchanged".to_owned(),
            News::Refused(refused) => refused.reason().as_str().to_owned(),
            News::RefusedAgain(reason) => format!("{} again", reason.as_str()),
            News::Failed(failure) => failure.reason().as_str().to_owned(),
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

impl World {
    /// Another worker of the same process, or this one after a push or a trap: with what is configured, and nothing else.
    fn another(&self, change: Value) -> Self {
        Self { source: source(change), current: None, memory: self.memory.clone() }
    }

    /// What it does about what other workers have taken.
    fn follows(&mut self, now: Time) -> String {
        match self.source.catch_up(self.current.as_ref(), &fits, &*self.memory, now) {
            Ok(None) => "up to date".to_owned(),
            Ok(Some(policy)) => {
                self.current = Some(policy);
                "loaded".to_owned()
            }
            Err(Behind::Unknown) => "unknown".to_owned(),
            Err(Behind::Known) => "behind".to_owned(),
            Err(Behind::Missed(serial, why)) => format!("misses {serial}: {}", why.reason().as_str()),
        }
    }
}

#[test]
fn no_worker_of_a_process_goes_back_behind_another_and_all_follow_the_newest() {
    let mut one = World::new(json!({}));
    assert_eq!(one.follows(START), "up to date");
    assert_eq!(one.hears(200, None, &signed(&bundle(9, "a"), 1), START), "loaded");
    let mut other = one.another(json!({}));
    assert_eq!(other.hears(200, None, &signed(&bundle(8, "a"), 1), START), "older");
    assert_eq!(other.hears(200, None, &signed(&bundle(9, "b"), 1), at(60)), "conflicting");
    assert_eq!((other.follows(at(60)), other.serial()), ("loaded".to_owned(), Some(9)));
    assert_eq!(other.hears(200, None, &signed(&bundle(10, "a"), 1), at(120)), "loaded");
    assert_eq!((one.follows(at(120)), one.serial()), ("loaded".to_owned(), Some(10)));
    assert_eq!(one.hears(200, Some("\"v10\""), &signed(&bundle(10, "a"), 1), at(120)), "unchanged");
    // A worker that has a bundle to start with: an older one does not decide, one that is as new or newer does.
    for (start, follows, serial) in [(9, "loaded", 10), (10, "up to date", 10), (11, "up to date", 11)] {
        let mut late = one.another(json!({}));
        late.current = Some(Policy::load(&bundle(start, "built-in")).unwrap());
        assert_eq!((late.follows(at(180)).as_str(), late.serial()), (follows, Some(serial)), "{start}");
    }
}

#[test]
fn a_newest_bundle_that_cannot_be_had_lets_no_older_one_decide() {
    let mut one = World::new(json!({}));
    assert_eq!(one.hears(200, None, &signed(&bundle(9, "a"), 1), START), "loaded");
    // Nobody finds the bundle itself any more, only its mark.
    struct Marks(Rc<LocalMemory>);
    impl SharedMemory for Marks {
        fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
            if key.ends_with("/signed") { Ok(None) } else { self.0.get(key) }
        }
        fn put(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
            self.0.put(key, value, version)
        }
    }
    let marks = Marks(one.memory.clone());
    let mut late = one.another(json!({}));
    late.current = Some(Policy::load(&bundle(8, "built-in")).unwrap());
    late.source.due(&*late.memory, START);
    assert!(matches!(late.source.catch_up(late.current.as_ref(), &fits, &marks, START), Err(Behind::Missed(9, _))));
    assert!(matches!(late.source.catch_up(late.current.as_ref(), &fits, &marks, START), Err(Behind::Known)));
    // The fetch under way is still waited for.
    assert!(late.source.due(&*late.memory, START).is_none());
    let body = signed(&bundle(9, "a"), 1);
    let answer = Answer::Http { status: 200, tag: None, body: &body };
    let News::Loaded(policy) = late.source.answered(answer, late.current.as_ref(), &fits, &*one.memory, START, 0)
    else {
        panic!("not loaded")
    };
    assert!(matches!(late.source.catch_up(Some(&policy), &fits, &marks, START), Ok(None)));
    // What it asks for cannot be done here, or its end has come.
    let mut unfit = one.another(json!({}));
    let nothing = |_: &Policy| vec!["credentials: none".to_owned()];
    let missed = unfit.source.catch_up(None, &nothing, &*one.memory, START);
    assert!(matches!(missed, Err(Behind::Missed(9, Refused::Unfit(_)))));
    let mut late = one.another(json!({}));
    assert_eq!(late.follows(Time::parse("2027-06-02").unwrap()), "misses 9: expired");
}

#[test]
fn without_memory_nothing_is_taken_and_nothing_decides() {
    struct Broken(bool);
    impl SharedMemory for Broken {
        fn get(&self, _: &str) -> Result<Option<Versioned>, Unavailable> {
            if self.0 { Ok(None) } else { Err(Unavailable) }
        }
        fn put(&self, _: &str, _: &[u8], _: Option<u32>) -> Result<bool, Unavailable> {
            if self.0 { Ok(false) } else { Err(Unavailable) }
        }
    }
    for broken in [Broken(true), Broken(false)] {
        let mut world = World::new(json!({}));
        let body = signed(&bundle(9, "a"), 1);
        for seconds in [0, 60] {
            assert!(world.source.due(&*world.memory, at(seconds)).is_some());
            let answer = Answer::Http { status: 200, tag: None, body: &body };
            let news = world.source.answered(answer, None, &fits, &broken, at(seconds), 0);
            assert!(matches!(news, News::Refused(Refused::NoMemory)), "{news:?}");
        }
        // It was not the answer's fault.
        assert_eq!(world.hears(200, None, &body, at(200)), "loaded");
        assert_eq!(broken.0, !matches!(world.source.catch_up(None, &fits, &broken, at(200)), Err(Behind::Unknown)));
    }
}

#[test]
fn a_tag_of_a_bundle_that_was_overtaken_confirms_nothing() {
    let mut one = World::new(json!({"max_stale": "60s"}));
    assert_eq!(one.hears(200, Some("\"v9\""), &signed(&bundle(9, "a"), 1), START), "loaded");
    assert_eq!(one.source.due(&*one.memory, at(30)).unwrap().tag.as_deref(), Some("\"v9\""));
    let mut other = one.another(json!({}));
    assert_eq!(other.hears(200, None, &signed(&bundle(10, "a"), 1), at(30)), "loaded");
    assert_eq!(one.follows(at(30)), "loaded");
    let answer = Answer::Http { status: 304, tag: None, body: b"" };
    let news = one.source.answered(answer, one.current.as_ref(), &fits, &*one.memory, at(31), 0);
    assert!(matches!(news, News::Unchanged));
    assert!(one.source.is_stale(at(61)), "confirmed at the beginning only");
    assert_eq!(one.source.due(&*one.memory, at(31)).unwrap().tag, None);
}

#[test]
fn neither_a_push_nor_a_trap_makes_a_bundle_fresh() {
    let change = || json!({"max_stale": "60s"});
    let mut one = World::new(change());
    assert_eq!(one.hears(200, None, &signed(&bundle(9, "a"), 1), START), "loaded");
    for (seconds, is_stale) in [(59, false), (60, false), (61, true), (90, true)] {
        let mut late = one.another(change());
        assert_eq!(late.follows(at(seconds)), "loaded");
        assert!(late.source.due(&*late.memory, at(seconds)).is_some());
        assert_eq!(late.source.is_stale(at(seconds)), is_stale, "{seconds}");
    }
    let mut late = one.another(change());
    assert_eq!(late.hears(200, None, &signed(&bundle(9, "a"), 1), at(90)), "loaded");
    assert!(!late.source.is_stale(at(150)));
    // A server that nobody has ever heard is given that long once.
    let mut silent = World::new(change());
    silent.source.due(&*silent.memory, START);
    let mut late = silent.another(change());
    late.source.due(&*late.memory, at(61));
    assert!(late.source.is_stale(at(61)));
}

#[test]
fn keys_that_are_no_longer_trusted_hold_nobody_up() {
    let mut one = World::new(json!({}));
    assert_eq!(one.hears(200, None, &signed(&bundle(u64::MAX, "a"), 1), START), "loaded");
    let mut other = one.another(json!({"keys": [jwk(2)]}));
    assert_eq!(other.follows(START), "up to date");
    assert_eq!(other.hears(200, None, &signed(&bundle(10, "a"), 2), START), "loaded");
    let mut third = one.another(json!({"keys": [jwk(2)], "min_serial": 11}));
    assert_eq!((third.follows(START), third.serial()), ("up to date".to_owned(), None));
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
    assert_eq!(world.source.due(&*world.memory, START).unwrap().tag, None);
    let answer = Answer::Http { status: 200, tag: Some("\"v5\""), body: &good };
    let News::Loaded(policy) = world.source.answered(answer, None, &fits, &*world.memory, START, 0) else { panic!() };
    world.current = Some(*policy);
    assert_eq!(world.source.due(&*world.memory, at(30)).unwrap().tag.as_deref(), Some("\"v5\""));
    let answer = Answer::Http { status: 304, tag: None, body: b"" };
    assert!(matches!(
        world.source.answered(answer, world.current.as_ref(), &fits, &*world.memory, at(50), 0),
        News::Unchanged
    ));
    assert!(!world.source.is_stale(at(110)) && world.source.is_stale(at(111)));
    // A bundle that is refused has no tag to come back to.
    let bad = signed(&bundle(4, "a"), 1);
    assert_eq!(world.hears(200, Some("\"v4\""), &bad, at(90)), "older");
    assert_eq!(world.source.due(&*world.memory, at(200)).unwrap().tag.as_deref(), Some("\"v5\""));
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
    source.due(&LocalMemory::default(), START);
    let body = signed(&bundle(5, "a"), 1);
    let unfit = |_: &Policy| vec!["credentials: none".to_owned()];
    let answer = Answer::Http { status: 200, tag: None, body: &body };
    let News::Refused(refused) = source.answered(answer, None, &unfit, &LocalMemory::default(), START, 0) else {
        panic!()
    };
    assert_eq!(refused.reason().as_str(), "unfit");
}

#[test]
fn answers_nobody_asked_for_change_nothing() {
    let mut source = source(json!({}));
    let body = signed(&bundle(5, "a"), 1);
    let answer = Answer::Http { status: 200, tag: None, body: &body };
    assert!(matches!(source.answered(answer, None, &fits, &LocalMemory::default(), START, 0), News::Unasked));
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
        assert!(flaws.len() == 1 && flaws[0].to_string().starts_with(field), "{change}: {flaws:?}");
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
