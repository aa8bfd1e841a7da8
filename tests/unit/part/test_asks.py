"""Where code asks for metadata: whose, and what becomes of it where there is none."""

from __future__ import annotations

import pytest

from lamina.part.scan import scan
from lamina.part.source import Ask


def asks(source: str) -> tuple[Ask, ...]:
    return scan(source.encode()).asks


def ask(call: str, name: str, *, picked: bool = False, lazy: bool = False, handled: bool = False) -> Ask:
    return Ask(call, name, picked=picked, lazy=lazy, handled=handled)


OWN = "__name__"
CALLS = {
    "import importlib.metadata\nx = importlib.metadata.version('a')": ask("version", "a"),
    "import importlib.metadata as m\nx = m.version('a')": ask("version", "a"),
    "from importlib import metadata\nx = metadata.metadata('a')": ask("metadata", "a"),
    "from importlib import metadata as m\nx = m.requires('a')": ask("requires", "a"),
    "from importlib.metadata import version\nx = version('a')": ask("version", "a"),
    "from importlib.metadata import (\n    PackageNotFoundError,  # why\n    version as v,\n)\nx = v('a')": ask(
        "version", "a"
    ),
    "import importlib_metadata\nx = importlib_metadata.distribution('a')": ask("distribution", "a"),
    "import os, pkg_resources as p\nx = p.get_distribution('a').version": ask("get_distribution", "a"),
    "from pkg_resources import get_distribution\nget_distribution('a')": ask("get_distribution", "a"),
    "import pkg_resources\npkg_resources.require('a>=1')": ask("require", "a>=1"),
    "from .compat.py312 import metadata\nmetadata.version('a')": ask("version", "a"),
    "from dask._compatibility import importlib_metadata\nimportlib_metadata.version('a')": ask("version", "a"),
    "import importlib.metadata\nimportlib . metadata . version ( 'a' )": ask("version", "a"),
    "from importlib.metadata import version\nversion(\n    'a',  # this one\n)": ask("version", "a"),
    "from importlib.metadata import version\nversion('a' 'b')": ask("version", "ab"),
    "from importlib.metadata import version\nversion(distribution_name='a')": ask("version", "a"),
    "from importlib.metadata import version\nNAME = 'a'  # ours\nversion(NAME)": ask("version", "a"),
    "from importlib.metadata import version\nNAME: str = ('a')\nversion(NAME)": ask("version", ""),
    "from importlib.metadata import version\nversion(name)": ask("version", ""),
    "from importlib.metadata import version\nversion(f'a{name}')": ask("version", ""),
    "from importlib.metadata import version\nversion('a' + name)": ask("version", ""),
    "from importlib.metadata import version\nversion(__name__)": ask("version", OWN),
    "from importlib.metadata import version\nversion(__package__)": ask("version", "__package__"),
    "from importlib.metadata import version\nversion(__package__ or 'a')": ask("version", "a"),
    "from importlib.metadata import version\nversion(__name__.split('.', 1)[0])": ask("version", "__name__.0"),
    "from importlib.metadata import version\nversion(__name__.partition('.')[0])": ask("version", "__name__.0"),
    "import importlib\nimportlib.metadata.version('a')": ask("version", "a"),
    "from importlib.metadata import packages_distributions as p\np().get(x)": ask("packages_distributions", ""),
    "from importlib.metadata import entry_points\nentry_points(group='g')": ask("entry_points", "g"),
    "from importlib.metadata import entry_points as e\ne(group='g')": ask("entry_points", "g"),
    "from importlib.metadata import entry_points\nentry_points().get('g', [])": ask("entry_points", "g"),
    "from importlib.metadata import entry_points\nentry_points()['g']": ask("entry_points", "g"),
    "from importlib.metadata import entry_points\nentry_points().select(group='g')": ask("entry_points", "g"),
    "from importlib.metadata import entry_points\nentry_points()": ask("entry_points", ""),
    "from importlib.metadata import entry_points\nentry_points(group=group)": ask("entry_points", ""),
    "from importlib.metadata import entry_points\nG = 'g'\nentry_points(group=G)": ask("entry_points", "g"),
    "from a.util import entry_points\nentry_points(group='g', name=n)": ask("entry_points", "g", picked=True),
    "import pkg_resources\npkg_resources.iter_entry_points('g')": ask("iter_entry_points", "g"),
    "import pkg_resources\npkg_resources.iter_entry_points('g', 'n')": ask("iter_entry_points", "g", picked=True),
}


@pytest.mark.parametrize("source", CALLS)
def test_whose_metadata(source: str) -> None:
    assert asks(source) == (CALLS[source],)


@pytest.mark.parametrize(
    "source",
    [
        "from importlib.metadata import version",
        "from packaging.version import version\nversion('a')",
        "metadata = sqlalchemy.MetaData()\nmetadata.requires('a')",
        "import importlib.metadata\n# importlib.metadata.version('a')\nx = 'importlib.metadata.version(1)'",
        "from importlib.metadata import version\nself.version('a')",
        "from importlib.metadata import version\ndef version(x): ...",
        "from importlib.resources import files\nfiles('a')",
        "def entry_points(group): ...",
        "class A:\n    entry_points = ('a',)\n",
    ],
)
def test_what_asks_for_nothing(source: str) -> None:
    assert asks(source) == ()


V = "from importlib.metadata import version\n"
CIRCUMSTANCES = {
    "def f():\n    return version('a')": (True, False),
    "async def f():\n    return version('a')": (True, False),
    "def f():\n    pass\nversion('a')": (False, False),
    "class A:\n    x = version('a')": (False, False),
    "if x:\n    version('a')": (False, False),
    "try:\n    version('a')\nexcept PackageNotFoundError:\n    x = None": (False, True),
    "try:\n    version('a')\nexcept importlib.metadata.PackageNotFoundError as e:\n    x = None": (False, True),
    "try:\n    version('a')\nexcept (KeyError, ImportError):\n    x = None": (False, True),
    "try:\n    version('a')\nexcept:\n    x = None": (False, True),
    "try:\n    x = [\n  version('a'),\n]\nexcept Exception:  # any\n    x = None": (False, True),
    "try: version('a')\nexcept Exception: pass": (False, True),
    "try:\n    version('a')\nexcept Exception:\n    raise RuntimeError": (False, False),
    "try:\n    version('a')\nexcept Exception:\n    if x:\n        raise\n": (False, False),
    "try:\n    version('a')\nexcept KeyError:\n    pass": (False, False),
    "try:\n    version('a')\nexcept KeyError:\n    raise\nexcept Exception:\n    pass": (False, True),
    "try:\n    version('a')\nexcept ImportError:\n    pass\nexcept Exception:\n    raise": (False, True),
    "try:\n    version('a')\nfinally:\n    pass": (False, False),
    "try:\n    pass\nexcept Exception:\n    version('a')": (False, False),
    "try:\n    pass\nexcept Exception:\n    pass\nelse:\n    version('a')": (False, False),
    "try:\n    if x:\n        with y:\n            version('a')\nexcept Exception:\n    pass": (False, True),
    "try:\n    def f():\n        version('a')\nexcept Exception:\n    pass": (True, False),
    "def f():\n    try:\n        version('a')\n    except Exception:\n        pass": (True, True),
    "def f():\n\ttry:\n\t\tversion('a')\n\texcept Exception:\n\t\tpass": (True, True),
    "with contextlib.suppress(PackageNotFoundError):\n    version('a')": (False, True),
    "with contextlib.suppress(KeyError):\n    version('a')": (False, False),
    "with open(x) as y:\n    version('a')": (False, False),
}


@pytest.mark.parametrize("source", CIRCUMSTANCES)
def test_circumstances(source: str) -> None:
    (found,) = asks(V + source)
    assert (found.lazy, found.handled) == CIRCUMSTANCES[source]


def test_each_is_told_once_and_in_order() -> None:
    source = V + "b = version('b')\na = version('a')\nb2 = version('b')\n"
    assert asks(source) == (ask("version", "b"), ask("version", "a"))


def test_takes_linear_time() -> None:
    names = ", ".join(f"version as v{number}" for number in range(5000))
    calls = "try:\n" + "".join(f"    v1{number}('a' 'b')\n" for number in range(5000)) + "except Exception:\n    pass\n"
    nested = "version(" * 5000 + ")" * 5000
    assert len(asks(f"from importlib.metadata import {names}\n{calls}")) <= 1
    assert ask("version", "") in asks(f"{V}{nested}\n")
