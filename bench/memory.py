"""Memory of the Envoy process through a load of distinct tokens, each verified: resident set after every tenth of them.

The module remembers verified tokens in a cache of bounded entries and bytes (`callers.cache`), so the process stops growing once
that is full. Tokens are ES256, each for another subject. Numbers are printed, never asserted.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import bench
import stack  # found by `bench`

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import callers  # noqa: E402
import people  # noqa: E402
from demo import TOOLS  # noqa: E402


def resident_mib(gateway: callers.Gateway) -> float:
    status = Path(f"/proc/{gateway.envoy.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def measure(directory: Path, binary: Path, count: int) -> None:
    plugin = bench.plugin(people.ISSUER)
    plugin["callers"]["issuers"][0]["keys"] = {"inline": people.jwks(people.EC)}
    guard = stack.wasm_filter(plugin, stack.module(), "memory", ["BENCH_KEY"])
    issuer = stack.Service(binary, "issuer")
    gateway = callers.Gateway("rerank-guard", [guard], issuer)
    part = max(1, count // 10)
    print(f"memory of the Envoy process, one worker, through {count} distinct tokens (cache: 4096 tokens, 16 MiB)")
    print(f"{'tokens':>9}{'resident MiB':>14}{'CPU us each':>13}")
    print(f"{0:>9}{resident_mib(gateway):>14.1f}")
    for turn in range(10):
        tokens = directory / "tokens.txt"
        with open(tokens, "w", encoding="utf-8") as file:
            for number in range(part):
                token = people.EC.sign(people.claims(f"caller-{turn}-{number}", [bench.GROUP], exp=int(time.time()) + 3600))
                file.write(f"authorization: Bearer {token}\n")
        cpu = gateway.run(binary, tokens, part, "POST", 415)
        print(f"{(turn + 1) * part:>9}{resident_mib(gateway):>14.1f}{cpu:>13.1f}", flush=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tokens", type=int, default=100_000, help="how many (default 100000)")
    chosen = arguments.parse_args()
    stack.end_on_signals()
    try:
        binary = stack.existing("RERANK_GUARD_DEMO", TOOLS / "rerank-guard-demo", "no demo programs: build them with `make tools`")
        with tempfile.TemporaryDirectory(prefix="rerank-guard-memory-") as directory:
            measure(Path(directory), binary, chosen.tokens)
    except stack.StackError as error:
        print(f"memory: {error}", file=sys.stderr)
        return 1
    finally:
        stack.Program.stop_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
