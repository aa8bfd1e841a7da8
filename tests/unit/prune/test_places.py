"""Folders and endings that literals name: what code lists, copies or opens by computed names stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lamina.prune.decide import decide
from lamina.recipe import Prune

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    Kept = Callable[[Mapping[str, str]], dict[str, str]]

FILES = {
    "pkg/__init__.py": "",
    "pkg/sub/__init__.py": "",
    "pkg/examples/a.csv": "",
    "pkg/examples/deep/b.csv": "",
    "pkg/examples/run.py": "",
    "pkg/sub/docs/page.md": "",
    "pkg/tests/__init__.py": "",
    "pkg/tests/data/c.csv": "",
    "pkg/tests/test_c.py": "",
    "other/__init__.py": "",
    "other/examples/d.csv": "",
}
DATA = {"pkg/examples/a.csv", "pkg/examples/deep/b.csv"}
EXAMPLES = DATA | {"pkg/examples/run.py"}


@pytest.fixture
def kept(forge: Callable[..., Path], make_part: Callable[[Path], Any]) -> Kept:
    """Path → reason for the files that rules propose and references keep."""

    def run(files: Mapping[str, str]) -> dict[str, str]:
        [said] = decide([make_part(forge(files=files)).pair], Prune())
        return {found.path.removeprefix("python/"): found.reason for found in said if not found.dropped}

    return run


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("pkg/io.py", 'os.listdir(os.path.join(HERE, "examples"))', EXAMPLES),
        ("pkg/io.py", 'files("pkg") / "examples"', EXAMPLES),
        ("pkg/io.py", 'HERE.glob("examples/*.csv")', EXAMPLES),
        ("pkg/io.py", 'for f in (HERE / "examples").iterdir(): pass', EXAMPLES),
        ("pkg/io.py", 'get_data("pkg", f"examples/{name}.csv")', EXAMPLES),
        ("pkg/io.py", 'runpy.run_path(HERE / "examples" / name)', EXAMPLES),
        ("pkg/io.py", 'open(HERE / "examples" / f"{name}.csv")', DATA),
        ("pkg/io.py", 'open(os.path.join(os.path.dirname(__file__), "examples", name))', DATA),
        ("pkg/sub/io.py", 'open(HERE.parent / "examples" / name)', DATA),
        ("pkg/io.py", 'os.listdir(HERE / "examples/deep")', {"pkg/examples/deep/b.csv"}),
        ("pkg/io.py", 'os.listdir(HERE / "docs")', set()),
        ("pkg/io.py", 'os.listdir(HERE / "sub/docs")', {"pkg/sub/docs/page.md"}),
        ("pkg/io.py", 'files("pkg.sub") / "docs"', {"pkg/sub/docs/page.md"}),
        ("pkg/io.py", 'import other\nos.listdir(HERE / "examples")', EXAMPLES),
        ("pkg/io.py", 'import other\nfiles(other) / "examples"', EXAMPLES | {"other/examples/d.csv"}),
        # The name of a tests folder is in many places: to tell frames apart, to run pytest, to skip it.
        ("pkg/io.py", 'here = os.path.join(os.path.dirname(__file__), "tests")', set()),
        (
            "pkg/io.py",
            'os.listdir(os.path.join(HERE, "tests"))',
            {"pkg/tests/__init__.py", "pkg/tests/data/c.csv", "pkg/tests/test_c.py"},
        ),
        (
            "pkg/io.py",
            'os.listdir(os.path.join(HERE, "tests", "data"))',
            {path for path in FILES if "pkg/tests" in path},
        ),
    ],
)
def test_folders(kept: Kept, path: str, source: str, expected: set[str]) -> None:
    found = kept({**FILES, path: source + "\n"})
    assert set(found) == expected
    assert all(reason.endswith(f", which {path} names") for reason in found.values())


def test_reasons(kept: Kept) -> None:
    found = kept({**FILES, "pkg/io.py": 'os.listdir(HERE / "examples/deep")\n'})
    assert found == {"pkg/examples/deep/b.csv": "in pkg/examples/deep, which pkg/io.py names"}


def test_folders_of_data_stay_whole(kept: Kept) -> None:
    """A template of a project has tests and docs; nothing in code says their names."""
    reason = "stands among data: pkg/templates/new is no package"
    files = {"pkg/__init__.py": "", "pkg/templates/new/tests/test_x.py": "", "pkg/templates/new/docs/conf.py": ""}
    assert kept(files) == dict.fromkeys((path for path in files if "new" in path), reason)
    # A namespace package is none of data: nothing above it is a package.
    assert kept({"space/pkg/tests/test_x.py": "", "space/other.py": ""}) == {}


def test_endings(kept: Kept) -> None:
    files = {"pkg/__init__.py": "", "pkg/gpu/a.cu": "", "pkg/gpu/deep/b.cu": "", "pkg/gpu/c.h": "", "pkg/d.cu": ""}
    found = kept({**files, "pkg/gpu/compile.py": 'open(HERE / (name + ".cu"))\nHERE = Path(__file__).parent\n'})
    assert found == dict.fromkeys(("pkg/gpu/a.cu", "pkg/gpu/deep/b.cu"), ".cu files are named in pkg/gpu/compile.py")
    found = kept({**files, "pkg/gpu/compile.py": 'glob.glob("*.h")\n'})
    assert found == {"pkg/gpu/c.h": "*.h files are named in pkg/gpu/compile.py"}
    assert kept({**files, "pkg/gpu/compile.py": 'ENDINGS = [".cu", ".h"]\n'}) == {}
