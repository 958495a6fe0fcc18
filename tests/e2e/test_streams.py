"""Streams that carry no rerank call are refused, in HTTP/1.1 and HTTP/2, and so are disguises of those that do."""

import json

import people
import pytest
from gateway import COHERE, body, expect_problem, expect_refused, expect_served, results
from wire import Answer, Http1, Http2, answer_json

PATHS = {
    "unknown": "/",
    "unknown below a route": f"{COHERE}/x",
    "with a slash more": f"{COHERE}/",
    "with a slash twice": "/cohere//web-docs/v2/rerank",
    "with a query": f"{COHERE}?dataset=hr-reviews",
    "with an empty query": f"{COHERE}?",
    "with a fragment": f"{COHERE}#x",
    "in other letters": "/COHERE/web-docs/v2/rerank",
    "with an escaped letter": "/cohere/web%2ddocs/v2/rerank",
    "with an escaped slash": "/cohere/web-docs%2fv2/rerank",
    "with dots": "/cohere/../cohere/web-docs/v2/rerank",
    "with one dot": "/cohere/./web-docs/v2/rerank",
    "with escaped dots": "/cohere/%2e%2e/cohere/web-docs/v2/rerank",
    "with dots for a dataset": "/cohere/../v2/rerank",
    "with a parameter": "/cohere/web-docs;a=b/v2/rerank",
    "with a backslash": "/cohere\\web-docs/v2/rerank",
    "with an odd byte": "/cohere/web-\xa1/v2/rerank",
    "of the upstream itself": "/v2/rerank",
    "of the listed stream with a query": "/healthz?x=1",
    "of the listed stream with more": "/healthz/x",
    "absolute": f"http://gateway.example{COHERE}?x=1",
}


@pytest.mark.parametrize("what", PATHS)
def test_a_path_is_refused_that_is(gateway, what):
    for method in ("POST", "GET"):
        reply = gateway.call(PATHS[what], method=method, logged=False)
        if reply.status == 400:
            # Envoy's codec refused it before there was a stream.
            gateway.drain()
            assert gateway.sent() == 0
            continue
        reply.line = gateway.next_line()
        expect_refused(gateway, reply, 404, "no-route", "unknown-path")
        assert "x=1" not in json.dumps(reply.record) and "%" not in json.dumps(reply.record)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_another_method_is_refused(gateway, method):
    reply = gateway.call(method=method, logged=False)
    reply.line = gateway.next_line()
    assert reply.line["record"][0]["result"]["outcome"] == "wrong-method"
    assert reply.status == 405 and reply.one("allow") == "POST"
    assert gateway.sent() == 0


def test_a_listed_path_with_another_method_is_refused(gateway):
    expect_refused(gateway, gateway.call("/healthz"), 404, "no-route")


@pytest.mark.parametrize("path", [COHERE, "/", "/healthz"])
def test_an_upgrade_is_refused(gateway, path):
    headers = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "eA=="), ("sec-websocket-version", "13")]
    reply = gateway.call(path, method="GET", headers=headers, transfer="none")
    expect_refused(gateway, reply, 403, "not-a-call", "upgrade")


def test_connect_is_refused(gateway):
    reply = gateway.call("upstream.example:443", method="CONNECT", transfer="none")
    expect_refused(gateway, reply, 403, "not-a-call", "upgrade")


def test_extended_connect_is_refused(gateway):
    with Http2(gateway.port) as client:
        stream = client.headers([
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", COHERE), (":authority", "gateway.example"),
            ("authorization", f"Bearer {people.token()}")])
        response = client.response(stream)
    gateway.drain()
    assert response.status != 200 and gateway.sent() == 0


# ---- HTTP/2 --------------------------------------------------------------------------------------------------------------

def head(path=COHERE, *more, token=""):
    token = people.token() if token == "" else token
    proof = [("authorization", f"Bearer {token}")] if token else []
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "gateway.example"), *proof,
            ("content-type", "application/json"), *more]


def over_h2(gateway, headers, content=None, trailers=None):
    content = json.dumps(body()).encode() if content is None else content
    with Http2(gateway.port) as client:
        stream = client.headers(headers)
        client.data(stream, content, end=trailers is None)
        if trailers is not None:
            client.trailers(stream, trailers)
        response = client.response(stream)
    return response, gateway.next_line()


def test_a_call_over_http2_is_served(gateway, cohere):
    response, line = over_h2(gateway, head())
    assert response.status == 200 and response.json() == results(0.9, 0.1)
    assert line["record"][0]["result"]["outcome"] == "served" and len(cohere.seen) == 1


def test_a_call_over_http2_without_a_token_is_refused(gateway):
    response, line = over_h2(gateway, head(token=None))
    assert response.status == 401 and response.all("www-authenticate")[0].startswith("Bearer ")
    assert line["record"][0]["result"]["reason"] == "no-token" and gateway.sent() == 0


def test_two_authorization_headers_over_http2_are_refused(gateway):
    response, _ = over_h2(gateway, head(COHERE, ("authorization", f"Bearer {people.token()}")))
    assert response.status == 401 and gateway.sent() == 0


def test_a_request_with_trailers_goes_on_without_them(gateway, cohere):
    response, line = over_h2(gateway, head(), trailers=[("x-checksum", "1"), ("authorization", "Bearer mine"), ("x-rerank-guard-subject", "root")])
    assert response.status == 200 and line["record"][0]["result"]["outcome"] == "served"
    assert cohere.seen[0].body == json.dumps(body()).encode()
    assert cohere.seen[0].trailers == [], "trailers that nobody looked into went upstream"


def test_a_refused_request_with_trailers_is_refused(gateway):
    response, _ = over_h2(gateway, head(), content=b"{}", trailers=[("x-checksum", "1")])
    assert response.status == 422 and gateway.sent() == 0


def test_a_chunked_request_with_trailers_goes_on_without_them(gateway, cohere):
    data = gateway.request(COHERE, transfer="chunked")
    with Http1(gateway.port) as client:
        client.send(data[:-2] + b"X-Checksum: 1\r\nAuthorization: Bearer mine\r\n\r\n")
        assert client.response().status == 200
    assert gateway.next_line()["record"][0]["result"]["outcome"] == "served"
    assert cohere.seen[0].trailers == []


@pytest.mark.parametrize("name", ["cohere", "h2"])
def test_a_response_with_trailers_is_masked_and_leaves_without_them(gateway, name):
    server = gateway.services.upstreams[name]
    content = body(model="h2-rerank" if name == "h2" else "rerank-v3.5")
    answer = json.dumps({**results(0.5), "meta": {"warnings": [people.EMAIL]}}).encode()
    server.answer = lambda _: answer_json(answer, trailers=[("x-debug", people.EMAIL)])
    response, line = over_h2(gateway, head(f"/{name}/web-docs/v2/rerank", ("te", "trailers")), content=json.dumps(content).encode())
    assert response.status == 200 and response.body == answer.replace(people.EMAIL.encode(), b"[email]")
    assert response.trailers == [], "trailers that nobody looked into left"
    assert line["record"][0]["result"]["masks"][0]["kind"] == "email"
    reply = gateway.call(f"/{name}/web-docs/v2/rerank", body=content)
    expect_served(reply)
    assert reply.trailers == [] and people.leaks(reply.body.decode()) == []


def test_a_withheld_response_with_trailers_is_withheld(gateway):
    server = gateway.services.upstreams["h2"]
    server.answer = lambda _: Answer(headers=[("content-type", "application/json")], body=b"oops", trailers=[("x-debug", people.EMAIL)])
    reply = gateway.call("/h2/web-docs/v2/rerank", body=body(model="h2-rerank"))
    expect_problem(reply, 502, "unmaskable-response")
    assert reply.trailers == []

