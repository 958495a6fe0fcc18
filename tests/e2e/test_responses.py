"""What may leave? Personal data is masked, numbers stay byte for byte, and an answer that cannot be masked does not leave."""

import gzip
import json
import zlib

import people
import pytest
from gateway import BUFFER_BYTES, COHERE, CREDENTIALS, LIMITS, SECRETS, body, expect_problem, expect_served, results
from wire import Answer, answer_json

V1 = "/cohere/web-docs/v1/rerank"
TEI = "/tei/web-docs/rerank"


def document(text):
    return {"id": "r", "results": [{"index": 0, "relevance_score": 0.5, "document": {"text": text}}], "meta": {}}


def expect_withheld(reply, reason=None):
    problem = expect_problem(reply, 502, "unmaskable-response", reason)
    assert reply.record["credential"] == "cohere" and reply.record["result"]["upstream_status"] is not None
    return problem


@pytest.mark.parametrize("kind", people.PERSONAL)
def test_personal_data_is_masked(gateway, cohere, kind):
    value = people.PERSONAL[kind]
    cohere.answer = lambda _: answer_json(document(f"Ask {value} today."))
    reply = gateway.call(V1, body=body(return_documents=True))
    record = expect_served(reply)
    assert reply.json() == document(f"Ask [{kind}] today.")
    assert record["result"]["masks"] == [{"kind": kind, "count": 1, "pointers": ["/results/0/document/text"]}]


def test_numbers_stay_byte_for_byte_where_something_is_masked(gateway, cohere):
    numbers = [b"0.99907100", b"1e-07", b"1E+2", b"-0.0", b"0.12345678901234567890123", b"411111111"]
    entries = b", ".join(
        b'{"index": %d ,"relevance_score":  %s,"document":{"text":"mail %s"}}' % (at, number, people.EMAIL.encode())
        for at, number in enumerate(numbers))
    raw = b'{ "id":"r", "results": [%s] ,"meta":{"billed_units":{"search_units":1}}}\n' % entries
    cohere.answer = lambda _: answer_json(raw)
    reply = gateway.call(V1, body=body(return_documents=True))
    record = expect_served(reply)
    assert reply.body == raw.replace(people.EMAIL.encode(), b"[email]")
    assert record["result"]["masks"][0]["count"] == len(numbers)


def test_scores_of_a_bare_array_stay_byte_for_byte(gateway):
    raw = b'[{"index":1,"score":0.99907100,"text":"%s"},{"index":0,"score":1e-07,"text":"two"}]' % people.IBAN.encode()
    gateway.services.upstreams["tei"].answer = lambda _: answer_json(raw)
    reply = gateway.call(TEI, body={"query": "q", "texts": ["one", "two"], "return_text": True})
    expect_served(reply)
    assert reply.body == raw.replace(people.IBAN.encode(), b"[iban]")


HIDDEN = {
    "behind escapes": (b'"ann.lee\\u0040example\\u002ecom"', "/results/0/document/text"),
    "as a number": (b"4111111111111111", "/results/0/document/text"),
    "deeper than the dialect knows": (b'{"a":[{"b":"%s"}]}' % people.SSN.encode(), "/results/0/document/text/a/0/b"),
    "in a member that comes twice": (b'"one","text":"%s"' % people.EMAIL.encode(), "/results/0/document/text"),
    "with a solidus escaped": (b'"x\\/%s"' % people.EMAIL.encode(), "/results/0/document/text"),
}


@pytest.mark.parametrize("how", HIDDEN)
def test_personal_data_is_found(gateway, cohere, how):
    value, pointer = HIDDEN[how]
    cohere.answer = lambda _: answer_json(b'{"id":"r","results":[{"index":0,"relevance_score":0.5,"document":{"text":%s}}]}' % value)
    reply = gateway.call(V1, body=body(return_documents=True))
    record = expect_served(reply)
    assert [mask["pointers"] for mask in record["result"]["masks"]] == [[pointer]]
    text = json.dumps(reply.json())
    assert people.leaks(text) == [] and "4111111111111111" not in text


def test_personal_data_in_a_member_name_does_not_leave(gateway, cohere):
    cohere.answer = lambda _: answer_json({"results": [{"index": 0, "relevance_score": 0.5, "document": {people.EMAIL: "x"}}]})
    reply = gateway.call(V1, body=body(return_documents=True))
    assert people.EMAIL.encode() not in reply.body
    assert reply.status in (200, 502)


def test_warnings_and_other_text_of_the_answer_are_masked_too(gateway, cohere):
    cohere.answer = lambda _: answer_json({**results(0.5), "meta": {"warnings": [f"truncated: {people.EMAIL}"]}})
    reply = gateway.call()
    expect_served(reply)
    assert reply.json()["meta"]["warnings"] == ["truncated: [email]"]


def test_a_dataset_without_masks_is_answered_as_it_is(gateway, cohere):
    cohere.answer = lambda _: answer_json(document(people.EMAIL))
    reply = gateway.call("/cohere/raw-docs/v1/rerank", body=body(return_documents=True))
    expect_served(reply)
    assert reply.json() == document(people.EMAIL)


UNREADABLE = {
    "not JSON": Answer(headers=[("content-type", "application/json")], body=b"oops"),
    "no body": Answer(headers=[("content-type", "application/json")], body=b""),
    "JSON that is cut off": answer_json(b'{"results":[{"index":0'),
    "two documents": answer_json(b"{}{}"),
    "not UTF-8": answer_json(b'{"id":"\xa1","results":[]}'),
    "UTF-16": answer_json(json.dumps(results(0.5)).encode("utf-16")),
    "HTML": Answer(headers=[("content-type", "text/html")], body=b"<p>" + people.EMAIL.encode()),
    "plain text": Answer(headers=[("content-type", "text/plain")], body=people.EMAIL.encode()),
    "a stream of events": Answer(headers=[("content-type", "text/event-stream")], body=b"data: {}\n\n"),
    "no media type": Answer(body=json.dumps(results(0.5)).encode()),
    "two media types": Answer(headers=[("content-type", "application/json"), ("content-type", "text/html")], body=b"{}"),
    "gzip": Answer(headers=[("content-type", "application/json"), ("content-encoding", "gzip")], body=gzip.compress(json.dumps(results(0.5)).encode())),
    "gzip that does not say so": answer_json(gzip.compress(json.dumps(document(people.EMAIL)).encode())),
    "nested beyond sense": answer_json(b'{"a":' + b"[" * 20000 + b"]" * 20000 + b"}"),
    "deflate": Answer(headers=[("content-type", "application/json"), ("content-encoding", "deflate")], body=zlib.compress(b"{}")),
    "brotli": Answer(headers=[("content-type", "application/json"), ("content-encoding", "br")], body=b"\x0b\x00\x80{}\x03"),
    "one coding of two": Answer(headers=[("content-type", "application/json"), ("content-encoding", "identity"), ("content-encoding", "GZIP")], body=b"{}"),
    "of many parts": Answer(headers=[("content-type", "multipart/mixed; boundary=x")], body=b"--x\r\n\r\n{}\r\n--x--"),
    "Latin-1": Answer(headers=[("content-type", "application/json; charset=iso-8859-1")], body=b'{"a":"\xe9"}'),
    "with a byte order mark": answer_json(b"\xef\xbb\xbf{}"),
    "with half of a character": answer_json(b'{"a":"\xc3"}'),
    "a part": answer_json({}, 206, headers=[("content-range", "bytes 0-1/9")]),
    "a part that does not say of what": answer_json(b"4111", 206),
    "with a range of it": answer_json({}, headers=[("content-range", "bytes 0-1/9")]),
    "204": Answer(status=204),
    "205": Answer(status=205),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_an_answer_does_not_leave_that_is(gateway, cohere, what):
    cohere.answer = lambda _: UNREADABLE[what]
    expect_withheld(gateway.call())
    cohere.answer = cohere.default
    expect_served(gateway.call())


def large(size):
    room = size - len(json.dumps(document("")))
    return json.dumps(document("x" * room)).encode()


def test_an_answer_at_the_limit_leaves_and_one_byte_more_does_not(gateway, cohere):
    limit = LIMITS["response_bytes"]
    for chunked in (False, True):
        cohere.answer = lambda _: answer_json(large(limit), chunked=chunked)
        reply = gateway.call(V1, body=body(return_documents=True))
        expect_served(reply)
        assert reply.body == large(limit)
        cohere.answer = lambda _: answer_json(large(limit + 1), chunked=chunked)
        expect_withheld(gateway.call(V1, body=body(return_documents=True)), "response-too-large")


@pytest.mark.parametrize("chunked", [False, True], ids=["stated", "chunked"])
def test_an_answer_beyond_envoys_own_buffer_does_not_leave(gateway, cohere, chunked):
    cohere.answer = lambda _: answer_json(document(people.EMAIL + "x" * (BUFFER_BYTES * 3)), chunked=chunked)
    reply = gateway.call(V1, body=body(return_documents=True))
    assert reply.status in (500, 502)
    assert people.leaks(reply.body.decode("latin-1")) == [] and b"xxxx" not in reply.body
    assert reply.record["result"]["outcome"] in ("failed", "unmaskable-response")
    assert (reply.record["result"]["upstream"], reply.record["result"]["upstream_status"]) == ("answered", 200)


@pytest.mark.parametrize("chunked", [False, True], ids=["stated", "chunked"])
def test_an_answer_that_is_cut_off_does_not_leave(gateway, cohere, chunked):
    whole = json.dumps(document(f"{people.EMAIL} and more")).encode()
    cohere.answer = lambda _: answer_json(whole, chunked=chunked, cut=len(whole) - 20)
    reply = gateway.call(V1, body=body(return_documents=True))
    assert reply.status != 200, "half an answer was passed on"
    assert people.leaks(reply.body.decode("latin-1")) == [] and b"relevance" not in reply.body
    result = reply.record["result"]
    assert (result["outcome"], result["reason"], result["upstream"]) == ("aborted", "upstream-broke-off", "answered"), result
    assert result["upstream_status"] == 200 and result["status"] == reply.status and reply.status in (502, 503), result
    cohere.answer = cohere.default
    expect_served(gateway.call())


def test_an_upstream_that_is_down_is_no_secret(gateway, cohere):
    cohere.close(keep_port=True)
    try:
        reply = gateway.call()
        assert reply.status == 503
        result = reply.record["result"]
        assert (result["outcome"], result["reason"], result["upstream"]) == ("failed", "upstream-unreachable", "unreached"), result
        assert result["upstream_status"] is None and result["status"] == 503
    finally:
        cohere.open()
    expect_served(gateway.call())


def test_an_answer_without_content_has_none(gateway, cohere):
    cohere.answer = lambda _: Answer(status=304, headers=[("etag", people.EMAIL)])
    reply = gateway.call()
    assert (reply.status, reply.body, reply.one("etag")) == (304, b"", None)


@pytest.mark.parametrize("accepted", [None, "gzip", "br;q=1.0, deflate", "*"])
def test_upstreams_are_asked_not_to_compress(gateway, cohere, accepted):
    gateway.call(headers=[("accept-encoding", accepted)] if accepted else [])
    assert cohere.seen[0].all("accept-encoding") == ["identity"]


ERRORS = [400, 404, 422, 429, 500, 503]


@pytest.mark.parametrize("status", ERRORS)
def test_an_upstreams_json_error_is_masked(gateway, cohere, status):
    cohere.answer = lambda _: answer_json({"message": f"bad document: {people.EMAIL}, {people.SSN}"}, status, headers=[("retry-after", "3")])
    reply = gateway.call()
    record = expect_served(reply, status)
    assert reply.json() == {"message": "bad document: [email], [us_ssn]"} and reply.one("retry-after") == "3"
    assert {mask["kind"] for mask in record["result"]["masks"]} == {"email", "us_ssn"}


def test_an_upstreams_text_error_is_masked(gateway, cohere):
    cohere.answer = lambda _: Answer(status=400, headers=[("content-type", "text/plain")], body=f"bad document: {people.CARD}".encode())
    reply = gateway.call()
    expect_served(reply, 400)
    assert reply.body == b"bad document: [credit_card]"


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "application/json; charset=utf-16"])
def test_an_upstreams_error_that_cannot_be_read_does_not_leave(gateway, cohere, kind):
    cohere.answer = lambda _: Answer(status=500, headers=[("content-type", kind)], body=people.EMAIL.encode())
    expect_withheld(gateway.call())


@pytest.mark.parametrize("status", [401, 407])
def test_an_upstream_that_refuses_our_credential_is_not_the_callers_fault(gateway, cohere, status):
    cohere.answer = lambda request: answer_json(
        {"message": f"invalid api token: {request.one('authorization')}"}, status, headers=[("www-authenticate", "Bearer realm=up")])
    reply = gateway.call()
    expect_problem(reply, 502, "upstream-refused")
    assert reply.record["result"]["upstream_status"] == status


SECRET = SECRETS["cohere"]
ECHOES = {
    "in a text": json.dumps(document(f"your key is {SECRET}!")).encode(),
    "in an error": json.dumps({"message": f"Bearer {SECRET}"}).encode(),
    "behind escapes": b'{"message":"' + "".join(f"\\u{ord(char):04x}" for char in SECRET).encode() + b'"}',
    "behind one escape": b'{"message":"' + (f"\\u{ord(SECRET[0]):04X}" + SECRET[1:]).encode() + b'"}',
    "as a member's name": json.dumps({SECRET: 1}).encode(),
    "as an escaped member's name": b'{"' + (SECRET[:4] + f"\\u{ord(SECRET[4]):04x}" + SECRET[5:]).encode() + b'":1}',
    "where structure is": json.dumps({**results(0.5), "meta": {"key": SECRET}}).encode(),
    "in JSON within a text": json.dumps({"message": json.dumps({"key": SECRET})}).encode(),
}


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("how", ECHOES)
def test_our_credential_does_not_come_back(gateway, cohere, how, status):
    cohere.answer = lambda _: answer_json(ECHOES[how], status)
    reply = gateway.call()
    assert SECRET not in reply.body.decode() and SECRET not in json.dumps(reply.json())
    expect_withheld(reply)


def test_our_credential_does_not_come_back_in_plain_text(gateway, cohere):
    cohere.answer = lambda _: Answer(status=400, headers=[("content-type", "text/plain")], body=f"bad key {SECRET}".encode())
    expect_withheld(gateway.call())


@pytest.mark.parametrize("name", ["x-debug", "x-request-id", "retry-after", "authorization", "set-cookie"])
def test_our_credential_does_not_come_back_in_a_header(gateway, cohere, name):
    cohere.answer = lambda request: answer_json(results(0.5), headers=[(name, CREDENTIALS["cohere"][1])])
    reply = gateway.call()
    assert SECRET not in repr(reply.headers)
    expect_withheld(reply, "response-leaks-credential")


def test_only_known_headers_of_the_answer_go_on(gateway, cohere):
    headers = [("set-cookie", "session=1"), ("x-debug", people.EMAIL), ("x-odd", b"caf\xa1"), ("etag", "abc"), ("x-ratelimit-remaining", "5"),
               ("cache-control", "no-store"), ("link", "<x>")]
    cohere.answer = lambda _: answer_json(results(0.5), headers=list(headers))
    reply = gateway.call()
    record = expect_served(reply)
    for name in ("set-cookie", "x-debug", "x-odd", "etag", "link"):
        assert reply.all(name) == [], name
    assert reply.one("x-ratelimit-remaining") == "5" and reply.one("cache-control") == "no-store"
    assert record["result"]["headers_dropped"] >= 5


def test_a_digest_of_an_answer_that_was_changed_does_not_go_on(gateway, cohere):
    cohere.answer = lambda _: answer_json(document(people.EMAIL), headers=[("etag", '"1"'), ("digest", "sha-256=x"), ("content-md5", "x")])
    reply = gateway.call(V1, body=body(return_documents=True))
    expect_served(reply)
    assert reply.one("etag") is reply.one("digest") is reply.one("content-md5") is None


def test_a_caller_who_waits_to_be_asked_for_the_body_is_served(gateway):
    expect_served(gateway.call(COHERE, headers=[("expect", "100-continue")]))
