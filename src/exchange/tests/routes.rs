//! Whom a call may address, and where it may go.

use super::*;

/// A host whose Envoy has chosen this cluster.
fn at(cluster: Option<&'static str>) -> StandIn {
    StandIn { cluster, ..host() }
}

#[test]
fn a_call_or_a_listed_stream_to_another_authority_goes_nowhere() {
    let with = |authorities: Value, host: Value, origins: Value| {
        world_with(move |config| {
            config["routes"][0]["authorities"] = authorities;
            config["routes"][0]["host"] = host;
            config["pass"] =
                if origins == json!([]) { json!([]) } else { json!([{"method": "GET", "path": "/healthz"}]) };
            config["origins"] = origins;
        })
    };
    let to = |world: &World, method: &'static str, path: &str, authorities: &[&str]| {
        let mut all = vec![(":method", method), (":path", path), ("content-type", "application/json")];
        let bearer = format!("Bearer {}", world.token());
        all.push(("authorization", &bearer));
        all.extend(authorities.iter().map(|authority| (":authority", *authority)));
        let mut exchange = world.exchange();
        let step = exchange.request_headers(answer(&all), false, NOW, &host());
        (step, record(&mut exchange))
    };
    let origins = json!(["https://gateway.test", "http://127.0.0.1:*"]);
    let ours = with(json!([]), Value::Null, origins.clone());
    let narrower = with(json!(["search.test:8443"]), Value::Null, origins);
    let whatever = with(json!([]), json!("api.test"), json!([]));
    for (world, good, recorded) in [
        (&ours, "GATEWAY.test:443", json!("gateway.test")),
        (&ours, "127.0.0.1:4000", json!("127.0.0.1:4000")),
        (&narrower, "search.test:8443", json!("search.test:8443")),
        (&whatever, "evil.test", Value::Null),
    ] {
        let (step, record) = to(world, "POST", "/web/v2/rerank", &[good]);
        assert_eq!(step, Step::Hold, "{good}");
        assert_eq!(record["call"]["authority"], recorded);
    }
    for (world, bad) in [(&ours, "evil.test"), (&ours, "gateway.test:8443"), (&narrower, "gateway.test")] {
        let (step, record) = to(world, "POST", "/web/v2/rerank", &[bad]);
        assert_eq!((status(&step), &record["result"]["reason"]), (421, &json!("wrong-authority")), "{bad}");
        assert_eq!(record["call"]["authority"], Value::Null, "what a caller chose is not recorded");
    }
    for world in [&ours, &whatever] {
        for bad in
            [&[][..], &[""], &["gateway.test", "gateway.test"], &["gateway.test, evil.test"], &["u@gateway.test"]]
        {
            let (step, record) = to(world, "POST", "/web/v2/rerank", bad);
            assert_eq!((status(&step), &record["result"]["reason"]), (421, &json!("authority-malformed")), "{bad:?}");
        }
    }
    assert_eq!(status(&to(&ours, "GET", "/healthz", &["evil.test"]).0), 421);
    assert!(matches!(to(&ours, "GET", "/healthz", &["gateway.test"]).0, Step::Release(_)));
}

#[test]
fn a_call_that_envoy_would_send_to_another_cluster_goes_nowhere() {
    let world = world_with(|config| config["routes"][0]["clusters"] = json!(["tei", "tei-2"]));
    for (cluster, expected, reason) in [
        (Some("tei"), None, "stream-ended"),
        (Some("tei-2"), None, "stream-ended"),
        (Some("cohere"), Some(403), "cluster-not-for-route"),
        (Some("TEI"), Some(403), "cluster-not-for-route"),
        (None, Some(503), "no-cluster"),
    ] {
        for path in ["/web/v2/rerank", "/hr-x/v2/rerank"] {
            let (mut exchange, step) = {
                let mut exchange = world.exchange();
                exchange.request_headers(world.headers(path, &[]), false, NOW, &at(cluster));
                assert_eq!(exchange.request_body(CALL.len(), true), Step::Read);
                let step = exchange.request_whole(CALL.as_bytes(), NOW, &at(cluster));
                (exchange, step)
            };
            match expected {
                Some(expected) => assert_eq!(status(&step), expected, "nobody is asked in vain: {cluster:?} {path}"),
                None => assert!(matches!(step, Step::Release(_) | Step::CallOut(_)), "{cluster:?} {path}"),
            }
            let record = record(&mut exchange);
            assert_eq!(record["result"]["reason"], reason, "{cluster:?}");
            assert_eq!(record["cluster"], json!(cluster));
        }
    }
}

#[test]
fn an_answer_from_another_cluster_does_not_leave_and_closes_the_route_for_a_while() {
    let world = world_with(|config| config["routes"][0]["clusters"] = json!(["tei", "tei-2"]));
    let sent = |now: Time| {
        let mut exchange = world.exchange();
        exchange.request_headers(world.headers("/web/v2/rerank", &[]), false, now, &at(Some("tei")));
        exchange.request_body(CALL.len(), true);
        let step = exchange.request_whole(CALL.as_bytes(), now, &at(Some("tei")));
        (exchange, step)
    };
    for cluster in [Some("tei"), Some("tei-2"), None] {
        let (mut exchange, step) = sent(NOW);
        assert!(matches!(step, Step::Release(_)));
        assert_eq!(exchange.answered_by(NOW, &at(cluster)), None, "{cluster:?}");
        assert_eq!(record(&mut exchange)["cluster"], json!(cluster.unwrap_or("tei")));
    }
    let (mut exchange, _) = sent(NOW);
    let step = exchange.answered_by(NOW, &at(Some("evil"))).unwrap();
    assert_eq!(status(&step), 502);
    let record = record(&mut exchange);
    assert_eq!((&record["result"]["reason"], &record["cluster"]), (&json!("wrong-cluster"), &json!("evil")));
    assert_eq!(record["credential"], "tei", "it was sent, and the record does not hide it");
    for (seconds, expected) in [(0, Some(503)), (59, Some(503)), (60, None)] {
        let (_, step) = sent(NOW.plus(Span::from_secs(seconds)));
        match expected {
            Some(expected) => assert_eq!(status(&step), expected, "{seconds}"),
            None => assert!(matches!(step, Step::Release(_)), "{seconds}"),
        }
    }
}

#[test]
fn what_the_filter_behind_held_back_was_not_sent() {
    let held = StandIn {
        cluster: Some("evil"),
        was_held_back: true,
        details: Some("rbac_access_denied_matched_policy[none]"),
        may_have_reached_upstream: false,
        ..StandIn::default()
    };
    let world = world();
    for _ in 0..2 {
        let (mut exchange, step) = world.ask("/web/v2/rerank", CALL);
        assert!(matches!(step, Step::Release(_)), "the route is not closed: nothing was lost");
        assert_eq!(status(&exchange.answered_by(NOW, &held).unwrap()), 403);
        let record = record(&mut exchange);
        assert_eq!((&record["result"]["reason"], &record["credential"]), (&json!("cluster-changed"), &Value::Null));
        assert!(!exchange.is_sent());
    }
}

#[test]
fn a_token_that_ends_while_the_body_comes_proves_nothing_any_more() {
    let world = world();
    for (seconds, expected) in [(629, None), (630, Some(401))] {
        let mut exchange = world.exchange();
        assert_eq!(exchange.request_headers(world.headers("/web/v2/rerank", &[]), false, NOW, &host()), Step::Hold);
        let now = NOW.plus(Span::from_secs(seconds));
        let step = exchange.request_whole(CALL.as_bytes(), now, &host());
        match expected {
            None => assert!(matches!(step, Step::Release(_)), "with the leeway of its issuer"),
            Some(expected) => {
                assert_eq!(status(&step), expected);
                assert_eq!(record(&mut exchange)["result"]["reason"], "expired");
            }
        }
    }
}

#[test]
fn a_token_that_ends_while_people_are_asked_proves_nothing_any_more() {
    let world = world();
    let (mut exchange, step) = world.ask("/hr-x/v2/rerank", CALL);
    let Step::CallOut(out) = step else { panic!("nobody was asked: {step:?}") };
    let asked: Value = serde_json::from_slice(&out.body).unwrap();
    let later = NOW.plus(Span::from_secs(640));
    let agreed = json!([{"sub": "lea", "groups": ["grp-leads"], "at": later.secs(), "reason": "INC-1"}]);
    let receipt = world.receipt(
        &json!({"req": asked["request_digest"], "apv": agreed, "iat": later.secs(), "exp": later.secs() + 60}),
    );
    let answer = json!({"status": "approved", "id": "ap-1", "receipt": receipt}).to_string();
    assert_eq!(exchange.answered(Some((200, answer.as_bytes())), later), Step::Read);
    assert_eq!(status(&exchange.request_whole(CALL.as_bytes(), later, &host())), 401);
    let record = record(&mut exchange);
    assert_eq!((&record["result"]["reason"], &record["credential"]), (&json!("expired"), &Value::Null));
}
