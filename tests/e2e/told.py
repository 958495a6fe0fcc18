"""Holds records of the access log against schema/record.schema.json, with as much of JSON Schema as that is written in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "schema" / "record.schema.json").read_text())
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
NOTES = {"$schema", "$id", "$defs", "title", "description", "x-chosen-by"}
CHECKS = {"$ref", "type", "properties", "required", "additionalProperties", "items", "maxItems", "minimum", "maximum", "pattern", "enum",
          "const", "anyOf", "oneOf"}


def untold(value: Any, schema: dict = SCHEMA, place: str = "record") -> list[str]:
    """What about a record the schema does not tell, a line each."""
    strange = schema.keys() - NOTES - CHECKS
    assert not strange, f"{strange}: not checked here"
    found: list[str] = []
    if "$ref" in schema:
        found += untold(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], place)
    if "type" in schema:
        is_one = isinstance(value, TYPES[schema["type"]]) and not (schema["type"] == "integer" and isinstance(value, bool))
        if not is_one:
            return [*found, f"{place}: {value!r} is no {schema['type']}"]
    for name in ("anyOf", "oneOf"):
        if name in schema:
            tried = [untold(value, one, place) for one in schema[name]]
            fit = sum(not one for one in tried)
            if not fit or (name == "oneOf" and fit > 1):
                found += [f"{place}: {fit} of {len(tried)} forms fit", *min(tried, key=len)]
    if "const" in schema and value != schema["const"]:
        found.append(f"{place}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{place}: {value!r} is none of {schema['enum']}")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{place}: {value!r} is not {schema['pattern']}")
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{place}: {value} is out of bounds")
    if isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            found.append(f"{place}: {len(value)} entries")
        for at, one in enumerate(value):
            found += untold(one, schema.get("items", {}), f"{place}[{at}]")
    if isinstance(value, dict):
        members = schema.get("properties", {})
        found += [f"{place}.{name}: is missing" for name in schema.get("required", []) if name not in value]
        for name, one in value.items():
            if name in members:
                found += untold(one, members[name], f"{place}.{name}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{place}.{name}: nothing tells of it")
    return found
