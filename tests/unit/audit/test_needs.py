"""Known needs that no byte tells: whole findings, and what satisfies each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from packaging.specifiers import SpecifierSet

from lamina.audit.model import ROOTS, Artefact, Item, Package
from lamina.audit.modules import Modules
from lamina.audit.needs import _facts, check_needs
from lamina.findings import Finding
from lamina.lock import canonical
from lamina.target import target_for

if TYPE_CHECKING:
    from lamina.audit.model import ArtefactKind


def artefact(*packages: tuple[str, str], paths: tuple[str, ...] = (), kind: ArtefactKind = "layer") -> Artefact:
    held = tuple(
        Package(name, version, f"python/{name}.dist-info", (), metadata=True, entry_points=(), files=frozenset())
        for name, version in packages
    )
    return Artefact(kind, kind, tuple(Item(path, ROOTS[kind] + path, 1) for path in paths), held)


def check(*stack: Artefact, python: str = "cp311") -> list[Finding]:
    modules = Modules(stack, target_for(python, architecture="x86_64"))
    return [finding for each in stack for finding in check_needs(each, modules)]


SWAP = (
    '__import__("pysqlite3"); import sys; sys.modules["sqlite3"] = sys.modules.pop("pysqlite3"), '
    "before anything imports chromadb."
)
CHROMA = (
    "chromadb 1.5.9 wants SQLite 3.35.0 or newer, and python3.11 on Lambda has 3.7.17: "
    "import chromadb raises RuntimeError"
)


def test_sqlite_is_too_old() -> None:
    assert check(artefact(("chromadb", "1.5.9"))) == [
        Finding(
            "runtime-library-too-old",
            "error",
            "python/chromadb.dist-info",
            CHROMA,
            f"Use a newer runtime; or require pysqlite3-binary and begin the function with: {SWAP}",
        )
    ]
    assert check(artefact(("chromadb", "1.5.9")), python="cp312") == []
    assert check(artefact(("chromadb", "0.3.29"), ("chroma", "1.0"))) == []
    assert check(artefact(("chromadb", "not a version"))) == []


def test_another_sqlite_must_be_put_in_place() -> None:
    assert check(artefact(("chromadb", "1.5.9")), artefact(("pysqlite3-binary", "0.5.4"))) == [
        Finding(
            "runtime-library-too-old",
            "warning",
            "python/chromadb.dist-info",
            f"{CHROMA}; pysqlite3-binary brings a newer one, which counts only once code puts it in place",
            f"Make sure that the function begins with: {SWAP}",
        )
    ]


def test_openssl_is_too_old() -> None:
    target = target_for("cp39", architecture="x86_64")
    for openssl, found in {(1, 0, 2): True, (1, 1, 1): False, (1,): False, (3,): False}.items():
        changed = msgspec.structs.replace(target, runtime=msgspec.structs.replace(target.runtime, openssl=openssl))
        stack = artefact(("urllib3", "2.2.0"))
        expected = Finding(
            "runtime-library-too-old",
            "error",
            "python/urllib3.dist-info",
            "urllib3 2.2.0 wants OpenSSL 1.1.1 or newer, and python3.9 on Lambda has 1.0.2: "
            "import urllib3 raises ImportError",
            "Require urllib3<2, or use a newer runtime.",
        )
        assert [*check_needs(stack, Modules([stack], changed))] == [expected] * found
        stack = artefact(("urllib3", "1.26.20"))
        assert [*check_needs(stack, Modules([stack], changed))] == []


@pytest.mark.parametrize("version", ["2.2.28", "3.2.25", "4.2.16", "5.0.9", "5.2"])
def test_django_uses_sqlite_only_where_told(version: str) -> None:
    [finding] = check(artefact(("django", version)))
    assert (finding.code, finding.severity) == ("runtime-library-too-old", "warning")
    assert check(artefact(("django", version)), python="cp312") == []


def test_an_image_on_another_base_has_its_own_libraries() -> None:
    chroma = ("chromadb", "1.5.9")
    assert check(artefact(chroma, paths=("usr/local/bin/python3.11",), kind="image")) == []
    assert len(check(artefact(chroma, paths=("var/lang/bin/python3.11",), kind="image"))) == 1


def test_a_program_that_is_missing() -> None:
    ocr = ("pytesseract", "0.3.10")
    assert check(artefact(ocr)) == [
        Finding(
            "missing-executable",
            "warning",
            "python/pytesseract.dist-info",
            "pytesseract runs the program tesseract, which neither the artefacts nor python3.11 on Lambda have",
            "Put tesseract, with the libraries it needs, into bin/ of a layer (overlay), which stands on the PATH as "
            "/opt/bin; or ship an image whose packages have it.",
        )
    ]
    assert check(artefact(ocr), artefact(paths=("bin/tesseract",))) == []
    assert check(artefact(ocr), artefact(paths=("bin/tesseract",), kind="function")) == []
    assert check(artefact(ocr, paths=("usr/bin/tesseract",), kind="image")) == []
    assert len(check(artefact(ocr, paths=("share/tesseract", "bin/tesseract5")))) == 1


def test_a_library_that_is_missing() -> None:
    magic = ("python-magic", "0.4.27")
    assert check(artefact(magic)) == [
        Finding(
            "missing-library",
            "warning",
            "python/python-magic.dist-info",
            "python-magic opens libmagic.so when it is used, which neither the artefacts nor python3.11 on Lambda are "
            "known to have",
            "Put libmagic.so, with the libraries it needs, into lib/ of a layer (overlay), which is searched as "
            "/opt/lib; or ship an image whose packages have it.",
        )
    ]
    assert check(artefact(magic), artefact(paths=("lib/libmagic.so.1",))) == []
    assert check(artefact(magic, paths=("python/magic.libs/libmagic-12ab.so.1",))) == []
    assert len(check(artefact(magic, paths=("lib/libmagic.txt",)))) == 1


def test_the_facts_are_well_formed() -> None:
    facts = _facts()
    for fact in (*facts.library_version, *facts.executable, *facts.loaded_library):
        assert canonical(fact.package) == fact.package
        assert SpecifierSet(fact.versions) is not None
        assert fact.source
