"""``trace.json``: what is written, what is read back, and what is no trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import RecipeError, StaleTraceError, UsageError
from lamina.lock import Lock
from lamina.project import Order, Project
from lamina.recipe import Prune, Recipe, TargetSpec
from lamina.target import target_for
from lamina.trace import Trace, Traced, of, read, render, trace_path, update

SHOWN = "layers/demo/trace.json"
LOCK, OTHER = "a" * 64, "b" * 64
TARGET = target_for("cp311", platform="manylinux2014_x86_64")
TRACED = Traced(
    LOCK, ("python/b.py", "python/a.py"), ("python/x.so",), ("python/a-1.dist-info/METADATA",), ("python/a.json",)
)


def order(root: Path, **keys: Any) -> Order:  # noqa: ANN401 - the recipe's
    recipe = Recipe("demo", ("alpha",), (TargetSpec("cp311", "manylinux2014_x86_64"),), **keys)
    project = Project(root / "recipes" / "demo.toml", root, root / "dist")
    return Order(project, recipe, TARGET, Lock(TARGET.name, "hand", "", ()), root / "lock.txt")


def written(folder: Path, content: object) -> Path:
    path = folder / "trace.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_one_path_a_line_modules_in_their_order() -> None:
    assert render(Trace({"z": Traced(LOCK), TARGET.name: TRACED})).decode() == (
        "{\n"
        '  "targets": {\n'
        '    "cp311-manylinux2014_x86_64": {\n'
        f'      "lock": "{LOCK}",\n'
        '      "modules": [\n'
        '        "python/b.py",\n'
        '        "python/a.py"\n'
        "      ],\n"
        '      "libraries": [\n'
        '        "python/x.so"\n'
        "      ],\n"
        '      "metadata": [\n'
        '        "python/a-1.dist-info/METADATA"\n'
        "      ],\n"
        '      "files": [\n'
        '        "python/a.json"\n'
        "      ]\n"
        "    },\n"
        '    "z": {\n'
        f'      "lock": "{LOCK}",\n'
        '      "modules": [],\n'
        '      "libraries": [],\n'
        '      "metadata": [],\n'
        '      "files": []\n'
        "    }\n"
        "  }\n"
        "}\n"
    )


def test_one_target_is_written_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "layers" / "demo" / "trace.json"
    assert read(path, SHOWN) == Trace()
    assert update(path, read(path, SHOWN), "z", Traced(LOCK))
    assert update(path, read(path, SHOWN), "y", TRACED)
    assert read(path, SHOWN) == Trace({"y": TRACED, "z": Traced(LOCK)})
    before = path.read_bytes()
    assert not update(path, read(path, SHOWN), "y", TRACED)
    path.write_bytes(before.replace(b"\n", b"\r\n"))  # as Git checks it out on Windows
    assert not update(path, read(path, SHOWN), "y", TRACED)
    assert update(path, read(path, SHOWN), "y", Traced(OTHER))
    assert read(path, SHOWN).targets["z"] == Traced(LOCK)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"targets": {}, "more": 1}', "Object contains unknown field `more`"),
        (
            {"targets": {"t": {"lock": "x"}}},
            "Expected `str` matching regex '^[0-9a-f]{64}$' - at `$.targets[...].lock`",
        ),
        ({"targets": {"t": {"lock": LOCK, "files": [1]}}}, "Expected `str`, got `int` - at `$.targets[...].files[0]`"),
        ({"targets": {"t": {"lock": LOCK, "files": [""]}}}, 'targets.t.files[0]: "" is no path in a layer'),
        ({"targets": {"t": {"lock": LOCK, "files": ["/a"]}}}, 'targets.t.files[0]: "/a" is no path in a layer'),
        (
            {"targets": {"t": {"lock": LOCK, "modules": ["a", "b/../../c"]}}},
            'targets.t.modules[1]: "b/../../c" is no path in a layer',
        ),
        ({"targets": {"t": {"lock": LOCK, "files": ["a\nb"]}}}, r'targets.t.files[0]: "a\nb" is no path in a layer'),
        ({"targets": {"t": {"lock": LOCK, "files": ["a\\b"]}}}, r'targets.t.files[0]: "a\\b" is no path in a layer'),
        (
            {"targets": {"t": {"lock": LOCK, "files": ["a" * 5000]}}},
            f'targets.t.files[0]: "{"a" * 200}" is no path in a layer',
        ),
        (
            {"targets": {"t": {"lock": LOCK, "modules": ["a"], "files": ["a"]}}},
            'targets.t.files[0]: "a" stands there twice',
        ),
        ({"targets": {"t": {"lock": LOCK, "libraries": ["b", "a"]}}}, "targets.t.libraries: is not sorted"),
        ("[" * 100_000, None),
    ],
)
def test_what_is_no_trace(tmp_path: Path, content: object, message: str | None) -> None:
    with pytest.raises(RecipeError) as caught:
        read(written(tmp_path, content), SHOWN)
    assert caught.value.message.startswith(f"{SHOWN}: ")
    assert message is None or caught.value.message == f"{SHOWN}: {message}"
    assert caught.value.hint == "Traces are written by lamina trace: remove the file, and run it again."


def test_what_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with path.open("wb") as file:
        file.truncate(17 * 1024**2)
    with pytest.raises(RecipeError) as caught:
        read(path, SHOWN)
    assert caught.value.message == f"{SHOWN}: more than 16,777,216 bytes"


def test_only_what_is_dropped_by_a_trace_needs_one_of_this_lock(tmp_path: Path) -> None:
    plain, dropping = order(tmp_path), order(tmp_path, prune=Prune(untraced=("**",)))
    path = trace_path(plain.project, "demo")
    hint = "Make it: lamina trace demo --target cp311-manylinux2014_x86_64"
    assert of(plain, LOCK) is None
    with pytest.raises(UsageError) as caught:
        of(dropping, LOCK)
    assert (caught.value.message, caught.value.hint) == (
        f"{path}: has no trace for cp311-manylinux2014_x86_64, which prune.untraced of the recipe needs",
        hint,
    )
    update(path, Trace(), TARGET.name, TRACED)
    assert of(plain, LOCK) == of(plain, OTHER) == of(dropping, LOCK) == TRACED
    with pytest.raises(StaleTraceError) as stale:
        of(dropping, OTHER)
    assert (stale.value.message, stale.value.hint) == (
        f"{path}: for cp311-manylinux2014_x86_64 it was made with another lock, so prune.untraced cannot use it",
        hint,
    )


def test_a_target_with_a_name_for_terminals_is_told_of_as_text(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"targets": {"\x1b[31m\nx": {"lock": "0" * 64, "files": ["../x"]}}}))
    with pytest.raises(RecipeError) as caught:
        read(path, "layers/api/trace.json")
    assert caught.value.message == (
        r'layers/api/trace.json: targets."\u001b[31m\nx".files[0]: "../x" is no path in a layer'
    )
