"""What stays of metadata in each mode."""

from __future__ import annotations

import pytest

from lamina.prune.metadata import propose

INFO = "pkg-1.0.dist-info"
FILES = [
    "METADATA",
    "WHEEL",
    "entry_points.txt",
    "top_level.txt",
    "namespace_packages.txt",
    "INSTALLER",
    "REQUESTED",
    "direct_url.json",
    "LICENSE",
    "licenses/LICENSE",
    "licenses/unread",
    "sboms/x.cdx.json",
    "sub/INSTALLER",
    "pbr.json",
]
OTHERS = ["pkg/INSTALLER", "other-1.0.dist-info/INSTALLER", f"pkg/{INFO}/INSTALLER", "pkg/LICENSE", "LICENSE"]
LICENCES = {"LICENSE", "licenses/LICENSE"}
MINIMAL = {
    "LICENSE": "its text is in the notices",
    "licenses/LICENSE": "its text is in the notices",
    "INSTALLER": "written by an installer about itself",
    "REQUESTED": "written by an installer about itself",
    "direct_url.json": "written by an installer about itself",
    "sboms/x.cdx.json": "its facts are in the SBOM",
}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("keep", {}), ("minimal", MINIMAL), ("strip", dict.fromkeys(FILES, 'metadata = "strip"'))],
)
def test_modes(mode: str, expected: dict[str, str]) -> None:
    paths = [f"{INFO}/{name}" for name in FILES] + OTHERS
    found = propose(INFO, paths, LICENCES, mode)
    assert found == {f"{INFO}/{name}": reason for name, reason in expected.items()}
