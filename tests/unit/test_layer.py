"""Parts become a layer: what merges, what collides, what is generated, and that what is generated works."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import io
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.findings import Finding
from lamina.layer import Layer, assemble, shipped_by_package
from lamina.overlay import Generated, kind_of
from lamina.part.model import ELF, PLAIN, SCRIPT, Entry, Facts, Index
from lamina.prune.decide import decide
from lamina.recipe import Prune

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    Forge = Callable[..., Path]
    MakePart = Callable[[Path], Any]

INTERPRETER = "/var/lang/bin/python3.11"
NOTICES = Generated("licenses/test.txt", b"notices\n", PLAIN, "lamina")
KEEP = Prune(rules=(), metadata="keep")
HINT = (
    "Require only one of the two packages, or state in [[accept]] that the file of the first may win, where "
    "that is what you want."
)


def assembled(parts: Sequence[tuple[Index, Facts]], prune: Prune = KEEP, overlay: Sequence[Generated] = ()) -> Layer:
    return assemble(parts, decide(parts, prune), interpreter=INTERPRETER, overlay=overlay, notices=NOTICES, trim=True)


def conflict(path: str, message: str) -> Finding:
    return Finding("file-conflict", "error", path, message, HINT)


def paths(layer: Layer) -> list[list[str]]:
    return [[entry.path for entry in pick if ".dist-info/" not in entry.path] for pick in layer.picks]


def generated(layer: Layer) -> dict[str, Generated]:
    return {file.path: file for file in layer.generated}


def test_equal_files_merge(forge: Forge, make_part: MakePart) -> None:
    one = make_part(forge("one", files={"shared/__init__.py": "", "shared/x.txt": "x", "one.py": ""})).pair
    two = make_part(forge("two", files={"shared/__init__.py": "", "shared/x.txt": "x", "two.py": ""})).pair
    layer = assembled([one, two])
    assert layer.findings == ()
    assert paths(layer) == [["python/one.py", "python/shared/__init__.py", "python/shared/x.txt"], ["python/two.py"]]
    # Both packages' RECORDs list it, as after an installation of both.
    for name in ("one", "two"):
        rows = records(layer, name)
        assert rows["shared/x.txt"] == (stated(b"x"), "1")


def test_different_files_of_one_path_are_a_conflict(forge: Forge, make_part: MakePart) -> None:
    parts = [make_part(forge(name, files={"shared/x.txt": name, f"{name}.py": ""})).pair for name in ("a", "b", "c")]
    layer = assembled(parts)
    wheels = [f"{name}-1.0-py3-none-any.whl" for name in ("a", "b", "c")]
    assert layer.findings == (
        conflict("python/shared/x.txt", f"{wheels[0]} and {wheels[1]} both bring this file, with different content"),
        conflict("python/shared/x.txt", f"{wheels[0]} and {wheels[2]} both bring this file, with different content"),
    )
    # Where the recipe accepts it, the first wins; the others' RECORDs do not claim what they did not bring.
    assert paths(layer) == [["python/a.py", "python/shared/x.txt"], ["python/b.py"], ["python/c.py"]]
    assert records(layer, "a")["shared/x.txt"] == (stated(b"a"), "1")
    assert "shared/x.txt" not in records(layer, "b")


def test_a_conflict_ends_where_one_side_is_dropped(forge: Forge, make_part: MakePart) -> None:
    parts = [make_part(forge(name, files={"tests/x.txt": name, f"{name}.py": ""})).pair for name in ("a", "b")]
    assert assembled(parts, Prune()).findings == ()
    assert len(assembled(parts, Prune(rules=())).findings) == 1


def test_a_file_where_another_package_needs_a_folder(forge: Forge, make_part: MakePart) -> None:
    file = make_part(forge("file", files={"shared": "a file", "file.py": ""})).pair
    folder = make_part(forge("folder", files={"shared/a.py": "", "shared/b/c.py": "", "folder.py": ""})).pair
    finding = conflict(
        "python/shared", "a file of file-1.0-py3-none-any.whl; folder-1.0-py3-none-any.whl needs a folder of that name"
    )
    layer = assembled([file, folder])
    assert layer.findings == (finding,)
    assert paths(layer) == [["python/file.py", "python/shared"], ["python/folder.py"]]
    layer = assembled([folder, file])
    assert layer.findings == (finding,)
    assert paths(layer) == [["python/folder.py", "python/shared/a.py", "python/shared/b/c.py"], ["python/file.py"]]


def test_overlay_and_notices_collide_like_packages(forge: Forge, make_part: MakePart) -> None:
    part = make_part(forge(files={"pkg.py": "", "pkg-1.0.data/data/lib/x": "x"})).pair
    overlay = [
        Generated("lib/x", b"x", PLAIN, "the overlay"),
        Generated("licenses/test.txt", b"mine\n", PLAIN, "the overlay"),
        Generated("python/pkg.py", b"other", PLAIN, "the overlay"),
        Generated("etc/y", b"#!/bin/sh\n", SCRIPT, "the overlay"),
    ]
    layer = assembled([part], overlay=overlay)
    wheel = "pkg-1.0-py3-none-any.whl"
    assert layer.findings == (
        conflict("python/pkg.py", f"{wheel} and the overlay both bring this file, with different content"),
        conflict("licenses/test.txt", "the overlay and lamina both bring this file, with different content"),
    )
    record = "python/pkg-1.0.dist-info/RECORD"
    assert list(generated(layer)) == ["etc/y", "licenses/test.txt", record]
    assert generated(layer)["etc/y"].mode == 0o755
    assert generated(layer)["licenses/test.txt"].mode == 0o644


def entry(path: str, content: bytes) -> Entry:
    return Entry(path, 0, 1, 0, 0, 0, len(content), PLAIN, hashlib.sha256(content).digest())


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)
TREES = st.lists(
    st.lists(st.tuples(PATHS, st.sampled_from([b"1", b"2"])), max_size=6, unique_by=lambda row: row[0]), max_size=4
)


@given(TREES)
def test_what_ships_is_always_a_tree(trees: list[list[tuple[str, bytes]]]) -> None:
    """First come, first served: nothing else decides, and every loser is named."""
    parts = []
    for number, files in enumerate(trees):
        entries = tuple(entry(path, content) for path, content in files)
        index = Index(f"p{number}", "1", f"p{number}.whl", "", 1, f"python/p{number}.dist-info", "", 0, entries)
        parts.append((index, Facts((), (), (), (), (), {}, 0)))
    layer = assembled(parts)
    ships: dict[str, bytes] = {}
    lost = set()
    for files in trees:
        for path, content in files:
            over = [other for other in ships if other.startswith(f"{path}/") or path.startswith(f"{other}/")]
            if over or ships.get(path, content) != content:
                lost.add(path)
            else:
                ships[path] = content
    picked = [found for pick in layer.picks for found in pick]
    assert {found.path: found.sha256 for found in picked} == {
        path: hashlib.sha256(content).digest() for path, content in ships.items()
    }
    assert len(picked) == len(ships)
    named = {finding.path for finding in layer.findings}
    assert bool(named) == bool(lost)
    assert all(any(path == one or path.startswith(f"{one}/") for one in named) for path in lost)


# --- commands

CLI = """\
import sys

class app:
    @staticmethod
    def run():
        print("running", sys.argv[1:])
        return 3

def main():
    print("main")
"""
POINTS = """\
[console_scripts]
tool = pkg.cli:main
app = pkg.cli : app.run [extra]
[gui_scripts]
window = pkg.cli:main
tool = pkg.cli:app.run
[pkg.plugins]
plugin = pkg.cli:main
"""


def test_console_scripts_run(
    forge: Forge,
    make_part: MakePart,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wheel = forge(files={"pkg/__init__.py": "", "pkg/cli.py": CLI}, metadata={"entry_points.txt": POINTS})
    layer = assembled([make_part(wheel).pair])
    commands = {path: file for path, file in generated(layer).items() if path.startswith("bin/")}
    assert sorted(commands) == ["bin/app", "bin/tool", "bin/window"]
    assert {(file.kind, file.mode, file.owner) for file in commands.values()} == {(SCRIPT, 0o755, wheel.name)}
    assert commands["bin/tool"].content == (
        b"#!/var/lang/bin/python3.11\nimport sys\n\nfrom pkg.cli import main\n\nsys.exit(main())\n"
    )
    package = tmp_path / "site" / "pkg"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli.py").write_text(CLI)
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(sys, "argv", ["app", "x"])
    for name, code, said in (("app", 3, "running ['x']\n"), ("tool", None, "main\n"), ("window", None, "main\n")):
        with pytest.raises(SystemExit) as ended:
            exec(compile(commands[f"bin/{name}"].content, name, "exec"), {"__name__": "__main__"})  # noqa: S102
        assert ended.value.code == code
        assert capsys.readouterr().out == said


def test_scripts_get_the_interpreter_of_the_target(forge: Forge, make_part: MakePart) -> None:
    files = {
        "plain": (b"#!python\nprint()\n", b"#!/var/lang/bin/python3.11\nprint()\n"),
        "window": (b"#!pythonw\r\nprint()\r\n", b"#!/var/lang/bin/python3.11\nprint()\r\n"),
        "three": (b"#!python3 -E\n", b"#!/var/lang/bin/python3.11\n"),
        "endless": (b"#!python", b"#!/var/lang/bin/python3.11\n"),
        "crlf": (b"#!/bin/sh -e\r\necho\r\n", b"#!/bin/sh -e\necho\r\n"),
    }
    wheel = forge(files={f"pkg-1.0.data/scripts/{name}": content for name, (content, _) in files.items()})
    layer = assembled([make_part(wheel).pair])
    for name, (_, expected) in files.items():
        assert generated(layer)[f"bin/{name}"] == Generated(f"bin/{name}", expected, SCRIPT, wheel.name)


def test_a_packages_own_script_comes_before_its_entry_point(forge: Forge, make_part: MakePart) -> None:
    scripts = {"pkg-1.0.data/scripts/tool": "#!python\n1\n", "pkg-1.0.data/scripts/app": "#!/bin/sh\n"}
    points = "[console_scripts]\ntool = pkg:main\napp = pkg:main\nthird = pkg:main\n"
    layer = assembled([make_part(forge(files=scripts, metadata={"entry_points.txt": points})).pair])
    assert layer.findings == ()
    assert generated(layer)["bin/tool"].content == b"#!/var/lang/bin/python3.11\n1\n"
    assert "bin/app" not in generated(layer)
    assert paths(layer) == [["bin/app"]]
    assert "bin/third" in generated(layer)


def test_commands_of_two_packages(forge: Forge, make_part: MakePart) -> None:
    def part(name: str, module: str) -> tuple[Index, Facts]:
        points = f"[console_scripts]\ntool = {module}:main\n"
        pair: tuple[Index, Facts] = make_part(forge(name, metadata={"entry_points.txt": points})).pair
        return pair

    assert assembled([part("a", "shared"), part("b", "shared")]).findings == ()
    assert assembled([part("a", "a"), part("b", "b")]).findings == (
        conflict(
            "bin/tool",
            "a-1.0-py3-none-any.whl and b-1.0-py3-none-any.whl both bring this file, with different content",
        ),
    )


def test_a_package_that_ships_nothing_has_no_commands(forge: Forge, make_part: MakePart) -> None:
    wheel = forge(files={"pkg.py": ""}, metadata={"entry_points.txt": "[console_scripts]\ntool = pkg:main\n"})
    layer = assembled([make_part(wheel).pair], Prune(drop=("**",)))
    assert paths(layer) == [[]]
    assert layer.generated == (NOTICES,)


# --- RECORD


def stated(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def records(layer: Layer, name: str = "pkg") -> dict[str, tuple[str, str]]:
    content = generated(layer)[f"python/{name}-1.0.dist-info/RECORD"].content
    return {path: (digest, size) for path, digest, size in csv.reader(io.StringIO(content.decode(), newline=""))}


def test_record_states_what_ships(forge: Forge, make_part: MakePart) -> None:
    files = {
        "pkg/__init__.py": "import os\n",
        "pkg/tests/x.py": "",
        'pkg/a, "b".txt': "odd",
        "pkg/\u2028.txt": "odder",
        "pkg-1.0.data/data/lib/x.so": "\x7fELF",
        "pkg-1.0.data/scripts/tool": "#!python\n",
        "pkg-1.0.data/scripts/sh": "#!/bin/sh\n",
        "pkg-1.0.data/headers/x.h": "",
    }
    metadata = {"entry_points.txt": "[console_scripts]\ncli = pkg:main\n", "INSTALLER": "pip", "LICENSE": "MIT"}
    layer = assembled([make_part(forge(files=files, metadata=metadata)).pair], Prune())
    rows = records(layer)
    info = "pkg-1.0.dist-info"
    assert list(rows) == sorted(rows)
    assert set(rows) == {
        "pkg/__init__.py",
        'pkg/a, "b".txt',
        "pkg/\u2028.txt",
        "../lib/x.so",
        "../bin/tool",
        "../bin/sh",
        "../bin/cli",
        *(f"{info}/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt", "RECORD")),
    }
    assert rows[f"{info}/RECORD"] == ("", "")
    assert rows["pkg/__init__.py"] == (stated(b"import os\n"), "10")
    made = b"#!/var/lang/bin/python3.11\n"
    assert rows["../bin/tool"] == (stated(made), str(len(made)))


@pytest.mark.parametrize(
    ("prune", "there"),
    [
        (Prune(), True),
        (Prune(metadata="keep"), True),
        (Prune(metadata="strip"), False),
        (Prune(drop=("*.dist-info/METADATA",)), False),
    ],
)
def test_record_is_there_where_metadata_is(forge: Forge, make_part: MakePart, prune: Prune, there: bool) -> None:  # noqa: FBT001
    layer = assembled([make_part(forge(files={"pkg.py": ""})).pair], prune)
    assert ("python/pkg-1.0.dist-info/RECORD" in generated(layer)) == there


def test_importlib_metadata_reads_it(
    forge: Forge, make_part: MakePart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without top_level.txt, ``packages_distributions`` knows a package's modules from RECORD alone."""
    wheel = forge("lamina_probe", files={"probe_one/__init__.py": "", "probe_two.py": "x"})
    part = make_part(wheel)
    layer = assembled([part.pair], Prune())
    site = tmp_path / "python"
    info = site / "lamina_probe-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lamina_probe\nVersion: 1.0\n")
    (info / "RECORD").write_bytes(generated(layer)["python/lamina_probe-1.0.dist-info/RECORD"].content)
    monkeypatch.setattr(sys, "path", [str(site)])
    importlib.invalidate_caches()
    assert importlib.metadata.packages_distributions() == {
        "probe_one": ["lamina_probe"],
        "probe_two": ["lamina_probe"],
    }
    files = importlib.metadata.files("lamina_probe")
    assert files is not None
    one = next(file for file in files if str(file) == "probe_two.py")
    assert (one.size, one.hash.mode if one.hash else "") == (1, "sha256")


def test_invents_no_init_for_namespaces(forge: Forge, make_part: MakePart) -> None:
    parts = [make_part(forge(f"ns_{name}", files={f"ns/{name}/x.py": ""})).pair for name in ("a", "b")]
    layer = assembled(parts, Prune())
    assert paths(layer) == [["python/ns/a/x.py"], ["python/ns/b/x.py"]]
    assert not [path for path in generated(layer) if path.endswith(".py")]


# --- sums


def test_sums_are_exact(forge: Forge, make_part: MakePart) -> None:
    one = make_part(forge("one", files={"shared.txt": "12345", "one.py": "1", "tests/x.py": "1234567"})).pair
    two = make_part(forge("two", files={"shared.txt": "12345", "two.py": "22"})).pair
    layer = assembled([one, two], Prune(), [Generated("x", b"123", PLAIN, "the overlay")])
    sizes = [sum(entry.size for entry in pick) for pick in layer.picks]
    assert layer.unzipped_bytes == sum(sizes) + sum(len(file.content) for file in layer.generated)
    assert layer.files == sum(len(pick) for pick in layer.picks) + len(layer.generated)
    record = {name: len(generated(layer)[f"python/{name}-1.0.dist-info/RECORD"].content) for name in ("one", "two")}
    packages = shipped_by_package([one, two], layer)
    assert packages == {"one": (sizes[0] + record["one"], 7, 0, 0, 0), "two": (sizes[1] + record["two"], 5, 0, 0, 0)}
    rest = sum(len(file.content) for file in layer.generated if file.owner in {"the overlay", "lamina"})
    assert sum(package.shipped for package in packages.values()) + rest == layer.unzipped_bytes


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"\x7fELF", ELF), (b"\x7fEL", PLAIN), (b"#!", SCRIPT), (b"#", PLAIN), (b"", PLAIN), (b"\xef\xbb\xbf#!", PLAIN)],
)
def test_kind_of(content: bytes, kind: int) -> None:
    assert kind_of(content) == kind
