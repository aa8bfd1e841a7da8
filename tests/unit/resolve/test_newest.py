"""The newest version that would load, from a folder of wheels in the place of an index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.findings import Finding, make
from lamina.index import IndexClient, from_environment
from lamina.resolve.newest import advise
from lamina.target import target_for

CP311 = target_for("cp311", platform="manylinux2014_x86_64")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[IndexClient]:
    for name in (
        "fast-1.0-cp311-cp311-manylinux2014_x86_64.whl",
        "fast-1.1-cp311-cp311-manylinux_2_26_x86_64.whl",
        "fast-1.2-cp311-cp311-manylinux_2_28_x86_64.whl",
        "fast-1.3rc1-cp311-cp311-manylinux2014_x86_64.whl",
        "fast-1.4-cp312-cp312-manylinux2014_x86_64.whl",
        "winonly-1.0-cp311-cp311-win_amd64.whl",
    ):
        tmp_path.joinpath(name).touch()
    with IndexClient(from_environment({}, [str(tmp_path)]), offline=True) as made:
        yield made


def advised(client: IndexClient, code: str, owner: str, hint: str = "Mend it.") -> Finding:
    [finding] = advise([make(code, "python/x.so", "m", hint)], lambda _: owner, client, CP311)
    return finding


def test_what_the_runtime_loads_counts_rather_than_the_platform(client: IndexClient) -> None:
    assert advised(client, "glibc-too-new", "fast").hint == (
        "Mend it.\nThe newest version that would load on python3.11: "
        "fast 1.1 (fast-1.1-cp311-cp311-manylinux_2_26_x86_64.whl)."
    )
    assert advised(client, "windows-binary", "fast", "").hint.startswith("The newest version that would load")


def test_a_package_without_any_such_wheel(client: IndexClient) -> None:
    assert advised(client, "windows-binary", "winonly").hint == (
        "Mend it.\nThe index has no version of winonly with a wheel for python3.11 on x86_64."
    )


def test_what_no_other_version_mends_stays_as_it_is(client: IndexClient) -> None:
    assert advised(client, "unreadable-mode", "fast").hint == "Mend it."
    assert advised(client, "glibc-too-new", "").hint == "Mend it."
