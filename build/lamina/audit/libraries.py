"""``missing-library``: names that a library needs (DT_NEEDED) and that nothing in the running function answers.

What no search finds may still be loaded beforehand by other code: torch's libraries are there once ``torch`` is
imported, and a loader takes a library that is in the process already by its soname. So a library of the stack under
that name is enough where the package imports the one that brings it, and a note where that cannot be told.

Libraries that are only opened by a literal name (``dlopen``) are passed over in native code: of torch, opencv, pyarrow
and numba most such names are tries at what a machine may have (CUDA, Vulkan, OpenCL, libnuma), each with a fallback. In
Python sources a literal soname that the runtime is known to lack is a note, one for each package; GPU libraries are
passed over there as well, for the same reason.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lamina.audit.abi import suffix_of
from lamina.audit.facts import facts
from lamina.audit.loader import elsewhere, loadable
from lamina.audit.model import Artefact, Item
from lamina.audit.world import World, inside, top_of
from lamina.binary.model import MACHINES, Elf
from lamina.findings import Finding, Severity, make
from lamina.part.source import resolve as names_of

_MUSL = re.compile(r"libc\.musl-\w+\.so\.1|(?:.*/)?ld-musl-\w+\.so\.1")
_LIBPYTHON = re.compile(r"libpython(\d+\.\d+)[a-z]*\.so(?:\.1\.0)?")
_SONAME = re.compile(r"lib[\w+-]+(?:\.\d+)*\.so(?:\.\d+)+")
#: How many names a note lists.
_NAMED = 3
_RANK: Mapping[Severity, int] = {"error": 0, "warning": 1, "note": 2}


class _Miss(NamedTuple):
    """One file that lacks one name. Sorts by severity, then by path."""

    rank: int
    path: str
    severity: Severity
    message: str
    hint: str


class _Code(NamedTuple):
    """What code loads.

    ``imports`` are the top-level names that each package imports; ``optional`` tells of a dotted name whether every
    import of it can fail in peace; ``named`` and ``opened`` are the file names in literals of Python and native code.
    """

    imports: Mapping[str, frozenset[str]]
    optional: Mapping[str, bool]
    named: frozenset[str]
    opened: frozenset[str]


def check_libraries(artefact: Artefact, world: World) -> Iterator[Finding]:
    """One finding for each package and missing name, at the first file that needs it, with the number of files.

    Known absence is an error, a library that nobody has verified a warning. A note where only an extension module that
    the package imports under ``try`` or in functions lacks it, or where another package may have loaded it.
    """
    misses: dict[tuple[str, str], list[_Miss]] = {}
    code: _Code | None = None
    for item in artefact.items:
        elf = loadable(item)
        if elf is None or elf.machine != MACHINES[world.target.architecture] or world.files.get(item.place) is not item:
            continue
        found = world.linked.get(item.place, {})
        for name in dict.fromkeys((*elf.needed, *([elf.interpreter] if _MUSL.fullmatch(elf.interpreter) else []))):
            if name in found or _of_another_python(name, world):
                continue
            code = code or _code(world)
            miss = _judged(item, elf, name, world, code)
            if miss is not None:
                key = "musl" if _MUSL.fullmatch(name) else name
                misses.setdefault((world.owner(item), key), []).append(miss)
    for _, missing in sorted(misses.items()):
        first = min(missing)
        files = len({miss.path for miss in missing})
        count = f" ({files} files)" if files > 1 else ""
        yield make("missing-library", first.path, first.message + count, first.hint, first.severity)
    yield from _literals(artefact, world)


def _judged(item: Item, elf: Elf, name: str, world: World, code: _Code) -> _Miss | None:
    """What one name that no search finds means; ``None`` where other code has loaded the library before."""
    owner, runtime = world.owner(item), world.target.runtime
    if _MUSL.fullmatch(name):
        message = f"{owner} needs {name}: it is of a musllinux wheel, and Lambda has glibc"
        hint = f"Take the manylinux wheel: lock and build with lamina for {world.target.name}."
        return _miss(item, "error", message, hint)
    others = elsewhere(world, elf, name)
    if others:
        if _loaded_before(item, others, world, code):
            return None
        other = world.files[others[0]]
        message = f"{owner} needs {name}, which the loader does not find; {other.path} is one, if it is loaded before"
        top = top_of(other)
        first = (
            f"Import {top} before {owner}, and prove it"
            if top.isidentifier() and top != owner
            else "Prove that it loads"
        )
        return _miss(item, "note", message, f"{first}: proof.imports in the recipe.")
    presence = "absent" if world.complete else runtime.library(name)
    severity = _severity(item, code)
    after = {
        "note": "; the package goes on without this module",
        "warning": "; other native code opens this file by name",
    }
    if presence != "absent":
        message = f"{owner} needs {name}; whether {runtime.name} on Lambda has it, nobody has verified"
        why = after["note"] if severity == "note" else ""
        return _miss(item, "note" if severity == "note" else "warning", message + why, _remedy(owner, name))
    lacks = "the image does not have" if world.complete else f"{runtime.name} on Lambda does not have"
    return _miss(item, severity, f"{owner} needs {name}, which {lacks}{after.get(severity, '')}", _remedy(owner, name))


def _miss(item: Item, severity: Severity, message: str, hint: str) -> _Miss:
    return _Miss(_RANK[severity], item.path, severity, message, hint)


def _severity(item: Item, code: _Code) -> Severity:
    """A note for an extension imported only where its absence is handled; a warning for a plug-in of native code."""
    suffix = suffix_of(inside(item))
    if suffix is not None:
        return "note" if code.optional.get(suffix.module.replace("/", ".")) else "error"
    base = posixpath.basename(item.path)
    return "warning" if base in code.opened and base not in code.named else "error"


def _loaded_before(item: Item, others: tuple[str, ...], world: World, code: _Code) -> bool:
    """Whether the package imports one that has the library, or has it itself and loads libraries on its own."""
    own = world.owner(item)
    for place in others:
        if world.owner(world.files[place]) == own and "ctypes" in code.imports.get(own, frozenset()):
            return True
        if top_of(world.files[place]) in code.imports.get(own, frozenset()):
            return True
    return False


def _code(world: World) -> _Code:
    imports: dict[str, set[str]] = {}
    named: set[str] = set()
    opened: set[str] = set()
    optional: dict[str, bool] = {}
    for item in world.files.values():
        if (elf := loadable(item)) is not None:
            opened.update(elf.opens)
        if item.source is None:
            continue
        owner = world.owner(item)
        named.update(text for text in item.source.strings if ".so" in text)
        module = inside(item).rpartition(".")[0].replace("/", ".")
        package = module.endswith(".__init__")
        for imported in item.source.imports:
            for name in names_of(imported, module.removesuffix(".__init__"), package):
                imports.setdefault(owner, set()).add(name.partition(".")[0])
                optional[name] = optional.get(name, True) and (imported.guarded or imported.lazy)
    return _Code(
        {owner: frozenset(names) for owner, names in imports.items()},
        optional,
        frozenset(named),
        frozenset(opened),
    )


def _of_another_python(name: str, world: World) -> bool:
    """Whether it is libpython of another version, which ``wrong-python-abi`` tells."""
    match = _LIBPYTHON.fullmatch(name)
    return match is not None and match[1] != "{}.{}".format(*world.target.runtime.python)


def _literals(artefact: Artefact, world: World) -> Iterator[Finding]:
    """Sonames in Python sources that the runtime is known not to have, and nothing here brings."""
    if world.complete:
        return
    asked: dict[str, dict[str, str]] = {}
    for item in artefact.items:
        for text in item.source.strings if item.source is not None else ():
            if ".so" not in text or not _SONAME.fullmatch(text) or text in world.named or facts().tried.has(text):
                continue
            if world.target.runtime.library(text) == "absent":
                asked.setdefault(world.owner(item), {}).setdefault(text, item.path)
    for owner, texts in sorted(asked.items()):
        names = sorted(texts)
        listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        message = f"{owner} names {listed} in its code, which {world.target.runtime.name} on Lambda does not have"
        yield make("missing-library", texts[names[0]], message, _remedy(owner, names[0]), "note")


def _remedy(owner: str, soname: str) -> str:
    """What is known to help this package, and otherwise what helps any."""
    known = [remedy.hint for remedy in facts().remedies if remedy.helps(owner, soname)]
    if known:
        return known[0]
    return (
        f"Put {soname} into the layer's overlay as lib/{soname} (it is then found at /opt/lib), "
        f"or take a build of {owner} that brings it."
    )
