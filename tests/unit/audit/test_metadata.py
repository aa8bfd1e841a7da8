"""Metadata that is gone and asked for: whole findings, and nothing where nothing is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lamina.audit.metadata import check_metadata
from lamina.findings import Finding
from lamina.prune.decide import decide
from lamina.recipe import Prune

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    Check = Callable[..., list[Finding]]

STRIP = Prune(metadata="strip")
V = "from importlib.metadata import version\n"


@pytest.fixture
def check(forge: Callable[..., Path], make_part: Callable[[Path], Any]) -> Check:
    """The findings for one package ``my-pkg``, and others beside it of which each has one module."""

    def run(
        files: Mapping[str, str],
        prune: Prune = STRIP,
        others: tuple[str, ...] = (),
        points: Mapping[str, str] | None = None,
    ) -> list[Finding]:
        wheels = {"my_pkg": files, **{other: {f"{other}.py": ""} for other in others}}
        parts = []
        for name, content in wheels.items():
            text = (points or {}).get(name)
            metadata = {"entry_points.txt": text} if text else {}
            parts.append(make_part(forge(name, files=content, metadata=metadata)).pair)
        return [*check_metadata(parts, decide(parts, prune))]

    return run


def needed(path: str, message: str, hint: str) -> Finding:
    return Finding("metadata-needed", "error", f"python/{path}", message, hint)


OWN_HINT = 'Set prune.metadata = "minimal", or prune.keep = ["my_pkg-1.0.dist-info/METADATA"].'
OWN = needed(
    "my_pkg/__init__.py",
    "my-pkg asks for the metadata of itself, when it is imported (version), and my_pkg-1.0.dist-info/METADATA is gone",
    OWN_HINT,
)


def test_own_version(check: Check) -> None:
    for argument in ("'my_pkg'", "'My.Pkg'", "__name__", "__package__", "__name__.split('.')[0]"):
        assert check({"my_pkg/__init__.py": f"{V}__version__ = version({argument})\n"}) == [OWN]


def test_nothing_is_found_where_nothing_is_gone(check: Check) -> None:
    files = {"my_pkg/__init__.py": V + "__version__ = version('my_pkg')\n"}
    assert check(files, Prune()) == []
    assert check(files, Prune(metadata="keep")) == []
    assert check(files, Prune(metadata="strip", keep=("my_pkg-*.dist-info/METADATA",))) == []
    assert check({"my_pkg/__init__.py": V + "version('absent')\n"}) == []
    assert check({"my_pkg/tests/__init__.py": V + "version('my_pkg')\n"}) == []


def test_another_distribution(check: Check) -> None:
    files = {"my_pkg/a.py": V + "def f():\n    version('scramp')\n", "my_pkg/b.py": V + "version('scramp')\n"}
    assert check(files, others=("scramp",)) == [
        needed(
            "my_pkg/b.py",
            "my-pkg asks for the metadata of scramp, when it is imported (version), "
            "and scramp-1.0.dist-info/METADATA is gone",
            'Set prune.metadata = "minimal", or prune.keep = ["scramp-1.0.dist-info/METADATA"].',
        )
    ]


def test_a_glob_took_it(check: Check) -> None:
    files = {"my_pkg/__init__.py": V + "def f():\n    return version('my_pkg')\n"}
    assert check(files, Prune(drop=("my_pkg-*.dist-info/METADATA",))) == [
        needed(
            "my_pkg/__init__.py",
            "my-pkg asks for the metadata of itself, at run time (version), and my_pkg-1.0.dist-info/METADATA is gone",
            'Keep it: prune.keep = ["my_pkg-1.0.dist-info/METADATA"].',
        )
    ]
    assert check(files, Prune(drop=("my_pkg/**", "my_pkg-*.dist-info/**"))) == []


def test_names_that_are_computed(check: Check) -> None:
    files = {"my_pkg/__init__.py": V + "def f(name):\n    return version(name)\n"}
    assert check(files, others=("other",)) == [
        needed(
            "my_pkg/__init__.py",
            "my-pkg asks for the metadata of distributions whose names it computes, at run time (version); "
            "that of 2 is gone",
            'Set prune.metadata = "minimal", or prune.keep = ["*.dist-info/METADATA"].',
        )
    ]
    files = {"my_pkg/__init__.py": "from importlib.metadata import packages_distributions as p\np()\n"}
    assert check(files) == [
        needed(
            "my_pkg/__init__.py",
            "my-pkg asks for the metadata of all distributions, when it is imported (packages_distributions); "
            "that of 1 is gone",
            'Set prune.metadata = "minimal", or prune.keep = ["*.dist-info/METADATA"].',
        )
    ]


TRY = "try:\n    x = {}\nexcept Exception:\n    x = None\n"


def test_code_that_goes_on_without(check: Check) -> None:
    """Only the own version is lost in silence; everything else that is handled was meant to be optional."""
    assert check({"my_pkg/__init__.py": V + TRY.format("version('my-pkg')")}) == [OWN]
    handled = {
        "my_pkg/a.py": V + TRY.format("version('other')"),
        "my_pkg/b.py": V + TRY.format("version(name)"),
        "my_pkg/c.py": V + "def f():\n    try:\n        version('my-pkg')\n    except Exception:\n        pass\n",
        "my_pkg/d.py": "from importlib.metadata import distribution\n" + TRY.format("distribution('my-pkg')"),
        "my_pkg/e.py": "from importlib.metadata import distribution\ndef f():\n    distribution('my-pkg').origin\n",
    }
    assert check(handled, others=("other",)) == []


def test_command_lines_run_in_no_function(check: Check) -> None:
    lazy = V + "def main():\n    version('my_pkg')\n"
    places = ("cli", "__main__", "cli/run", "commands/x", "_cli", "cli/_cli_utils")
    assert check({f"my_pkg/{place}.py": lazy for place in places}) == []
    assert len(check({"my_pkg/client.py": lazy})) == 1
    assert len(check({"my_pkg/cli.py": V + "version('my_pkg')\n"})) == 1


POINTS = {"other": "[my.plugins]\nred = other\n", "my_pkg": "[console_scripts]\nrun = my_pkg:main\n"}


def test_entry_points(check: Check) -> None:
    files = {"my_pkg/__init__.py": "import pkg_resources\npkg_resources.iter_entry_points('my.plugins')\n"}
    finding = needed(
        "my_pkg/__init__.py",
        "my-pkg asks for entry points, those of other in my.plugins, when it is imported (iter_entry_points), "
        "and other-1.0.dist-info/entry_points.txt is gone",
        'Set prune.metadata = "minimal", or prune.keep = ["other-1.0.dist-info/entry_points.txt"].',
    )
    assert check(files, others=("other",), points=POINTS) == [finding]
    (found,) = check(files, Prune(drop=("**/*.txt",)), others=("other",), points=POINTS)
    assert found.hint == 'Keep it: prune.keep = ["other-1.0.dist-info/entry_points.txt"].'
    assert check(files, others=("other",)) == []


def test_entry_points_by_name_need_that_name(check: Check) -> None:
    """opentelemetry-api chooses by an environment variable, and needs none of its own unless its default is one."""
    source = "import pkg_resources\ndef f(name={!r}):\n    pkg_resources.iter_entry_points('my.plugins', name)\n"
    assert check({"my_pkg/__init__.py": source.format("blue")}, others=("other",), points=POINTS) == []
    assert len(check({"my_pkg/__init__.py": source.format("red")}, others=("other",), points=POINTS)) == 1
    commands = "from importlib.metadata import entry_points\nentry_points(group='console_scripts')\n"
    assert check({"my_pkg/__init__.py": commands}, points=POINTS) == []
