"""Imports that nothing satisfies: whole findings, for a function's own modules and for packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lamina.audit.imports import check_imports
from lamina.audit.model import Artefact, Item, Package
from lamina.audit.modules import Modules
from lamina.findings import Finding
from lamina.part.scan import scan
from lamina.target import target_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamina.audit.model import ArtefactKind

TARGET = target_for("cp311", platform="manylinux2014_x86_64")
NEITHER = "neither the function, nor its layers, nor python3.11 have it"
FILE = "a module of your own belongs into function.source."
FAILS = "imports it and will fail when the module is imported"


def artefact(kind: ArtefactKind, files: Mapping[str, str], packages: Mapping[str, tuple[str, ...]]) -> Artefact:
    root = "/var/task/" if kind == "function" else "/opt/"
    items = tuple(
        Item(path, root + path, len(text), source=scan(text.encode()) if path.endswith(".py") else None)
        for path, text in files.items()
    )
    held = tuple(
        Package(name, "1.0", "", (), metadata=True, entry_points=(), files=frozenset(paths))
        for name, paths in packages.items()
    )
    return Artefact(kind, kind, items, held)


def own(files: Mapping[str, str], layer: Mapping[str, str] | None = None, python: str = "cp311") -> list[Finding]:
    """The findings for a function, beside a layer."""
    function = artefact("function", files, {})
    stack = [function, artefact("layer", layer or {}, {})]
    return [*check_imports(function, Modules(stack, target_for(python, architecture="x86_64")))]


def packaged(files: Mapping[str, str], others: Mapping[str, str] | None = None) -> list[Finding]:
    """The findings for a layer with the package ``pkg``."""
    layer = artefact("layer", {**files, **(others or {})}, {"pkg": (*files,)})
    return [*check_imports(layer, Modules([layer], TARGET))]


def error(path: str, message: str, hint: str) -> Finding:
    return Finding("missing-import", "error", path, message, hint)


def test_a_missing_distribution() -> None:
    assert own({"handler.py": "import json, boto3, sklearn.svm\n"}) == [
        error(
            "handler.py",
            f"No module named 'sklearn': handler.py {FAILS}; {NEITHER}",
            "Add scikit-learn to the recipe's requirements, or audit the function together with the layer that has it; "
            + FILE,
        )
    ]
    assert own({"handler.py": "import sklearn.svm\n"}, {"python/sklearn/svm.py": ""}) == []


def test_a_module_in_the_wrong_place_is_pointed_to() -> None:
    files = {"handler.py": "import shared.storage\nimport tasks\n", "lib/shared/storage.py": "", "jobs/tasks.py": ""}
    looked = "is in the function, where Python does not look for it: map it to"
    assert own(files) == [
        error(
            "handler.py",
            f"No module named 'shared': handler.py {FAILS}; {NEITHER}",
            f"lib/shared {looked} shared by to in function.source, or correct the import.",
        ),
        error(
            "handler.py",
            f"No module named 'tasks': handler.py {FAILS}; {NEITHER}",
            f"jobs/tasks.py {looked} tasks by to in function.source, or correct the import.",
        ),
    ]


def test_inside_a_function_it_is_a_warning_and_under_try_nothing() -> None:
    lazy = "def f():\n    import pandas\n"
    assert own({"handler.py": lazy}) == [
        Finding(
            "missing-import",
            "warning",
            "handler.py",
            "No module named 'pandas': handler.py imports it and will fail when the function that imports it is "
            f"called; {NEITHER}",
            "Add pandas to the recipe's requirements, or audit the function together with the layer that has it; "
            + FILE,
        )
    ]
    assert [finding.severity for finding in own({"handler.py": lazy + "import pandas\n"})] == ["error"]
    assert own({"handler.py": "try:\n    import pandas\nexcept ImportError:\n    pandas = None\n"}) == []
    assert own({"handler.py": "import sys\nif sys.platform == 'win32':\n    import winreg\n"}) == []
    suppressed = "from contextlib import suppress\nwith suppress(ImportError):\n    import pandas\n"
    assert own({"handler.py": suppressed}) == []
    assert packaged({"python/pkg/__init__.py": suppressed}) == []
    beside = suppressed + "with suppress(KeyError):\n    import sklearn\n"
    assert [finding.path for finding in own({"handler.py": beside})] == ["handler.py"]
    assert [finding.path for finding in packaged({"python/pkg/__init__.py": beside})] == ["python/pkg/__init__.py"]


@pytest.mark.parametrize(
    "file", ["_x.cpython-312-x86_64-linux-gnu.so", "_x.cpython-311-darwin.so", "_x.cp311-win_amd64.pyd", "_x.pyd"]
)
def test_an_extension_of_another_python_is_told_of_its_file(file: str) -> None:
    code = "from pkg._x import a\nimport _x\n"
    files = {"python/pkg/__init__.py": code, f"python/pkg/{file}": "", f"python/{file}": ""}
    assert packaged(files) == []
    assert len(packaged({"python/pkg/__init__.py": code, "python/pkg/sub/" + file: ""})) == 2
    assert len(own({"handler.py": code}, layer=files)) == 2


def test_what_the_runtime_may_have_is_a_warning() -> None:
    assert own({"h.py": "import pkg_resources\n"}) == [
        Finding(
            "missing-import",
            "warning",
            "h.py",
            f"No module named 'pkg_resources': h.py {FAILS}; Lambda's images have it, and nobody has looked whether "
            "the managed python3.11 does",
            "Add setuptools to the recipe's requirements, or audit the function together with the layer that has it; "
            + FILE,
        )
    ]
    assert packaged({"python/pkg/__init__.py": "import pkg_resources\n"}) == []


def test_a_missing_module_of_the_function() -> None:
    hint = "Add the file of shared.storage to function.source, or correct the import."
    for start in ({"shared/__init__.py": ""}, {"shared/other.py": ""}):
        assert own({"app/h.py": "from shared.storage import x\n", **start}) == [
            error("app/h.py", f"No module named 'shared.storage': app/h.py {FAILS}; {NEITHER}", hint)
        ]
    assert own({"h.py": "from shared import storage\n", "shared/other.py": ""}) == [
        error(
            "h.py",
            f"cannot import name 'storage' from 'shared' (unknown location): h.py {FAILS}; {NEITHER}",
            hint,
        )
    ]
    assert own({"h.py": "from shared import storage\n", "shared/__init__.py": ""}) == []
    assert own({"h.py": "import shared.x\n", "shared.py": ""}) == [
        error(
            "h.py",
            f"No module named 'shared.x'; 'shared' is not a package: h.py {FAILS}; {NEITHER}",
            "Add the file of shared.x to function.source, or correct the import.",
        )
    ]


def test_relative_imports() -> None:
    assert own({"app/__init__.py": "", "app/h.py": "from .db import x\nfrom . import y\n"}) == [
        error(
            "app/h.py",
            f"No module named 'app.db': app/h.py {FAILS}; {NEITHER}",
            "Add the file of app.db to function.source, or correct the import.",
        )
    ]
    assert own({"h.py": "from .db import x\n", "db.py": ""}) == [
        error(
            "h.py",
            f"attempted relative import with no known parent package: h.py {FAILS}; "
            "Lambda imports a handler at the root of the zip as a module of no package",
            "Import it by its full name: import db, without the dots.",
        )
    ]


def test_what_is_gone_or_elsewhere() -> None:
    assert own({"h.py": "import distutils.util\n"}) == []
    assert own({"h.py": "import cgi\n"}, python="cp313") == [
        error(
            "h.py",
            f"No module named 'cgi': h.py {FAILS}; CPython has it up to 3.12",
            "Replace it: it went after CPython 3.12; or use a runtime up to that version.",
        )
    ]
    assert own({"h.py": "import winreg\n"}) == [
        error(
            "h.py",
            f"No module named 'winreg': h.py {FAILS}; it exists on Windows only",
            "Import it under a condition (if sys.platform == ...), or leave the module that imports it out.",
        )
    ]


def test_modules_that_code_makes_itself() -> None:
    assert own({"h.py": "import a.b\n", "a.py": "__path__ = []\n"}) == []
    assert own({"h.py": "import a.b\n", "a/__init__.py": "import sys\nsys.modules['a.b'] = sys\n"}) == []
    assert own({"h.py": "import a.b\n", "a.so": ""}) == []
    assert own({"h.py": "from __main__ import x\nimport _typeshed\n"}) == []


def test_modules_of_others_in_a_function() -> None:
    """Someone else's code gets no error, even where its metadata is gone; nor do tests."""
    bare = {"numpy/core.so": "", "numpy/x.py": "import absent\n", "yaml/x.py": "import absent\n"}
    assert own({**bare, "typed/py.typed": "", "typed/x.py": "import absent\n"}) == []
    assert (
        own({"tests/x.py": "import pytest\n", "conftest.py": "import pytest\n", "test_x.py": "import pytest\n"}) == []
    )
    function = artefact("function", {"dep/__init__.py": "import absent\n"}, {"dep": ("dep/__init__.py",)})
    assert [finding.severity for finding in check_imports(function, Modules([function], TARGET))] == ["note"]


def test_packages_get_one_note_a_module() -> None:
    files = {
        "python/pkg/__init__.py": "from . import a, b\nimport absent.x\n",
        "python/pkg/a.py": "import absent.y\n",
        "python/pkg/b.py": "import absent\ndef f():\n    import lazy\ntry:\n    import tried\nfinally:\n    pass\n",
        "python/pkg/unreached.py": "import other\n",
        "python/pkg/tests/__init__.py": "import pytest\n",
        "python/pkg/windows/__init__.py": "import winreg\n",
    }
    assert packaged(files) == [
        Finding(
            "missing-import",
            "note",
            "python/pkg/__init__.py",
            "No module named 'absent': pkg imports it in python/pkg/__init__.py, as do 2 of its other files, "
            "outside of try",
            "Where the function uses this part of pkg, add absent to the recipe's requirements.",
        )
    ]


def test_a_module_that_a_package_here_has_no_more() -> None:
    others = {"python/dep/__init__.py": ""}
    assert packaged({"python/pkg/__init__.py": "import dep.old\n"}, others) == [
        Finding(
            "missing-import",
            "note",
            "python/pkg/__init__.py",
            "No module named 'dep.old': pkg imports it in python/pkg/__init__.py, outside of try",
            "Where this part of pkg is used, choose versions that fit together: dep has no dep.old.",
        )
    ]


def test_a_stub_beside_native_code_stands_for_a_module_that_the_code_makes() -> None:
    files = {
        "python/pkg/__init__.py": "from pkg.errors import Base\nfrom pkg.errors.more import More\n",
        "python/pkg/errors/__init__.pyi": "class Base(Exception): ...\n",
    }
    assert packaged({**files, "python/pkg/_pkg.abi3.so": ""}) == []
    said = [finding.message for finding in packaged({**files, "python/other/_other.abi3.so": ""})]
    where = "pkg imports it in python/pkg/__init__.py, outside of try"
    assert said == [
        f"cannot import name 'Base' from 'pkg.errors' (unknown location): {where}",
        f"No module named 'pkg.errors.more': {where}",
    ]


def test_what_a_function_imports_of_a_package_counts() -> None:
    files = {"python/pkg/__init__.py": "", "python/pkg/back/end.py": "import absent\n"}
    layer = artefact("layer", files, {"pkg": (*files,)})
    function = artefact("function", {"h.py": "def f():\n    import pkg.back.end\n"}, {})
    assert [*check_imports(layer, Modules([layer], TARGET))] == []
    [note] = check_imports(layer, Modules([layer, function], TARGET))
    assert note.path == "python/pkg/back/end.py"


def test_dependencies_inside_a_function_do_not_hide_its_own_modules() -> None:
    """A folder that holds both own code and packages with metadata is the function's own."""
    function = artefact("function", {"src/h.py": "import absent\n", "src/num/x.so": ""}, {"num": ("src/num/x.so",)})
    assert [finding.path for finding in check_imports(function, Modules([function], TARGET))] == ["src/h.py"]


def test_deep_imports_do_not_exhaust() -> None:
    deep = ".".join("a" * 20_000)
    assert [
        finding.message.partition(":")[0] for finding in own({"h.py": f"import {deep}\nfrom {deep} import b\n"})
    ] == ["No module named 'a'"]
    assert packaged({"python/pkg/__init__.py": f"import pkg.{deep}\n"})[0].message.startswith("No module named 'pkg.a'")


def test_packages_inside_a_function_start_nothing_by_themselves() -> None:
    files = {"pkg/__init__.py": "", "pkg/back/end/__init__.py": "", "pkg/back/end/x.py": "from . import y\n"}
    files["pkg/back/end/y.py"] = "import absent\n"
    function = artefact("function", files, {"pkg": (*files,)})
    assert [*check_imports(function, Modules([function], TARGET))] == []
