"""Fixtures that several tests share: wheels forged in memory, and a store of one's own."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Content = str | bytes


def wheel_bytes(
    name: str = "pkg",
    version: str = "1.0",
    files: Mapping[str, Content] | None = None,
    *,
    metadata: Mapping[str, Content] | None = None,
    record: Mapping[str, str] | None = None,
    requires: tuple[str, ...] = (),
    stored: bool = False,
    dist_info: str = "",
    modes: Mapping[str, int] | None = None,
    without: tuple[str, ...] = (),
) -> bytes:
    """A wheel with these files.

    ``metadata`` adds to ``.dist-info``, ``record`` replaces single hashes in RECORD, ``modes`` are of single files,
    ``without`` leaves files of the finished ``.dist-info`` out, and ``dist_info`` is another name for that folder.
    """
    dist_info = dist_info or f"{name}-{version}.dist-info"
    entries: dict[str, bytes] = {path: _bytes(content) for path, content in (files or {}).items()}
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    stated: dict[str, Content] = {
        "METADATA": "\n".join(lines) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **(metadata or {}),
    }
    entries |= {f"{dist_info}/{path}": _bytes(content) for path, content in stated.items()}
    rows = []
    for path, content in entries.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append((path, (record or {}).get(path, f"sha256={digest}"), str(len(content))))
    rows.append((f"{dist_info}/RECORD", "", ""))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    entries.setdefault(f"{dist_info}/RECORD", text.getvalue().encode())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for path, content in entries.items():
            info = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            info.external_attr = ((modes or {}).get(path, 0o644) | 0o100000) << 16
            if path.removeprefix(f"{dist_info}/") not in without:
                archive.writestr(info, content, archive.compression)
    return out.getvalue()


def _bytes(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else content


@pytest.fixture(scope="session")
def make_wheel() -> Callable[..., bytes]:
    """:func:`wheel_bytes`, for tests that write the wheel themselves."""
    return wheel_bytes


@pytest.fixture
def forge(tmp_path: Path) -> Callable[..., Path]:
    """Write a wheel as :func:`wheel_bytes` makes it into a folder of the test, and return its path."""

    def write(
        name: str = "pkg", version: str = "1.0", *args: object, tag: str = "py3-none-any", **kwargs: object
    ) -> Path:
        folder = tmp_path / "wheels"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}-{version}-{tag}.whl"
        path.write_bytes(wheel_bytes(name, version, *args, **kwargs))  # type: ignore[arg-type]
        return path

    return write
