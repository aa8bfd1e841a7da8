"""Metadata gone from layers that others made: whole findings, and silence where it is there or not asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.audit.model import Artefact, Item, Package
from lamina.audit.modules import Modules
from lamina.audit.stripped import check_stripped
from lamina.findings import Finding
from lamina.part.scan import scan
from lamina.target import target_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamina.audit.model import ArtefactKind

TARGET = target_for("cp311", platform="manylinux2014_x86_64")
V = "from importlib.metadata import version\n"


def artefact(files: Mapping[str, str], *packages: Package, kind: ArtefactKind = "layer") -> Artefact:
    root = "/var/task/" if kind == "function" else "/opt/"
    items = tuple(
        Item(path, root + path, len(text), source=scan(text.encode()) if path.endswith(".py") else None)
        for path, text in files.items()
    )
    return Artefact(kind, kind, items, packages)


def package(name: str, *files: str, metadata: bool = True) -> Package:
    folder = f"python/{name}-1.0.dist-info"
    return Package(name, "1.0", folder, (), metadata=metadata, entry_points=(), files=frozenset(files))


def check(*stack: Artefact) -> list[Finding]:
    modules = Modules(stack, TARGET)
    return [finding for each in stack for finding in check_stripped(each, modules)]


def test_its_own() -> None:
    files = {"python/my_pkg/__init__.py": V + "__version__ = version('my-pkg')\n"}
    assert check(artefact(files)) == [
        Finding(
            "metadata-needed",
            "error",
            "python/my_pkg/__init__.py",
            "my-pkg asks for the metadata of itself, when it is imported (version), "
            "and my_pkg-*.dist-info/METADATA is gone",
            "Leave my_pkg-*.dist-info/METADATA in: install my-pkg again, and delete no *.dist-info.",
        )
    ]
    assert check(artefact(files, package("my-pkg", *files))) == []


def test_that_of_another_with_a_name_of_its_own() -> None:
    layer = artefact({"python/yaml/__init__.py": ""})
    asking = artefact({"h.py": V + "def f():\n    return version('pyyaml')\n"}, kind="function")
    assert check(layer, asking) == [
        Finding(
            "metadata-needed",
            "error",
            "h.py",
            "h asks for the metadata of pyyaml, at run time (version), and pyyaml-*.dist-info/METADATA is gone",
            "Leave pyyaml-*.dist-info/METADATA in: install pyyaml again, and delete no *.dist-info.",
        )
    ]
    assert check(asking) == []
    assert check(artefact({"python/yaml/__init__.py": ""}, package("pyyaml", "python/yaml/__init__.py")), asking) == []


def test_a_folder_without_its_metadata() -> None:
    files = {"python/a/__init__.py": V + "version('odd-name')\n"}
    [finding] = check(artefact(files, package("odd-name", *files, metadata=False)))
    assert finding.message == (
        "odd-name asks for the metadata of itself, when it is imported (version), "
        "and odd-name-1.0.dist-info/METADATA is gone"
    )


def test_names_that_are_computed_need_a_distribution_without_metadata() -> None:
    files = {"python/my_pkg/__init__.py": V + "def f(x):\n    return version(x)\n"}
    computed = "my-pkg asks for the metadata of distributions whose names it computes, at run time (version); "
    computed += "that of 1 is gone"
    assert [finding.message for finding in check(artefact(files))] == [computed]
    held = package("my-pkg", *files)
    own = {**files, "python/written_by_hand/__init__.py": ""}
    assert check(artefact(own, held), artefact({"handler.py": ""}, kind="function")) == []
    bare = artefact({**files, "python/yaml/__init__.py": ""}, held)
    assert [(finding.message, finding.hint) for finding in check(bare)] == [
        (computed, "Leave the *.dist-info folders in, METADATA at least: together they are 0.14 % of a layer's bytes.")
    ]


def test_entry_points_that_record_lists() -> None:
    files = {"python/plug/__init__.py": "import importlib.metadata as m\nm.entry_points(group='plug.back')\n"}
    points = "python/plug-1.0.dist-info/entry_points.txt"
    assert check(artefact(files, package("plug", *files, points))) == [
        Finding(
            "metadata-needed",
            "error",
            "python/plug/__init__.py",
            "plug asks for entry points, those of itself in plug.back, when it is imported (entry_points), "
            "and plug-1.0.dist-info/entry_points.txt is gone",
            "Leave plug-1.0.dist-info/entry_points.txt in: install plug again, and delete no *.dist-info.",
        )
    ]
    assert check(artefact({**files, points: ""}, package("plug", *files, points))) == []
    assert check(artefact(files, package("plug", *files))) == []


def test_code_that_goes_on_without() -> None:
    text = V + "def f():\n    try:\n        return version('yaml')\n    except Exception:\n        return ''\n"
    assert check(artefact({"python/yaml/__init__.py": text})) == []
