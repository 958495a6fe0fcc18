"""A module that traps refuses, leaves a line, and comes back."""

import os
from pathlib import Path

import people
import pytest
from gateway import expect_served
from wire import Http2

PATH = os.environ.get("RERANK_GUARD_TRAP_WASM", "")
pytestmark = pytest.mark.skipif(not Path(PATH).is_file(), reason="no module built with `test-trap`: set RERANK_GUARD_TRAP_WASM")


def until_served(gateway):
    while True:
        reply = gateway.call()
        if reply.status == 200:
            return reply
        assert reply.status == 503, reply.status


def test_a_trap_is_a_503_with_a_line_and_then_there_is_service_again(start):
    gateway = start(wasm=Path(PATH))
    expect_served(gateway.call())
    for round_number in range(2):
        seen = gateway.sent()
        reply = gateway.call(headers=[("x-test-trap", "1")])
        assert reply.status == 503 and people.leaks(reply.body.decode()) == []
        assert reply.line["record"] == [] and reply.line["envoy"]["details"] == "wasm_fail_stream"
        assert gateway.sent() == seen, "a trapped call went upstream"
        record = expect_served(until_served(gateway))
        assert gateway.envoy.stat("wasm.rerank_guard.vm_reload_success") == round_number + 1
        assert record["seq"] < 5, "a new VM begins a new chain"


def test_calls_under_way_when_the_module_traps_end_without_going_upstream(start):
    gateway = start(wasm=Path(PATH))
    approver = gateway.services.approver
    import threading
    hold = threading.Event()
    approver.answer = lambda request: gateway_approved(request, hold)
    headers = [(":method", "POST"), (":scheme", "http"), (":path", "/cohere/hr-reviews/v2/rerank"), (":authority", "g"),
               ("authorization", f"Bearer {people.token()}"), ("content-type", "application/json")]
    with Http2(gateway.port) as client:
        stream = client.headers(headers)
        client.data(stream, people.json.dumps(__import__("gateway").body()).encode(), end=True)
        approver.wait()
        assert gateway.call(headers=[("x-test-trap", "1")], logged=False).status == 503
        hold.set()
        response = client.response(stream)
        assert response.status in (0, 503), response.status
    assert gateway.sent() == 0
    for _ in range(2):
        assert gateway.next_line()["envoy"]["code"] in (0, 503)
    expect_served(until_served(gateway))


def gateway_approved(request, hold):
    from gateway import approved
    answer = approved()(request)
    answer.hold = hold
    return answer
