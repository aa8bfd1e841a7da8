"""SBOM and notices of real wheels: libraries that auditwheel vendored, a bill of materials that maturin embedded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from lamina.emit import notices, sbom
from lamina.fetch import fetch
from lamina.index import from_environment
from lamina.lock import LockedWheel
from lamina.part.library import ensure, load_facts, load_index, part_key
from lamina.progress import SILENT
from lamina.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lamina.part.model import Facts, Index

_TARGET = "cp311-manylinux2014_x86_64"
_NUMPY = LockedWheel(
    "numpy",
    "1.26.4",
    "numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "666dbfb6ec68962c033a450943ded891bed2d54e6755e35e5835d63f4f6931d5",
    18252005,
)
_ORJSON = LockedWheel(
    "orjson",
    "3.13.0",
    "orjson-3.13.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "bceadfd314bd238f584fc229a4bbaf0e573597e7a026dec5429fbf29fd66c641",
    130612,
)
_AGAIN = """\
import hashlib, sys
from pathlib import Path
from lamina.emit import notices, sbom
from lamina.part.library import load_facts, load_index
from lamina.store import Store
store = Store(Path(sys.argv[1]))
parts = [(load_index(store, key), load_facts(store, key)) for key in sys.argv[2:]]
for content in (sbom.render("real", "Two wheels", "cp311-manylinux2014_x86_64", parts), notices.render(parts)):
    print(hashlib.sha256(content).hexdigest())
"""


@pytest.fixture(scope="module")
def parts(index: None, shared_store: Path) -> Sequence[tuple[Index, Facts]]:  # noqa: ARG001 - skips without the index
    store = Store(shared_store)
    wheels = (_NUMPY, _ORJSON)

    def fetched(missing: Sequence[LockedWheel]) -> Mapping[str, Path]:
        return fetch(missing, store=store, indexes=from_environment(os.environ), offline=False, progress=SILENT)

    ensure(store, wheels, fetched, verify=True)
    made = []
    for wheel in wheels:
        found, facts = load_index(store, part_key(wheel.sha256)), load_facts(store, part_key(wheel.sha256))
        assert found is not None
        assert facts is not None
        made.append((found, facts))
    return made


@pytest.fixture(scope="module")
def bill(parts: Sequence[tuple[Index, Facts]]) -> dict[str, dict[str, Any]]:
    """The components of the layer by name, from a document that holds against the schema."""
    content = sbom.render("real", "Two wheels", _TARGET, parts).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content) is None
    return {component["name"]: component for component in json.loads(content)["components"]}


def test_vendored_libraries_are_listed_without_their_hashes(bill: dict[str, dict[str, Any]]) -> None:
    libraries = bill["numpy"]["components"]
    assert [(found["name"], found["version"], found["properties"][0]["value"]) for found in libraries] == [
        ("libgfortran", "5.0.0", "python/numpy.libs/libgfortran-040039e1.so.5.0.0"),
        ("libopenblas64_p", "0.3.23.dev", "python/numpy.libs/libopenblas64_p-r0-0cf96a72.3.23.dev.so"),
        ("libquadmath", "0.0.0", "python/numpy.libs/libquadmath-96973f99.so.0.0.0"),
    ]
    assert bill["numpy"]["hashes"] == [{"alg": "SHA-256", "content": _NUMPY.sha256}]


def test_what_an_embedded_bill_lists_is_listed(bill: dict[str, dict[str, Any]]) -> None:
    crates = {found["purl"]: found for found in bill["orjson"]["components"] if "purl" in found}
    assert crates["pkg:cargo/itoap@1.0.1"]["licenses"] == [{"license": {"id": "MIT", "acknowledgement": "declared"}}]
    assert crates["pkg:cargo/itoap@1.0.1"]["properties"] == [
        {"name": "lamina:sbom", "value": "sboms/orjson.cyclonedx.json"}
    ]
    assert "properties" not in bill["orjson"], "a bill could not be read"


def test_the_licence_texts_of_the_wheels_are_in_the_notices(parts: Sequence[tuple[Index, Facts]]) -> None:
    text = notices.render(parts).decode()
    (_, facts), (_, others) = parts
    assert [path for path, _ in facts.licences] == ["LICENSE.txt"]
    for _, content in (*facts.licences, *others.licences):
        assert content.replace("\r\n", "\n").strip("\n") in text
    assert "numpy 1.26.4: BSD License\n" in text
    assert "--- LICENSE.txt ---\n\nCopyright (c) 2005-2023, NumPy Developers.\n" in text
    assert "GCC RUNTIME LIBRARY EXCEPTION" in text


def test_neither_hash_seed_nor_zone_nor_locale_changes_a_byte(
    parts: Sequence[tuple[Index, Facts]], shared_store: Path
) -> None:
    keys = [part_key(index.wheel_sha256) for index, _ in parts]
    printed = set()
    for order, seed, zone in ((1, "0", "UTC"), (-1, "4711", "Pacific/Auckland")):
        env = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
        command = [sys.executable, "-c", _AGAIN, str(shared_store), *keys[::order]]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True)
        printed.add(done.stdout)
    assert len(printed) == 1
