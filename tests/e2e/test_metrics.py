"""Envoy's stats tell how many calls were refused and why, under names from a fixed set of words: no caller can add one."""

from __future__ import annotations

import re
import time
import uuid

import people
from gateway import COHERE, expect_problem, expect_served

NAME = re.compile(r"^wasmcustom\.rerank_guard\.(calls\.outcome\.[a-z-]+\.reason\.[a-z0-9-]+|keys\.fetch\.[a-z]+|masked\.kind\.[a-z0-9_]+): \d+$")


def counters(gateway):
    lines = gateway.envoy.admin("/stats?filter=rerank_guard").splitlines()
    return {name: int(value) for name, value in (line.rsplit(": ", 1) for line in lines if not line.startswith("wasm."))}


def refused(reason, outcome="unauthenticated"):
    return f"wasmcustom.rerank_guard.calls.outcome.{outcome}.reason.{reason}"


def test_every_refusal_of_a_token_counts_once_under_its_reason(gateway):
    now = int(time.time())
    before = counters(gateway)
    expected = {
        "no-token": None,
        "expired": people.token(iat=now - 900, exp=now - 300),
        "wrong-audience": people.token(aud="another"),
        "bad-signature": people.token(key=people.STRANGER),
        "unknown-key": people.token(header={"kid": "nobody"}),
        "algorithm-not-allowed": people.unsigned({"alg": "none"}, people.claims(), "AA"),
        "header-forbidden": people.token(header={"jku": "https://eve.example"}),
        "dpop-sent-as-bearer": people.token(cnf={"jkt": "A" * 43}),
    }
    for reason, token in expected.items():
        expect_problem(gateway.call(token=token), 401, "unauthenticated", reason)
    expect_served(gateway.call())
    after = counters(gateway)
    grown = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    grown = {name: count for name, count in grown.items() if ".calls." in name}
    assert grown == {**{refused(reason): 1 for reason in expected}, refused("ok", "served"): 1}


def test_no_caller_can_add_a_name_to_the_metrics(gateway):
    def flood():
        for number in range(25):
            mark = uuid.uuid4().hex
            gateway.call(token=people.token(header={"kid": mark}), logged=False)
            gateway.call(token=people.token(iss=f"https://{mark}.example"), logged=False)
            gateway.call(token=people.token(header={mark: number}, aud=mark), logged=False)
            gateway.call(token=people.token(sub=mark, groups=[mark]), logged=False)
            gateway.call(f"/{mark}/v2/rerank", logged=False)
            gateway.call(COHERE, method=mark[:8].upper(), logged=False)
            gateway.call(token=None, headers=[("authorization", f"{mark} {mark}")], logged=False)
        while gateway.lines_nobody_took() < 175:
            gateway.envoy.wait(lambda: gateway.lines_nobody_took() >= 175, "lines of all calls")
        for _ in range(175):
            gateway.next_line()

    def names():
        # Keys are fetched by the clock as well, with an outcome of few words, which the form below holds to.
        return {name for name in counters(gateway) if ".keys.fetch." not in name}

    flood()
    before = names()
    flood()
    assert names() == before
    for line in gateway.envoy.admin("/stats?filter=rerank_guard").splitlines():
        assert NAME.match(line) or line.startswith("wasm."), line
    assert people.leaks(gateway.envoy.admin("/stats")) == []
