"""Which bytecode ships, in which mode and in how much room."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lamina.bytecode.choose import Form, Piece, beside_sources, in_place_of_sources
from lamina.bytecode.model import Compiled, Pick, bytecode_path
from lamina.part.model import PLAIN, Entry, Facts, Index
from lamina.part.scan import scan
from lamina.prune.model import Decision

PYTHON = (3, 11)
SIZE = 1000


def entry(path: str, size: int = SIZE, offset: int = 0) -> Entry:
    return Entry(path, offset, size, 0, 0, size, size, PLAIN, path.encode())


def part(sources: Mapping[str, str]) -> tuple[Index, Facts]:
    entries = tuple(entry(path) for path in sorted(sources))
    about = Index("demo", "1", "demo.whl", "", 0, "python/demo-1.dist-info", "", 0, entries)
    scanned = {path: scan(text.encode()) for path, text in sources.items()}
    return about, Facts((), (), (), (), (), scanned, 0)


def form(about: Index, *, in_place: bool = False, but: str = "", sizes: Mapping[str, int] | None = None) -> Form:
    entries = tuple(
        entry(bytecode_path(one.path, PYTHON, in_place=in_place), (sizes or {}).get(one.path, SIZE), number)
        for number, one in enumerate(about.entries)
        if one.path != but and one.path.endswith(".py")
    )
    compiled = Compiled("3.11.7", "", 0, entries, (but,) if but else ())
    return [[Piece("placed" if in_place else "cached", compiled)]]


SOURCES = {
    "python/demo/__init__.py": "from demo import used\n",
    "python/demo/big.py": "",
    "python/demo/idle.py": "",
    "python/demo/later.py": "",
    "python/demo/tests/test_it.py": "",
    "python/demo/used.py": "def f():\n    import demo.later\n",
    "python/other.py": "",
}


@pytest.mark.parametrize(
    ("source", "in_place", "path"),
    [
        ("python/a/b.py", False, "python/a/__pycache__/b.cpython-311.pyc"),
        ("python/six.py", False, "python/__pycache__/six.cpython-311.pyc"),
        ("python/a/__init__.py", True, "python/a/__init__.pyc"),
    ],
)
def test_where_bytecode_stands(source: str, in_place: bool, path: str) -> None:  # noqa: FBT001
    assert bytecode_path(source, PYTHON, in_place=in_place) == path


def test_all_means_every_source_that_ships_and_compiles() -> None:
    about, facts = part(SOURCES)
    shipping = [one for one in about.entries if one.path != "python/demo/idle.py"]
    made = beside_sources([shipping], [(about, facts)], PYTHON, form(about, but="python/other.py"))
    [[pick]] = made.picks
    assert [one.path for one in pick.entries] == [
        "python/demo/__pycache__/__init__.cpython-311.pyc",
        "python/demo/__pycache__/big.cpython-311.pyc",
        "python/demo/__pycache__/later.cpython-311.pyc",
        "python/demo/tests/__pycache__/test_it.cpython-311.pyc",
        "python/demo/__pycache__/used.cpython-311.pyc",
    ]
    assert (made.failed, made.left, made.compiler) == (("python/other.py",), 0, "3.11.7")


@pytest.mark.parametrize(
    ("files", "there"),
    [
        (0, []),
        (1, ["__init__"]),
        (2, ["__init__", "used"]),
        (3, ["__init__", "used", "later"]),
        (4, ["__init__", "used", "later", "big"]),
        (5, ["__init__", "used", "later", "big", "idle"]),
        (6, ["__init__", "used", "later", "big", "idle", "test_it"]),
        (7, ["__init__", "used", "later", "big", "idle", "test_it", "other"]),
    ],
)
def test_fit_takes_first_what_the_proof_imports(files: int, there: list[str]) -> None:
    about, facts = part(SOURCES)
    cached = form(about, sizes={"python/demo/big.py": SIZE + 10})
    room = files * (SIZE + 130) if files < 4 else files * (SIZE + 130) + 10
    made = beside_sources([about.entries], [(about, facts)], PYTHON, cached, imports=["demo"], room=room)
    [[pick]] = made.picks
    names = {one.path.rpartition("/")[2].removesuffix(".cpython-311.pyc") for one in pick.entries}
    assert names == set(there)
    assert made.left == len(SOURCES) - files
    assert [one.offset for one in pick.entries] == sorted(one.offset for one in pick.entries)


def test_fit_takes_before_all_else_what_was_traced_in_its_order() -> None:
    about, facts = part(SOURCES)
    cached = form(about)
    traced = ["python/other.py", "python/gone.py", "python/demo/tests/test_it.py", "python/demo/used.py"]
    chosen = []
    for files in range(1, 5):
        room = files * (SIZE + 130)
        made = beside_sources(
            [about.entries], [(about, facts)], PYTHON, cached, imports=["demo"], traced=traced, room=room
        )
        [[pick]] = made.picks
        names = {one.path.rpartition("/")[2].removesuffix(".cpython-311.pyc") for one in pick.entries}
        chosen += [name for name in sorted(names) if name not in chosen]
    assert chosen == ["other", "test_it", "used", "__init__"]


def test_fit_counts_the_rows_of_record() -> None:
    about, facts = part({"python/a.py": ""})
    path = "python/__pycache__/a.cpython-311.pyc"
    for room, left in ((SIZE + len(path) + 64, 0), (SIZE + len(path) + 63, 1)):
        made = beside_sources([about.entries], [(about, facts)], PYTHON, form(about), imports=["a"], room=room)
        assert (made.left, made.left_bytes) == (left, left * SIZE)


def test_sourceless_puts_bytecode_in_place_of_sources() -> None:
    about, facts = part({"python/demo/__init__.py": "", "python/demo/a.py": "", "python/demo/bad.py": "print 1"})
    forms = [form(about, in_place=in_place, but="python/demo/bad.py") for in_place in (False, True)]
    made = in_place_of_sources([about.entries], [(about, facts)], PYTHON, *forms)
    [[beside, instead]] = made.picks
    assert beside == Pick("cached")
    assert [one.path for one in instead.entries] == ["python/demo/__init__.pyc", "python/demo/a.pyc"]
    assert made.replaced == {"python/demo/__init__.py", "python/demo/a.py"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import inspect\ninspect.getsource(f)", "asks for source: getsource"),
        ("import linecache\nlinecache.getline(f, 1)", "asks for source: linecache"),
        ("import os\nos.listdir(os.path.dirname(__file__))", "finds files beside itself: listdir"),
        ("exec(open(__file__).read())", "may run files beside itself: exec"),
        ("from runpy import run_path\nrun_path(x)", "runs files by path: run_path"),
        ("open(__file__ + name + '.py')", "names source files: .py"),
        ("open(__file__ + '/%s.py' % x)", "names source files: /%s.py"),
        ("from numba import njit", "imports numba"),
        ("import numba.core.types", "imports numba.core.types"),
    ],
)
def test_sourceless_keeps_the_sources_of_a_package_that_asks_for_them(text: str, reason: str) -> None:
    about, facts = part({"python/demo/__init__.py": "", "python/demo/a.py": text, "python/numba.so": ""})
    made = in_place_of_sources([about.entries], [(about, facts)], PYTHON, form(about), form(about, in_place=True))
    [[beside, instead]] = made.picks
    assert [one.path for one in beside.entries] == [
        "python/demo/__pycache__/__init__.cpython-311.pyc",
        "python/demo/__pycache__/a.cpython-311.pyc",
    ]
    assert instead == Pick("placed")
    told = f"sourceless: demo/a.py {reason}"
    assert made.sources == (
        (
            Decision("python/demo/__init__.py", SIZE, "bytecode", dropped=False, reason=told),
            Decision("python/demo/a.py", SIZE, "bytecode", dropped=False, reason=told),
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "import os\nopen(os.path.join(os.path.dirname(__file__), 'data', name + '_config.py'))",
        "open(f'{__file__}/../{name}_config.py')",
        "from pathlib import Path\nHERE = Path(__file__).parent / 'nowhere' / '_config.py'",
    ],
)
def test_sourceless_keeps_what_may_have_a_name_that_is_given(text: str) -> None:
    about, facts = part(
        {"python/demo/__init__.py": text, "python/demo/data/a_config.py": "", "python/demo/data/other.py": ""}
    )
    made = in_place_of_sources([about.entries], [(about, facts)], PYTHON, form(about), form(about, in_place=True))
    assert made.replaced == {"python/demo/__init__.py", "python/demo/data/other.py"}
    [[beside, instead]] = made.picks
    assert [one.path for one in beside.entries] == ["python/demo/data/__pycache__/a_config.cpython-311.pyc"]
    assert [one.path for one in instead.entries] == ["python/demo/__init__.pyc", "python/demo/data/other.pyc"]
    told = "sourceless: demo/__init__.py names a source file: _config.py"
    assert Decision("python/demo/data/a_config.py", SIZE, "bytecode", dropped=False, reason=told) in made.sources[0]


def test_sourceless_asks_nothing_of_a_compiler_that_does_not_ship() -> None:
    text = "import doctest\ntry:\n    import numba, torch.jit\nexcept ImportError:\n    numba = None\n"
    about, facts = part({"python/demo/__init__.py": text})
    made = in_place_of_sources([about.entries], [(about, facts)], PYTHON, form(about), form(about, in_place=True))
    assert made.replaced == {"python/demo/__init__.py"}


def test_what_the_proof_imports_and_has_no_room_is_counted() -> None:
    about, facts = part(SOURCES)
    made = beside_sources([about.entries], [(about, facts)], PYTHON, form(about), imports=["demo"], room=SIZE + 130)
    assert (made.left, made.lacking) == (len(SOURCES) - 1, 1)
    made = beside_sources([about.entries], [(about, facts)], PYTHON, form(about), imports=["demo"], room=3 * SIZE)
    assert (made.left, made.lacking) == (len(SOURCES) - 2, 0)
    for room, lacking in ((SIZE + 130, 0), (SIZE - 1, 1)):
        made = beside_sources(
            [about.entries],
            [(about, facts)],
            PYTHON,
            form(about),
            imports=["demo"],
            traced=["python/other.py", "python/gone.py"],
            room=room,
        )
        assert made.lacking == lacking
