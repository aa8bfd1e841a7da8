"""Symbol versions against runtimes and against files of the stack: every branch, whole messages."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.audit.model import Artefact, Item, Package
from lamina.audit.versions import Version, check_versions, concerned, version_of
from lamina.audit.world import world_of
from lamina.binary.model import Binary, Elf, Need
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


CP312 = target_for("cp312", architecture="x86_64")
OLDER = "an older version of pkg: lamina audit --online tells the newest that loads"


def need(version: str, symbol: str = "fun", library: str = "", *, weak: bool = False) -> Need:
    families = {"GLIBC": "libc.so.6", "GLIBCXX": "libstdc++.so.6", "CXXABI": "libstdc++.so.6", "GCC": "libgcc_s.so.1"}
    return Need(library or families.get(version.partition("_")[0], "libx.so.1"), version, symbol, weak)


def library(*needs: Need, **facts: object) -> Binary:
    return elf(needed=tuple(dict.fromkeys(each.library for each in needs)), needs=needs, **facts)


def check(*items: Item, target: Target = TARGET) -> list[Finding]:
    artefact = layer(*items)
    return list(check_versions(artefact, world_of([artefact], target)))


def test_glibc_above_the_runtime() -> None:
    found = check(
        item("python/pkg/x.so", library(need("GLIBC_2.14"), need("GLIBC_2.28", "fcntl64"), need("GLIBC_2.27")))
    )
    message = "pkg needs GLIBC_2.28 for fcntl64; python3.11 on Lambda has glibc 2.26"
    hint = f"Build for cp312 or newer, which Amazon Linux 2023 runs, or take {OLDER}."
    assert found == [Finding("glibc-too-new", "error", "python/pkg/x.so", message, hint)]


def test_glibc_above_every_runtime() -> None:
    found = check(item("python/pkg/x.so", library(need("GLIBC_2.38"))), target=CP312)
    message = "pkg needs GLIBC_2.38 for fun; python3.12 on Lambda has glibc 2.34"
    hint = f"No Lambda runtime has that: take {OLDER}, or ship an image whose base has it."
    assert found == [Finding("glibc-too-new", "error", "python/pkg/x.so", message, hint)]


def test_a_mark_of_the_linker_stands_for_a_version() -> None:
    (found,) = check(item("python/pkg/x.so", library(need("GLIBC_ABI_DT_RELR", ""))), target=CP312)
    assert found.message == "pkg needs GLIBC_ABI_DT_RELR; python3.12 on Lambda has glibc 2.34"


@pytest.mark.parametrize(
    ("version", "severity", "has"),
    [
        ("GLIBCXX_3.4.30", "warning", "GLIBCXX_3.4.29 for certain, and up to GLIBCXX_3.4.33"),
        ("GLIBCXX_3.4.34", "error", "GLIBCXX_3.4.29 for certain, and up to GLIBCXX_3.4.33"),
        ("CXXABI_1.3.15", "warning", "CXXABI_1.3.13 for certain, and up to CXXABI_1.3.15"),
        ("GCC_12.0.0", "warning", "GCC_7.0.0 for certain, and up to GCC_14.0.0"),
        ("GCC_15.0.0", "error", "GCC_7.0.0 for certain, and up to GCC_14.0.0"),
    ],
)
def test_between_certain_and_inferred_it_warns(version: str, severity: str, has: str) -> None:
    (found,) = check(item("python/pkg/x.so", library(need(version))), target=CP312)
    message = f"pkg needs {version} for fun; python3.12 on Lambda has up to {has} in newer images as far as is known"
    assert (found.code, found.severity, found.message) == ("libstdcxx-too-new", severity, message)
    ways = {
        "warning": f"Invoke the function once in its region to see x.so load, or take {OLDER}.",
        "error": f"No Lambda runtime has that: take {OLDER}, or ship an image whose base has it.",
    }
    assert found.hint == ways[severity]


def test_libstdcxx_above_a_runtime_without_a_doubt() -> None:
    found = check(item("python/pkg/x.so", library(need("GLIBCXX_3.4.29"), need("CXXABI_1.3.11"))))
    message = "pkg needs GLIBCXX_3.4.29 for fun; python3.11 on Lambda has up to GLIBCXX_3.4.24"
    hint = f"Build for cp312 or newer, which Amazon Linux 2023 runs, or take {OLDER}."
    assert found == [Finding("libstdcxx-too-new", "error", "python/pkg/x.so", message, hint)]


def test_libgcc_differs_by_architecture() -> None:
    arm = target_for("cp312", architecture="aarch64")
    assert check(item("python/pkg/x.so", library(need("GCC_11.0"), machine=ARM)), target=arm) == []
    (found,) = check(item("python/pkg/x.so", library(need("GCC_11.0"))), target=CP312)
    assert found.severity == "warning"


def test_one_finding_a_file_and_code_the_certain_one_first() -> None:
    needs = (need("GLIBC_2.35"), need("GLIBC_2.36"), need("GLIBCXX_3.4.30"), need("GCC_99.0.0"), need("CXXABI_1.3.15"))
    found = check(item("python/pkg/x.so", library(*needs)), target=CP312)
    assert [(each.code, each.severity, each.message.split(" for ")[0]) for each in found] == [
        ("glibc-too-new", "error", "pkg needs GLIBC_2.36"),
        ("libstdcxx-too-new", "error", "pkg needs GCC_99.0.0"),
    ]


@pytest.mark.parametrize(
    "version",
    [
        "GLIBC_2.26",
        "GLIBC_PRIVATE",
        "GLIBCXX_3.4.24",
        "GLIBCXX_LDBL_3.4",
        "CXXABI_TM_1",
        "CXXABI_FLOAT128",
        "CXXABI_LDBL_1.3",
    ],
)
def test_what_the_runtime_has(version: str) -> None:
    assert check(item("python/pkg/x.so", library(need(version)))) == []


def test_what_is_passed_over() -> None:
    assert check(item("python/pkg/x.so", library(need("GLIBC_2.40", weak=True)))) == []
    assert check(item("python/pkg/x.so", library(need("LIBX_9")))) == []
    assert check(item("python/pkg/x.so", library(need("GLIBC_2.40"), machine=ARM))) == []
    assert check(item("python/pkg/x.so", library(need("GLIBC_2.40", library="libmissing.so.1")))) == []
    assert check(item("python/pkg/x.o", library(need("GLIBC_2.40"), type=1))) == []


def test_a_library_that_the_wheel_brings_is_the_measure() -> None:
    own = item("python/pkg.libs/libstdc++-1a2b.so.6", elf(soname="libstdc++-1a2b.so.6", defines=("GLIBCXX_3.4.30",)))
    asks = library(need("GLIBCXX_3.4.30", library="libstdc++-1a2b.so.6"), runpath=("$ORIGIN/../pkg.libs",))
    assert check(item("python/pkg/x.so", asks), own) == []
    more = library(need("GLIBCXX_3.4.31", library="libstdc++-1a2b.so.6"), runpath=("$ORIGIN/../pkg.libs",))
    (found,) = check(item("python/pkg/x.so", more), own)
    assert found.message == (
        "pkg needs GLIBCXX_3.4.31 for fun; /opt/python/pkg.libs/libstdc++-1a2b.so.6, which the loader takes for "
        "libstdc++-1a2b.so.6, has none above GLIBCXX_3.4.30"
    )
    assert check(item("python/pkg/x.so", more), item(own.path, elf(soname="libstdc++-1a2b.so.6"))) == []


def test_a_runpath_does_not_go_before_the_runtime_but_an_rpath_does() -> None:
    own = item("python/pkg.libs/libstdc++.so.6", elf(soname="libstdc++.so.6", defines=("GLIBCXX_3.4.30",)))
    folder = ("$ORIGIN/../pkg.libs",)
    (found,) = check(item("python/pkg/x.so", library(need("GLIBCXX_3.4.30"), runpath=folder)), own)
    assert found.message == "pkg needs GLIBCXX_3.4.30 for fun; python3.11 on Lambda has up to GLIBCXX_3.4.24"
    assert check(item("python/pkg/x.so", library(need("GLIBCXX_3.4.30"), rpath=folder)), own) == []


def test_an_image_with_its_own_system() -> None:
    def at(place: str, binary: Binary) -> Item:
        return Item(place[1:], place, 1, binary=binary)

    libc = at("/lib/x86_64-linux-gnu/libc.so.6", elf(soname="libc.so.6", defines=("GLIBC_2.2.5", "GLIBC_2.36")))
    fits = at("/usr/local/lib/python3.11/site-packages/pkg/x.so", library(need("GLIBC_2.36")))
    above = at("/usr/local/lib/python3.11/site-packages/pkg/y.so", library(need("GLIBC_2.38")))
    mark = at("/usr/local/lib/python3.11/site-packages/pkg/z.so", library(need("GLIBC_ABI_DT_RELR", "")))
    image = Artefact("image.tar", "image", (libc, fits, above, mark))
    found = list(check_versions(image, world_of([image], TARGET)))
    where = "/lib/x86_64-linux-gnu/libc.so.6, which the loader takes for libc.so.6, has"
    assert [(each.path.rpartition("/")[2], each.message, each.hint) for each in found] == [
        (
            "y.so",
            f"pkg needs GLIBC_2.38 for fun; {where} none above GLIBC_2.36",
            f"Take a base image with a newer system, or {OLDER}.",
        ),
        (
            "z.so",
            f"pkg needs GLIBC_ABI_DT_RELR; {where} no such version",
            f"Take a base image with a newer system, or {OLDER}.",
        ),
    ]


def test_which_packages_are_concerned() -> None:
    one = package("one")._replace(files=frozenset({"python/one/x.so"}))
    artefact = Artefact("a.zip", "layer", (), (package("two"), one))
    about = Finding("glibc-too-new", "error", "python/one/x.so", "m")
    others = [
        Finding("glibc-too-new", "error", "python/y.so", "m"),
        Finding("missing-library", "error", about.path, "m"),
    ]
    assert concerned(artefact, [*others, about]) == ((one, (about,)),)


numbers = st.lists(st.integers(0, 999_999), min_size=1, max_size=4).map(tuple)


@given(st.sampled_from(["GLIBC", "GLIBCXX", "CXXABI", "GCC"]), numbers)
def test_versions_are_read_as_they_are_written(family: str, number: tuple[int, ...]) -> None:
    version = Version(family, number)
    assert version_of(str(version)) == version


@given(st.lists(numbers, min_size=1, max_size=6), st.randoms())
def test_the_highest_version_is_told_whatever_the_order(versions: list[tuple[int, ...]], random: Random) -> None:
    written = [str(Version("GLIBC", number)) for number in versions]
    above = [number for number in versions if number > (2, 26)]
    random.shuffle(written)
    found = check(item("python/pkg/x.so", library(*map(need, written))))
    expected = (
        [f"pkg needs {Version('GLIBC', max(above))} for fun; python3.11 on Lambda has glibc 2.26"] if above else []
    )
    assert [each.message for each in found] == expected


@given(st.text(max_size=30))
def test_any_text_is_a_version_or_none(text: str) -> None:
    version = version_of(text)
    assert version is None or version.family in {"GLIBC", "GLIBCXX", "CXXABI", "GCC"}


def test_a_library_of_another_system_comes_from_the_runtime_s_own_base_image() -> None:
    (found,) = check(item("lib/libgomp.so.1", library(need("GLIBC_2.34", "dlclose"))))
    assert found.message == "libgomp.so.1 needs GLIBC_2.34 for dlclose; python3.11 on Lambda has glibc 2.26"
    assert found.hint == (
        "Build for cp312 or newer, which Amazon Linux 2023 runs, or take the one that the packages of "
        "public.ecr.aws/lambda/python:3.11 have (overlay.from-image takes it from there)."
    )
