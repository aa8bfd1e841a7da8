"""What holds of every recipe: it survives being written and read, and no text makes parsing fail in another way."""

from __future__ import annotations

import copy
import json
import string
from collections.abc import Mapping
from typing import Any

import jsonschema
import msgspec
import pytest
import tomli
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lamina import recipe
from lamina.errors import RecipeError
from lamina.findings import CODES
from lamina.recipe import RULES, Recipe, parse, sizes
from lamina.recipe.sizes import UNITS, is_size, to_bytes

MIB = 1024**2
QUOTA = 262_144_000

#: The first example of a run imports much.
unhurried = settings(deadline=None)

VALIDATOR = jsonschema.Draft202012Validator(recipe.schema())


# --- writing TOML ---


def quoted(text: str) -> str:
    """A basic string: JSON's, except that TOML escapes DEL as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def written(value: object) -> str:
    """Any value on one line, tables as inline tables."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(key)} = {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


def document(raw: Mapping[str, Any], *, spread: bool) -> str:
    """A whole document; ``spread`` puts tables and lists of tables under headers instead of on one line."""
    lines, tables = [], []
    for key, value in raw.items():
        if spread and isinstance(value, Mapping):
            tables += [f"[{quoted(key)}]", *(f"{quoted(name)} = {written(item)}" for name, item in value.items())]
        elif spread and isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for item in value:
                tables += [f"[[{quoted(key)}]]", *(f"{quoted(name)} = {written(it)}" for name, it in item.items())]
        else:
            lines.append(f"{quoted(key)} = {written(value)}")
    return "\n".join(lines + tables) + "\n"


def present(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Builtins without what TOML cannot or need not state: nulls, and variables' keys that are false."""
    if isinstance(value, dict):
        return {key: present(item) for key, item in value.items() if item is not None}
    return [present(item) for item in value] if isinstance(value, list | tuple) else value


def stated(made: Recipe) -> dict[str, Any]:
    raw: dict[str, Any] = present(msgspec.to_builtins(made))
    for variable in raw.get("function", {}).get("environment", {}).values():
        for key in ("required", "secret"):
            if variable[key] is False:
                del variable[key]
    return raw


# --- recipes ---

word = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
printable = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), max_size=12)
sentence = printable.map(lambda text: f"{text}, since so it is")
step = st.text(string.ascii_letters + string.digits + "_-*?[]!{} \u00e4\u4e2d", min_size=1, max_size=8)
path = st.lists(step, min_size=1, max_size=3).map("/".join)
names = st.lists(word, unique=True, max_size=6)
size = st.integers(1, QUOTA)


def some(items: st.SearchStrategy[Any], at_least: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, min_size=at_least, max_size=3, unique_by=repr).map(tuple)


@st.composite
def packages(draw: st.DrawFn) -> dict[str, Any]:
    """Requirements, constraints, provided and omitted packages that go together."""
    required = draw(st.lists(word, unique=True, min_size=1, max_size=4))
    others = [name for name in draw(names) if name not in required]
    ends = st.sampled_from(["", "==1.2", ">=1,<2", "[extra]~=3.1", "; python_version < '3.12'"])
    return {
        "requirements": tuple(name + draw(ends) for name in required),
        "constraints": tuple(name + draw(st.sampled_from(["<2", "==1.0"])) for name in draw(names)),
        "provided": tuple(others[::2]),
        "omit": tuple(recipe.Omit(name, draw(sentence)) for name in others[1::2]),
    }


targets = st.lists(
    st.sampled_from(
        [
            recipe.TargetSpec("cp311", "manylinux2014_x86_64"),
            recipe.TargetSpec("cp312", "manylinux2014_aarch64"),
            recipe.TargetSpec("cp313", None, "x86_64"),
            recipe.TargetSpec("cp314", None, "aarch64"),
        ],
    ),
    unique_by=str,
    min_size=1,
).map(tuple)

prunes = st.builds(
    recipe.Prune,
    rules=st.lists(st.sampled_from(RULES), unique=True).map(tuple),
    metadata=st.sampled_from(["keep", "minimal", "strip"]),
    keep=some(path),
    drop=some(path),
)

budgets = st.builds(
    lambda one, other, stack: recipe.Budget(max(one, other), min(one, other), stack),
    size,
    size,
    some(st.one_of(size, word.map(lambda name: f"r-{name}"), path.map(lambda name: f"{name}.zip"))),
)

variables = st.one_of(
    st.builds(recipe.Variable, value=st.text(max_size=12)),
    st.just(recipe.Variable(required=True)),
    st.just(recipe.Variable(secret=True)),
)

functions = st.builds(
    recipe.Function,
    handler=st.sampled_from(["handler.lambda_handler", "pkg/handler.run", "pkg.sub.run"]),
    source=some(st.builds(recipe.Source, from_=path, to=st.one_of(st.just("."), path), exclude=some(path)), 1),
    events=some(path),
    environment=st.dictionaries(word.map(lambda name: f"V_{name}"), variables, max_size=3),
    memory=st.integers(128, 10_240).map(lambda mib: mib * MIB),
    timeout=st.integers(1, 900),
)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    accepts = st.builds(recipe.Accept, code=st.sampled_from(sorted(CODES)), path=path, reason=sentence)
    modules = st.lists(word.map(lambda name: f"m{name}"), min_size=1, max_size=3).map(".".join)
    objects = st.dictionaries(printable.filter(bool), path, max_size=2)
    return Recipe(
        name=draw(word.map(lambda name: f"X_{name}-1")),
        target=draw(targets),
        description=draw(printable),
        find_links=draw(some(st.one_of(path, st.just("/srv/wheels"), st.just("C:\\wheels")))),
        prune=draw(prunes),
        budget=draw(budgets),
        proof=recipe.Proof(draw(some(modules)), draw(st.none() | path), draw(objects)),
        function=draw(st.none() | functions),
        image=draw(st.none() | st.builds(recipe.Image, st.none() | word)),
        accept=draw(some(accepts)),
        **draw(packages()),
    )


@unhurried
@given(recipes(), st.booleans())
def test_a_recipe_survives_being_written_and_read(made: Recipe, spread: bool) -> None:  # noqa: FBT001
    source = document(stated(made), spread=spread)
    assert parse(source, f"recipes/{made.name}.toml") == made
    assert recipe.trusted(source) == made
    assert recipe.trusted(source.replace("\n", "\r\n")) == made


@unhurried
@given(recipes())
def test_what_is_a_recipe_fits_the_schema(made: Recipe) -> None:
    VALIDATOR.validate(stated(made))


# --- texts that are none, or almost ---

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
).map(present)


def places(raw: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of everything in a document."""
    steps = list(raw) if isinstance(raw, dict) else list(range(len(raw))) if isinstance(raw, list) else []
    return [at] * bool(at) + [place for key in steps for place in places(raw[key], (*at, key))]


def refused_or_sound(source: str) -> None:
    try:
        made = parse(source, "recipes/x.toml")
    except RecipeError as error:
        assert all(line.startswith("recipes/x.toml: ") for line in error.message.split("\n"))  # noqa: PT017
        assert error.hint  # noqa: PT017
    else:
        assert recipe.trusted(source) == made
        VALIDATOR.validate(tomli.loads(source.removeprefix("\ufeff")))


@given(recipes(), st.data(), st.integers(1, 4))
@settings(max_examples=300, deadline=None)
def test_a_spoilt_recipe_is_refused_in_words_or_still_one(made: Recipe, data: st.DataObject, times: int) -> None:
    raw = {**stated(made), "name": "x"}
    for _ in range(times):
        *parents, last = data.draw(st.sampled_from(places(raw)))
        holder: Any = raw
        for key in parents:
            holder = holder[key]
        match data.draw(st.sampled_from(["replace", "remove", "repeat", "misspell"])):
            case "replace":
                holder[last] = data.draw(junk.filter(lambda value: value is not None))
            case "remove":
                del holder[last]
            case "repeat" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
            case _ if isinstance(holder, dict):
                holder[str(last)[:-1] + data.draw(st.text(max_size=1))] = holder.pop(last)
        if not raw:
            break
    refused_or_sound(document(present(raw), spread=data.draw(st.booleans())))


@unhurried
@given(st.dictionaries(st.sampled_from(Recipe.__struct_encode_fields__), junk.filter(lambda value: value is not None)))
def test_known_keys_with_any_values(raw: dict[str, Any]) -> None:
    refused_or_sound(document(raw, spread=False))


@unhurried
@given(st.text())
@example("\ufeff")
@example("a." * 3000 + "a = 1")
@example("[" + "a." * 3000 + "a]")
@example("a = " + "{a=" * 3000)
@example("a = 0x" + "f" * 6000)
@example("a = 1e400")
@example("a = nan")
@example("a = 0000-00-00")
@example('"\\u0000" = 1')
@example("requirements = ['" + "(" * 3000 + "']")
@example("requirements = ['a; " + "(" * 3000 + "']")
@example("requirements = ['a==" + "9" * 5000 + "']")
@example("budget.unzipped = 0x" + "f" * 6000)
@example("function.timeout = -0x1")
def test_any_text(source: str) -> None:
    refused_or_sound(source)


@unhurried
@given(st.binary())
@example(b"\xff\xfe\x00")
@example(b"\xef\xbb\xbf")
@example(b"\xed\xa0\x80")
def test_any_bytes(data: bytes) -> None:
    try:
        source = recipe.decode(data, "recipes/x.toml")
    except RecipeError as error:
        assert error.message.startswith("recipes/x.toml: line ")  # noqa: PT017
    else:
        refused_or_sound(source)


@given(st.integers(0, 2**40), st.sampled_from(["B", "kB", "MB", "GB", "KiB", "MiB", "GiB"]))
def test_sizes_with_units(number: int, unit: str) -> None:
    assert is_size(f"{number} {unit}")
    assert to_bytes(f"{number} {unit}") == number * UNITS[unit]
    assert to_bytes(sizes.text(number)) == number
    assert to_bytes(f"{number}.50 kB") == number * 1000 + 500


@pytest.mark.parametrize(
    "text", ["", "1", "MiB", "-1 MiB", "1  MiB", "1. MiB", ".5 MiB", "\u0661 MiB", "1 MiB\n", "1e3 B"]
)
def test_texts_that_are_no_sizes(text: str) -> None:
    assert not is_size(text)
    with pytest.raises(ValueError, match="expected a size such as"):
        to_bytes(text)
