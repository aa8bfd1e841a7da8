"""What can be imported: folders of ``sys.path`` in their order, kinds of files, namespaces, ``.pth`` lines."""

from __future__ import annotations

import importlib.machinery
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.audit.model import Artefact, Item, Package
from lamina.audit.modules import Found, Modules
from lamina.audit.names import distribution_of, modules_of, removed, standard_library, system_of
from lamina.part.paths import path_lines
from lamina.part.scan import scan
from lamina.target import target_for

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TARGET = target_for("cp311", platform="manylinux2014_x86_64")


def modules(places: Iterable[str], provided: tuple[str, ...] = ()) -> Modules:
    """The modules of files at these places, in one artefact of the whole file system."""
    return Modules([Artefact("a", "image", tuple(Item(place[1:], place, 1) for place in places))], TARGET, provided)


def test_kinds_of_files() -> None:
    found = modules(
        [
            "/opt/python/plain.py",
            "/opt/python/bare.pyc",
            "/opt/python/fast.cpython-311-x86_64-linux-gnu.so",
            "/opt/python/other.cpython-312-x86_64-linux-gnu.so",
            "/opt/python/arm.cpython-311-aarch64-linux-gnu.so",
            "/opt/python/stable.abi3.so",
            "/opt/python/any.so",
            "/opt/python/pack/__init__.py",
            "/opt/python/pack/sub.py",
            "/opt/python/space/deep/x.py",
            "/opt/python/sealed/__init__.pyc",
            "/opt/python/__pycache__/cached.cpython-311.pyc",
        ]
    )
    assert found.find("plain") == Found("module", "/opt/python/plain.py")
    assert found.find("bare") == Found("module", "/opt/python/bare.pyc")
    assert found.find("fast") == Found("module", "/opt/python/fast.cpython-311-x86_64-linux-gnu.so")
    assert found.find("stable") == Found("module", "/opt/python/stable.abi3.so")
    assert found.find("any") == Found("module", "/opt/python/any.so")
    assert found.find("pack") == Found("package", "/opt/python/pack/__init__.py", ("/opt/python/pack",))
    assert found.find("pack.sub") == Found("module", "/opt/python/pack/sub.py")
    assert found.find("space") == Found("namespace", "", ("/opt/python/space",))
    assert found.find("space.deep.x") == Found("module", "/opt/python/space/deep/x.py")
    assert found.find("sealed") == Found("package", "/opt/python/sealed/__init__.pyc", ("/opt/python/sealed",))
    assert found.find("json") == Found("given")
    assert found.find("botocore.client") == Found("given")
    assert found.find("setuptools") == Found("unverified")
    for name in ("other", "arm", "cached", "plain.x", "pack.other", "space.other", "winreg"):
        assert found.find(name) is None
    assert found.missing("space.deep.y.z") == "space.deep.y"
    assert found.missing("nothing.at.all") == "nothing"
    assert found.missing("urllib.whatever") == ""


def test_the_order_of_the_path() -> None:
    """The function goes first; a package displaces a folder of the same name wherever it stands."""
    found = modules(
        [
            "/var/task/a.py",
            "/opt/python/a/__init__.py",
            "/var/task/b/x.py",
            "/opt/python/b/__init__.py",
            "/opt/python/lib/python3.11/site-packages/c.py",
            "/opt/python/c/__init__.py",
            "/opt/python/lib/python3.12/site-packages/d.py",
            "/var/task/google/one.py",
            "/opt/python/google/two.py",
            "/var/task/email/own.py",
        ]
    )
    assert found.find("a") == Found("module", "/var/task/a.py")
    assert found.missing("b.x") == "b.x"
    assert found.find("c") == Found("module", "/opt/python/lib/python3.11/site-packages/c.py")
    assert found.find("google") == Found("namespace", "", ("/var/task/google", "/opt/python/google"))
    assert found.missing("google.one") == found.missing("google.two") == ""
    assert found.find("email") == Found("given")
    assert found.name_of("/opt/python/lib/python3.11/site-packages/c.py") == ("c", False)
    assert found.name_of("/opt/python/b/__init__.py") == ("b", True)
    assert found.name_of("/etc/x.py") == ("", False)


def test_pth_files_add_folders() -> None:
    items = (
        Item("python/x.pth", "/opt/python/x.pth", 1, adds=("vendor", "../other", "missing")),
        Item("python/sub/y.pth", "/opt/python/sub/y.pth", 1, adds=("/opt/far",)),
        Item("python/vendor/v.py", "/opt/python/vendor/v.py", 1),
        Item("other/o.py", "/opt/other/o.py", 1),
        Item("far/f.py", "/opt/far/f.py", 1),
    )
    found = Modules([Artefact("a", "layer", items)], TARGET)
    assert found.find("v") == Found("module", "/opt/python/vendor/v.py")
    assert found.find("o") == Found("module", "/opt/other/o.py")
    assert found.find("f") is None


def test_lines_of_pth_files() -> None:
    text = b"\xef\xbb\xbfvendor\r\n# comment\n\nimport x; x.y()\nimport\tz\nimported/folder \n/opt/\xff\n"
    assert path_lines(text) == ("vendor", "imported/folder", "/opt/\ufffd")
    assert path_lines(b"") == ()


def test_folders_that_a_function_puts_on_the_path() -> None:
    def stack(imported: str, *more: str) -> Modules:
        text = f"import {imported}, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'vendor'))\n"
        items = (
            Item("h.py", "/var/task/h.py", 1, source=scan(text.encode())),
            *(Item(path, f"/var/task/{path}", 1) for path in ("vendor/v.py", *more)),
        )
        return Modules([Artefact("f", "function", items)], TARGET)

    assert stack("sys").find("v") == Found("module", "/var/task/vendor/v.py")
    assert stack("json").find("v") is None
    assert stack("sys", "vendor/__init__.py").find("v") is None


def test_links_lead_to_anything() -> None:
    items = (Item("python/x", "/opt/python/x", 0, kind="link", target="y"),)
    assert Modules([Artefact("a", "layer", items)], TARGET).find("x.deep") == Found("given")


def test_what_is_provided() -> None:
    assert modules([], ("PyYAML", "my-tool")).find("yaml") == Found("given")
    assert modules([], ("PyYAML", "my-tool")).find("my_tool.x") == Found("given")
    held = Package("pyyaml", "6.0", "python/x.dist-info", (), metadata=True, entry_points=(), files=frozenset())
    assert Modules([Artefact("a", "layer", (), (held,))], TARGET, ("PyYAML",)).find("yaml") is None


@pytest.mark.parametrize(
    ("name", "first", "last"), [("distutils", 9, 11), ("tomllib", 11, 14), ("compression", 14, 14)]
)
def test_the_standard_library_by_version(name: str, first: int, last: int) -> None:
    for minor in range(9, 15):
        assert (name in standard_library((3, minor))) == (first <= minor <= last)
        assert removed(name, (3, minor)) == (f"3.{last}" if minor > last else "")


def test_the_standard_library_of_the_running_python() -> None:
    """Newer patch releases may add nothing; modules of other systems are left out."""
    known = standard_library(sys.version_info[:2])
    rest = {name for name in sys.stdlib_module_names - known if not name.startswith(("_test", "_xx", "xx"))}
    assert {name for name in rest if not system_of(name)} == set()
    assert known - sys.stdlib_module_names <= {"test"}


def test_names_of_distributions() -> None:
    assert distribution_of("cv2.data") == "opencv-python-headless"
    assert distribution_of("google.cloud.storage.blob") == "google-cloud-storage"
    assert distribution_of("some_thing.x") == "some-thing"
    assert modules_of("opencv_python.headless") == {"cv2"}
    assert modules_of("scikit-learn") == {"sklearn"}
    assert (system_of("winreg"), system_of("win32api"), system_of("AppKit"), system_of("json")) == (
        "Windows",
        "Windows",
        "macOS",
        "",
    )


NAMES = st.sampled_from(["a", "b", "c"])
FILES = st.sampled_from([".py", ".pyc", "/__init__.py", "/__init__.pyc", "/a.py", "/b/c.py", "/b/__init__.py"])


@given(st.sets(st.tuples(st.sampled_from(["/opt/python", "/var/task"]), NAMES, FILES), max_size=8))
def test_agrees_with_the_path_finder(
    tmp_path_factory: pytest.TempPathFactory, files: set[tuple[str, str, str]]
) -> None:
    """CPython itself is asked for the same files on disk."""
    root: Path = tmp_path_factory.mktemp("root")
    places = {f"{folder}/{name}{end}" for folder, name, end in files}
    for place in places:
        path = root / place[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    found = modules(places)

    def real(name: str, path: list[str]) -> tuple[str | None, list[str]] | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None:
            return None
        below = [str(folder) for folder in spec.submodule_search_locations or ()]
        return spec.origin, below

    roots = [str(root / folder) for folder in ("var/task", "opt/python")]
    for top in ("a", "b", "c"):
        expected = real(top, roots)
        got = found.find(top)
        assert (got is None) == (expected is None)
        if got is None or expected is None:
            continue
        assert (got.path or None) == (expected[0] and expected[0].removeprefix(str(root)))
        assert [*got.folders] == [folder.removeprefix(str(root)) for folder in expected[1]]
        for sub in ("a", "b"):
            assert (found.find(f"{top}.{sub}") is None) == (real(sub, expected[1]) is None)


def test_depths_that_only_an_attack_has() -> None:
    """Neither a path nor an import of thousands of folders takes memory or recursion in proportion."""
    deep = "a/" * 30_000
    found = modules([f"/opt/python/{deep}x.py", "/opt/python/b/__init__.py"])
    assert found.find("a") is None
    assert found.find(".".join("b" * 5_000)) is None
    assert found.missing(".".join("b" * 5_000)) == "b.b"
    assert found.find("b") is not None
