"""No token, secret or personal data in anything Envoy shows: its log at its most talkative, its access log, statistics, and
configuration dump. Statistics count what happened."""

import people
from gateway import HR, SECRETS, approved, body, expect_served
from wire import answer_json


def test_nothing_sensitive_is_shown_anywhere_and_everything_is_counted(start):
    gateway = start(log_level="info")
    upstream = gateway.services.upstreams["cohere"]
    upstream.answer = lambda _: answer_json(
        {"id": "r", "results": [{"index": 0, "relevance_score": 0.5, "document": {"text": " ".join(people.PERSONAL.values())}}]})
    personal = body(query=f"find {people.EMAIL}", documents=list(people.PERSONAL.values()), return_documents=True, model="rerank-v3.5")
    expect_served(gateway.call("/cohere/web-docs/v1/rerank", body=personal))
    gateway.call(HR, body=body(query=f"find {people.SSN}", documents=list(people.PERSONAL.values())))
    gateway.services.approver.answer = approved()
    expect_served(gateway.call(HR, body=body(documents=[people.CARD])))
    gateway.services.approver.answer = approved(aud="another")
    assert gateway.call(HR, body=body(documents=[people.CARD])).status == 403
    assert gateway.call(token=people.token(aud="another")).status == 401
    assert gateway.call(body={"model": people.EMAIL}).status == 422
    assert gateway.call(f"/{people.EMAIL}?q={people.SSN}").status == 404
    upstream.answer = lambda _: answer_json({"message": SECRETS["cohere"]})
    assert gateway.call().status == 502
    upstream.answer = lambda _: answer_json({"message": people.EMAIL, "message2": b"".decode()}, 401)
    assert gateway.call().status == 502
    log = (gateway.envoy.directory / "access.log").read_text()
    stats = gateway.envoy.admin("/stats")
    for name, text in {
        "log": gateway.envoy.output, "access log": log, "statistics": stats,
        "statistics for Prometheus": gateway.envoy.admin("/stats/prometheus"),
        "configuration dump": gateway.envoy.admin("/config_dump?include_eds"), "clusters": gateway.envoy.admin("/clusters"),
    }.items():
        assert people.leaks(text) == [], f"in Envoy's {name}"
    for wanted in ("served", "unauthenticated", "malformed-call", "no-route", "approval-required", "approval-unavailable", "unmaskable-response"):
        assert f".{wanted}." in stats, f"no counter for {wanted}"
    assert "rerank_guard.masked.kind.email" in stats
