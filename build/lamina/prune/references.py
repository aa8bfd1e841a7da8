"""The veto: kept code keeps what it refers to, across all packages of a layer, to a fixpoint.

A proposal of the rules stands only as long as nothing that ships needs the file. What needs a file is told from the
facts of the parts (imports and literals of every source), so nothing is parsed here. In doubt a file stays: an import
too many costs bytes, one too few breaks a package.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lamina.part.model import EntryPoint
from lamina.part.source import Import, Source, resolve
from lamina.prune.places import Places
from lamina.prune.rules import RULES

#: What takes a module's name as a string, or looks one up; where it is called, bare literals may be names of modules.
_IMPORTERS = frozenset(
    "import_module __import__ find_spec attach attach_stub LazyLoader lazy_import lazy_module LazyImport import_string "
    "import_object import_class import_submodules load_module resolve_name run_module __getattr__ __path__".split()
)
#: The group under which the imports of the recipe's proof stand among entry points.
PROOF = "lamina.proof"
#: Names of the folders that rules propose.
_FOLDERS = frozenset[str]().union(*(rule.folders for rule in RULES.values()))
#: Names that stand in so many folders that a literal of that name tells nothing about one of them.
_ANYWHERE = frozenset({"__init__.py", "conftest.py", "setup.py", "__main__.py"})


class Package(NamedTuple):
    """What the veto needs of one part; all paths are relative to ``python/``."""

    name: str
    paths: frozenset[str]
    sources: Mapping[str, Source]
    entry_points: tuple[EntryPoint, ...]


class Vetoes:
    """The search, over the proposals of one layer: ``run`` returns which of them are refused, and why."""

    def __init__(self, packages: Iterable[Package], proposed: Mapping[str, str]) -> None:
        self._packages = tuple(packages)
        self._proposed = proposed
        self._kept: dict[str, str] = {}
        self._queue: deque[tuple[str, Source, int]] = deque()
        self._owners: dict[str, list[int]] = defaultdict(list)
        self._modules: dict[str, list[str]] = defaultdict(list)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._tops: dict[str, set[int]] = defaultdict(set)
        self._places = Places([package.paths for package in self._packages], proposed)
        for number, package in enumerate(self._packages):
            for path in sorted(package.paths):  # sets of text have another order in every process
                self._tops[path.partition("/")[0].partition(".")[0]].add(number)
                if path not in proposed:
                    continue
                self._owners[path].append(number)
                if len(self._owners[path]) > 1:
                    continue
                self._by_name[path.rpartition("/")[2]].append(path)
                if module := module_name(path):
                    self._modules[module].append(path)
        self._importable = {module.partition(".")[0] for module in self._modules}

    def run(self) -> dict[str, str]:
        """Path → reason, for every proposed file that must stay after all."""
        for path, reason in self._places.among_data():
            self._keep(path, reason)
        for number, package in enumerate(self._packages):
            for point in package.entry_points:
                kind = "proof.imports of" if point.group == PROOF else f"entry point {point.name} of"
                self._want(point.module, f"{kind} {package.name}")
            for path, source in package.sources.items():
                if not source.readable:
                    self._trust_nothing(path, number)
                elif path not in self._proposed:
                    self._queue.append((path, source, number))
        while self._queue:
            path, source, number = self._queue.popleft()
            self._follow(path, source, number)
        return self._kept

    def _trust_nothing(self, path: str, number: int) -> None:
        """A source that cannot be read as Python stays; one that ships anyway may refer to all of its own package."""
        if path in self._proposed:
            self._keep(path, "cannot be read as Python, so nobody can tell what it is for")
            return
        for other in sorted(self._packages[number].paths & self._proposed.keys()):
            if not other.endswith((".pyc", ".pyi")):
                self._keep(other, f"may be needed by {path}, which cannot be read as Python")

    def _follow(self, path: str, source: Source, number: int) -> None:
        module = module_name(path)
        is_package = path.endswith("/__init__.py")
        for imported in source.imports:
            for name in resolve(imported, module, is_package):
                self._want(name, f"imported by {path}")
            if "*" in imported.names:
                self._star(imported, module, is_package, path)
        self._follow_strings(path, source, module, is_package, number)
        self._follow_dynamic(path, source, module, is_package)
        for found, reason in self._places.named(path, source, module, is_package):
            self._keep(found, reason)
        if "attach_stub" in source.calls:
            self._keep(path + "i", f"read by attach_stub in {path}")
            stub = self._packages[number].sources.get(path + "i")
            for imported in stub.imports if stub is not None else ():
                for name in resolve(imported, module, is_package):
                    self._want(name, f"imported by {path}i, which attach_stub reads")

    def _follow_strings(self, path: str, source: Source, module: str, is_package: bool, number: int) -> None:  # noqa: FBT001
        dynamic = not _IMPORTERS.isdisjoint(source.calls)
        package = module if is_package else module.rpartition(".")[0]
        known: set[int] | None = None
        for text in source.strings:
            dotted = text.partition(":")[0].strip(".")  # "package.module:object", "package.module.object"
            if (
                "." in dotted
                and dotted.partition(".")[0] in self._importable
                and dotted.replace(".", "").isidentifier()
            ):
                self._want(dotted, f"named in {path}")
            # A folder's name in an __init__.py may stand in a table of what it loads on demand, whoever loads it.
            table = is_package and text.partition(".")[0] in _FOLDERS
            if (dynamic or table) and package and text != "conftest":
                for relative in _relative(text, package):
                    self._want(relative, f"named in {path}, which may import by name")
            name = text.replace("\\", "/").rpartition("/")[2]
            for candidate in self._by_name.get(name, ()) if name not in _ANYWHERE else ():
                if candidate in self._kept or not _ends_with(candidate, text):
                    continue
                if known is None:
                    known = self._known(source, number)
                if not known.isdisjoint(self._owners[candidate]):
                    self._keep(candidate, f"named in {path}")

    def _follow_dynamic(self, path: str, source: Source, module: str, is_package: bool) -> None:  # noqa: FBT001
        """Names that are computed: ``import_module(f"pkg.tests.{name}")`` may mean every module there.

        Where the call itself spells no proposed folder, only a package of such a name right behind the prefix counts:
        ``import_module(f"pkg.commands.{name}")`` may mean ``pkg.commands.docs``. A name that is computed whole comes
        from a list of literals, which is looked at like every literal, or from a listing of the folder, which then
        lists what ships.
        """
        package = module if is_package else module.rpartition(".")[0]
        for call in source.dynamic:
            dots = len(call.prefix) - len(call.prefix.lstrip("."))
            prefix = call.prefix
            if dots:
                parents = package.split(".")
                prefix = ".".join((*parents[: len(parents) - dots + 1], call.prefix.lstrip(".")))
            spelled = {*call.prefix.split("."), *call.suffix.split(".")}
            if spelled.isdisjoint(_FOLDERS):
                for folder in sorted(_FOLDERS) if prefix.endswith(".") else ():
                    self._want(prefix + folder + call.suffix, f"may be meant by {call.call} in {path}")
                continue
            for name in self._modules:
                if name.startswith(prefix) and name.endswith(call.suffix):
                    self._want(name, f"may be meant by {call.call} in {path}")

    def _known(self, source: Source, number: int) -> set[int]:
        """The packages whose files a module may mean by a bare file name: its own, and those it imports or names."""
        tops = {imported.module.partition(".")[0] for imported in source.imports if not imported.level}
        tops.update(text.partition(".")[0] for text in source.strings)
        return {number}.union(*(self._tops[top] for top in tops if top in self._tops))

    def _star(self, imported: Import, module: str, is_package: bool, path: str) -> None:  # noqa: FBT001
        """``from package import *`` imports modules that its ``__all__`` names (language reference 7.11)."""
        plain = Import(imported.module, imported.level, (), imported.lazy, imported.guarded)
        for package in resolve(plain, module, is_package):
            start = package.replace(".", "/") + "/__init__.py"
            for owner in self._tops.get(package.partition(".")[0], ()):
                source = self._packages[owner].sources.get(start)
                for text in source.strings if source is not None else ():
                    self._want(f"{package}.{text}", f"in __all__ of {package}, imported by {path}")

    def _want(self, name: str, reason: str) -> None:
        """Keep the module ``name`` and the packages above it, where they were proposed."""
        while name:
            for path in self._modules.get(name, ()):
                self._keep(path, reason)
            name = name.rpartition(".")[0]

    def _keep(self, path: str, reason: str) -> None:
        if path in self._kept or path not in self._proposed:
            return
        self._kept[path] = reason
        for number in self._owners[path]:
            source = self._packages[number].sources.get(path)
            if source is not None:
                self._queue.append((path, source, number))


def module_name(path: str) -> str:
    """The dotted name under which the file is imported, or an empty string for one that is no module."""
    if not path.endswith((".py", ".so", ".pyc")):
        return ""
    folder, _, name = path.rpartition("/")
    stem = name.partition(".")[0]
    dotted = folder.replace("/", ".")
    if stem == "__init__":
        return dotted
    return f"{dotted}.{stem}" if dotted else stem


def _relative(text: str, package: str) -> Iterator[str]:
    """The modules that a literal may mean inside ``package``: a child's name, or ``.sibling`` with leading dots."""
    rest = text.lstrip(".")
    dots = len(text) - len(rest)
    if not rest.replace(".", "").isidentifier():
        return
    parts = package.split(".")
    if dots <= len(parts):
        yield ".".join((*parts[: len(parts) - max(dots - 1, 0)], rest))


def _ends_with(path: str, text: str) -> bool:
    """Whether a literal that may hold folders (``descr/iris.rst``) can mean this path."""
    wanted = text.replace("\\", "/").removeprefix("./").lstrip("/")
    return path == wanted or path.endswith("/" + wanted)
