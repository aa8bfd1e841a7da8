"""The shipped JSON schema is the model's, names every key, and agrees with what parsing says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import pytest
import tomli

import lamina.recipe
from lamina import recipe
from lamina.recipe.reading import _SIZED
from lamina.runtimes import quotas

if TYPE_CHECKING:
    from collections.abc import Iterator

SHIPPED = Path(lamina.recipe.__file__).with_name("recipe.schema.json")
RECIPES = Path(__file__).parents[3] / "recipes"

MINIMAL: dict[str, Any] = {
    "name": "x",
    "requirements": ["numpy"],
    "target": [{"python": "cp311", "architecture": "x86_64"}],
}


def errors(raw: object) -> list[str]:
    validator = jsonschema.Draft202012Validator(recipe.schema())
    return [error.json_path for error in validator.iter_errors(raw)]


def structs(node: msgspec.inspect.Type) -> Iterator[msgspec.inspect.StructType]:
    if isinstance(node, msgspec.inspect.StructType):
        yield node
        for field in node.fields:
            yield from structs(field.type)
    for inner in ("type", "item_type", "value_type"):
        if hasattr(node, inner):
            yield from structs(getattr(node, inner))
    for option in getattr(node, "types", ()):
        yield from structs(option)


def test_the_shipped_schema_is_the_models() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == recipe.schema_text(), (
        "write it again: python -c 'from lamina import recipe; print(recipe.schema_text(), end=\"\")' "
        "> build/lamina/recipe/recipe.schema.json"
    )


def test_the_schema_is_one_of_draft_2020_12() -> None:
    jsonschema.Draft202012Validator.check_schema(recipe.schema())


def test_every_key_is_described() -> None:
    schema = recipe.schema()
    tables = {"Recipe": schema, **schema["$defs"]}
    for struct in structs(msgspec.inspect.type_info(recipe.Recipe)):
        properties = tables[struct.cls.__name__]["properties"]
        assert [field.encode_name for field in struct.fields] == list(properties)
        assert all(node["description"] for node in properties.values())
        assert tables[struct.cls.__name__]["additionalProperties"] is False


def test_nothing_of_the_models_own_language_is_left() -> None:
    text = recipe.schema_text()
    assert '"format"' not in text
    assert '"null"' not in text
    assert "_" not in "".join(json.loads(text)["properties"])


def test_sizes_are_shown_as_recipes_write_them() -> None:
    schema = recipe.schema()
    assert schema["$defs"]["Budget"]["properties"]["unzipped"]["default"] == "250 MiB"
    assert schema["$defs"]["Function"]["properties"]["memory"]["default"] == "512 MiB"
    assert errors({**MINIMAL, "budget": {"unzipped": "200 MB", "warn": 5, "stack": [1, "1 MB", "torch"]}}) == []
    assert errors({**MINIMAL, "budget": {"unzipped": "200 megs"}}) == ["$.budget.unzipped"]


def test_defaults_and_bounds_are_lambdas_quotas() -> None:
    assert recipe.Budget().unzipped == quotas().unzipped
    assert recipe.schema()["properties"]["description"]["maxLength"] == quotas().description


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_projects_recipes_fit_the_schema_and_name_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert errors(tomli.loads(text)) == []
    first = text.partition("\n")[0]
    assert first.startswith("#:schema ")
    assert (path.parent / first.removeprefix("#:schema ")).resolve().name == SHIPPED.name


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"nmae": 1}, "$"),
        ({"name": "a b"}, "$.name"),
        ({"requirements": []}, "$.requirements"),
        ({"target": [{"python": "cp311"}]}, "$.target[0]"),
        ({"target": [{"python": "cp311", "platform": "a", "architecture": "b"}]}, "$.target[0]"),
        ({"prune": {"rules": ["test"]}}, "$.prune.rules[0]"),
        ({"prune": {"keep": ["a", "a"]}}, "$.prune.keep"),
        ({"bytecode": {"mode": "some"}}, "$.bytecode.mode"),
        ({"artefacts": ["picture"]}, "$.artefacts[0]"),
        ({"index": [{"name": "a", "url": "https://index.example.org", "packages": []}]}, "$.index[0].packages"),
        ({"accept": [{"code": "odd", "path": "a", "reason": "b"}]}, "$.accept[0].code"),
        (
            {"function": {"handler": "a.b", "source": [{"from": "a"}], "environment": {"AB": {}}}},
            "$.function.environment.AB",
        ),
    ],
)
def test_the_schema_refuses(change: dict[str, Any], place: str) -> None:
    assert errors({**MINIMAL, **change}) == [place]


def test_every_size_of_the_model_is_turned_into_bytes() -> None:
    root = msgspec.inspect.type_info(recipe.Recipe)
    sized = {
        (struct.cls.__name__.lower(), field.encode_name)
        for struct in structs(root)
        for field in struct.fields
        if isinstance(field.type, msgspec.inspect.Metadata)
        and (field.type.extra_json_schema or {}).get("format") in {"size", "memory"}
    }
    assert sized == set(_SIZED)


def test_reading_a_checked_recipe_imports_nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("lamina.recipe")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(lamina, "recipe", recipe)  # importing again rebinds it
    for name in ("packaging", "difflib", "lamina.target", "lamina.runtimes", "lamina.findings", "importlib.resources"):
        monkeypatch.setitem(sys.modules, name, None)
    from lamina.recipe import trusted

    assert trusted((RECIPES / "sklearn.toml").read_text(encoding="utf-8")).name == "sklearn"
