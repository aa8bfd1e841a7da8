"""The JSON schema of recipes (draft 2020-12), by which editors complete and check them as they are written.

It is generated from the model and shipped as ``recipe.schema.json`` beside this file; a test holds the two together.
What a schema cannot say (whether a target exists, which values go together) only :func:`lamina.recipe.parse` checks.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from lamina.recipe import sizes
from lamina.recipe.model import Recipe


def schema() -> dict[str, Any]:
    """Generate the schema."""
    generated = msgspec.json.schema(Recipe)
    definitions: dict[str, Any] = {name: _tidy(node) for name, node in sorted(generated["$defs"].items())}
    definitions["TargetSpec"]["oneOf"] = _one_of("platform", "architecture")
    definitions["Variable"]["oneOf"] = _one_of("value", "required", "secret")
    for key in ("required", "secret"):
        definitions["Variable"]["properties"][key] |= {"const": True}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lamina recipe",
        **definitions.pop("Recipe"),
        "$defs": definitions,
    }


def schema_text() -> str:
    """Write the schema as the text of ``recipe.schema.json``."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(node: Any) -> Any:  # noqa: ANN401 - any JSON
    """Say in JSON schema's words what the model says in its own: formats, sizes, keys that may be absent."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    present = [option for option in node.get("anyOf", ()) if option != {"type": "null"}]
    if len(present) == 1:
        node = {key: value for key, value in node.items() if key not in {"anyOf", "default"}} | present[0]
    rest = {key: _tidy(value) for key, value in node.items() if key != "format"}
    rest = _formatted(rest, str(node.get("format", "")))
    if "properties" in rest:
        rest.pop("title")
    if isinstance(rest.get("default"), dict):  # a section's defaults stand at its keys
        rest.pop("default")
    return rest


def _formatted(node: dict[str, Any], form: str) -> dict[str, Any]:
    from lamina.findings import CODES
    from lamina.recipe.values import PATTERNS

    if form in {"size", "memory", "stack"}:
        if "default" in node:
            node["default"] = sizes.text(node["default"])
        node.pop("type", None)
        text = {"type": "string"} if form == "stack" else {"type": "string", "pattern": sizes.PATTERN}
        return {**node, "anyOf": [{"type": "integer", "minimum": 1}, text]}
    if form == "code":
        return {**node, "enum": sorted(CODES)}
    return {**node, "pattern": PATTERNS[form]} if form in PATTERNS else node


def _one_of(*keys: str) -> list[dict[str, list[str]]]:
    return [{"required": [key]} for key in keys]
