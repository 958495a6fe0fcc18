"""What it costs to know who is calling: CPU of the Envoy process per request, in one run on one Envoy binary.

No upstream and no body: every gateway answers a POST without a body by itself, so that little but the caller is paid for.

  nothing                 Envoy answers 415 (a direct response)
  a filter that does nothing   the same behind an empty wasm filter (bench/empty.rs)
  jwt_authn, ...          the same behind Envoy's own jwt_authn, its token cache off, or on with one token
  rerank-guard, no caller asked   a PUT, which is refused with 405 before the token is looked at
  rerank-guard, ...       a POST, which is refused with 415 right after its caller is known: with one token (verified once, then
                          cached), or with a token that was never seen before for every request

All requests carry a token. Two differences are printed. `asking` is what the question "who is calling?" alone adds: for jwt_authn
over Envoy's direct answer, for this filter over its own refusal before the question, which has the same context, headers, reply,
record and counter. `over empty` is the whole filter over the one that does nothing; it holds the refusal and the record too, which
are not the caller's.

CPU time is the kernel's accounting of Envoy's threads. The gateways take turns, several rounds over. The figures are medians; a
difference is the median of the differences within each round, so that a machine that slows down for a while does not make one.
Nothing is asserted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import bench
from gateways import Gateway, guard, plugin, run, tokens, write_tokens

import stack  # found by `gateways`
from demo import ISSUER

EMPTY = "target/wasm32-wasip1/release/examples/empty.wasm"
ALGORITHMS = ("RS256", "ES256")


def direct() -> dict:
    return {"match": {"prefix": "/"}, "direct_response": {"status": 415, "body": {"inline_string": "{}"}}}


def jwt_authn(cache: bool) -> dict:
    jwt = bench.envoys_own()[0]
    provider = jwt["typed_config"]["providers"]["idp"]
    if not cache:
        provider.pop("jwt_cache_config")
    return jwt


def empty() -> dict:
    path = stack.existing("RERANK_GUARD_EMPTY_WASM", stack.ROOT / EMPTY, "no empty filter: build it with `make bench`")
    return stack.wasm_filter({}, path, "empty")


def gateway(name: str, filters: list, issuer: stack.Service) -> Gateway:
    """Without an upstream."""
    return Gateway(name, filters, [direct()], [stack.cluster("issuer", issuer.port)])


def cpu_us(of: Gateway, binary: Path, headers: Path, requests: int, method: str, status: int) -> float:
    """CPU µs per request."""
    return of.load(binary, headers, requests, "--method", method, "--header", "content-type: text/csv", status=status)["cpu_us"]


def measure(directory: Path, binary: Path, rounds: int, requests: int) -> None:
    issuer = stack.Service(binary, "issuer", "--issuer", ISSUER)
    gateways = {
        "nothing": gateway("nothing", [], issuer),
        "empty": gateway("a filter that does nothing", [empty()], issuer),
        "jwt": gateway("jwt_authn", [jwt_authn(False)], issuer),
        "jwt cached": gateway("jwt_authn with its cache", [jwt_authn(True)], issuer),
        "guard": gateway("rerank-guard", [guard(plugin(ISSUER), "bench")], issuer),
    }
    token = tokens(issuer, 1)[0]
    one = write_tokens(directory / "one.txt", [token])
    for name in ("jwt", "jwt cached", "guard"):
        gateways[name].wait_for(415, f"Bearer {token}", content_type="text/csv")
    results: dict = {}
    for name, method, status in [("nothing", "POST", 415), ("empty", "POST", 415), ("jwt cached", "POST", 415), ("guard", "PUT", 405), ("guard", "POST", 415)]:
        cpu_us(gateways[name], binary, one, requests, method, status)
    for turn in range(rounds):
        fresh = {}
        for algorithm in ALGORITHMS:
            fresh[algorithm] = write_tokens(directory / f"{algorithm}-{turn}.txt", tokens(issuer, requests, algorithm))
        for label, name, headers, method, status in [
            ("nothing", "nothing", one, "POST", 415),
            ("a filter that does nothing", "empty", one, "POST", 415),
            ("jwt_authn, cached token", "jwt cached", one, "POST", 415),
            *((f"jwt_authn, {algorithm}", "jwt", fresh[algorithm], "POST", 415) for algorithm in ALGORITHMS),
            ("rerank-guard, no caller asked", "guard", one, "PUT", 405),
            ("rerank-guard, cached token", "guard", one, "POST", 415),
            *((f"rerank-guard, new {algorithm} token", "guard", fresh[algorithm], "POST", 415) for algorithm in ALGORITHMS),
        ]:
            results.setdefault(label, []).append(cpu_us(gateways[name], binary, headers, requests, method, status))
    report(results, rounds, requests)


def report(results: dict, rounds: int, requests: int) -> None:
    def over(label: str, base: str) -> float:
        return statistics.median(value - of_base for value, of_base in zip(results[label], results[base]))

    print(f"who is calling: CPU of the Envoy process per request in µs, medians of {rounds} rounds of {requests} requests, 4 connections")
    print(f"{'gateway':36}{'CPU':>8}{'min':>8}{'max':>8}{'asking':>9}{'over empty':>12}{'of jwt_authn':>14}")
    for label, cpu in results.items():
        base = "rerank-guard, no caller asked" if label.startswith("rerank") else "nothing"
        asking = "" if label in ("nothing", "a filter that does nothing", "rerank-guard, no caller asked") else f"{over(label, base):.1f}"
        over_empty = f"{over(label, 'a filter that does nothing'):.1f}" if label.startswith("rerank") else ""
        share = ""
        if label.startswith("rerank-guard, new"):
            algorithm = label.split()[2]
            share = f"{over(label, base) / over(f'jwt_authn, {algorithm}', 'nothing'):.2f}"
        print(f"{label:36}{statistics.median(cpu):8.1f}{min(cpu):8.1f}{max(cpu):8.1f}{asking:>9}{over_empty:>12}{share:>14}")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5, help="rounds over all gateways (default 5)")
    arguments.add_argument("--requests", type=int, default=1000, help="requests of each gateway in a round (default 1000)")
    chosen = arguments.parse_args()
    return run("callers", lambda directory, binary: measure(directory, binary, chosen.rounds, chosen.requests))


if __name__ == "__main__":
    sys.exit(main())
