//! The story without a host: what goes on, what is held, what the record says.

mod bundles;
mod routes;
mod signals;

use super::*;
use crate::audit::keyed_digest;
use crate::config::Config;
use crate::shared::LocalMemory;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_compact::KeyPair;
use serde_json::{Value, json};
use std::cell::RefCell;

const NOW: Time = Time(1_800_000_000_000);
const DIGEST_KEY: &str = "0123456789abcdef";
const SECRET: &str = "upstream-s3cret-0123456789";

thread_local! {
    /// The process's memory: of its own for each test, and new with each world.
    static MEMORY: RefCell<Option<Rc<LocalMemory>>> = const { RefCell::new(None) };
}

/// A host whose Envoy leads every call to the route's cluster.
fn host() -> StandIn {
    StandIn { cluster: Some("tei"), memory: MEMORY.with_borrow(Clone::clone), ..StandIn::default() }
}

/// From here on the process has no memory.
fn lose_memory() {
    MEMORY.set(None);
}

struct World {
    guard: Rc<Guard>,
    issuer: KeyPair,
    approver: KeyPair,
    email: Option<&'static str>,
}

fn jwk(key: &KeyPair, kid: &str) -> Value {
    let x = URL_SAFE_NO_PAD.encode(*key.pk);
    json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": x})
}

/// A compact JWS with just these members: nothing is added that a test did not ask for.
fn sign(key: &KeyPair, header: &Value, claims: &Value) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(*key.sk.sign(text.as_bytes(), None)))
}

fn world() -> World {
    world_with(|_| {})
}

/// The world with a changed configuration.
fn world_with(change: impl FnOnce(&mut Value)) -> World {
    let (issuer, approver) = (KeyPair::generate(), KeyPair::generate());
    let mut config = json!({
        "gateway": "eu1/test",
        "bundle": {"inline": {
            "schema": "rerank-guard/v1",
            "bundle": {"id": "test", "serial": 7, "not_after": "2036-01-01"},
            "groups": {"analysts": ["grp-bi"]},
            "datasets": {"web": {"match": ["web"]}, "hr": {"match": ["hr-*"], "labels": ["regulated"]}},
            "credentials": {"tei": {}, "other": {}},
            "masks": {"pii": {"detect": ["email", "credit_card"]}},
            "approvals": {"desk": {"groups": ["grp-leads"], "min": 1, "ttl": "10m"}},
            "rules": [
                {"id": "hr", "guard": {"datasets": ["hr"]}, "require": {"approval": "desk"}},
                {"id": "mask", "guard": {}, "require": {"masks": ["pii"]}},
                {"id": "analysts", "allow": {"groups": ["analysts"], "models": ["m1"], "datasets": ["web", "hr"], "operations": ["rerank"]},
                 "limits": {"documents": 3}, "use": "tei"},
                {"id": "elsewhere", "allow": {"groups": ["analysts"], "models": ["m2"], "datasets": ["web"], "operations": ["rerank"]}, "use": "other"},
            ],
        }},
        "callers": {"issuers": [{"issuer": "https://idp.test", "audiences": ["rg"], "algorithms": ["EdDSA"],
                                 "keys": {"inline": {"keys": [jwk(&issuer, "k1")]}}}]},
        "origins": ["https://gateway.test"],
        "routes": [{"path": "/{dataset}/v2/rerank", "dialect": "cohere-v2", "clusters": ["tei"], "dataset": {"segment": "dataset"},
                    "credentials": ["tei"]}],
        "pass": [{"method": "GET", "path": "/healthz"}],
        "approver": {"cluster": "approver", "authority": "approver.test", "issuer": "https://approver.test", "key": jwk(&approver, "a1")},
        "credentials": {"tei": {"env": "TEI", "prefix": "Bearer "}, "other": {"env": "TEI", "header": "api-key"}},
        "limits": {"request_bytes": 4096, "response_bytes": 4096},
        "audit": {"digest_key_env": "DIGEST"},
    });
    change(&mut config);
    let config = Config::read(config.to_string().as_bytes(), None).unwrap();
    let environment = |name: &str| match name {
        "TEI" => Some(SECRET.to_owned()),
        "DIGEST" => Some(DIGEST_KEY.to_owned()),
        _ => None,
    };
    MEMORY.set(Some(Rc::default()));
    World { guard: Rc::new(Guard::new(config, &environment, 1).unwrap()), issuer, approver, email: None }
}

impl World {
    fn token(&self) -> String {
        let now = NOW.secs();
        let claims = json!({"iss": "https://idp.test", "aud": "rg", "sub": "ann", "groups": ["grp-bi"], "iat": now, "exp": now + 600,
            "email": self.email});
        sign(&self.issuer, &json!({"alg": "EdDSA", "kid": "k1", "typ": "JWT"}), &claims)
    }

    fn receipt(&self, change: &Value) -> String {
        let now = NOW.secs();
        let mut claims = json!({
            "iss": "https://approver.test", "aud": "eu1/test", "sub": "ann", "requester_iss": "https://idp.test", "approval": "desk",
            "apv": [{"sub": "lea", "groups": ["grp-leads"], "at": now, "reason": "INC-1"}], "iat": now, "exp": now + 120, "jti": "r-1",
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        sign(&self.approver, &json!({"alg": "EdDSA", "kid": "a1", "typ": "rerank-approval+jwt"}), &claims)
    }

    fn exchange(&self) -> Exchange {
        Exchange::new(self.guard.clone(), "d-1".to_owned(), NOW)
    }

    fn headers(&self, path: &str, more: &[(&str, &str)]) -> Headers {
        let bearer = format!("Bearer {}", self.token());
        let mut all = vec![
            (":method", "POST"),
            (":path", path),
            (":authority", "gateway.test"),
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
        ];
        all.extend(more);
        Headers::new(all.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect())
    }

    /// Up to the decision.
    fn ask(&self, path: &str, body: &str) -> (Exchange, Step) {
        let mut exchange = self.exchange();
        assert_eq!(exchange.request_headers(self.headers(path, &[]), false, NOW, &host()), Step::Hold);
        assert_eq!(exchange.request_body(body.len(), true), Step::Read);
        let step = exchange.request_whole(body.as_bytes(), NOW, &host());
        (exchange, step)
    }
}

impl Exchange {
    /// The approver's answer, and the body again where the host is asked for it.
    fn agreed(&mut self, answer: &str, body: &str, host: &dyn Host) -> Step {
        self.agreed_at(answer, body, NOW, host)
    }

    fn agreed_at(&mut self, answer: &str, body: &str, now: Time, host: &dyn Host) -> Step {
        match self.answered(Some((200, answer.as_bytes())), now) {
            Step::Read => self.request_whole(body.as_bytes(), now, host),
            step => step,
        }
    }
}

const CALL: &str = r#"{"model":"m1","query":"q","documents":["a","b"]}"#;

fn status(step: &Step) -> u16 {
    match step {
        Step::Reply(reply) => reply.status,
        other => panic!("no reply but {other:?}"),
    }
}

fn record(exchange: &mut Exchange) -> Value {
    let record = exchange.sealed_record(NOW, &host());
    assert!(!record.contains(SECRET) && !record.contains("eyJ"), "{record}");
    serde_json::from_str(&record).unwrap()
}

/// Every record that any test here writes, of whatever kind and outcome, says what the page of records tells of, and nothing else.
pub(super) fn is_told(records: &str) {
    let all: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(&format!("[{records}]")).unwrap();
    assert!(!all.is_empty());
    for record in all {
        crate::audit::told::read(record.get()).unwrap_or_else(|untold| panic!("{untold}: {record}"));
    }
}

fn answer(headers: &[(&str, &str)]) -> Headers {
    Headers::new(headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
}

fn head(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const OK_JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];

#[test]
fn an_allowed_call_goes_up_under_the_gateways_credential_alone() {
    let world = world();
    let mut exchange = world.exchange();
    let more = [
        ("cookie", "a=b"),
        ("x-rerank-guard-allow", "1"),
        ("accept-encoding", "gzip"),
        ("x-request-id", "r-9"),
        ("accept", "*/*"),
        ("content-length", "47"),
    ];
    assert_eq!(exchange.request_headers(world.headers("/web/v2/rerank", &more), false, NOW, &host()), Step::Hold);
    assert_eq!(exchange.request_body(10, false), Step::Hold);
    assert_eq!(exchange.request_body(CALL.len(), true), Step::Read);
    let Step::Release(edits) = exchange.request_whole(CALL.as_bytes(), NOW, &host()) else { panic!("not forwarded") };
    let up = format!("Bearer {SECRET}");
    let expected = [
        (":method", "POST"),
        (":path", "/web/v2/rerank"),
        (":authority", "gateway.test"),
        ("accept", "*/*"),
        ("content-type", "application/json"),
        ("accept-encoding", "identity"),
        ("authorization", up.as_str()),
        ("content-length", "47"),
    ];
    assert_eq!(edits.headers, head(&expected));
    assert_eq!(edits.body, None);
    let headers = [
        (":status", "200"),
        ("content-type", "application/json; charset=utf-8"),
        ("set-cookie", "x=y"),
        ("date", "now"),
        ("x-request-id", "r-9"),
    ];
    assert_eq!(exchange.response_headers(&answer(&headers), false, NOW, &host()), Step::Hold);
    let body = br#"{"results":[{"index":0,"relevance_score":0.5,"document":{"text":"ann@example.org"}}]}"#;
    assert_eq!(exchange.response_body(body.len(), true), Step::Read);
    let Step::Release(edits) = exchange.response_whole(body) else { panic!("not released") };
    let masked = edits.body.unwrap();
    assert_eq!(masked, br#"{"results":[{"index":0,"relevance_score":0.5,"document":{"text":"[email]"}}]}"#);
    let length = masked.len().to_string();
    let expected = [
        (":status", "200"),
        ("x-request-id", "r-9"),
        ("content-type", "application/json"),
        ("content-length", length.as_str()),
    ];
    assert_eq!(edits.headers, head(&expected));
    let record = record(&mut exchange);
    assert_eq!(record["result"]["outcome"], "served");
    assert_eq!(
        record["result"]["masks"],
        json!([{"kind": "email", "count": 1, "pointers": ["/results/0/document/text"]}])
    );
    assert_eq!(record["decision"]["effect"], "allow");
    assert_eq!(record["actor"]["sub"], "ann");
    assert_eq!(record["credential"], "tei");
    assert_eq!(record["call"]["dataset"], "web");
    assert!(record["result"]["body_digest"].as_str().unwrap().starts_with("hmac-sha256:"));
}

proptest::proptest! {
    #[test]
    fn whatever_headers_come_those_that_go_up_are_listed(
        more in proptest::collection::vec(("[a-z_:.!-]{1,12}|x-[a-z-]{1,12}|accept|user-agent|traceparent|idempotency-key|x-client-name", "[ -~]{0,24}"), 0..12)
    ) {
        thread_local!(static WORLD: World = world());
        WORLD.with(|world| {
            let is_judged = |name: &str| {
                matches!(name, "upgrade" | "authorization" | "dpop" | "content-type" | "content-encoding" | "content-length")
            };
            let more: Vec<_> = more
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .filter(|(name, _)| !is_judged(name) && !name.starts_with(':'))
                .collect();
            let mut exchange = world.exchange();
            let mut step = exchange.request_headers(world.headers("/web/v2/rerank", &more), false, NOW, &host());
            if step == Step::Hold {
                step = exchange.request_whole(CALL.as_bytes(), NOW, &host());
            }
            match step {
                Step::Release(edits) => {
                    const LISTED: [&str; 11] = [
                        ":method", ":path", ":authority", "accept", "user-agent", "traceparent", "idempotency-key", "x-client-name",
                        "content-type", "accept-encoding", "authorization",
                    ];
                    for (at, (name, _)) in edits.headers.iter().enumerate() {
                        assert!(LISTED.contains(&name.as_str()), "{name}");
                        assert!(!edits.headers[..at].iter().any(|(other, _)| other == name), "{name} twice");
                    }
                }
                step => assert_eq!(status(&step), 422),
            }
        });
    }
}

#[test]
fn a_credential_in_a_header_that_goes_up_is_refused_by_the_headers_name() {
    let world = world();
    let token = world.token();
    for name in ["user-agent", "accept", "idempotency-key", "x-client-name"] {
        let mut exchange = world.exchange();
        let step = exchange.request_headers(world.headers("/web/v2/rerank", &[(name, &token)]), false, NOW, &host());
        let Step::Reply(reply) = &step else { panic!("{name}: {step:?}") };
        assert!(String::from_utf8_lossy(&reply.body).contains(&format!("`{name}`")));
        assert_eq!(status(&step), 422);
        assert_eq!(record(&mut exchange)["result"]["reason"], "credential-in-header");
    }
}

#[test]
fn whoever_is_not_proved_gets_no_further_than_the_headers() {
    let world = world();
    let good = world.token();
    let cases: [(&[&str], &str); 5] = [
        (&[], "no-token"),
        (&["Basic YTpi"], "no-bearer-token"),
        (&["Bearer "], "malformed"),
        (&["Bearer x.y.z"], "malformed"),
        (&[&format!("Bearer {good}"), &format!("Bearer {good}")], "doubled-authorization"),
    ];
    for (values, reason) in cases {
        let mut all = vec![
            (":method", "POST"),
            (":path", "/web/v2/rerank"),
            (":authority", "gateway.test"),
            ("content-type", "application/json"),
        ];
        all.extend(values.iter().map(|value| ("authorization", *value)));
        let mut exchange = world.exchange();
        let step = exchange.request_headers(answer(&all), false, NOW, &host());
        assert_eq!(status(&step), 401, "{values:?}");
        if reason != "malformed" {
            assert_eq!(record(&mut exchange)["result"]["reason"], reason);
        }
        assert_eq!(exchange.request_body(5, true), Step::Hold);
        assert!(!exchange.is_sent());
    }
}

#[test]
fn streams_that_carry_no_call_are_refused_unless_listed() {
    let world = world();
    for (changes, expected) in [
        (vec![(":path", "/v3/other")], 404),
        (vec![(":path", "/web/v2/rerank?x=1")], 404),
        (vec![(":path", "/web/../v2/rerank")], 404),
        (vec![(":path", "/web%2fx/v2/rerank")], 404),
        (vec![(":method", "GET")], 405),
        (vec![(":method", "CONNECT")], 403),
        (vec![("upgrade", "websocket")], 403),
        (vec![("content-type", "text/plain")], 415),
        (vec![("content-encoding", "gzip")], 415),
        (vec![("content-length", "5000")], 413),
    ] {
        let mut all: Vec<_> = world
            .headers("/web/v2/rerank", &[])
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_vec()))
            .collect();
        for (name, value) in &changes {
            all.retain(|(other, _)| other != name);
            all.push(((*name).to_owned(), value.as_bytes().to_vec()));
        }
        let mut exchange = world.exchange();
        let step = exchange.request_headers(Headers::new(all), false, NOW, &host());
        assert_eq!(status(&step), expected, "{changes:?}");
    }
    let mut exchange = world.exchange();
    let step = exchange.request_headers(
        answer(&[
            (":method", "GET"),
            (":path", "/healthz"),
            (":authority", "Gateway.test:443"),
            ("authorization", "x"),
        ]),
        true,
        NOW,
        &host(),
    );
    let headers = head(&[(":method", "GET"), (":path", "/healthz"), (":authority", "Gateway.test:443")]);
    assert_eq!(step, Step::Release(Edits { headers, body: None }));
    exchange.response_headers(&answer(OK_JSON), true, NOW, &host());
    let passed = record(&mut exchange);
    assert_eq!((&passed["result"]["outcome"], &passed["decision"]["effect"]), (&json!("passed"), &json!("pass")));
    assert_eq!(status(&world.exchange().request_headers(Headers::default(), true, NOW, &host())), 413);
}

#[test]
fn what_the_policy_does_not_allow_is_denied_with_its_reason_on_record() {
    let world = world();
    for (path, body, expected) in [
        ("/web/v2/rerank", r#"{"model":"m9","query":"q","documents":["a"]}"#, 403),
        ("/secret/v2/rerank", CALL, 403),
        ("/web/v2/rerank", r#"{"model":"m1","query":"q","documents":["a","b","c","d"]}"#, 403),
        // Allowed, but under a credential that is not for this route's upstream.
        ("/web/v2/rerank", r#"{"model":"m2","query":"q","documents":["a"]}"#, 403),
        ("/web/v2/rerank", r#"{"model":"m1","model":"m1","query":"q","documents":["a"]}"#, 422),
        ("/web/v2/rerank", "{}", 422),
    ] {
        let (mut exchange, step) = world.ask(path, body);
        assert_eq!(status(&step), expected, "{body}");
        assert!(!exchange.is_sent());
        assert_eq!(record(&mut exchange)["result"]["status"], expected);
    }
    let (mut exchange, _) = world.ask("/web/v2/rerank", r#"{"model":"m2","query":"q","documents":["a"]}"#);
    assert_eq!(record(&mut exchange)["result"]["reason"], "credential-not-for-route");
}

#[test]
fn a_body_above_the_limit_is_refused_as_soon_as_that_shows() {
    let world = world();
    let mut exchange = world.exchange();
    exchange.request_headers(world.headers("/web/v2/rerank", &[]), false, NOW, &host());
    assert_eq!(exchange.request_body(4096, false), Step::Hold);
    assert_eq!(status(&exchange.request_body(4097, false)), 413);
}

fn digest_of(step: &Step) -> String {
    let Step::CallOut(out) = step else { panic!("no callout but {step:?}") };
    let body: Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!((out.cluster.as_str(), out.path.as_str()), ("approver", "/v1/approvals"));
    assert_eq!(body["approval"], "desk");
    assert_eq!(body["requester"]["sub"], "ann");
    body["request_digest"].as_str().unwrap().to_owned()
}

#[test]
fn an_approved_call_goes_up_once_and_only_with_a_receipt_for_itself() {
    let world = world();
    let (mut exchange, step) = world.ask("/hr-x/v2/rerank", CALL);
    let digest = digest_of(&step);
    // More body or trailers while humans are asked: held, or the held headers would go out.
    assert_eq!(exchange.request_body(3, false), Step::Hold);
    assert_eq!(exchange.request_body(0, true), Step::Hold);
    let receipt = world.receipt(&json!({"req": digest}));
    let approved = json!({"status": "approved", "id": "a-1", "receipt": receipt}).to_string();
    let step = exchange.agreed(&approved, CALL, &host());
    assert!(matches!(step, Step::Release(_)), "{step:?}");
    assert_eq!(record(&mut exchange)["approval"], json!({"id": "a-1", "receipt": "r-1", "approvers": ["lea"]}));
    // The same receipt again, for the same call.
    let (mut again, _) = world.ask("/hr-x/v2/rerank", CALL);
    assert_eq!(status(&again.agreed(&approved, CALL, &host())), 403);
    assert_eq!(record(&mut again)["result"]["reason"], "receipt-used-before");
}

fn approvers(names: &[&str]) -> Value {
    let approver = |name: &&str| json!({"sub": name, "groups": ["grp-leads"], "at": NOW.secs()});
    json!({"apv": names.iter().map(approver).collect::<Vec<_>>()})
}

impl World {
    /// Another worker of the same process, or this one after a push or a trap.
    fn another(&self, change: impl FnOnce(&mut Value)) -> Self {
        let memory = MEMORY.take();
        let World { guard, .. } = world_with(|config| {
            config["callers"]["issuers"][0]["keys"]["inline"]["keys"][0] = jwk(&self.issuer, "k1");
            config["approver"]["key"] = jwk(&self.approver, "a1");
            change(config);
        });
        MEMORY.set(memory);
        Self { guard, issuer: self.issuer.clone(), approver: self.approver.clone(), email: self.email }
    }

    /// The call that needs an approval, and what comes of a receipt for it.
    fn approve(&self, change: &Value, now: Time) -> (Exchange, Step) {
        let (mut exchange, step) = self.ask("/hr-x/v2/rerank", CALL);
        let mut claims = json!({"req": digest_of(&step)});
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let body = json!({"status": "approved", "id": "a-1", "receipt": self.receipt(&claims)}).to_string();
        let step = exchange.agreed_at(&body, CALL, now, &host());
        (exchange, step)
    }

    fn refused(&self, change: &Value, now: Time) -> String {
        let (mut exchange, step) = self.approve(change, now);
        assert_eq!(status(&step), 403, "{change}");
        assert!(!exchange.is_sent());
        record(&mut exchange)["result"]["reason"].as_str().unwrap().to_owned()
    }
}

#[test]
fn one_receipt_lets_one_call_through_in_all_workers_and_configurations_of_the_process() {
    let world = world();
    let used = |id: u32| json!({"jti": format!("r-{id}")});
    assert!(matches!(world.approve(&used(1), NOW).1, Step::Release(_)));
    // A worker that knows nothing yet, as after a push or a trap.
    let world = world.another(|_| {});
    assert_eq!(world.refused(&used(1), NOW), "receipt-used-before");
    assert_eq!(world.refused(&used(1), NOW.plus(Span::from_secs(100))), "receipt-used-before");
    assert!(matches!(world.approve(&used(2), NOW).1, Step::Release(_)));
    lose_memory();
    assert_eq!(world.refused(&used(3), NOW), "receipt-memory-unavailable");
    let known: Vec<_> = (0..3).map(|id| world.refused(&used(id), NOW)).collect();
    assert_eq!(known, ["receipt-memory-unavailable"; 3]);
}

#[test]
fn a_receipt_is_used_up_only_by_a_call_that_goes_up() {
    let world = world();
    let elsewhere = world.another(|config| config["routes"][0]["credentials"] = json!(["other"]));
    // Nobody is asked for a call that cannot go on.
    assert!(matches!(elsewhere.ask("/hr-x/v2/rerank", CALL).1, Step::Reply(_)));
    for change in [json!({"req": "sha256:00"}), approvers(&[]), approvers(&["ann"])] {
        world.refused(&change, NOW);
    }
    assert!(matches!(world.approve(&json!({}), NOW).1, Step::Release(_)));
}

#[test]
fn approvals_and_receipts_are_as_fresh_as_the_bundle_wants_them() {
    let world = world_with(|config| config["bundle"]["inline"]["approvals"]["desk"]["ttl"] = json!("1m"));
    let now = NOW.secs();
    let at = |at: u64| json!({"apv": [{"sub": "lea", "groups": ["grp-leads"], "at": at}]});
    assert_eq!(world.refused(&at(now - 61), NOW), "receipt-untimely");
    assert_eq!(world.refused(&json!({"iat": now - 61, "exp": now + 100}), NOW), "receipt-untimely");
    assert!(matches!(world.approve(&at(now - 60), NOW).1, Step::Release(_)));
    // Approvals that are too old do not count, and those that are left may be enough.
    let both = json!({"jti": "r-2", "apv": [{"sub": "lea", "groups": ["grp-leads"], "at": now - 61},
        {"sub": "sam", "groups": ["grp-leads"], "at": now}]});
    let (mut exchange, step) = world.approve(&both, NOW);
    assert!(matches!(step, Step::Release(_)));
    assert_eq!(record(&mut exchange)["approval"]["approvers"], json!(["sam"]));
}

#[test]
fn people_are_counted_by_what_makes_them_people() {
    let world = world_with(|config| config["bundle"]["inline"]["approvals"]["desk"]["min"] = json!(2));
    for names in [&["lea", "LEA"][..], &["lea", " lea "], &["lea", "Lea", "lEA"], &["straße", "STRASSE"]] {
        assert_eq!(world.refused(&approvers(names), NOW), "receipt-too-few", "{names:?}");
    }
    assert!(matches!(world.approve(&approvers(&["lea", "sam"]), NOW).1, Step::Release(_)));
}

#[test]
fn where_subjects_are_pairwise_a_claim_names_the_person() {
    let world = world_with(|config| config["approver"]["person_claim"] = json!("email"));
    // The caller's token names nobody: nobody is asked.
    let (mut exchange, step) = world.ask("/hr-x/v2/rerank", CALL);
    assert_eq!((status(&step), record(&mut exchange)["result"]["reason"].as_str().unwrap()), (403, "caller-unnamed"));
    assert!(matches!(world.ask("/web/v2/rerank", CALL).1, Step::Release(_)));
    let world = World { email: Some("ann@corp.example"), ..world };
    let (_, step) = world.ask("/hr-x/v2/rerank", CALL);
    let Step::CallOut(out) = &step else { panic!("{step:?}") };
    let told: Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!(told["requester"]["person"], "ann@corp.example");
    let other = World { email: Some("bob@corp.example"), guard: world.guard.clone(), ..self::world() };
    let other = World { issuer: world.issuer.clone(), ..other };
    assert_ne!(digest_of(&other.ask("/hr-x/v2/rerank", CALL).1), digest_of(&step));

    let by = |people: &[(&str, Value)]| {
        let one = |(sub, person): &(&str, Value)| {
            let mut one = json!({"sub": sub, "groups": ["grp-leads"], "at": NOW.secs()});
            if !person.is_null() {
                one["person"] = person.clone();
            }
            one
        };
        json!({"apv": people.iter().map(one).collect::<Vec<_>>()})
    };
    assert_eq!(world.refused(&by(&[("x7", json!("Ann@Corp.example"))]), NOW), "receipt-self-approved");
    assert_eq!(world.refused(&by(&[("ANN", json!("lea@corp.example"))]), NOW), "receipt-self-approved");
    assert_eq!(world.refused(&by(&[("x7", json!(null))]), NOW), "receipt-unnamed");
    assert_eq!(world.refused(&by(&[("x7", json!("lea@corp.example\u{200b}"))]), NOW), "receipt-unnamed");
    let (mut exchange, step) = world.approve(&by(&[("x7", json!("lea@corp.example"))]), NOW);
    assert!(matches!(step, Step::Release(_)), "{step:?}");
    assert_eq!(record(&mut exchange)["approval"]["approvers"], json!(["lea@corp.example"]));
}

#[test]
fn a_body_that_nobody_agreed_to_does_not_go_up() {
    let world = world();
    let (mut exchange, step) = world.ask("/hr-x/v2/rerank", CALL);
    // Before anybody agreed it is nobody's turn.
    let approved =
        json!({"status": "approved", "id": "a-1", "receipt": world.receipt(&json!({"req": digest_of(&step)}))});
    let step = exchange.agreed(&approved.to_string(), &CALL.replace("\"b\"", "\"c\""), &host());
    assert_eq!(status(&step), 403);
    assert!(!exchange.is_sent());
    assert_eq!(record(&mut exchange)["result"]["reason"], "undecidable");
    let (mut early, _) = world.ask("/hr-x/v2/rerank", CALL);
    assert_eq!(status(&early.request_whole(CALL.as_bytes(), NOW, &host())), 403, "nobody agreed yet");
}

/// What the calls of a world hold now.
fn budget(change: impl FnOnce(&mut Value)) -> World {
    world_with(|config| {
        config["limits"] = json!({"request_bytes": 4096, "response_bytes": 4096, "record_bytes": 64});
        config["limits"]["held_bytes"] = json!(10_000);
        config["limits"]["held_bytes_per_caller"] = json!(10_000);
        change(config);
    })
}

#[test]
fn calls_that_wait_for_people_hold_no_more_than_the_budget_and_give_it_back_however_they_end() {
    let world = budget(|_| {});
    let body = format!(r#"{{"model":"m1","query":"{}","documents":["a"]}}"#, "x".repeat(3_000));
    let ask = || world.ask("/hr-x/v2/rerank", &body);
    let (first, second) = (ask(), ask());
    assert!(matches!((&first.1, &second.1), (Step::CallOut(_), Step::CallOut(_))));
    let (mut third, step) = ask();
    let Step::Reply(reply) = step else { panic!("{step:?}") };
    assert_eq!(reply.status, 503);
    assert!(reply.headers.iter().any(|(name, _)| *name == "retry-after"));
    let result = record(&mut third)["result"].clone();
    assert_eq!((&result["outcome"], &result["reason"]), (&json!("overloaded"), &json!("held-bytes-per-caller")));
    // The client of one goes; the approver refuses the other.
    drop(first);
    let (mut third, step) = ask();
    assert!(matches!(step, Step::CallOut(_)), "{step:?}");
    assert_eq!(status(&ask().1), 503);
    third.answered(None, NOW);
    let (fourth, step) = ask();
    assert!(matches!(step, Step::CallOut(_)), "{step:?}");
    // A call that nobody is asked about holds nothing.
    assert!(matches!(world.ask("/web/v2/rerank", &body).1, Step::Release(_)));
    drop((second, third, fourth));
    assert_eq!(world.guard.budget.held(), 0);
}

#[test]
fn what_comes_slowly_is_held_too_and_counts() {
    let world = budget(|_| {});
    let mut calls: Vec<_> = (0..4).map(|_| world.exchange()).collect();
    let mut steps = calls.iter_mut().map(|exchange| {
        exchange.request_headers(world.headers("/web/v2/rerank", &[]), false, NOW, &host());
        exchange.request_body(4_000, false)
    });
    assert_eq!((steps.next(), steps.next()), (Some(Step::Hold), Some(Step::Hold)));
    assert_eq!(status(&steps.next().unwrap()), 503);
    drop(steps);
    // The way back as well.
    calls.clear();
    let mut calls: Vec<_> = (0..3).map(|_| sent(&world)).collect();
    let mut steps = calls.iter_mut().map(|exchange| {
        exchange.response_headers(&answer(OK_JSON), false, NOW, &host());
        exchange.response_body(4_000, false)
    });
    assert_eq!((steps.next(), steps.next()), (Some(Step::Hold), Some(Step::Hold)));
    assert_eq!(status(&steps.next().unwrap()), 503);
    drop(steps);
    calls.clear();
    assert_eq!(world.guard.budget.held(), 0);
}

#[test]
fn a_stream_that_a_mask_may_refuse_stays_with_the_host_until_its_end() {
    let world = budget(|config| {
        config["routes"][0]["streams"] = json!(true);
        config["bundle"]["inline"]["masks"]["pii"]["deny"] = json!({"above": 5});
    });
    let lines: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/x-ndjson")];
    let stream = || {
        let mut exchange = sent(&world);
        exchange.response_headers(&answer(lines), false, NOW, &host());
        exchange
    };
    let (mut one, mut two, mut three) = (stream(), stream(), stream());
    for size in [1_000, 4_000] {
        assert_eq!((one.response_body(size, false), two.response_body(size, false)), (Step::Hold, Step::Hold));
    }
    assert_eq!(status(&three.response_body(4_000, false)), 503);
    assert_eq!(status(&two.response_body(4_097, false)), 502);
    assert_eq!(one.response_body(10, true), Step::Read);
    let Step::Release(edits) = one.response_whole(b"\"a@b.de\"\n1\n") else { panic!("held") };
    assert_eq!(edits.body.as_deref(), Some(&b"\"[email]\"\n1\n"[..]));
    assert_eq!(world.guard.budget.held(), 0);
    // Trailers are an end too, and behind them all can still be said.
    let mut exchange = stream();
    assert_eq!(exchange.response_body(3, false), Step::Hold);
    assert_eq!(exchange.response_trailers(), Step::Read);
    assert!(matches!(exchange.response_whole(b"1\n2"), Step::Release(_)));
}

#[test]
fn what_masks_and_forced_parameters_make_longer_is_held_to_the_limits() {
    let world = world_with(|config| {
        config["routes"][0]["streams"] = json!(true);
        config["limits"] = json!({"request_bytes": 1_000, "response_bytes": 1_000, "record_bytes": 1_000});
        config["bundle"]["inline"]["masks"]["pii"]["detect"] = json!(["ip_address"]);
        config["bundle"]["inline"]["rules"][1]["require"] = json!({"masks": ["pii"], "request_masks": ["pii"]});
    });
    let many = "::1 ".repeat(200);
    let (mut exchange, step) =
        world.ask("/web/v2/rerank", &format!(r#"{{"model":"m1","query":"q","documents":["{many}"]}}"#));
    assert_eq!((status(&step), exchange.is_sent()), (413, false));
    assert_eq!(record(&mut exchange)["result"]["reason"], "request-too-large");
    let plain: &[(&str, &str)] = &[(":status", "422"), ("content-type", "text/plain")];
    let lines: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/x-ndjson")];
    for (headers, body) in [
        (OK_JSON, format!("[\"{many}\"]")),
        (OK_JSON, format!("[\"{{\\\"a\\\":\\\"{many}\\\"}}\"]")),
        (OK_JSON, format!("[{}1]", "\"::1\",".repeat(120))),
        (plain, many.clone()),
        (lines, format!("\"{many}\"\n")),
        (lines, "\"::1\"\n".repeat(120)),
    ] {
        let mut exchange = sent(&world);
        assert_eq!(exchange.response_headers(&answer(headers), false, NOW, &host()), Step::Hold);
        assert_eq!(exchange.response_body(body.len(), true), Step::Read);
        assert_eq!(status(&exchange.response_whole(body.as_bytes())), 502, "{body}");
        assert_eq!(record(&mut exchange)["result"]["reason"], "response-too-large", "{body}");
    }
}

#[test]
fn a_first_part_of_a_stream_that_comes_large_goes_on_as_large() {
    let world = world_with(|config| {
        config["routes"][0]["streams"] = json!(true);
        config["limits"] = json!({"request_bytes": 1_000, "response_bytes": 1_000, "record_bytes": 64});
    });
    let lines: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/x-ndjson")];
    let part = "1\n".repeat(2_000);
    let mut exchange = sent(&world);
    assert_eq!(exchange.response_headers(&answer(lines), false, NOW, &host()), Step::Hold);
    assert_eq!(exchange.response_body(part.len(), false), Step::Read);
    let Step::Release(edits) = exchange.response_whole(part.as_bytes()) else { panic!("withheld") };
    assert_eq!(edits.body.as_deref(), Some(part.as_bytes()));
}

#[test]
fn a_body_that_the_host_has_no_room_for_is_on_record_as_not_sent() {
    let world = world();
    let mut exchange = sent(&world);
    exchange.overtaken(true);
    assert!(!exchange.is_sent());
    let told = record(&mut exchange);
    assert_eq!(told["credential"], Value::Null);
    assert_eq!(
        (&told["result"]["outcome"], &told["result"]["reason"], &told["result"]["status"]),
        (&json!("too-large"), &json!("buffer-too-small"), &json!(413))
    );
    let mut exchange = sent(&world);
    exchange.response_headers(&answer(OK_JSON), false, NOW, &host());
    exchange.response_body(5, true);
    exchange.response_whole(b"{\"a\":1}");
    exchange.overtaken(true);
    let told = record(&mut exchange)["result"].clone();
    assert_eq!((&told["outcome"], &told["status"]), (&json!("unmaskable-response"), &json!(500)));
    assert_eq!(told["body_digest"], Value::Null);
}

#[test]
fn a_receipt_that_is_not_for_this_call_and_caller_denies() {
    let world = world();
    let now = NOW.secs();
    for (change, reason) in [
        (json!({"req": "sha256:00"}), "receipt-for-another-call"),
        (json!({"aud": "eu2/test"}), "receipt-for-another"),
        (json!({"sub": "bob"}), "receipt-for-another"),
        (json!({"requester_iss": "https://other.test"}), "receipt-for-another"),
        (json!({"approval": "other"}), "receipt-for-another"),
        (json!({"iss": "https://idp.test"}), "receipt-for-another"),
        (approvers(&["ann"]), "receipt-self-approved"),
        (approvers(&["lea", " ANN "]), "receipt-self-approved"),
        (approvers(&["lea", "an\u{200b}n"]), "receipt-unnamed"),
        (approvers(&["lea", "ａｎｎ"]), "receipt-unnamed"),
        (json!({"apv": [{"sub": "lea", "groups": ["grp-else"], "at": now}]}), "receipt-too-few"),
        (json!({"apv": []}), "receipt-too-few"),
        (json!({"apv": [{"sub": "lea", "groups": ["grp-leads"]}]}), "receipt-unreadable"),
        (json!({"apv": [{"sub": "lea", "groups": ["grp-leads"], "at": null}]}), "receipt-unreadable"),
        (json!({"apv": [{"sub": "lea", "groups": ["grp-leads"], "at": "2027-01-15T08:00:00Z"}]}), "receipt-unreadable"),
        (json!({"apv": [{"sub": "lea", "groups": ["grp-leads"], "at": now - 601}]}), "receipt-untimely"),
        (json!({"apv": [{"sub": "lea", "groups": ["grp-leads"], "at": now - 90 * 86_400}]}), "receipt-untimely"),
        (json!({"apv": [{"sub": "lea", "groups": ["grp-leads"], "at": 0}]}), "receipt-untimely"),
        (json!({"apv": [{"sub": "lea", "groups": ["grp-leads"], "at": now + 31}]}), "receipt-untimely"),
        (
            json!({"apv": [{"sub": "lea", "groups": ["grp-leads"], "at": now}, {"sub": "sam", "groups": [], "at": now + 99}]}),
            "receipt-untimely",
        ),
        (approvers(&["lea"; 33]), "receipt-unreadable"),
        (json!({"jti": "x".repeat(129)}), "receipt-unreadable"),
        (json!({"jti": "a b"}), "receipt-unreadable"),
        (json!({"jti": ""}), "receipt-unreadable"),
        (json!({"exp": now + 900}), "receipt-unproved"),
        (json!({"exp": now - 60, "iat": now - 120}), "receipt-unproved"),
        (json!({"jti": null}), "receipt-unreadable"),
    ] {
        assert_eq!(world.refused(&change, NOW), reason, "{change}");
    }
    // Signed by the issuer of tokens instead of the approver.
    let forger = World { approver: KeyPair::generate(), ..self::world() };
    let (mut exchange, step) = world.ask("/hr-x/v2/rerank", CALL);
    let body = json!({"status": "approved", "id": "a-1", "receipt": forger.receipt(&json!({"req": digest_of(&step)}))})
        .to_string();
    assert_eq!(status(&exchange.answered(Some((200, body.as_bytes())), NOW)), 403);
}

#[test]
fn an_approver_that_does_not_clearly_approve_denies() {
    let world = world();
    for (answer, reason) in [
        (None, "approver-silent"),
        (Some((503, "upstream connect error")), "approver-unclear"),
        (Some((200, "{}")), "approver-unclear"),
        (Some((200, r#"{"status":"rejected","id":"a-1"}"#)), "approval-rejected"),
        (Some((202, r#"{"status":"pending","id":"a-1","retry_after":7}"#)), "approval-pending"),
    ] {
        let (mut exchange, _) = world.ask("/hr-x/v2/rerank", CALL);
        let step = exchange.answered(answer.map(|(status, body)| (status, body.as_bytes())), NOW);
        assert_eq!(status(&step), 403, "{reason}");
        assert_eq!(record(&mut exchange)["result"]["reason"], reason);
        // A second answer changes nothing.
        assert_eq!(exchange.answered(None, NOW), Step::Hold);
    }
}

#[test]
fn the_digest_changes_with_the_call_and_not_with_the_token() {
    let world = world();
    let of = |path: &str, body: &str| digest_of(&world.ask(path, body).1);
    let one = of("/hr-x/v2/rerank", CALL);
    assert_eq!(one, of("/hr-x/v2/rerank", CALL));
    assert_ne!(one, of("/hr-y/v2/rerank", CALL));
    assert_ne!(one, of("/hr-x/v2/rerank", &CALL.replace("\"b\"", "\"c\"")));
}

fn sent(world: &World) -> Exchange {
    let (exchange, step) = world.ask("/web/v2/rerank", CALL);
    assert!(matches!(step, Step::Release(_)), "{step:?}");
    exchange
}

#[test]
fn an_answer_that_cannot_be_masked_does_not_leave() {
    let world = world();
    for (headers, expected) in [
        (vec![(":status", "200"), ("content-type", "text/html")], 502),
        (vec![(":status", "200"), ("content-type", "text/plain")], 502),
        (vec![(":status", "200"), ("content-type", "application/json"), ("content-encoding", "gzip")], 502),
        (vec![(":status", "200"), ("content-type", "application/json"), ("content-length", "5000")], 502),
        (vec![(":status", "200"), ("content-type", "application/json"), ("x-echo", SECRET)], 502),
        (vec![(":status", "500"), ("content-type", "text/html")], 502),
        (vec![(":status", "401"), ("content-type", "application/json")], 502),
        (vec![("content-type", "application/json")], 502),
    ] {
        let mut exchange = sent(&world);
        assert_eq!(status(&exchange.response_headers(&answer(&headers), false, NOW, &host())), expected, "{headers:?}");
        assert_eq!(exchange.response_body(10, true), Step::Continue, "our own reply goes on");
    }
    for body in [&b""[..], b"{", b"not json", b"{\"a\":\"\xa1\"}", b"{} {}"] {
        let mut exchange = sent(&world);
        assert_eq!(exchange.response_headers(&answer(OK_JSON), false, NOW, &host()), Step::Hold);
        assert_eq!(exchange.response_body(body.len(), true), Step::Read);
        assert_eq!(status(&exchange.response_whole(body)), 502, "{body:?}");
    }
    let mut exchange = sent(&world);
    exchange.response_headers(&answer(OK_JSON), false, NOW, &host());
    assert_eq!(status(&exchange.response_body(4097, false)), 502);
}

#[test]
fn the_credential_does_not_come_back_in_any_spelling() {
    let world = world();
    let escaped: String = SECRET.chars().map(|character| format!("\\u{:04x}", u32::from(character))).collect();
    for body in [
        format!(r#"{{"error":"bad key {SECRET}"}}"#),
        format!(r#"{{"error":"bad key {escaped}"}}"#),
        format!(r#"{{"{SECRET}":1}}"#),
    ] {
        let mut exchange = sent(&world);
        exchange.response_headers(
            &answer(&[(":status", "400"), ("content-type", "application/json")]),
            false,
            NOW,
            &host(),
        );
        assert_eq!(status(&exchange.response_whole(body.as_bytes())), 502);
    }
}

#[test]
fn errors_of_the_upstream_are_masked_too() {
    let world = world();
    for (media, body, masked) in [
        ("application/json", r#"{"message":"no ann@example.org"}"#, r#"{"message":"no [email]"}"#),
        ("text/plain", "no ann@example.org", "no [email]"),
    ] {
        let mut exchange = sent(&world);
        assert_eq!(
            exchange.response_headers(&answer(&[(":status", "429"), ("content-type", media)]), false, NOW, &host()),
            Step::Hold
        );
        let Step::Release(edits) = exchange.response_whole(body.as_bytes()) else { panic!("not released") };
        assert_eq!(edits.body.as_deref(), Some(masked.as_bytes()));
        assert_eq!(record(&mut exchange)["result"]["status"], 429);
    }
}

#[test]
fn a_call_whose_client_left_is_on_record_as_aborted() {
    let world = world();
    let (mut exchange, _) = world.ask("/hr-x/v2/rerank", CALL);
    let record = record(&mut exchange);
    assert_eq!((record["result"]["outcome"].as_str(), record["result"]["status"].as_u64()), (Some("aborted"), None));
}

#[test]
fn what_the_host_refused_to_do_is_told_as_withheld() {
    let world = world();
    let mut exchange = sent(&world);
    assert_eq!(exchange.withhold().status, 503);
    let record = record(&mut exchange);
    assert_eq!(
        (record["result"]["reason"].as_str(), record["result"]["status"].as_u64()),
        (Some("host-refused"), Some(503))
    );
    assert_eq!(exchange.response_body(10, true), Step::Continue, "our own reply goes on");
}

#[test]
fn a_stream_leaves_record_by_record_and_breaks_off_for_good() {
    let world = world_with(|config| {
        config["routes"][0]["streams"] = json!(true);
        config["limits"]["record_bytes"] = json!(64);
    });
    let lines: &[(&str, &str)] =
        &[(":status", "200"), ("content-type", "application/x-ndjson"), ("content-length", "999999")];
    let mut exchange = sent(&world);
    assert_eq!(exchange.response_headers(&answer(lines), false, NOW, &host()), Step::Hold);
    let mut part = |body: &str, end| {
        let step = exchange.response_body(body.len(), end);
        if step == Step::Read { exchange.response_whole(body.as_bytes()) } else { step }
    };
    assert_eq!(part("{\"a\":", false), Step::Part { body: Vec::new(), goes_on: false });
    let Step::Release(edits) = part("\"x@y.de\"}\n[", false) else { panic!("held") };
    assert_eq!(edits.body.as_deref(), Some(&b"{\"a\":\"[email]\"}\n"[..]));
    assert_eq!(edits.headers, head(&[(":status", "200"), ("content-type", "application/x-ndjson")]));
    assert_eq!(part("1]\n2", false), Step::Part { body: b"[1]\n".to_vec(), goes_on: true });
    assert_eq!(status(&part("x\n", false)), 502);
    // Whatever the host still brings, and its end.
    assert_eq!(part("{}\n", false), Step::Hold);
    assert_eq!(part("", true), Step::Hold);
    let result = record(&mut exchange)["result"].clone();
    assert_eq!((&result["reason"], &result["status"]), (&json!("response-not-json"), &json!(200)));
    // What left before it broke off.
    let left = b"{\"a\":\"[email]\"}\n[1]\n";
    assert_eq!(
        (&result["records"], &result["body_digest"]),
        (&json!(2), &json!(keyed_digest(DIGEST_KEY.as_bytes(), left)))
    );

    let mut exchange = sent(&world);
    exchange.response_headers(&answer(lines), false, NOW, &host());
    assert_eq!(exchange.response_body(1, false), Step::Read);
    assert!(matches!(exchange.response_whole(b"1\n"), Step::Release(_)));
    assert_eq!(exchange.response_trailers(), Step::Continue);
    let result = record(&mut exchange)["result"].clone();
    assert_eq!((&result["outcome"], &result["records"]), (&json!("served"), &json!(1)));
    assert_eq!(result["body_digest"], keyed_digest(DIGEST_KEY.as_bytes(), b"1\n").unwrap());
    // Behind trailers nothing can be added, so the last line did not leave.
    let mut exchange = sent(&world);
    exchange.response_headers(&answer(lines), false, NOW, &host());
    assert_eq!(exchange.response_body(1, false), Step::Read);
    assert!(matches!(exchange.response_whole(b"1\n2"), Step::Release(_)));
    assert_eq!(status(&exchange.response_trailers()), 502);
    let result = record(&mut exchange)["result"].clone();
    assert_eq!(
        (&result["records"], &result["body_digest"]),
        (&json!(1), &json!(keyed_digest(DIGEST_KEY.as_bytes(), b"1\n")))
    );
    // Nothing left of one that was refused before it began.
    let mut exchange = sent(&world);
    exchange.response_headers(&answer(lines), false, NOW, &host());
    assert_eq!(exchange.response_body(1, false), Step::Read);
    assert_eq!(status(&exchange.response_whole(b"x\n")), 502);
    let result = record(&mut exchange)["result"].clone();
    assert_eq!((result.get("records"), &result["body_digest"]), (None, &Value::Null));
    let closed = self::world();
    assert_eq!(status(&sent(&closed).response_headers(&answer(lines), false, NOW, &host())), 502);
}
