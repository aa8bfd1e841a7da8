"""One world of all artefacts: later over earlier, links followed, files told to whom they belong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.audit.model import Artefact, Item, Package
from lamina.audit.world import top_of, world_of
from lamina.binary.model import Binary, Elf
from lamina.target import target_for

TARGET = target_for("cp311", platform="manylinux2014_x86_64")


def artefact(*items: Item, packages: tuple[Package, ...] = ()) -> Artefact:
    return Artefact("a.zip", "layer", items, packages)


def named(name: str, *files: str) -> Package:
    return Package(name, "1", f"python/{name}-1.dist-info", (), True, (), frozenset(files))  # noqa: FBT003


def link(place: str, target: str) -> Item:
    return Item(place[1:], place, 0, kind="link", target=target)


def file(place: str) -> Item:
    return Item(place[1:], place, 1)


def test_a_later_artefact_lies_over_an_earlier_one() -> None:
    first = Item("python/x.py", "/opt/python/x.py", 1)
    second = Item("python/x.py", "/opt/python/x.py", 2)
    one = artefact(first, packages=(named("one", "python/x.py"),))
    assert world_of([one, artefact(second)], TARGET).at("/opt/python/x.py") is second
    assert world_of([artefact(second), one], TARGET).at("/opt/python/x.py") is first
    assert world_of([one, artefact(second)], TARGET).owner(second) == "x"
    assert world_of([artefact(second), one], TARGET).owner(first) == "one"


@pytest.mark.parametrize(
    ("place", "top"),
    [
        ("/opt/python/numpy/core/x.so", "numpy"),
        ("/opt/python/numpy.libs/libgfortran-1.so", "numpy"),
        ("/opt/python/_cffi_backend.cpython-311-x86_64-linux-gnu.so", "_cffi_backend"),
        ("/opt/python/lib/python3.11/site-packages/pkg/x.so", "pkg"),
        ("/var/lang/lib/python3.11/site-packages/pkg/x.so", "pkg"),
        ("/usr/lib/python3/dist-packages/pkg/x.so", "pkg"),
        ("/var/task/pkg/x.so", "pkg"),
        ("/var/task/handler.py", "handler"),
        ("/opt/lib/libgomp.so.1", "lib"),
        ("/bin/tool", "bin"),
    ],
)
def test_the_top_folder(place: str, top: str) -> None:
    assert top_of(Item("", place, 1)) == top


def test_links_are_followed() -> None:
    world = world_of(
        [
            artefact(
                file("/opt/lib/libx.so.1.2"),
                link("/opt/lib/libx.so.1", "libx.so.1.2"),
                link("/opt/lib/libx.so", "./libx.so.1"),
                link("/opt/lib64", "lib"),
                link("/opt/abs", "/opt/lib/libx.so.1.2"),
                link("/opt/up", "../opt/lib64/libx.so"),
            )
        ],
        TARGET,
    )
    for path in (
        "/opt/lib/libx.so.1",
        "/opt/lib/libx.so",
        "/opt/lib64/libx.so",
        "/opt/abs",
        "/opt/up",
        "/opt/lib/../up",
    ):
        assert world.at(path) is world.files["/opt/lib/libx.so.1.2"], path


def test_links_that_lead_nowhere() -> None:
    world = world_of(
        [artefact(link("/opt/a", "b"), link("/opt/b", "a"), link("/opt/c", "gone"), link("/opt/d", "d/d"))], TARGET
    )
    assert [world.at(path) for path in ("/opt/a", "/opt/c", "/opt/d", "/opt/d/x", "opt/a", "")] == [None] * 6


def test_a_folder_is_no_file() -> None:
    folder = Item("python", "/opt/python", 0, kind="folder")
    assert world_of([artefact(folder)], TARGET).at("/opt/python") is None


def test_an_image_with_its_own_libc_is_complete() -> None:
    libc = Item("lib64/libc.so.6", "/lib64/libc.so.6", 1, binary=Binary("elf", "", True, "", Elf(62, 64, True, 3)))  # noqa: FBT003
    assert world_of([Artefact("i.tar", "image", (libc,))], TARGET).complete
    assert not world_of([Artefact("i.tar", "image", (file("/app.py"),))], TARGET).complete
    assert not world_of([artefact(libc)], TARGET).complete


names = st.sampled_from(["/opt/a", "/opt/b", "/opt/c/d", "/opt/c", "/opt/c/e"])
targets = st.sampled_from(["a", "b", "../b", "c/d", "/opt/c", ".", "..", "d/../a", ""])


@given(st.dictionaries(names, st.one_of(st.none(), targets)), names)
def test_any_links_end(tree: dict[str, str | None], path: str) -> None:
    items = [file(place) if target is None else link(place, target) for place, target in tree.items()]
    found = world_of([artefact(*items)], TARGET).at(path)
    assert found is None or found.kind == "file"


def test_a_library_is_known_by_the_names_of_links_to_it() -> None:
    elf = Binary("elf", "x86_64", library=True, elf=Elf(62, 64, little=True, type=3, soname="libx.so.1"))
    library = Item("lib/libx.so.1", "/opt/lib/libx.so.1", 1, binary=elf)
    links = (
        link("/opt/lib/libx.so", "libx.so.1"),
        link("/opt/python/pkg/libx.so.1", "../../lib/libx.so.1"),
        link("/opt/lib/short.so", "libx.so"),
        link("/opt/lib/round.so", "round.so"),
        link("/opt/lib/nowhere.so", "../gone"),
        link("/opt/lib/data.so", "text"),
        link("/opt/lib/long.so", "../" * 5000 + "etc"),
    )
    found = world_of([artefact(library, file("/opt/lib/text"), *links)], TARGET).named
    assert {name: places for name, places in found.items() if places} == dict.fromkeys(
        ["libx.so.1", "libx.so", "short.so"], ("/opt/lib/libx.so.1",)
    )
