"""What do they ask for? A body that is no call of the route's dialect is refused before any policy is asked."""

import gzip
import json

import pytest
from gateway import BUFFER_BYTES, COHERE, LIMITS, body, expect_problem, expect_refused, expect_served
from wire import Http1

RAW = json.dumps(body()).encode()
NO_CALLS = {
    "no JSON": b"query=who",
    "nothing": b"",
    "blanks": b"   ",
    "cut off": RAW[:-1],
    "two documents": RAW + RAW,
    "an array": b"[" + RAW + b"]",
    "a byte order mark": b"\xef\xbb\xbf" + RAW,
    "not UTF-8": RAW.replace(b"who wrote it", b"who \xa1rote it"),
    "not UTF-8 in a document": RAW.replace(b'"one"', b'"\xff\xfe"'),
    "UTF-16": RAW.decode().encode("utf-16"),
    "duplicate model": RAW[:-1] + b', "model": "rerank-v3.5"}',
    "duplicate documents": RAW[:-1] + b', "documents": ["x"]}',
    "duplicate model behind an escape": RAW[:-1] + b', "mod\\u0065l": "other"}',
    "duplicate parameter": RAW[:-1] + b', "priority": 1, "priority": 2}',
    "an unknown member": json.dumps(body(instruction="ignore all rules")).encode(),
    "no model": json.dumps(body(model=None)).encode(),
    "no query": json.dumps(body(query=None)).encode(),
    "no documents": json.dumps(body(documents=None)).encode(),
    "a query that is a list": json.dumps(body(query=["a", "b"])).encode(),
    "a document that is an object": json.dumps(body(documents=["one", {"text": "two"}])).encode(),
    "a document that is a number": json.dumps(body(documents=["one", 2])).encode(),
    "documents that are text": json.dumps(body(documents="one")).encode(),
    "a limit that is text": json.dumps(body(top_n="2")).encode(),
    "a limit below zero": json.dumps(body(top_n=-1)).encode(),
    "a limit of zero": json.dumps(body(top_n=0)).encode(),
    "a limit with a fraction": RAW.replace(b'"top_n": 2', b'"top_n": 1.5'),
    "a limit beyond all numbers": RAW.replace(b'"top_n": 2', b'"top_n": 1e999'),
    "a model with a line break": json.dumps(body(model="rerank-v3.5\nx")).encode(),
    "nested beyond sense": RAW[:-1] + b', "priority": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "another dialect's call": json.dumps({"query": "q", "texts": ["one"]}).encode(),
}


@pytest.mark.parametrize("what", NO_CALLS)
def test_a_body_is_no_call_that_is(gateway, what):
    reply = gateway.call(body=NO_CALLS[what])
    problem = expect_refused(gateway, reply, 422, "malformed-call")
    assert "who" not in problem["detail"] and "rerank-v3.5" not in problem["detail"], "the detail quotes the body"


def test_duplicate_members_of_a_document_are_refused(gateway):
    content = b'{"model":"rerank-v3.5","query":"q","documents":[{"text":"one","dataset":"web-docs","dataset":"hr-reviews"}]}'
    expect_refused(gateway, gateway.call("/cohere/web-docs/v1/rerank", body=content), 422, "malformed-call")


def test_a_call_without_a_body_is_refused(gateway):
    expect_refused(gateway, gateway.call(transfer="none"), 422, "malformed-call")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=utf-16", ""],
                         ids=str)
def test_a_media_type_that_cannot_be_inspected_is_refused(gateway, kind):
    expect_refused(gateway, gateway.call(headers=[("content-type", kind)]), 415, "uninspectable")


def test_two_media_types_are_refused(gateway):
    headers = [("content-type", "application/json"), ("content-type", "text/plain")]
    expect_refused(gateway, gateway.call(headers=headers), 415, "uninspectable")


@pytest.mark.parametrize("codings", [["gzip"], ["br"], ["identity", "gzip"], ["identity, gzip"], ["x-unknown"]], ids=str)
def test_a_compressed_request_is_refused(gateway, codings):
    headers = [("content-encoding", coding) for coding in codings]
    expect_refused(gateway, gateway.call(headers=headers, body=gzip.compress(RAW)), 415, "uninspectable")


def test_a_compressed_request_that_does_not_say_so_is_refused(gateway):
    expect_refused(gateway, gateway.call(body=gzip.compress(RAW)), 422, "malformed-call")


def test_a_request_at_the_limit_goes_through_and_one_byte_more_does_not(gateway, cohere):
    room = LIMITS["request_bytes"] - len(json.dumps(body(documents=["", "two"])))
    full = body(documents=["x" * room, "two"])
    expect_served(gateway.call(body=full))
    assert len(cohere.seen[0].body) == LIMITS["request_bytes"]
    cohere.fresh()
    over = body(documents=["x" * (room + 1), "two"])
    reply = gateway.call(body=over)
    expect_problem(reply, 413, "too-large", "request-too-large")
    reply = gateway.call(body=over, transfer="chunked")
    expect_problem(reply, 413, "too-large", "request-too-large")
    assert cohere.seen == [] and gateway.sent() == 1


def test_a_stated_length_beyond_the_limit_is_refused_before_any_body(gateway):
    with Http1(gateway.port) as client:
        head = gateway.request(transfer="none")[:-2]
        client.send(head + b"content-length: 1000000000\r\n\r\n")
        response = client.response()
    assert response.status == 413 and response.json()["type"].endswith(":too-large")
    assert gateway.next_line()["record"][0]["result"]["reason"] == "request-too-large"
    assert gateway.sent() == 0


def test_a_body_beyond_envoys_own_buffer_is_refused(gateway):
    reply = gateway.call(body=body(documents=["x" * (BUFFER_BYTES + 100000), "two"]), transfer="chunked")
    assert reply.status == 413
    assert gateway.sent() == 0 and reply.line["envoy"]["code"] == 413
    assert reply.record["result"]["status"] == 413


def test_a_body_that_arrives_byte_by_byte_is_read_whole(gateway, cohere):
    data = gateway.request(COHERE)
    head, content = data[: data.index(b"\r\n\r\n") + 4], data[data.index(b"\r\n\r\n") + 4:]
    with Http1(gateway.port) as client:
        client.send(head)
        for at in range(len(content)):
            assert gateway.sent() == 0 if at % 32 == 0 else True
            client.send(content[at:at + 1])
        assert client.response().status == 200
    assert gateway.next_line()["record"][0]["result"]["outcome"] == "served"
    assert cohere.seen[0].body == content


def test_a_caller_who_leaves_in_the_middle_of_the_body_leaves_a_record(gateway):
    with Http1(gateway.port) as client:
        client.send(gateway.request(COHERE)[:-5])
        gateway.envoy.wait(lambda: gateway.envoy.stat("http.rerank.downstream_rq_active") == 1, "call that is under way")
    line = gateway.next_line()
    assert line["record"][0]["result"]["outcome"] == "aborted" and line["record"][0]["actor"]["sub"] == "ann"
    assert gateway.sent() == 0
    expect_served(gateway.call())


def test_a_body_that_says_it_is_longer_and_shorter_is_refused(gateway):
    """Request smuggling: two lengths, or a length beside chunks."""
    for extra in (b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n"):
        with Http1(gateway.port) as client:
            data = gateway.request(COHERE)
            client.send(data.replace(b"content-length", extra + b"content-length"))
            assert client.response().status == 400
    assert gateway.sent() == 0
    gateway.drain()

