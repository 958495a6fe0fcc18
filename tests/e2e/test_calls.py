"""Calls that are allowed: each dialect, the upstream credential, and what the upstream sees."""

import json

import people
import pytest
from gateway import COHERE, CREDENTIALS, MODELS, ROUTES, body, expect_problem, expect_seen, expect_served, plugin
from wire import Http1, answer_json

CALLS = {
    "cohere-v1": ("cohere", "/cohere/web-docs/v1/rerank", "/v1/rerank",
                  {"model": MODELS["cohere"], "query": "q", "documents": ["one", {"text": "two", "title": "t"}], "top_n": 1,
                   "return_documents": True, "rank_fields": ["text"], "max_chunks_per_doc": 5},
                  {"id": "r", "results": [{"index": 1, "relevance_score": 0.25, "document": {"text": "two", "title": "t"}}], "meta": {"api_version": {"version": "1"}}}),
    "cohere-v2": ("cohere", "/cohere/web-docs/v2/rerank", "/v2/rerank",
                  {"model": MODELS["cohere"], "query": "q", "documents": ["one", "two"], "top_n": 2, "max_tokens_per_doc": 100},
                  {"id": "r", "results": [{"index": 1, "relevance_score": 0.999071}, {"index": 0, "relevance_score": 1e-7}], "meta": {}}),
    "jina": ("jina", "/jina/web-docs/v1/rerank", "/v1/rerank",
             {"model": MODELS["jina"], "query": "q", "documents": ["one", {"text": "two"}], "top_n": 2, "return_documents": True},
             {"model": "jina", "usage": {"total_tokens": 411111}, "results": [{"index": 0, "relevance_score": 0.5, "document": {"text": "one"}}]}),
    "tei": ("tei", "/tei/web-docs/rerank", "/rerank",
            {"query": "q", "texts": ["one", "two"], "return_text": True, "raw_scores": False, "truncate": True},
            [{"index": 1, "score": 0.12345678901234568, "text": "two"}, {"index": 0, "score": -3.5e-05, "text": "one"}]),
    "vllm": ("vllm", "/vllm/web-docs/v1/rerank", "/v1/rerank",
             {"model": MODELS["vllm"], "query": "q", "documents": ["one", "two"], "top_n": 0},
             {"id": "r", "model": "m", "usage": {"total_tokens": 12}, "results": [{"index": 0, "relevance_score": 0.5, "document": {"text": "one"}}]}),
}


@pytest.mark.parametrize("dialect", CALLS)
def test_an_allowed_call_of_each_dialect_reaches_its_upstream_under_its_credential(gateway, dialect):
    upstream, path, target, content, answer = CALLS[dialect]
    server = gateway.services.upstreams[upstream]
    raw = json.dumps(answer, indent=1).encode()
    server.answer = lambda _: answer_json(raw)
    token = people.token(jti="t-1")
    reply = gateway.call(path, body=content, token=token)
    record = expect_served(reply)
    assert reply.body == raw, "an answer with nothing to mask is not touched"
    expect_seen(server, upstream, target, content, caller=token)
    assert gateway.sent() == 1
    assert record["actor"] == {"iss": people.ISSUER, "sub": "ann", "groups": ["grp-search"], "proof": record["actor"]["proof"], "kid": "rsa-1",
                               "jti": "t-1"}
    assert record["call"]["dialect"] == dialect and record["call"]["operation"] == "rerank"
    assert record["call"]["model"] == (MODELS[upstream] or "BAAI/bge-reranker-v2-m3")
    assert record["call"]["dataset"] == "web-docs"
    assert record["call"]["documents"] == 2
    assert record["decision"]["effect"] == "allow" and f"analysts-{upstream}" in record["decision"]["rules"]
    assert record["credential"] == upstream
    assert record["result"]["masks"] == []


# NVIDIA NIM's ranking API.
NIM = {
    "name": "nim",
    "request": {"model": "/model", "query": "/query/text", "documents": {"at": "/passages", "objects": True},
                "return_documents": {"always": False}, "parameters": ["truncate"]},
    "response": {"kept": ["/rankings/*/index", "/rankings/*/logit"]},
}


def test_a_dialect_that_the_configuration_adds_is_served_without_code(changeable):
    route = {"path": "/cohere/{dataset}/v1/ranking", "dialect": "nim", "dataset": {"segment": "dataset"}, "clusters": ["cohere"],
             "credentials": ["cohere"]}
    gateway = changeable.change(plugin(dialects=[NIM], routes=[*ROUTES, route]))
    server = gateway.services.upstreams["cohere"]
    server.answer = lambda _: answer_json(b'{"rankings":[{"index":1,"logit":-4.111111111111111},{"index":0,"note":"ann@example.org"}]}')
    content = {"model": MODELS["cohere"], "query": {"text": "q"}, "passages": [{"text": "one"}, {"text": "two"}], "truncate": "END"}
    token = people.token()
    reply = gateway.call("/cohere/web-docs/v1/ranking", body=content, token=token)
    record = expect_served(reply)
    assert reply.body == b'{"rankings":[{"index":1,"logit":-4.111111111111111},{"index":0,"note":"[email]"}]}'
    expect_seen(server, "cohere", "/v1/ranking", content, caller=token)
    assert (record["call"]["dialect"], record["call"]["documents"]) == ("nim", 2)
    expect_problem(gateway.call("/cohere/web-docs/v1/ranking", body={**content, "query": "q"}, token=token), 422, "malformed-call")
    assert gateway.sent() == 1


@pytest.mark.parametrize("key", [people.RSA, people.EC], ids=["RS256", "ES256"])
def test_a_token_of_each_algorithm_proves_its_caller(gateway, key):
    assert expect_served(gateway.call(token=people.token(key=key)))["actor"]["kid"] == key.kid


def test_the_same_token_is_accepted_again_and_again(gateway):
    token = people.token()
    for _ in range(3):
        expect_served(gateway.call(token=token))
    assert gateway.sent() == 3


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_authorization_has_no_case(gateway, scheme):
    expect_served(gateway.call(token=None, headers=[("authorization", f"{scheme} {people.token()}")]))


def test_a_chunked_body_goes_through_whole(gateway, cohere):
    content = body(documents=["x" * 2000, "two"])
    expect_served(gateway.call(body=content, transfer="chunked"))
    expect_seen(cohere, "cohere", "/v2/rerank", content)


def test_the_callers_credentials_and_our_headers_never_reach_the_upstream(gateway, cohere):
    own = ["api-key", "x-api-key", "cookie", "proxy-authorization", "x-auth-token", "x-goog-api-key", "ocp-apim-subscription-key",
           "x-rerank-guard-subject", "X-Rerank-Guard-Decision", "x-forwarded-client-cert"]
    value = people.secret("the caller")
    expect_served(gateway.call(headers=[*((name, value) for name in own), ("x-kept", "yes"), ("X-Api-Key", value)]))
    seen = expect_seen(cohere, "cohere", "/v2/rerank", body())
    for name in own:
        assert seen.all(name.lower()) == [], name
    assert value.encode() not in b"".join(content for _, content in seen.headers)
    assert seen.all("x-kept") == [], "it is on no list"


def test_a_credential_header_of_the_caller_does_not_stand_beside_ours(gateway):
    jina = gateway.services.upstreams["jina"]
    content = {"model": MODELS["jina"], "query": "q", "documents": ["one"]}
    expect_served(gateway.call("/jina/web-docs/v1/rerank", body=content, headers=[("Api-Key", "mine"), ("api-key", "mine too")]))
    seen = expect_seen(jina, "jina", "/v1/rerank", content)
    assert seen.all("api-key") == [CREDENTIALS["jina"][1]]


def test_the_upstream_is_asked_for_an_answer_that_can_be_read(gateway, cohere):
    expect_served(gateway.call(headers=[("accept-encoding", "gzip, br"), ("accept-encoding", "zstd")]))
    assert cohere.seen[0].all("accept-encoding") == ["identity"]


def test_the_dataset_may_come_from_a_header_that_the_upstream_does_not_see(gateway, cohere):
    content = body(top_n=1)
    record = expect_served(gateway.call("/by-header/v1/rerank", body=content, headers=[("x-dataset", "web-wiki")]))
    assert record["call"]["dataset"] == "web-wiki"
    assert expect_seen(cohere, "cohere", "/by-header/v1/rerank", content).all("x-dataset") == []


def test_the_dataset_may_come_from_the_documents(gateway):
    content = body(documents=[{"text": "one", "dataset": "web-a"}, {"text": "two", "dataset": "web-a"}])
    assert expect_served(gateway.call("/by-document/v1/rerank", body=content))["call"]["dataset"] == "web-a"


def test_the_tenant_is_known_to_the_record_and_not_to_the_upstream(gateway, cohere):
    content = body(documents=[{"text": "one", "tenant": "acme"}, "two"])
    record = expect_served(gateway.call("/tenants/web-docs/v1/rerank", body=content, headers=[("x-tenant", "acme")]))
    assert record["call"]["tenant"] == "acme"
    assert expect_seen(cohere, "cohere", "/v1/rerank", content).all("x-tenant") == []


def test_the_query_and_the_documents_are_not_in_the_record(gateway):
    content = body(query="where does zanzibar-query live", documents=["zanzibar-document"])
    reply = gateway.call(body=content)
    expect_served(reply)
    assert "zanzibar" not in json.dumps(reply.line)


def test_several_calls_on_one_connection_are_each_judged(gateway, cohere):
    with Http1(gateway.port) as client:
        for token, status in [(people.token(), 200), (people.token(groups=[]), 403), (people.token(), 200), (None, 401)]:
            client.send(gateway.request(COHERE, token=token))
            assert client.response().status == status
            assert gateway.next_line()["record"][0]["result"]["status"] == status
    assert len(cohere.seen) == 2


def test_pipelined_calls_are_each_judged(gateway, cohere):
    with Http1(gateway.port) as client:
        client.send(gateway.request(COHERE) + gateway.request(COHERE, token=None))
        assert [client.response().status, client.response().status] == [200, 401]
    assert [gateway.next_line()["envoy"]["code"] for _ in range(2)] == [200, 401]
    assert len(cohere.seen) == 1


def test_a_listed_stream_passes_without_the_callers_credentials(gateway, cohere):
    cohere.answer = lambda _: answer_json({"ok": True})
    reply = gateway.call("/healthz", method="GET", transfer="none", headers=[("api-key", "mine")])
    assert (reply.status, reply.json()) == (200, {"ok": True})
    assert reply.record["decision"]["effect"] == "pass" and reply.record["credential"] is None
    seen = cohere.seen[0]
    assert (seen.method, seen.target) == ("GET", "/healthz")
    assert seen.all("authorization") == seen.all("api-key") == []
