"""Records against what upstreams saw: random calls through random faults, of Envoy, upstreams and callers, on two workers that also
trap and log during calls.

What is claimed of each record, and held against the upstreams' own list of the requests that they read to their end:

- `result.upstream` is `answered`: the call is on the list, and `upstream_status` is what the upstream answered it with last.
- It is `unreached` or null: the call is not on the list.
- It is `unanswered`: no answer came, and the call may be on the list. (The request had a connection, or another attempt before.)
- Nothing is `served` and no `upstream_status` stands anywhere but where it is `answered`; `served` is `ok` for a 2xx alone.
- `status` is what the caller got, if the caller got a whole answer.
- A call on the list has a record, or, where its worker trapped, the draft that went before it.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import people
import pytest
import stack
from gateway import ENVIRONMENT, Gateway, body, expect_chain, plugin, results
from wire import Answer, Http1, Http2, Server, answer_json, head_of

SEED = int(os.environ.get("FAULTS_SEED", "16"))
CALLS = int(os.environ.get("FAULTS_CALLS", "360"))
TRAP = os.environ.get("RERANK_GUARD_TRAP_WASM", "")

# What Envoy does with calls to the dataset `raw-{name}`: a cluster and fields of its route, or a route of another kind.
FAULTS = {
    "none": {"cluster": "cohere"},
    "none-h2": {"cluster": "h2"},
    "timeout": {"cluster": "cohere", "timeout": "0.2s"},
    "retry": {"cluster": "cohere", "retry_policy": {"retry_on": "5xx,reset,connect-failure", "num_retries": 1}},
    "per-try": {"cluster": "cohere", "retry_policy": {"retry_on": "5xx,reset", "num_retries": 1, "per_try_timeout": "0.2s"}},
    "duration": {"cluster": "cohere", "max_stream_duration": {"max_stream_duration": "0.2s"}},
    "idle": {"cluster": "cohere", "idle_timeout": "0.2s"},
    "redirected": {"cluster": "cohere", "internal_redirect_policy": {"max_internal_redirects": 1, "redirect_response_codes": [302]}},
    "missing": {"cluster": "missing"},
    "refused": {"cluster": "dead"},
    "refused-twice": {"cluster": "dead", "retry_policy": {"retry_on": "connect-failure", "num_retries": 1}},
    "full": {"cluster": "full"},
    "empty": {"cluster": "empty"},
    "aborted": {"cluster": "cohere"},
    "limited": {"cluster": "cohere"},
    "direct": {"direct_response": {"status": 503, "body": {"inline_string": "closed for today"}}},
    "direct-ok": {"direct_response": {"status": 200, "body": {"inline_string": "{}"}}},
    "moved": {"redirect": {"path_redirect": "/elsewhere"}},
    "unrouted": {},
    # The route is chosen anew once the cookie has come off.
    "edited": {"cluster": "cohere"},
}
# Here nobody upstream can have seen anything, and the record has to know it.
UNREACHED = {"missing", "refused", "full", "empty", "aborted", "limited", "direct", "direct-ok", "moved", "unrouted", "edited"}
STATUSES = [200, 200, 200, 201, 299, 301, 302, 304, 400, 401, 404, 418, 429, 500, 503, 599]
DEEDS = ["answer"] * 8 + ["text", "reset", "cut", "hang", "large", "heads", "leak", "html", "stream", "stream-cut"]
CALLERS = ["stays"] * 8 + ["h2"] * 4 + ["h2-resets", "leaves", "leaves-body", "stranger", "nobody", "not-a-call"]


class Upstreams:
    """Both upstreams: what each was told to do is in the query, and what it did is kept."""

    def __init__(self) -> None:
        self.did: dict[str, list[int]] = {}
        self.lock = threading.Lock()

    def answer(self, request):
        order = json.loads(request.json()["query"])
        answer = self.deed(order)
        with self.lock:
            self.did.setdefault(order["mark"], []).append(answer.status)
        return answer

    @staticmethod
    def deed(order) -> Answer:
        status, deed = order["status"], order["deed"]
        lines = [b'{"index":0,"relevance_score":0.5}\n'] * 3
        ndjson = [("content-type", "application/x-ndjson")]
        answers = {
            "text": lambda: Answer(status=status, headers=[("content-type", "text/plain")], body=b"no"),
            "reset": lambda: Answer(status=status, reset=True),
            "cut": lambda: answer_json(results(0.5), status, cut=9),
            "hang": lambda: answer_json(results(0.5), status, hold=threading.Event()),
            "large": lambda: answer_json(b'{"a":"%s"}' % (b"x" * 300_000), status),
            "heads": lambda: answer_json(results(0.5), status, headers=[("x-large", "h" * 90_000)]),
            "leak": lambda: answer_json({"key": ENVIRONMENT["COHERE_SECRET"]}, status),
            "html": lambda: Answer(status=status, headers=[("content-type", "text/html")], body=b"<p>"),
            "stream": lambda: Answer(status=status, headers=ndjson, pieces=lines),
            "stream-cut": lambda: Answer(status=status, headers=ndjson, pieces=lines, cut=1),
            "answer": lambda: answer_json(results(0.5), status, headers=[("location", "/cohere/raw-none/v2/rerank")]),
        }
        answer = answers[deed]()
        if status == 304:
            answer.body, answer.pieces, answer.cut = b"", None, None
        return answer


def routes() -> list:
    made = []
    for name, fields in FAULTS.items():
        match = {"prefix": f"/cohere/raw-{name}/"}
        if "cluster" in fields:
            route = {"match": match, "route": {"timeout": "3s", **fields}}
        elif fields:
            route = {"match": match, **fields}
        else:
            continue
        if name == "aborted":
            route["typed_per_filter_config"] = {"envoy.filters.http.fault": {
                "@type": stack.typed("filters.http.fault.v3.HTTPFault"), "abort": {"http_status": 503, "percentage": {"numerator": 100}}}}
        if name == "limited":
            route["typed_per_filter_config"] = {"envoy.filters.http.local_ratelimit": {
                "@type": stack.typed("filters.http.local_ratelimit.v3.LocalRateLimit"), "stat_prefix": "limited",
                "token_bucket": {"max_tokens": 1, "fill_interval": "600s"},
                "filter_enabled": {"default_value": {"numerator": 100}}, "filter_enforced": {"default_value": {"numerator": 100}}}}
        made.append(route)
        if name == "edited":
            made.append({"match": match, "direct_response": {"status": 503}})
            route["match"] = {**match, "headers": [{"name": "cookie", "present_match": True}]}
    return made


def shape(config: dict) -> None:
    """Faults behind the guard, routes of every kind, and an access log that also speaks during calls."""
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["route_config"] = {"validate_clusters": False, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes()}]}
    router = manager["http_filters"].pop()
    for name, kind in (("fault", "fault.v3.HTTPFault"), ("local_ratelimit", "local_ratelimit.v3.LocalRateLimit")):
        settings = {"@type": stack.typed(f"filters.http.{kind}"), **({"stat_prefix": "none"} if name == "local_ratelimit" else {})}
        manager["http_filters"].append({"name": f"envoy.filters.http.{name}", "typed_config": settings})
    manager["http_filters"].append(router)
    manager["access_log_options"] = {"flush_access_log_on_new_request": True, "access_log_flush_interval": "0.05s"}


def clusters(services, dead: Server) -> list:
    full = stack.cluster("full", services.upstreams["cohere"].port)
    full["circuit_breakers"] = {"thresholds": [{"max_requests": 0, "max_pending_requests": 0}]}
    empty = {"name": "empty", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {"cluster_name": "empty"}}
    return [stack.cluster("dead", dead.port), full, empty]


def configuration() -> dict:
    route = {"path": "/cohere/{dataset}/v2/rerank", "dialect": "cohere-v2", "dataset": {"segment": "dataset"}, "streams": True,
             "clusters": ["cohere", "h2", "dead", "full", "empty", "missing"], "credentials": ["cohere"]}
    return plugin(routes=[route])


class Call:
    """One call: what it meets, and what came of it."""

    def __init__(self, chance: random.Random, number: int):
        self.mark = f"call-{number}"
        self.fault, self.deed, self.caller = chance.choice(list(FAULTS)), chance.choice(DEEDS), chance.choice(CALLERS)
        if chance.random() < 0.5:
            self.fault = chance.choice(["none", "none-h2"])
        if self.fault == "none-h2" and self.deed not in ("text", "leak", "html"):
            # One thread serves all streams of a connection: it neither hangs nor cuts one off.
            self.deed = "answer"
        if self.caller in ("leaves", "h2-resets") and chance.random() < 0.5:
            self.fault, self.deed = "none", "hang"
        self.status = chance.choice(STATUSES)
        self.got: "int | None" = None
        self.padding = "x" * chance.choice([0, 0, 5_000])

    def __repr__(self) -> str:
        return f"{self.mark}: {self.fault}, {self.deed} {self.status}, {self.caller}"

    def request(self) -> tuple:
        order = {"mark": self.mark, "deed": self.deed, "status": self.status}
        content = json.dumps(body(query=json.dumps(order), documents=["one", self.padding])).encode()
        if self.caller == "not-a-call":
            content = b"{}"
        token = people.token(self.mark, ["grp-cooks" if self.caller == "stranger" else "grp-search"])
        return f"/cohere/raw-{self.fault}/v2/rerank", content, None if self.caller == "nobody" else token

    def run(self, port: int) -> None:
        path, content, token = self.request()
        if self.caller.startswith("h2"):
            return self.run_h2(port, path, content, token)
        data = Gateway.request(path, body=content, token=token, headers=[("cookie", "a=b")])
        with Http1(port) as client:
            client.send(data[:-10] if self.caller == "leaves-body" else data)
            if self.caller.startswith("leaves"):
                time.sleep(0.05)
                return
            try:
                response = client.response()
            except TimeoutError:
                raise AssertionError(f"{self}: the call does not end") from None
        self.got = response.status if response.whole else None

    def run_h2(self, port: int, path: str, content: bytes, token: str) -> None:
        client = Http2(port)
        try:
            stream = client.headers([
                (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "gateway.example"),
                ("content-type", "application/json"), ("authorization", f"Bearer {token}"), ("cookie", "a=b")])
            client.data(stream, content, end=True)
            if self.caller == "h2-resets":
                time.sleep(0.05)
                client.reset(stream)
                return
            response = client.response(stream)
            self.got = response.status if response.whole else None
        finally:
            client.close()


def trap(port: int) -> None:
    with Http1(port) as client:
        client.send(Gateway.request(body=b"{}", headers=[("x-test-trap", "1")]))
        client.response()


def until_served(gateway: Gateway) -> None:
    """Until both workers can verify tokens (again)."""
    deadline, good = time.monotonic() + 20, 0
    while good < 8:
        assert time.monotonic() < deadline, "no worker has keys"
        with Http1(gateway.port) as client:
            client.send(gateway.request("/cohere/raw-none/v2/rerank", body={"no": "call"}))
            good = good + 1 if client.response().status == 422 else 0


@pytest.fixture
def faulty(services):
    upstreams, dead = Upstreams(), Server("nobody", lambda _: Answer(), listening=False)
    for name in ("cohere", "h2"):
        services.upstreams[name].always(upstreams.answer)
    wasm = Path(TRAP) if Path(TRAP).is_file() else None
    gateway = Gateway(services, configuration(), wasm=wasm, ready=False, clusters=clusters(services, dead), shape=shape, concurrency=2,
                      stream_idle_timeout="4s")
    try:
        until_served(gateway)
        yield gateway, upstreams, wasm is not None
    finally:
        gateway.close()
        dead.close()


def test_records_say_what_upstreams_saw_whatever_happens(faulty):
    gateway, upstreams, traps = faulty
    chance = random.Random(SEED)
    calls = [Call(chance, number) for number in range(CALLS)]
    rounds = [calls[at::3] for at in range(3)]
    with ThreadPoolExecutor(8) as pool:
        for number, part in enumerate(rounds):
            running = [pool.submit(call.run, gateway.port) for call in part]
            if traps and number:
                time.sleep(0.3)
                trap(gateway.port)
            for one in running:
                one.result()
            until_served(gateway)
    assert gateway.envoy.ended() is None, "Envoy ended"
    lines = settled(gateway)
    final, drafts, early = told(lines)
    assert early > CALLS, "Envoy did not log during calls"
    seen = set(upstreams.did)
    outcomes, wrong = Counter(), []
    for call in calls:
        record = final.get(call.mark)
        if record is None:
            # Nobody was proved, or the worker trapped.
            assert call.mark not in seen or (traps and call.mark in drafts), f"{call}: on the list, and in no record"
            continue
        try:
            expect_told(call, record, upstreams.did.get(call.mark))
        except AssertionError as other:
            wrong.append(str(other))
        outcomes[record["result"]["outcome"], record["result"]["upstream"]] += 1
    assert wrong == [], f"{len(wrong)} records say something else:\n" + "\n".join(wrong[:9])
    expect_counted(gateway, lines)
    expect_verified(gateway, traps)
    for outcome in [("served", "answered"), ("failed", "unreached"), ("failed", "unanswered"), ("aborted", "unanswered"), ("forbidden", None)]:
        assert outcomes[outcome], f"no call was {outcome}: {outcomes}"
    assert gateway.leaks() == []


def expect_told(call, record, answers) -> None:
    """One record against one entry of the upstreams' list."""
    result, line = record["result"], record["line"]
    upstream, context = result["upstream"], f"{call}: {result}, upstreams answered {answers}, Envoy {line}"
    assert upstream in ("answered", "unanswered", "unreached", None), context
    if answers is not None:
        assert upstream in ("answered", "unanswered"), f"on the list: {context}"
    if upstream == "answered":
        assert answers and result["upstream_status"] == answers[-1], context
    else:
        assert result["upstream_status"] is result["upstream_ms"] is None and result["outcome"] != "served", context
    assert (result["reason"] == "ok") == (result["outcome"] == "served" and 200 <= result["upstream_status"] < 300), context
    if call.got is not None and result["reason"] != "internal-redirect":
        # Envoy runs a redirect it follows as another stream, which is refused: it has no token of a caller.
        assert result["status"] == call.got == line["code"], context
    if line["details"] == "via_upstream":
        assert upstream == "answered", context
    assert (record["credential"] is not None) == (upstream is not None), context
    if upstream is not None and call.fault in UNREACHED and not (call.fault == "limited" and answers):
        assert upstream == "unreached", context
        assert result["outcome"] in ("failed", "aborted", "unmaskable-response"), context
    stays = call.caller in ("stays", "h2") and line["details"] != "wasm_fail_stream"
    if stays and call.fault in ("none", "none-h2") and call.deed in ("answer", "leak", "html", "stream") and answers:
        assert upstream == "answered", context
    if call.caller in ("stranger", "not-a-call", "leaves-body"):
        assert upstream is None, context


def settled(gateway) -> list:
    """The access log, once every stream has ended."""
    gateway.envoy.wait(lambda: gateway.envoy.stat("http.rerank.downstream_rq_active") == 0, "end of all streams")
    count = -1
    while count != len(gateway.envoy.log_lines()):
        count = len(gateway.envoy.log_lines())
        time.sleep(0.3)
    return gateway.envoy.log_lines()


def told(lines) -> tuple:
    """Records and drafts by caller, and how many lines were written before the end of their stream."""
    final, drafts, early = {}, {}, 0
    for line in lines:
        early += line["envoy"]["log"] != "DownstreamEnd"
        for record in line["record"]:
            name = (record.get("actor") or {}).get("sub") or record.get("sub")
            if record["type"] == "sent":
                drafts[name] = record
            elif name:
                assert name == "ann" or name not in final, f"two records of {name}"
                final[name] = {**record, "line": line["envoy"]}
    return final, drafts, early


def expect_counted(gateway, lines) -> None:
    """Counters count the same outcomes as the records. (A worker that traps has counted what it recorded.)"""
    records = [record["result"] for line in lines for record in line["record"] if record["type"] == "call"]
    wanted = Counter(f"{result['outcome']}.reason.{result['reason']}" for result in records)
    found = {}
    for line in gateway.envoy.admin("/stats?filter=rerank_guard.calls").splitlines():
        name, count = line.rsplit(": ", 1)
        found[name.removeprefix("wasmcustom.rerank_guard.calls.outcome.")] = int(count)
        assert re.fullmatch(r"[a-z-]+\.reason\.[a-z0-9-]+", name.removeprefix("wasmcustom.rerank_guard.calls.outcome.")), name
    assert found == dict(wanted)


def expect_verified(gateway, traps) -> None:
    """The chains hold, and the tool finds nothing but what a trap left."""
    log = gateway.envoy.directory / "access.log"
    sealed = [line for line in log.read_bytes().splitlines() if b'"hash":"' in line]
    assert len(expect_chain(sealed)) >= 2
    tool = Path(os.environ.get("RERANK_GUARD_TOOLS") or stack.ROOT / "target/debug") / "rerank-guard"
    verified = subprocess.run([tool, "--output", "json", "audit", "verify", log], capture_output=True, text=True, timeout=60)
    findings = Counter(found["kind"] for found in json.loads(verified.stdout)["findings"])
    assert set(findings) <= ({"trap", "draft", "unrecorded"} if traps else set()), findings
