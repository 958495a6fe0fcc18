"""How long a policy decision takes, by the number of rules: the filter's own code, compiled to WebAssembly and run in V8, and on
the same rules and calls a plain scan in V8, Cedar, and Rego in regorus. The last two run natively, so they are told faster than
they would be in a filter. See bench/decisions/src/world.rs for what the rules and calls are.

V8 is Node's, with the flags that make it compile everything with its optimising compiler before the program starts, as Envoy
does. What the engines decide is compared call by call: a disagreement ends the run. Times are printed, never asserted.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CRATE = HERE / "decisions"
SIZES = [1_000, 10_000, 100_000]
V8_FLAGS = ["--no-warnings", "--no-liftoff", "--no-wasm-lazy-compilation"]
# µs a decision, by the number of rules; ms and MiB to load.
AIMS = {1_000: 2, 10_000: 5, 100_000: 50}
LOAD_AIM = {10_000: (150, 10)}


class Bench:
    def __init__(self, node: str, directory: Path) -> None:
        self.node, self.directory = node, directory
        self.native = CRATE / "target/release/decisions"
        self.wasm = CRATE / "target/wasm32-wasip1/release/decisions.wasm"

    def v8(self, *arguments: object) -> str:
        command = [self.node, *V8_FLAGS, CRATE / "run.mjs", self.wasm, self.directory, *arguments]
        return run(command)

    def measure(self, engine: str, rules: int, layout: str) -> dict:
        if engine in ("cedar", "rego"):
            return json.loads(run([self.native, engine, rules, layout]))
        bundle = self.directory / "bundle.json"
        if engine == "ours":
            bundle.write_text(run([self.native, "bundle", rules, layout]).rstrip("\n"))
        return json.loads(self.v8(engine, rules, layout, "/bundle.json"))


def run(command: list) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode or not done.stdout:
        sys.exit(f"decisions: {' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def version(package: str) -> str:
    locked = (CRATE / "Cargo.lock").read_text()
    return re.search(rf'name = "{package}"\nversion = "([^"]+)"', locked).group(1)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--node", default="node", help="the Node to run V8 in, 20 or later")
    arguments.add_argument("--quick", action="store_true", help="1,000 rules only")
    chosen = arguments.parse_args()
    names = {
        "ours": "rerank-guard, V8",
        "scan": "plain scan, V8",
        "cedar": f"Cedar {version('cedar-policy')}, native",
        "rego": f"Rego, regorus {version('regorus')}, native",
    }
    v8 = run([chosen.node, "-p", "process.versions.v8"]).strip()
    print(f"a decision in µs (median of rounds over 1,000 calls), V8 {v8}; \"granted\" and \"refused\" are those calls alone")
    print(f"{'rules':>8} {'groups':8} {'engine':30}{'mean':>11}{'granted':>11}{'refused':>11}{'p99':>11}{'load ms':>10}{'MiB':>7}  outcomes: allow, ask, deny")
    with tempfile.TemporaryDirectory(prefix="rerank-guard-decisions-") as directory:
        bench = Bench(chosen.node, Path(directory))
        for layout in ("spread", "crowded"):
            for rules in SIZES[:1] if chosen.quick else SIZES:
                compared: dict[str, str] = {}
                for engine, name in names.items():
                    said = bench.measure(engine, rules, layout)
                    row(rules, layout, name, said)
                    compared[engine] = said["compared"]
                agree(compared, rules, layout)
    aims = ", ".join(f"{rules:,} rules {aim} µs" for rules, aim in AIMS.items())
    print(f"all engines decided the same on the first 200 calls of each bundle, or as many as a slow one decided in 5 s. Aims: {aims}; 10,000 rules load in 150 ms and 10 MiB")
    print("MiB: what the VM's memory grew by, the bundle's text included. p99: single calls, the clock's own cost included.")
    return 0


def row(rules: int, layout: str, name: str, said: dict) -> None:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"

    memory = f"{said['memory'] / (1 << 20):.1f}" if "memory" in said else ""
    times = "".join(f"{number(said[key]):>11}" for key in ("us", "granted_us", "refused_us", "p99_us"))
    outcomes = ", ".join(str(said["outcomes"][one]) for one in ("allow", "ask", "deny"))
    print(f"{rules:>8,} {layout:8} {name:30}{times}{said['load_ms']:>10,.0f}{memory:>7}  {outcomes}", flush=True)


def agree(compared: dict[str, str], rules: int, layout: str) -> None:
    ours = compared["ours"]
    for engine, theirs in compared.items():
        for at, (one, other) in enumerate(zip(ours, theirs)):
            if one != other:
                sys.exit(f"decisions: {rules} rules, {layout}: call {at} is `{one}` for rerank-guard and `{other}` for {engine}")
        if len(theirs) < min(10, len(ours)):
            sys.exit(f"decisions: {rules} rules, {layout}: {engine} decided {len(theirs)} calls only")


if __name__ == "__main__":
    sys.exit(main())
