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
import sys
from pathlib import Path

from gateways import Gateway, GROUP, guard, plugin, run, tokens, write_tokens

import stack  # found by `gateways`
from demo import ISSUER

SIZES = {"5 KB": 5_000, "100 KB": 100_000, "1 MB": 1_000_000}
REQUESTS = {"5 KB": 2_000, "100 KB": 400, "1 MB": 40}
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


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5, help="rounds over all gateways; medians are printed (default 5)")
    arguments.add_argument("--connections", type=int, default=4, help="connections of the load generator (default 4)")
    chosen = arguments.parse_args()
    return run("bench", lambda directory, binary: measure(directory, binary, chosen.rounds, chosen.connections))


def measure(directory: Path, binary: Path, rounds: int, connections: int) -> None:
    issuer = stack.Service(binary, "issuer", "--issuer", ISSUER)
    upstream = stack.Service(binary, "sized")
    body = directory / "request.json"
    documents = [f"Document {n}: terms of carriage, refunds and delays, section {n}." for n in range(30)]
    body.write_text(json.dumps({"model": "rerank-v3.5", "query": "how are delays refunded", "documents": documents}))
    around = ([stack.route("/cohere", "upstream")], [stack.cluster("upstream", upstream.port), stack.cluster("issuer", issuer.port)])
    plain = Gateway("plain proxying", [], *around)
    own = Gateway("jwt_authn + RBAC + Lua", envoys_own(), *around)
    filtered = Gateway("rerank-guard", [guard(plugin(ISSUER), "bench")], *around)
    token = tokens(issuer, 1)[0]
    one = write_tokens(directory / "one.txt", [token])
    contenders = [("plain proxying", plain, False), (own.name, own, False), ("rerank-guard, cached token", filtered, False), ("rerank-guard, new tokens", filtered, True)]
    for _, gateway, _ in contenders[:3]:
        gateway.wait_for(200, f"Bearer {token}", json.loads(body.read_text()), x_size="5000")
    results: dict = {}
    for size, number in SIZES.items():
        options = ["--body", body, "--header", "content-type: application/json", "--header", f"x-size: {number}"]
        for _, gateway, _ in contenders[:3]:
            gateway.load(binary, one, max(20, REQUESTS[size] // 4), *options, connections=connections)
        for turn in range(rounds):
            for name, gateway, fresh in contenders:
                headers = one
                if fresh:
                    # Never seen before, in any round: each of them is verified.
                    headers = write_tokens(directory / f"many-{number}-{turn}.txt", tokens(issuer, REQUESTS[size]))
                said = gateway.load(binary, headers, REQUESTS[size], *options, connections=connections)
                results.setdefault((size, name), []).append(said)
    print_table(results, rounds, connections)


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
