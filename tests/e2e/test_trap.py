"""A module that traps refuses, leaves a line, and comes back."""

import os
import threading
import time
from pathlib import Path

import people
import pytest
from gateway import HR, Gateway, Services, approved, body, expect_problem, expect_served
from wire import Http1

PATH = os.environ.get("RERANK_GUARD_TRAP_WASM", "")
pytestmark = pytest.mark.skipif(not Path(PATH).is_file(), reason="no module built with `test-trap`: set RERANK_GUARD_TRAP_WASM")
TRAP = [("x-test-trap", "1")]


@pytest.fixture(scope="module")
def trapping():
    services = Services()
    # Short, because calls that a trap strands end with it.
    with Gateway(services, wasm=Path(PATH), stream_idle_timeout="2s") as gateway:
        yield gateway
    services.close()


@pytest.fixture
def gateway(trapping):
    yield from trapping.watched()


def until_served(gateway):
    """Calls until a call is served. Until then Envoy answers 503 for want of a module, and then the new module for want of keys."""
    while (reply := gateway.call()).status != 200:
        if reply.line["record"]:
            expect_problem(reply, 503, "not-ready", "no-keys-yet")
        else:
            expect_trapped(reply)
        time.sleep(0.02)
    return expect_served(reply)


def expect_trapped(reply):
    """Envoy's own answer, and a line that says no more than Envoy knows."""
    assert reply.status == reply.line["envoy"]["code"] == 503 and people.leaks(reply.body.decode()) == []
    assert reply.line["record"] == [] and reply.line["envoy"]["details"] == "wasm_fail_stream"
    assert reply.line["envoy"]["stream"], "a line that names its stream"


def test_a_trap_is_a_503_with_a_line_and_then_there_is_service_again(gateway):
    chains, reloads = set(), gateway.envoy.stat("wasm.rerank_guard.vm_reload_success")
    for round_number in range(2):
        chains.add(until_served(gateway)["chain"])
        seen = gateway.sent()
        expect_trapped(gateway.call(headers=TRAP))
        assert gateway.sent() == seen, "a trapped call went upstream"
    chains.add(until_served(gateway)["chain"])
    assert len(chains) == 3, "a new module begins a new chain of records"
    assert gateway.envoy.stat("wasm.rerank_guard.vm_reload_success") == reloads + 2
    assert len(gateway.services.upstreams["cohere"].seen) == gateway.sent() == 3


def test_a_trapped_call_without_a_token_is_a_503_too(gateway):
    until_served(gateway)
    expect_trapped(gateway.call(token=None, headers=TRAP))
    expect_trapped(gateway.call(token=None))
    until_served(gateway)
    assert gateway.sent() == 2


def test_a_call_that_waits_for_approval_when_the_module_traps_ends_without_going_upstream(gateway):
    """Its module is gone, so that nobody answers it: Envoy does, when the stream was idle for too long (`request_timeout`
    no longer counts once a request has come whole)."""
    until_served(gateway)
    hold, sent = threading.Event(), gateway.sent()

    def late(request):
        answer = approved()(request)
        answer.hold = hold
        return answer

    gateway.services.approver.answer = late
    with Http1(gateway.port) as client:
        client.send(gateway.request(HR))
        gateway.services.approver.wait()
        expect_trapped(gateway.call(headers=TRAP))
        hold.set()
        response = client.response()
    assert response.status == 503 and response.whole and people.leaks(response.body.decode()) == []
    line = gateway.next_line()
    assert (line["record"], line["envoy"]["code"], line["envoy"]["flags"]) == ([], 503, "SI"), line
    assert gateway.sent() == sent, "the call went upstream"
    gateway.services.approver.fresh()
    until_served(gateway)


def test_a_caller_who_is_in_the_middle_of_a_body_when_the_module_traps_is_refused(gateway):
    until_served(gateway)
    sent, data = gateway.sent(), gateway.request(body=body(documents=["x" * 5000]))
    with Http1(gateway.port) as client:
        client.send(data[:-2000])
        gateway.envoy.wait(lambda: gateway.envoy.stat("http.rerank.downstream_rq_active") == 1, "call that is under way")
        expect_trapped(gateway.call(headers=TRAP))
        client.send(data[-2000:])
        response = client.response()
    assert response.status == gateway.next_line()["envoy"]["code"] == 503
    assert gateway.sent() == sent, "the call went upstream"
    until_served(gateway)
