"""Extension modules and bytecode of another Python than the target's.

Three things tell: the suffix of an extension module (PEP 3149), the tags of the wheel for the stable ABI (PEP 384), and
the symbols that a library wants of CPython. Bytecode tells by its magic number.

Bytecode in ``__pycache__`` is never an error: CPython looks there only for its own tag (``cpython-311``), and where
that file has another magic number it compiles the source again (PEP 3147). A ``.pyc`` in the place of a module, without
a source beside it, is loaded as it is, and ends in ``ImportError: bad magic number``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple

from lamina.audit.facts import exports, facts
from lamina.audit.loader import loadable
from lamina.audit.model import Artefact, Item
from lamina.audit.world import World
from lamina.binary.model import MACHINES, Elf
from lamina.findings import Finding, make
from lamina.target import Target

_CPYTHON = re.compile(r"cpython-([23])(\d{1,2})([a-z]*)(?:-(.+))?")
_STABLE = re.compile(r"cp3(\d{1,2})")
_LIBPYTHON = re.compile(r"libpython(\d+\.\d+)([a-z]*)\.so(?:\.1\.0)?")
_FLAGS = {"d": "a debug build of ", "t": "the free-threaded build of "}
_BY_NAME = ", by its name"
#: How many symbols a message names.
_NAMED = 3


class Suffix(NamedTuple):
    """What an extension's name says: ``module`` with its folder, and the tag between module and ``.so``."""

    module: str
    tag: str


def suffix_of(path: str) -> Suffix | None:
    """Split ``python/pkg/x.cpython-311-x86_64-linux-gnu.so``; ``None`` where the name has no tag of an interpreter."""
    folder, base = posixpath.split(path)
    module, _, rest = base.partition(".")
    tag = rest.removesuffix(".so")
    known = _CPYTHON.fullmatch(tag) or tag in {"abi3", "abi3t"} or tag.startswith(("pypy", "graalpy"))
    return Suffix(posixpath.join(folder, module), tag) if rest.endswith(".so") and known else None


def check_abi(artefact: Artefact, world: World) -> Iterator[Finding]:
    """``wrong-python-abi`` for extension modules, libraries that need CPython's symbols, and bytecode.

    One finding a file, and none on a suffix that only names the machine or the C library where the bytes are of another
    one: that is told of the bytes. An extension of another Python beside one of the target's is never loaded: a note.
    """
    fit = {
        suffix.module
        for item in artefact.items
        if (suffix := suffix_of(item.path)) is not None and not _misfit(suffix.tag, world.target)
    }
    for item in artefact.items:
        if item.path.endswith(".pyc"):
            yield from _bytecode(item, world)
        elif (elf := loadable(item)) is not None:
            suffix = suffix_of(item.path)
            wrong = _misfit(suffix.tag, world.target) if suffix is not None else ""
            if wrong.endswith(_BY_NAME) and _told(elf, world.target):
                continue
            if suffix is not None and wrong:
                yield _other(item, wrong, world, beside=suffix.module in fit)
                continue
            stable = _stable_minimum(item, suffix, world)
            libpython = next((name for name in elf.needed if _foreign_libpython(name, world.target)), "")
            if stable:
                yield stable
            elif libpython and world.linked.get(item.place, {}).get(libpython) is None:
                yield _other(item, f"needs {libpython}, the library of another CPython", world, beside=False)
            elif elf.python:
                yield from _symbols(item, elf.python, world)


def _misfit(tag: str, target: Target) -> str:
    """Why the target's CPython does not import a suffix; empty where it does."""
    match = _CPYTHON.fullmatch(tag)
    if match is None:
        if tag == "abi3":
            return ""
        other = {"abi3t": "the free-threaded build of CPython"}.get(tag) or ("PyPy" if tag[0] == "p" else "GraalPy")
        return f"is an extension module for {other}"
    major, minor, flags, triplet = match.groups()
    here = "{}{}".format(*target.runtime.python)
    if f"{major}{minor}" != here or flags not in {"", "m"}:
        of = _FLAGS.get(flags[-1:], "")
        return f"is an extension module for {of}CPython {major}.{minor}"
    if triplet and triplet != f"{target.architecture}-linux-gnu":
        return f"is an extension module for {triplet}{_BY_NAME}"
    return ""


def _told(elf: Elf, target: Target) -> bool:
    """Whether wrong-architecture or missing-library tells already that the file is of another platform."""
    return elf.machine != MACHINES[target.architecture] or any(name.startswith("libc.musl-") for name in elf.needed)


def _other(item: Item, wrong: str, world: World, *, beside: bool) -> Finding:
    runtime, base = world.target.runtime, posixpath.basename(item.path)
    own = f".cpython-{''.join(map(str, runtime.python))}-{world.target.architecture}-linux-gnu.so"
    if beside:
        message = f"{base} {wrong}; {runtime.name} takes the module of its own beside it and never loads this file"
        return make("wrong-python-abi", item.path, message, f'Drop it: prune.drop = ["**/{base}"].', "note")
    message = f"{base} {wrong}; {runtime.name} on Lambda imports only {own}, .abi3.so and .so"
    return make("wrong-python-abi", item.path, message, _take(item, world))


def _take(item: Item, world: World) -> str:
    target = world.target
    version = "{}.{}".format(*target.runtime.python)
    return (
        f"Take the {target.python} wheel of {world.owner(item)}: lock and build with lamina for {target.name}, or "
        f"pip install --python-version {version} --platform {target.platform} --only-binary=:all:."
    )


def _stable_minimum(item: Item, suffix: Suffix | None, world: World) -> Finding | None:
    """An abi3 module of a wheel whose tags all state a newer CPython as the minimum."""
    package = world.packages.get(item.place)
    if suffix is None or suffix.tag != "abi3" or package is None:
        return None
    lows = [int(match[1]) for tag in package.tags if "abi3" in tag and (match := _STABLE.match(tag))]
    if not lows or min(lows) <= world.target.runtime.python[1]:
        return None
    message = (
        f"{posixpath.basename(item.path)} uses the stable ABI of CPython 3.{min(lows)} and newer, as the wheel of "
        f"{package.name} {package.version} says; {world.target.runtime.name} is older"
    )
    hint = f"Take an older version of {package.name}, or build for cp3{min(lows)} or newer."
    return make("wrong-python-abi", item.path, message, hint)


def _foreign_libpython(name: str, target: Target) -> bool:
    match = _LIBPYTHON.fullmatch(name)
    return match is not None and (match[1] != "{}.{}".format(*target.runtime.python) or match[2] not in {"", "m"})


def _symbols(item: Item, wanted: tuple[str, ...], world: World) -> Iterator[Finding]:
    """Symbols of CPython that the target does not export though another version does, and no library here offers."""
    version = "{}.{}".format(*world.target.runtime.python)
    table = exports()
    lacking = [name for name in wanted if table.lacks(name, version)]
    if not lacking:
        return
    missing = sorted(set(lacking) - world.offered)
    if not missing:
        return
    listed = ", ".join(f"{name} (CPython {table.ranges[name]})" for name in missing[:_NAMED])
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    message = (
        f"{posixpath.basename(item.path)} needs {listed}{more}, which CPython {version} does not export: "
        f"it was built for another one"
    )
    yield make("wrong-python-abi", item.path, message, _take(item, world))


def _bytecode(item: Item, world: World) -> Iterator[Finding]:
    """A ``.pyc`` in the place of a module, of another magic number."""
    folder, base = posixpath.split(item.place)
    expected = facts().pyc_magic.get("{}.{}".format(*world.target.runtime.python))
    source = f"{folder}/{base.removesuffix('c')}"
    if posixpath.basename(folder) == "__pycache__" or expected is None or not item.magic or source in world.files:
        return
    if item.magic == expected.to_bytes(2, "little") + b"\r\n":
        return
    names = {number: version for version, number in facts().pyc_magic.items()}
    number = int.from_bytes(item.magic[:2], "little")
    of = f"CPython {names[number]}" if number in names else "another Python"
    yield make(
        "wrong-python-abi",
        item.path,
        f"{base} is bytecode of {of}, without its source: {world.target.runtime.name} on Lambda refuses it with "
        "ImportError: bad magic number",
        f"Ship the source, or compile it with the target's CPython ({world.target.python}).",
    )
