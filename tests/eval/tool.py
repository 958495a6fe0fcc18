"""Runs `rerank-guard mask --report` and reads what it found."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

TOOL = Path(os.environ.get("RERANK_GUARD_TOOLS", "target/debug")) / "rerank-guard"


class Span(NamedTuple):
    """A finding or a label, in code points."""

    start: int
    end: int
    kind: str

    def meets(self, other: "Span") -> bool:
        return self.kind == other.kind and self.start < other.end and other.start < self.end


def find(values: list, kinds: str = "") -> list[list[tuple[str, Span]]]:
    """For each JSON value, what was found: the pointer of the string or number, and the span in it."""
    lines = "".join(json.dumps(value) + "\n" for value in values)
    command = [str(TOOL), "mask", "--lines", "--report", "--output", "json", *(["--detect", kinds] if kinds else [])]
    ran = subprocess.run(command, input=lines.encode(), capture_output=True, check=False)
    told = json.loads(ran.stdout)
    if not told["ok"]:
        raise SystemExit(f"not all could be masked: {ran.stdout[:500]!r}")
    found: list[list[tuple[str, Span]]] = [[] for _ in values]
    for line in told["masked"]:
        for one in line["findings"]:
            if one["start"] is not None:
                pointer = one["pointer"] + "".join(one.get("inside", []))
                found[line["line"] - 1].append((pointer, Span(one["start"], one["end"], one["kind"])))
    return found


def find_in_texts(texts: list[str], kinds: str = "") -> list[list[Span]]:
    return [[span for _, span in found] for found in find(texts, kinds)]
