"""Imports that nothing can satisfy: neither the artefacts of the stack, nor the standard library, nor the runtime.

In a function's own modules (:mod:`lamina.audit.own`) each is told: an error where it fails when the module is imported,
a warning where it stands inside a function. What stands under ``try``, ``suppress`` or a condition is meant to be
optional, and nothing is said of it. Packages hold much that is never imported (back ends, plug-ins, scripts), so only
what runs when they are imported counts there (:mod:`lamina.audit.reach`), and of each package there is one note a
missing module.

What cannot be told: modules that code puts into ``sys.modules`` or finds by hooks under computed names, and what is on
the path by the environment variable ``PYTHONPATH``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from lamina.audit.model import ROOTS, Artefact, Item
from lamina.audit.modules import Modules, is_module
from lamina.audit.names import distribution_of, is_differing, removed, system_of
from lamina.audit.own import is_aside, own_modules, top_level
from lamina.audit.reach import reached
from lamina.findings import Finding, make
from lamina.part.source import Import, resolve

#: With these a module can be the parent of modules of which there is no file.
_MAKERS = frozenset({"__path__", "exec", "spec_from_file_location"})
#: There whatever the files are, or seen by type checkers only.
_ALWAYS = frozenset({"__main__", "_typeshed"})

#: So many modules of one name are looked at for where a missing one may be meant to stand.
_MOST_ALIKE = 10


class _Missing(NamedTuple):
    """A module that is not there, and the words in which Python will say so."""

    name: str
    words: str


class _Noted(NamedTuple):
    files: int
    path: str
    missing: _Missing


def check_imports(artefact: Artefact, modules: Modules) -> Iterator[Finding]:
    """``missing-import`` for one artefact of a stack, whose modules together are ``modules``."""
    finder = _Finder(modules)
    owners = {path: package.name for package in artefact.packages for path in package.files}
    own = own_modules(artefact)
    reach = reached(modules)
    noted: dict[tuple[str, str], _Noted] = {}
    for item in artefact.items:
        if not is_module(item):
            continue
        if item.path in own:
            yield from _own_findings(item, finder)
        elif item.place in reach and not is_aside(artefact, item):
            owner = owners.get(item.path) or top_level(artefact, item)
            for missing in finder.noted(item):
                key = (owner, missing.name)
                known = noted.get(key)
                noted[key] = (
                    _Noted(known.files + 1, known.path, known.missing) if known else _Noted(1, item.path, missing)
                )
    for (owner, _), note in sorted(noted.items()):
        yield _note(owner, note, modules)


class _Finder:
    """What is missing, with what it takes to tell that code makes a module itself."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self._literals: dict[str, set[str]] | None = None
        self._named: dict[str, list[str]] | None = None

    def missing(self, item: Item, imported: Import) -> Iterator[_Missing]:
        """What one import of a module does not find."""
        name, is_package = self.modules.name_of(item.place)
        names = resolve(imported, name, is_package)
        if not names:
            if imported.level and name:
                alone = "." not in name and not is_package
                end = "with no known parent package" if alone else "beyond top-level package"
                yield _Missing("." * imported.level + imported.module, f"attempted relative import {end}")
            return
        base, *members = names
        gone = self.modules.missing(base)
        if gone:
            if gone not in _ALWAYS and not self._is_made(gone):
                yield _Missing(gone, self._words(gone))
            return
        found = self.modules.find(base)
        for member in members if found is not None and found.kind == "namespace" else ():
            if self.modules.find(member) is None and not self._is_made(member):
                parent, _, last = member.rpartition(".")
                yield _Missing(member, f"cannot import name {last!r} from {parent!r} (unknown location)")

    def noted(self, item: Item) -> set[_Missing]:
        """What a module of a package does not find when it is imported; nothing that is of other systems.

        Nor an extension module that is there, for another Python or system: that is told of the file itself.
        """
        source = item.source
        name, is_package = self.modules.name_of(item.place)
        found: set[_Missing] = set()
        if source is None:
            return found
        for imported in source.imports:
            if imported.guarded or imported.lazy or not resolve(imported, name, is_package):
                continue
            for missing in self.missing(item, imported):
                top = missing.name.partition(".")[0]
                told = self.modules.is_foreign(missing.name)
                if not system_of(top) and top not in self.modules.unverified and not told:
                    found.add(missing)
        return found

    def elsewhere(self, name: str) -> str:
        """A module or folder of the function that ends in this dotted name and stands in another place, if any."""
        if self._named is None:
            self._named = defaultdict(list)
            for path in _own_paths(self.modules):
                alike = self._named[path.rpartition("/")[2].removesuffix(".py")]
                if len(alike) < _MOST_ALIKE:
                    alike.append(path)
        end = "/" + name.replace(".", "/")
        alike = self._named.get(name.rpartition(".")[2], [])
        return next((path for path in alike if path.removesuffix(".py").endswith(end)), "")

    def _words(self, gone: str) -> str:
        parent = gone.rpartition(".")[0]
        found = self.modules.find(parent) if parent else None
        end = f"; {parent!r} is not a package" if found is not None and found.kind == "module" else ""
        return f"No module named {gone!r}{end}"

    def _is_made(self, name: str) -> bool:
        """Whether code may make this module without a file.

        Its parent has ways to, or is made by native code itself, or a literal near it names it.
        """
        parent, _, last = name.rpartition(".")
        found = self.modules.find(parent) if parent else None
        if found is None:
            return False
        if found.kind == "namespace":
            return self.modules.is_native_stub(found)
        source = self.modules.source(found)
        if source is None or not source.readable or not _MAKERS.isdisjoint(source.calls):
            return True
        literals = self._spelled(name.partition(".")[0])
        return name in literals or f".{last}" in literals

    def _spelled(self, top: str) -> set[str]:
        """The literals of all modules of one top-level package that may reach ``sys.modules``."""
        if self._literals is None:
            gathered: dict[str, set[str]] = defaultdict(set)
            for item in self.modules.items.values():
                source = item.source
                if source is not None and any(imported.module == "sys" for imported in source.imports):
                    gathered[self.modules.name_of(item.place)[0].partition(".")[0]].update(source.strings)
            self._literals = gathered
        return self._literals.get(top, set())


def _own_paths(modules: Modules) -> list[str]:
    """The modules of the function and the folders that they stand in, relative to its root, sorted."""
    root = ROOTS["function"]
    found: set[str] = set()
    for place in modules.items:
        if place.startswith(root) and place.endswith(".py"):
            path = place.removeprefix(root)
            while path and path not in found:
                found.add(path)
                path = path.rpartition("/")[0]
    return sorted(found)


def _own_findings(item: Item, finder: _Finder) -> Iterator[Finding]:
    source = item.source
    found: dict[_Missing, bool] = {}
    for imported in source.imports if source is not None else ():
        if not imported.guarded:
            for missing in finder.missing(item, imported):
                found[missing] = found.get(missing, True) and imported.lazy
    for missing, lazy in found.items():
        when = "when the function that imports it is called" if lazy else "when the module is imported"
        top = missing.name.partition(".")[0]
        modules = finder.modules
        there = modules.find(top)
        unverified = there is not None and there.kind == "unverified"
        yield make(
            "missing-import",
            item.path,
            f"{missing.words}: {item.path} imports it and will fail {when}; {_absent(missing, modules)}",
            _hint(missing, finder),
            severity="warning" if lazy or unverified else None,
        )


def _absent(missing: _Missing, modules: Modules) -> str:
    top = missing.name.partition(".")[0]
    if not top:
        return "Lambda imports a handler at the root of the zip as a module of no package"
    if system := system_of(top):
        return f"it exists on {system} only"
    if last := removed(top, modules.python):
        return f"CPython has it up to {last}"
    found = modules.find(top)
    if found is not None and found.kind == "unverified":
        return f"Lambda's images have it, and nobody has looked whether the managed {modules.runtime} does"
    return f"neither the function, nor its layers, nor {modules.runtime} have it"


def _hint(missing: _Missing, finder: _Finder) -> str:
    modules = finder.modules
    top = missing.name.partition(".")[0]
    if not top:
        return f"Import it by its full name: import {missing.name.lstrip('.') or 'the module'}, without the dots."
    if system_of(top):
        return "Import it under a condition (if sys.platform == ...), or leave the module that imports it out."
    found = modules.find(top)
    if found is not None and found.kind != "unverified" and not is_differing(missing.name):
        return f"Add the file of {missing.name} to function.source, or correct the import."
    if elsewhere := finder.elsewhere(missing.name):
        return (
            f"{elsewhere} is in the function, where Python does not look for it: map it to "
            f"{missing.name.replace('.', '/')} by to in function.source, or correct the import."
        )
    if last := removed(top, modules.python):
        return f"Replace it: it went after CPython {last}; or use a runtime up to that version."
    name = distribution_of(missing.name)
    return (
        f"Add {name} to the recipe's requirements, or audit the function together with the layer that has it; "
        "a module of your own belongs into function.source."
    )


def _note(owner: str, note: _Noted, modules: Modules) -> Finding:
    missing = note.missing
    times = {1: "", 2: ", as does one more of its files"}.get(
        note.files, f", as do {note.files - 1:,} of its other files"
    )
    top = missing.name.partition(".")[0]
    last = removed(top, modules.python)
    why = f" (CPython has it up to {last})" if last else ""
    message = f"{missing.words}{why}: {owner} imports it in {note.path}{times}, outside of try"
    if modules.find(top) is not None and not last:
        hint = f"Where this part of {owner} is used, choose versions that fit together: {top} has no {missing.name}."
    else:
        name = distribution_of(missing.name)
        hint = f"Where the function uses this part of {owner}, add {name} to the recipe's requirements."
    return make("missing-import", note.path, message, hint, severity="note")
