"""What must be known once is known to the whole process: one receipt is one call, whichever worker has it, and whatever was pushed or
trapped in between. What one caller, or one gateway, leaves in that memory is in nobody else's way."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import people
import pytest
import stack
from gateway import BUNDLE, COHERE, HR, Changeable, approved, body, expect_problem, expect_served, plugin
from people import receipt
from requests_oauth2client import DPoPKey
from test_dpop import OTHER, bound, proof
from test_workers import expect_keys_on_both
from wire import Http1, answer_json

TRAPPING = os.environ.get("RERANK_GUARD_TRAP_WASM", "")
MANY = 12
EVE = DPoPKey.generate("ES256")


class OneReceipt:
    """An approver that gives everybody the same receipt."""

    def __init__(self, server):
        self.made, self.lock = None, threading.Lock()
        server.answer = self

    def __call__(self, request):
        with self.lock:
            self.made = self.made or receipt(request.json())
        return answer_json({"status": "approved", "id": "ap-1", "receipt": self.made})


@pytest.fixture
def pushing(services):
    """Starts a gateway of two workers that takes new configurations."""
    started = []

    def begin(configuration=None, **options):
        one = Changeable(services, configuration or plugin(), **{"concurrency": 2, **options})
        started.append(one)
        expect_keys_on_both(one)
        one.begin()
        return one

    yield begin
    for one in started:
        try:
            assert one.envoy.ended() is None and one.leaks() == []
        finally:
            one.close()


def all_at_once(gateway, count, path=HR):
    """The statuses of many calls at once, over as many connections."""
    gate = threading.Barrier(count)

    def call(_):
        with Http1(gateway.port) as client:
            gate.wait()
            client.send(gateway.request(path))
            return client.response().status

    with ThreadPoolExecutor(count) as pool:
        statuses = list(pool.map(call, range(count)))
    gateway.last_lines = [gateway.next_line() for _ in statuses]
    return statuses


def test_a_receipt_that_many_calls_show_at_once_lets_one_through(services, pushing):
    gateway = pushing()
    for _ in range(6):
        services.fresh()
        sent = gateway.sent()
        OneReceipt(services.approver)
        statuses = all_at_once(gateway, MANY)
        assert sorted(statuses) == [200] + [403] * (MANY - 1)
        assert gateway.sent() - sent == len(services.upstreams["cohere"].seen) == 1, "one receipt, several upstream calls"
        reasons = [line["record"][0]["result"]["reason"] for line in gateway.last_lines]
        assert reasons.count("receipt-used-before") == MANY - 1, reasons


def test_a_receipt_is_used_whatever_is_pushed(services, pushing):
    gateway = pushing()
    OneReceipt(services.approver)
    statuses = gateway.together(gateway.request(HR))
    for limit in (1000, 1001):
        gateway.renew({**plugin(), "limits": {**plugin()["limits"], "record_bytes": limit}})
        while 503 in (again := gateway.together(gateway.request(HR))):
            pass
        statuses += again
    assert statuses.count(200) == 1 and set(statuses) == {200, 403}, statuses
    assert gateway.sent() == len(services.upstreams["cohere"].seen) == 1
    services.approver.answer = approved()
    expect_served(gateway.call(HR))


@pytest.mark.skipif(not Path(TRAPPING).is_file(), reason="no module built with `test-trap`: set RERANK_GUARD_TRAP_WASM")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_receipt_is_used_whatever_traps(services, pushing, workers):
    gateway = pushing(wasm=Path(TRAPPING), concurrency=workers, stream_idle_timeout="5s")
    OneReceipt(services.approver)
    expect_served(gateway.call(HR))
    for _ in range(2):
        for _ in range(workers):
            assert gateway.call(headers=[("x-test-trap", "1")]).status == 503
        statuses = [503]
        while 503 in statuses:
            statuses = gateway.together(gateway.request(HR))
            time.sleep(0.02)
        assert statuses == [403, 403]
        assert {line["record"][0]["result"]["reason"] for line in gateway.last_lines} == {"receipt-used-before"}
    assert gateway.sent() == len(services.upstreams["cohere"].seen) == 1
    services.approver.answer = approved()
    expect_served(gateway.call(HR))


@pytest.mark.parametrize("without", ["proxy_get_shared_data", "proxy_set_shared_data"])
def test_where_nobody_can_remember_a_receipt_it_lets_nothing_through(services, start, without):
    def shape(config):
        manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        wasm = manager["http_filters"][0]["typed_config"]["config"]
        del wasm["vm_config"]["capability_restriction_config"]["allowed_capabilities"][without]

    gateway = start(shape=shape)
    services.approver.answer = approved()
    sent = gateway.sent()
    for _ in range(2):
        expect_problem(gateway.call(HR), 403, "approval-unavailable", "receipt-memory-unavailable")
    assert gateway.sent() == sent and services.upstreams["cohere"].seen == []
    expect_served(gateway.call(COHERE))


def test_gateways_under_one_vm_id_know_nothing_of_each_others_calls(services, start):
    written = copy.deepcopy(BUNDLE)
    written["rules"].append({"id": "new", "guard": {"datasets": ["web-*"]}, "when": {"first_use": "dataset"}, "risk": 5})
    plugins = [plugin(bundle={"inline": written}, gateway=f"{people.GATEWAY}-{number}") for number in (1, 2)]

    def shape(config):
        first = config["static_resources"]["listeners"][0]
        second = copy.deepcopy(first)
        second["name"] = "other"
        manager = second["filter_chains"][0]["filters"][0]["typed_config"]
        manager["stat_prefix"] = "other"
        wasm = manager["http_filters"][0]["typed_config"]["config"]
        wasm["configuration"]["value"] = json.dumps(plugins[1])
        assert wasm["vm_config"]["vm_id"]
        config["static_resources"]["listeners"].append(second)

    gateway = start(plugins[0], shape=shape)
    listeners = json.loads(gateway.envoy.admin("/listeners?format=json"))["listener_statuses"]
    ports = {one["name"]: one["local_address"]["socket_address"]["port_value"] for one in listeners}
    token = people.token("newcomer")
    risks = {}
    for name in ("rerank", "other"):
        gateway.port = ports[name]
        gateway.until_ready()
        risks[name] = [expect_served(gateway.call(token=token))["decision"]["risk"] for _ in range(2)]
    assert risks == {"rerank": [5, 0], "other": [5, 0]}
    assert len(services.upstreams["cohere"].seen) == 4


def by_key_and_id(thumbprint, jti):
    parts = [base64.urlsafe_b64decode(thumbprint + "="), jti.encode()]
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()[-1]


def without_lengths(thumbprint, jti):
    digest = hashlib.sha256(base64.urlsafe_b64decode(thumbprint + "=") + jti.encode()).digest()
    return int.from_bytes(digest[-2:], "big") % 1024


@pytest.mark.parametrize("digest", [by_key_and_id, without_lengths])
def test_a_holder_who_fills_the_memory_of_proofs_is_in_nobody_elses_way(services, changeable, digest):
    configuration = plugin()
    configuration["callers"]["dpop"] = {"proofs": 16384}
    gateway = changeable.change(configuration)
    cohere = gateway.services.upstreams["cohere"]
    eve, place = people.token("eve", cnf={"jkt": EVE.dpop_jkt}), 7
    ids = (jti for number in range(1 << 22) if digest(EVE.dpop_jkt, jti := f"eve-{number}") == place)
    headers = lambda token, one: [("authorization", f"DPoP {token}"), ("dpop", one)]
    served = 0
    for _ in range(24):
        reply = gateway.call(token=None, headers=headers(eve, proof(eve, EVE, jti=next(ids))))
        assert reply.status in (200, 401, 503)
        served += reply.status == 200
    if digest is by_key_and_id:
        assert served == 8, "her share of one place"
    victim = bound(OTHER)
    mine = next(jti for number in range(1 << 22) if digest(OTHER.dpop_jkt, jti := f"mine-{number}") == place)
    expect_served(gateway.call(token=None, headers=headers(victim, proof(victim, OTHER, jti=mine))))
    expect_problem(gateway.call(token=None, headers=headers(victim, proof(victim, OTHER, jti=mine))), 401, "unauthenticated", "dpop-replayed")
    assert len(cohere.seen) == served + 1
