"""Layer or function, told from what lies where; and folders."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.artefact import open_artefact
from lamina.artefact.content import defines_handler

HANDLER = b"def run(event: dict[str, int], context) -> None: ...\n"
RECORD = b"six.py,,\n"


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"python/a.py": b""}, "layer"),
        ({"python/a.py": b"", "handler.py": b""}, "layer"),
        ({"lib/liba.so": b""}, "layer"),
        ({"lambda_function.py": b""}, "function"),
        ({"app.py": b"", "lib/x.txt": b""}, "function"),
        ({"work.py": HANDLER, "numpy/__init__.py": b""}, "function"),
        ({"work.py": b"", "numpy/__init__.py": b""}, "layer"),
        ({"numpy/__init__.py": b"", "site-packages/a.py": b""}, "layer"),
        ({"site-packages/a.py": HANDLER}, "layer"),
        ({"lib/a.py": HANDLER}, "layer"),
        ({"site-packages/a/__init__.py": b""}, "layer"),
        ({"six.py": HANDLER, "six-1.dist-info/RECORD": RECORD}, "layer"),
        ({"six.py": HANDLER}, "function"),
        ({"mine/handler.py": b"", "mine/numpy/__init__.py": b""}, "function"),
        ({"mine/handler.py": b"", "mine/__init__.py": b""}, "layer"),
    ],
)
def test_layer_or_function(zipped: Callable[..., str], files: dict[str, bytes], kind: str) -> None:
    name = zipped(files)
    assert open_artefact(name, sources=False).kind == kind
    assert open_artefact(name, kind="function").kind == "function"


@pytest.mark.parametrize(
    ("source", "is_one"),
    [
        (b"def handler(event, context):\n", True),
        (b"async def handler(\n    event: Event = {},\n    context: Tuple[int, str],\n) -> None:\n", True),
        (b"import x\n\ndef h(e,c,):\n", True),
        (b"def handler(event):\n", False),
        (b"def handler(event, *args):\n", False),
        (b"def handler(event, context, more):\n", False),
        (b"def _private(a, b):\n", False),
        (b"class A:\n    def method(self, other):\n", False),
        (b"def broken(a, b", False),
        (b"def broken(a\ndef other(b, c)", True),
        (b"def broken(a\n" * 50_000, False),
    ],
)
def test_what_lambda_could_call(source: bytes, is_one: bool) -> None:  # noqa: FBT001
    assert defines_handler(source) is is_one


def test_a_folder_with_its_modes_and_links(tmp_path: Path, native: bytes) -> None:
    python = tmp_path / "python"
    python.mkdir()
    python.joinpath("x.so").write_bytes(native)
    python.joinpath("x.so").chmod(0o600)
    python.joinpath("link").symlink_to("x.so")
    python.joinpath("out").symlink_to("../../up")
    python.joinpath("folder").symlink_to("/etc")
    layer = open_artefact(str(tmp_path))
    assert [(item.path, item.kind, item.target, item.place) for item in layer.items] == [
        ("python", "folder", "", "/opt/python"),
        ("python/folder", "link", "/etc", "/opt/python/folder"),
        ("python/link", "link", "x.so", "/opt/python/link"),
        ("python/out", "link", "../../up", "/opt/python/out"),
        ("python/x.so", "file", "", "/opt/python/x.so"),
    ]
    assert layer.items[-1].binary is not None
    assert layer.items[-1].mode == (None if os.name == "nt" else 0o600)
    assert layer.zipped is None
    assert [(found.code, found.path, found.message) for found in layer.findings] == [
        (
            "unsafe-path",
            "python/folder",
            (
                "is a link to /etc, which leads to an absolute path: where Lambda unpacks it, that is something else, "
                "or nothing"
            ),
        ),
        ("unsafe-path", "python/out", "is a link to ../../up, which leads out of the artefact"),
    ]


@pytest.mark.skipif(os.name == "nt", reason="no pipes in folders")
def test_pipes_and_odd_names_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("python").mkdir()
    os.mkfifo(tmp_path / "python" / "pipe")
    tmp_path.joinpath("python", "a\\b.py").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("python/socket")
    found = {finding.path: finding.message for finding in open_artefact(str(tmp_path)).findings}
    assert found == {
        "python/a\\b.py": "a backslash in a path: Linux takes it for a part of the file's name, and Python finds no "
        "package",
        "python/pipe": "a device, socket or pipe",
        "python/socket": "a device, socket or pipe",
    }


def test_what_cannot_be_read_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("python").mkdir()
    tmp_path.joinpath("python", "a.py").write_bytes(b"")
    tmp_path.joinpath("python", "b.py").write_bytes(b"")
    real = Path.open

    def refuse(self: Path, *args: str) -> object:
        if self.name == "a.py":
            raise PermissionError(13, "Permission denied")
        return real(self, *args)

    monkeypatch.setattr(Path, "open", refuse)
    layer = open_artefact(str(tmp_path))
    assert [item.path for item in layer.items] == ["python", "python/a.py", "python/b.py"]
    [found] = layer.findings
    assert (found.code, found.path, found.message) == (
        "damaged-file",
        "python/a.py",
        "cannot be read: Permission denied",
    )
    assert found.hint == "Make it readable for you (chmod u+r; a folder needs u+rx), or audit as its owner."
