"""What masks do beyond finding: fields, refusals by count, and the request before it goes upstream. The proof of the request side
is what the upstream saw."""

import copy
import json
from contextlib import closing

import gateway as harness
import people
import pytest
from gateway import BUNDLE, body, expect_problem, expect_refused, expect_seen, expect_served, plugin, results
from wire import Answer, answer_json

V1 = "/cohere/{}/v1/rerank"


def guard(dataset, **require):
    return {"id": f"mask-{dataset}", "guard": {"datasets": [f"{dataset}*"]}, "require": require}


def bundle():
    whole = copy.deepcopy(BUNDLE)
    whole["masks"].update({
        "people": {"fields": ["*.ssn", "customer.name", "/results/*/document/address"], "replace": "<{kind}>"},
        "gone": {"fields": ["salary"], "replace": "{drop}"},
        "few": {"detect": ["email"], "deny": {"above": 2}},
        "no-keys": {"detect": ["email", "private_key", "api_key"], "deny": {"kinds": ["private_key", "api_key"]}},
        "joinable": {"detect": ["email"], "replace": "[{pseudonym:k}]"},
        "outgoing": {"detect": ["email", "phone"], "fields": ["ssn", "/documents/*/note"]},
        "none-out": {"detect": ["credit_card"], "deny": {"above": 0}},
        "words": {"fields": ["ssn", "customer.name", "home_address"], "replace": "<{kind}>"},
        "badges": {"patterns": {"badge": {"regex": r"\bEMP-\d{6}\b", "context": ["badge", "ausweis"]}}},
    })
    whole["rules"] += [
        guard("raw-people", masks=["people", "gone"]), guard("raw-words", masks=["words"]), guard("raw-few", masks=["few"]), guard("raw-keys", masks=["no-keys"]),
        guard("raw-badges", masks=["badges"], request_masks=["badges"]),
        guard("raw-out", request_masks=["outgoing"]), guard("raw-none", request_masks=["none-out"]),
        guard("raw-both", request_masks=["joinable"], masks=["pii"]), guard("hr-out", request_masks=["outgoing"]),
    ]
    return whole


@pytest.fixture(scope="module")
def masking():
    services = harness.Services()
    environment = {**harness.ENVIRONMENT, "PSEUDONYMS": people.secret("pseudonyms") * 2}
    configuration = plugin(bundle={"inline": bundle()}, pseudonym_keys={"k": {"env": "PSEUDONYMS"}})
    with closing(services), harness.Gateway(services, configuration, env=environment) as gateway:
        yield gateway


@pytest.fixture
def gateway(masking):
    yield from masking.watched()


def answer(*documents):
    entries = [{"index": at, "relevance_score": 0.25, "document": document} for at, document in enumerate(documents)]
    return {"id": "r", "results": entries, "meta": {"billed_units": {"search_units": 1}}}


def masks(reply, which="masks"):
    return {mask["kind"]: (mask["count"], mask["pointers"]) for mask in reply.record["result"].get(which, [])}


# ---- fields --------------------------------------------------------------------------------------------------------------

def test_fields_are_masked_whatever_stands_there(gateway, cohere):
    inner = json.dumps({"ssn": {"digits": 219456789}, "note": "x"})
    cohere.answer = lambda _: answer_json(answer(
        {"text": "a", "SSN": 219456789, "address": {"street": "Long Lane", "no": [1, 2]}}, {"text": inner, "salary": 100, "z": 1},
        {"text": "b", "customer": [{"name": "Ann", "age": 5}], "name": "stays"}))
    reply = gateway.call(V1.format("raw-people"), body=body(return_documents=True))
    expect_served(reply)
    assert reply.json() == answer(
        {"text": "a", "SSN": "<field>", "address": "<field>"}, {"text": json.dumps({"ssn": "<field>", "note": "x"}), "z": 1},
        {"text": "b", "customer": [{"name": "<field>", "age": 5}], "name": "stays"})
    assert masks(reply) == {"field": (5, [
        "/results/0/document/SSN", "/results/0/document/address", "/results/1/document/text", "/results/1/document/salary",
        "/results/2/document/customer/0/name"])}


def test_member_names_that_are_personal_are_not_recorded(gateway, cohere):
    cohere.answer = lambda _: answer_json(answer({"Ann Lee": {"ssn": "x"}, "4155550132": {"ssn": "y"}, people.EMAIL: {"ssn": "z"}}))
    reply = gateway.call(V1.format("raw-people"), body=body(return_documents=True))
    expect_served(reply)
    assert masks(reply) == {"field": (3, ["/results/0/document/*/ssn"] * 3)}
    assert "Ann" not in json.dumps(reply.record) and "4155550132" not in json.dumps(reply.record)


# ---- own patterns --------------------------------------------------------------------------------------------------------

def test_an_own_pattern_that_asks_for_words_is_found_only_beside_one(gateway, cohere):
    cohere.answer = lambda _: answer_json(answer(
        {"text": "badge no. EMP-123456, EMP-654321; on another shelf lies part EMP-000001"},
        {"userBadge": {"value": "EMP-123456"}, "part": "EMP-123456"}, {"text": "part EMP-123456 is no such thing"}))
    sent = ["her Ausweis: EMP-123456", "part EMP-123456"]
    reply = gateway.call(V1.format("raw-badges"), body=body(documents=sent, return_documents=True))
    expect_served(reply)
    assert reply.json() == answer(
        {"text": "badge no. [custom_badge], [custom_badge]; on another shelf lies part EMP-000001"},
        {"userBadge": {"value": "[custom_badge]"}, "part": "EMP-123456"}, {"text": "part EMP-123456 is no such thing"})
    assert masks(reply) == {"custom_badge": (3, ["/results/0/document/text", "/results/1/document/userBadge/value"])}
    assert json.loads(cohere.seen[-1].body)["documents"] == ["her Ausweis: [custom_badge]", "part EMP-123456"]
    assert masks(reply, "request_masks") == {"custom_badge": (1, ["/documents/0"])}


# ---- deny ----------------------------------------------------------------------------------------------------------------

def test_an_answer_with_more_findings_than_may_leave_does_not_leave(gateway, cohere):
    mails = ["ann@example.org", "bob@example.org", "cid@example.org"]
    cohere.answer = lambda _: answer_json(answer(*({"text": mail} for mail in mails[:2])))
    reply = gateway.call(V1.format("raw-few"), body=body(return_documents=True))
    expect_served(reply)
    assert masks(reply)["email"][0] == 2
    cohere.answer = lambda _: answer_json(answer(*({"text": mail} for mail in mails)))
    reply = gateway.call(V1.format("raw-few"), body=body(return_documents=True))
    expect_problem(reply, 502, "unmaskable-response", "response-denied")
    assert masks(reply)["email"] == (3, [f"/results/{at}/document/text" for at in range(3)])
    assert b"example.org" not in reply.body and b"results" not in reply.body


def test_an_answer_with_a_kind_that_may_not_leave_does_not_leave(gateway, cohere):
    cohere.answer = lambda _: answer_json(answer({"text": " ".join(f"{name}@example.org" for name in "abcdef")}))
    expect_served(gateway.call(V1.format("raw-keys"), body=body(return_documents=True)))
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 4 + "\n-----END PRIVATE KEY-----"
    cohere.answer = lambda _: answer_json(answer({"text": key}), 422)
    reply = gateway.call(V1.format("raw-keys"), body=body(return_documents=True))
    expect_problem(reply, 502, "unmaskable-response", "response-denied")
    assert b"MII" not in reply.body


# ---- the request ---------------------------------------------------------------------------------------------------------

def outgoing(**changes):
    """A v1 body, spaced and escaped as no serialiser would, with all that may not change in it."""
    return body(documents=["mail " + people.EMAIL, {"text": "call " + people.PHONE, "ssn": 536228726, "note": {"a": [people.CARD]}, "n": 1.50}],
                query="who is " + people.EMAIL, **changes)


MASKED = {"documents": ["mail [email]", {"text": "call [phone]", "ssn": "[field]", "note": "[field]", "n": 1.50}], "query": "who is [email]"}


@pytest.mark.parametrize("transfer", ["length", "chunked"])
def test_query_and_documents_are_masked_before_they_go_upstream(gateway, cohere, transfer):
    cohere.answer = lambda request: answer_json(results(0.9, 0.1))
    content = outgoing(model="rerank-ann@example.org")
    reply = gateway.call(V1.format("raw-out"), body=content, transfer=transfer, headers=[("digest", "sha-256=x"), ("content-digest", "y")])
    expect_served(reply)
    assert reply.json() == results(0.9, 0.1), "each index is the caller's own"
    wanted = {**content, **MASKED}
    seen = expect_seen(cohere, "cohere", "/v1/rerank", wanted)
    assert seen.one("digest") is seen.one("content-digest") is None
    if transfer == "length":
        assert seen.one("content-length") == str(len(seen.body))
    assert masks(reply, "request_masks") == {
        "email": (2, ["/query", "/documents/0"]) if list(content).index("query") < list(content).index("documents")
        else (2, ["/documents/0", "/query"]),
        "phone": (1, ["/documents/1/text"]), "field": (2, ["/documents/1/ssn", "/documents/1/note"])}
    assert masks(reply) == {}
    assert reply.record["decision"]["request_masks"] == ["outgoing"] and reply.record["decision"]["masks"] == []


def test_all_but_the_text_of_a_request_stays_byte_for_byte(gateway, cohere):
    raw = (b' { "top_n" : 2 ,"documents":["x \\u0061nn@ex\\u0061mple.com","y"],\n"query":"q", "model":"rerank-v3.5" , '
           b'"max_chunks_per_doc":1.0e1 } ')
    expect_served(gateway.call(V1.format("raw-out"), body=raw))
    assert cohere.seen[0].body == raw.replace(b"\\u0061nn@ex\\u0061mple.com", b"[email]")


def test_a_request_without_findings_goes_on_as_it_came(gateway, cohere):
    raw = json.dumps(body()).encode() + b"\n "
    reply = gateway.call(V1.format("raw-out"), body=raw)
    expect_served(reply)
    assert cohere.seen[0].body == raw and masks(reply, "request_masks") == {}


def test_a_request_with_more_findings_than_may_leave_does_not_leave(gateway):
    reply = gateway.call(V1.format("raw-none"), body=body(documents=[people.CARD, "b"]))
    problem = expect_problem(reply, 403, "forbidden", "request-denied")
    assert gateway.sent() == 0 and "4111" not in json.dumps(problem)
    assert masks(reply, "request_masks") == {"credit_card": (1, ["/documents/0"])}


def test_documents_that_come_back_are_masked_again_and_pseudonyms_stay(gateway, cohere):
    def echo(request):
        return answer_json(answer(*({"text": text} for text in request.json()["documents"] + [people.CARD])))
    cohere.answer = echo
    reply = gateway.call(V1.format("raw-both"), body=body(documents=[people.EMAIL, f"x {people.EMAIL}"], return_documents=True))
    expect_served(reply)
    seen = cohere.seen[0].json()["documents"]
    assert people.EMAIL not in json.dumps(seen) and seen[1] == f"x {seen[0]}" and seen[0].startswith("[k:")
    texts = [result["document"]["text"] for result in reply.json()["results"]]
    assert texts == [*seen, "[credit_card]"], "nothing is turned back, and the answer is masked by its own masks"


def test_what_people_approve_is_the_call_as_the_caller_sent_it(gateway, cohere):
    path = V1.format("hr-out")
    gateway.services.approver.answer = harness.approved()
    content = outgoing()
    reply = gateway.call(path, body=content)
    expect_served(reply)
    seen = expect_seen(cohere, "cohere", "/v1/rerank", {**content, **MASKED})
    assert seen.one("content-length") == str(len(seen.body))
    digests = {request.json()["request_digest"] for request in gateway.services.approver.seen}
    # The same text for the upstream, another call for the approver.
    gateway.call(path, body={**content, **MASKED})
    digests.add(gateway.services.approver.seen[-1].json()["request_digest"])
    assert len(digests) == 2


def test_request_masks_hold_over_http2_with_trailers(gateway):
    server = gateway.services.upstreams["h2"]
    content = json.dumps(body(model="h2-rerank", documents=[people.EMAIL, "b"])).encode()
    from wire import Http2
    with Http2(gateway.port) as client:
        stream = client.headers([
            (":method", "POST"), (":scheme", "http"), (":path", "/h2/raw-out/v2/rerank"), (":authority", "gateway.example"),
            ("authorization", f"Bearer {people.token()}"), ("content-type", "application/json")])
        client.data(stream, content[:20])
        client.data(stream, content[20:])
        client.trailers(stream, [("x-checksum", "1")])
        assert client.response(stream).status == 200
    gateway.next_line()
    assert server.seen[0].body == content.replace(people.EMAIL.encode(), b"[email]") and server.seen[0].trailers == []


# ---- field rules in texts, and what is found however it stands --------------------------------------------------------------

TEXTS = {
    "JSON": ('{"name": "Ann Lee", "ssn": "12"}', '{"name": "<field>", "ssn": "<field>"}'),
    "JSON in a sentence": ('error: {"customer": {"name": "Ann Lee"}}, see the docs', 'error: {"customer": {"name": "<field>"}}, see the docs'),
    "lines of JSON": ('{"ssn": 12}\n{"ssn": "13"}\n', '{"ssn": "<field>"}\n{"ssn": "<field>"}\n'),
    "an event": ('data: {"ssn": "12"}\n\n', 'data: {"ssn": "<field>"}\n\n'),
    "a line": ("Home Address: 1 High St, Ulm\nstatus: 3\n", "Home Address: <field>\nstatus: 3\n"),
    "a form": ("id=4&ssn=12&x=Ann", "id=4&ssn=<field>"),
    "another language": ("bad {'name': 'Ann Lee', 'at': 3}", "bad {'name': '<field>', 'at': 3}"),
    "escaped JSON": ('got "{\\"ssn\\": \\"12\\"}"', 'got "{\\"ssn\\": \\"<field>\\"}"'),
    "a block": ("name:\n  - Ann\n  - Lee\nstatus: 3", "name:<field>\nstatus: 3"),
}


@pytest.mark.parametrize("how", TEXTS)
def test_field_rules_reach_errors_in_plain_text(gateway, cohere, how):
    text, wanted = TEXTS[how]
    cohere.answer = lambda _: Answer(status=422, headers=[("content-type", "text/plain; charset=utf-8")], body=text.encode())
    reply = gateway.call(V1.format("raw-words"))
    record = expect_served(reply, 422)
    assert reply.body.decode() == wanted
    assert {mask["kind"] for mask in record["result"]["masks"]} == {"field"}


@pytest.mark.parametrize("text", ["the ssn is 12", "<ssn>12</ssn>", "ssn\t12", "customer name Ann Lee", '{"x": {"Home-Address" "Ulm"}}'])
def test_a_text_that_names_a_field_whose_value_cannot_be_told_is_withheld(gateway, cohere, text):
    cohere.answer = lambda _: Answer(status=422, headers=[("content-type", "text/plain")], body=text.encode())
    reply = gateway.call(V1.format("raw-words"))
    expect_problem(reply, 502, "unmaskable-response", "response-fields-unreadable")


OPEN_TEXTS = {
    "a block of YAML": "ssn: |\n  536\n  22", "a folded block": "ssn: >-\n  536\n  22", "three quotes": 'ssn = """536\n22"""',
    "a quote that stays open": 'ssn: "536\n22"', "a list that stays open": '{"ssn": [536,\n NaN]}', "an indented line": "ssn: 536\n  22 8726",
    "a backslash": "ssn: 536 \\\n22", "strings side by side": "ssn: '536' '22'", "an escape in the name": "s\\u0073n: 536", "per cent": "s%73n=536",
    "a reference": "s&#115;n: 536", "an entity for quotes": "&quot;ssn&quot;: 536", "a break that is escaped": "x\\nssn: 536",
}


@pytest.mark.parametrize("how", OPEN_TEXTS)
def test_of_a_value_that_goes_on_or_a_name_in_escapes_nothing_leaves(gateway, cohere, how):
    text = OPEN_TEXTS[how].encode()
    cohere.answer = lambda _: Answer(status=422, headers=[("content-type", "text/plain")], body=text)
    reply = gateway.call(V1.format("raw-words"))
    expect_problem(reply, 502, "unmaskable-response", "response-fields-unreadable")


NEAR_JSON = [
    '{"ssn": NaN, "x": 536}', '{"ssn": 536', 'x": 1, "ssn": 536}', '{"ssn": 536,}', "{'ssn': 536}", "{ssn: 536}", '{"ssn" /* a: b */ : 536}',
    '"{\\"ssn\\": 536}"', '{\\"ssn\\": 536}', '{"s\\u0073n": 536,}', "%7B%22ssn%22%3A536%7D", "{&quot;ssn&quot;: 536}", '{"\u0455sn": 536,}',
]


@pytest.mark.parametrize("said", NEAR_JSON)
def test_a_text_with_what_is_almost_json_and_names_a_field_goes_whole(gateway, cohere, said):
    cohere.answer = lambda _: answer_json(answer({"text": said}, {"text": "{x: 536}"}))
    reply = gateway.call(V1.format("raw-words"), body=body(return_documents=True))
    expect_served(reply)
    assert [one["document"]["text"] for one in reply.json()["results"]] == ["<field>", "{x: 536}"]


@pytest.mark.parametrize("name", ["\u0455sn", "s\u200bsn", "\uff53sn", "s\u0000sn", "s\u3164sn", "s\\u0073n", "s%73n", "s&#115;n", "S_S.N"])
def test_a_field_is_masked_however_its_name_looks(gateway, cohere, name):
    cohere.answer = lambda _: answer_json(answer({name: "Ann"}))
    reply = gateway.call(V1.format("raw-words"), body=body(return_documents=True))
    expect_served(reply)
    assert reply.json()["results"][0]["document"] == {name: "<field>"}


@pytest.mark.parametrize("dataset", ["raw-Words", "raw-WORDS", "raw-words"])
def test_no_guard_is_escaped_by_the_case_of_a_datasets_name(gateway, cohere, dataset):
    cohere.answer = lambda _: answer_json(answer({"ssn": "Ann"}))
    reply = gateway.call(V1.format(dataset), body=body(return_documents=True))
    expect_served(reply)
    assert reply.json()["results"][0]["document"] == {"ssn": "<field>"}


def test_texts_without_a_fields_name_pass(gateway, cohere):
    cohere.answer = lambda _: Answer(status=503, headers=[("content-type", "text/plain")], body=b"no healthy upstream: [1] {2}")
    reply = gateway.call(V1.format("raw-words"))
    expect_served(reply, 503)
    assert reply.body == b"no healthy upstream: [1] {2}"


def test_field_rules_reach_json_in_the_texts_of_json(gateway, cohere):
    cohere.answer = lambda _: answer_json({"detail": 'bad: {"ssn": "12", "x": 1} and [{"customer": {"name": "Ann"}}]'}, 400)
    reply = gateway.call(V1.format("raw-words"))
    expect_served(reply, 400)
    assert reply.json() == {"detail": 'bad: {"ssn": "<field>", "x": 1} and [{"customer": {"name": "<field>"}}]'}


def masked_text(gateway, cohere, text):
    cohere.answer = lambda _: answer_json(answer({"text": text}))
    reply = gateway.call(V1.format("raw-both"), body=body(return_documents=True))
    expect_served(reply)
    return reply.json()["results"][0]["document"]["text"]


@pytest.mark.parametrize("joint", ["+", "%20", "&", "_", "-", ".", "/", "*", "%2C"])
def test_no_half_of_two_addresses_is_left(gateway, cohere, joint):
    text = masked_text(gateway, cohere, f"to ann.lee@gmail.com{joint}bob.ray@mail.org now")
    assert "ann" not in text and "ray" not in text and "@" not in text, text


@pytest.mark.parametrize("text", [
    "ssn 536-22-8726-415-555-0132", "536-22-8726/415-555-0132", "415-555-0132-536-22-8726", "536-22-8726-4111111111111111",
    "4111111111111111.4111111111111111", "536-22-8726:4111111111111111", "536 22 8726 4111 1111 1111 1111", "x%20415-555-0132%20536-22-8726",
    "+49 30 901820-536-22-8726", "ann.lee@example.com-536-22-8726_DE89370400440532013000",
])
def test_findings_in_a_row_are_all_masked(gateway, cohere, text):
    masked = masked_text(gateway, cohere, text)
    assert not any(part in masked for part in ("8726", "0132", "1111", "ann", "8204", "3704")), masked


@pytest.mark.parametrize("number", [
    "4111111111111111", "-4111111111111111", "4.111111111111111e15", "4111111111111111e0", "4111111111111111e60", "4111111111111111e-60",
    "41111111111111110000e-4", "0." + "0" * 60 + "4111111111111111", "0." + "0" * 60 + "4111111111111111e76", "4111111111111111.0",
])
@pytest.mark.parametrize("place", ["meta.card", "meta.billed_units.search_units", "results.0.index", "results.0.relevance_score", "list"])
def test_a_card_is_no_number_that_a_dialect_keeps(gateway, cohere, number, place):
    whole = {"id": "r", "results": [{"index": 0, "relevance_score": 0.25, "document": {"text": "a"}}], "meta": {"billed_units": {"search_units": 1}}}
    at = whole
    *path, last = [int(step) if step.isdigit() else step for step in place.split(".")]
    for step in path:
        at = at[step]
    at[last] = "HERE" if place != "list" else [[1, "HERE"]]
    cohere.answer = lambda _: answer_json(json.dumps(whole).replace('"HERE"', number).encode())
    reply = gateway.call(V1.format("raw-both"))
    expect_served(reply)
    assert b"1111111" not in reply.body and b"[credit_card]" in reply.body, reply.body


def test_what_a_dialect_counts_and_measures_stays_as_it_stands(gateway, cohere):
    raw = b'{"id":"r","results":[{"index":0,"relevance_score":0.4111111111111111},{"index":1,"relevance_score":4.111111111111111e-05}],' \
        b'"meta":{"billed_units":{"search_units":999999999,"input_tokens":415555013},"cached_tokens":1.0}}'
    cohere.answer = lambda _: answer_json(raw)
    reply = gateway.call(V1.format("raw-both"))
    expect_served(reply)
    assert reply.body == raw


@pytest.mark.parametrize("unit", [".3012", "12 30", "4111 ", "219-45-6789-", "a@b.de@", "1.1.1.1."])
def test_no_document_makes_an_answer_that_is_withheld(gateway, cohere, unit):
    for count in (30, 40, 500):
        assert unit * count != "" and masked_text(gateway, cohere, unit * count) is not None
