"""The starting recipe: sound as it stands, and true in what it says of defaults."""

from __future__ import annotations

import re

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina import recipe
from lamina.errors import RecipeError
from lamina.recipe import Recipe, parse, template

BARE = 'name = "new"\nrequirements = ["numpy"]\n[[target]]\npython = "cp313"\narchitecture = "x86_64"\n'


def examples() -> str:
    """The template's examples, taken out of their comments; words after two spaces are explanation."""
    lines = []
    for line in template("new").split("\n"):
        found = re.fullmatch(r"#   ((?:\[|[a-z0-9-]+ = ).*)", line)
        if found and not found[1].startswith("platform"):
            lines.append(re.sub(r" {4,}.*", "", found[1]))
    return "\n".join(lines)


def test_it_is_the_smallest_recipe() -> None:
    assert parse(template("new"), "recipes/new.toml") == parse(BARE, "recipes/new.toml")


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True))
def test_it_is_sound_under_any_name(name: str) -> None:
    assert parse(template(name), f"recipes/{name}.toml").name == name


def test_the_defaults_it_shows_are_the_defaults() -> None:
    shown = re.sub(r"^#(?=[a-z0-9-]+ = )", "", template("new"), flags=re.MULTILINE)
    assert len(tomli.loads(shown)) > len(tomli.loads(template("new")))
    assert parse(shown, "recipes/new.toml") == parse(BARE, "recipes/new.toml")


def test_it_shows_every_key() -> None:
    text = template("new")
    schema = recipe.schema()
    for table in (schema, *schema["$defs"].values()):
        for key in table["properties"]:
            assert re.search(rf"\b{key}( =|\])", text), key


def test_its_examples_are_sound() -> None:
    source = examples()
    top, _, tables = source.partition("[function]")
    omit, proof = top.split("\n", 1)
    text = f"{omit}\n{BARE}\n[proof]\n{proof}\n[function]{tables}"
    assert parse(text, "recipes/new.toml").index[0].packages == ("torch",)


def test_it_names_the_schema_it_is_given() -> None:
    assert template("new").startswith("#:schema ../build/lamina/recipe/recipe.schema.json\n")
    assert template("new", schema="recipe.schema.json").startswith("#:schema recipe.schema.json\n")


def test_a_name_that_no_recipe_can_have() -> None:
    with pytest.raises(RecipeError) as caught:
        template("a b")
    assert caught.value.message == (
        '"a b": expected at most 64 of A-Z, a-z, 0-9, - and _, not beginning with - or _, since layers and functions '
        "on Lambda are named after it"
    )


def test_a_template_is_a_recipe() -> None:
    assert isinstance(recipe.trusted(template("new")), Recipe)
