"""Decisions: who says what of which file, in which order of precedence, and with which reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.part.model import EntryPoint
from lamina.part.scan import scan
from lamina.prune.decide import _matcher, decide
from lamina.prune.model import Decision
from lamina.prune.references import PROOF, Package
from lamina.recipe import Prune

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    Forge = Callable[..., Path]
    MakePart = Callable[[Path], Any]
    Decided = Callable[..., dict[str, tuple[str, bool, str]]]

INFO = "pkg-1.0.dist-info"
NOTHING = "nothing refers to it"


@pytest.fixture
def decided(forge: Forge, make_part: MakePart) -> Decided:
    """What is said of the files of one wheel: rule, dropped or not, reason; by the path below python/."""

    def run(
        files: Mapping[str, str | bytes], prune: Prune | None = None, **wheel: object
    ) -> dict[str, tuple[str, bool, str]]:
        index, facts = make_part(forge(files=files, **wheel)).pair
        (said,) = decide([(index, facts)], prune or Prune())
        order = [entry.path for entry in index.entries]
        places = [order.index(decision.path) for decision in said]
        assert places == sorted(places)
        sizes = {entry.path: entry.size for entry in index.entries}
        assert {decision.path: decision.size for decision in said}.items() <= sizes.items()
        return {found.path.removeprefix("python/"): (found.rule, found.dropped, found.reason) for found in said}

    return run


FILES = {
    "pkg/__init__.py": "",
    "pkg/mod.py": "",
    "pkg/tests/__init__.py": "",
    "pkg/tests/test_a.py": "from . import data\n",
    "pkg/tests/data.py": "",
    "pkg/docs/x.md": "",
    "pkg/data.txt": "",
}


def test_rules_drop_what_nothing_refers_to(decided: Decided) -> None:
    assert decided(FILES) == {
        "pkg/tests/__init__.py": ("tests", True, NOTHING),
        "pkg/tests/test_a.py": ("tests", True, NOTHING),
        "pkg/tests/data.py": ("tests", True, NOTHING),
        "pkg/docs/x.md": ("docs", True, NOTHING),
    }
    assert set(decided(FILES, Prune(rules=("docs",)))) == {"pkg/docs/x.md"}
    assert decided(FILES, Prune(rules=())) == {}


def test_keep_comes_before_everything(decided: Decided) -> None:
    kept = ("keep", False, "prune.keep of the recipe")
    prune = Prune(keep=("pkg/tests/test_*.py", f"{INFO}/INSTALLER", "x-nspkg.pth"), drop=("pkg/**", f"{INFO}/*"))
    found = decided({**FILES, "x-nspkg.pth": ""}, prune, metadata={"INSTALLER": "pip"})
    assert {path for path, said in found.items() if said == kept} == {
        "pkg/tests/test_a.py",
        f"{INFO}/INSTALLER",
        "x-nspkg.pth",
    }
    assert found["pkg/mod.py"] == ("drop", True, "prune.drop of the recipe")
    assert found[f"{INFO}/METADATA"] == ("drop", True, "prune.drop of the recipe")


def test_what_keep_keeps_refers_to_other_files(decided: Decided) -> None:
    found = decided(FILES, Prune(keep=("pkg/tests/test_a.py",)))
    assert found["pkg/tests/data.py"] == ("tests", False, "imported by pkg/tests/test_a.py")
    assert found["pkg/tests/__init__.py"] == ("tests", False, "imported by pkg/tests/test_a.py")


def test_drop_is_not_vetoed_and_refers_to_nothing(decided: Decided) -> None:
    files = {**FILES, "pkg/__init__.py": "import pkg.tests.data\n", "pkg/mod.py": "import pkg.tests.test_a\n"}
    found = decided(files, Prune(drop=("pkg/tests/data.py", "pkg/mod.py", "pkg/docs/")))
    assert found["pkg/tests/data.py"] == ("drop", True, "prune.drop of the recipe")
    assert found["pkg/docs/x.md"] == ("drop", True, "prune.drop of the recipe")
    # What only a dropped module imports is not needed.
    assert found["pkg/tests/test_a.py"] == ("tests", True, NOTHING)


def test_metadata_follows_its_mode(decided: Decided) -> None:
    metadata = {"INSTALLER": "pip", "LICENSE": "MIT", "sboms/x.json": "{}", "top_level.txt": "pkg\n"}
    found = decided({}, metadata=metadata)
    assert found == {
        f"{INFO}/INSTALLER": ("metadata", True, "written by an installer about itself"),
        f"{INFO}/LICENSE": ("metadata", True, "its text is in the notices"),
        f"{INFO}/sboms/x.json": ("metadata", True, "its facts are in the SBOM"),
    }
    assert decided({}, Prune(metadata="keep"), metadata=metadata) == {}
    assert len(decided({}, Prune(metadata="strip"), metadata=metadata)) == 6


def test_namespace_pth_files_go_and_others_stay(decided: Decided) -> None:
    code = "import sys, types, os;has_mfs = sys.version_info > (3, 5)\n"
    found = decided({"pkg-1.0-py3.9-nspkg.pth": code, "pkg.pth": "./lib\n", "pkg/x-nspkg.pth": "", "nspkg.pth": ""})
    assert found == {"pkg-1.0-py3.9-nspkg.pth": ("metadata", True, "a namespace needs no .pth file (PEP 420)")}


def test_bytecode_caches_always_go(decided: Decided) -> None:
    files = {
        "pkg/__pycache__/x.cpython-311.pyc": "",
        "__pycache__/y.pyc": "",
        "pkg/x.pyc": "",
        "pkg/__pycache__.py": "",
    }
    verdict = ("caches", True, "bytecode is never taken from a wheel; pypa/installer takes none either")
    expected = dict.fromkeys(list(files)[:2], verdict)
    assert decided(files) == expected
    assert decided(files, Prune(rules=())) == expected
    assert decided(files, Prune(rules=(), keep=("**/__pycache__/",))) == expected


def test_files_outside_of_site_packages(decided: Decided) -> None:
    """Rules and globs are for site-packages; what a wheel puts beside it stays, whatever it is called."""
    data = "pkg-1.0.data/data"
    files = {f"{data}/share/doc/x.txt": "", f"{data}/share/docs/x.h": "", f"{data}/etc/x": "", f"{data}/docs/x": ""}
    assert decided(files) == {}
    assert decided(files, Prune(drop=("share/", "docs/"), keep=("etc/**",))) == {}


def test_packages_are_decided_together(forge: Forge, make_part: MakePart) -> None:
    one = make_part(forge("one", files={"one/__init__.py": "import two.tests.util\n"})).pair
    two = make_part(
        forge(
            "two", files={"two/__init__.py": "", "two/tests/__init__.py": "", "two/tests/util.py": "", "two/docs/x": ""}
        )
    ).pair
    first, second = decide([one, two], Prune())
    assert first == []
    assert second == [
        Decision("python/two/docs/x", 0, "docs", True, NOTHING),  # noqa: FBT003 - stored as an array
        Decision("python/two/tests/__init__.py", 0, "tests", False, "imported by one/__init__.py"),  # noqa: FBT003
        Decision("python/two/tests/util.py", 0, "tests", False, "imported by one/__init__.py"),  # noqa: FBT003
    ]
    assert decide([two], Prune())[0][1].dropped


def test_a_path_of_two_packages_stays_for_both(forge: Forge, make_part: MakePart) -> None:
    shared = {"ns/tests/util.py": "", "ns/tests/x.py": ""}
    one = make_part(forge("one", files={**shared, "ns/a.py": "import ns.tests.util\n"})).pair
    two = make_part(forge("two", files=shared)).pair
    for said in decide([one, two], Prune()):
        assert {found.path: found.dropped for found in said} == {
            "python/ns/tests/util.py": False,
            "python/ns/tests/x.py": True,
        }


GLOBS = [
    ("pkg/x.py", ["pkg/x.py"], ["pkg/x.pyc", "a/pkg/x.py", "pkg/xxpy", "pkg/X.py"]),
    ("pkg/*", ["pkg/a", "pkg/.a"], ["pkg/a/b", "pkg", "a/pkg/b"]),
    ("*.txt", ["a.txt", ".txt"], ["a/b.txt", "a.txt/b"]),
    ("**/*.txt", ["a.txt", "a/b.txt", "a/b/c.txt"], ["a.txt/b", "a.md"]),
    ("pkg/**", ["pkg/a", "pkg/a/b"], ["pkg", "pkgs/a"]),
    ("pkg/", ["pkg/a", "pkg/a/b"], ["pkg", "pkgs/a", "a/pkg/b"]),
    ("**/tests/", ["tests/a", "a/tests/b/c"], ["a/tests", "atests/b"]),
    ("**/tests/**", ["tests/a", "a/tests/b/c"], ["a/tests"]),
    ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "a/b/c"]),
    ("a?c", ["abc", "a.c"], ["ac", "a/c", "abbc"]),
    ("**", ["a", "a/b/c"], []),
    ("a.(b)+[c]{d}|e^$", ["a.(b)+[c]{d}|e^$"], ["aX(b)+[c]{d}|e^$", "e^$"]),
    ("***", ["a", "a/b"], []),
    ("a\nb", ["a\nb"], ["ab"]),
]


@pytest.mark.parametrize(("glob", "hits", "misses"), GLOBS)
def test_globs(glob: str, hits: list[str], misses: list[str]) -> None:
    matcher = _matcher([glob])
    assert matcher is not None
    assert [path for path in hits if not matcher.fullmatch(path)] == []
    assert [path for path in misses if matcher.fullmatch(path)] == []
    both = _matcher(["never", glob, "neither|nor"])
    assert both is not None
    assert all(both.fullmatch(path) for path in hits)
    assert not any(both.fullmatch(path) for path in misses)


def test_no_globs() -> None:
    assert _matcher([]) is None


@given(st.text(st.characters(exclude_characters="*?/", exclude_categories=["Cs"]), min_size=1))
def test_a_name_without_wildcards_means_itself(name: str) -> None:
    matcher = _matcher([name])
    assert matcher is not None
    assert matcher.fullmatch(name)
    assert not matcher.fullmatch(name + "x")


def test_a_package_called_tests_was_asked_for(forge: Forge, make_part: MakePart) -> None:
    """Its own folder is no test folder; those inside it are, and a folder of that name in another package."""
    files = {"tests/x.py": "", "tests/y/tests/z.py": "", "docs/x.md": ""}
    (said,) = decide([make_part(forge("tests", files=files)).pair], Prune())
    assert [found.path for found in said if found.dropped] == ["python/docs/x.md", "python/tests/y/tests/z.py"]
    (said,) = decide([make_part(forge("pkg", files=files)).pair], Prune())
    assert [found.path for found in said if found.dropped] == [f"python/{path}" for path in sorted(files)]


def test_what_the_project_itself_refers_to_stays(forge: Forge, make_part: MakePart) -> None:
    """Code of the overlay, and imports of the proof."""
    files = {"pkg/__init__.py": "", "pkg/tests/a.py": "", "pkg/tests/b.py": "", "pkg/tests/c.py": ""}
    own = Package(
        "the recipe",
        frozenset({"mine.py"}),
        {"mine.py": scan(b"from pkg.tests import a\n")},
        (EntryPoint(PROOF, "pkg.tests.b", "pkg.tests.b", ""),),
    )
    (said,) = decide([make_part(forge(files=files)).pair], Prune(), own)
    assert {found.path: found.reason for found in said if not found.dropped} == {
        "python/pkg/tests/a.py": "imported by mine.py",
        "python/pkg/tests/b.py": "proof.imports of the recipe",
    }
