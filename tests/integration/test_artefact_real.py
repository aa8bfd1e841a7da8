"""Artefacts as real packers make them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lamina.artefact import open_artefact
from lamina.audit.layout import check_layout, check_modes
from lamina.target import target_for


@pytest.mark.skipif(shutil.which("zip") is None, reason="no zip on this machine")
def test_a_layer_packed_with_zip(tmp_path: Path) -> None:
    package = tmp_path / "layer" / "python" / "pkg"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_bytes(b"import os\n")
    package.joinpath("secret.py").write_bytes(b"")
    package.joinpath("secret.py").chmod(0o600)
    package.joinpath("link.py").symlink_to("secret.py")
    subprocess.run(["zip", "-qry", tmp_path / "layer.zip", "."], cwd=tmp_path / "layer", check=True)
    layer = open_artefact(str(tmp_path / "layer.zip"))
    assert layer.findings == ()
    assert [(item.path, item.kind, item.target) for item in layer.items] == [
        ("python", "folder", ""),
        ("python/pkg", "folder", ""),
        ("python/pkg/__init__.py", "file", ""),
        ("python/pkg/link.py", "link", "secret.py"),
        ("python/pkg/secret.py", "file", ""),
    ]
    target = target_for("cp311", architecture="x86_64")
    assert list(check_layout(layer, target)) == []
    assert [finding.path for finding in check_modes(layer)] == ["python/pkg/secret.py"]
    # What zip packs and what lies in the folder is one and the same.
    folder = open_artefact(str(tmp_path / "layer"))
    assert folder.items == layer.items
    subprocess.run(["zip", "-qr", tmp_path / "deep.zip", "layer"], cwd=tmp_path, check=True)
    [found] = check_layout(open_artefact(str(tmp_path / "deep.zip")), target)
    assert (found.path, found.hint) == ("layer/python", "Pack from inside layer/: zip -r ../layer.zip python.")
