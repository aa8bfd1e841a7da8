"""Whose file it is."""

from __future__ import annotations

import pytest

from lamina.audit.model import Artefact, Package
from lamina.audit.owners import Owners, by_folder


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("python/numpy/core/a.so", "numpy"),
        ("python/numpy.libs/libx.so", "numpy"),
        ("python/lib/python3.11/site-packages/numpy/a.so", "numpy"),
        ("site-packages/numpy/a.so", "numpy"),
        ("wrapped/python/numpy/a.so", "numpy"),
        ("numpy/a.so", "numpy"),
        ("python/six.py", ""),
        ("python/six-1.0.dist-info/METADATA", "six"),
        ("python/ruamel_yaml-0.18.dist-info", "ruamel-yaml"),
        ("layer.zip", ""),
        ("handler.py", ""),
    ],
)
def test_by_folder(path: str, owner: str) -> None:
    assert by_folder(path) == owner


def test_the_artefact_itself_is_nobodys_wherever_it_lies() -> None:
    owners = Owners(Artefact("dist/x.zip", "layer", (), ()))
    assert owners.of("dist/x.zip") == owners.title("dist/x.zip") == ""
    assert owners.of("dist/y.py") == "dist"


def test_record_knows_better_than_the_folder() -> None:
    files = frozenset({"python/sklearn/a.so", "python/six.py"})
    folder = "python/scikit_learn-1.3.2.dist-info"
    package = Package("scikit-learn", "1.3.2", folder, (), metadata=True, entry_points=(), files=files)
    owners = Owners(Artefact("x.zip", "layer", (), (package,)))
    assert owners.of("python/sklearn/a.so") == owners.distribution("python/sklearn/a.so") == "scikit-learn"
    assert owners.title("python/six.py") == owners.title(folder) == "scikit-learn 1.3.2"
    assert owners.of("python/other/b.so") == owners.title("python/other/b.so") == "other"
    assert owners.distribution("python/other/b.so") == ""
