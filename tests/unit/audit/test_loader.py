"""Where the loader finds a library: the order of ld.so(8), and that the order of files does not matter."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.audit.loader import RUNTIME
from lamina.audit.model import Artefact, Item
from lamina.audit.world import world_of
from lamina.binary.model import Binary, Elf
from lamina.target import target_for

X86, ARM = 62, 183
TARGET = target_for("cp311", platform="manylinux2014_x86_64")


def file(place: str, *needed: str, **facts: object) -> Item:
    values: dict[str, Any] = {"machine": X86, "bits": 64, "little": True, "type": 3, "needed": needed, **facts}
    return Item(place[1:], place, 1, binary=Binary("elf", "", library=True, elf=Elf(**values)))


def linked(*items: Item) -> dict[str, dict[str, str]]:
    world = world_of([Artefact("a.zip", "layer", items)], TARGET)
    return {place: dict(found) for place, found in world.linked.items() if world.files[place].binary.elf.needed}


USER = "/opt/python/pkg/x.so"


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        ({"runpath": ("$ORIGIN/../pkg.libs",)}, "/opt/python/pkg.libs/libx.so.1"),
        ({"runpath": ("${ORIGIN}/../pkg.libs",)}, "/opt/python/pkg.libs/libx.so.1"),
        ({"rpath": ("$ORIGIN/../pkg.libs",)}, "/opt/python/pkg.libs/libx.so.1"),
        ({"rpath": ("/opt/python/$LIB/$PLATFORM",)}, "/opt/python/lib64/x86_64/libx.so.1"),
        ({"runpath": ("/nowhere", "$ORIGIN")}, "/opt/python/pkg/libx.so.1"),
        ({"runpath": ("../pkg.libs", "")}, None),
        ({"rpath": ("$ORIGIN",), "runpath": ("$ORIGIN/../pkg.libs",)}, "/opt/python/pkg.libs/libx.so.1"),
        ({}, None),
    ],
)
def test_folders(facts: dict[str, object], where: str | None) -> None:
    libraries = [
        file(f"{folder}/libx.so.1")
        for folder in ("/opt/python/pkg.libs", "/opt/python/lib64/x86_64", "/opt/python/pkg")
    ]
    assert linked(file(USER, "libx.so.1", **facts), *libraries) == {USER: {"libx.so.1": where} if where else {}}


@pytest.mark.parametrize("folder", ["/opt/lib", "/var/task", "/var/task/lib", "/var/lang/lib", "/usr/lib"])
def test_the_library_path_and_the_system(folder: str) -> None:
    assert linked(file(USER, "libx.so.1"), file(f"{folder}/libx.so.1")) == {USER: {"libx.so.1": f"{folder}/libx.so.1"}}


def test_rpath_then_library_path_then_runpath() -> None:
    both = [file("/opt/lib/libx.so.1"), file("/opt/python/pkg/libx.so.1")]
    assert linked(file(USER, "libx.so.1", runpath=("$ORIGIN",)), *both)[USER] == {"libx.so.1": "/opt/lib/libx.so.1"}
    assert linked(file(USER, "libx.so.1", rpath=("$ORIGIN",)), *both)[USER] == {
        "libx.so.1": "/opt/python/pkg/libx.so.1"
    }


def test_the_runtimes_own_come_before_the_layer() -> None:
    assert linked(file(USER, "libz.so.1"), file("/opt/lib/libz.so.1"))[USER] == {"libz.so.1": RUNTIME}
    first = file("/var/lang/lib/libz.so.1")
    assert linked(file(USER, "libz.so.1"), first)[USER] == {"libz.so.1": "/var/lang/lib/libz.so.1"}


@pytest.mark.parametrize("facts", [{"machine": ARM}, {"bits": 32}, {"little": False}, {"type": 1}])
def test_what_the_loader_passes_over(facts: dict[str, object]) -> None:
    other = file("/opt/python/pkg/libx.so.1", **facts)
    right = file("/opt/python/pkg.libs/libx.so.1")
    user = file(USER, "libx.so.1", runpath=("$ORIGIN", "$ORIGIN/../pkg.libs"))
    assert linked(user, other, right)[USER] == {"libx.so.1": "/opt/python/pkg.libs/libx.so.1"}


def test_a_script_of_that_name_is_no_library() -> None:
    assert linked(file(USER, "libx.so.1"), Item("lib/libx.so.1", "/opt/lib/libx.so.1", 1)) == {USER: {}}


def test_links_lead_to_the_file() -> None:
    link = Item("lib/libx.so.1", "/opt/lib/libx.so.1", 0, kind="link", target="libx.so.1.2")
    assert linked(file(USER, "libx.so.1"), link, file("/opt/lib/libx.so.1.2"))[USER] == {
        "libx.so.1": "/opt/lib/libx.so.1.2"
    }


def test_a_path_is_not_searched() -> None:
    user = file(USER, "/opt/lib/libx.so.1", "$ORIGIN/liby.so", "lib/libz.so")
    others = [file("/opt/lib/libx.so.1"), file("/opt/python/pkg/liby.so"), file("/var/task/lib/libz.so")]
    assert linked(user, *others)[USER] == {
        "/opt/lib/libx.so.1": "/opt/lib/libx.so.1",
        "lib/libz.so": "/var/task/lib/libz.so",
    } | ({"$ORIGIN/liby.so": "/opt/python/pkg/liby.so"})


def test_the_rpath_of_those_that_load_it() -> None:
    user = file(USER, "liba.so", rpath=("$ORIGIN/libs",))
    middle = file("/opt/python/pkg/libs/liba.so", "libb.so")
    deep = file("/opt/python/pkg/libs/libb.so", "libc1.so")
    last = file("/opt/python/pkg/libs/libc1.so")
    found = linked(user, middle, deep, last)
    assert found[middle.place] == {"libb.so": "/opt/python/pkg/libs/libb.so"}
    assert found[deep.place] == {"libc1.so": "/opt/python/pkg/libs/libc1.so"}


def test_a_runpath_is_not_inherited() -> None:
    user = file(USER, "liba.so", runpath=("$ORIGIN/libs",))
    middle = file("/opt/python/pkg/libs/liba.so", "libb.so")
    assert linked(user, middle, file("/opt/python/pkg/libs/libb.so"))[middle.place] == {}
    inherits_nothing = file("/opt/python/pkg/libs/liba.so", "libb.so", runpath=("/nowhere",))
    user = file(USER, "liba.so", rpath=("$ORIGIN/libs",))
    assert linked(user, inherits_nothing, file("/opt/python/pkg/libs/libb.so"))[middle.place] == {}


def test_what_the_loading_library_has_found_is_there() -> None:
    user = file(USER, "libb.so", "liba.so", runpath=("$ORIGIN/libs",))
    middle = file("/opt/python/pkg/libs/liba.so", "libb.so")
    found = linked(user, middle, file("/opt/python/pkg/libs/libb.so"))
    assert found[middle.place] == {"libb.so": "/opt/python/pkg/libs/libb.so"}


def test_libraries_that_need_each_other() -> None:
    one = file("/opt/lib/liba.so", "libb.so", "libgone.so")
    two = file("/opt/lib/libb.so", "liba.so", "libgone.so")
    assert linked(one, two) == {one.place: {"libb.so": two.place}, two.place: {"liba.so": one.place}}


sonames = st.sampled_from([f"lib{letter}.so" for letter in "abcde"])
folders = st.sampled_from(["/opt/lib", "/opt/python/p", "/opt/python/q"])
paths = st.lists(st.sampled_from(["$ORIGIN", "$ORIGIN/../q", "/opt/python/p"]), max_size=2).map(tuple)
libraries = st.builds(
    lambda folder, name, needed, rpath, runpath: file(f"{folder}/{name}", *needed, rpath=rpath, runpath=runpath),
    folders,
    sonames,
    st.lists(sonames, max_size=3, unique=True),
    paths,
    paths,
)


@given(st.lists(libraries, max_size=8, unique_by=lambda item: item.place), st.randoms())
def test_the_order_of_files_does_not_matter(items: list[Item], random: Random) -> None:
    found = linked(*items)
    random.shuffle(items)
    assert linked(*items) == found


@given(st.lists(libraries, max_size=8, unique_by=lambda item: item.place), folders)
def test_another_library_only_adds(items: list[Item], folder: str) -> None:
    """One that needs nothing, under a name that no file had."""
    others = [item for item in items if not item.place.endswith("/libe.so")]
    before, after = linked(*others), linked(*others, file(f"{folder}/libe.so"))
    for place, found in before.items():
        new = {name: where for name, where in after[place].items() if name not in found}
        assert after[place] == {**found, **new}
        assert set(new.items()) <= {("libe.so", f"{folder}/libe.so")}


def test_files_made_to_take_long() -> None:
    assert linked(file(USER, "libx.so", rpath=("$ORIGIN" * 100_000, "/" + "a" * 100_000)))[USER] == {}
    everyone = [f"lib{number}.so" for number in range(120)]
    assert len(linked(*(file(f"/opt/lib/{name}", *everyone, "libgone.so") for name in everyone))) == len(everyone)
    deep = Item("l", "/opt/l", 0, kind="link", target="l/" + "a/" * 100_000)
    assert world_of([Artefact("a.zip", "layer", (deep,))], TARGET).at("/opt/l/x") is None
