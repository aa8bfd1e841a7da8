"""Native files that ship smaller: in the part beside the whole ones, in the layer in their place, and told of."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lamina.binary.look import look
from lamina.binary.trim import trimmed
from lamina.emit import layout
from lamina.emit import zip as zips
from lamina.layer import Layer, assemble, shipped_by_package
from lamina.overlay import Generated
from lamina.part.compress import libdeflate
from lamina.part.model import ELF, PLAIN, Entry
from lamina.part.variant import may_change, variant_of
from lamina.prune.decide import decide
from lamina.recipe import Prune
from lamina.report.explain import largest_kept, path_lines, summary_lines

if TYPE_CHECKING:
    Forge = Callable[..., Path]
    MakePart = Callable[[Path], Any]

NOTICES = Generated("licenses/test.txt", b"", PLAIN, "lamina")


def library(tail: int = 9000) -> bytes:
    """The smallest library that loads, with ``tail`` bytes of debug information behind it."""
    dynamic = struct.pack("<10Q", 5, 64 + 2 * 56, 10, 1, 6, 64 + 2 * 56, 5, 64 + 2 * 56, 0, 0)
    strings = bytes(8)
    place = 64 + 2 * 56 + len(strings)
    end = place + len(dynamic)
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQ", 3, 62, 1, 0, 64, end + tail)
    header += struct.pack("<IHHHHHH", 0, 64, 56, 2, 64, 3, 2)
    segments = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, end, end, 4096)
    segments += struct.pack("<IIQQQQQQ", 2, 4, place, place, place, len(dynamic), len(dynamic), 8)
    names = b"\0.debug_info\0"
    sections = bytes(64) + struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, end, tail - len(names), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, end + tail - len(names), len(names), 0, 0, 1, 0)
    return header + segments + strings + dynamic + b"d" * (tail - len(names)) + names + sections


WHOLE = library()
SMALL = trimmed(WHOLE) or b""


def part_of(forge: Forge, make_part: MakePart, **files: bytes | str) -> Any:  # noqa: ANN401 - a part as the fixture has it
    return make_part(forge(files={"pkg/__init__.py": "", **{f"pkg/{name}": text for name, text in files.items()}}))


def layer_of(part: Any, *, trim: bool, prune: Prune | None = None) -> Layer:  # noqa: ANN401
    said = decide([part.pair], prune or Prune())
    return assemble([part.pair], said, interpreter="/usr/bin/python3", overlay=(), notices=NOTICES, trim=trim)


def entry(entries: tuple[Entry, ...], path: str) -> Entry:
    return {entry.path: entry for entry in entries}[path]


def test_a_part_holds_both(forge: Forge, make_part: MakePart, tmp_path: Path) -> None:
    assert look(WHOLE) == look(SMALL)
    assert len(WHOLE) - len(SMALL) == 9000 + 3 * 64
    part = part_of(forge, make_part, **{"a.so": WHOLE, "b.txt": "x" * 99})
    [small] = part.index.trimmed
    whole = entry(part.index.entries, "python/pkg/a.so")
    assert whole.offset + whole.length == part.index.data_bytes  # behind all else
    assert [entry.path for entry in part.index.entries] == sorted(entry.path for entry in part.index.entries)
    assert len(layout.draw(layer_of(part, trim=True), ["00"], libdeflate).pieces[0].ranges) == 2
    for trim in (True, False):
        layer = layer_of(part, trim=trim)
        blueprint, out = layout.draw(layer, ["00"], libdeflate), io.BytesIO()
        tmp_path.joinpath("00").write_bytes(part.data)
        zips.write(blueprint, tmp_path.joinpath, out)
        with zipfile.ZipFile(out) as archive:
            assert archive.testzip() is None
            assert archive.read("python/pkg/a.so") == (SMALL if trim else WHOLE)
    assert (small.path, small.kind, small.mode) == (whole.path, ELF, 0o755)
    assert (small.size, small.sha256) == (len(SMALL), hashlib.sha256(SMALL).digest())
    assert (whole.size, whole.sha256) == (len(WHOLE), hashlib.sha256(WHOLE).digest())
    packed = part.data[small.offset + small.length - small.compressed : small.offset + small.length]
    content = zlib.decompress(packed, -15)
    assert content == SMALL
    assert zlib.crc32(content) == small.crc
    assert len(part.data) == part.index.data_bytes
    assert hashlib.sha256(part.data).hexdigest() == part.index.data_sha256


def test_a_layer_takes_one_of_them_and_says_so_in_record(forge: Forge, make_part: MakePart) -> None:
    part = part_of(forge, make_part, **{"a.so": WHOLE})
    for trim, content in ((True, SMALL), (False, WHOLE)):
        layer = layer_of(part, trim=trim)
        shipped = entry(layer.picks[0], "python/pkg/a.so")
        assert (shipped.size, shipped.sha256) == (len(content), hashlib.sha256(content).digest())
        [record] = [file.content.decode() for file in layer.generated if file.path.endswith("RECORD")]
        stated = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert f"pkg/a.so,sha256={stated},{len(content)}\n" in record
        sizes = shipped_by_package([part.pair], layer)["pkg"]
        assert (sizes.pruned, sizes.trimmed) == (0, len(WHOLE) - len(content))
        generated = sum(len(file.content) for file in layer.generated)
        assert sizes.shipped + len(NOTICES.content) == layer.unzipped_bytes
        assert sizes.shipped - generated + sizes.trimmed == sum(entry.size for entry in part.index.entries)


def test_what_is_pruned_is_not_trimmed(forge: Forge, make_part: MakePart) -> None:
    part = part_of(forge, make_part, **{"a.so": WHOLE})
    sizes = shipped_by_package([part.pair], layer_of(part, trim=True, prune=Prune(drop=("pkg/a.so",))))["pkg"]
    assert (sizes.pruned, sizes.trimmed) == (len(WHOLE), 0)


@pytest.mark.parametrize(
    ("path", "beside", "may"),
    [
        ("python/x.libs/libsoftokn3.so", "python/x.libs/libsoftokn3.chk", False),
        ("python/x.libs/libcrypto.so.1.1", "python/x.libs/.libcrypto.so.1.1.hmac", False),
        ("python/x.libs/libcrypto.so.1.1", "python/y.libs/.libcrypto.so.1.1.hmac", True),
        ("python/x/ossl-modules/fips.so", "", False),
        ("bin/tool", "", True),
    ],
)
def test_files_whose_digest_is_checked_when_they_are_loaded_stay(path: str, beside: str, may: bool) -> None:  # noqa: FBT001
    assert may_change(path, {path, beside}) is may


def test_files_that_are_no_elf_or_damaged_have_no_variant() -> None:
    assert variant_of(WHOLE, look(WHOLE)) == SMALL
    assert variant_of(b"MZ" + bytes(9000), look(b"MZ" + bytes(9000))) is None
    assert variant_of(WHOLE, None) is None
    other = look(WHOLE.replace(struct.pack("<QQ", 10, 1), struct.pack("<QQ", 14, 1)))
    assert other != look(WHOLE)
    assert variant_of(WHOLE, other) is None  # the trimmed file would not say the same


def test_what_is_explained(forge: Forge, make_part: MakePart) -> None:
    part = part_of(forge, make_part, **{"a.so": WHOLE})
    indexes, said = [part.index], decide([part.pair], Prune())
    whole, less = sum(entry.size for entry in part.index.entries), len(WHOLE) - len(SMALL)
    assert [*summary_lines(indexes, said)] == [
        f"pkg 1.0: {whole - less:,} of {whole:,} bytes ship",
        "  native.trim: 9,192 bytes of 1 native file that no loader maps",
    ]
    assert [*path_lines(indexes, said, "pkg/a.so")] == [
        f"ships    {len(SMALL):>11,}  python/pkg/a.so (pkg: no rule speaks of it; 9,192 bytes of it trimmed)"
    ]
    assert largest_kept(indexes, said)[0].bytes == len(SMALL)
