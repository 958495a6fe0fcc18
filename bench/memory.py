"""Memory of the Envoy process through a load of distinct tokens, each verified: resident set after every tenth of them.

The module remembers verified tokens in a cache of bounded entries and bytes (`callers.cache`), so the process stops growing once
that is full. Tokens are ES256, each for another subject. Numbers are printed, never asserted.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

import callers
from gateways import GROUP, Gateway, guard, plugin, run, write_tokens

import stack  # found by `gateways`

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import people  # noqa: E402


def resident_mib(gateway: Gateway) -> float:
    status = Path(f"/proc/{gateway.envoy.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def measure(directory: Path, binary: Path, count: int) -> None:
    config = plugin(people.ISSUER)
    config["callers"]["issuers"][0]["keys"] = {"inline": people.jwks(people.EC)}
    issuer = stack.Service(binary, "issuer")
    gateway = callers.gateway("rerank-guard", [guard(config, "memory")], issuer)
    part = max(1, count // 10)
    print(f"memory of the Envoy process, one worker, through {count} distinct tokens (cache: 4096 tokens, 16 MiB)")
    print(f"{'tokens':>9}{'resident MiB':>14}{'CPU us each':>13}")
    print(f"{0:>9}{resident_mib(gateway):>14.1f}")
    for turn in range(10):
        expires = int(time.time()) + 3600
        signed = (people.EC.sign(people.claims(f"caller-{turn}-{number}", [GROUP], exp=expires)) for number in range(part))
        cpu = callers.cpu_us(gateway, binary, write_tokens(directory / "tokens.txt", list(signed)), part, "POST", 415)
        print(f"{(turn + 1) * part:>9}{resident_mib(gateway):>14.1f}{cpu:>13.1f}", flush=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tokens", type=int, default=100_000, help="how many (default 100000)")
    chosen = arguments.parse_args()
    return run("memory", lambda directory, binary: measure(directory, binary, chosen.tokens))


if __name__ == "__main__":
    sys.exit(main())
