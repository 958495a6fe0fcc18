"""Memory of the Envoy process while many large calls wait: for people, and for the end of a stream that a mask may refuse. Run by
`make memory`.

1,100 callers at once each send a call of 1 MiB that people are asked about, and 300 answers of 3.7 MiB are streams under a `deny` mask
that do not end. Without a budget this is more than 1 GiB, of which a module has no more. With one, calls beyond it get 503, the rest
waits, and other calls are served meanwhile."""

from __future__ import annotations

import copy
import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

import gateway as harness
import people
from gateway import BUNDLE, ROUTES, body, plugin
from wire import Answer, Http1

ASKED, STREAMS = 1_100, 300
CALL, STREAM = 1_000_000, 3_700_000


def resident(envoy) -> int:
    """The process's resident memory, in MiB."""
    for line in Path(f"/proc/{envoy.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    return 0


def configuration() -> dict:
    bundle = copy.deepcopy(BUNDLE)
    bundle["masks"]["few"] = {"detect": ["email"], "deny": {"above": 3}}
    bundle["rules"].append({"id": "few", "guard": {"datasets": ["web-*"]}, "require": {"masks": ["few"]}})
    routes = [{**route, "streams": True} for route in copy.deepcopy(ROUTES)]
    approver = {**plugin()["approver"], "timeout": "25s", "wait": "20s"}
    return plugin(bundle={"inline": bundle}, routes=routes, limits={}, approver=approver)


def shape(config: dict) -> None:
    listener = config["static_resources"]["listeners"][0]
    listener["per_connection_buffer_limit_bytes"] = 8 << 20
    for cluster in config["static_resources"]["clusters"]:
        cluster["circuit_breakers"] = {"thresholds": [{"max_connections": 4_000, "max_pending_requests": 4_000, "max_requests": 4_000}]}


def many(count: int, send) -> list[int]:
    """So many calls at once, and what became of each; 0 for those that still wait."""
    statuses = [0] * count

    def one(number: int) -> None:
        try:
            statuses[number] = send()
        except (OSError, AssertionError):
            statuses[number] = -1

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    return statuses


def told(name: str, statuses: list[int], gateway, begun: int) -> None:
    kinds = {kind: statuses.count(kind) for kind in sorted(set(statuses))}
    waiting = kinds.pop(0, 0)
    reply = gateway.call(logged=False)
    print(f"{name}: {waiting} wait, answered {kinds}; another call {reply.status}; resident {begun} MiB before, {resident(gateway.envoy)} MiB now",
          flush=True)


def main() -> None:
    services = harness.Services()
    release = threading.Event()
    services.approver.always(lambda _: Answer(500, hold=release))
    documents = body(documents=["x" * CALL])
    token = people.token()
    with harness.Gateway(services, configuration(), shape=shape) as gateway:
        begun = resident(gateway.envoy)

        def call(path: str, content: dict) -> int:
            with Http1(gateway.port) as client:
                client._socket.settimeout(40)
                client.send(gateway.request(path, body=content, token=token))
                return client.response().status

        asked = many(ASKED, lambda: call(harness.HR, documents))
        time.sleep(8)
        told(f"{ASKED} calls of 1 MB wait for an approval", asked, gateway, begun)
        release.set()
        time.sleep(3)
        told("after the approver's answer", asked, gateway, begun)

        def endless(_request):
            def parts():
                record = json.dumps({"text": "y" * 60_000}).encode() + b"\n"
                for _ in range(STREAM // len(record)):
                    yield record
                ended.wait(30)

            return Answer(200, [("content-type", "application/x-ndjson")], pieces=parts())

        ended = threading.Event()
        services.upstreams["cohere"].always(lambda request: endless(request) if b"mark" in request.body else harness.good_results(request))
        streams = many(STREAMS, lambda: call(harness.COHERE, body(query="mark")))
        time.sleep(8)
        told(f"{STREAMS} streams of 3.7 MB under a deny mask", streams, gateway, begun)
        ended.set()
        time.sleep(3)
        told("after their end", streams, gateway, begun)
        reloads = gateway.envoy.stat("wasm.rerank_guard.vm_reload_success")
        print(f"modules that had to be made anew: {reloads}; Envoy ended: {gateway.envoy.ended()}")
    services.close()


if __name__ == "__main__":
    main()
