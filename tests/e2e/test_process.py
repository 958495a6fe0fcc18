"""A caller never ends Envoy, and never a worker's module either: whatever masking makes of a body, however small Envoy's buffer is.

Where Envoy's buffer may not hold what the filter hands over, Envoy answers by itself in the middle of the filter's call, and calls
the filter again. The first gateway here has such a buffer; the second has a sound one, and the filter's limits come first."""

import copy
import json
import struct
from contextlib import closing

import gateway as harness
import people
import pytest
from gateway import BUNDLE, COHERE, HR, ROUTES, approved, body, expect_nothing_sent, expect_problem, expect_refused, expect_served, plugin, results
from wire import Answer, Http1, Http2, answer_json

# Three bytes and a blank, of which a mask makes many more.
SHORT = "::1 "
# What the upstream or the caller says of itself; no more than Envoy's small buffer holds.
MANY = SHORT * 12_000
BUFFER = 65_536
NDJSON = ("content-type", "application/x-ndjson")
STREAMED = "/cohere/stream-docs/v2/rerank"
DENYING = "/cohere/deny-docs/v2/rerank"
MASKED = "/cohere/masked-docs/v1/rerank"
FORCED = "/cohere/forced-docs/v1/rerank"


def bundle():
    whole = copy.deepcopy(BUNDLE)
    whole["masks"]["longer"] = {"detect": ["ip_address", "email"], "replace": "[{kind} {pseudonym:k}]"}
    whole["masks"]["few"] = {"detect": ["email"], "deny": {"above": 3}}
    for rule in whole["rules"]:
        if "allow" in rule:
            rule["allow"]["datasets"] = ["web-*", "hr-*", "stream-*", "deny-*", "masked-*", "forced-*"]
    whole["rules"] += [
        {"id": "longer", "guard": {}, "require": {"masks": ["longer"]}},
        {"id": "denying", "guard": {"datasets": ["deny-*"]}, "require": {"masks": ["few"]}},
        {"id": "masked", "guard": {"datasets": ["masked-*", "hr-*"]}, "require": {"request_masks": ["longer"]}},
        {"id": "forced", "guard": {"datasets": ["forced-*"]}, "require": {"force": {"return_documents": False}}},
    ]
    return whole


def configuration(**limits):
    routes = [{**route, "streams": True} if route["path"].startswith("/cohere/") else route for route in copy.deepcopy(ROUTES)]
    return plugin(bundle={"inline": bundle()}, routes=routes, limits=limits, pseudonym_keys={"k": {"env": "PSEUDONYMS"}})


def small(config):
    """A buffer far below the filter's limits, for HTTP/1 and for HTTP/2."""
    listener = config["static_resources"]["listeners"][0]
    listener["per_connection_buffer_limit_bytes"] = BUFFER
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http2_protocol_options"]["initial_stream_window_size"] = BUFFER


ENVIRONMENT = {**harness.ENVIRONMENT, "PSEUDONYMS": people.secret("pseudonyms") * 2}


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def narrow(request):
    services = harness.Services()
    limits = dict(request_bytes=1 << 20, response_bytes=4 << 20)
    with closing(services), harness.Gateway(services, configuration(**limits), env=ENVIRONMENT, shape=small, concurrency=request.param) as one:
        yield one


@pytest.fixture
def gateway(narrow):
    yield from narrow.watched()


def call(gateway, path, protocol, content=None, token=None):
    """A call over HTTP/1 or HTTP/2, whose answer may break off, and its line."""
    content = json.dumps(body(return_documents=True) if content is None else content).encode()
    token = token or people.token()
    if protocol == "HTTP/1":
        with Http1(gateway.port) as client:
            client.send(gateway.request(path, body=content, token=token))
            reply = harness.Reply(client.response())
    else:
        with Http2(gateway.port) as client:
            stream = client.headers([(":method", "POST"), (":scheme", "http"), (":authority", "gateway.example"), (":path", path),
                                     ("content-type", "application/json"), ("authorization", f"Bearer {token}")])
            client.body(stream, content)
            reply = harness.Reply(client.response(stream))
    reply.line = gateway.next_line()
    return reply


def expect_alive(gateway, reply):
    """Envoy and every worker's module live; nothing that was to be masked left; the record says what became of the call."""
    assert gateway.envoy.ended() is None, "Envoy ended"
    said = gateway.envoy.output
    assert "panicked" not in said and "already borrowed" not in said and "Caught Segmentation" not in said, said[-2000:]
    assert b"::1" not in reply.body
    result = reply.record["result"]
    if reply.whole and reply.status == 200:
        assert result["outcome"] == "served", result
    elif reply.status in (413, 500):
        # Envoy's own answer, in the middle of the filter's call or behind it.
        told = {413: ("too-large", "failed"), 500: ("unmaskable-response", "failed")}[reply.status]
        assert result["outcome"] in told and result["status"] == reply.status, result
        assert result["reason"] in ("buffer-too-small", "request-above-buffer", "response-above-buffer"), result
    again = gateway.call()
    expect_served(again)


# What the upstream answers, in one piece and in several.
ANSWERS = {
    "an answer": answer_json({**results(0.5), "meta": {"note": MANY}}),
    "an error": answer_json({"message": MANY}, 422),
    "an error of text": Answer(422, [("content-type", "text/plain")], MANY.encode()),
    "an answer in pieces": Answer(200, [("content-type", "application/json")], pieces=[b'{"a":"', *[MANY[:16_000].encode()] * 3, b'"}']),
    "an error of text in pieces": Answer(422, [("content-type", "text/plain")], pieces=[MANY[:16_000].encode()] * 3),
    "an answer with trailers": Answer(200, [("content-type", "application/json")], json.dumps([MANY]).encode(), trailers=[("x-t", "1")]),
}


@pytest.mark.parametrize("protocol", ["HTTP/1", "HTTP/2"])
@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_masks_make_larger_than_the_buffer_ends_nothing(gateway, what, protocol):
    gateway.services.upstreams["cohere"].answer = lambda request: ANSWERS[what] if b"return_documents" in request.body else answer_json(results(0.5))
    for _ in range(3):
        expect_alive(gateway, call(gateway, "/cohere/web-docs/v1/rerank", protocol))


STREAMS = {
    "the first record": [json.dumps([MANY]).encode()[:30_000], json.dumps([MANY]).encode()[30_000:] + b"\n"],
    "later records": [b"1\n", b"2\n", (json.dumps([MANY]) + "\n").encode(), b"3\n"],
    "many records": [b'"::1"\n' * 8_000],
    "an event": [b"event: x\ndata: " + json.dumps([MANY]).encode() + b"\n\n"],
}


@pytest.mark.parametrize("protocol", ["HTTP/1", "HTTP/2"])
@pytest.mark.parametrize("path", [STREAMED, DENYING], ids=["leaves at once", "is held to its end"])
@pytest.mark.parametrize("what", STREAMS)
def test_a_stream_that_masks_make_larger_than_the_buffer_ends_nothing(gateway, what, path, protocol):
    kind = "text/event-stream" if what == "an event" else NDJSON[1]
    answer = Answer(200, [("content-type", kind)], pieces=STREAMS[what])
    gateway.services.upstreams["cohere"].answer = lambda request: answer if b"mark" in request.body else answer_json(results(0.5))
    for _ in range(2):
        expect_alive(gateway, call(gateway, path, protocol, body(query="mark")))


@pytest.mark.parametrize("protocol", ["HTTP/1", "HTTP/2"])
@pytest.mark.parametrize("path", [MASKED, HR], ids=["at once", "after an approval"])
def test_a_request_that_masks_make_larger_than_the_buffer_ends_nothing_and_is_not_sent(gateway, path, protocol):
    gateway.services.approver.answer = approved()
    for size in (5_000, 8_000, 12_000):
        reply = call(gateway, path, protocol, body(documents=[SHORT * size]))
        assert gateway.envoy.ended() is None, "Envoy ended"
        if reply.status == 200:
            assert gateway.services.upstreams["cohere"].seen[-1].body.count(b"::1") == 0
            assert reply.record["result"]["outcome"] == "served"
        else:
            assert (reply.status, gateway.services.upstreams["cohere"].seen) == (413, [])
        gateway.services.upstreams["cohere"].fresh()
        expect_alive(gateway, reply)
        gateway.services.upstreams["cohere"].fresh()


@pytest.mark.parametrize("protocol", ["HTTP/1", "HTTP/2"])
def test_a_parameter_that_is_forced_into_a_full_buffer_ends_nothing(gateway, protocol):
    empty = len(json.dumps(body(documents=[""], return_documents=True)))
    for room in (0, 1, 2, 50):
        reply = call(gateway, FORCED, protocol, body(documents=["x" * (BUFFER - empty - room)], return_documents=True))
        assert reply.status in (200, 413)
        expect_alive(gateway, reply)


# ---- with a sound buffer the filter's own limits come first ---------------------------------------------------------------

@pytest.fixture(scope="module")
def sound():
    services = harness.Services()
    limits = dict(request_bytes=64 << 10, response_bytes=128 << 10)
    with closing(services), harness.Gateway(services, configuration(**limits), env=ENVIRONMENT, concurrency=2) as one:
        yield one


@pytest.fixture
def bounded(sound):
    yield from sound.watched()


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_masks_make_larger_than_the_limit_is_withheld(bounded, what):
    bounded.services.upstreams["cohere"].answer = lambda _: ANSWERS[what]
    expect_problem(bounded.call(), 502, "unmaskable-response", "response-too-large")
    assert bounded.envoy.ended() is None


def test_a_first_part_of_a_stream_that_masks_make_larger_than_the_limits_is_withheld(bounded):
    bounded.services.upstreams["cohere"].answer = lambda _: Answer(200, [NDJSON], pieces=[b'"::1"\n' * 20_000])
    # Records have a limit of their own, 256 KiB, above that of answers here.
    reply = bounded.call(STREAMED)
    assert b"::1" not in reply.body and bounded.envoy.ended() is None


@pytest.mark.parametrize("path", [MASKED, HR], ids=["at once", "after an approval"])
def test_a_request_that_masks_make_larger_than_the_limit_is_refused(bounded, path):
    bounded.services.approver.answer = approved()
    expect_refused(bounded, bounded.call(path, body=body(documents=[SHORT * 12_000])), 413, "too-large", "request-too-large")
    expect_nothing_sent(bounded)


def test_a_request_that_a_forced_parameter_makes_larger_than_the_limit_is_refused(bounded):
    # Exactly the limit, and `false` is a byte longer than `true`.
    content = body(documents=[""], return_documents=True)
    content["documents"] = ["x" * ((64 << 10) - len(json.dumps(content)))]
    expect_refused(bounded, bounded.call(FORCED, body=content), 413, "too-large", "request-too-large")


def test_calls_go_on_while_clients_leave_in_the_middle_of_it(gateway):
    """Connections that are reset while bodies come, are asked about or leave."""
    gateway.services.upstreams["cohere"].answer = lambda _: ANSWERS["an answer in pieces"]
    gateway.services.approver.answer = approved()
    started = 0
    for at in (20, 400, 2_000, 30_000, 1 << 20):
        for path in (COHERE, HR):
            client = Http1(gateway.port)
            client.send(gateway.request(path, body=body(documents=[SHORT * 8_000]))[:at])
            client._socket.setsockopt(__import__("socket").SOL_SOCKET, __import__("socket").SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            started += at > 400
    gateway.services.upstreams["cohere"].fresh()
    reply = gateway.call(logged=False)
    assert (reply.status, gateway.envoy.ended()) == (200, None)
    gateway._in_order = False
    gateway.drain()
    gateway._in_order = True
