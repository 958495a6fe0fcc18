"""What the filter costs: CPU of the Envoy process per request, in one run on one Envoy binary, as a difference to plain proxying.

Four gateways in front of the same upstream, which answers every POST at once with a prepared rerank response: plain proxying;
Envoy's own jwt_authn, RBAC and a Lua filter with three masks; this filter with one token (verified once, then cached); this
filter with a new token for every request. They take turns, several rounds over, so that a machine that slows down slows all of
them. The CPU time is the kernel's own accounting of Envoy's threads (/proc/PID/task/*/schedstat), not wall time.

Numbers are printed, never asserted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "demo"))
import stack  # noqa: E402
from demo import ISSUER, TOOLS, request  # noqa: E402

SIZES = {"5 KB": 5_000, "100 KB": 100_000, "1 MB": 1_000_000}
REQUESTS = {"5 KB": 2_000, "100 KB": 400, "1 MB": 40}
SECRET = "bench-0123456789abcdef"
PATH = "/cohere/web-docs/v2/rerank"
GROUP = "grp-search-analysts"

# The masks that people write in Envoy's Lua: an e-mail address, a US social security number, a payment card.
LUA = r"""
function envoy_on_response(handle)
  local body = handle:body()
  if body == nil then return end
  local text = body:getBytes(0, body:length())
  text = text:gsub("[%w._%%+-]+@[%w.-]+%.%a%a+", "[email]")
  text = text:gsub("%d%d%d%-%d%d%-%d%d%d%d", "[us_ssn]")
  text = text:gsub("%d%d%d%d[ -]?%d%d%d%d[ -]?%d%d%d%d[ -]?%d%d%d%d", "[credit_card]")
  handle:headers():replace("content-length", body:setBytes(text))
end
"""


def plugin(issuer: str) -> dict:
    """The filter's configuration: one issuer, one route, the six kinds of masks."""
    bundle = {
        "schema": "rerank-guard/v1",
        "bundle": {"id": "bench", "serial": 1, "not_after": "2036-01-01"},
        "groups": {"analysts": [GROUP]},
        "credentials": {"bench": {}},
        "masks": {"pii": {"detect": ["email", "phone", "credit_card", "iban", "us_ssn", "ip_address"]}},
        "rules": [
            {"id": "mask", "guard": {}, "require": {"masks": ["pii"]}},
            {
                "id": "analysts",
                "allow": {"groups": ["analysts"], "models": ["rerank-*"], "datasets": ["web-*"], "operations": ["rerank"]},
                "use": "bench",
            },
        ],
    }
    return {
        "gateway": "bench",
        "bundle": {"inline": bundle},
        "callers": {
            "issuers": [{"issuer": issuer, "audiences": ["rerank-guard"], "keys": {"jwks": {"cluster": "issuer", "authority": "idp.example", "path": "/jwks.json"}}}]
        },
        "routes": [{"path": "/cohere/{dataset}/v2/rerank", "dialect": "cohere-v2", "dataset": {"segment": "dataset"}, "credentials": ["bench"]}],
        "credentials": {"bench": {"env": "BENCH_KEY", "prefix": "Bearer "}},
    }


def envoys_own() -> list:
    """jwt_authn with its token cache on, RBAC on the group, Lua for the masks."""
    jwt = {
        "@type": stack.typed("filters.http.jwt_authn.v3.JwtAuthentication"),
        "providers": {
            "idp": {
                "issuer": ISSUER,
                "audiences": ["rerank-guard"],
                "payload_in_metadata": "claims",
                "jwt_cache_config": {"jwt_cache_size": 1000},
                "remote_jwks": {"http_uri": {"uri": "http://idp.example/jwks.json", "cluster": "issuer", "timeout": "2s"}, "async_fetch": {}},
            }
        },
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
    }
    groups = {
        "metadata": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "claims"}, {"key": "groups"}],
            "value": {"list_match": {"one_of": {"string_match": {"exact": GROUP}}}},
        }
    }
    rbac = {
        "@type": stack.typed("filters.http.rbac.v3.RBAC"),
        "rules": {"action": "ALLOW", "policies": {"analysts": {"permissions": [{"url_path": {"path": {"prefix": "/cohere/"}}}], "principals": [groups]}}},
    }
    lua = {"@type": stack.typed("filters.http.lua.v3.Lua"), "default_source_code": {"inline_string": LUA}}
    return [
        {"name": "envoy.filters.http.jwt_authn", "typed_config": jwt},
        {"name": "envoy.filters.http.rbac", "typed_config": rbac},
        {"name": "envoy.filters.http.lua", "typed_config": lua},
    ]


class Gateway:
    """One Envoy of the comparison."""

    def __init__(self, name: str, filters: list, upstream: stack.Service, issuer: stack.Service) -> None:
        self.name = name
        config = stack.envoy_config(
            filters=filters,
            routes=[stack.route("/cohere", "upstream")],
            clusters=[stack.cluster("upstream", upstream.port), stack.cluster("issuer", issuer.port)],
        )
        self.envoy = stack.Envoy(config, env={"BENCH_KEY": SECRET})

    def cpu_ns(self) -> int:
        """Nanoseconds on a processor, all threads of the process together."""
        tasks = Path(f"/proc/{self.envoy.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def load(self, binary: Path, size: int, requests: int, headers: Path, body: Path, connections: int) -> dict:
        command = [
            binary, "load", "--url", self.envoy.url + PATH, "--body", body, "--header", "content-type: application/json",
            "--header", f"x-size: {size}", "--header-file", headers, "--connections", connections, "--requests", requests, "--warmup", "0",
        ]
        before = self.cpu_ns()
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
        said = json.loads(done.stdout.splitlines()[-1])
        said["cpu_us"] = (self.cpu_ns() - before) / 1000 / requests
        if said["errors"]:
            raise stack.StackError(f"{self.name}: answers were not 200: {said['errors']}\n{self.envoy.output}")
        return said


def tokens(issuer: stack.Service, count: int) -> list:
    wanted = {"groups": [GROUP], "aud": "rerank-guard", "ttl_s": 3600}
    return [request(issuer.address, "POST", "/token", {**wanted, "sub": f"caller-{n}"}).json["access_token"] for n in range(count)]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5, help="rounds over all gateways; medians are printed (default 5)")
    arguments.add_argument("--connections", type=int, default=4, help="connections of the load generator (default 4)")
    chosen = arguments.parse_args()
    stack.end_on_signals()
    binary = stack.existing("RERANK_GUARD_DEMO", TOOLS / "rerank-guard-demo", "no demo programs: build them with `make tools`")
    try:
        with tempfile.TemporaryDirectory(prefix="rerank-guard-bench-") as directory:
            measure(Path(directory), binary, chosen.rounds, chosen.connections)
    except stack.StackError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        stack.Program.stop_all()
    return 0


def measure(directory: Path, binary: Path, rounds: int, connections: int) -> None:
    issuer = stack.Service(binary, "issuer", "--issuer", ISSUER)
    upstream = stack.Service(binary, "sized")
    body = directory / "request.json"
    documents = [f"Document {n}: terms of carriage, refunds and delays, section {n}." for n in range(30)]
    body.write_text(json.dumps({"model": "rerank-v3.5", "query": "how are delays refunded", "documents": documents}))
    guard = stack.wasm_filter(plugin(ISSUER), stack.module(), "bench", ["BENCH_KEY"])
    plain = Gateway("plain proxying", [], upstream, issuer)
    own = Gateway("jwt_authn + RBAC + Lua", envoys_own(), upstream, issuer)
    filtered = Gateway("rerank-guard", [guard], upstream, issuer)
    one = directory / "one.txt"
    one.write_text(f"authorization: Bearer {tokens(issuer, 1)[0]}\n")
    contenders = [("plain proxying", plain, False), (own.name, own, False), ("rerank-guard, cached token", filtered, False), ("rerank-guard, new tokens", filtered, True)]
    for _, gateway, _ in contenders[:3]:
        first_answer(gateway, one.read_text().strip().split(": ", 1)[1], json.loads(body.read_text()))
    results: dict = {}
    for size, number in SIZES.items():
        for _, gateway, _ in contenders[:3]:
            gateway.load(binary, number, max(20, REQUESTS[size] // 4), one, body, connections)
        for turn in range(rounds):
            for name, gateway, fresh in contenders:
                headers = one
                if fresh:
                    # Never seen before, in any round: each of them is verified.
                    headers = directory / f"many-{number}-{turn}.txt"
                    headers.write_text("".join(f"authorization: Bearer {token}\n" for token in tokens(issuer, REQUESTS[size])))
                said = gateway.load(binary, number, REQUESTS[size], headers, body, connections)
                results.setdefault((size, name), []).append(said)
    print_table(results, rounds, connections)


def first_answer(gateway: Gateway, bearer: str, body: dict) -> None:
    """Waits until the gateway has its keys."""
    headers = {"authorization": bearer, "x-size": "5000"}

    def answered() -> bool:
        return request(f"127.0.0.1:{gateway.envoy.port}", "POST", PATH, body, headers).status == 200

    gateway.envoy.wait(answered, "answer with status 200")


def print_table(results: dict, rounds: int, connections: int) -> None:
    def median(size: str, name: str, what: str) -> float:
        return statistics.median(said[what] for said in results[size, name])

    print(f"CPU of the Envoy process per request in µs, medians of {rounds} rounds; p50 and p99 of the wall time in µs, {connections} connections")
    print(f"{'response':9}{'gateway':29}{'CPU':>9}{'min':>9}{'max':>9}{'over plain':>12}{'of Lua chain':>14}{'p50':>9}{'p99':>9}")
    for size in SIZES:
        base = median(size, "plain proxying", "cpu_us")
        chain = median(size, "jwt_authn + RBAC + Lua", "cpu_us") - base
        for name in [name for at, name in results if at == size]:
            cpu = median(size, name, "cpu_us")
            all_cpu = [said["cpu_us"] for said in results[size, name]]
            over = cpu - base
            share = f"{over / chain:.2f}" if name.startswith("rerank") else ""
            print(
                f"{size:9}{name:29}{cpu:9.1f}{min(all_cpu):9.1f}{max(all_cpu):9.1f}{over:12.1f}{share:>14}"
                f"{median(size, name, 'p50_us'):9.0f}{median(size, name, 'p99_us'):9.0f}"
            )


if __name__ == "__main__":
    sys.exit(main())
