"""The program that looks for files inside an image, on folders of the test."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lamina.taken.inside import locate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="images are Linux")

OTHER = b"\x7fELF\x01\x01" + bytes(12) + b"\x28\x00" + bytes(40)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Ask for things in a system whose configuration names the folder ``conf``."""
    (tmp_path / "ld.so.conf").write_text(f"include {tmp_path}/*.conf\n# {tmp_path}/no\n")
    (tmp_path / "x.conf").write_text(f"{tmp_path}/conf # of x\ninclude {tmp_path}/x.conf\nrelative\n\n")
    monkeypatch.setattr(locate, "_CONFIGURATION", str(tmp_path / "ld.so.conf"))
    monkeypatch.setattr(locate, "_BUILT_IN", ())

    def asked(*wanted: tuple[str, str], folders: tuple[str, ...] = (), own: tuple[str, ...] = ()) -> dict[str, Any]:
        rows = [{"kind": kind, "name": name, "folders": [*own]} for kind, name in wanted]
        said = io.StringIO()
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"folders": [*folders], "wanted": rows})))
        monkeypatch.setattr(sys, "stdout", said)
        locate.main()
        answer: dict[str, Any] = json.loads(said.getvalue())
        return answer

    return asked


def test_libraries_are_found_as_the_loader_does(ask: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with open("/proc/self/exe", "rb") as file:  # noqa: PTH123 - a library of this machine, as far as its head tells
        own = file.read(64)
    for folder in ("first", "conf", "private", "no"):
        (tmp_path / folder).mkdir()
    (tmp_path / "first" / "liba.so.1").write_bytes(OTHER)
    (tmp_path / "first" / "libtext.so").write_text("INPUT(-la)")
    (tmp_path / "conf" / "liba.so.1.2").write_bytes(own)
    (tmp_path / "conf" / "liba.so.1").symlink_to("liba.so.1.2")
    (tmp_path / "private" / "libp.so").write_bytes(own)
    (tmp_path / "no" / "libn.so").write_bytes(own)
    (tmp_path / "conf" / "other.txt").touch()

    names = ("liba.so.1", "libp.so", "libn.so", "libtext.so")
    answer = ask(
        *(("library", name) for name in names), folders=(str(tmp_path / "first"),), own=(str(tmp_path / "private"),)
    )
    assert answer["found"] == [str(tmp_path / "conf/liba.so.1.2"), str(tmp_path / "private/libp.so"), None, None]
    assert answer["names"] == ["liba.so.1", "liba.so.1.2", "libtext.so"]


def test_programs_and_paths(
    ask: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool-5").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "tool-5").chmod(0o755)
    (tmp_path / "bin" / "tool").symlink_to("tool-5")
    (tmp_path / "data").symlink_to("bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + os.pathsep + "/nowhere")
    data, gone = str(tmp_path / "data"), str(tmp_path / "gone")
    answer = ask(("executable", "tool"), ("executable", "gone"), ("path", data), ("path", gone))
    assert answer == {"found": [str(tmp_path / "bin/tool-5"), None, str(tmp_path / "bin"), None], "names": []}
