"""Chaos: limits, buffers, masks, bodies, headers, disconnects, upstreams, approvers and traps at random, in real Envoy.

Whatever happens, Envoy and its workers' modules go on, nothing unmasked leaves in either direction, and records match what the
upstream saw. `CHAOS_SEED` repeats a run's choices (the order in which threads meet is Envoy's own), `CHAOS_SECONDS` makes it longer:
`make chaos MINUTES=10`."""

import copy
import json
import os
import random
import re
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import gateway as harness
import h2.exceptions
import people
import pytest
from gateway import BUNDLE, ROUTES, body, expect_chain, plugin
from wire import Answer, Http1, Http2, answer_json

SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
SECONDS = float(os.environ.get("CHAOS_SECONDS") or 75)
TRAP_WASM = os.environ.get("RERANK_GUARD_TRAP_WASM", "")
ROUND = 9.0
CLIENTS = 10
ENVIRONMENT = {**harness.ENVIRONMENT, "PSEUDONYMS": people.secret("pseudonyms") * 2}
# What no caller and, where requests are masked, no upstream may ever see. All masks below find them.
MARKS = ["mark.one@chaos.example", "2001:db8::7:1", "::1", "4111 1111 1111 1111", "536-22-8726"]
LEAKED = re.compile(rb"chaos\.example|::1|::7:1|4111 1111|536-22-8726")
WORDS = ["rerank", "leave", "the", "and", "\u00e9t\u00e9", "12 30", ".3012", "1:f:", "x@", "\\n", '"', "[]", "{}", "null", "\u65e5\u672c"]
KINDS = ["email", "ip_address", "credit_card", "us_ssn"]
REPLACEMENTS = ["[{kind}]", "[{kind} {pseudonym:k}]", "{drop}", "", "*" * 90]


def texts(rng, size):
    """About `size` bytes of words and marks, blanks between them."""
    marks = rng.random() < 0.8
    parts, length = [], 0
    same = rng.choice(MARKS) if rng.random() < 0.3 else None
    while length < size:
        part = same or (rng.choice(MARKS) if marks and rng.random() < 0.3 else rng.choice(WORDS))
        parts.append(part)
        length += len(part) + 1
    return " ".join(parts)


def size(rng, most):
    return int(2 ** rng.uniform(3, max(4, most).bit_length() + 0.3))


def value(rng, room, depth=0):
    """Some JSON value with texts in it."""
    kind = rng.random()
    if depth > 3 or kind < 0.5:
        text = texts(rng, room)
        return json.dumps({"inner": text}) if kind < 0.1 else text
    parts = rng.randrange(1, 5)
    some = [value(rng, room // parts, depth + 1) for _ in range(parts)]
    return some if kind < 0.75 else {f"n{at}": one for at, one in enumerate(some)}


def configuration(rng):
    """A configuration, and what shapes Envoy's own."""
    limits = {
        "request_bytes": rng.choice([2_000, 20_000, 100_000, 1 << 20]), "response_bytes": rng.choice([2_000, 30_000, 200_000, 4 << 20]),
        "record_bytes": rng.choice([500, 20_000, 256 << 10]),
    }
    largest = max(limits.values())
    limits["held_bytes_per_caller"] = largest * rng.choice([1, 2, 20])
    limits["held_bytes"] = limits["held_bytes_per_caller"] * rng.choice([1, 3])
    bundle = copy.deepcopy(BUNDLE)
    mask = {"detect": KINDS, "replace": rng.choice(REPLACEMENTS)}
    bundle["masks"] = {"all": mask, "few": {"detect": KINDS, "deny": {"above": rng.choice([0, 5, 1000])}}}
    allow = {"groups": ["analysts"], "datasets": ["web-*", "hr-*", "out-*", "deny-*", "force-*"], "operations": ["rerank"]}
    bundle["rules"] = [
        {"id": "all", "guard": {}, "require": {"masks": ["all"]}},
        {"id": "out", "guard": {"datasets": ["out-*", "hr-*"]}, "require": {"request_masks": ["all"]}},
        {"id": "deny", "guard": {"datasets": ["deny-*"]}, "require": {"masks": ["few"]}},
        {"id": "force", "guard": {"datasets": ["force-*"]}, "require": {"force": {"return_documents": False, "top_n": 1}}},
        {"id": "ask", "guard": {"datasets": ["hr-*"]}, "require": {"approval": "hr-desk"}},
        {"id": "cohere", "allow": {**allow, "models": ["rerank-*"]}, "use": "cohere"},
        {"id": "h2", "allow": {**allow, "models": ["h2-*"]}, "use": "h2"},
    ]
    routes = [{**route, "streams": True} for route in copy.deepcopy(ROUTES)]
    approver = {**plugin()["approver"], "timeout": rng.choice(["600ms", "1s"])}
    whole = plugin(bundle={"inline": bundle}, routes=routes, limits=limits, pseudonym_keys={"k": {"env": "PSEUDONYMS"}}, approver=approver)
    buffer = rng.choice([1_024, 16_384, 65_536, largest, 8 << 20])
    window = rng.choice([65_535, 1 << 20, 16 << 20])

    def shape(config):
        listener = config["static_resources"]["listeners"][0]
        listener["per_connection_buffer_limit_bytes"] = buffer
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        manager["http2_protocol_options"]["initial_stream_window_size"] = window
        manager["route_config"]["virtual_hosts"][0]["routes"].insert(1, {
            "match": {"prefix": "/cohere/out-"},
            "route": {"cluster": "cohere", "regex_rewrite": {"pattern": {"regex": "^/cohere/[^/]+(/.*)$"}, "substitution": "\\1"},
                      "timeout": "2s", "retry_policy": {"retry_on": "5xx,reset", "num_retries": 1}}})
        for cluster in config["static_resources"]["clusters"]:
            cluster["per_connection_buffer_limit_bytes"] = rng.choice([4_096, 65_536, 1 << 20])

    return whole, shape, dict(limits=limits, buffer=buffer, window=window, replace=mask["replace"])


def upstream(seed, most):
    """How the upstream answers: by the query alone, so that a run can be repeated."""
    def answer(request):
        try:
            asked = request.json()
            rng = random.Random(f"{seed} {asked['query'][:20]}")
        except (ValueError, KeyError, TypeError):
            return Answer(500)
        trailers = [("x-trailer", "1")] if rng.random() < 0.1 else []
        cut = rng.randrange(200) if rng.random() < 0.08 else None
        room = size(rng, most)
        kind = rng.random()
        if kind < 0.03:
            return Answer(reset=True)
        if kind < 0.35:
            documents = asked.get("documents") or [""]
            entries = [{"index": at, "relevance_score": 0.5, "document": {"text": one}} for at, one in enumerate(documents)]
            return answer_json({"id": "r", "results": entries, "meta": {}}, trailers=trailers, cut=cut, chunked=rng.random() < 0.5)
        if kind < 0.5:
            return answer_json({"message": value(rng, room)}, rng.choice([200, 200, 400, 422, 429, 500, 503]), trailers=trailers, cut=cut)
        if kind < 0.6:
            return Answer(rng.choice([400, 422, 500]), [("content-type", "text/plain")], texts(rng, room).encode(), trailers=trailers)
        if kind < 0.65:
            return Answer(rng.choice([200, 401, 206, 304, 404]), [("content-type", rng.choice(["text/html", "application/json"]))], b"<x>")
        many = [("x-header-%d" % at, texts(rng, 30).encode()) for at in range(rng.choice([0, 0, 3, 60]))]
        if kind < 0.8:
            whole = json.dumps({"message": value(rng, room)}).encode()
            many.append(("content-type", "application/json"))
            return Answer(200, many, pieces=pieces(rng, whole), cut=cut, trailers=trailers)
        events = rng.random() < 0.4
        records = [json.dumps({"at": at, "text": value(rng, room // 8)}) for at in range(rng.randrange(9))]
        whole = "".join(f"event: r\ndata: {one}\n\n" if events else f"{one}\n" for one in records).encode()
        many.append(("content-type", "text/event-stream" if events else "application/x-ndjson"))
        return Answer(200, many, pieces=pieces(rng, whole), cut=cut, trailers=trailers)
    return answer


def pieces(rng, whole):
    """Bytes in parts of any length, some of which come late."""
    while whole:
        at = rng.choice([1, 100, 5_000, 40_000, len(whole)])
        yield whole[:at]
        whole = whole[at:]
        if rng.random() < 0.05:
            time.sleep(rng.random() * 0.05)


def approver(seed):
    def answer(request):
        rng = random.Random(f"{seed} {request.json()['request_digest']}")
        time.sleep(rng.choice([0, 0, 0.05, 0.2, 1.2]))
        kind = rng.random()
        if kind < 0.6:
            return harness.approved()(request)
        if kind < 0.7:
            return harness.pending(request)
        if kind < 0.8:
            return Answer(reset=True)
        return answer_json({"status": rng.choice(["rejected", "approved", "x"]), "id": "a"}, rng.choice([200, 500]))
    return answer


class Client:
    """One caller, and all that it got."""

    def __init__(self, gateway, rng, number, traps, most):
        self.gateway, self.rng, self.number, self.traps, self.most = gateway, rng, number, traps, most
        self.token = people.token(f"user-{number % 3}")
        self.calls = self.answers = 0
        self.leaked = []

    def run(self, until):
        while time.monotonic() < until:
            with suppress(OSError, EOFError, h2.exceptions.ProtocolError, ValueError, AssertionError):
                self.once()

    def once(self):
        rng = self.rng
        self.calls += 1
        mark = f"c{self.number}x{self.calls}"
        dataset = rng.choice(["web", "web", "hr", "out", "deny", "force"]) + f"-{mark}"
        name = rng.choice(["cohere", "cohere", "cohere", "h2"])
        version = rng.choice(["v1", "v2"]) if name == "cohere" else "v2"
        content = body(model=harness.MODELS[name], query=f"{mark} " + texts(rng, 20), documents=[
            texts(rng, size(rng, self.most) // 3) for _ in range(rng.randrange(1, 4))])
        if version == "v1" and rng.random() < 0.6:
            content["return_documents"] = rng.random() < 0.8
        data = json.dumps(content, ensure_ascii=rng.random() < 0.5).encode()
        if rng.random() < 0.05:
            data = data[: rng.randrange(len(data))]
        headers = [(f"x-more-{at}", "y" * rng.randrange(60)) for at in range(rng.choice([0, 0, 0, 5, 80]))]
        if self.traps and rng.random() < 0.02:
            headers.append(("x-test-trap", "1"))
        token = self.token if rng.random() < 0.95 else "no.such.token"
        if dataset.startswith(("out", "hr")):
            MASKED_UPSTREAM.add(mark)
        path = f"/{name}/{dataset}/{version}/rerank"
        (self.over_http2 if rng.random() < 0.3 else self.over_http1)(path, data, headers, token)

    def got(self, response):
        self.answers += response.status > 0
        everything = response.body + b"\n".join(name + b": " + content for name, content in response.headers + response.trailers)
        if found := LEAKED.search(everything):
            self.leaked.append((found.group(), response.status, everything[max(0, found.start() - 80):found.end() + 40]))

    def over_http1(self, path, data, headers, token):
        rng = self.rng
        with Http1(self.gateway.port) as client:
            client._socket.settimeout(4)
            for _ in range(rng.choice([1, 1, 3])):
                is_chunked = rng.random() < 0.3
                whole = self.gateway.request(path, body=data, token=token, headers=headers, transfer="chunked" if is_chunked else "length")
                leaves = rng.random()
                if leaves < 0.1:
                    whole = whole[: rng.randrange(len(whole))]
                at = 0
                while at < len(whole):
                    step = rng.choice([200, 5_000, 1 << 20])
                    client.send(whole[at:at + step])
                    at += step
                    if rng.random() < 0.02:
                        time.sleep(rng.random() * 0.1)
                if leaves < 0.18:
                    time.sleep(rng.choice([0, 0.005, 0.05]))
                    client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                response = client.response()
                self.got(response)
                if not response.whole or response.one("connection") == "close" or response.status == 0:
                    return

    def over_http2(self, path, data, headers, token):
        rng = self.rng
        with Http2(self.gateway.port) as client:
            client._socket.settimeout(4)
            stream = client.headers([
                (":method", "POST"), (":scheme", "http"), (":authority", "gateway.example"), (":path", path),
                ("content-type", "application/json"), ("authorization", f"Bearer {token}"), *headers])
            leaves = rng.random()
            client.body(stream, data if leaves > 0.1 else data + b" ")
            if leaves < 0.2:
                time.sleep(rng.choice([0, 0.005, 0.05]))
                client.reset(stream)
                return
            self.got(client.response(stream))


def one_round(number, rng):
    whole, shape, said = configuration(rng)
    traps = bool(TRAP_WASM) and rng.random() < 0.4
    workers = rng.choice([1, 2])
    said = f"round {number}: {said} workers={workers} traps={traps}"
    print(said, flush=True)
    services = harness.Services()
    most = min(max(whole["limits"]["request_bytes"], whole["limits"]["response_bytes"]), 300_000)
    options = dict(wasm=Path(TRAP_WASM)) if traps else {}
    gateway = harness.Gateway(services, whole, env=ENVIRONMENT, shape=shape, concurrency=workers, stream_idle_timeout="3s", **options)
    try:
        for name in ("cohere", "h2"):
            services.upstreams[name].always(upstream(f"{SEED} {number}", most))
        services.approver.always(approver(f"{SEED} {number}"))
        pid = gateway.envoy.process.pid
        until = time.monotonic() + ROUND
        clients = [Client(gateway, random.Random(f"{SEED} {number} {at}"), at, traps, most) for at in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda client: client.run(until), clients))
        expect_alive(gateway, said, pid, traps)
        leaked = [one for client in clients for one in client.leaked]
        assert not leaked, f"{said}: {len(leaked)} answers had what must not leave, the first {leaked[0]}"
        expect_masked_upstream(services, said)
        expect_records(gateway, services, said, traps, calls=sum(client.calls for client in clients))
        expect_service(gateway, services, said)
        return sum(client.calls for client in clients), sum(client.answers for client in clients), seen_marks(services)
    except BaseException:
        print(gateway.envoy.output[-3000:])
        raise
    finally:
        gateway.close()
        services.close()


def expect_alive(gateway, said, pid, traps):
    assert gateway.envoy.ended() is None and gateway.envoy.process.pid == pid, f"{said}: Envoy ended: {gateway.envoy.ended()}"
    output = gateway.envoy.output
    panics = [line for line in output.splitlines() if "panicked" in line or "already borrowed" in line or "Caught " in line]
    assert traps or not panics, f"{said}: {panics[0]}"
    assert all("stream.rs" in line for line in panics), f"{said}: {panics}"


def expect_masked_upstream(services, said):
    """What goes upstream of a dataset whose requests are masked has no mark, and no request has anybody's token."""
    for server in services.upstreams.values():
        for seen in list(server.seen):
            everything = seen.body + b"".join(name + content for name, content in seen.headers)
            assert b"eyJ" not in everything, f"{said}: a token went upstream"
            if is_masked(seen):
                assert not LEAKED.search(seen.body), f"{said}: unmasked upstream: {seen.body[:200]!r}"


MASKED_UPSTREAM: "set[str]" = set()


def is_masked(seen):
    return seen.json()["query"].split(" ", 1)[0] in MASKED_UPSTREAM


def seen_marks(services):
    return [seen.json()["query"].split(" ", 1)[0] for server in services.upstreams.values() for seen in list(server.seen)]


def expect_records(gateway, services, said, traps, calls):
    """Every call that an upstream saw is on record as sent, under a credential; what is on record as refused was seen by none."""
    def lines():
        return [line for line in gateway.envoy.log_lines() if line["record"]]

    quiet = time.monotonic() + 4
    known = -1
    while time.monotonic() < quiet or known != len(lines()):
        known = len(lines())
        time.sleep(0.2)
        if gateway.envoy.stat("http.rerank.downstream_rq_active") == 0 and known == len(lines()):
            break
    records = [record for line in lines() for record in line["record"]]
    by_mark = {}
    for record in records:
        dataset = (record.get("call") or {}).get("dataset") or record.get("dataset")
        if dataset and "-" in dataset:
            by_mark.setdefault(dataset.split("-", 1)[1], []).append(record)
    marks = seen_marks(services)
    for mark in marks:
        of = by_mark.get(mark, [])
        assert of, f"{said}: an upstream saw {mark}, and there is no record of it"
        assert any(record.get("credential") for record in of), f"{said}: {mark} was seen, and its record names no credential: {of}"
    for mark, of in by_mark.items():
        for record in of:
            # A connection that is kept sends the same call again: then any of them may have been seen.
            if record["type"] != "call" or len(of) > 1:
                continue
            result = record["result"]
            if result["upstream"] in (None, "unreached"):
                assert mark not in marks, f"{said}: {mark} was seen, and its record knows of no upstream: {result}"
            if result["upstream"] == "answered" or result["outcome"] == "served":
                assert mark in marks, f"{said}: {mark} is on record as answered, and no upstream saw it: {result}"
    text = json.dumps(records)
    assert not LEAKED.search(text.encode()), f"{said}: a record has what must not leave"
    if not traps:
        raw = (gateway.envoy.directory / "access.log").read_bytes()
        expect_chain([line for line in raw[: raw.rfind(b"\n") + 1].splitlines() if not line.startswith(b'{"record":[],')])
    assert gateway.leaks() == [], f"{said}: sensitive data in Envoy's log"


def expect_service(gateway, services, said):
    """There is service, and nothing is held any more: a call of the largest size is asked about and served."""
    for server in (services.upstreams["cohere"], services.approver):
        server.always(server.default)
    services.upstreams["cohere"].always(harness.good_results)
    services.approver.always(harness.approved())
    deadline = time.monotonic() + 15
    while True:
        reply = gateway.call("/cohere/hr-last/v2/rerank", logged=False)
        if reply.status == 200:
            return
        assert time.monotonic() < deadline, f"{said}: no service any more: {reply.status} {reply.body[:300]!r}"
        time.sleep(0.1)


def test_whatever_happens_the_gateway_goes_on_masks_and_records():
    print(f"\nCHAOS_SEED={SEED}", flush=True)
    end = time.monotonic() + SECONDS
    number = calls = answers = sent = 0
    # The last round ends soon after the time is over.
    while time.monotonic() < end - ROUND / 2:
        number += 1
        rng = random.Random(f"{SEED} {number}")
        MASKED_UPSTREAM.clear()
        done, got, seen = one_round(number, rng)
        calls, answers, sent = calls + done, answers + got, sent + len(seen)
    print(f"CHAOS_SEED={SEED}: {number} rounds, {calls} calls, {answers} answers, {sent} requests seen upstream", flush=True)
    assert answers > calls / 4 and sent > 0, "hardly a call was answered: this tested nothing"
