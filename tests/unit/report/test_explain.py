"""The largest things kept and dropped: grouped, ranked, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from lamina.bytecode.model import Choice, Pick
from lamina.prune.decide import decide
from lamina.prune.model import Thing
from lamina.recipe import Prune
from lamina.report.explain import compiled_beside, largest_dropped, largest_kept, largest_lines, path_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    Explained = Callable[..., Any]

VETO = "import pkg.tests.util, pkg.tests.other\n"
FILES = {
    "pkg/__init__.py": VETO,
    "pkg/big.bin": "x" * 5000,
    "pkg/sub/deep/one.bin": "x" * 300,
    "pkg/sub/deep/two.bin": "x" * 400,
    "pkg/tests/__init__.py": "",
    "pkg/tests/util.py": "#" * 200,
    "pkg/tests/other.py": "#" * 100,
    "pkg/tests/data/a/big.csv": "1" * 3000,
    "pkg/tests/test_a.py": "#" * 1000,
    "pkg/sub/__init__.py": "",
    "pkg/sub/tests/test_b.py": "#" * 600,
    "pkg/x.c": "x" * 70,
    "pkg/y.c": "x" * 30,
    "pkg/keep.c": "x" * 40,
    "top.py": "#" * 20,
}


@pytest.fixture
def explained(forge: Callable[..., Path], make_part: Callable[[Path], Any]) -> Explained:
    def run(files: Mapping[str, str], prune: Prune) -> Any:  # noqa: ANN401 - parts as the report takes them
        parts = [make_part(forge(files=files)).pair]
        return [index for index, _ in parts], decide(parts, prune)

    return run


PRUNE = Prune(keep=("pkg/keep.c",), drop=("pkg/sub/deep/one.bin",))


def test_largest_kept(explained: Explained) -> None:
    metadata = sum(entry.size for entry in explained(FILES, PRUNE)[0][0].entries if "dist-info" in entry.path)
    assert largest_kept(*explained(FILES, PRUNE)) == [
        Thing("pkg", "python/pkg/", 2, 5000 + len(VETO), "", "no rule speaks of it"),
        Thing("pkg", "python/pkg/sub/", 2, 400, "", "no rule speaks of it"),
        Thing("pkg", "python/pkg/tests/", 3, 300, "tests", "veto: imported by pkg/__init__.py"),
        Thing("pkg", "python/pkg-1.0.dist-info/", 2, metadata, "", "no rule speaks of it"),
        Thing("pkg", "python/pkg/keep.c", 1, 40, "keep", "prune.keep of the recipe"),
        Thing("pkg", "python/top.py", 1, 20, "", "no rule speaks of it"),
    ]


def test_largest_dropped(explained: Explained) -> None:
    nothing = "nothing refers to it"
    assert largest_dropped(*explained(FILES, PRUNE)) == [
        Thing("pkg", "python/pkg/tests/", 2, 4000, "tests", nothing),
        Thing("pkg", "python/pkg/sub/tests/test_b.py", 1, 600, "tests", nothing),
        Thing("pkg", "python/pkg/sub/deep/one.bin", 1, 300, "drop", "prune.drop of the recipe"),
        Thing("pkg", "python/pkg/", 2, 100, "native-sources", nothing),
    ]


def test_text(explained: Explained) -> None:
    files = {"pkg/tests/a.py": "#" * 1000, "pkg/tests/b.py": "#" * 1000, "pkg/c.py": "import pkg.tests.b\n"}
    assert [*largest_lines(*explained(files, Prune(metadata="strip")))] == [
        "The largest things kept, and why:",
        "          1,000  python/pkg/tests/b.py of pkg: tests: veto: imported by pkg/c.py",
        "             19  python/pkg/c.py of pkg: no rule speaks of it",
        "The largest things dropped, and by which rule:",
        "          1,000  python/pkg/tests/a.py of pkg: tests: nothing refers to it",
        '            121  python/pkg-1.0.dist-info/ (2 files) of pkg: metadata: metadata = "strip"',
    ]


def test_reasons_that_differ_are_counted(explained: Explained) -> None:
    files = {
        "pkg/a.py": "import pkg.tests.a\n",
        "pkg/b.py": "import pkg.tests.b\n",
        "pkg/tests/a.py": "#" * 9000,
        "pkg/tests/b.py": "#" * 1000,
    }
    assert largest_kept(*explained(files, Prune()))[0] == Thing(
        "pkg", "python/pkg/tests/", 2, 10000, "tests", "veto: imported by pkg/a.py, and 1 more reason"
    )


def test_ten_and_no_empty_ones(explained: Explained) -> None:
    files = {f"pkg/d{number:02}/f.bin": "x" * number for number in range(15)}
    kept = [thing for thing in largest_kept(*explained(files, Prune())) if "dist-info" not in thing.path]
    assert [thing.bytes for thing in kept] == list(range(14, 5, -1))
    assert largest_dropped(*explained(files, Prune())) == []
    assert [*largest_lines([], [])] == []


def test_a_path_tells_which_modules_have_bytecode(explained: Explained) -> None:
    files = {"pkg/a.py": "#" * 50, "pkg/b.py": "#" * 60, "pkg/c.csv": "1", "pkg/tests/d.py": "#"}
    indexes, decisions = explained(files, Prune())
    source = next(entry for entry in indexes[0].entries if entry.path == "python/pkg/a.py")
    made = msgspec.structs.replace(source, path="python/pkg/__pycache__/a.cpython-311.pyc", size=1234)
    compiled = compiled_beside(indexes, Choice(((Pick("k", (made,)),),)), (3, 11))
    lines = path_lines(indexes, decisions, "pkg/", (), compiled)
    assert [line for line in lines if "python/pkg/" in line] == [
        "ships             50  python/pkg/a.py (pkg: no rule speaks of it; 1,234 bytes of bytecode beside it)",
        "ships             60  python/pkg/b.py (pkg: no rule speaks of it; without bytecode)",
        "ships              1  python/pkg/c.csv (pkg: no rule speaks of it)",
        'dropped            1  python/pkg/tests/d.py (pkg: rule "tests": nothing refers to it)',
    ]
    none = compiled_beside(indexes, Choice(((),)), (3, 11))
    assert next(path_lines(indexes, decisions, "pkg/a.py", (), none)) == (
        "ships             50  python/pkg/a.py (pkg: no rule speaks of it)"
    )
