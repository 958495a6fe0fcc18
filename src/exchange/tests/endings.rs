//! What the record says of a call that was let go, by what the host tells of its end.

use super::*;

/// A host that tells this of a stream.
fn tells(details: &'static str) -> StandIn {
    StandIn { details: Some(details), peer: Some("192.0.2.7:4711"), ..host() }
}

fn sent() -> Exchange {
    let world = world();
    let (exchange, step) = world.ask("/web/v2/rerank", CALL);
    assert!(matches!(step, Step::Release(_)), "{step:?}");
    exchange
}

/// Outcome, reason, upstream, upstream's status, status.
fn told(exchange: &mut Exchange, at_the_end: &StandIn) -> Value {
    let record: Value = serde_json::from_str(&exchange.sealed_record(NOW, at_the_end)).unwrap();
    let result = &record["result"];
    assert_eq!(result["upstream_status"].is_null(), result["upstream"] != "answered", "{result}");
    assert_eq!((exchange.outcome().0, exchange.outcome().1), (result["outcome"].as_str().unwrap(), result["reason"].as_str().unwrap()));
    assert_eq!(record["peer"], "192.0.2.7:4711");
    json!([result["outcome"], result["reason"], result["upstream"], result["upstream_status"], result["status"]])
}

#[test]
fn only_what_an_upstream_answered_is_served_and_only_a_success_is_ok() {
    for (status, details, reached, expected) in [
        ("200", "via_upstream", true, json!(["served", "ok", "answered", 200, 200])),
        ("429", "via_upstream", true, json!(["served", "upstream-4xx", "answered", 429, 429])),
        ("503", "via_upstream", true, json!(["served", "upstream-5xx", "answered", 503, 503])),
        ("503", "cluster_not_found", false, json!(["failed", "no-cluster", "unreached", null, 503])),
        ("503", "upstream_reset_before_response_started{remote_connection_failure}", false,
            json!(["failed", "upstream-unreachable", "unreached", null, 503])),
        ("503", "upstream_reset_before_response_started{connection_termination}", true,
            json!(["failed", "upstream-reset", "unanswered", null, 503])),
        ("504", "response_timeout", true, json!(["failed", "upstream-timeout", "unanswered", null, 504])),
        ("200", "direct_response", false, json!(["failed", "direct-response", "unreached", null, 200])),
        ("299", "lua_response", false, json!(["failed", "answered-by-envoy", "unreached", null, 299])),
        ("401", "via_upstream", true, json!(["upstream-refused", "upstream-refused-credential", "answered", 401, 502])),
        ("401", "ext_authz_denied", false, json!(["upstream-refused", "refused-behind-guard", "unreached", null, 502])),
    ] {
        let mut exchange = sent();
        let end = StandIn { may_have_reached_upstream: reached, ..tells(details) };
        let headers = [(":status", status), ("content-type", "application/json")];
        let step = exchange.response_headers(&answer(&headers), false, NOW, &end);
        if step == Step::Hold {
            assert!(matches!(exchange.response_whole(br#"{"a":"ann@example.org"}"#), Step::Release(Edits { body: Some(_), .. })));
        }
        assert_eq!(told(&mut exchange, &tells("nobody asks")), expected, "{status} {details}");
    }
    let mut exchange = sent();
    exchange.response_headers(&answer(OK_JSON), false, NOW, &StandIn { details: None, ..tells("") });
    exchange.response_whole(b"{}");
    assert_eq!(told(&mut exchange, &tells("")), json!(["failed", "answered-by-envoy", "unanswered", null, 200]), "a mute host");
}

#[test]
fn a_stream_that_ends_before_its_answer_is_over_says_how() {
    let at_the_end = |details, status, may_have_reached_upstream| StandIn { status, may_have_reached_upstream, ..tells(details) };
    // Before any answer.
    for (end, expected) in [
        (at_the_end("downstream_remote_disconnect", None, true), json!(["aborted", "caller-gone", "unanswered", null, null])),
        (at_the_end("downstream_remote_disconnect", None, false), json!(["aborted", "caller-gone", "unreached", null, null])),
        (at_the_end("http2.remote_reset", None, true), json!(["aborted", "caller-gone", "unanswered", null, null])),
        (at_the_end("internal_redirect", Some(302), true), json!(["aborted", "internal-redirect", "answered", 302, null])),
        (at_the_end("request_payload_too_large", Some(413), false), json!(["failed", "request-above-buffer", "unreached", null, 413])),
    ] {
        assert_eq!(told(&mut sent(), &end), expected, "{end:?}");
    }
    // While it is held: an upstream has answered, and nothing of that left.
    for (end, expected) in [
        (at_the_end("upstream_reset_after_response_started{protocol_error}", Some(502), true),
            json!(["aborted", "upstream-broke-off", "answered", 200, 502])),
        (at_the_end("stream_idle_timeout", Some(504), true), json!(["failed", "stream-timeout", "answered", 200, 504])),
        (at_the_end("downstream_remote_disconnect", Some(200), true), json!(["aborted", "caller-gone", "answered", 200, null])),
    ] {
        let mut exchange = sent();
        exchange.response_headers(&answer(OK_JSON), false, NOW, &tells("via_upstream"));
        assert_eq!(told(&mut exchange, &end), expected, "{end:?}");
    }
    // Before the request was let go.
    let world = world();
    let mut exchange = world.exchange();
    exchange.request_headers(world.headers("/web/v2/rerank", &[]), false, NOW, &host());
    exchange.response_headers(&answer(&[(":status", "408")]), true, NOW, &tells("request_overall_timeout"));
    let expected = json!(["failed", "request-timeout", null, null, 408]);
    assert_eq!(told(&mut exchange, &at_the_end("request_overall_timeout", Some(408), false)), expected);
    // What could not be let go was not.
    let mut exchange = sent();
    exchange.withhold();
    assert_eq!(told(&mut exchange, &tells("")), json!(["not-ready", "host-refused", null, null, 503]));
}

#[test]
fn a_passing_request_is_told_apart_too() {
    for (details, expected) in [
        ("via_upstream", json!(["passed", "listed", "answered", 200, 200])),
        ("direct_response", json!(["passed", "direct-response", "unreached", null, 200])),
        ("upstream_reset_after_response_started{x}", json!(["aborted", "upstream-broke-off", "answered", 200, 200])),
    ] {
        let end = StandIn { may_have_reached_upstream: false, ..tells(details) };
        let mut exchange = world().exchange();
        let listed = [(":method", "GET"), (":path", "/healthz"), (":authority", "gateway.test")];
        let step = exchange.request_headers(answer(&listed), true, NOW, &host());
        assert!(matches!(step, Step::Release(_)), "{step:?}");
        exchange.response_headers(&answer(OK_JSON), false, NOW, &end);
        assert_eq!(told(&mut exchange, &end), expected, "{details}");
    }
}

#[test]
fn names_that_callers_choose_are_masked_in_record_draft_and_question() {
    let world = world_with(|config| {
        let bundle = &mut config["bundle"]["inline"];
        bundle["rules"].as_array_mut().unwrap().push(json!({"id": "all", "use": "tei",
            "allow": {"groups": ["analysts"], "models": ["*"], "datasets": ["*"], "operations": ["rerank"]}}));
        config["routes"][0]["tenant"] = json!({"header": "x-tenant"});
    });
    let mut exchange = world.exchange();
    let more = [("x-request-id", "card-4111111111111111"), ("x-tenant", "t-4111111111111111")];
    exchange.request_headers(world.headers("/hr-4111111111111111/v2/rerank", &more), false, NOW, &host());
    let body = r#"{"model":"rerank-ann.lee@example.com","query":"for ann.lee@example.com \u202egnp","documents":["a"]}"#;
    let step = exchange.request_whole(body.as_bytes(), NOW, &host());
    let Step::CallOut(out) = step else { panic!("no callout but {step:?}") };
    let asked = String::from_utf8(out.body).unwrap();
    let question: Value = serde_json::from_str(&asked).unwrap();
    let names = json!(["[email]", "hr-[credit_card]", "t-[credit_card]"]);
    let resource = &question["resource"];
    assert_eq!(json!([resource["model"], resource["dataset"], resource["tenant"]]), names);
    assert_eq!(question["preview"]["query"], "for [email] \\u{202e}gnp");
    let draft = exchange.draft();
    let line = exchange.sealed_record(NOW, &host());
    let record: Value = serde_json::from_str(&line).unwrap();
    let call = &record["call"];
    assert_eq!(json!([call["model"], call["dataset"], call["tenant"]]), names);
    assert_eq!(record["request_id"], "card-[credit_card]");
    for text in [asked, draft, line] {
        assert!(!text.contains("ann.lee") && !text.contains("4111111111111111"), "{text}");
    }
}

#[test]
fn a_method_that_is_none_is_not_repeated_and_a_tokens_id_is_named() {
    let world = world();
    let mut exchange = world.exchange();
    let headers = answer(&[(":method", "4111111111111111"), (":path", "/x"), (":authority", "gateway.test")]);
    exchange.request_headers(headers, true, NOW, &host());
    assert_eq!(record(&mut exchange)["call"]["method"], "other");
    let (mut exchange, _) = world.ask("/web/v2/rerank", CALL);
    assert_eq!(record(&mut exchange)["actor"]["jti"], Value::Null, "this token has none");
}
