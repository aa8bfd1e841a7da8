"""Image archives: layers in order, whiteouts, digests, and everything that can be wrong with them."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamina.artefact import open_artefact
from lamina.errors import UsageError

Tarred = Callable[..., bytes]
AGAIN = "Save the image again, or fetch it again."
SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE


class Images(Protocol):
    """What conftest makes."""

    def oci(self, *layers: bytes, packed: bool = True, **replace: bytes) -> str: ...
    def layout(self, *layers: bytes, packed: bool = True, **replace: bytes) -> dict[str, bytes]: ...
    def docker(self, *layers: bytes, digests: list[str] | None = None) -> str: ...


def told(name: str) -> list[tuple[str, str, str]]:
    return [(found.code, found.path, found.message) for found in open_artefact(name).findings]


def test_layers_are_applied_in_order(images: Images, tarred: Tarred, native: bytes) -> None:
    base = tarred(
        {
            "./": b"",
            "opt/python/": b"",
            "opt/python/a.py": b"import os\n",
            "opt/python/gone.py": b"",
            "opt/python/old/x.py": b"",
            "var/task/keep/y.py": b"",
            "usr/lib64/libc.so.6": native,
            "usr/bin/tool": native,
            "lib64": (SYMLINK, "usr/lib64"),
            "var/lang/lib/python3.11/os.py": b"import abc\n",
            "var/lang/lib/python3.11/site-packages/b.py": b"import abc\n",
        }
    )
    top = tarred(
        {
            "opt/python/.wh.gone.py": b"",
            "opt/python/old/.wh..wh..opq": b"",
            "opt/python/old/new.py": b"",
            "opt/python/a.py": b"import re\n",
            "opt/python/hard.py": (HARDLINK, "opt/python/a.py"),
            "var/task/.wh.keep": b"",
            "opt/python/pkg-1.dist-info/METADATA": b"Name: pkg\nVersion: 1\n",
        }
    )
    for name in (images.oci(base, top), images.oci(base, top, packed=False), images.docker(base, top)):
        image = open_artefact(name)
        items = {item.path: item for item in image.items}
        assert image.findings == ()
        assert (image.kind, image.zipped) == ("image", Path(name).stat().st_size)
        assert list(items) == [
            "lib64",
            "opt/python",
            "opt/python/a.py",
            "opt/python/hard.py",
            "opt/python/old/new.py",
            "opt/python/pkg-1.dist-info/METADATA",
            "usr/bin/tool",
            "usr/lib64/libc.so.6",
            "var/lang/lib/python3.11/os.py",
            "var/lang/lib/python3.11/site-packages/b.py",
        ]
        source = items["opt/python/a.py"].source
        assert source is not None
        assert source.imports[0].module == "re"
        assert items["opt/python/hard.py"].source == source
        assert items["opt/python/a.py"].place == "/opt/python/a.py"
        assert items["usr/lib64/libc.so.6"].binary is not None
        # Neither the distribution's programs nor the standard library are looked into.
        assert items["usr/bin/tool"].binary is None
        assert items["usr/bin/tool"].size == len(native)
        assert items["var/lang/lib/python3.11/os.py"].source is None
        assert items["var/lang/lib/python3.11/site-packages/b.py"].source is not None
        assert (items["lib64"].kind, items["lib64"].target) == ("link", "usr/lib64")
        assert [package.name for package in image.packages] == ["pkg"]


def test_a_layout_can_be_a_folder(images: Images, tarred: Tarred, tmp_path: Path) -> None:
    for name, content in images.layout(tarred({"opt/python/a.py": b""})).items():
        path = tmp_path / "layout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    image = open_artefact(str(tmp_path / "layout"))
    assert (image.kind, [item.path for item in image.items], image.findings) == ("image", ["opt/python/a.py"], ())


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_of_both_forms(images: Images, tarred: Tarred, form: int) -> None:
    long = "opt/python/" + "x" * 150 + "/ä.py"
    link = "opt/python/l"
    image = open_artefact(images.oci(tarred({long: b"1", link: (SYMLINK, long.removeprefix("opt/python/"))}, form)))
    assert [(item.path, item.size, item.kind) for item in image.items] == [(link, 0, "link"), (long, 1, "file")]
    assert image.findings == ()


def test_links_of_an_image_may_be_absolute_and_must_lead_somewhere(images: Images, tarred: Tarred) -> None:
    layer = tarred(
        {
            "opt/a": (SYMLINK, "/usr/share/a"),
            "opt/b": (SYMLINK, "/usr/share/gone"),
            "opt/c": (SYMLINK, "../../../usr/share/a"),
            "opt/null": (SYMLINK, "/dev/null"),
            "usr/share/a": b"",
            "etc/gone": (SYMLINK, "nowhere"),
        }
    )
    assert told(images.oci(layer)) == [
        ("unsafe-path", "opt/b", "is a link to /usr/share/gone, which is not there"),
    ]


def test_paths_that_leave_the_image(images: Images, tarred: Tarred) -> None:
    name = images.docker(tarred({"../../etc/passwd": b"", "opt/hard": (HARDLINK, "gone"), "/opt/a.py": b""}))
    assert told(name) == [
        ("unsafe-path", "../../etc/passwd", "a path of layer 1 (0/layer.tar) that leaves the image"),
        ("damaged-file", "opt/hard", "is a hard link of layer 1 (0/layer.tar) to a file that is not there"),
    ]
    assert [item.path for item in open_artefact(name).items] == ["opt/a.py"]


def test_blobs_are_held_against_their_digests(images: Images, tarred: Tarred) -> None:
    good = tarred({"opt/a.py": b""})
    bad = gzip.compress(tarred({"opt/b.py": b""}))
    name = images.oci(good, good + bytes(512), layer1=bad)
    [(code, path, message)] = told(name)
    stated = hashlib.sha256(gzip.compress(good + bytes(512))).hexdigest()
    assert (code, path) == ("damaged-file", name)
    assert message == (
        f"the blob sha256:{stated} is not what it should be: {len(bad):,} bytes with SHA-256 "
        f"{hashlib.sha256(bad).hexdigest()}"
    )
    assert [item.path for item in open_artefact(name).items] == ["opt/a.py"]
    name = images.docker(good, digests=["sha256:0"])
    digest = hashlib.sha256(good).hexdigest()
    assert told(name) == [
        ("damaged-file", name, f"layer 1 is not the one of the configuration: sha256:{digest}, not sha256:0")
    ]


def test_a_layer_that_breaks_off_is_read_so_far(images: Images, tarred: Tarred) -> None:
    layer = tarred({"opt/a.py": b"x = 1\n", "opt/b.py": bytes(2000)})
    name = images.docker(layer[:2048])
    assert told(name) == [("damaged-file", name, "layer 1 (0/layer.tar): breaks off in a file")]
    assert [item.path for item in open_artefact(name).items] == ["opt/a.py"]
    packed = gzip.compress(layer)[:-20]
    name = images.docker(packed)
    assert told(name)[0][2] in {
        "layer 1 (0/layer.tar): its compressed data breaks off",
        "layer 1 (0/layer.tar): breaks off in a file",
    }


def test_zstd_is_refused_with_a_way_out(images: Images) -> None:
    name = images.docker(b"\x28\xb5\x2f\xfd" + bytes(20))
    [found] = open_artefact(name).findings
    assert found.message == (
        "layer 1 (0/layer.tar): is compressed with zstd, which lamina does not read and Lambda is not known to"
    )
    assert found.hint == (
        "Build the image with gzip layers: docker buildx build --output type=oci,compression=gzip,"
        "force-compression=true,dest=image.tar ."
    )


def many(*platforms: tuple[str, str]) -> Callable[[Mapping[str, bytes]], bytes]:
    """An index of the layout's one image under these platforms."""

    def replaced(files: Mapping[str, bytes]) -> bytes:
        [descriptor] = json.loads(files["index.json"])["manifests"]
        entries = [descriptor | {"platform": {"os": system, "architecture": arch}} for system, arch in platforms]
        return json.dumps({"manifests": entries}).encode()

    return replaced


def test_of_several_images_the_targets_is_taken(images: Images, tarred: Tarred) -> None:
    layer = tarred({"opt/a.py": b""})
    files = images.layout(layer)
    index = many(("linux", "amd64"), ("linux", "arm64"), ("unknown", "unknown"))(files)
    name = images.oci(layer, index=index)
    assert [item.path for item in open_artefact(name, architecture="aarch64").items] == ["opt/a.py"]
    with pytest.raises(UsageError) as error:
        open_artefact(name)
    assert (error.value.message, error.value.hint) == (
        f"{name}: has 2 images for Linux (amd64, arm64), and which one is meant is not clear",
        "Save the image for one platform: docker save --platform linux/amd64, or skopeo copy --override-arch amd64.",
    )
    with pytest.raises(UsageError) as error:
        open_artefact(name, architecture="riscv64")
    assert error.value.message == f"{name}: has 2 images for Linux (amd64, arm64), and not one of them is for riscv64"
    index = many(("linux", "amd64"), ("unknown", "unknown"))(files)
    assert open_artefact(images.oci(layer, index=index)).findings == ()


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"{", "index.json cannot be read: Input data was truncated"),
        (b"{}", "index.json cannot be read: Object missing required field `manifests`"),
        (
            b'{"manifests":[{"digest":"sha256:../../etc/passwd"}]}',
            "names a blob by 'sha256:../../etc/passwd', which is no SHA-256 digest",
        ),
        (
            b'{"manifests":[{"digest":"sha256:' + b"0" * 64 + b'"}]}',
            f"lacks the blob sha256:{'0' * 64}",
        ),
        (
            b'{"manifests":[]}',
            "has no image for Linux",
        ),
    ],
)
def test_an_index_that_lies(images: Images, index: bytes, message: str) -> None:
    name = images.oci(index=index)
    assert told(name) == [("damaged-file", name, message)]


def test_a_tar_that_is_no_image(tmp_path: Path, tarred: Tarred) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tarred({"python/a.py": b""}))
    [found] = open_artefact(str(path)).findings
    assert found.message == "is a tar without index.json or manifest.json: no image archive"
    assert found.hint == (
        "Make one with docker save, or skopeo copy … oci-archive:image.tar. Of other tars, name the folder that they "
        "unpack to."
    )
    path.write_bytes(b"no tar at all" * 100)
    assert told(str(path)) == [("damaged-file", str(path), "has a header that cannot be read: invalid header")]
    path.write_bytes(gzip.compress(b"x"))
    with pytest.raises(UsageError) as error:
        open_artefact(str(path))
    assert error.value.message == f"{path}: is compressed as a whole"


def test_an_extended_header_does_not_fill_memory(images: Images) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    name = images.docker(header.tobuf(tarfile.GNU_FORMAT))
    assert told(name) == [("damaged-file", name, "layer 1 (0/layer.tar): has a header of 1,099,511,627,776 bytes")]


def test_an_image_that_unpacks_to_more_than_lambda_takes(
    images: Images, tarred: Tarred, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Small:
        image = 1000

    monkeypatch.setattr("lamina.artefact.rootfs.quotas", Small)
    name = images.oci(tarred({"opt/a.bin": bytes(100_000)}))
    [(_, _, message)] = told(name)
    assert message.endswith(": unpacks to more than 1,000 bytes, which is all that Lambda takes")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, 20_000) | st.none(),
    changes=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), max_size=8),
)
def test_no_mutation_of_a_layer_crashes(
    images: Images, tarred: Tarred, cut: int | None, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(
        tarred({"opt/" + "x" * 120: b"1", "opt/a.py": b"import os\n", "opt/l": (SYMLINK, "a.py"), "opt/.wh.b": b""})
    )
    for at, value in changes:
        data[at % len(data)] = value
    read = open_artefact(images.docker(bytes(data[:cut])))
    assert all(not item.path.startswith(("/", "../")) for item in read.items)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_no_mutation_of_an_archive_crashes(images: Images, tarred: Tarred, changes: list[tuple[int, int]]) -> None:
    path = Path(images.oci(tarred({"opt/a.py": b"import os\n"})))
    data = bytearray(path.read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    path.write_bytes(data)
    # Never an error: what is wrong with the archive is among the findings. A name or a number may still fit.
    assert open_artefact(str(path)).kind == "image"
