"""Signals of risk, which workers count together, and parameters that are forced on the way upstream: proved by what the upstream saw."""

from __future__ import annotations

import copy
import json

import people
from gateway import BUNDLE, COHERE, body, expect_problem, expect_refused, expect_served, plugin, results
from test_workers import expect_keys_on_both
from wire import Http1, answer_json

JINA = "/jina/web-docs/v1/rerank"


def ruled(*rules: dict) -> dict:
    written = copy.deepcopy(BUNDLE)
    written["rules"] += rules
    return plugin(bundle={"inline": written})


def test_forced_parameters_are_what_the_upstream_sees(changeable):
    changeable.change(ruled({"id": "quiet", "guard": {"datasets": ["web-*"]}, "require": {"force": {"return_documents": False, "top_n": 1}}}))
    upstream = changeable.services.upstreams["jina"]
    upstream.always(lambda _: answer_json(results(0.9)))
    sent = b'{"model":"jina-reranker-v2", "query": "who" , "documents":["one","two"],"return_documents" : true}'
    record = expect_served(changeable.call(JINA, body=sent))
    assert upstream.seen[0].body == b'{"top_n":1,"model":"jina-reranker-v2", "query": "who" , "documents":["one","two"],"return_documents" : false}'
    assert upstream.seen[0].one("content-length") == str(len(upstream.seen[0].body))
    assert record["decision"]["force"] == {"return_documents": False, "top_n": 1}
    assert record["call"]["return_documents"] is True, "the record says what the caller asked for"
    changeable.services.fresh()
    expect_served(changeable.call(JINA, body=sent, transfer="chunked"))
    assert json.loads(upstream.seen[0].body)["return_documents"] is False
    changeable.services.fresh()
    changeable._sent_before = changeable._sent()
    reply = changeable.call("/tei/web-docs/rerank", body={"query": "q", "texts": ["a", "b"]})
    expect_refused(changeable, reply, 403, "forbidden", "force-impossible")


def test_personal_data_and_terms_in_a_request_raise_its_risk(changeable):
    changeable.change(ruled(
        {"id": "pii", "guard": {"datasets": ["web-*"]}, "when": {"pii": ["credit_card"]}, "risk": 40},
        {"id": "secret", "guard": {"datasets": ["web-*"]}, "when": {"terms": ["project falcon"]}, "risk": 40},
        {"id": "cap", "guard": {"datasets": ["web-*"]}, "require": {"deny_when_risk_at_least": 80}}))
    for query, documents, risk in [("q", ["a"], 0), (people.CARD, ["a"], 40), ("q", ["Project FALCON"], 40)]:
        assert expect_served(changeable.call(body=body(query=query, documents=documents, top_n=1)))["decision"]["risk"] == risk
    changeable.services.fresh()
    changeable._sent_before = changeable._sent()
    reply = changeable.call(body=body(query=people.CARD, documents=["project falcon"], top_n=1))
    expect_refused(changeable, reply, 403, "forbidden", "risk-too-high")
    assert reply.record["decision"]["risk_reasons"] == [{"rule": "pii", "points": 40}, {"rule": "secret", "points": 40}]


def test_workers_count_calls_together(services, start):
    """Whichever worker a call comes to, the caller has one count."""
    gateway = start(ruled({"id": "burst", "deny": {"datasets": ["web-*"]}, "when": {"calls_per_minute_above": 20}}), concurrency=2)
    expect_keys_on_both(gateway)
    token = people.token("counted")
    for _ in range(3):  # the minute may end in between
        statuses = []
        with Http1(gateway.port) as one, Http1(gateway.port) as other:
            for number in range(30):
                connection = (one, other)[number % 2]
                connection.send(gateway.request(COHERE, token=token))
                statuses.append(connection.response().status)
                gateway.next_line()
        if 403 in statuses:
            break
    served = statuses.count(200)
    assert statuses == [200] * served + [403] * (30 - served) and served <= 20, statuses


def test_a_dataset_is_new_until_the_caller_was_let_through(changeable):
    changeable.change(ruled({"id": "new", "guard": {"datasets": ["web-*"]}, "when": {"first_use": "dataset"}, "risk": 5}))
    token = people.token("newcomer")
    risks = [expect_served(changeable.call(token=token))["decision"]["risk"] for _ in range(3)]
    assert risks == [5, 0, 0]
    assert expect_served(changeable.call("/cohere/web-other/v2/rerank", token=token))["decision"]["risk"] == 5
    expect_problem(changeable.call("/cohere/nowhere/v2/rerank", token=token), 403, "forbidden")
