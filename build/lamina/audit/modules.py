"""What can be imported in the running function: the files of all artefacts together, found as CPython finds them.

The way of the search is that of ``importlib.machinery.PathFinder``: in each folder of ``sys.path`` a package goes
before an extension module, that before source, and source before bytecode; a folder without ``__init__`` is only a
portion of a namespace, which a module anywhere later on the path displaces (PEP 420).

Source of the path: Lambda developer guide, page lambda-python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from lamina.audit.model import Artefact, Item
from lamina.audit.names import modules_of, standard_library
from lamina.lock import canonical
from lamina.part.source import Source
from lamina.target import Target

Kind = Literal["package", "module", "namespace", "given", "unverified"]

_PACKAGE_FOLDERS = re.compile(r"(/(?:.*/)?(?:lib|lib64)/python3(?:\.\d+)?(?:/(?:site|dist)-packages)?)/")
#: No path and no import goes deeper, nor is the path of folders longer; beyond, input is made to exhaust its reader.
DEEPEST = 64
_LONGEST = 4096  # characters: Linux's PATH_MAX
_MOST_FOLDERS = 100


class Found(NamedTuple):
    """Where a module is.

    ``given`` is one of the standard library, of the runtime, or provided, into which nobody can look here;
    ``unverified`` one that the runtime may have. ``folders`` are those searched for modules below it.
    """

    kind: Kind
    path: str = ""
    folders: tuple[str, ...] = ()


class Modules:
    """The modules of a stack of artefacts on one target. Looked up by name; nothing is imported."""

    def __init__(self, artefacts: Sequence[Artefact], target: Target, provided: Iterable[str] = ()) -> None:
        """Gather the files of all artefacts. ``provided`` are distributions that are there beside them."""
        self.target = target
        self.python = target.runtime.python
        self.runtime = target.runtime.name
        version = "{}.{}".format(*self.python)
        tag = "cpython-{}{}-{}-linux-gnu".format(*self.python, target.architecture)
        self._suffixes = (f".{tag}.so", ".abi3.so", ".so", ".py", ".pyc")
        all_items = [item for artefact in artefacts for item in artefact.items if _is_sane(item.place)]
        self.items = {item.place: item for item in all_items if item.kind != "folder"}
        #: What a link leads to is not followed: it may be a folder, with anything in it.
        self._links = {place for place, item in self.items.items() if item.kind == "link"}
        self._folders: set[str] = set()
        for item in all_items:
            self._add_folder(item.place if item.kind == "folder" else item.place.rpartition("/")[0])
        roots = [
            "/var/task",
            f"/opt/python/lib/python{version}/site-packages",
            "/opt/python",
            f"/var/lang/lib/python{version}",
            f"/var/lang/lib/python{version}/lib-dynload",
            f"/var/lang/lib/python{version}/site-packages",
            "/var/runtime",
        ]
        roots += sorted({found[1] for place in self.items if (found := _PACKAGE_FOLDERS.match(place))})
        self.roots = tuple(dict.fromkeys(roots))[:_MOST_FOLDERS]
        self.roots += tuple(dict.fromkeys(self._added(self.roots)))[:_MOST_FOLDERS]
        self.unverified = target.runtime.modules_unverified
        self._given = target.runtime.modules | standard_library(self.python)
        self.artefacts = tuple(artefacts)
        packages = {package.name for artefact in artefacts for package in artefact.packages}
        for name in map(canonical, provided):
            if name not in packages:
                self._given |= modules_of(name)
        self._extra = self._written_paths(artefacts)
        self._known: dict[str, Found | None] = {}
        self._extensions: frozenset[str] | None = None

    def find(self, name: str) -> Found | None:
        """Where the module of this dotted name is; ``None`` where an import of it fails."""
        if name.count(".") > DEEPEST:
            return None
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def missing(self, name: str) -> str:
        """The first part of a dotted name that is not there (``a.b`` of ``a.b.c``), empty where all is.

        One that the runtime may have is told as well.
        """
        parts = name.split(".", DEEPEST + 1)[: DEEPEST + 1]
        for end in range(1, len(parts) + 1):
            prefix = ".".join(parts[:end])
            found = self.find(prefix)
            if found is None or found.kind == "unverified":
                return prefix
            if found.kind == "given":
                return ""
        return ""

    def is_foreign(self, name: str) -> bool:
        """Whether a module that is not there has an extension module for another Python or system in its place."""
        parent, _, last = name.rpartition(".")
        found = self.find(parent) if parent else None
        folders = (found.folders if found is not None else ()) if parent else self.roots
        return any(f"{folder}/{last}" in self._natives() for folder in folders)

    def is_native_stub(self, found: Found) -> bool:
        """Whether a folder has but the stub of a package, beside native code that makes the package when it is loaded.

        So obstore's ``exceptions``: its extension module puts it into ``sys.modules``.
        """
        tops = {self.inside(folder).partition("/")[0] for folder in found.folders}
        stubs = any(f"{folder}/__init__.pyi" in self.items for folder in found.folders)
        return stubs and any(self.inside(place).partition("/")[0] in tops for place in self._natives())

    def inside(self, place: str) -> str:
        """The path of a file relative to the folder of ``sys.path`` that it is imported from; empty outside."""
        root = max((root for root in self.roots if place.startswith(root + "/")), key=len, default=None)
        return place[len(root) + 1 :] if root is not None else ""

    def name_of(self, place: str) -> tuple[str, bool]:
        """The dotted name under which a file is imported, and whether it is a package; empty outside ``sys.path``."""
        folder, _, file = self.inside(place).rpartition("/")
        stem = file.partition(".")[0]
        dotted = folder.replace("/", ".")
        if stem == "__init__":
            return dotted, True
        return (f"{dotted}.{stem}" if dotted else stem), False

    def source(self, found: Found) -> Source | None:
        """The facts of the source of a module, where there is one that was read."""
        item = self.items.get(found.path)
        return item.source if item is not None else None

    def _natives(self) -> frozenset[str]:
        """The places of extension modules and libraries, each up to its file's first dot."""
        if self._extensions is None:
            native = (place for place in self.items if place.endswith((".so", ".pyd")))
            named = (place.rpartition("/") for place in native)
            self._extensions = frozenset(f"{folder}/{file.partition('.')[0]}" for folder, _, file in named)
        return self._extensions

    def _find(self, name: str) -> Found | None:
        parent, _, last = name.rpartition(".")
        if parent:
            above = self.find(parent)
            if above is None or above.kind in {"given", "unverified"}:
                return above
            return self._search(above.folders, last)
        found = self._search(self.roots, last)
        if found is not None and found.kind != "namespace":
            return found
        if last in self._given:
            return Found("given")
        found = found or self._search(self._extra, last)
        return Found("unverified") if found is None and last in self.unverified else found

    def _search(self, folders: Iterable[str], name: str) -> Found | None:
        portions = []
        for folder in folders:
            base = f"{folder}/{name}"
            if base in self._folders:
                for suffix in self._suffixes:
                    path = f"{base}/__init__{suffix}"
                    if path in self.items:
                        return Found("package", path, (base,))
            for suffix in self._suffixes:
                if base + suffix in self.items:
                    return Found("module", base + suffix)
            if base in self._links:
                return Found("given")
            if base in self._folders:
                portions.append(base)
        return Found("namespace", "", tuple(portions)) if portions else None

    def _add_folder(self, folder: str) -> None:
        while folder and folder not in self._folders:
            self._folders.add(folder)
            folder = folder.rpartition("/")[0]

    def _added(self, roots: Sequence[str]) -> Iterator[str]:
        """The folders that ``.pth`` files in the folders of ``sys.path`` add (documentation of module site)."""
        for place, item in sorted(self.items.items()):
            folder, _, file = place.rpartition("/")
            if file.endswith(".pth") and folder in roots:
                for line in item.adds:
                    added = _joined(folder, line)
                    if added in self._folders and added not in roots:
                        yield added

    def _written_paths(self, artefacts: Sequence[Artefact]) -> tuple[str, ...]:
        """Folders that code of a function may put on the path itself: those that a module naming ``sys`` spells.

        ``sys.path.insert(0, os.path.join(os.path.dirname(__file__), "vendor"))`` is common there. Only the literal can
        be seen, so these folders are searched last, and packages are not among them.
        """
        found: dict[str, None] = {}
        for item in (item for artefact in artefacts if artefact.kind == "function" for item in artefact.items):
            source = item.source
            if source is None or not any(imported.module in {"sys", "site"} for imported in source.imports):
                continue
            for text in source.strings:
                for start in ("/var/task", item.place.rpartition("/")[0]):
                    folder = _joined(start, text)
                    package = f"{folder}/__init__.py" in self.items
                    if folder in self._folders and folder not in self.roots and not package:
                        found[folder] = None
        return tuple(found)[:_MOST_FOLDERS]


def _is_sane(place: str) -> bool:
    return len(place) <= _LONGEST and place.count("/") <= DEEPEST


def _joined(folder: str, line: str) -> str:
    """A path written in a file of ``folder``, without ``.`` and ``..``; one may not lead above the root."""
    parts: list[str] = []
    for part in (line if line.startswith("/") else f"{folder}/{line}").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def is_module(item: Item) -> bool:
    """Whether this is a source file that was read."""
    return item.kind == "file" and item.path.endswith(".py") and item.source is not None and item.source.readable
