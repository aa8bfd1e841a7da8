"""Native files of real wheels against two independent readers: pyelftools by their sections, and readelf."""

from __future__ import annotations

import io
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection

from lamina import lock
from lamina.binary.look import is_native, look
from lamina.binary.model import Binary, Elf
from lamina.fetch import fetch
from lamina.index import from_environment
from lamina.lock import LockedWheel
from lamina.progress import SILENT
from lamina.store import Store
from lamina.wheel import open_wheel

_PYTHON = re.compile(r"_?Py[A-Z_]\w*", re.ASCII)


def _wheel(filename: str, sha256: str, size: int) -> LockedWheel:
    name, version = filename.split("-")[:2]
    return LockedWheel(name.lower(), version, filename, sha256, size)


_X86 = "cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64"
_RISCV = "cp311-cp311-manylinux_2_31_riscv64.manylinux_2_39_riscv64"
_ARM = "cp312-cp312-manylinux_2_17_aarch64.manylinux2014_aarch64"
_I686 = "cp311-cp311-manylinux_2_12_i686.manylinux2010_i686.manylinux_2_17_i686.manylinux2014_i686"
_S390X = "cp311-cp311-manylinux_2_17_s390x.manylinux2014_s390x"
_ABI3 = "cp311-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64"
#: Small wheels beside those of the scikit-learn recipe: both classes, both orders of bytes, musl, Rust.
ELVES = (
    _wheel(f"numpy-1.26.4-{_ARM}.whl", "9fad7dcb1aac3c7f0584a5a8133e3a43eeb2fe127f47e3632d43d677c66c102b", 13925109),
    _wheel(
        f"cryptography-50.0.2-{_ABI3}.whl", "630ebfea3bf689d075f82316324ff7433dc447fe6bc1bfc76524b74b4a9567d2", 4719841
    ),
    _wheel(
        "cryptography-50.0.2-cp311-abi3-manylinux_2_31_armv7l.whl",
        "ac9ed99d81760c62fe89d5f0815cdfa1ba9a35141cf30f1c2d044f04b4803d2e",
        4376724,
    ),
    _wheel(
        "cryptography-50.0.2-cp311-abi3-manylinux_2_28_ppc64le.whl",
        "a582ab2ae1d34f67112cadc86702774c9ea4374df6bca6afe672817203c99134",
        5367029,
    ),
    _wheel(f"cffi-1.17.1-{_S390X}.whl", "a24ed04c8ffd54b0729c07cee15a81d964e6fee0e3d4d342a27b020d22959dc6", 459721),
    _wheel(f"cffi-1.17.1-{_I686}.whl", "f75c7ab1f9e4aca5414ed4d8e5c0e303a34f4421f8a0d47a4d019ceff0ab6af4", 445259),
    _wheel(f"markupsafe-3.0.3-{_X86}.whl", "0bf2a864d67e76e5c9a34dc26ec616a66b9888e25e7b9460e1c76d3293bd9dbf", 22940),
    _wheel(f"markupsafe-3.0.3-{_RISCV}.whl", "bc51efed119bc9cfdf792cdeaa4d67e8f6fcccab66ed4bfdd6bde3e59bfcbb2f", 21887),
    _wheel(
        "markupsafe-3.0.3-cp311-cp311-musllinux_1_2_aarch64.whl",
        "068f375c472b3e7acbe2d5318dea141359e6900156b5b2ba06a30b169086b91a",
        23692,
    ),
)
#: Wheels of other systems, each with the one native file that it has, as it should be found.
OTHERS = (
    (
        _wheel(
            "markupsafe-3.0.3-cp311-cp311-win32.whl",
            "0db14f5dafddbb6d9208827849fad01f1a2609380add406671a26386cdf15a19",
            14572,
        ),
        Binary("pe", "i386", library=True),
    ),
    (
        _wheel(
            "markupsafe-3.0.3-cp311-cp311-win_amd64.whl",
            "de8a88e63464af587c950061a5e6a67d3632e36df62b986892331d4620a35c01",
            15077,
        ),
        Binary("pe", "x86_64", library=True),
    ),
    (
        _wheel(
            "markupsafe-3.0.3-cp311-cp311-win_arm64.whl",
            "3b562dd9e9ea93f13d53989d23a7e775fdfd1066c33494ff43f5418bc8c58a5c",
            13876,
        ),
        Binary("pe", "aarch64", library=True),
    ),
    (
        _wheel(
            "markupsafe-3.0.3-cp311-cp311-macosx_11_0_arm64.whl",
            "4bd4cd07944443f5a265608cc6aab442e4f74dff8088b0dfc8238647b8f6ae9a",
            12058,
        ),
        Binary("macho", "aarch64", library=True),
    ),
    (
        _wheel(
            "MarkupSafe-2.1.5-cp311-cp311-macosx_10_9_universal2.whl",
            "629ddd2ca402ae6dbedfceeba9c46d5f7b2a61d9749597d4307f943ef198fc1f",
            18219,
        ),
        Binary("macho", "x86_64+aarch64", library=True),
    ),
)


def natives(wheels: tuple[LockedWheel, ...], store: Store) -> Iterator[tuple[str, bytes]]:
    """Every native file of some wheels, with a path that names the wheel."""
    paths = fetch(wheels, store=store, indexes=from_environment(os.environ), offline=False, progress=SILENT)
    for locked in wheels:
        with open_wheel(paths[locked.sha256], locked.filename) as wheel:
            for entry in wheel.entries:
                content = b"" if entry.name.endswith((".py", "/")) else wheel.read(entry)
                if is_native(content[:64]):
                    yield f"{locked.filename}/{entry.name}", content


@pytest.fixture(scope="module")
def stack(repository: Path, shared_store: Path, index: None) -> Mapping[str, bytes]:  # noqa: ARG001 - skips without it
    """The native files of the scikit-learn recipe."""
    locked = lock.read(repository / "recipes/locks/sklearn-cp311-manylinux2014_x86_64.txt").wheels
    return dict(natives(locked, Store(shared_store)))


@pytest.fixture(scope="module")
def elves(stack: Mapping[str, bytes], shared_store: Path) -> Mapping[str, bytes]:
    """Those, and files for other machines and other C libraries."""
    return {**stack, **dict(natives(ELVES, Store(shared_store)))}


def judge(content: bytes) -> dict[str, Any]:
    """The same facts by pyelftools, which goes by section headers."""
    elf = ELFFile(io.BytesIO(content))
    sections = list(elf.iter_sections())
    [symbols] = [s for s in sections if isinstance(s, SymbolTableSection) and s.name == ".dynsym"]
    versions = next((section for section in sections if isinstance(section, GNUVerSymSection)), None)
    needs = [
        (need.name, auxiliary.name, bool(auxiliary["vna_flags"] & 2), auxiliary["vna_other"] & 0x7FFF)
        for section in sections
        if isinstance(section, GNUVerNeedSection)
        for need, auxiliaries in section.iter_versions()
        for auxiliary in auxiliaries
    ]
    python, offers, bound = judge_symbols(symbols, versions)
    return {
        "machine": elf["e_machine"],
        "bits": elf.elfclass,
        "little": elf.little_endian,
        "type": {"ET_EXEC": 2, "ET_DYN": 3}[elf["e_type"]],
        **judge_dynamic(next(section for section in sections if isinstance(section, DynamicSection))),
        "needs": [need[:3] for need in needs],
        "symbols": [min(bound.get(need[3], [""])) for need in needs],
        "defines": [
            next(auxiliaries).name
            for section in sections
            if isinstance(section, GNUVerDefSection)
            for definition, auxiliaries in section.iter_versions()
            if not definition["vd_flags"] & 1
        ],
        "python": python,
        "offers": offers,
        "unaligned": any(
            segment["p_align"] % 4096 or (segment["p_vaddr"] - segment["p_offset"]) % segment["p_align"]
            for segment in elf.iter_segments("PT_LOAD")
        ),
    }


def judge_dynamic(section: DynamicSection) -> dict[str, Any]:
    """The names in the dynamic section."""
    facts: dict[str, Any] = {"needed": [], "soname": "", "rpath": "", "runpath": ""}
    for tag in section.iter_tags():
        name = str(tag.entry.d_tag).removeprefix("DT_").lower()
        if name == "needed":
            facts[name].append(tag.needed)
        elif name in facts:
            facts[name] = getattr(tag, name)
    return facts


def judge_symbols(
    symbols: SymbolTableSection, versions: GNUVerSymSection | None
) -> tuple[set[str], set[str], dict[int, list[str]]]:
    """CPython's names that are asked for, those that are defined, and every name by its version index."""
    python, offers = set(), set()
    bound: dict[int, list[str]] = {}
    for number, symbol in enumerate(symbols.iter_symbols()):
        index = versions.get_symbol(number)["ndx"] if versions is not None else 0
        if isinstance(index, int):
            bound.setdefault(index & 0x7FFF, []).append(symbol.name)
        if not _PYTHON.fullmatch(symbol.name):
            continue
        if symbol["st_shndx"] != "SHN_UNDEF":
            offers.add(symbol.name)
        elif symbol["st_info"]["bind"] != "STB_WEAK":
            python.add(symbol.name)
    return python, {name for name in offers if not name.startswith(("PyInit_", "_PyInit_"))}, bound


_MACHINES = {
    62: "EM_X86_64",
    183: "EM_AARCH64",
    40: "EM_ARM",
    21: "EM_PPC64",
    22: "EM_S390",
    3: "EM_386",
    243: "EM_RISCV",
}


def told(elf: Elf) -> dict[str, Any]:
    """Our facts in the form of :func:`judge`."""
    return {
        "machine": _MACHINES[elf.machine],
        "bits": elf.bits,
        "little": elf.little,
        "type": elf.type,
        "needed": list(elf.needed),
        "soname": elf.soname,
        "rpath": ":".join(elf.rpath),
        "runpath": ":".join(elf.runpath),
        "needs": [(need.library, need.version, need.weak) for need in elf.needs],
        "symbols": [need.symbol for need in elf.needs],
        "defines": list(elf.defines),
        "python": set(elf.python),
        "offers": set(elf.offers),
        "unaligned": bool(elf.unaligned),
    }


def test_every_file_is_read_as_pyelftools_reads_it(elves: Mapping[str, bytes]) -> None:
    machines = set()
    wrong = {}
    seen: Counter[str] = Counter()
    for path, content in elves.items():
        found = look(content)
        assert found is not None, path
        assert found.elf is not None, path
        assert found.damage == "", path
        machines.add(found.machine)
        expected, actual = judge(content), told(found.elf)
        seen.update({key: len(value) for key, value in actual.items() if isinstance(value, list | set)})
        seen.update(rpath=bool(actual["rpath"]), runpath=bool(actual["runpath"]))
        if expected != actual:
            wrong[path] = {key: (expected[key], actual[key]) for key in expected if expected[key] != actual[key]}
    assert wrong == {}
    assert len(elves) > 280
    assert seen["needs"] > 1000
    assert seen["python"] > 10_000
    assert seen["runpath"] + seen["rpath"] > 50
    assert machines == {"x86_64", "aarch64", "arm", "ppc64le", "s390x", "i386", "riscv64"}


def test_what_readelf_prints_is_the_same(elves: Mapping[str, bytes], tmp_path: Path) -> None:
    readelf = shutil.which("readelf") or pytest.skip("no readelf on this machine")
    some = {path: content for path, content in elves.items() if ".libs/" in path or len(content) % 5 == 0}
    assert len(some) > 30
    for path, content in some.items():
        file = tmp_path / "library.so"
        file.write_bytes(content)
        done = subprocess.run(
            [readelf, "-W", "-d", "-V", file],
            capture_output=True,
            text=True,
            env={"LC_ALL": "C"},
            check=True,
            timeout=60,
        )
        found = look(content)
        assert found is not None
        assert found.elf is not None
        assert re.findall(r"\(NEEDED\).*\[(.*)\]", done.stdout) == list(found.elf.needed), path
        assert re.findall(r"\(SONAME\).*\[(.*)\]", done.stdout) == ([found.elf.soname] if found.elf.soname else []), (
            path
        )
        assert re.findall(r"\(R(?:UN)?PATH\).*\[(.*)\]", done.stdout) == [
            ":".join(folders) for folders in (found.elf.rpath, found.elf.runpath) if folders
        ], path
        needs, library = [], ""
        for line in done.stdout.splitlines():
            if file_name := re.search(r"Version: 1  File: (\S+)  Cnt:", line):
                library = file_name[1]
            elif version := re.search(r"Name: (\S+)  Flags: (.*)  Version: \d+", line):
                needs.append((library, version[1], "WEAK" in version[2]))
        assert needs == [(need.library, need.version, need.weak) for need in found.elf.needs], path


def test_stripped_libraries_load_where_we_say_so(stack: Mapping[str, bytes], tmp_path: Path) -> None:
    """What ``strip`` leaves of libraries that patchelf has rewritten, against this machine's loader."""
    strip = shutil.which("strip") or pytest.skip("no strip on this machine")
    if platform.libc_ver()[0] != "glibc" or platform.machine() != "x86_64":
        pytest.skip("the loader of this machine is another one")
    libraries = {path: content for path, content in stack.items() if ".libs/" in path}
    assert len(libraries) > 5
    for path, content in libraries.items():
        file = tmp_path / "library.so"
        file.write_bytes(content)
        subprocess.run([strip, file], check=True, timeout=60)
        found = look(file.read_bytes())
        assert found is not None
        assert found.elf is not None
        loaded = subprocess.run(
            [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", file],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        refused = "ELF load command" in loaded.stderr
        assert bool(found.elf.unaligned) is refused, (path, found.elf.unaligned, loaded.stderr)


def test_files_of_other_systems(shared_store: Path, index: None) -> None:  # noqa: ARG001 - skips without the index
    for wheel, expected in OTHERS:
        [(path, content)] = natives((wheel,), Store(shared_store))
        assert look(content) == expected, path
        cut = look(content[: len(content) - 100])
        assert cut is not None, path
        assert cut.damage.endswith("it is truncated"), path


def test_the_whole_stack_is_read_quickly(stack: Mapping[str, bytes]) -> None:
    assert sum(map(len, stack.values())) > 150_000_000
    started = time.process_time()
    for content in stack.values():
        look(content)
    took = time.process_time() - started
    print(f"{len(stack)} files, {took:.2f} s")  # noqa: T201 - for the reader of a log; 0.3 s were measured
    assert took < 1.5, "seconds of CPU"
