"""Wheels that lie about themselves: every refusal with its whole message; what is tolerated, and why."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamina import wheel as module
from lamina.archive import REPORT
from lamina.errors import IntegrityError, LaminaError, UnsafeWheelError
from lamina.part.make import libdeflate, make
from lamina.wheel import hasher, open_wheel, sha256_of_record

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lamina.part.model import Facts, Index

    Forge = Callable[..., Path]

NAME = "pkg-1.0-py3-none-any.whl"
INFO = "pkg-1.0.dist-info"
FILES = {"pkg/__init__.py": "import os\n", "pkg/data.txt": "data\n"}


def part(path: Path, filename: str = "") -> tuple[Index, Facts, bytes]:
    """The part of a wheel: reading all of it is what finds every lie."""
    out = io.BytesIO()
    with open_wheel(path, filename or path.name) as wheel:
        index, facts = make(wheel, "0" * 64, out, libdeflate)
    return index, facts, out.getvalue()


def refusal(path: Path, filename: str = "", hint: str = REPORT) -> tuple[type[LaminaError], str]:
    """The class and the message of the error that a wheel ends in, its hint and exit code checked."""
    with pytest.raises(LaminaError) as caught:
        part(path, filename)
    assert caught.value.hint == hint
    assert caught.value.exit_code == 4
    return type(caught.value), caught.value.message


def test_reads_a_wheel(forge: Forge) -> None:
    path = forge(files=FILES, requires=("numpy>=1",))
    with open_wheel(path, path.name) as wheel:
        assert (wheel.name, wheel.version, wheel.filename) == ("pkg", "1.0", NAME)
        assert (wheel.dist_info, wheel.data_folders) == (INFO, frozenset())
        names = [entry.name for entry in wheel.entries]
        assert names == [*FILES, f"{INFO}/METADATA", f"{INFO}/WHEEL", f"{INFO}/RECORD"]
        assert wheel.metadata["Requires-Dist"] == "numpy>=1"
        entry = wheel.entry("pkg/data.txt")
        assert entry is not None
        assert wheel.read(entry) == b"data\n"
        assert wheel.entry("pkg/nothing") is None
        assert wheel.read_metadata_file("entry_points.txt") is None
        digest = base64.urlsafe_b64encode(hashlib.sha256(b"data\n").digest()).rstrip(b"=").decode()
        assert wheel.record()["pkg/data.txt"] == ("sha256", digest)
        assert wheel.record()[f"{INFO}/RECORD"] == ("", "")
        with wheel.raw(entry) as raw:
            assert len(raw) == entry.compressed


def test_metadata_is_utf8(forge: Forge) -> None:
    head = "Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n"
    text = f"{head}Author: Jörg Åström\nLicense: line\n        more\nSummary: 日本\n\nName: in the description\n"
    with open_wheel(forge(metadata={"METADATA": text}), NAME) as wheel:
        assert wheel.metadata["Author"] == "Jörg Åström"
        assert wheel.metadata["Summary"] == "日本"
        assert wheel.metadata["License"] == "line\n        more"
        assert wheel.metadata.get_all("Name") == ["pkg"]
    latin = f"{head}Author: Jörg\n".encode("latin-1")
    with open_wheel(forge(metadata={"METADATA": latin}), NAME) as wheel:
        assert wheel.metadata["Author"] == "J\ufffdrg"


def test_refuses_what_is_no_wheel(tmp_path: Path, forge: Forge) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert refusal(empty, NAME) == (IntegrityError, f"{NAME}: is empty")
    page = tmp_path / "page"
    page.write_text("<html>404</html>")
    assert refusal(page, NAME) == (IntegrityError, f"{NAME}: is not a readable zip: File is not a zip file")
    path = forge(files=FILES)
    assert refusal(path, "pkg.zip") == (UnsafeWheelError, "pkg.zip: not the name of a wheel")
    assert refusal(path, "pkg-1.0.whl") == (UnsafeWheelError, "pkg-1.0.whl: not the name of a wheel")


def test_refuses_other_than_one_metadata_folder(tmp_path: Path, make_wheel: Callable[..., bytes], forge: Forge) -> None:
    path = forge(without=("METADATA", "WHEEL", "RECORD"), files=FILES)
    assert refusal(path) == (UnsafeWheelError, f"{NAME}: has no .dist-info folder; a wheel has exactly one")
    path = forge(files={"other-2.dist-info/METADATA": "", "abc-3.dist-info/x/y": ""})
    expected = f"{NAME}: has 3 .dist-info folders: abc-3.dist-info, other-2.dist-info, {INFO}; a wheel has exactly one"
    assert refusal(path) == (UnsafeWheelError, expected)
    # A vendored package's metadata deeper down is a file like any other.
    path = tmp_path / "vendoring.whl"
    path.write_bytes(make_wheel(files={"pkg/_vendor/other-2.dist-info/METADATA": "Name: other\n"}))
    assert part(path, NAME)[0].dist_info == f"python/{INFO}"


@pytest.mark.parametrize("folder", ["other-1.0.dist-info", "pkg-1.1.dist-info", "pkg.dist-info", "pkg-1.0-1.dist-info"])
def test_refuses_a_metadata_folder_of_another_wheel(forge: Forge, folder: str) -> None:
    expected = f"{NAME}: its metadata folder is {folder}: the name of the wheel says otherwise"
    assert refusal(forge(dist_info=folder)) == (UnsafeWheelError, expected)


@pytest.mark.parametrize(
    ("filename", "folder", "stated"),
    [
        ("Foo_Bar-1.0-py3-none-any.whl", "foo_bar-1.0.dist-info", "foo-bar"),
        ("foo_bar-1.0-py3-none-any.whl", "Foo.Bar-1.0.0.dist-info", "Foo__Bar"),
        ("foo_bar-1.0+cpu.1-py3-none-any.whl", "foo_bar-1.0+cpu_1.dist-info", "foo_bar"),
        ("foo_bar-2004d-py3-none-any.whl", "foo_bar-2004d.dist-info", "foo.bar"),
    ],
)
def test_takes_other_spellings_of_its_name(
    tmp_path: Path, make_wheel: Callable[..., bytes], filename: str, folder: str, stated: str
) -> None:
    path = tmp_path / filename
    data = folder.replace(".dist-info", ".data")
    path.write_bytes(
        make_wheel(
            files={f"{data}/purelib/foo.py": "", "Foo_BAR-1.0.data/purelib/bar.py": ""},
            dist_info=folder,
            metadata={"METADATA": f"Name: {stated}\nVersion: {filename.split('-')[1]}\n"},
        )
    )
    index, _, _ = part(path)
    assert index.name == "foo-bar"
    placed = {entry.path for entry in index.entries}
    assert "python/foo.py" in placed
    # A second spelling is the same folder, unless it is of another version.
    assert ("python/bar.py" in placed) == ("1.0-" in filename)


@pytest.mark.parametrize("name", ["WHEEL", "METADATA", "RECORD"])
def test_refuses_a_wheel_without(forge: Forge, name: str) -> None:
    assert refusal(forge(without=(name,))) == (UnsafeWheelError, f"{NAME}: has no {INFO}/{name}")


@pytest.mark.parametrize("version", ["2.0", "", "0.9", "one", "10.0"])
def test_refuses_wheel_versions_that_it_does_not_know(forge: Forge, version: str) -> None:
    path = forge(metadata={"WHEEL": f"Wheel-Version: {version}\n"})
    expected = f"{NAME}: {INFO}/WHEEL: Wheel-Version is {version!r}; lamina knows version 1"
    hint = "Look for another wheel of this version, or for a newer lamina."
    assert refusal(path, hint=hint) == (UnsafeWheelError, expected)


def test_takes_later_minor_versions(forge: Forge) -> None:
    part(forge(metadata={"WHEEL": "Wheel-Version: 1.9\r\nRoot-Is-Purelib: false\r\n"}))


@pytest.mark.parametrize(("stated", "shown"), [("Name: other\n", "other"), ("", "nothing"), ("name:\n", "nothing")])
def test_refuses_metadata_of_another_package(forge: Forge, stated: str, shown: str) -> None:
    expected = f"{NAME}: {INFO}/METADATA: is about {shown}; the name of the wheel says pkg"
    assert refusal(forge(metadata={"METADATA": stated})) == (UnsafeWheelError, expected)


def test_refuses_more_metadata_than_it_would_hold(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.MOST_METADATA_BYTES == 64 * 1024**2
    monkeypatch.setattr(module, "MOST_METADATA_BYTES", 10_000)
    part(forge(metadata={"licenses/A": "x" * 9_000}))
    path = forge(metadata={"licenses/A": "x" * 5_000, "licenses/B": "x" * 5_000})
    with zipfile.ZipFile(path) as archive:
        total = sum(info.file_size for info in archive.infolist())
    expected = f"{NAME}: {INFO}: unpacks to {total:,} bytes; lamina reads at most 10,000 of metadata"
    assert refusal(path) == (UnsafeWheelError, expected)


# --- RECORD


def digest(algorithm: str, content: bytes) -> str:
    found = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b"=").decode()
    return f"{algorithm}={found}"


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_refuses_a_file_that_record_describes_otherwise(forge: Forge, algorithm: str) -> None:
    part(forge(files=FILES, record={"pkg/data.txt": digest(algorithm, b"data\n")}))
    part(
        forge(files=FILES, record={"pkg/data.txt": digest(algorithm, b"data\n").replace(algorithm, algorithm.upper())})
    )
    path = forge(files=FILES, record={"pkg/data.txt": digest(algorithm, b"other\n")})
    expected = f"{NAME}: pkg/data.txt: is not the file that RECORD describes: its {algorithm} differs"
    assert refusal(path) == (IntegrityError, expected)
    path = forge(files=FILES, record={"pkg/data.txt": f"{algorithm}=!!!"})
    assert refusal(path) == (IntegrityError, expected)
    path = forge(files=FILES, record={"pkg/data.txt": f"{algorithm}=é"})
    assert refusal(path) == (IntegrityError, expected)


def test_refuses_metadata_and_dropped_files_too(forge: Forge) -> None:
    wrong = digest("sha256", b"other")
    path = forge(record={f"{INFO}/METADATA": wrong})
    expected = f"{NAME}: {INFO}/METADATA: is not the file that RECORD describes: its sha256 differs"
    assert refusal(path) == (IntegrityError, expected)
    header = "pkg-1.0.data/headers/pkg.h"
    path = forge(files={header: "int x;\n"}, record={header: wrong})
    expected = f"{NAME}: {header}: is not the file that RECORD describes: its sha256 differs"
    assert refusal(path) == (IntegrityError, expected)


def test_takes_padded_hashes(forge: Forge) -> None:
    part(forge(files=FILES, record={"pkg/data.txt": digest("sha256", b"data\n") + "="}))


@pytest.mark.parametrize(
    "record",
    [
        "",
        "pkg/data.txt,,\n",
        "pkg/data.txt\n",
        "pkg/data.txt,md5=1B2M2Y8AsgTpgAmY7PhCfg,0\n",
        "pkg/data.txt,sha256=,5\n",
        "pkg/not-there.py,sha256=AAAA,3\n../../bin/x,,\n",
        "\n\n,,\n",
        "pkg/data.txt,x,y,z,too,many\n",
    ],
)
def test_files_that_record_does_not_vouch_for_are_taken(forge: Forge, record: str) -> None:
    """RECORD adds nothing to the lock, which pins the SHA-256 of the whole wheel: only what contradicts it is refused.

    Wheels that list too little, by MD5, or files that are not there, are old and many; pip and uv install them.
    """
    index, _, _ = part(forge(files=FILES, metadata={"RECORD": record}))
    assert [entry.path for entry in index.entries][:2] == ["python/pkg-1.0.dist-info/METADATA", f"python/{INFO}/WHEEL"]
    assert len(index.entries) == 4


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ('"pkg/data.txt"x,,\n', "cannot be read: ',' expected after '\"'"),
        ('"pkg/data.txt,,\n', "cannot be read: unexpected end of data"),
        ("x" * 200_000 + ",,\n", "cannot be read: field larger than field limit (131072)"),
        ("a,sha256=AA,\nb,,\na,sha256=AB,\n", "lists 'a' twice with different hashes"),
        ("a\\b,sha256=AA,\na/b,sha256=AB,\n", "lists 'a/b' twice with different hashes"),
    ],
)
def test_refuses_a_record_that_cannot_be_read(forge: Forge, record: str, why: str) -> None:
    path = forge(files=FILES, metadata={"RECORD": record})
    assert refusal(path) == (IntegrityError, f"{NAME}: {INFO}/RECORD: {why}")


def test_record_lines_end_at_line_feeds_only(forge: Forge) -> None:
    """Python takes more characters for the end of a line than CSV does; all of them are legal in paths."""
    odd = 'pkg/a\u2028b, "c".txt'
    index, _, _ = part(forge(files={odd: "odd"}))
    assert f"python/{odd}" in {entry.path for entry in index.entries}
    with open_wheel(forge(files={odd: "odd"}), NAME) as wheel:
        assert wheel.record()[odd][0] == "sha256"
    expected = f"{NAME}: {odd}: is not the file that RECORD describes: its sha256 differs"
    assert refusal(forge(files={odd: "odd"}, record={odd: digest("sha256", b"x")})) == (IntegrityError, expected)


def test_hashes_of_record() -> None:
    assert sha256_of_record("AAAA") == b"\0\0\0"
    assert sha256_of_record("AA") == b"\0"
    assert sha256_of_record("é") is None
    assert hasher("md5") is None
    assert hasher("sha1") is None
    assert hasher("nonsense") is None
    found = hasher("sha512")
    assert found is not None
    assert found.name == "sha512"


# --- damage


def contents(found: tuple[Index, Facts, bytes]) -> Mapping[str, object]:
    """All that a layer can see of a part; the bits that pad a deflate stream to whole bytes are not among it."""
    index, facts, data = found
    files = {}
    for entry in index.entries:
        packed = data[entry.offset + entry.length - entry.compressed : entry.offset + entry.length]
        files[entry.path] = zlib.decompress(packed, -zlib.MAX_WBITS) if entry.method else packed
    return {"entries": index.entries, "files": files, "facts": facts, "name": (index.name, index.version)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(dice=st.randoms(use_true_random=True))
def test_damage_is_refused_or_changes_nothing(
    tmp_path: Path, make_wheel: Callable[..., bytes], dice: random.Random
) -> None:
    """Flips and cuts: an error of ours, or the part of the undamaged wheel."""
    files = {"pkg/__init__.py": "import os\n" * 30, "pkg/x.so": b"\x7fELF" + bytes(range(256)), "pkg/empty": ""}
    whole = make_wheel(files=files, stored=dice.random() < 0.3)
    path = tmp_path / NAME
    path.write_bytes(whole)
    undamaged = contents(part(path))
    damaged = bytearray(whole)
    if dice.random() < 0.2:
        del damaged[dice.randrange(len(damaged)) :]
    for _ in range(dice.randrange(1, 4) if damaged else 0):
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    path.write_bytes(damaged)
    try:
        found = contents(part(path))
    except (IntegrityError, UnsafeWheelError):
        return
    assert found == undamaged
