from __future__ import annotations

import pytest

from lamina.emit.native import Library, library
from lamina.part.model import ELF, PLAIN, SCRIPT, Entry


def entry(path: str, kind: int = ELF) -> Entry:
    return Entry(path, offset=0, length=0, method=0, crc=0, compressed=0, size=0, kind=kind, sha256=bytes(32))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("python/numpy.libs/libgfortran-040039e1.so.5.0.0", Library("libgfortran", "5.0.0")),
        ("python/scipy.libs/libgfortran-040039e1-0352e75f.so.5.0.0", Library("libgfortran", "5.0.0")),
        ("python/numpy.libs/libopenblas64_p-r0-0cf96a72.3.23.dev.so", Library("libopenblas64_p", "0.3.23.dev")),
        ("python/numpy.libs/libscipy_openblas64_-4b78795a.so", Library("libscipy_openblas64_", "")),
        ("python/pyarrow/libarrow.so.2500", Library("libarrow", "2500")),
        ("python/torch/lib/libgomp-a34b3233.so.1", Library("libgomp", "1")),
        ("python/psycopg2.libs/libcrypto-ea28cefb.so.1.0.2k", Library("libcrypto", "1.0.2k")),
        ("python/opencv.libs/libglib-2-12345678.0.so.0.7200.1", Library("libglib-2.0", "0.7200.1")),
        ("python/pkg/libdata-20231231.so", Library("libdata-20231231", "")),
        ("python/pkg.libs/libdata-20231231.so", Library("libdata", "")),
        ("python/pkg.libs/engine-0cf96a72.so", Library("engine", "")),
        ("lib/libtbb.so.12", Library("libtbb", "12")),
    ],
)
def test_names_and_versions_are_told_from_file_names(path: str, expected: Library) -> None:
    assert library(entry(path)) == expected


@pytest.mark.parametrize(
    "path",
    [
        "python/pandas/_libs/lib.cpython-311-x86_64-linux-gnu.so",
        "python/pkg/libfast.abi3.so",
        "python/pkg/libfast.pypy311-pp73-x86_64-linux-gnu.so",
        "python/cv2/engine.so",
        "python/pkg/libfast.some",
        "python/pkg/libfast.a",
        "python/pkg/library",
        "bin/ffmpeg",
    ],
)
def test_extension_modules_and_executables_are_no_libraries(path: str) -> None:
    assert library(entry(path)) is None


@pytest.mark.parametrize("kind", [PLAIN, SCRIPT])
def test_only_elf_files_are_libraries(kind: int) -> None:
    # libstdc++.so and its like can be linker scripts: text.
    assert library(entry("python/pkg.libs/libfoo.so.1", kind)) is None
