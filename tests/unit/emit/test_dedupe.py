"""Identical files as links: which become some, where they lead, and what everything else says of them then."""

from __future__ import annotations

import base64
import hashlib
import random
import stat
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lamina.artefact.gathered import finish
from lamina.artefact.zips import read_zip
from lamina.emit import layout
from lamina.emit import zip as zips
from lamina.emit.dedupe import LEAST_BYTES, linked
from lamina.layer import Layer, assemble, shipped_by_package
from lamina.overlay import Generated
from lamina.part.compress import libdeflate
from lamina.part.model import PLAIN
from lamina.prove.stage import unpacked
from lamina.prove.stage import zips as zip_sources
from lamina.prune.decide import decide
from lamina.recipe import Prune
from lamina.report.explain import path_lines, summary_lines
from lamina.store import Store

if TYPE_CHECKING:
    Forge = Callable[..., Path]
    MakePart = Callable[[Path], Any]

NOTICES = Generated("licenses/test.txt", b"", PLAIN, "lamina")
DATA = random.Random(1).randbytes(LEAST_BYTES)  # noqa: S311 - any bytes that do not compress


def elf(soname: str = "", kind: int = 3, salt: int = 0) -> bytes:
    """The smallest library, of that soname if any: a segment, and a dynamic section with a table of strings."""
    strings = b"\0" + soname.encode() + b"\0"
    place = 64 + 2 * 56
    strings += bytes(-len(strings) % 8)
    tags = [5, place, 10, len(strings), 6, place, *([14, 1] if soname else []), 0, 0]
    dynamic = struct.pack(f"<{len(tags)}Q", *tags)
    end = place + len(strings) + len(dynamic)
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQ", kind, 62, 1, 0, 64, 0)
    header += struct.pack("<IHHHHHH", 0, 64, 56, 2, 64, 0, 0)
    size = end + LEAST_BYTES
    segments = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, size, size, 4096)
    at = place + len(strings)
    segments += struct.pack("<IIQQQQQQ", 2, 4, at, at, at, len(dynamic), len(dynamic), 8)
    noise = random.Random(salt).randbytes(LEAST_BYTES)  # noqa: S311
    return header + segments + strings + dynamic + noise


def layer_of(*parts: Any) -> Layer:  # noqa: ANN401 - parts as the fixture has them
    pairs = [part.pair for part in parts]
    said = decide(pairs, Prune(rules=()))
    return assemble(pairs, said, interpreter="/usr/bin/python3", overlay=(), notices=NOTICES, trim=True)


def links_of(*parts: Any) -> dict[str, str]:  # noqa: ANN401
    layer = linked(layer_of(*parts), [part.pair for part in parts])
    return {link.entry.path: link.target for links in layer.links for link in links}


def made(forge: Forge, make_part: MakePart, name: str = "pkg", **more: Any) -> Callable[..., Any]:  # noqa: ANN401
    def maker(files: dict[str, bytes | str]) -> Any:  # noqa: ANN401
        return make_part(forge(name, files=files, **more))

    return maker


def test_data_is_linked_within_its_wheel(forge: Forge, make_part: MakePart) -> None:
    one = made(forge, make_part, "one")(
        {
            "one/b/data.bin": DATA,
            "one/a/data.bin": DATA,
            "one/other name": DATA,
            "one/small": DATA[1:],
            "one/alike": DATA[1:],
            "one-1.0.data/data/share/one/data.bin": DATA,
        }
    )
    two = made(forge, make_part, "two")({"two/data.bin": DATA})
    assert links_of(one, two) == {
        "python/one/b/data.bin": "../a/data.bin",
        "python/one/other name": "a/data.bin",
        "share/one/data.bin": "../../python/one/a/data.bin",
    }


@pytest.mark.parametrize(
    ("first", "second", "content"),
    [
        ("pkg/a.py", "pkg/b.py", b"# " + b"x" * LEAST_BYTES),
        ("pkg/a.pyi", "pkg/b.pyi", b"# " + b"x" * LEAST_BYTES),
        ("pkg/a.pyc", "pkg/b.pyc", DATA),
        ("pkg/tool", "pkg/tool2", b"#!/bin/sh\n" + DATA),
        ("pkg-1.0.data/scripts/a", "pkg-1.0.data/scripts/b", DATA),
        ("pkg-1.0.dist-info/a.json", "pkg-1.0.dist-info/b.json", DATA),
        ("pkg/a.cpython-311-x86_64-linux-gnu.so", "pkg/b/a.cpython-311-x86_64-linux-gnu.so", elf()),
        ("pkg/a/_core.so", "pkg/b/_core.so", elf("_core.so")),
        ("pkg/a/libx.so.1", "pkg/b/libx.so.1", elf()),
        ("pkg/a/liby.so", "pkg/b/liby.so", elf("libx.so.1")),
        ("pkg/a/libx.so.1", "pkg/b/libx.so", elf("libx.so.1")),
        ("pkg/libx.so.1", "pkg/libx_special.so.1", elf("libx.so.1")),
        ("pkg/libx.so.1", "pkg/libx.so.1.old", elf("libx.so.1")),
        ("pkg/a/program", "pkg/b/program", elf(kind=2)),
        ("pkg/a/cut.so", "pkg/b/cut.so", elf("cut.so")[:LEAST_BYTES]),
    ],
)
def test_what_runs_or_is_its_own_instance_stays(
    first: str, second: str, content: bytes, forge: Forge, make_part: MakePart
) -> None:
    assert links_of(made(forge, make_part)({first: content, second: content})) == {}


def test_a_library_that_is_found_by_its_soname_is_linked_everywhere(forge: Forge, make_part: MakePart) -> None:
    library = elf("libgomp-a34b.so.1.0.0")
    one = made(forge, make_part, "one")({"one.libs/libgomp-a34b.so.1.0.0": library, "one/__init__.py": ""})
    two = made(forge, make_part, "two")({"two.libs/libgomp-a34b.so.1.0.0": library, "two/__init__.py": ""})
    three = made(forge, make_part, "three")({"three.libs/libgomp-a34b.so.1.0.0": elf("libgomp-a34b.so.1.0.0", salt=1)})
    assert links_of(one, two, three) == {
        "python/two.libs/libgomp-a34b.so.1.0.0": "../one.libs/libgomp-a34b.so.1.0.0",
    }


def test_the_names_of_one_library_become_links_to_its_soname(forge: Forge, make_part: MakePart) -> None:
    names = ("libx.so", "libx.so.1", "libx.so.1.2.3")
    part = made(forge, make_part)({f"pkg/{name}": elf("libx.so.1") for name in names})
    assert links_of(part) == {"python/pkg/libx.so": "libx.so.1", "python/pkg/libx.so.1.2.3": "libx.so.1"}


def test_nothing_alike_is_the_same_layer(forge: Forge, make_part: MakePart) -> None:
    part = made(forge, make_part)({"pkg/a": DATA, "pkg/b": DATA[::-1]})
    layer = layer_of(part)
    assert linked(layer, [part.pair]) is layer


@pytest.mark.skipif(sys.platform == "win32", reason="trees for proofs are made where proofs run")
def test_the_zip_unpacks_to_the_same_and_everything_counts_it(
    forge: Forge, make_part: MakePart, tmp_path: Path
) -> None:
    library = elf("libx.so.1")
    part = made(forge, make_part)(
        {
            "pkg/__init__.py": "",
            "pkg/ü/data.bin": DATA,
            "pkg/a/data.bin": DATA,
            "pkg/libx.so": library,
            "pkg/libx.so.1": library,
        }
    )
    plain = layer_of(part)
    layer = linked(plain, [part.pair])
    trees, sizes = [], []
    for number, each in enumerate((plain, layer)):
        path = tmp_path / f"{number}.zip"
        tmp_path.joinpath("00").write_bytes(part.data)
        with path.open("wb") as out:
            zips.write(layout.draw(each, ["00"], libdeflate), tmp_path.joinpath, out)
        tree = unpacked(Store(tmp_path / "store"), zip_sources([path]))
        trees.append({one.relative_to(tree).as_posix(): one.read_bytes() for one in tree.rglob("*") if one.is_file()})
        on_disk = [one for one in tree.rglob("*") if one.is_file() and not one.is_symlink()]
        assert each.unzipped_bytes == sum(one.stat().st_size for one in on_disk)
        assert each.files == len(trees[-1])
        sizes.append(shipped_by_package([part.pair], each)["pkg"])
        gathered = read_zip(path, path.name, sources=True)
        finish(gathered, "layer")
        assert gathered.findings == []
        assert sum(item.size for item in gathered.items.values() if item.kind == "file") == each.unzipped_bytes
    assert trees[0] == trees[1]
    with zipfile.ZipFile(tmp_path / "1.zip") as archive:
        assert archive.testzip() is None
        found = {
            info.filename: (info.external_attr >> 16, info.compress_type, archive.read(info))
            for info in archive.infolist()
            if stat.S_ISLNK(info.external_attr >> 16)
        }
    assert found == {
        "python/pkg/libx.so": (0o120777, zipfile.ZIP_STORED, b"libx.so.1"),
        "python/pkg/ü/data.bin": (0o120777, zipfile.ZIP_STORED, b"../a/data.bin"),
    }
    saved = len(DATA) + len(library)
    assert sizes[1]._replace(linked=0, shipped=sizes[1].shipped + saved) == sizes[0]
    assert (sizes[0].linked, sizes[1].linked) == (0, saved)
    [record] = [file.content.decode() for file in layer.generated if file.path.endswith("RECORD")]
    stated = base64.urlsafe_b64encode(hashlib.sha256(DATA).digest()).rstrip(b"=").decode()
    assert f"pkg/ü/data.bin,sha256={stated},{len(DATA)}\n" in record


def test_explain_tells_of_links(forge: Forge, make_part: MakePart) -> None:
    part = made(forge, make_part)({"pkg/b/data.bin": DATA, "pkg/a/data.bin": DATA})
    layer = linked(layer_of(part), [part.pair])
    whole = sum(entry.size for entry in part.index.entries)
    assert [*summary_lines([part.index], [[]], layer.links)] == [
        f"pkg 1.0: {whole - 4096:,} of {whole:,} bytes ship",
        "  emit.dedupe: 4,096 bytes of 1 file, each a link to an identical one",
    ]
    assert [*path_lines([part.index], [[]], "pkg/b", layer.links)] == [
        "ships          4,096  python/pkg/b/data.bin (pkg: no rule speaks of it; a link to the identical ../a/data.bin)"
    ]


def test_links_stand_behind_what_is_generated(forge: Forge, make_part: MakePart) -> None:
    part = made(forge, make_part)({"pkg/b": DATA, "pkg/a": DATA})
    blueprint = layout.draw(linked(layer_of(part), [part.pair]), ["00"], libdeflate)
    assert blueprint.generated.endswith(b"python/pkg/ba")  # the link's name, then where it leads
