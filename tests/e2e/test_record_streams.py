"""Answers that are streams: every record is masked when it is whole and leaves at once; what cannot be masked breaks the stream off,
and nothing of that record leaves."""

import copy
import hmac
import json
import threading
from contextlib import closing

import gateway as harness
import people
import pytest
from gateway import BUNDLE, ROUTES, body, expect_problem, expect_served, plugin
from wire import Answer, Http1, answer_json

V1 = "/cohere/{}/v1/rerank"
DIGEST_KEY = people.secret("digests") * 2
LINES, EVENTS = "application/x-ndjson", "text/event-stream"
RECORD_BYTES = 4096


def record(at, text):
    return json.dumps({"results": [{"index": at, "relevance_score": 0.5, "document": {"text": text}}]})


def framed(kind, *records):
    """The records as a stream of this media type."""
    return "".join(f"{one}\n" if kind == LINES else f"data: {one}\n\n" for one in records).encode()


@pytest.fixture(scope="module")
def streaming():
    services = harness.Services()
    bundle = copy.deepcopy(BUNDLE)
    bundle["masks"]["few"] = {"detect": ["email"], "deny": {"above": 1}}
    bundle["masks"]["named"] = {"fields": ["ssn", "note"], "detect": ["email"]}
    bundle["rules"].append({"id": "named", "guard": {"datasets": ["raw-named*"]}, "require": {"masks": ["named"]}})
    bundle["rules"].append({"id": "few", "guard": {"datasets": ["raw-few*"]}, "require": {"masks": ["few"]}})
    routes = [{**route, "streams": not route["path"].startswith("/jina")} for route in ROUTES]
    configuration = plugin(bundle={"inline": bundle}, routes=routes, limits={**harness.LIMITS, "record_bytes": RECORD_BYTES},
                           audit={"digest_key_env": "DIGESTS"})
    environment = {**harness.ENVIRONMENT, "DIGESTS": DIGEST_KEY}
    with closing(services), harness.Gateway(services, configuration, env=environment) as gateway:
        yield gateway


@pytest.fixture
def gateway(streaming):
    yield from streaming.watched()


def left(result):
    """How many records left, by the record of the call, and the digest of all of it."""
    return result.get("records"), result["body_digest"]


def digest(content):
    return "hmac-sha256:" + hmac.new(DIGEST_KEY.encode(), content, "sha256").hexdigest()


def stream(kind, pieces, **fields):
    fields.setdefault("headers", []).append(("content-type", kind))
    return Answer(pieces=pieces, **fields)


def ask(gateway, cohere, kind, *pieces, dataset="web-docs", **fields):
    cohere.answer = lambda _: stream(kind, pieces, **fields)
    return gateway.call(V1.format(dataset), body=body(return_documents=True))


@pytest.mark.parametrize("kind", [LINES, EVENTS, "application/jsonl; charset=utf-8"])
def test_a_record_leaves_before_the_next_has_come(gateway, cohere, kind):
    shape = EVENTS if kind == EVENTS else LINES
    arrived = threading.Event()

    def pieces():
        yield framed(shape, record(0, people.EMAIL))
        assert arrived.wait(10), "the first record was held until there was a second"
        yield framed(shape, record(1, people.IBAN))

    cohere.answer = lambda _: stream(kind, pieces())
    with Http1(gateway.port) as client:
        client.send(gateway.request(V1.format("web-docs"), body=body(return_documents=True)))
        response = client.head()
        assert response.status == 200 and response.one("content-type") == kind.split(";")[0] and response.one("content-length") is None
        first = client.chunk()
        assert first == framed(shape, record(0, "[email]"))
        arrived.set()
        rest = b"".join(iter(client.chunk, b""))
    assert rest == framed(shape, record(1, "[iban]"))
    line = gateway.next_line()
    result = line["record"][0]["result"]
    assert (result["outcome"], result["status"]) == ("served", 200)
    assert left(result) == (2, digest(first + rest))
    assert {mask["kind"]: mask["pointers"] for mask in result["masks"]} == {
        "email": ["/0/results/0/document/text"], "iban": ["/1/results/0/document/text"]}


def test_whatever_an_event_says_besides_its_data_is_masked_or_left_out(gateway, cohere):
    sent = (b': the ssn is 536-22\nevent: note\nid: {"ssn":"536-22"}\nretry: 10\nretry: 536\xc2\xb722\nssn: 536-22\ndata: {"ssn":"536-22"}\n\n'
            b'id: ssn=536-22\nevent: response.text.delta\ndata: [DONE]\n\n')
    reply = ask(gateway, cohere, EVENTS, sent, dataset="raw-named")
    expect_served(reply)
    assert reply.body == (b':\nevent: note\nid: {"ssn":"[field]"}\nretry: 10\ndata: {"ssn":"[field]"}\n\n'
                          b'id: ssn=[field]\nevent: response.text.delta\ndata: [DONE]\n\n')


@pytest.mark.parametrize("line", ["id: the ssn is 536", "event: ssn 536", "id: ssn: [536", "id: s%73n=536"])
def test_a_stream_ends_where_a_line_names_a_field_without_a_value_that_can_be_told(gateway, cohere, line):
    reply = ask(gateway, cohere, EVENTS, f"{line}\ndata: 1\n\n".encode(), dataset="raw-named")
    expect_problem(reply, 502, "unmaskable-response", "response-fields-unreadable")


@pytest.mark.parametrize("kind", [LINES, EVENTS])
def test_where_chunks_are_cut_means_nothing(gateway, cohere, kind):
    whole = framed(kind, record(0, f"é {people.EMAIL}"), record(1, "plain"), record(2, people.CARD))
    wanted = framed(kind, record(0, "é [email]"), record(1, "plain"), record(2, "[credit_card]"))
    cuts = range(1, len(whole), 9)
    for cut in cuts:
        reply = ask(gateway, cohere, kind, whole[:cut], whole[cut:])
        expect_served(reply)
        assert reply.body == wanted, cut
        assert left(reply.record["result"]) == (3, digest(wanted))
    reply = ask(gateway, cohere, kind, *(whole[at:at + 1] for at in range(len(whole))))
    expect_served(reply)
    assert reply.body == wanted


@pytest.mark.parametrize("kind", [LINES, EVENTS])
def test_a_stream_of_stated_length_leaves_without_it(gateway, cohere, kind):
    whole = framed(kind, record(0, people.EMAIL), record(1, "x"))
    cohere.answer = lambda _: Answer(headers=[("content-type", kind)], body=whole)
    reply = gateway.call(V1.format("web-docs"), body=body(return_documents=True))
    expect_served(reply)
    assert reply.body == framed(kind, record(0, "[email]"), record(1, "x")) and reply.one("content-length") is None


@pytest.mark.parametrize("kind", [LINES, EVENTS])
def test_the_record_of_a_stream_whose_reader_left_says_what_had_left(gateway, cohere, kind):
    arrived = threading.Event()

    def pieces():
        yield framed(kind, record(0, people.EMAIL))
        arrived.wait(10)

    cohere.answer = lambda _: stream(kind, pieces())
    with Http1(gateway.port) as client:
        client.send(gateway.request(V1.format("web-docs"), body=body(return_documents=True)))
        assert client.head().status == 200
        got = client.chunk()
    result = gateway.next_line()["record"][0]["result"]
    arrived.set()
    assert result["outcome"] == "aborted" and left(result) == (1, digest(got))


def test_events_keep_their_names_and_comments_nothing_but_the_colon_and_the_last_line_may_be_unended(gateway, cohere):
    sent = f": hello\n\nevent: x\r\nid: 7\r\ndata: {{\r\ndata: \"a\": \"{people.EMAIL}\"}}\r\n\r\ndata: [DONE]\n\n"
    reply = ask(gateway, cohere, EVENTS, sent.encode())
    expect_served(reply)
    assert reply.body.decode() == sent.replace(people.EMAIL, "[email]").replace(": hello", ":")
    reply = ask(gateway, cohere, LINES, b"1\n", b'"' + people.EMAIL.encode() + b'"')
    expect_served(reply)
    assert reply.body == b'1\n"[email]"'


BAD = {
    "malformed": (b'{"a": "%s"' % people.EMAIL.encode(), "response-not-json"),
    "not UTF-8": (b'"\xff %s"' % people.EMAIL.encode(), "response-not-utf8"),
    "too large": (b'"%s %s"' % (people.EMAIL.encode(), b"x" * RECORD_BYTES), "response-record-too-large"),
    "with the credential in it": (b'"%s"' % harness.SECRETS["cohere"].encode(), "response-leaks-credential"),
}


@pytest.mark.parametrize("kind", [LINES, EVENTS])
@pytest.mark.parametrize("what", BAD)
def test_a_bad_record_breaks_the_stream_off_and_nothing_of_it_leaves(gateway, cohere, what, kind):
    content, reason = BAD[what]
    bad = content + b"\n" if kind == LINES else b"data: " + content + b"\n\n"
    # First in the stream: the answer is withheld.
    reply = ask(gateway, cohere, kind, bad, framed(kind, record(1, "later")))
    expect_problem(reply, 502, "unmaskable-response", reason)
    assert left(reply.record["result"]) == (None, None)
    # Behind a good one: the stream is broken off.
    arrived = threading.Event()

    def pieces():
        yield framed(kind, record(0, people.EMAIL))
        arrived.wait(10)
        yield bad
        yield framed(kind, record(1, "later"))

    cohere.answer = lambda _: stream(kind, pieces())
    with Http1(gateway.port) as client:
        client.send(gateway.request(V1.format("web-docs"), body=body(return_documents=True)))
        assert client.head().status == 200
        got = client.chunk()
        arrived.set()
        with pytest.raises((EOFError, ConnectionResetError)):
            while part := client.chunk():
                got += part
    assert got == framed(kind, record(0, "[email]"))
    record_line = gateway.next_line()["record"][0]["result"]
    assert (record_line["outcome"], record_line["reason"], record_line["status"]) == ("unmaskable-response", reason, 200)
    assert left(record_line) == (1, digest(got)), "what left before it broke off"


@pytest.mark.parametrize("kind", [LINES, EVENTS])
def test_a_stream_that_ends_within_a_record_is_broken_off(gateway, cohere, kind):
    whole = framed(kind, record(0, "x"), record(1, people.EMAIL))
    arrived = threading.Event()

    def pieces():
        yield whole[:len(framed(kind, record(0, "x")))]
        arrived.wait(10)
        yield whole[len(framed(kind, record(0, "x"))):-12]

    cohere.answer = lambda _: stream(kind, pieces())
    with Http1(gateway.port) as client:
        client.send(gateway.request(V1.format("web-docs"), body=body(return_documents=True)))
        assert client.head().status == 200
        assert client.chunk() == framed(kind, record(0, "x"))
        arrived.set()
        with pytest.raises((EOFError, ConnectionResetError)):
            assert not client.chunk(), "half a record left"
            raise AssertionError("the stream ended as if it were whole")
    result = gateway.next_line()["record"][0]["result"]
    assert result["outcome"] == "unmaskable-response" and left(result) == (1, digest(framed(kind, record(0, "x"))))


@pytest.mark.parametrize("kind", [LINES, EVENTS])
def test_a_stream_whose_upstream_is_gone_is_not_whole(gateway, cohere, kind):
    reply = ask(gateway, cohere, kind, framed(kind, record(0, people.EMAIL)), b'{"a":"' + people.EMAIL.encode(), cut=-1)
    assert not reply.whole or reply.status != 200
    assert people.leaks(reply.body.decode()) == [] and reply.record["result"]["outcome"] != "served"


@pytest.mark.parametrize("kind", [LINES, EVENTS])
def test_a_stream_that_may_be_refused_is_held_to_its_end(gateway, cohere, kind):
    mails = ["ann@example.org", "bob@example.org"]
    reply = ask(gateway, cohere, kind, framed(kind, record(0, mails[0])), framed(kind, record(1, "x")), dataset="raw-few")
    expect_served(reply)
    assert reply.body == framed(kind, record(0, "[email]"), record(1, "x"))
    assert left(reply.record["result"]) == (2, digest(reply.body))
    reply = ask(gateway, cohere, kind, *(framed(kind, record(at, mail)) for at, mail in enumerate(mails)), dataset="raw-few")
    expect_problem(reply, 502, "unmaskable-response", "response-denied")
    assert reply.record["result"]["masks"][0]["count"] == 2 and b"example.org" not in reply.body
    assert left(reply.record["result"]) == (None, None), "nothing of the stream left"


@pytest.mark.parametrize("kind", [LINES, EVENTS])
def test_trailers_of_a_stream_do_not_leave(gateway, cohere, kind):
    trailers = [("x-debug", people.EMAIL)]
    for dataset in ("web-docs", "raw-few"):
        reply = ask(gateway, cohere, kind, framed(kind, record(0, "ann@example.org")), dataset=dataset, trailers=trailers)
        expect_served(reply)
        assert reply.trailers == [] and reply.body == framed(kind, record(0, "[email]"))
    # A last line without its end cannot be added any more: the answer is not whole.
    reply = ask(gateway, cohere, LINES, b"1\n", b'"' + people.EMAIL.encode() + b'"', trailers=trailers)
    assert people.leaks(reply.body.decode()) == [] and reply.record["result"]["outcome"] == "unmaskable-response"
    assert not reply.whole or reply.status == 502


def test_a_stream_over_http2_is_masked_and_broken_off(gateway):
    server = gateway.services.upstreams["h2"]
    content = body(model="h2-rerank")
    server.answer = lambda _: Answer(headers=[("content-type", LINES)], body=framed(LINES, record(0, people.EMAIL), record(1, "x")))
    reply = gateway.call("/h2/web-docs/v2/rerank", body=content)
    expect_served(reply)
    assert reply.body == framed(LINES, record(0, "[email]"), record(1, "x"))


@pytest.mark.parametrize("kind", [LINES, EVENTS])
def test_a_route_without_streams_lets_none_leave(gateway, kind):
    jina = gateway.services.upstreams["jina"]
    jina.answer = lambda _: stream(kind, [framed(kind, record(0, "x"))])
    reply = gateway.call("/jina/web-docs/v1/rerank", body=body(model=harness.MODELS["jina"]))
    expect_problem(reply, 502, "unmaskable-response", "response-media-type")


def test_an_empty_stream_and_one_of_errors_do_not_leave_as_streams(gateway, cohere):
    expect_problem(ask(gateway, cohere, LINES), 502, "unmaskable-response", "response-empty")
    cohere.answer = lambda _: stream(LINES, [b"1\n"], status=500)
    expect_problem(gateway.call(V1.format("web-docs"), body=body()), 502, "unmaskable-response", "response-media-type")
    cohere.answer = lambda _: answer_json({"message": people.EMAIL}, 500)
    expect_served(gateway.call(V1.format("web-docs"), body=body()), 500)


def test_a_slow_reader_slows_the_upstream_down_and_gets_everything(gateway, cohere):
    one = framed(LINES, record(0, people.EMAIL + " " + "x" * 2000))
    count = 8000

    def pieces():
        for _ in range(count // 10):
            yield one * 10

    before = gateway.envoy.stat("cluster.cohere.upstream_flow_control_paused_reading_total")
    cohere.answer = lambda _: stream(LINES, pieces())
    with Http1(gateway.port) as client:
        client.send(gateway.request(V1.format("web-docs"), body=body(return_documents=True)))
        gateway.envoy.wait(lambda: gateway.envoy.stat("cluster.cohere.upstream_flow_control_paused_reading_total") > before,
                           "the upstream to be slowed down", 120)
        response = client.response()
    assert response.whole and response.body == framed(LINES, record(0, "[email] " + "x" * 2000)) * count
    gateway.next_line()
