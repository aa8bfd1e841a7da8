"""A built wheel in the one form of its content."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lamina.errors import ResolutionError
from lamina.local.wheel import native_in, normalize
from lamina.part.make import libdeflate, make
from lamina.wheel import open_wheel

Forge = Callable[..., Path]
FILES: Mapping[str, str | bytes] = {
    "pkg/__init__.py": "x = 1\n" * 50,
    "pkg/a, b.txt": "",
    "pkg/z.bin": bytes(range(256)),
}
WHEEL = "Wheel-Version: 1.0\nGenerator: {}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def normal(path: Path) -> bytes:
    out = io.BytesIO()
    built = normalize(path, "./pkg", out)
    content = out.getvalue()
    assert built.wheel.sha256 == hashlib.sha256(content).hexdigest()
    assert built.wheel.size == len(content)
    assert (built.wheel.name, built.wheel.version, built.wheel.filename) == ("pkg", "1.0", path.name)
    return content


def test_bytes_follow_from_content_alone(forge: Forge) -> None:
    one = normal(forge(files=FILES, metadata={"WHEEL": WHEEL.format("backend 1")}))
    again = dict(reversed(FILES.items()))
    modes = {"pkg/__init__.py": 0o755}
    other = normal(forge(files=again, metadata={"WHEEL": WHEEL.format("backend 2")}, stored=True, modes=modes))
    assert one == other
    assert normal(forge(files={**FILES, "pkg/__init__.py": "x = 2\n" * 50})) != one


def test_it_is_a_sound_wheel(forge: Forge, tmp_path: Path) -> None:
    path = tmp_path / "pkg-1.0-py3-none-any.whl"
    path.write_bytes(normal(forge(files=FILES)))
    with open_wheel(path, path.name) as wheel:
        index, _ = make(wheel, "ab" * 32, io.BytesIO(), libdeflate)
        assert set(wheel.record()) == {entry.name for entry in wheel.entries}
        assert wheel.read(next(entry for entry in wheel.entries if entry.name == "pkg/z.bin")) == FILES["pkg/z.bin"]
    assert {entry.path for entry in index.entries} >= {f"python/{name}" for name in FILES}


def test_what_a_resolution_takes_from_it(forge: Forge) -> None:
    def metadata(*requires: str, version: str = "1.0") -> str:
        return normalize(forge(version=version, requires=requires), "./pkg", io.BytesIO()).metadata

    assert metadata("a>=1", "B_c") == metadata("b-c", "a >= 1", version="2.0")
    assert metadata("a>=1") != metadata("a>=2")


@pytest.mark.parametrize(
    ("tag", "files", "what"),
    [
        ("py3-none-any", {"pkg/a.cpython-311-x86_64-linux-gnu.so": b"x"}, "pkg/a.cpython-311-x86_64-linux-gnu.so"),
        ("py3-none-any", {"pkg/tool": b"\x7fELF\x02"}, "pkg/tool"),
        ("cp311-cp311-linux_x86_64", {"pkg/a.py": b""}, ""),
        ("cp311-cp311-win_amd64", {"pkg/a.pyd": b""}, "pkg/a.pyd"),
    ],
)
def test_native_code_is_refused(forge: Forge, tag: str, files: Mapping[str, bytes], what: str) -> None:
    with pytest.raises(ResolutionError) as caught:
        normalize(forge(tag=tag, files=files), "./pkg", io.BytesIO())
    shown = f"pkg-1.0-{tag}.whl" + (f" with {what}" if what else "")
    assert caught.value.message == f"./pkg: builds to {shown}: native code, and only pure Python is built here"
    assert caught.value.hint == (
        'Set kind = "docker" in the recipe\'s [builder]: native code is then built inside the base image. Without an\n'
        "engine, build a wheel for the target elsewhere, put it into a folder that find-links names, and require it\n"
        "by its name."
    )
    assert native_in(forge(tag=tag, files=files)) == (what or f"pkg-1.0-{tag}.whl")


def test_native_code_that_was_built_for_the_target(forge: Forge) -> None:
    path = forge(tag="cp311-cp311-manylinux_2_17_x86_64", files={"pkg/a.so": b"\x7fELF"})
    out = io.BytesIO()
    assert normalize(path, "./pkg", out, native=True).wheel.filename == path.name
    assert native_in(forge(files=FILES)) == ""
    with pytest.raises(ResolutionError) as caught:
        normalize(forge(files={"pkg/tool": b"\x7fELF"}), "./pkg", io.BytesIO(), native=True)
    assert caught.value.message == (
        "./pkg: builds to pkg-1.0-py3-none-any.whl with pkg/tool: native code in a wheel for any platform"
    )
    hint = "Have its backend make a wheel for the platform, so that it is repaired."
    assert caught.value.hint == hint


def test_a_dependency_in_a_folder_keeps_its_name(forge: Forge, tmp_path: Path) -> None:
    placed = forge(requires=("Near_By[x] @ file:///tmp/a/near ; python_version > '3'", "six>=1"), version="1.0")
    out = io.BytesIO()
    built = normalize(placed, "./pkg", out)
    assert built.requires == ("Near_By[x] ; python_version > '3'", "six>=1")
    assert built.siblings == ("near-by",)
    path = tmp_path / placed.name
    path.write_bytes(out.getvalue())
    with open_wheel(path, path.name) as wheel:
        assert wheel.metadata.get_all("Requires-Dist") == list(built.requires)


def test_a_dependency_by_url_is_refused(forge: Forge) -> None:
    with pytest.raises(ResolutionError) as caught:
        normalize(forge(requires=("six @ https://i.invalid/six.zip",)), "./pkg", io.BytesIO())
    message = "./pkg: needs six @ https://i.invalid/six.zip: a lock holds no URL, as it serves any index"
    assert caught.value.message == message
    assert caught.value.hint == (
        "State the dependency by name; require it here too if it is a local project, or name an index for it."
    )
