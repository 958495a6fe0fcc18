//! Bundles that come while calls go on.

use super::*;
use crate::audit::verify;
use crate::policy::fetched::Answer;
use crate::policy::signed::{Envelope, SignedBy, key_id, signed_bytes};
use base64::engine::general_purpose::STANDARD;
use ed25519_compact::Seed;

fn signer() -> KeyPair {
    KeyPair::from_seed(Seed::new([7; 32]))
}

fn signed(bundle: &Value) -> Vec<u8> {
    let bundle = bundle.to_string().into_bytes();
    let sig = STANDARD.encode(*signer().sk.sign(signed_bytes(&bundle), None));
    let signatures = vec![SignedBy { key: key_id(&*signer().pk), sig }];
    serde_json::to_vec(&Envelope { payload: STANDARD.encode(&bundle), signatures }).unwrap()
}

fn fetched() -> Value {
    json!({"cluster": "bundles", "authority": "bundles.test", "path": "/b", "id": "test", "keys": [jwk(&signer(), "s1")]})
}

/// The bundle of the world, with a serial and a change.
fn bundle(serial: u64, change: impl FnOnce(&mut Value)) -> Value {
    let (memory, mut written) = (MEMORY.take(), Value::Null);
    world_with(|config| written = config["bundle"]["inline"].clone());
    MEMORY.set(memory);
    written["bundle"]["serial"] = serial.into();
    change(&mut written);
    written
}

fn fetching(start: bool) -> World {
    world_with(|config| {
        let inline = config["bundle"]["inline"].take();
        config["bundle"] = json!({"fetched": fetched()});
        if start {
            config["bundle"]["inline"] = inline;
        }
    })
}

impl World {
    fn hears_as(&self, role: Role, body: &[u8], seconds: u64) -> &'static str {
        let now = NOW.plus(Span::from_secs(seconds));
        assert!(self.guard.due_bundles(now, &host()).iter().any(|(due, _)| *due == role), "due");
        self.guard.bundle_answered(role, Answer::Http { status: 200, tag: None, body }, now, 0, &host()).event
    }

    fn hears(&self, bundle: &Value, seconds: u64) -> &'static str {
        self.hears_as(Role::Enforced, &signed(bundle), seconds)
    }
}

#[test]
fn without_a_bundle_nobody_is_let_in_and_with_the_first_good_one_they_are() {
    let world = fetching(false);
    let mut exchange = world.exchange();
    let step = exchange.request_headers(world.headers("/web/v2/rerank", &[]), false, NOW, &host());
    assert_eq!(status(&step), 503);
    let record: Value = serde_json::from_str(&exchange.sealed_record(NOW, &host())).unwrap();
    assert_eq!((&record["result"]["reason"], &record["policy"]), (&json!("no-bundle-yet"), &Value::Null));
    assert_eq!(world.hears(&bundle(3, |_| {}), 1), "loaded");
    sent(&world);
}

#[test]
fn a_bundle_that_cannot_be_carried_out_here_is_refused() {
    let world = fetching(true);
    let unknown = bundle(8, |bundle| {
        bundle["credentials"]["nobody"] = json!({});
        bundle["rules"][2]["use"] = json!("nobody");
    });
    assert_eq!(world.hears(&unknown, 0), "refused");
    let pseudonyms = bundle(9, |bundle| bundle["masks"]["pii"]["replace"] = json!("{pseudonym:k1}"));
    assert_eq!(world.hears(&pseudonyms, 60), "refused");
    sent(&world);
}

#[test]
fn events_are_links_of_the_chain_before_the_call_that_comes_next() {
    let world = fetching(true);
    world.hears(&bundle(8, |_| {}), 0);
    world.hears(&bundle(6, |_| {}), 60);
    let records = sent(&world).sealed_record(NOW, &host());
    let next = sent(&world).sealed_record(NOW, &host());
    // No text in these records has what stands between them.
    let one_a_line = records.replace("\"},{\"v\"", "\"}\n{\"v\"");
    let mut previous = None;
    for record in one_a_line.lines().chain([next.as_str()]) {
        previous = Some(verify(record, previous.as_deref()).unwrap());
    }
    assert_eq!(one_a_line.lines().count(), 3);
    let all: Vec<Value> = serde_json::from_str(&format!("[{records}]")).unwrap();
    assert_eq!(
        (&all[0]["type"], &all[0]["event"], &all[0]["loaded"]["serial"]),
        (&json!("bundle"), &json!("loaded"), &json!(8))
    );
    assert_eq!(
        (&all[1]["event"], &all[1]["reason"], &all[1]["before"]["serial"]),
        (&json!("refused"), &json!("older"), &json!(8))
    );
    assert_eq!((&all[2]["type"], &all[2]["policy"]["serial"]), (&json!("call"), &json!(8)));
}

#[test]
fn a_worker_follows_the_others_of_its_process_and_lets_nothing_older_decide() {
    let world = fetching(true);
    assert_eq!(world.hears(&bundle(9, |_| {}), 0), "loaded");
    let configured = |config: &mut Value| {
        let inline = config["bundle"]["inline"].take();
        config["bundle"] = json!({"inline": inline, "fetched": fetched()});
    };
    // One that is new, as after a push or a trap, and has an older bundle to start with.
    let late = world.another(configured);
    assert_eq!(late.hears(&bundle(8, |_| {}), 0), "refused");
    let all: Vec<Value> = serde_json::from_str(&format!("[{}]", sent(&late).sealed_record(NOW, &host()))).unwrap();
    let told: Vec<_> = all.iter().map(|one| (one["event"].as_str(), one["policy"]["serial"].as_u64())).collect();
    assert_eq!(told, [(Some("refused"), None), (Some("loaded"), None), (None, Some(9))]);
    let told = late.guard.follow(NOW, &host());
    assert_eq!(told.iter().map(|(role, one)| (*role, one.event)).collect::<Vec<_>>(), [(Role::Enforced, "loaded")]);
    assert_eq!(late.guard.follow(NOW, &host()), []);
    // One that cannot carry the newest bundle out.
    let poor = world.another(|config| {
        configured(config);
        config["credentials"].as_object_mut().unwrap().remove("other");
        config["bundle"]["inline"]["credentials"].as_object_mut().unwrap().remove("other");
        config["bundle"]["inline"]["rules"].as_array_mut().unwrap().pop();
    });
    for _ in 0..2 {
        let mut exchange = poor.exchange();
        let step = exchange.request_headers(poor.headers("/web/v2/rerank", &[]), false, NOW, &host());
        assert_eq!((status(&step), &record(&mut exchange)["result"]["reason"]), (503, &json!("bundle-behind")));
    }
    let told = poor.guard.follow(NOW, &host());
    assert_eq!(
        told.iter().map(|(_, one)| (one.event, one.reason)).collect::<Vec<_>>(),
        [("behind", Some(crate::policy::FetchReason::Unfit))]
    );
    // Where nobody knows, nothing that could be older decides; a bundle that is not fetched does.
    lose_memory();
    let mut exchange = late.exchange();
    let step = exchange.request_headers(late.headers("/web/v2/rerank", &[]), false, NOW, &host());
    assert_eq!((status(&step), &record(&mut exchange)["result"]["reason"]), (503, &json!("bundle-memory-unavailable")));
    assert!(matches!(late.another(|_| {}).ask("/web/v2/rerank", CALL).1, Step::Release(_)));
}

#[test]
fn events_that_had_no_room_are_counted() {
    let world = fetching(true);
    for serial in 8..108 {
        assert_eq!(world.hears(&bundle(serial, |_| {}), serial * 100), "loaded");
    }
    let all: Vec<Value> = serde_json::from_str(&format!("[{}]", sent(&world).sealed_record(NOW, &host()))).unwrap();
    assert_eq!(all.len(), 65);
    assert_eq!((&all[0]["lost_before"], &all[1]["lost_before"]), (&json!(36), &json!(0)));
}

#[test]
fn a_call_is_masked_and_recorded_by_the_bundle_that_decided_it() {
    let world = fetching(true);
    let mut exchange = sent(&world);
    // The next bundle masks nothing and calls its masks otherwise.
    let other = bundle(8, |bundle| {
        bundle["masks"] = json!({});
        bundle["rules"].as_array_mut().unwrap().remove(1);
    });
    assert_eq!(world.hears(&other, 0), "loaded");
    exchange.response_headers(&answer(OK_JSON), false, NOW, &host());
    let Step::Release(edits) = exchange.response_whole(br#"{"a":"ann@example.org"}"#) else { panic!("not released") };
    assert_eq!(edits.body.as_deref(), Some(&br#"{"a":"[email]"}"#[..]));
    let all: Vec<Value> = serde_json::from_str(&format!("[{}]", exchange.sealed_record(NOW, &host()))).unwrap();
    assert_eq!((&all[1]["policy"]["serial"], &all[1]["decision"]["masks"]), (&json!(7), &json!(["pii"])));
    let mut next = sent(&world);
    next.response_headers(&answer(OK_JSON), false, NOW, &host());
    let Step::Release(edits) = next.response_whole(br#"{"a":"ann@example.org"}"#) else { panic!("not released") };
    assert_eq!(edits.body, None);
}

#[test]
fn what_people_approved_is_held_against_the_bundle_in_force_by_then() {
    for (what, change, outcome) in [
        ("a deny", json!([{"id": "no", "deny": {"datasets": ["hr"]}}]), Err("denied-by-rule")),
        (
            "a further approval",
            json!([{"id": "more", "guard": {}, "require": {"approval": "board"}}]),
            Err("bundle-changed"),
        ),
        (
            "a mask for the request that waits",
            json!([{"id": "more", "guard": {}, "require": {"request_masks": ["pii"]}}]),
            Ok("[email]"),
        ),
        ("nothing of it", json!([{"id": "other", "deny": {"datasets": ["web"]}}]), Ok("ann@example.org")),
    ] {
        let world = fetching(true);
        let call = CALL.replace("\"q\"", "\"ann@example.org\"");
        let (mut exchange, step) = world.ask("/hr-x/v2/rerank", &call);
        let digest = digest_of(&step);
        let other = bundle(8, |bundle| {
            bundle["approvals"]["board"] = json!({"groups": ["grp-board"], "min": 1, "ttl": "10m"});
            bundle["rules"].as_array_mut().unwrap().extend(change.as_array().unwrap().clone());
        });
        assert_eq!(world.hears(&other, 0), "loaded");
        let receipt = world.receipt(&json!({"req": digest}));
        let approved = json!({"status": "approved", "id": "a-1", "receipt": receipt}).to_string();
        let step = exchange.agreed(&approved, &call, &host());
        let all: Vec<Value> = serde_json::from_str(&format!("[{}]", exchange.sealed_record(NOW, &host()))).unwrap();
        match outcome {
            Ok(query) => {
                let Step::Release(edits) = step else { panic!("{what}: {step:?}") };
                let sent = edits.body.map_or(call, |body| String::from_utf8(body).unwrap());
                assert!(sent.contains(query), "{what}: {sent}");
            }
            Err(reason) => {
                assert_eq!(status(&step), 403, "{what}");
                assert_eq!(all[1]["result"]["reason"], reason, "{what}");
            }
        }
        assert_eq!(all[1]["policy"]["serial"], 8, "{what}");
    }
}

#[test]
fn an_approval_by_fewer_or_others_than_the_bundle_wants_by_then_denies() {
    let world = fetching(true);
    let (mut exchange, step) = world.ask("/hr-x/v2/rerank", CALL);
    let digest = digest_of(&step);
    world.hears(&bundle(8, |bundle| bundle["approvals"]["desk"]["min"] = json!(2)), 0);
    let receipt = world.receipt(&json!({"req": digest}));
    let approved = json!({"status": "approved", "id": "a-1", "receipt": receipt}).to_string();
    assert_eq!(status(&exchange.agreed(&approved, CALL, &host())), 403);
    assert!(!exchange.is_sent());
}

#[test]
fn a_shadow_bundle_is_recorded_and_changes_nothing() {
    let strict = bundle(9, |bundle| bundle["rules"] = json!([{"id": "nobody", "deny": {}}]));
    let shadowed = |shadow: Value| world_with(|config| config["bundle"]["shadow"] = shadow);
    let world = shadowed(json!({"inline": strict}));
    let mut exchange = sent(&world);
    let opinion = &record(&mut exchange)["decision"]["shadow_bundle"];
    assert_eq!((&opinion["effect"], &opinion["rules"]), (&json!("deny"), &json!(["nobody"])));
    assert_eq!(opinion["policy"]["serial"], 9);
    let denied = r#"{"model":"m9","query":"q","documents":["a"]}"#;
    let loose = bundle(9, |bundle| bundle["rules"][2]["allow"]["models"] = json!(["*"]));
    let (mut exchange, step) = shadowed(json!({"inline": loose})).ask("/web/v2/rerank", denied);
    assert_eq!((status(&step), &record(&mut exchange)["decision"]["shadow_bundle"]["effect"]), (403, &json!("allow")));
    // One that is fetched: whatever comes, calls go on as they did.
    let world = shadowed(json!({"fetched": fetched()}));
    assert_eq!(world.hears_as(Role::Shadow, b"garbage", 0), "refused");
    let all: Vec<Value> = serde_json::from_str(&format!("[{}]", sent(&world).sealed_record(NOW, &host()))).unwrap();
    assert_eq!((&all[0]["role"], &all[1]["decision"].get("shadow_bundle")), (&json!("shadow"), &None));
    assert_eq!(world.hears_as(Role::Shadow, &signed(&strict), 60), "loaded");
    let all: Vec<Value> = serde_json::from_str(&format!("[{}]", sent(&world).sealed_record(NOW, &host()))).unwrap();
    assert_eq!(all[1]["decision"]["shadow_bundle"]["effect"], "deny");
    assert_eq!(all[1]["policy"]["serial"], 7);
}

#[test]
fn a_bundle_the_server_no_longer_confirms_is_believed_only_so_long() {
    let world = world_with(|config| {
        config["bundle"]["fetched"] = fetched();
        config["bundle"]["fetched"]["max_stale"] = json!("60s");
    });
    world.guard.due_bundles(NOW, &host());
    sent(&world);
    let late = NOW.plus(Span::from_secs(61));
    let mut exchange = world.exchange();
    let step = exchange.request_headers(world.headers("/web/v2/rerank", &[]), false, late, &host());
    assert_eq!(status(&step), 503);
    assert_eq!(record(&mut exchange)["result"]["reason"], "bundle-stale");
}
