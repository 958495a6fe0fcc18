"""Has a human agreed? Nothing goes upstream without a receipt for this very call; whatever else the approver says or does not
say, denies."""

import threading

import people
import pytest
from gateway import HR, approved, body, expect_chain, expect_nothing_sent, expect_problem, expect_refused, expect_seen, expect_served, pending, plugin
from people import receipt
from wire import Answer, Http1, Http2, answer_json


def expect_unavailable(gateway, reply, reason=None):
    expect_refused(gateway, reply, 403, "approval-unavailable", reason)
    assert int(reply.one("retry-after")) > 0


def test_a_call_that_needs_approval_gets_a_ticket(gateway, approver):
    reply = gateway.call(HR)
    problem = expect_refused(gateway, reply, 403, "approval-required", "approval-pending")
    assert (problem["approval_id"], problem["approval_url"]) == ("ap-1", "https://approver.example/a/ap-1")
    assert reply.one("retry-after") == "7" and reply.one("location") is None
    assert reply.record["approval"]["id"] == "ap-1" and reply.record["credential"] is None
    assert len(approver.seen) == 1


def test_a_caller_who_prefers_it_gets_202_and_a_location(gateway):
    reply = gateway.call(HR, headers=[("prefer", "respond-async, wait=1")])
    problem = expect_refused(gateway, reply, 202, "approval-required", "approval-pending")
    assert reply.one("location") == problem["approval_url"] and reply.one("retry-after") == "7"


def test_the_approver_is_told_what_the_contract_says_and_no_more(gateway, approver):
    token = people.token()
    content = body(query=f"find {people.EMAIL}", documents=["zanzibar", "two"])
    reply = gateway.call(HR, body=content, token=token)
    asked = approver.seen[0]
    assert (asked.method, asked.target, asked.one("host")) == ("POST", "/v1/approvals", "approver.internal")
    told = asked.json()
    assert told["v"] == 1 and told["gateway"] == people.GATEWAY
    assert told["request_digest"].startswith("sha256:") and len(told["request_digest"]) == 71
    assert asked.one("idempotency-key") == told["request_digest"]
    assert told["decision_id"] == reply.record["decision_id"]
    assert (told["approval"], told["min"], told["groups"], told["ttl_s"]) == ("hr-desk", 2, ["grp-hr-leads"], 600)
    assert told["requester"] == {"iss": people.ISSUER, "sub": "ann", "groups": ["grp-search"]}
    assert {name: told["resource"][name] for name in ("model", "dataset", "operation")} == {
        "model": "rerank-v3.5", "dataset": "hr-reviews", "operation": "rerank"}
    assert (told["params"]["documents"], told["params"]["top_n"]) == (2, 2)
    assert told["params"]["query_bytes"] == len(content["query"])
    assert "hr-asks" in told["why"]["rules"]
    assert told["preview"]["query"] == "find [email]"
    text = asked.body.decode() + repr(asked.headers)
    assert "zanzibar" not in text and people.leaks(text) == []


def test_approved_on_the_repeated_call(gateway, cohere, approver):
    content, token = body(), people.token()
    expect_problem(gateway.call(HR, body=content, token=token), 403, "approval-required")
    approver.answer = approved()
    again = people.token()
    reply = gateway.call(HR, body=content, token=again)
    record = expect_served(reply)
    expect_seen(cohere, "cohere", "/v2/rerank", content, caller=again)
    first, second = (asked.json()["request_digest"] for asked in approver.seen)
    assert first == second, "a refreshed token keeps its ticket"
    assert record["approval"]["id"] == "ap-1" and sorted(record["approval"]["approvers"]) == ["lea", "sam"]
    assert record["credential"] == "cohere" and "hr-asks" in record["decision"]["rules"]


def test_the_digest_is_of_this_very_call(gateway, approver):
    calls = [
        (HR, dict()), (HR, dict(query="another")), (HR, dict(documents=["one", "three"])), (HR, dict(top_n=1)),
        (HR, dict(model="rerank-v3.0")), ("/cohere/hr-other/v2/rerank", dict()), ("/cohere/hr-reviews/v1/rerank", dict()),
    ]
    for path, changes in calls:
        assert gateway.call(path, body=body(**changes)).status == 403
    assert gateway.call(HR, token=people.token("bob")).status == 403
    digests = {asked.json()["request_digest"] for asked in approver.seen}
    assert len(digests) == len(calls) + 1


def test_a_receipt_is_good_for_one_call(gateway, cohere, approver):
    made = []

    def once(request):
        made.append(made[0] if made else receipt(request.json()))
        return answer_json({"status": "approved", "id": "ap-1", "receipt": made[0]})

    approver.answer = once
    expect_served(gateway.call(HR))
    expect_problem(gateway.call(HR), 403, "approval-unavailable", "receipt-used-before")
    assert len(cohere.seen) == 1


WRONG = {
    "for another call": dict(req="sha256:" + "0" * 64),
    "for no call": dict(req=None),
    "for another gateway": dict(aud="us1/rerank"),
    "for another caller": dict(sub="bob"),
    "for a caller of another issuer": dict(requester_iss="https://other.example"),
    "for another approval": dict(approval="another"),
    "by another issuer": dict(iss="https://evil.example"),
    "expired": dict(iat=1_700_000_000, exp=1_700_000_100),
    "without expiry": dict(exp=None),
    "that lives too long": dict(exp=4_000_000_000),
    "by another key": dict(key=people.Key("approver-1", "EdDSA")),
    "by the identity provider's key": dict(key=people.RSA),
    "of another type": dict(typ="JWT"),
    "approved by one person": dict(approvers=["lea"]),
    "approved by one person twice": dict(approvers=["lea", "lea"]),
    "approved by nobody": dict(approvers=[]),
    "approved by the caller too": dict(approvers=["ann", "lea", "sam"]),
    "approved by people of another group": dict(groups=["grp-cooks"]),
    "without an id": dict(jti=None),
    "with an id of any length": dict(jti="x" * 2000),
    "with an id of any form": dict(jti="r-1\r\nx: y"),
    "approved by one person in two spellings": dict(approvers=["lea", "LEA"]),
    "approved by one person with a blank": dict(approvers=["lea", "lea "]),
    "approved by one person in wide letters": dict(approvers=["lea", "ｌｅａ"]),
    "approved by one person with letters that do not show": dict(approvers=["lea", "le\u200ba"]),
    "approved by the caller in capitals": dict(approvers=["Ann", "lea", "sam"]),
    "approved by the caller with a letter that does not show": dict(approvers=["ann\u00ad", "lea", "sam"]),
    "approved 90 days ago": dict(at=-90 * 86_400),
    "approved just too long ago": dict(at=-605),
    "approved tomorrow": dict(at=86_400),
    "approved at no time": dict(at=None),
    "approved by a crowd": dict(approvers=[f"lea-{number}" for number in range(100)]),
}


def test_an_old_approval_beside_one_that_is_fresh_does_not_count(gateway, approver):
    now = int(people.time.time())
    apv = [{"sub": who, "iss": people.ISSUER, "groups": ["grp-hr-leads"], "at": now - age} for who, age in (("lea", 0), ("sam", 700))]
    approver.answer = approved(apv=apv)
    expect_unavailable(gateway, gateway.call(HR), "receipt-untimely")
    expect_nothing_sent(gateway)


@pytest.mark.parametrize("url", [
    "http://approver.example/a/1", "http://evil.example/a", "https://evil.example/a", "https://approver.example@evil.example/a",
    "https://ok@approver.example/a", "https://approver.example.evil.example/", "https://approver.example:8443/", "//approver.example/a",
    "https://approver.example\\@evil.example/", "https://approver.example/a\r\nlocation: https://evil.example/", "javascript:alert(1)",
    "https://approver.example/\u202e", "https://approver.example/" + "a" * 2000, "https:approver.example",
])
def test_callers_are_sent_only_to_the_approvers_pages(gateway, approver, url):
    approver.answer = lambda _: answer_json({"status": "pending", "id": "ap-1", "url": url, "retry_after": 7}, 202)
    for headers in ([], [("prefer", "respond-async")]):
        reply = gateway.call(HR, headers=headers)
        problem = expect_problem(reply, 202 if headers else 403, "approval-required", "approval-pending")
        assert problem.get("approval_url") is None and reply.one("location") is None and "evil" not in reply.body.decode()
    expect_nothing_sent(gateway)


def test_pages_are_those_that_are_configured(changeable):
    configuration = plugin()
    configuration["approver"]["pages"] = ["https://people.example", "http://127.0.0.1:8003"]
    gateway = changeable.change(configuration)
    for url, passes in [("https://people.example/1", True), ("http://127.0.0.1:8003/1", True), ("https://approver.example/1", False),
                        ("http://people.example/1", False)]:
        gateway.services.approver.answer = lambda _: answer_json({"status": "pending", "id": "ap-1", "url": url}, 202)
        problem = expect_problem(gateway.call(HR), 403, "approval-required")
        assert problem.get("approval_url") == (url if passes else None)


def test_where_subjects_are_pairwise_a_claim_names_people(changeable):
    configuration = plugin()
    configuration["approver"]["person_claim"] = "email"
    gateway = changeable.change(configuration)
    approver, cohere = gateway.services.approver, gateway.services.upstreams["cohere"]

    def by(**people_by_sub):
        now = int(people.time.time())
        return approved(apv=[{"sub": sub, "groups": ["grp-hr-leads"], "at": now, **({"person": person} if person else {})}
                             for sub, person in people_by_sub.items()])

    approver.answer = by(p1="lea@corp.test", p2="sam@corp.test")
    expect_problem(gateway.call(HR), 403, "forbidden", "caller-unnamed")
    assert approver.seen == []
    token = people.token("pairwise-1", email="ann@corp.test")
    for answer in [by(p1="lea@corp.test", p2="LEA@corp.test"), by(p1="lea@corp.test", p2="Ann@Corp.test", p3="sam@corp.test"),
                   by(p1="lea@corp.test", p2=None), by(p1="lea@corp.test", p2="sam@corp.test\u200b")]:
        approver.answer = answer
        expect_unavailable(gateway, gateway.call(HR, token=token))
    assert cohere.seen == []
    approver.answer = by(p1="lea@corp.test", p2="sam@corp.test")
    expect_served(gateway.call(HR, token=token))
    assert approver.seen[-1].json()["requester"]["person"] == "ann@corp.test" and len(cohere.seen) == 1


@pytest.mark.parametrize("what", WRONG)
def test_no_receipt_is_believed_that_is(gateway, approver, what):
    approver.answer = approved(**WRONG[what])
    expect_unavailable(gateway, gateway.call(HR))
    assert len(approver.seen) == 1


def test_no_receipt_is_believed_that_is_unsigned(gateway, approver):
    def unsigned(request):
        claims = people.jwt.decode(receipt(request.json()), options={"verify_signature": False})
        return answer_json({"status": "approved", "id": "ap-1", "receipt": people.unsigned({"alg": "none", "typ": "rerank-approval+jwt"}, claims)})

    approver.answer = unsigned
    expect_unavailable(gateway, gateway.call(HR))


def test_rejected_is_refused(gateway, approver):
    approver.answer = lambda _: answer_json({"status": "rejected", "id": "ap-1", "reason": f"not for {people.EMAIL}"})
    reply = gateway.call(HR)
    expect_refused(gateway, reply, 403, "approval-rejected")
    assert reply.record["approval"]["id"] == "ap-1"


def a_receipt(request):
    return receipt(request.json())


RUBBISH = {
    "HTML": lambda _: Answer(headers=[("content-type", "text/html")], body=b"<html>approved</html>"),
    "nothing": lambda _: Answer(body=b""),
    "approved without a receipt": lambda _: answer_json({"status": "approved", "id": "ap-1"}),
    "approved with rubbish": lambda _: answer_json({"status": "approved", "id": "ap-1", "receipt": "x.y.z"}),
    "approved under 202": lambda request: answer_json({"status": "approved", "id": "ap-1", "receipt": a_receipt(request)}, 202),
    "approved under 500": lambda request: answer_json({"status": "approved", "id": "ap-1", "receipt": a_receipt(request)}, 500),
    "approved and rejected": lambda request: answer_json(
        b'{"status":"rejected","status":"approved","id":"a","receipt":"%s"}' % a_receipt(request).encode()),
    "pending under 200": lambda _: answer_json({"status": "pending", "id": "ap-1", "retry_after": 1}),
    "another word": lambda _: answer_json({"status": "sure", "id": "ap-1"}),
    "JSON that is cut off": lambda _: answer_json(b'{"status":"approved"'),
    "bytes that are no UTF-8": lambda _: answer_json(b'{"status":"approved","id":"\xa1"}'),
    "headers that are no UTF-8": lambda _: answer_json({"status": "x"}, headers=[("x-odd", b"\xa1")]),
    "an error": lambda _: answer_json({"error": "down"}, 503),
    "far too much": lambda _: answer_json({"status": "approved", "id": "ap-1", "pad": "x" * 3_000_000}),
    "a connection that is reset": lambda _: Answer(reset=True),
    "a body that is cut off": lambda request: answer_json({"status": "approved", "id": "ap-1", "receipt": a_receipt(request)}, length=9999, cut=60),
}


@pytest.mark.parametrize("what", RUBBISH)
def test_an_approver_that_answers_is_no_approval_with(gateway, approver, what):
    approver.answer = RUBBISH[what]
    expect_unavailable(gateway, gateway.call(HR))
    approver.answer = approved()
    expect_served(gateway.call(HR))


def test_an_approver_that_is_down_is_no_approval(gateway, approver):
    approver.close(keep_port=True)
    try:
        expect_unavailable(gateway, gateway.call(HR))
    finally:
        approver.open()
    approver.answer = approved()
    expect_served(gateway.call(HR))


def test_an_approver_that_is_slow_is_no_approval_even_if_it_then_agrees(gateway, approver):
    hold = threading.Event()
    agreed = approved()

    def late(request):
        answer = agreed(request)
        answer.hold = hold
        return answer

    approver.answer = late
    expect_unavailable(gateway, gateway.call(HR))
    hold.set()
    gateway.envoy.wait(lambda: gateway.envoy.stat("cluster.approver.upstream_rq_active") == 0, "end of the late answer")
    expect_nothing_sent(gateway)


def test_an_approver_whose_cluster_does_not_exist_is_no_approval(changeable):
    configuration = plugin()
    configuration["approver"]["cluster"] = "nowhere"
    gateway = changeable.change(configuration)
    for _ in range(2):
        expect_unavailable(gateway, gateway.call(HR))
    expect_served(gateway.call())


def test_a_deny_beats_every_receipt(gateway, approver):
    approver.answer = approved()
    reply = gateway.call(HR, token=people.token(groups=["grp-search", "grp-contractors"]))
    expect_refused(gateway, reply, 403, "forbidden")
    assert approver.seen == []


class Held:
    """An approver that is asked and does not answer until told."""

    def __init__(self, approver, answer):
        self.release = threading.Event()
        self._approver, self._answer = approver, answer
        approver.answer = self._held

    def _held(self, request):
        answer = self._answer(request)
        answer.hold = self.release
        return answer

    def asked(self):
        return self._approver.wait()


@pytest.mark.parametrize("answer, status, requests", [(approved(), 200, 1), (pending, 403, 0)], ids=["approved", "pending"])
def test_a_body_that_arrives_in_pieces_waits_for_the_approval(gateway, cohere, approver, answer, status, requests):
    held = Held(approver, answer)
    content = body(documents=["x" * 9000, "y" * 9000])
    data = gateway.request(HR, body=content)
    with Http1(gateway.port) as client:
        for at in range(0, len(data), 3000):
            assert approver.seen == [] and gateway.sent() == 0
            client.send(data[at:at + 3000])
        held.asked()
        assert gateway.sent() == 0, "the request went upstream before its approval"
        held.release.set()
        assert client.response().status == status
    assert gateway.next_line()["record"][0]["result"]["status"] == status
    assert len(cohere.seen) == gateway.sent() == requests


def h2_headers(path, *more):
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "gateway.example"),
            ("authorization", f"Bearer {people.token()}"), ("content-type", "application/json"), *more]


@pytest.mark.parametrize("answer, status, requests", [(approved(), 200, 1), (pending, 403, 0)], ids=["approved", "pending"])
def test_trailers_that_follow_the_body_do_not_release_a_pending_request(gateway, cohere, approver, answer, status, requests):
    held = Held(approver, answer)
    content = people.json.dumps(body()).encode()
    with Http2(gateway.port) as client:
        stream = client.headers(h2_headers(HR, ("te", "trailers")))
        client.data(stream, content[:40])
        client.data(stream, content[40:])
        assert approver.seen == [] and gateway.sent() == 0, "the call was decided before its end"
        client.trailers(stream, [("x-smuggled", "1"), ("authorization", "Bearer mine")])
        held.asked()
        assert gateway.sent() == 0, "trailers released the request"
        held.release.set()
        assert client.response(stream).status == status
    assert gateway.next_line()["record"][0]["result"]["status"] == status
    assert len(cohere.seen) == gateway.sent() == requests
    for seen in cohere.seen:
        assert seen.body == content and seen.trailers == [], "trailers that nobody looked into went upstream"


@pytest.mark.parametrize("answer", [approved(), pending, RUBBISH["a connection that is reset"]], ids=["approved", "pending", "reset"])
def test_a_caller_who_leaves_while_approval_is_pending_leaves_a_record_and_nothing_else(gateway, cohere, approver, answer):
    held = Held(approver, answer)
    with Http1(gateway.port) as client:
        client.send(gateway.request(HR))
        held.asked()
    line = gateway.next_line()
    assert line["record"][0]["result"]["outcome"] == "aborted" and line["record"][0]["actor"]["sub"] == "ann"
    assert line["envoy"]["flags"] == "DC"
    held.release.set()
    gateway.envoy.wait(lambda: gateway.envoy.stat("cluster.approver.upstream_rq_active") == 0, "end of the callout")
    approver.answer = pending
    expect_served(gateway.call())
    assert len(cohere.seen) == gateway.sent() == 1
    expect_chain((gateway.envoy.directory / "access.log").read_bytes().splitlines())


def test_a_stream_that_is_reset_while_approval_is_pending_ends_alone(gateway, cohere, approver):
    held = Held(approver, approved())
    with Http2(gateway.port) as client:
        stream = client.headers(h2_headers(HR))
        client.data(stream, people.json.dumps(body()).encode(), end=True)
        held.asked()
        client.reset(stream)
        assert gateway.next_line()["record"][0]["result"]["outcome"] == "aborted"
        held.release.set()
        other = client.headers(h2_headers("/cohere/web-docs/v2/rerank"))
        client.data(other, people.json.dumps(body()).encode(), end=True)
        assert client.response(other).status == 200
    assert gateway.next_line()["record"][0]["result"]["outcome"] == "served"
    assert len(cohere.seen) == gateway.sent() == 1
