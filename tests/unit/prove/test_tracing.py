"""What was opened, sorted into a trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from lamina.errors import MissingToolError
from lamina.prove.model import Job, Sandbox, Where
from lamina.prove.tracing import _check_seen, _Settled, _whole, sort
from lamina.prove.watch import watching
from lamina.recipe.reading import parse
from lamina.trace import Traced


def test_bytecode_stands_for_its_source_and_comes_once() -> None:
    opened = [
        "python/zeta/__pycache__/__init__.cpython-311.pyc",
        "python/alpha/__init__.py",
        "python/zeta/__init__.py",
        "python/__pycache__/six.cpython-311.opt-1.pyc",
        "python/alpha/_speed.cpython-311-x86_64-linux-gnu.so",
        "python/alpha.libs/libz-1a.so.1.2",
        "lib/libomp.so",
        "python/zeta-1.dist-info/METADATA",
        "python/old.egg-info/PKG-INFO",
        "python/zeta/table.json",
        "python/bare.pyc",
        "bin/tool",
    ]
    assert sort(opened, "a" * 64) == Traced(
        "a" * 64,
        ("python/zeta/__init__.py", "python/alpha/__init__.py", "python/six.py"),
        (
            "lib/libomp.so",
            "python/alpha.libs/libz-1a.so.1.2",
            "python/alpha/_speed.cpython-311-x86_64-linux-gnu.so",
        ),
        ("python/old.egg-info/PKG-INFO", "python/zeta-1.dist-info/METADATA"),
        ("bin/tool", "python/bare.pyc", "python/zeta/table.json"),
    )


def test_bytecode_of_a_source_with_dots_in_its_name_stands_for_that() -> None:
    """It is run by its path, as plug-ins are; ``importlib.util.cache_from_source`` names it so."""
    opened = ["python/zeta/__pycache__/a.b.cpython-311.pyc", "python/zeta/__pycache__/v1.2.cpython-311.opt-2.pyc"]
    assert sort(opened, "a" * 64).modules == ("python/zeta/a.b.py", "python/zeta/v1.2.py")


def test_the_layer_that_is_traced_has_no_links() -> None:
    """The kernel tells of the file that a link leads to; the link, by whose path it is asked for, would be dropped."""
    recipe = parse(
        """name = "api"
requirements = ["demo"]
[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"
[bytecode]
mode = "sourceless"
[prune]
untraced = ["demo/**"]
[emit]
dedupe = true
""",
        "recipes/api.toml",
    )
    whole = _whole(recipe)
    assert (whole.emit.dedupe, whole.prune.untraced, whole.bytecode.mode) == (False, (), "fit")


class Elsewhere:
    """A sandbox in which jobs do what a function does."""

    where = Where("Debian", "3.11.7", (2, 36), (3, 40), (3, 0), isolated=True, how="container base@sha256:0")

    def __init__(self, act: Callable[[], object]) -> None:
        self.jobs: list[Job] = []
        self._act = act

    def start(self, job: Job) -> Elsewhere:
        self.jobs.append(job)
        self._act()
        return self

    def wait(self) -> None:
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_a_place_whose_opening_of_files_is_not_seen_is_no_place_to_trace_in(tmp_path: Path) -> None:
    sign = tmp_path / "python" / ".lamina-trace"
    sign.parent.mkdir()
    sign.touch()
    with watching(tmp_path) as watch:
        with pytest.raises(MissingToolError) as caught:
            _check_seen(cast("Sandbox", Elsewhere(lambda: None)), watch)
        _check_seen(cast("Sandbox", Elsewhere(sign.read_bytes)), watch)
    assert caught.value.message == (
        "container base@sha256:0: what is opened there is not seen from here, as with an engine in a virtual machine "
        "or on another host"
    )
    assert caught.value.hint == "Trace on Linux: on the machine itself, or with an engine of the same machine."


def test_jobs_iterate_over_sets_in_one_order_unless_the_function_says_otherwise() -> None:
    sandbox = Elsewhere(lambda: None)
    settled = _Settled(cast("Sandbox", sandbox))
    settled.start(Job(("-c", ""), {"A": "b"}))
    settled.start(Job(("-c", ""), {"PYTHONHASHSEED": "7"}))
    assert [job.environment for job in sandbox.jobs] == [{"PYTHONHASHSEED": "0", "A": "b"}, {"PYTHONHASHSEED": "7"}]
