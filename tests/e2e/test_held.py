"""What waits is bounded: bodies that come slowly, calls that people are asked about, streams that a mask may refuse. Beyond the budget
calls get 503 at once, the rest goes on, and everything is given back however a call ends."""

import copy
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import gateway as harness
import people
import pytest
from gateway import BUNDLE, COHERE, HR, ROUTES, approved, body, expect_problem, expect_served, plugin, results
from wire import Answer, Http1, answer_json

LIMITS = dict(request_bytes=64 << 10, response_bytes=64 << 10, record_bytes=16 << 10, held_bytes_per_caller=200_000, held_bytes=300_000)
DENYING = "/cohere/deny-docs/v2/rerank"
# Three of these are within a caller's budget, and four within that of all.
LARGE = body(documents=["x" * 60_000])


def bundle():
    whole = copy.deepcopy(BUNDLE)
    whole["masks"]["few"] = {"detect": ["email"], "deny": {"above": 3}}
    for rule in whole["rules"]:
        if "allow" in rule:
            rule["allow"]["datasets"] = ["web-*", "hr-*", "deny-*"]
    whole["rules"].append({"id": "denying", "guard": {"datasets": ["deny-*"]}, "require": {"masks": ["few"]}})
    return whole


@pytest.fixture(scope="module")
def holding():
    services = harness.Services()
    routes = [{**route, "streams": True} for route in copy.deepcopy(ROUTES)]
    approver = {**plugin()["approver"], "timeout": "20s", "wait": "10s"}
    configuration = plugin(bundle={"inline": bundle()}, routes=routes, limits=LIMITS, approver=approver)
    with closing(services), harness.Gateway(services, configuration) as one:
        yield one


@pytest.fixture
def gateway(holding):
    yield from holding.watched()


@pytest.fixture
def answered(gateway):
    """The approver answers once this is set."""
    agree, held = approved(), threading.Event()

    def answer(request):
        held.wait(15)
        return agree(request)

    gateway.services.approver.answer = answer
    yield held
    held.set()


def begin(gateway, path=HR, content=LARGE, caller="ann"):
    """A call that is sent whole; its answer is read later."""
    client = Http1(gateway.port)
    client.send(gateway.request(path, body=content, token=people.token(caller)))
    return client


def expect_full(gateway, reason, **call):
    reply = gateway.call(call.pop("path", HR), body=LARGE, **call)
    expect_problem(reply, 503, "overloaded", reason)


def served(gateway, clients):
    for client in clients:
        response = client.response()
        client.close()
        gateway.next_line()
        assert response.status == 200, response.body


def test_calls_that_wait_for_people_have_a_budget_per_caller_and_for_all(gateway, answered):
    waiting = [begin(gateway) for _ in range(3)]
    gateway.services.approver.wait(3)
    expect_full(gateway, "held-bytes-per-caller")
    # Others are asked about, until all together hold too much.
    waiting.append(begin(gateway, caller="bob"))
    gateway.services.approver.wait(4)
    expect_full(gateway, "held-bytes", token=people.token("bob"))
    # What does not wait is served meanwhile.
    expect_served(gateway.call(COHERE))
    answered.set()
    served(gateway, waiting)
    seen = [request.json() for request in gateway.services.upstreams["cohere"].seen]
    assert seen == [body(), *[LARGE] * 4], "the bodies that were agreed to"


def test_what_a_caller_who_left_held_is_given_back(gateway, answered):
    for turn in range(1, 4):
        waiting = [begin(gateway) for _ in range(3)]
        gateway.services.approver.wait(3 * turn)
        for client in waiting:
            client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            assert gateway.next_line()["record"][0]["result"]["outcome"] == "aborted"
    answered.set()
    expect_served(gateway.call(HR, body=LARGE))


def test_what_the_approver_refused_is_given_back(gateway, answered):
    gateway.services.approver.answer = lambda _: answer_json({"status": "rejected", "id": "a"})
    for _ in range(6):
        expect_problem(gateway.call(HR, body=LARGE), 403, "approval-rejected")


def test_bodies_that_come_slowly_count(gateway):
    whole = gateway.request(COHERE, body=LARGE)
    slow = []
    for _ in range(3):
        client = Http1(gateway.port)
        client.send(whole[:-10])
        slow.append(client)
    # All three have come as far as they will; the fourth is above the budget before it is whole.
    with Http1(gateway.port) as fourth:
        deadline = gateway.envoy.wait(lambda: gateway.envoy.stat("http.rerank.downstream_rq_active") >= 3, "three calls that wait")
        assert deadline
        fourth.send(whole[:-10])
        response = fourth.response()
    line = gateway.next_line()
    assert (response.status, line["record"][0]["result"]["reason"]) == (503, "held-bytes-per-caller")
    for client in slow:
        client.send(whole[-10:])
    served(gateway, slow)


def test_streams_that_a_mask_may_refuse_count_and_leave_whole(gateway):
    more, records = threading.Event(), [b'{"a":"' + b"y" * 9_000 + b'"}\n'] * 6

    def stream(_request):
        def parts():
            yield from records
            more.wait(15)
            yield b'"ann@example.org"\n'

        return Answer(200, [("content-type", "application/x-ndjson")], pieces=parts())

    gateway.services.upstreams["cohere"].answer = stream
    reading = [begin(gateway, DENYING, body()) for _ in range(3)]
    gateway.services.upstreams["cohere"].wait(3)
    refused = begin(gateway, DENYING, body())
    response = refused.response()
    refused.close()
    line = gateway.next_line()
    assert (response.status, line["record"][0]["result"]["reason"]) == (503, "held-bytes-per-caller")
    more.set()
    for client in reading:
        response = client.response()
        client.close()
        gateway.next_line()
        assert response.whole and response.body == b"".join(records) + b'"[email]"\n'
    gateway.services.upstreams["cohere"].answer = lambda _: answer_json(results(0.5))
    with ThreadPoolExecutor(4) as pool:
        assert [reply.status for reply in pool.map(lambda _: gateway.call(DENYING, logged=False), range(4))] == [200] * 4
    for _ in range(4):
        gateway.next_line()
