"""Layout and modes: each mistake once, with its whole message, and none where there is no mistake."""

from __future__ import annotations

import pytest

from lamina.audit.layout import check_layout, check_modes
from lamina.audit.model import ROOTS, Artefact, ArtefactKind, Item
from lamina.binary.model import ET_DYN, Binary, Elf
from lamina.findings import make
from lamina.target import target_for

TARGET = target_for("cp311", architecture="x86_64")
SEEN = "Python on Lambda looks in /opt/python and /opt/python/lib/python3.11/site-packages"
LIBRARY = Binary("elf", "x86_64", library=True, elf=Elf(62, 64, True, ET_DYN))  # noqa: FBT003
PROGRAM = Binary("elf", "x86_64", library=False, elf=Elf(62, 64, True, ET_DYN))  # noqa: FBT003


def artefact(*paths: str, kind: ArtefactKind = "layer") -> Artefact:
    return Artefact("a.zip", kind, tuple(Item(path, ROOTS[kind] + path, 1) for path in paths))


def told(judged: Artefact) -> list[tuple[str, str, str]]:
    found = list(check_layout(judged, TARGET))
    assert all((finding.code, finding.severity) == ("bad-layout", "error") for finding in found)
    return [(finding.path, finding.message, finding.hint) for finding in found]


@pytest.mark.parametrize(
    "paths",
    [
        ("python/pkg/__init__.py", "licenses/pkg.txt"),
        ("python/lib/python3.11/site-packages/pkg/__init__.py",),
        ("python/lib/python3.11/site-packages/a.py", "python/lib/python3.12/site-packages/a.py"),
        ("lib/libgomp.so.1",),
        ("bin/tool",),
        ("python/python/__init__.py", "python/python/a.py"),
        ("python/pkg/data.zip",),
        ("python/pkg/python/a.py",),
    ],
)
def test_a_layer_that_lambda_finds(paths: tuple[str, ...]) -> None:
    assert told(artefact(*paths)) == []


@pytest.mark.parametrize(
    ("paths", "where", "message", "hint"),
    [
        (
            ("mine/python/a.py", "mine/python/b.py"),
            "mine/python",
            f"python/ is one folder too deep: {SEEN}",
            "Pack from inside mine/: zip -r ../layer.zip python.",
        ),
        (
            ("python/python/a.py", "python/python/b/__init__.py"),
            "python/python",
            f"python/ is doubled: {SEEN}, so packages one folder deeper are not found",
            "Move what is in python/python/ up into python/.",
        ),
        (
            ("site-packages/a.py", "site-packages/b.py"),
            "site-packages",
            f"{SEEN}, not in /opt/site-packages",
            "Move what is in site-packages/ into python/, and pack that folder.",
        ),
        (
            ("lib/python3.11/site-packages/a.py",),
            "lib/python3.11/site-packages",
            f"{SEEN}, not in /opt/lib/python3.11/site-packages",
            "Move what is in lib/python3.11/site-packages/ into python/, and pack that folder.",
        ),
        (
            ("python/site-packages/a.py",),
            "python/site-packages",
            f"{SEEN}, not in /opt/python/site-packages",
            "Move what is in python/site-packages/ up into python/.",
        ),
        (
            ("python/lib/python3.12/site-packages/a.py",),
            "python/lib/python3.12/site-packages",
            f"is for python3.12: {SEEN}, and never in the folder of another version",
            "Install the packages for python3.11, straight into python/: native ones for python3.12 do not load there.",
        ),
        (
            ("numpy/__init__.py", "numpy-1.dist-info/METADATA", "numpy.libs/a.so", "six.py", "data/a.txt"),
            "numpy",
            f"numpy, numpy-1.dist-info, numpy.libs and 1 more at the root of the layer: {SEEN}, not in /opt itself",
            (
                "Put them below python/: mkdir python, move everything into it, and pack that folder itself: "
                "zip -r layer.zip python."
            ),
        ),
        (
            ("python.zip",),
            "python.zip",
            f"an archive inside the layer: {SEEN}, and Lambda unpacks the outer zip only",
            "Unpack it into python/ and pack that folder.",
        ),
        (
            ("python/a-1-py3-none-any.whl",),
            "python/a-1-py3-none-any.whl",
            f"an archive inside the layer: {SEEN}, and Lambda unpacks the outer zip only",
            "Install it instead: pip install --target python a-1-py3-none-any.whl, and pack that folder.",
        ),
        (
            ("stuff/a.txt", "more/b.txt"),
            "a.zip",
            (
                "the layer has only more, stuff: Lambda unpacks it to /opt and looks only in /opt/python, /opt/lib and "
                "/opt/bin"
            ),
            (
                "Put packages below python/, for example with pip install --target python -r requirements.txt, and "
                "pack that folder itself: zip -r layer.zip python."
            ),
        ),
    ],
)
def test_a_layer_that_lambda_does_not_find(paths: tuple[str, ...], where: str, message: str, hint: str) -> None:
    assert told(artefact(*paths)) == [(where, message, hint)]


def test_an_empty_layer_and_one_of_loose_files() -> None:
    rest = ": Lambda unpacks it to /opt and looks only in /opt/python, /opt/lib and /opt/bin"
    assert [message for _, message, _ in told(artefact())] == [f"the layer is empty{rest}"]
    assert [message for _, message, _ in told(artefact("a.txt"))] == [f"the layer has no folder at its root{rest}"]


def test_each_mistake_is_told() -> None:
    found = told(artefact("python/python/a.py", "site-packages/b.py", "numpy/__init__.py", "python/c.py"))
    assert [path for path, _, _ in found] == ["python/python", "site-packages", "numpy"]


def test_nothing_more_where_reading_told_of_the_layout_already() -> None:
    judged = artefact("__main__.py")._replace(findings=(make("bad-layout", "PEX-INFO", "is a PEX"),))
    assert told(judged) == []
    damaged = artefact()._replace(findings=(make("damaged-file", "a.zip", "is no zip"),))
    assert told(damaged) == []


def test_wheels_and_images_have_layouts_of_their_own() -> None:
    assert told(artefact("pkg/__init__.py", kind="wheel")) == []
    assert told(artefact("home/app/main.py", kind="image")) == []


def test_functions() -> None:
    assert told(artefact("app.py", "numpy/__init__.py", kind="function")) == []
    assert told(artefact("app/__init__.py", "app/handler.py", kind="function")) == []
    assert told(artefact("mine/app.py", "mine/numpy/__init__.py", kind="function")) == [
        (
            "mine",
            (
                "everything is in mine/: Lambda unpacks the function to /var/task, and Python looks there, not in "
                "/var/task/mine"
            ),
            "Pack what is in mine/, not the folder: cd mine && zip -r ../function.zip .",
        )
    ]
    assert told(artefact("app.py", "deps.zip", kind="function")) == [
        (
            "deps.zip",
            "an archive inside the function: Lambda unpacks the outer zip only, and Python looks in /var/task",
            "Unpack it, and pack what is in it at the root of the function.",
        )
    ]


def modes(*items: Item, kind: ArtefactKind = "layer") -> list[tuple[str, str, str]]:
    judged = Artefact("a.zip", kind, tuple(item._replace(place=ROOTS[kind] + item.path) for item in items))
    found = list(check_modes(judged))
    assert all((finding.code, finding.severity) == ("unreadable-mode", "error") for finding in found)
    return [(finding.path, finding.message, finding.hint) for finding in found]


def test_modes_that_are_well_or_not_stated() -> None:
    assert (
        modes(
            Item("python", "", 0, 0o755, "folder"),
            Item("python/a.py", "", 1, 0o644),
            Item("python/x.so", "", 1, 0o644, binary=LIBRARY),
            Item("python/y.so", "", 1, None, binary=LIBRARY),
            Item("python/run.py", "", 1, 0o644, script=True),
            Item("python/link", "", 0, 0o000, "link", "a.py"),
            Item("bin/tool", "", 1, 0o755, script=True),
        )
        == []
    )


@pytest.mark.parametrize(
    ("item", "message", "hint"),
    [
        (
            Item("python/x.so", "", 1, 0o600, binary=LIBRARY),
            "its mode is 600: Lambda's user, who is not root, cannot read it",
            "Before packing: chmod 644 python/x.so",
        ),
        (
            Item("python/pkg", "", 0, 0o700, "folder"),
            "its mode is 700: Lambda's user, who is not root, cannot enter it",
            "Before packing: chmod 755 python/pkg",
        ),
        (
            Item("python/pkg/chrome", "", 1, 0o644, binary=PROGRAM),
            "its mode is 644: Lambda's user, who is not root, cannot run it",
            "Before packing: chmod 755 python/pkg/chrome",
        ),
        (
            Item("bin/tool", "", 1, 0o644, script=True),
            "its mode is 644: Lambda's user, who is not root, cannot run it",
            "Before packing: chmod 755 bin/tool",
        ),
        (
            Item("bin/tool", "", 1, 0o700, script=True),
            "its mode is 700: Lambda's user, who is not root, cannot read it",
            "Before packing: chmod 755 bin/tool",
        ),
        (
            Item("python/{x}.py", "", 1, 0o000),
            "its mode is 000: Lambda's user, who is not root, cannot read it",
            "Before packing: chmod 644 python/{x}.py",
        ),
    ],
)
def test_modes_that_lambdas_user_fails_at(item: Item, message: str, hint: str) -> None:
    assert modes(item) == [(item.path, message, hint)]


def test_a_damaged_library_is_no_program() -> None:
    damaged = Binary("elf", "unknown", library=False, damage="the ELF header is cut off after 4 bytes")
    assert modes(Item("python/x.so", "/opt/python/x.so", 4, 0o644, binary=damaged)) == []
    assert len(modes(Item("bin/x", "/opt/bin/x", 4, 0o644, binary=damaged))) == 1


def test_many_in_one_folder_are_one_finding() -> None:
    five = [Item(f"python/pkg/{number}.py", "", 1, 0o600) for number in range(5)]
    assert len(modes(*five)) == 5
    assert modes(*five, Item("python/pkg/5.py", "", 1, 0o640)) == [
        (
            "python/pkg",
            "6 files or folders in it, the first 0.py with mode 600: Lambda's user, who is not root, cannot read it",
            "Before packing: chmod 644 python/pkg/*",
        )
    ]
    root = [Item(f"{number}.py", "", 1, 0o600) for number in range(6)]
    assert [(path, hint) for path, _, hint in modes(*root)] == [(".", "Before packing: chmod 644 ./*")]


def test_of_an_image_only_the_functions_own_folders_are_judged() -> None:
    shadow = Item("etc/shadow", "", 1, 0o000)
    mine = Item("var/task/a.py", "", 1, 0o600)
    assert [path for path, _, _ in modes(shadow, mine, kind="image")] == ["var/task/a.py"]
