//! Signals of risk and forced parameters, by what goes upstream.

use super::*;
/// The world with more rules, and with routes that speak more dialects.
fn ruled(rules: Value) -> World {
    world_with(|config| {
        let bundle = &mut config["bundle"]["inline"];
        bundle["rules"].as_array_mut().unwrap().extend(rules.as_array().unwrap().clone());
        for dialect in ["jina", "tei"] {
            let mut route = json!({"path": format!("/{dialect}/{{dataset}}"), "dialect": dialect, "clusters": ["tei"], "dataset": {"segment": "dataset"},
                "credentials": ["tei"]});
            if dialect == "tei" {
                route["model"] = json!("m1");
            }
            config["routes"].as_array_mut().unwrap().push(route);
        }
    })
}

impl World {
    fn ask_at(&self, host: &dyn Host, path: &str, body: &str, now: Time) -> (Exchange, Step) {
        let mut exchange = self.exchange();
        let length = body.len().to_string();
        let headers = self.headers(path, &[("content-length", &length), ("content-digest", "sha-256=:x:")]);
        assert_eq!(exchange.request_headers(headers, false, now, host), Step::Hold);
        assert_eq!(exchange.request_body(body.len(), true), Step::Read);
        let step = exchange.request_whole(body.as_bytes(), now, host);
        (exchange, step)
    }
}

fn says(exchange: &mut Exchange) -> (Value, Value) {
    let record = record(exchange);
    (record["decision"]["effect"].clone(), record["decision"]["risk_reasons"].clone())
}

#[test]
fn signals_add_up_to_an_approval_and_to_a_denial_with_their_points_on_record() {
    let world = ruled(json!([
        {"id": "pii", "guard": {}, "when": {"pii": ["email"]}, "risk": 30},
        {"id": "falcon", "guard": {}, "when": {"terms": ["Falcon"]}, "risk": 30},
        {"id": "many", "guard": {}, "when": {"documents_above": 2}, "risk": 30},
        {"id": "look", "guard": {"datasets": ["web"]}, "require": {"approval": "desk", "when_risk_at_least": 30, "deny_when_risk_at_least": 60}},
    ]));
    let one = |rule: &str| json!([{"rule": rule, "points": 30}]);
    for (query, documents, effect, reasons) in [
        ("q", json!(["a"]), "allow", json!([])),
        ("ann@example.org", json!(["a"]), "approval", one("pii")),
        ("q", json!(["a", "ann@example.org"]), "approval", one("pii")),
        ("q", json!(["a", "PROJECT FALCON!"]), "approval", one("falcon")),
        ("q", json!(["a", "b", "c"]), "approval", one("many")),
        (
            "q",
            json!(["a", "b", "ann@example.org"]),
            "deny",
            json!([{"rule": "many", "points": 30}, {"rule": "pii", "points": 30}]),
        ),
    ] {
        let body = json!({"model": "m1", "query": query, "documents": documents}).to_string();
        let (mut exchange, _) = world.ask_at(&host(), "/web/v2/rerank", &body, NOW);
        assert_eq!(says(&mut exchange), (json!(effect), reasons), "{body}");
    }
    let body = json!({"model": "m1", "query": "falcon ann@example.org", "documents": ["a"]}).to_string();
    let (mut exchange, step) = world.ask_at(&host(), "/web/v2/rerank", &body, NOW);
    assert_eq!((status(&step), &record(&mut exchange)["result"]["reason"]), (403, &json!("risk-too-high")));
    assert_eq!(record(&mut exchange)["decision"]["rules"], json!(["look"]));
    // The same words where they name nothing that people wrote.
    let body = json!({"model": "m1", "query": "q", "documents": ["a"], "priority": 1}).to_string();
    assert_eq!(says(&mut world.ask_at(&host(), "/web/v2/rerank", &body, NOW).0).0, "allow");
}

/// How often the texts of a call were read, and what came of it.
fn readings(world: &World, body: &Value) -> (u32, Step) {
    let before = crate::exchange::facts::READINGS.get();
    let (_, step) = world.ask_at(&host(), "/web/v2/rerank", &body.to_string(), NOW);
    (crate::exchange::facts::READINGS.get() - before, step)
}

/// Twenty guards, each with kinds and terms of its own.
fn curious() -> Value {
    let kinds = ["email", "phone", "iban", "credit_card", "us_ssn", "ip_address"];
    let guard = |number: usize| {
        let (kind, other) = (kinds[number % 6], kinds[number / 6]);
        json!({"id": format!("g{number}"), "guard": {}, "when": {"pii": [kind, other]}, "risk": 1})
    };
    let look = |number: usize| json!({"id": format!("t{number}"), "deny": {}, "when": {"terms": [format!("falcon-{number}-")]}});
    json!((0..20).map(guard).chain((0..20).map(look)).collect::<Vec<_>>())
}

#[test]
fn the_texts_of_a_call_that_nothing_allows_are_not_read() {
    let world = ruled(curious());
    let text = ":".repeat(1000) + " ann@example.org falcon-1-";
    for changed in [json!({"model": "m9"}), json!({"documents": vec!["a"; 300]})] {
        let mut body = json!({"model": "m1", "query": text, "documents": ["a"]});
        body.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        let (readings, step) = readings(&world, &body);
        assert_eq!((readings, status(&step)), (0, 403), "{changed}");
    }
    // Nor those of one that is denied for something else.
    let world = ruled(json!([curious()[0], curious()[25], {"id": "no", "deny": {"models": ["m1"]}}]));
    let (readings, step) = readings(&world, &json!({"model": "m1", "query": text, "documents": ["a"]}));
    assert_eq!((readings, status(&step)), (0, 403));
}

#[test]
fn the_texts_of_a_call_are_read_once_for_all_kinds_and_once_for_all_terms() {
    let (quiet, found) = ("a quiet text", "ann@example.org, 4111 1111 1111 1111");
    let world = ruled(curious());
    for (text, served) in [(quiet, true), (found, true), ("falcon-19- ::1", false)] {
        let (readings, step) = readings(&world, &json!({"model": "m1", "query": text, "documents": [text, text]}));
        assert_eq!((readings, matches!(step, Step::Release(_))), (2, served), "{text}");
    }
    let world = ruled(json!([curious()[0]]));
    assert_eq!(readings(&world, &json!({"model": "m1", "query": quiet, "documents": ["a"]})).0, 1);
    assert_eq!(readings(&ruled(json!([])), &json!({"model": "m1", "query": quiet, "documents": ["a"]})).0, 0);
}

/// The bundle that is only asked wants to know more, and the call's texts are read no more often for it.
#[test]
fn the_texts_of_a_call_are_read_once_for_the_shadow_bundle_too() {
    let world = world_with(|config| {
        let mut shadow = config["bundle"]["inline"].clone();
        for (bundle, rules) in [(&mut config["bundle"]["inline"], 0..30), (&mut shadow, 0..40)] {
            let more = rules.map(|number| curious()[number].clone());
            bundle["rules"].as_array_mut().unwrap().extend(more);
        }
        config["bundle"]["shadow"] = json!({"inline": shadow});
    });
    let body = json!({"model": "m1", "query": "ann@example.org falcon-19-", "documents": ["a"]});
    assert_eq!(readings(&world, &body).0, 2);
    let (mut exchange, step) = world.ask_at(&host(), "/web/v2/rerank", &body.to_string(), NOW);
    assert!(matches!(step, Step::Release(_)));
    let record = record(&mut exchange);
    assert_eq!(record["decision"]["risk"], 9);
    assert_eq!(record["decision"]["shadow_bundle"]["effect"], "deny");
}

/// Every text of a call is looked at for terms and kinds, however it is written.
#[test]
fn terms_and_kinds_are_found_wherever_a_call_has_text() {
    let world = world_with(|config| {
        let rules = json!([
            {"id": "merger", "deny": {}, "when": {"terms": ["merger", "4711"]}},
            {"id": "mail", "deny": {}, "when": {"pii": ["email"]}},
        ]);
        config["bundle"]["inline"]["rules"].as_array_mut().unwrap().extend(rules.as_array().unwrap().clone());
        config["routes"].as_array_mut().unwrap().push(json!({"path": "/v1/{dataset}", "dialect": "cohere-v1",
            "clusters": ["tei"], "dataset": {"segment": "dataset"}, "credentials": ["tei"]}));
    });
    let ask = |changed: &str| {
        let body = format!(r#"{{"model":"m1",{changed}}}"#);
        let mut exchange = world.exchange();
        let length = body.len().to_string();
        let headers = world.headers("/v1/web", &[("content-length", &length)]);
        assert_eq!(exchange.request_headers(headers, false, NOW, &host()), Step::Hold);
        assert_eq!(exchange.request_body(body.len(), true), Step::Read);
        exchange.request_whole(body.as_bytes(), NOW, &host())
    };
    for written in [
        r#""query":"the Mer\u200bger","documents":["a"]"#,
        r#""query":"q","documents":[{"a":{"b":["x","\ud835\udcf6erger"]}}]"#,
        r#""query":"q","documents":[{"merger":1}]"#,
        r#""query":"q","documents":[{"a":"mer","b":"ger"}]"#,
        r#""query":"q","documents":[{"a":4711}]"#,
        r#""query":"q","documents":["{\"a\":\"mer\\u0067er\"}"]"#,
        r#""query":"q","documents":["a"],"rank_fields":["mеrger"]"#,
        r#""query":"q","documents":["a"],"rank_fields":[{"x":"MERGER"}]"#,
        r#""query":"q","documents":["a"],"max_chunks_per_doc":"me\u0301rger""#,
        r#""query":"q","documents":["a"],"rank_fields":["ann@example.org"]"#,
        r#""query":"q","documents":[{"x":{"y":"ann@example.org"}}]"#,
    ] {
        assert_eq!(status(&ask(written)), 403, "{written}");
    }
    for written in
        [r#""query":"verger","documents":["mer","ger"]"#, r#""query":"mer","documents":["ger"],"rank_fields":["x"]"#]
    {
        assert!(matches!(ask(written), Step::Release(_)), "{written}");
    }
}

#[test]
fn what_is_used_for_the_first_time_is_so_until_it_was_let_through() {
    let world = ruled(json!([
        {"id": "new", "guard": {"datasets": ["web"]}, "when": {"first_use": "dataset"}, "risk": 10, "require": {"approval": "desk"}},
    ]));
    let remembering = StandIn { memory: Some(Rc::default()), ..host() };
    let (mut exchange, step) = world.ask_at(&remembering, "/web/v2/rerank", CALL, NOW);
    let digest = digest_of(&step);
    assert!(
        matches!(world.ask_at(&remembering, "/web/v2/rerank", CALL, NOW).1, Step::CallOut(_)),
        "an attempt is no use"
    );
    let receipt = world.receipt(&json!({"req": digest}));
    let approved = json!({"status": "approved", "id": "a-1", "receipt": receipt}).to_string();
    assert!(matches!(exchange.agreed(&approved, CALL, &remembering), Step::Release(_)));
    assert!(matches!(world.ask_at(&remembering, "/web/v2/rerank", CALL, NOW).1, Step::Release(_)));
    // Without memory everything is new.
    lose_memory();
    assert!(matches!(world.ask_at(&host(), "/web/v2/rerank", CALL, NOW).1, Step::CallOut(_)));
}

#[test]
fn calls_of_one_minute_are_counted_whatever_became_of_them() {
    let world = ruled(json!([{"id": "burst", "deny": {"models": ["m1"]}, "when": {"calls_per_minute_above": 2}}]));
    let remembering = StandIn { memory: Some(Rc::default()), ..host() };
    let refused = CALL.replace("m1", "m9");
    assert_eq!(status(&world.ask_at(&remembering, "/web/v2/rerank", &refused, NOW).1), 403);
    assert!(matches!(world.ask_at(&remembering, "/web/v2/rerank", CALL, NOW).1, Step::Release(_)));
    let (mut exchange, step) = world.ask_at(&remembering, "/web/v2/rerank", CALL, NOW);
    assert_eq!((status(&step), &record(&mut exchange)["decision"]["rules"]), (403, &json!(["burst"])));
    let later = NOW.plus(Span::from_secs(60));
    assert!(matches!(world.ask_at(&remembering, "/web/v2/rerank", CALL, later).1, Step::Release(_)));
    lose_memory();
    assert_eq!(status(&world.ask_at(&host(), "/web/v2/rerank", CALL, NOW).1), 403, "nobody knows how many");
    let world = ruled(json!([{"id": "flood", "deny": {}, "when": {"documents_per_minute_above": 3}}]));
    assert!(matches!(
        world.ask_at(&remembering, "/web/v2/rerank", CALL, later.plus(Span::from_secs(60))).1,
        Step::Release(_)
    ));
    assert_eq!(status(&world.ask_at(&remembering, "/web/v2/rerank", CALL, later.plus(Span::from_secs(60))).1), 403);
}

#[test]
fn forced_parameters_go_upstream_and_all_else_as_the_caller_wrote_it() {
    let world = ruled(json!([
        {"id": "quiet", "guard": {}, "require": {"force": {"return_documents": false, "top_n": 2}}},
    ]));
    for (path, body, becomes) in [
        (
            "/jina/web",
            r#"{"model":"m1", "query":"q","documents":["a","b","c"]}"#,
            Some(r#"{"top_n":2,"return_documents":false,"model":"m1", "query":"q","documents":["a","b","c"]}"#),
        ),
        (
            "/jina/web",
            r#"{"model":"m1","query":"q","documents":["a"],"top_n":1,"return_documents": true}"#,
            Some(r#"{"model":"m1","query":"q","documents":["a"],"top_n":1,"return_documents": false}"#),
        ),
        ("/jina/web", r#"{"model":"m1","query":"q","documents":["a"],"return_documents":false}"#, None),
        (
            "/web/v2/rerank",
            r#"{"model":"m1","query":"q","documents":["a","b","c"],"top_n":3}"#,
            Some(r#"{"model":"m1","query":"q","documents":["a","b","c"],"top_n":2}"#),
        ),
        (
            "/tei/web",
            r#"{"query":"q","texts":["a","b"],"return_text":true}"#,
            Some(r#"{"query":"q","texts":["a","b"],"return_text":false}"#),
        ),
    ] {
        let (mut exchange, step) = world.ask_at(&host(), path, body, NOW);
        let Step::Release(edits) = step else { panic!("{body}: {step:?}") };
        assert_eq!(edits.body.as_deref(), becomes.map(str::as_bytes), "{body}");
        let value =
            |wanted: &str| edits.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        assert_eq!(value("content-length"), Some(becomes.unwrap_or(body).len().to_string()));
        assert_eq!(value("content-digest"), None, "the digest of what may be another body");
        assert_eq!(record(&mut exchange)["decision"]["force"], json!({"return_documents": false, "top_n": 2}));
    }
    // TEI ranks all there is, and nothing can be forced on it.
    let (mut exchange, step) = world.ask_at(&host(), "/tei/web", r#"{"query":"q","texts":["a","b","c"]}"#, NOW);
    assert_eq!((status(&step), &record(&mut exchange)["result"]["reason"]), (403, &json!("force-impossible")));
}

#[test]
fn what_people_approve_is_the_call_as_it_came_and_what_goes_on_is_forced() {
    let world = ruled(json!([{"id": "quiet", "guard": {}, "require": {"force": {"top_n": 1}}}]));
    let (mut exchange, step) = world.ask_at(&host(), "/hr-x/v2/rerank", CALL, NOW);
    let plain = self::world();
    let digest = digest_of(&step);
    assert_eq!(digest, digest_of(&plain.ask("/hr-x/v2/rerank", CALL).1));
    let receipt = world.receipt(&json!({"req": digest}));
    let approved = json!({"status": "approved", "id": "a-1", "receipt": receipt}).to_string();
    let Step::Release(edits) = exchange.agreed(&approved, CALL, &host()) else { panic!() };
    assert_eq!(edits.body.as_deref(), Some(CALL.replacen('{', "{\"top_n\":1,", 1).as_bytes()));
}
