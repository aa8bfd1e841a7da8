"""The veto: what kept code refers to stays, across packages and to a fixpoint, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lamina.prune.decide import decide
from lamina.prune.references import module_name
from lamina.recipe import Prune

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    Forge = Callable[..., Path]
    MakePart = Callable[[Path], Any]
    Kept = Callable[..., dict[str, str]]

#: A package whose proposed files are all unneeded by themselves.
TESTS = {
    "pkg/__init__.py": "",
    "pkg/mod.py": "",
    "pkg/tests/__init__.py": "",
    "pkg/tests/util.py": "from . import data\n",
    "pkg/tests/data.py": "",
    "pkg/tests/test_mod.py": "import pkg.tests.util\nimport pkg.docs.tool\n",
    "pkg/tests/native.cpython-311-x86_64-linux-gnu.so": "\x7fELF",
    "pkg/tests/values.csv": "1,2\n",
    "pkg/tests/sub/__init__.py": "",
    "pkg/tests/sub/deep.py": "",
    "pkg/docs/__init__.py": "",
    "pkg/docs/tool.py": "",
    "pkg/conftest.py": "import pkg.tests.util\n",
    "pkg/tests/conftest.py": "",
}


@pytest.fixture
def kept(forge: Forge, make_part: MakePart) -> Kept:
    """Path → reason for the files that rules propose and references keep, in a layer of these packages."""

    def run(*packages: Mapping[str, str | bytes], points: str = "") -> dict[str, str]:
        parts = []
        for number, files in enumerate(packages):
            metadata = {"entry_points.txt": points} if points and not number else {}
            parts.append(make_part(forge(f"p{number}", files=files, metadata=metadata)).pair)
        said = [found for decisions in decide(parts, Prune()) for found in decisions]
        assert {found.reason for found in said if found.dropped} <= {
            "nothing refers to it",
            "a namespace needs no .pth file (PEP 420)",
        }
        return {found.path.removeprefix("python/"): found.reason for found in said if not found.dropped}

    return run


def test_nothing_stays_by_itself(kept: Kept) -> None:
    """What only dropped code refers to goes with it, also where it refers to itself in circles."""
    assert kept(TESTS) == {}


UTIL = {"pkg/tests/__init__.py", "pkg/tests/util.py", "pkg/tests/data.py"}
IMPORTS = {
    "plain": "import pkg.tests.util",
    "as": "import pkg.tests.util as u",
    "from": "from pkg.tests import util",
    "name of it": "from pkg.tests.util import thing",
    "relative": "from .tests import util",
    "relative name": "from .tests.util import thing",
    "relative, up": "from . import tests, other\nfrom .tests import util",
    "in a function": "def f():\n    import pkg.tests.util",
    "in a class, in a function": "class C:\n    def f(self):\n        from .tests import util",
    "guarded": "try:\n    import pkg.tests.util\nexcept ImportError:\n    pass",
    "under a condition": "if DEBUG:\n    from pkg.tests.util import *",
    "in an else of TYPE_CHECKING": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import pkg.tests.util"
    ),
    "on a continued line": "from pkg.tests \\\n    import (  # comment\n    util,\n)",
    "behind a semicolon": "x = 1; import pkg.tests.util",
    "several": "import os, pkg.tests.util, sys",
    "by name": 'import importlib\nimportlib.import_module("pkg.tests.util")',
    "by relative name": 'from importlib import import_module\nimport_module(".tests.util", __package__)',
    "by name in a table": 'TABLE = {"x": "pkg.tests.util"}',
    "with __import__": '__import__("pkg.tests.util")',
    "a reference to an object": 'load("pkg.tests.util", "thing")',
    "computed": 'import importlib\nfor n in ("ut" + "il",):\n    importlib.import_module(f"pkg.tests.{n}")',
}


@pytest.mark.parametrize("how", IMPORTS)
def test_imports_keep_what_they_load(kept: Kept, how: str) -> None:
    """The module, the packages above it, and what it imports itself."""
    found = kept({**TESTS, "pkg/__init__.py": IMPORTS[how]})
    assert set(found) >= UTIL
    if how != "computed":  # which may mean every module of the folder
        assert set(found) == UTIL
        assert found["pkg/tests/data.py"] == "imported by pkg/tests/util.py"
        assert "pkg/__init__.py" in found["pkg/tests/util.py"]


def test_what_a_computed_name_may_mean(kept: Kept) -> None:
    found = kept({**TESTS, "pkg/__init__.py": 'import importlib\nimportlib.import_module(f"pkg.tests.sub.{name}")\n'})
    assert found == {
        "pkg/tests/sub/deep.py": "may be meant by import_module in pkg/__init__.py",
        "pkg/tests/sub/__init__.py": "named in pkg/__init__.py",
        "pkg/tests/__init__.py": "named in pkg/__init__.py",
    }
    # A name that is computed whole may mean anything, and so says nothing.
    assert kept({**TESTS, "pkg/__init__.py": "import importlib\nimportlib.import_module(name)\n"}) == {}


NO_IMPORTS = {
    "for a type checker": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pkg.tests.util",
    "for a type checker, by another name": "import typing as t\nif t.TYPE_CHECKING:\n    from .tests import util",
    "a comment": "# import pkg.tests.util",
    "a docstring": '"""\nimport pkg.tests.util\n"""',
    "another package's": "from other import tests",
    "a longer name": "import pkg.testsuite.util\nimport pkgtests.util",
    "beyond the top": "from .. import tests",
    "a bare word": 'x = "util"',
    "a name in a longer text": 'x = "see pkg.tests.util for more"',
}


@pytest.mark.parametrize("how", NO_IMPORTS)
def test_these_are_no_imports(kept: Kept, how: str) -> None:
    assert kept({**TESTS, "pkg/__init__.py": NO_IMPORTS[how]}) == {}


def test_relative_imports_from_below(kept: Kept) -> None:
    assert set(kept({**TESTS, "pkg/a/b/__init__.py": "from ...tests import util\n"})) == UTIL
    assert set(kept({**TESTS, "pkg/a/b.py": "from ..tests import util\n"})) == UTIL
    assert kept({**TESTS, "pkg/a/b.py": "from ...tests import util\n"}) == {}


def test_native_modules_and_bytecode_are_modules(kept: Kept) -> None:
    found = kept({**TESTS, "pkg/__init__.py": "from pkg.tests import native\n"})
    assert set(found) == {"pkg/tests/__init__.py", "pkg/tests/native.cpython-311-x86_64-linux-gnu.so"}
    files = {"pkg/__init__.py": "import pkg.tests.old\n", "pkg/tests/old.pyc": b"\xa7\r\r\n"}
    assert set(kept(files)) == {"pkg/tests/old.pyc"}


def test_a_whole_package(kept: Kept) -> None:
    """``import pkg.tests`` runs its ``__init__`` and no more."""
    found = kept({**TESTS, "pkg/__init__.py": "from . import tests\n"})
    assert found == {"pkg/tests/__init__.py": "imported by pkg/__init__.py"}


def test_star_imports_load_what_all_names(kept: Kept) -> None:
    files = {**TESTS, "pkg/tests/__init__.py": '__all__ = ["util", "nothing"]\n'}
    found = kept({**files, "pkg/__init__.py": "from pkg.tests import *\n"})
    assert set(found) == UTIL
    assert found["pkg/tests/util.py"] == "in __all__ of pkg.tests, imported by pkg/__init__.py"
    assert set(kept({**files, "pkg/__init__.py": "from pkg.tests import nothing\n"})) == {"pkg/tests/__init__.py"}


def test_another_package_counts_like_its_own(kept: Kept) -> None:
    other = {"other/__init__.py": "def lazily():\n    from pkg.tests.util import thing\n"}
    found = kept(TESTS, other)
    assert set(found) == UTIL
    assert found["pkg/tests/util.py"] == "imported by other/__init__.py"
    assert kept(TESTS, {"other/tests/__init__.py": "import pkg.tests.util\n"}) == {}


def test_a_chain_through_several_packages(kept: Kept) -> None:
    one = {"one/__init__.py": "import two.tests.a\n"}
    two = {"two/tests/a.py": "import three.docs.b\n", "two/tests/c.py": "import three.docs.d\n"}
    three = {"three/docs/b.py": 'NAME = "four.examples.e"\n', "three/docs/d.py": "import four.examples.f\n"}
    four = {"four/examples/e.py": "", "four/examples/f.py": ""}
    assert kept(three, one, four, two) == {
        "two/tests/a.py": "imported by one/__init__.py",
        "three/docs/b.py": "imported by two/tests/a.py",
        "four/examples/e.py": "named in three/docs/b.py",
    }


DATA = {
    "pkg/__init__.py": "",
    "pkg/tests/values.csv": "",
    "pkg/tests/more/values.csv": "",
    "pkg/docs/iris.rst": "",
    "pkg/include/x.h": "",
    "pkg/kernel.cu": "",
    "other/tests/values.csv": "",
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('open(os.path.join(HERE, "docs", "iris.rst"))', {"pkg/docs/iris.rst"}),
        ('files("pkg").joinpath("docs/iris.rst")', {"pkg/docs/iris.rst"}),
        ('get_data("pkg", "docs/iris.rst")', {"pkg/docs/iris.rst"}),
        ('PATH = "./docs/iris.rst"', {"pkg/docs/iris.rst"}),
        (r'PATH = "docs\\iris.rst"', {"pkg/docs/iris.rst"}),
        ('PATH = "pkg/docs/iris.rst"', {"pkg/docs/iris.rst"}),
        ('PATH = "other_docs/iris.rst"', set()),
        ('PATH = "/iris.rst"', {"pkg/docs/iris.rst"}),
        ('PATH = "ris.rst"', set()),
        ('NAME = "values.csv"', {"pkg/tests/values.csv", "pkg/tests/more/values.csv"}),
        ('NAME = "more/values.csv"', {"pkg/tests/more/values.csv"}),
        ('import other\nNAME = "values.csv"', {path for path in DATA if path.endswith("values.csv")}),
        ('KERNEL = "kernel.cu"', {"pkg/kernel.cu"}),
        ('INCLUDES = ["include/x.h"]', {"pkg/include/x.h"}),
        ('"""See iris.rst."""', set()),
        ('NAME = "__init__.py"', set()),
    ],
)
def test_literals_keep_data_files(kept: Kept, source: str, expected: set[str]) -> None:
    own = {path: content for path, content in DATA.items() if path.startswith("pkg/")}
    others = {path: content for path, content in DATA.items() if path.startswith("other/")}
    found = kept({**own, "pkg/io.py": source + "\n"}, others)
    assert found == dict.fromkeys(expected, "named in pkg/io.py")


def test_common_names_tell_nothing(kept: Kept) -> None:
    names = ("__init__.py", "conftest.py", "setup.py", "__main__.py")
    files = {f"pkg/tests/{name}": "" for name in names}
    assert kept({**files, "pkg/__init__.py": f"NAMES = {list(names)}\n"}) == {}


def test_stubs_that_are_read(kept: Kept) -> None:
    files = {"pkg/__init__.pyi": "from . import a\n", "pkg/a.py": "", "pkg/a.pyi": ""}
    lazy = "import lazy_loader as lazy\n__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)\n"
    assert kept({**files, "pkg/__init__.py": lazy}) == {"pkg/__init__.pyi": "read by attach_stub in pkg/__init__.py"}
    assert kept({**files, "pkg/__init__.py": ""}) == {}


def test_what_a_stub_imports_is_loaded_on_demand(kept: Kept) -> None:
    lazy = "import lazy_loader as lazy\n__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)\n"
    found = kept({**TESTS, "pkg/__init__.py": lazy, "pkg/__init__.pyi": "from .tests.util import thing\n"})
    reason = "imported by pkg/__init__.pyi, which attach_stub reads"
    assert found == {
        "pkg/__init__.pyi": "read by attach_stub in pkg/__init__.py",
        "pkg/tests/__init__.py": reason,
        "pkg/tests/util.py": reason,
        "pkg/tests/data.py": "imported by pkg/tests/util.py",
    }
    assert kept({**TESTS, "pkg/__init__.pyi": "from .tests.util import thing\n"}) == {}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("pkg/__init__.py", "sys.modules[__name__] = Lazy(__name__, {'docs': ['tool'], 'other': []})"),
        ("pkg/__init__.py", "import importlib\nimportlib.import_module('.' + name, __name__)"),
        ("pkg/cli.py", "import importlib\nimportlib.import_module(f'pkg.{name}')"),
        ("pkg/cli.py", "NAMES = ['docs']\ndef __getattr__(name): ..."),
        ("pkg/cli.py", "CALL = 'pkg.docs:main'"),
        ("pkg/cli.py", "CALL = 'pkg.docs.Tool.main'"),
    ],
)
def test_a_package_among_commands_and_the_like(kept: Kept, path: str, source: str) -> None:
    """``pkg.docs`` where the name is in a table, is computed, or belongs to an object in it."""
    found = kept({"pkg/__init__.py": "", "pkg/docs/__init__.py": "", "pkg/docs/tool.py": "", path: source + "\n"})
    assert set(found) == {"pkg/docs/__init__.py"}


def test_all_of_an_init_imports_nothing_by_itself(kept: Kept) -> None:
    assert kept({**TESTS, "pkg/tests/__init__.py": "", "pkg/__init__.py": '__all__ = ["conftest", "util"]\n'}) == {}


def test_lazily_attached_modules(kept: Kept) -> None:
    lazy = 'import lazy_loader as lazy\n__getattr__ = lazy.attach(__name__, submodules=["mod", "tests"])[0]\n'
    assert kept({**TESTS, "pkg/__init__.py": lazy}) == {
        "pkg/tests/__init__.py": "named in pkg/__init__.py, which may import by name"
    }


def test_entry_points_are_references(kept: Kept) -> None:
    found = kept(TESTS, points="[pytest11]\nmine = pkg.tests.util\n[console_scripts]\ntool = pkg.docs.tool:main\n")
    assert set(found) == UTIL | {"pkg/docs/__init__.py", "pkg/docs/tool.py"}
    assert found["pkg/tests/util.py"] == "entry point mine of p0"
    assert found["pkg/docs/tool.py"] == "entry point tool of p0"


def test_pth_files_and_scripts_are_code(kept: Kept) -> None:
    assert set(kept({**TESTS, "p0.pth": "import pkg.tests.util\n"})) == UTIL
    for line in ("#!python", "#!/usr/bin/env python3", "#!/usr/bin/python"):
        assert set(kept({**TESTS, "p0-1.0.data/scripts/tool": f"{line}\nimport pkg.tests.util\n"})) == UTIL
    assert kept({**TESTS, "p0-1.0.data/scripts/tool": "#!/bin/sh\nimport pkg.tests.util\n"}) == {}


def test_namespace_pth_files_are_not(kept: Kept) -> None:
    assert kept({**TESTS, "p0-1.0-nspkg.pth": "import pkg.tests.util\n"}) == {}


def test_conftest_is_a_module_like_others(kept: Kept) -> None:
    """``numpy/conftest.py`` goes; where code imports it, it stays with what it imports."""
    found = kept({**TESTS, "pkg/__init__.py": "from .conftest import fixture\n"})
    assert set(found) == {"pkg/conftest.py", *UTIL}


def test_what_cannot_be_read_stays(kept: Kept) -> None:
    reason = "cannot be read as Python, so nobody can tell what it is for"
    found = kept({**TESTS, "pkg/tests/broken.py": "x = '''\nimport pkg.tests.util\n"})
    assert found == {"pkg/tests/broken.py": reason}


def test_what_ships_and_cannot_be_read_may_need_all_of_its_package(kept: Kept) -> None:
    reason = "may be needed by pkg/odd.py, which cannot be read as Python"
    found = kept({"pkg/odd.py": "x = '''", "pkg/tests/a.py": "", "pkg/docs/b.md": ""}, {"other/tests/c.py": ""})
    assert found == {"pkg/tests/a.py": reason, "pkg/docs/b.md": reason}


def test_the_first_in_order_is_the_reason(kept: Kept) -> None:
    """The same on every machine: `lamina explain` must not differ from run to run."""
    users = {f"pkg/{name}.py": "from pkg.tests import a, b, c\n" for name in "cab"}
    files = {f"pkg/tests/{name}.py": "import pkg.docs.x\n" for name in "cab"}
    found = kept({**users, **files, "pkg/docs/x.py": ""})
    assert found == {
        **dict.fromkeys(files, "imported by pkg/a.py"),
        "pkg/docs/x.py": "imported by pkg/tests/a.py",
    }
    meant = {"pkg/__init__.py": 'import importlib\nimportlib.import_module(f"pkg.tests.{name}")\n'}
    many = {f"pkg/tests/m{number}.py": "import pkg.docs.x\n" for number in range(30)}
    found = kept({**meant, **many, "pkg/docs/x.py": ""})
    assert found["pkg/docs/x.py"] == "imported by pkg/tests/m0.py"
    named = {f"pkg/tests/m{number}/x.py": "import pkg.docs.y\n" for number in range(30)}
    found = kept({"pkg/__init__.py": 'NAME = "x.py"\n', **named, "pkg/docs/y.py": ""})
    assert found["pkg/docs/y.py"] == "imported by pkg/tests/m0/x.py"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("pkg/__init__.py", "pkg"),
        ("pkg/a.py", "pkg.a"),
        ("a.py", "a"),
        ("__init__.py", ""),
        ("pkg/a.cpython-311-x86_64-linux-gnu.so", "pkg.a"),
        ("pkg/a.abi3.so", "pkg.a"),
        ("pkg/a.pyc", "pkg.a"),
        ("pkg/a.pyi", ""),
        ("pkg/a.txt", ""),
        ("pkg/__init__.pyc", "pkg"),
        ("pkg.libs/libx.so", "pkg.libs.libx"),
    ],
)
def test_module_names(path: str, name: str) -> None:
    assert module_name(path) == name
