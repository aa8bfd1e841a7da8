"""The layer holds what pypa/installer installs, less what the decisions name: for whatever wheels there are."""

from __future__ import annotations

import ast
import csv
import io
import posixpath
import stat
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import installer
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

from lamina.emit import layout
from lamina.emit import zip as zips
from lamina.layer import assemble
from lamina.overlay import Generated
from lamina.part.make import libdeflate
from lamina.part.model import PLAIN
from lamina.prune.decide import decide
from lamina.recipe import RULES, Prune

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    MakePart = Callable[[Path], Any]
    MakeWheel = Callable[..., bytes]

INTERPRETER = "/var/lang/bin/python3.11"
NOTICES = Generated("licenses/test.txt", b"notices\n", PLAIN, "lamina")


class Plan(NamedTuple):
    """One wheel that is to be made."""

    name: str
    files: dict[str, bytes]
    metadata: dict[str, bytes]
    stored: bool
    platlib: bool


# Folders and names that rules know, that schemes know, and that nobody expects.
FOLDERS = """
pkg pkg/sub pkg/sub/deep pkg/tests pkg/docs/a pkg/examples pkg/include pkg/testing pkg/__pycache__ pkg/__init__.py.d
pkg.libs ns/one ns/two tests Ünï a,;' bin python/lib x.data pkg-1.0.egg-info
""".split()
NAMES = """
__init__.py mod.py mod.pyi native.cpython-311-x86_64-linux-gnu.so native.pyi x.h x.c libx.a data.csv README.md iris.rst
py.typed conftest.py orphan.pyi gone.pyc .hidden run.sh no-suffix +x ~ ünï.txt q"uote,.txt LICENSE x.pth - aa:b
mod.cpython-311.pyc x-nspkg.pth
""".split()
CONTENTS = (
    b"",
    b"x",
    b"import os\n",
    b"from . import tests\n",
    b"import pkg.tests.mod\n",
    b"NAME = 'data.csv'\n",
    b"x = (\n",
    b"\x7fELF\2\1\1" + bytes(50),
    b"#!/bin/sh\necho\n",
    b"#!/usr/bin/env python3\nimport pkg.docs\n",
    bytes(range(256)) * 9,
    b"line\r\nline\r\n",
    "ünïcödé\n".encode(),
)
SCRIPTS = (
    b"#!python\nprint()\n",
    b"#!pythonw\nprint()\n",
    b"#!python3 -E\r\nprint()\r\n",
    b"#!python",
    b"#!/bin/sh\necho\n",
    b"\x7fELF\2\1\1",
    b"no shebang\n",
    b"#! python\n",
    b"#!/usr/bin/env python\nimport pkg\n",
)
COMMANDS = st.sampled_from(["tool", "tool-2", "tool.x", "Tool_3", "työkalu"])
REFERENCES = st.sampled_from(["pkg.mod:main", "pkg : app.run", "pkg.tests.mod:main [extra]", "ns.one:f"])


@st.composite
def wheels(draw: st.DrawFn) -> list[Plan]:
    """Up to three wheels. Files of one path are equal in all of them, as packages that share files have it."""
    contents: dict[str, bytes] = {}
    plans = []
    for name in draw(st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, max_size=3, unique=True)):
        data = f"{name}-1.0.data"
        schemes = {"purelib": "python/", "platlib": "python/", "data": "", "headers": f"include/{name}/"}
        placed: dict[str, str] = {}
        places = st.tuples(st.sampled_from(["", *schemes]), st.sampled_from(["", *FOLDERS]), st.sampled_from(NAMES))
        for scheme, folder, last in draw(st.lists(places, max_size=8)):
            inner = f"{folder}/{last}" if folder else last
            path = schemes.get(scheme, "python/") + inner
            placed.setdefault(path, f"{data}/{scheme}/{inner}" if scheme else inner)
        files = {}
        for path, source in placed.items():
            files[source] = contents.setdefault(path, draw(st.sampled_from(CONTENTS)))
        own = draw(st.lists(COMMANDS, max_size=2, unique=True))
        for command in own:
            files[f"{data}/scripts/{command}-{name}"] = draw(st.sampled_from(SCRIPTS))
        metadata = draw(
            st.dictionaries(
                st.sampled_from(["LICENSE", "licenses/MIT", "top_level.txt", "REQUESTED", "sboms/x.json", "docs/x.h"]),
                st.sampled_from(CONTENTS),
                max_size=3,
            )
        )
        if points := draw(st.dictionaries(COMMANDS, REFERENCES, max_size=3)):
            lines = [f"{command}-{name}-entry = {reference}" for command, reference in points.items()]
            group = draw(st.sampled_from(["console_scripts", "gui_scripts"]))
            text = f"[{group}]\n" + "\n".join(lines) + "\n[other.group]\nx = pkg.docs.mod\n"
            metadata["entry_points.txt"] = text.encode()
        plans.append(Plan(name, files, metadata, draw(st.booleans()), draw(st.booleans())))
    return plans


PRUNES = st.builds(
    Prune,
    rules=st.lists(st.sampled_from(RULES), unique=True).map(tuple),
    metadata=st.sampled_from(["keep", "minimal", "strip"]),
    keep=st.lists(st.sampled_from(["**/*.csv", "pkg/tests/", "*"]), unique=True, max_size=2).map(tuple),
    drop=st.lists(st.sampled_from(["pkg/sub/", "**/*.md", "bin/run.sh"]), unique=True, max_size=2).map(tuple),
)


def executable(content: bytes) -> bool:
    return content.startswith((b"\x7fELF", b"#!"))


def is_tree(paths: set[str]) -> bool:
    """Whether no file stands where another one needs a folder, also where case does not count: else it is refused."""
    folded = {path.casefold() for path in paths}
    folders = {path[:at] for path in folded for at in range(len(path)) if path[at] == "/"}
    return len(folded) == len(paths) and not folders & folded


class Installed(NamedTuple):
    """A file of the tree that installer leaves."""

    content: bytes
    executable: bool


def install(path: Path, root: Path) -> dict[str, Installed]:
    """What installer makes of one wheel, by path below the layer's root; caches it refuses to install are left out."""
    schemes = {
        "purelib": "python",
        "platlib": "python",
        "scripts": "bin",
        "data": "",
        "headers": f"include/{path.name}",
    }
    destination = SchemeDictionaryDestination(
        {scheme: str(root / folder) for scheme, folder in schemes.items()}, interpreter=INTERPRETER, script_kind="posix"
    )
    with WheelFile.open(path) as source:
        installer.install(source, destination, {})
    return {
        file.relative_to(root).as_posix(): Installed(file.read_bytes(), bool(file.stat().st_mode & stat.S_IXUSR))
        for file in root.rglob("*")
        if file.is_file() and f"include/{path.name}/" not in file.as_posix()
    }


def rows(content: bytes) -> set[tuple[str, ...]]:
    """The rows of a RECORD with the files' paths in the layer, which have several spellings relative to another one."""
    found = csv.reader(io.StringIO(content.decode(), newline=""))
    return {(posixpath.normpath(f"python/{path}"), *rest) for path, *rest in found}


def command(content: bytes) -> tuple[bytes, str, str]:
    """First line, module and function of a script that calls an entry point, whatever template it is made from."""
    tree = ast.parse(content)
    (module,) = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "sys.exit"]
    (called,) = calls[0].args
    return content.partition(b"\n")[0], str(module.module), ast.unparse(called)


def layer_of(parts: list[Any], prune: Prune, folder: Path) -> tuple[dict[str, Installed], set[str]]:
    """What the layer's zip holds, and what the decisions say is not in it."""
    pairs = [part.pair for part in parts]
    decisions = decide(pairs, prune)
    layer = assemble(pairs, decisions, interpreter=INTERPRETER, overlay=(), notices=NOTICES, trim=True)
    assert layer.findings == ()
    for number, part in enumerate(parts):
        (folder / str(number)).write_bytes(part.data)
    out = io.BytesIO()
    zips.write(layout.draw(layer, [str(number) for number in range(len(parts))], libdeflate), folder.joinpath, out)
    with zipfile.ZipFile(out) as archive:
        found = {
            info.filename: Installed(archive.read(info), bool(info.external_attr >> 16 & stat.S_IXUSR))
            for info in archive.infolist()
        }
    return found, {said.path for part in decisions for said in part if said.dropped}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans=wheels(), prune=PRUNES)
@pytest.mark.filterwarnings("ignore:Skip installing:RuntimeWarning")
def test_the_layer_is_what_installer_installs(
    make_wheel: MakeWheel, make_part: MakePart, plans: list[Plan], prune: Prune
) -> None:
    with TemporaryDirectory() as folder:
        work = Path(folder)
        parts = []
        installed: dict[str, Installed] = {}
        entry_points: set[str] = set()
        for plan in plans:
            path = work / f"{plan.name}-1.0-py3-none-any.whl"
            modes = {name: 0o755 for name, content in plan.files.items() if executable(content)}
            info = f"{plan.name}-1.0.dist-info"
            modes |= {f"{info}/{name}": 0o755 for name, content in plan.metadata.items() if executable(content)}
            purity = str(not plan.platlib).lower()
            layout_file = f"Wheel-Version: 1.0\nRoot-Is-Purelib: {purity}\nTag: py3-none-any\n"
            path.write_bytes(
                make_wheel(
                    plan.name,
                    files=plan.files,
                    metadata={"WHEEL": layout_file, **plan.metadata},
                    modes=modes,
                    stored=plan.stored,
                )
            )
            before = set(installed)
            own = install(path, work / plan.name)
            for name in before & set(own):
                assert installed[name] == own[name]
            installed |= own
            if not is_tree(set(installed)):
                event("refused: two files of one path")
                return
            entry_points |= {name for name in own if name.endswith("-entry")}
            parts.append(make_part(path))
        found, dropped = layer_of(parts, prune, work)
        event(f"{len(parts)} wheels, {bool(dropped)} decisions")
        event(f"commands: {bool(entry_points)}")

        assert found.pop("licenses/test.txt") == Installed(NOTICES.content, executable=False)
        gone = {path.removesuffix("METADATA") + "RECORD" for path in dropped if path.endswith(".dist-info/METADATA")}
        for part in parts:
            if all(entry.path in dropped for entry in part.index.entries):
                # Nothing of the package ships, and so none of its commands.
                wheel = part.index.name
                gone |= {name for name in installed if name.endswith((f"-{wheel}", f"-{wheel}-entry"))}
                gone.add(f"python/{wheel}-1.0.dist-info/RECORD")
        expected = {path: file for path, file in installed.items() if path not in dropped | gone}
        assert set(found) == set(expected)
        for path, file in expected.items():
            if path.endswith("/RECORD"):
                continue
            assert found[path].executable == file.executable, path
            if path in entry_points:
                assert command(found[path].content) == command(file.content)
            else:
                assert found[path].content == file.content, path
        check_records(parts, found, expected)


def check_records(parts: list[Any], found: dict[str, Installed], expected: dict[str, Installed]) -> None:
    """RECORD says of each file that ships what installer says; of commands, whose text differs, the path."""
    for part in parts:
        path = f"{part.index.dist_info}/RECORD"
        if path not in expected:
            continue
        ours, theirs = rows(found[path].content), rows(expected[path].content)
        by_hand = {row[0] for row in theirs if row[0].endswith("-entry")}
        assert {row[0] for row in ours} >= by_hand
        assert {row for row in ours if row[0] not in by_hand} == {
            row for row in theirs if row[0] not in by_hand and row[0] in found
        }
