"""Files of another system or machine, damaged and unmappable ones: every branch, whole messages."""

from __future__ import annotations

from typing import Any

import pytest

from lamina.audit.model import Artefact, Item, Package
from lamina.audit.platform import check_platform
from lamina.audit.world import world_of
from lamina.binary.model import Binary, Elf, Format
from lamina.findings import Finding
from lamina.target import Target, target_for

X86, ARM = 62, 183
TARGET = target_for("cp311", platform="manylinux2014_x86_64")


def elf(**facts: object) -> Binary:
    values: dict[str, Any] = {"machine": X86, "bits": 64, "little": True, "type": 3, **facts}
    return Binary(
        "elf", {X86: "x86_64", ARM: "aarch64"}.get(values["machine"], "i386"), library=True, elf=Elf(**values)
    )


def item(path: str, binary: Binary | None = None, **facts: object) -> Item:
    return Item(path, f"/opt/{path}", 1, binary=binary, **facts)


def layer(*items: Item, package: Package | None = None) -> Artefact:
    packages = (package._replace(files=frozenset(each.path for each in items)),) if package else ()
    return Artefact("layer.zip", "layer", items, packages)


def package(name: str, *tags: str) -> Package:
    return Package(name, "1.0", f"python/{name}-1.0.dist-info", tags, metadata=True, entry_points=(), files=frozenset())


def check(artefact: Artefact, target: Target = TARGET) -> list[Finding]:
    return list(check_platform(artefact, world_of([artefact], target)))


WINDOWS = Binary("pe", "x86_64", library=True)
TAKE = (
    "Take the Linux wheel: lock and build with lamina for cp311-manylinux2014_x86_64, or pip install --platform "
    "manylinux2014_x86_64 --python-version 3.11 --only-binary=:all: --target python {}."
)


@pytest.mark.parametrize(
    ("binary", "code", "what"),
    [
        (WINDOWS, "windows-binary", "x.so is a Windows library for x86_64"),
        (Binary("pe", "i386", library=False), "windows-binary", "x.so is a Windows program for i386"),
        (Binary("macho", "x86_64+aarch64", library=True), "macos-binary", "x.so is a macOS library for x86_64+aarch64"),
    ],
)
def test_another_system(binary: Binary, code: str, what: str) -> None:
    found = check(layer(item("python/pkg/x.so", binary)))
    message = f"{what}; Lambda runs Linux and cannot load it"
    assert found == [Finding(code, "error", "python/pkg/x.so", message, TAKE.format("NAME"))]


def test_the_hint_names_the_package() -> None:
    found = check(layer(item("python/pkg/x.pyd", WINDOWS), package=package("pkg", "cp311-cp311-win_amd64")))
    assert [(finding.severity, finding.hint) for finding in found] == [("error", TAKE.format("pkg"))]


def test_a_program_that_comes_with_every_platform_is_a_warning() -> None:
    program = Binary("pe", "x86_64", library=False)
    found = check(layer(item("python/setuptools/cli.exe", program), package=package("setuptools", "py3-none-any")))
    message = (
        "cli.exe is a Windows program for x86_64; the wheel of setuptools is the same on every system, "
        "and Lambda never loads this file"
    )
    hint = 'Drop it: prune.drop = ["**/cli.exe"].'
    assert found == [Finding("windows-binary", "warning", "python/setuptools/cli.exe", message, hint)]


@pytest.mark.parametrize(
    ("path", "others", "tag", "severity"),
    [
        ("python/dbg/attach.dll", ("python/dbg/attach.so",), "py3-none-any", "warning"),
        ("python/dbg/attach.dll", (), "py3-none-any", "error"),
        ("python/dbg/attach.pyd", ("python/dbg/attach.so",), "py3-none-any", "warning"),
        ("python/dbg/attach.pyd", (), "py3-none-any", "error"),
        ("python/dbg/attach.dll", ("python/dbg/attach.so",), "py3-none-win_amd64", "error"),
        ("python/dbg/attach.dll", ("python/dbg/attach.so",), "", "error"),
    ],
)
def test_a_library_beside_one_for_linux(path: str, others: tuple[str, ...], tag: str, severity: str) -> None:
    items = [item(path, WINDOWS), *(item(other, elf()) for other in others)]
    found = check(layer(*items, package=package("dbg", *([tag] if tag else []))))
    assert [(finding.code, finding.severity) for finding in found] == [("windows-binary", severity)]


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"machine": ARM}, "aarch64 (64 bit)"),
        ({"machine": 3, "bits": 32}, "i386 (32 bit)"),
        ({"bits": 32}, "x86_64 (32 bit)"),
        ({"little": False}, "x86_64 (64 bit, big-endian)"),
        ({"machine": ARM, "type": 2}, "aarch64 (64 bit)"),
    ],
)
def test_another_machine(facts: dict[str, Any], what: str) -> None:
    message = f"x.so is built for {what}; the target is x86_64 (64 bit)"
    hint = (
        "Take the wheel for x86_64: lock and build with lamina for cp311-manylinux2014_x86_64, or set the "
        "function's architecture to that of the library."
    )
    found = check(layer(item("python/x.so", elf(**facts))))
    assert found == [Finding("wrong-architecture", "error", "python/x.so", message, hint)]


def test_what_fits_has_no_finding() -> None:
    arm = target_for("cp312", architecture="aarch64")
    assert check(layer(item("python/x.so", elf()), item("python/x.py"))) == []
    assert check(layer(item("python/x.so", elf(machine=ARM))), arm) == []


def test_object_files_are_data() -> None:
    assert check(layer(item("python/x.o", elf(machine=ARM, type=1, unaligned="any")))) == []


@pytest.mark.parametrize(("form", "name"), [("elf", "ELF"), ("pe", "PE"), ("macho", "Mach-O")])
def test_damage(form: Format, name: str) -> None:
    broken = Binary(form, "x86_64", library=True, damage="the file ends at byte 100")
    found = [finding for finding in check(layer(item("python/pkg/x.so", broken))) if finding.code == "damaged-file"]
    message = f"x.so is a damaged {name} file: the file ends at byte 100"
    hint = "Fetch the wheel of pkg again and build from it; if it is so in the wheel, take another one."
    assert found == [Finding("damaged-file", "error", "python/pkg/x.so", message, hint)]


def test_what_is_damaged_is_not_judged_further() -> None:
    facts = Elf(machine=ARM, bits=64, little=True, type=3, unaligned="any")
    broken = Binary("elf", "aarch64", library=True, damage="cut", elf=facts)
    assert [finding.code for finding in check(layer(item("python/x.so", broken)))] == ["damaged-file"]


def test_a_segment_that_cannot_be_mapped() -> None:
    found = check(layer(item("python/pkg.libs/x.so", elf(unaligned="segment 2 at offset 4097"))))
    message = (
        "x.so cannot be mapped: segment 2 at offset 4097. The loader says ELF load command address/offset not "
        "page-aligned; strip run after patchelf leaves files like this"
    )
    hint = "Take the library as it is in the wheel of pkg, without strip."
    assert found == [Finding("unaligned-segment", "error", "python/pkg.libs/x.so", message, hint)]


def test_a_wheel_for_every_machine() -> None:
    other, own = item("python/dbg/x86.so", elf(machine=3, bits=32)), item("python/dbg/x64.so", elf())
    found = check(layer(other, own, package=package("dbg", "py2-none-any", "py3-none-any")))
    message = (
        "x86.so is built for i386 (32 bit); the wheel of dbg is the same on every machine, and brings one for this too"
    )
    hint = 'Drop it: prune.drop = ["**/x86.so"].'
    assert found == [Finding("wrong-architecture", "warning", "python/dbg/x86.so", message, hint)]
    (alone,) = check(layer(other, package=package("dbg", "py3-none-any")))
    assert alone.severity == "error"
