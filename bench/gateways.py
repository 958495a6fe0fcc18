"""How the benchmarks measure: gateways with this filter or without, tokens for them, a load, and the CPU time it took.

CPU time is the kernel's own accounting of Envoy's threads (/proc/PID/task/*/schedstat), not wall time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "demo"))
import stack  # noqa: E402
from demo import TOOLS, request  # noqa: E402

SECRET = "bench-0123456789abcdef"
PATH = "/cohere/web-docs/v2/rerank"
GROUP = "grp-search-analysts"


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
        "origins": ["http://127.0.0.1:*"],
        "routes": [{"path": "/cohere/{dataset}/v2/rerank", "dialect": "cohere-v2", "clusters": ["upstream"], "host": "api.cohere.com",
                    "dataset": {"segment": "dataset"}, "credentials": ["bench"]}],
        "credentials": {"bench": {"env": "BENCH_KEY", "prefix": "Bearer "}},
    }


def guard(plugin: dict, vm_id: str) -> dict:
    """This filter."""
    return stack.wasm_filter(plugin, stack.module(), vm_id, ["BENCH_KEY"])


class Gateway:
    """One Envoy, to be measured."""

    def __init__(self, name: str, filters: Sequence[dict], routes: Sequence[dict], clusters: Sequence[dict]) -> None:
        self.name = name
        config = stack.envoy_config(filters=filters, routes=routes, clusters=clusters)
        self.envoy = stack.Envoy(config, env={"BENCH_KEY": SECRET})

    def cpu_ns(self) -> int:
        """Nanoseconds on a processor, all threads of the process together."""
        tasks = Path(f"/proc/{self.envoy.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def load(self, binary: Path, header_sets: Path, requests: int, *options: object, status: int = 200, connections: int = 4) -> dict:
        """Sends `requests` with the header sets of a file in turn; what the load generator says, and `cpu_us` of each request."""
        command = [binary, "load", "--url", self.envoy.url + PATH, "--header-file", header_sets, "--connections", connections,
                   "--requests", requests, "--warmup", 0, "--expect", status, *options]
        before = self.cpu_ns()
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
        said = json.loads(done.stdout.splitlines()[-1])
        said["cpu_us"] = (self.cpu_ns() - before) / 1000 / requests
        if said["errors"]:
            raise stack.StackError(f"{self.name}: answers were not {status}: {said['errors']}\n{self.envoy.output[-2000:]}")
        return said

    def wait_for(self, status: int, bearer: str, body: Optional[dict] = None, **headers: str) -> None:
        """Waits until the gateway answers so: it has its keys then."""
        headers = {"authorization": bearer, **{name.replace("_", "-"): value for name, value in headers.items()}}
        address = f"127.0.0.1:{self.envoy.port}"
        self.envoy.wait(lambda: request(address, "POST", PATH, body, headers).status == status, f"answer with status {status}")


def tokens(issuer: stack.Service, count: int, algorithm: str = "RS256") -> list:
    """Tokens of as many callers."""
    wanted = {"groups": [GROUP], "aud": "rerank-guard", "ttl_s": 3600, "alg": algorithm}
    return [request(issuer.address, "POST", "/token", {**wanted, "sub": f"caller-{n}"}).json["access_token"] for n in range(count)]


def write_tokens(path: Path, all_of_them: Sequence[str]) -> Path:
    """A file of header sets, one token a line."""
    path.write_text("".join(f"authorization: Bearer {token}\n" for token in all_of_them))
    return path


def run(name: str, measure: Callable[[Path, Path], None]) -> int:
    """Runs `measure` with a directory of its own and the demo's programs, and ends all that it started."""
    stack.end_on_signals()
    try:
        binary = stack.existing("RERANK_GUARD_DEMO", TOOLS / "rerank-guard-demo", "no demo programs: build them with `make tools`")
        with tempfile.TemporaryDirectory(prefix=f"rerank-guard-{name}-") as directory:
            measure(Path(directory), binary)
    except stack.StackError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    finally:
        stack.Program.stop_all()
    return 0
