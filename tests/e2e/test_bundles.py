"""Bundles that are fetched: signed by `rerank-guard sign`, served by a server that is not trusted, put in force while calls go on.

Two workers each fetch for themselves, and so does Envoy's main thread, which only tries the configuration out.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import people
import pytest
import stack
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from gateway import BUNDLE, COHERE, Changeable, Gateway, body, plugin, results
from wire import Answer, Http1, Server, answer_json

TOOL = Path(os.environ.get("RERANK_GUARD_TOOLS") or stack.ROOT / "target" / "debug") / "rerank-guard"
MODULES = 3  # two workers and the main thread
STATS = "wasmcustom.rerank_guard.bundles.role.enforced.event"


class Signer:
    """An Ed25519 key in PEM files, as OpenSSL makes them."""

    def __init__(self, directory: Path, name: str):
        self.name, self.private, self.public = name, directory / f"{name}.pem", directory / f"{name}.pub.pem"
        key = ed25519.Ed25519PrivateKey.generate()
        pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
        self.private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none))
        self.public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))

    def jwk(self) -> dict:
        return json.loads(tool("jwk", self.public, "--name", self.name))


def tool(*arguments) -> str:
    return subprocess.run([TOOL, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def bundle(serial: int, *, mask: str = "[{kind}]", ends: float = 3600, **changes) -> dict:
    """The bundle of the other tests with a serial; `mask` tells in the answer which bundle masked it."""
    whole = copy.deepcopy({**BUNDLE, **changes})
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ends))
    whole["bundle"] = {"id": "e2e", "serial": serial, "not_after": end}
    whole["masks"]["pii"]["replace"] = mask
    return whole


class Shop:
    """A server of bundles that answers with a tag and 304, and misbehaves as told."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.signers = {name: Signer(directory, name) for name in ("old", "new", "stranger")}
        self.server = Server("the server of bundles", self._answer)
        self.envelope = b""
        self.misbehave = None
        self.statuses: list[int] = []

    def sign(self, written: dict, *names: str) -> bytes:
        path = self.directory / "bundle.json"
        path.write_text(json.dumps(written))
        keys = [argument for name in names or ("old",) for argument in ("--key", self.signers[name].private)]
        return tool("sign", path, *keys).encode()

    def serve(self, envelope: bytes) -> None:
        self.envelope, self.misbehave = envelope, None

    def _answer(self, request) -> Answer:
        assert (request.method, request.target, request.body) == ("GET", "/bundle.json", b"")
        if self.misbehave:
            return self.misbehave()
        tag = '"' + hashlib.sha256(self.envelope).hexdigest() + '"'
        status = 304 if request.one("if-none-match") == tag else 200
        self.statuses.append(status)
        return Answer(status=status, headers=[("etag", tag)], body=b"" if status == 304 else self.envelope)

    def fetched(self, *names: str, **changes) -> dict:
        return {"cluster": "bundles", "authority": "bundles.example", "path": "/bundle.json", "refresh": "1s", "timeout": "1s",
                "keys": [self.signers[name].jwk() for name in names or ("old",)], **changes}


@pytest.fixture
def shop(tmp_path):
    shop = Shop(tmp_path)
    yield shop
    shop.server.close()


@pytest.fixture
def fetching(services, shop, start):
    """Starts a gateway of two workers that fetches its bundle."""
    services.upstreams["cohere"].always(personal)

    def begin(*names, inline=None, ready=True, shadow=None, **changes) -> Gateway:
        source = {"fetched": shop.fetched(*names, **changes)}
        if inline:
            source["inline"] = inline
        if shadow:
            source["shadow"] = shadow
        gateway = start(plugin(bundle=source), concurrency=2, ready=False, clusters=[stack.cluster("bundles", shop.server.port)])
        if ready:
            until(gateway, lambda replies: all(reply.status == 200 for reply in replies))
        return gateway

    return begin


def personal(request) -> Answer:
    """An answer that tells which call it is of, and has something to mask."""
    return answer_json({**results(0.5), "meta": {"warnings": [f"{request.json()['query']} {people.EMAIL}"]}})


class Said:
    """A reply and the records its line holds: those of events first, the call's own last."""

    def __init__(self, reply, line):
        self.status, self.reply, self.line = reply.status, reply, line
        self.record, self.events = line["record"][-1], line["record"][:-1]


def both(gateway) -> list[Said]:
    """Two connections at once land on two workers."""
    with Http1(gateway.port) as one, Http1(gateway.port) as other:
        for connection in (one, other):
            connection.send(gateway.request(COHERE))
        replies = [connection.response() for connection in (one, other)]
    lines = [gateway.next_line() for _ in replies]
    said = []
    for reply in replies:
        line = next(line for line in lines if line["record"][-1]["result"]["status"] == reply.status)
        lines.remove(line)
        said.append(Said(reply, line))
    return said


def until(gateway, condition, events=None) -> list[Said]:
    """Calls both workers until `condition` holds for what they say."""
    deadline = time.monotonic() + 20
    while not condition(said := both(gateway)):
        if events is not None:
            events.extend(event for one in said for event in one.events)
        assert time.monotonic() < deadline, [(one.status, one.record["policy"], one.record["result"]["reason"]) for one in said]
        time.sleep(0.05)
    if events is not None:
        events.extend(event for one in said for event in one.events)
    return said


def serials(said) -> set:
    return {one.record["policy"] and one.record["policy"]["serial"] for one in said}


def until_counted(gateway, what, count=MODULES):
    gateway.envoy.wait(lambda: gateway.envoy.stat(f"{STATS}.{what}") >= count, f"{what} in {count} modules")


def until_told(gateway, line, since):
    """Waits until each module has logged it after `since`."""
    pattern = re.compile(rf"^\[[^]]*\]\[(\d+)\].*{line}$", re.MULTILINE)
    gateway.envoy.wait(lambda: len(set(pattern.findall(gateway.envoy.output[since:]))) == MODULES, f"`{line}` of {MODULES} modules")


def test_without_a_bundle_calls_wait_with_503_and_the_first_good_one_lets_them_in(shop, fetching):
    shop.misbehave = lambda: Answer(status=503)
    gateway = fetching(id="e2e", ready=False)
    until(gateway, lambda said: all(one.record["result"]["reason"] == "no-bundle-yet" for one in said))
    assert gateway.sent() == 0
    shop.serve(shop.sign(bundle(7)))
    events = []
    until(gateway, lambda said: all(one.status == 200 for one in said) and serials(said) == {7}, events)
    assert [(event["type"], event["event"], event["loaded"]["serial"]) for event in events] == [("bundle", "loaded", 7)] * 2
    until_counted(gateway, "loaded.reason.ok")


def test_an_unchanged_bundle_is_asked_for_with_its_tag_and_never_sent_again(shop, fetching):
    shop.serve(shop.sign(bundle(7)))
    gateway = fetching(id="e2e")
    # Whoever follows another worker asks once without a tag.
    until_counted(gateway, "unchanged.reason.ok", 3 * MODULES)
    assert shop.statuses.count(200) == MODULES and shop.statuses.count(304) >= 2 * MODULES


def test_whatever_a_server_can_do_the_last_good_bundle_stays(shop, fetching):
    """Replayed, mixed, cut off, swollen, forged, down: nothing of it is taken, each is counted, and told once in log and records."""
    shop.serve(good := shop.sign(bundle(20, mask="<20>")))
    gateway = fetching(inline=bundle(10), max_bytes=20000)
    assert serials(until(gateway, lambda said: serials(said) == {20})) == {20}
    newer = json.loads(shop.sign(bundle(21, mask="<21>")))
    strange = json.loads(shop.sign(bundle(21), "stranger"))
    mixed = json.dumps({**newer, "signatures": json.loads(good)["signatures"]}).encode()
    renamed = {"key": newer["signatures"][0]["key"], "sig": strange["signatures"][0]["sig"]}
    nobodys = bundle(22)
    nobodys["credentials"]["nobody"] = {}
    nobodys["rules"][-1]["use"] = "nobody"
    for reason, answer in [
        ("older", shop.sign(bundle(19))),
        ("conflicting", shop.sign(bundle(20, mask="<other>"))),
        ("forged", mixed),
        ("forged", json.dumps({**newer, "signatures": [renamed]}).encode()),
        ("unsigned", json.dumps(strange).encode()),
        ("unsigned", json.dumps({**newer, "signatures": []}).encode()),
        ("no-envelope", good[: len(good) // 2]),
        ("no-envelope", b"<html>bundle</html>"),
        ("no-envelope", base64.b64decode(newer["payload"])),
        ("no-envelope", b""),
        ("too-large", good + b" " * 20000),
        ("expired", shop.sign(bundle(22, ends=-60))),
        ("foreign", shop.sign({**bundle(22), "bundle": {**bundle(22)["bundle"], "id": "other"}})),
        ("unfit", shop.sign(nobodys)),
    ]:
        before, said = gateway.envoy.stat(f"{STATS}.refused.reason.{reason}"), len(gateway.envoy.output)
        shop.serve(answer)
        until_told(gateway, r"bundle refused: .*; `e2e`, serial 20, stays in force", said)
        assert gateway.envoy.stat(f"{STATS}.refused.reason.{reason}") >= before + MODULES
        for one in both(gateway):
            assert one.status == 200 and one.record["policy"]["serial"] == 20, reason
            assert b"<20>" in one.reply.body, reason
            assert [event["reason"] for event in one.events if event["event"] == "refused"][-1:] in ([reason], []), one.events
    # Envoy answers a broken connection with a 503 of its own.
    for misbehave in (lambda: Answer(reset=True), lambda: Answer(status=500, body=good), lambda: Answer(status=302)):
        said = len(gateway.envoy.output)
        shop.misbehave = misbehave
        until_told(gateway, r"bundle not fetched: the status was [35]0[0-9]; `e2e`, serial 20, stays in force", said)
        assert serials(both(gateway)) == {20}
    shop.serve(json.dumps(newer).encode())
    until(gateway, lambda said: serials(said) == {21})
    lines = (gateway.envoy.directory / "access.log").read_bytes()
    every = [record for line in lines.splitlines() for record in json.loads(line)["record"] if record["type"] == "bundle"]
    # Each refusal is told once by each worker, however often the server repeats it.
    for reason in ("older", "conflicting", "unfit", "expired", "foreign", "too-large"):
        assert sum(record["reason"] == reason for record in every) == 2, (reason, every)
    verified = json.loads(tool("audit", "verify", gateway.envoy.directory / "access.log", "--output", "json"))
    assert verified["ok"] and len(verified["chains"]) == 2, verified["findings"]


def test_a_bundle_that_is_frozen_denies_once_it_ends(shop, fetching):
    shop.serve(shop.sign(bundle(7)))
    gateway = fetching(id="e2e")
    # Signed once the gateway is there, however long that takes.
    shop.serve(shop.sign(bundle(8, ends=12)))
    until(gateway, lambda said: serials(said) == {8})
    said = until(gateway, lambda said: all(one.record["result"]["reason"] == "bundle-expired" for one in said))
    assert {one.status for one in said} == {403}
    sent = gateway.sent()
    both(gateway)
    assert gateway.sent() == sent
    shop.serve(shop.sign(bundle(9)))
    until(gateway, lambda said: all(one.status == 200 for one in said))


def test_a_server_that_goes_quiet_is_believed_only_for_max_stale(shop, fetching):
    shop.serve(shop.sign(bundle(7)))
    gateway = fetching(id="e2e", max_stale="2s")
    shop.misbehave = lambda: Answer(status=500)
    until(gateway, lambda said: all((one.status, one.record["result"]["reason"]) == (503, "bundle-stale") for one in said))
    shop.misbehave = None
    until(gateway, lambda said: all(one.status == 200 for one in said))


def test_keys_are_rotated_without_a_gap(shop, fetching):
    shop.serve(shop.sign(bundle(7), "old"))
    gateway = fetching("old", "new", id="e2e")
    for serial, names in [(8, ("old", "new")), (9, ("new",)), (10, ("stranger", "new"))]:
        shop.serve(shop.sign(bundle(serial), *names))
        until(gateway, lambda said: serials(said) == {serial} and all(one.status == 200 for one in said))


def test_a_server_that_is_down_at_the_start_leaves_the_bundle_to_start_with(shop, fetching):
    shop.server.close(keep_port=True)
    gateway = fetching(inline=bundle(10))
    assert serials(both(gateway)) == {10}
    shop.server.open()
    shop.serve(shop.sign(bundle(9)))
    until_counted(gateway, "refused.reason.below-floor")
    shop.serve(shop.sign(bundle(11)))
    until(gateway, lambda said: serials(said) == {11})


def test_a_shadow_bundle_that_is_fetched_is_recorded_and_never_in_the_way(shop, fetching):
    strict = bundle(30)
    strict["rules"].insert(0, {"id": "nobody", "deny": {}})
    shop.misbehave = lambda: Answer(status=500)
    # The same server serves both: the enforced one refuses what is meant for the shadow, for its id.
    strict["bundle"]["id"] = "next"
    gateway = fetching(inline=bundle(10), shadow={"fetched": shop.fetched(id="next")})
    assert all("shadow_bundle" not in one.record["decision"] for one in both(gateway))
    shop.serve(shop.sign(strict))
    said = until(gateway, lambda said: all("shadow_bundle" in one.record["decision"] for one in said))
    for one in said:
        opinion = one.record["decision"]["shadow_bundle"]
        assert (one.status, one.record["policy"]["serial"]) == (200, 10)
        assert (opinion["effect"], opinion["rules"], opinion["policy"]["serial"]) == ("deny", ["nobody"], 30)


# ---- no way back ---------------------------------------------------------------------------------------------------------

TRAPPING = os.environ.get("RERANK_GUARD_TRAP_WASM", "")


@pytest.fixture
def pushing(services, shop):
    """Starts a gateway of two workers that fetches its bundle and takes new configurations."""
    services.upstreams["cohere"].always(personal)
    started = []

    def begin(configuration, **options):
        clusters = [stack.cluster("bundles", shop.server.port)]
        one = Changeable(services, configuration, concurrency=2, ready=False, clusters=clusters, **options)
        started.append(one)
        return one

    yield begin
    for one in started:
        try:
            assert one.envoy.ended() is None and one.leaks() == []
        finally:
            one.close()


def masked_by(gateway, seen, ready=lambda now: True) -> set:
    """Calls both workers until both serve; collects in `seen` which bundles masked what they answered, and gives the last two's."""
    deadline = time.monotonic() + 20
    while True:
        now = set()
        with Http1(gateway.port) as one, Http1(gateway.port) as other:
            for connection in (one, other):
                connection.send(gateway.request(COHERE))
            replies = [connection.response() for connection in (one, other)]
        for reply in replies:
            gateway.next_line()
            assert reply.status in (200, 503), reply.body
            now.add(re.search(rb"<([0-9]+)>", reply.body).group(1).decode() if reply.status == 200 else "503")
        seen.update(now)
        if "503" not in now and ready(now):
            return now
        assert time.monotonic() < deadline, now
        time.sleep(0.05)


def fetching_from(shop, record_bytes=1000, inline=None, **changes):
    """A configuration; its limit tells it from others."""
    source = {"fetched": shop.fetched(**{"id": "e2e", **changes})}
    if inline:
        source["inline"] = inline
    return {**plugin(bundle=source), "limits": {**plugin()["limits"], "record_bytes": record_bytes}}


def test_no_push_rolls_a_bundle_back(shop, pushing):
    shop.serve(shop.sign(bundle(9, mask="<9>")))
    gateway = pushing(fetching_from(shop))
    masked_by(gateway, set())
    before, seen = gateway.sent(), set()
    older, down = shop.sign(bundle(8, mask="<8>")), lambda: Answer(status=500)
    for number, misbehave in enumerate([None, down, None]):
        shop.serve(older)
        shop.misbehave = misbehave
        gateway.renew(fetching_from(shop, 1001 + number))
        for _ in range(4):
            assert masked_by(gateway, seen) == {"9"}
    until_counted(gateway, "refused.reason.older")
    # A bundle to start with, older than what was in force, decides nothing either; nor does one of the same serial that is another.
    for inline, envelope in [(bundle(8, mask="<8>"), older), (None, shop.sign(bundle(9, mask="<99>")))]:
        shop.serve(envelope)
        gateway.renew(fetching_from(shop, 2000, inline))
        for _ in range(4):
            assert masked_by(gateway, seen) == {"9"}
    until_counted(gateway, "refused.reason.conflicting")
    assert seen <= {"9", "503"}, seen
    upstream = [request.json() for request in gateway.services.upstreams["cohere"].seen]
    assert len(upstream) == gateway.sent() and gateway.sent() > before
    shop.serve(shop.sign(bundle(10, mask="<10>")))
    masked_by(gateway, set(), lambda now: now == {"10"})


@pytest.mark.skipif(not Path(TRAPPING).is_file(), reason="no module built with `test-trap`: set RERANK_GUARD_TRAP_WASM")
def test_no_trap_rolls_a_bundle_back(shop, pushing):
    shop.serve(shop.sign(bundle(9, mask="<9>")))
    gateway = pushing(fetching_from(shop, inline=bundle(7, mask="<7>")), wasm=Path(TRAPPING), stream_idle_timeout="5s")
    masked_by(gateway, set(), lambda now: now == {"9"})
    seen = set()
    for envelope in [shop.sign(bundle(8, mask="<8>")), b""]:
        shop.serve(envelope)
        for _ in range(2):
            assert gateway.call(headers=[("x-test-trap", "1")]).status == 503
            for _ in range(3):
                assert masked_by(gateway, seen) == {"9"}
    assert seen <= {"9", "503"}, seen


def test_a_server_cannot_tell_workers_apart(shop, pushing):
    """Who is given nothing newer takes it from the others."""
    shop.serve(shop.sign(bundle(8, mask="<8>")))
    gateway = pushing(fetching_from(shop))
    masked_by(gateway, set())
    newer, once = shop.sign(bundle(9, mask="<9>")), threading.Lock()

    def one_gets_it():
        return Answer(headers=[("etag", '"9"')], body=newer) if once.acquire(blocking=False) else Answer(status=500)

    shop.misbehave = one_gets_it
    masked_by(gateway, set(), lambda now: now == {"9"})
    for _ in range(4):
        assert masked_by(gateway, set()) == {"9"}
    until_counted(gateway, "loaded.reason.ok", 2 * MODULES)


@pytest.mark.parametrize("without", ["proxy_get_shared_data", "proxy_set_shared_data"])
def test_where_nobody_can_remember_bundles_none_that_is_fetched_decides(shop, services, without):
    shop.serve(shop.sign(bundle(9)))

    def shape(config):
        for listener in config["static_resources"]["listeners"]:
            wasm = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"][0]["typed_config"]["config"]
            del wasm["vm_config"]["capability_restriction_config"]["allowed_capabilities"][without]

    clusters = [stack.cluster("bundles", shop.server.port)]
    with Gateway(services, fetching_from(shop), ready=False, shape=shape, clusters=clusters) as gateway:
        gateway.envoy.wait(lambda: gateway.envoy.stat(f"{STATS}.refused.reason.no-memory"), "refusal of a bundle")
        assert {gateway.call().status for _ in range(4)} == {503}
        assert gateway.sent() == 0 and services.upstreams["cohere"].seen == []


def test_a_signature_that_is_repeated_is_looked_at_once(shop, fetching):
    good = json.loads(shop.sign(bundle(20, mask="<20>")))
    shop.serve(json.dumps(good).encode())
    gateway = fetching(id="e2e")
    newer = json.loads(shop.sign(bundle(21, mask="<21>")))
    for count in (2, 9, 30_000):
        before, said = gateway.envoy.stat(f"{STATS}.refused.reason.crowded"), len(gateway.envoy.output)
        shop.serve(json.dumps({**newer, "signatures": newer["signatures"] * count}).encode())
        until_told(gateway, r"bundle refused: .*; `e2e`, serial 20, stays in force", said)
        assert gateway.envoy.stat(f"{STATS}.refused.reason.crowded") >= before + MODULES
        assert all(b"<20>" in one.reply.body for one in both(gateway))
    strangers = [{"key": f"{number:016x}", "sig": "AAAA"} for number in range(7)]
    shop.serve(json.dumps({**newer, "signatures": strangers + newer["signatures"]}).encode())
    until(gateway, lambda said: serials(said) == {21})


CLIENTS, FLIPS = 8, 10


def test_while_bundles_flip_no_call_fails_and_none_is_decided_by_a_mixture(shop, services, fetching):
    """Versions differ in mask, credential and rule names; each answer and each record has to be of one version only."""
    def version(serial: int) -> dict:
        written = bundle(serial, mask=f"<{serial}>")
        for rule in written["rules"]:
            rule["id"] += f"-{serial}"
        # Even versions go upstream as cohere, odd ones as a second credential of the same upstream.
        name = "cohere" if serial % 2 == 0 else "jina"
        next(rule for rule in written["rules"] if rule["id"].startswith("analysts-cohere"))["use"] = name
        return written

    routes = copy.deepcopy(plugin()["routes"])
    for route in routes:
        route["credentials"] = sorted({*route["credentials"], "cohere", "jina"})
    seen: dict[str, str] = {}

    def upstream(request):
        seen[request.json()["query"]] = "cohere" if request.one("authorization") else "jina"
        return answer_json({**results(0.5), "meta": {"warnings": [f"{request.json()['query']} {people.EMAIL}"]}})

    services.upstreams["cohere"].always(upstream)
    shop.serve(shop.sign(version(100)))
    configuration = plugin(bundle={"fetched": shop.fetched(id="e2e")}, routes=routes)
    gateway = Gateway(services, configuration, concurrency=2, ready=False, clusters=[stack.cluster("bundles", shop.server.port)])
    with gateway:
        until(gateway, lambda said: all(one.status == 200 for one in said))
        before = gateway.lines_nobody_took()
        envelopes = [shop.sign(version(101 + flip)) for flip in range(FLIPS)]
        done = threading.Event()
        answers: dict[str, tuple[int, bytes]] = {}

        def client(number: int) -> int:
            count = 0
            with Http1(gateway.port) as connection:
                token = people.token(f"user-{number}")
                while not done.is_set():
                    query = f"client-{number}-call-{count}"
                    connection.send(gateway.request(COHERE, body=body(query=query), token=token))
                    response = connection.response()
                    answers[query] = (response.status, response.body)
                    count += 1
            return count

        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(client, number) for number in range(CLIENTS)]
            try:
                for flip, envelope in enumerate(envelopes):
                    shop.serve(envelope)
                    until_counted(gateway, "loaded.reason.ok", (flip + 2) * MODULES)
            finally:
                done.set()
            counts = [one.result() for one in clients]
        total = sum(counts)
        assert total == len(answers) and all(status == 200 for status, _ in answers.values())
        gateway.envoy.wait(lambda: gateway.lines_nobody_took() == before + total, "a record of every call")
        lines = (gateway.envoy.directory / "access.log").read_bytes().splitlines()
        verified = json.loads(tool("audit", "verify", gateway.envoy.directory / "access.log", "--output", "json"))
        assert verified["ok"] and len(verified["chains"]) == 2, verified["findings"]
        # Records do not tell which answer they belong to, so they meet by counts.
        by_serial: dict[int, int] = {}
        for line in lines[-total:]:
            record = json.loads(line)["record"][-1]
            serial = record["policy"]["serial"]
            by_serial[serial] = by_serial.get(serial, 0) + 1
            assert all(rule.endswith(f"-{serial}") for rule in record["decision"]["rules"]), record["decision"]
            assert record["credential"] == ("cohere" if serial % 2 == 0 else "jina"), record
        masked_by: dict[int, int] = {}
        for query, (_, content) in answers.items():
            serial = int(re.search(rb"<([0-9]+)>", content).group(1))
            masked_by[serial] = masked_by.get(serial, 0) + 1
            assert people.EMAIL.encode() not in content
            assert seen[query] == ("cohere" if serial % 2 == 0 else "jina"), "masked by one version, sent upstream by another"
        assert masked_by == by_serial and len(by_serial) >= FLIPS // 2, (masked_by, by_serial)
        gateway.leaks()
