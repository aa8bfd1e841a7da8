"""Folders and endings that literals name: what code opens, lists or copies without spelling a file's whole name.

``os.path.join(here, "examples")``, ``files("pkg") / "docs"``, ``here.glob("kernels/*.cu")``. Where such a folder can
stand is limited to the folder of the module, those above it, and packages that the module names or imports; what is
taken for needed depends on what the module does at all, since no data flow is followed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from lamina.part.source import Source, resolve
from lamina.prune.rules import RULES

#: Calls that read resources of a package, which need not be the module's own.
_READING = frozenset(
    "files joinpath as_file contents open_text open_binary read_text read_binary is_resource get_data "
    "resource_filename resource_string resource_stream resource_listdir resource_exists resource_isdir".split()
)
#: Calls that list folders; with these and those, all of a folder is meant.
_LISTING = _READING | frozenset("listdir glob iglob rglob iterdir scandir walk".split())
#: Calls that run files by path. With these, all of a folder is meant as well, but not of one called tests: they stand
#: in helpers of tests, which go elsewhere for what they compile.
_RUNNING = frozenset({"spec_from_file_location", "run_path", "execfile"})
#: How a module finds the folder that it stands in.
_ANCHORS = frozenset({"__file__", "__path__"})
#: Names of folders that rules propose; bytecode is never looked for by name.
_FOLDERS = frozenset[str]().union(*(rule.folders for name, rule in RULES.items() if name != "caches"))
#: Endings that rules propose, as literals state them.
_ENDINGS = frozenset(ending for name, rule in RULES.items() if name != "caches" for ending in rule.endings)
#: From here on a literal is a pattern or a file's name, and no folder.
_PATTERN = re.compile(r"[^/]*[*?%\[{.].*\Z", re.DOTALL)
_MODULES = (".py", ".so")


class Places:
    """The proposed files of one layer by the folders that they stand in."""

    def __init__(self, packages: Iterable[AbstractSet[str]], proposed: Mapping[str, str]) -> None:
        self._below: dict[str, list[str]] = defaultdict(list)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_ending: dict[str, list[str]] = defaultdict(list)
        starts = {path.removesuffix("/__init__.py") for paths in packages for path in paths if "/__init__.py" in path}
        self._data: dict[str, str] = {}
        for path in sorted(proposed):
            folders = path.split("/")[:-1]
            for depth, name in enumerate(folders):
                if name in _FOLDERS:
                    self._add(path, folders, depth, starts)
                    break
            else:
                ending = path[path.rfind(".") :]
                if ending in _ENDINGS:
                    self._by_ending[ending].append(path)

    def _add(self, path: str, folders: Sequence[str], depth: int, starts: AbstractSet[str]) -> None:
        above = "/".join(folders[:depth])
        if above not in starts and any("/".join(folders[:end]) in starts for end in range(1, depth)):
            self._data[path] = above
        for end in range(depth + 1, len(folders) + 1):
            folder = "/".join(folders[:end])
            if not self._below[folder]:
                self._by_name[folders[end - 1]].append(folder)
            self._below[folder].append(path)

    def among_data(self) -> Iterator[tuple[str, str]]:
        """Proposed files in folders of data: those inside a package that are no package themselves.

        Templates, static files of a web page and the like are read, copied or served whole, by names that no code
        states. They are next to nothing: 10 kB of the 101 MB that the rules on folders proposed in 206 packages.
        """
        for path, above in self._data.items():
            yield path, f"stands among data: {above} is no package"

    def named(self, path: str, source: Source, module: str, is_package: bool) -> Iterator[tuple[str, str]]:  # noqa: FBT001
        """Proposed files in folders, or of an ending, that literals of a module name, each with the reason."""
        listing = not _LISTING.isdisjoint(source.calls)
        running = listing or not _RUNNING.isdisjoint(source.calls)
        anchored = running or not _ANCHORS.isdisjoint(source.calls)
        bases: set[str] | None = None
        for text in source.strings:
            if anchored and text.lstrip("*") in _ENDINGS:
                yield from self._endings(path, text.lstrip("*"), text)
            for folder in _folders(text):
                for place in self._by_name.get(folder.rpartition("/")[2], ()):
                    if not f"/{place}".endswith(f"/{folder}"):
                        continue
                    if bases is None:
                        bases = _bases(path, source, module, is_package)
                    if place.removesuffix(folder).rstrip("/") in bases:
                        # The name of a tests folder also serves to run pytest, or to tell frames apart.
                        tests = "tests" in place.split("/")
                        yield from self._all(
                            path, place, modules=listing if tests else running, data=listing or not tests
                        )

    def _all(self, path: str, place: str, *, modules: bool, data: bool) -> Iterator[tuple[str, str]]:
        for found in self._below[place]:
            if modules if found.endswith(_MODULES) else data:
                yield found, f"in {place}, which {path} names"

    def _endings(self, path: str, ending: str, text: str) -> Iterator[tuple[str, str]]:
        folder = path.rpartition("/")[0] + "/"
        for found in self._by_ending.get(ending, ()):
            if found.startswith(folder) and folder != "/":
                yield found, f"{text} files are named in {path}"


def _folders(text: str) -> Iterator[str]:
    """What a literal may name as a folder: all of it, or what stands before a pattern or a file's name."""
    whole = text.replace("\\", "/").removeprefix("./").strip("/")
    if "/" in whole:
        before = _PATTERN.sub("", whole).rstrip("/")
        if before and before != whole:
            yield before
    yield whole


def _bases(path: str, source: Source, module: str, is_package: bool) -> set[str]:  # noqa: FBT001
    """Folders that a relative path may start from: the module's own, those above it, and packages that it names."""
    parents = path.split("/")[:-1]
    found = {"/".join(parents[:end]) for end in range(1, len(parents) + 1)} or {""}
    if not _READING.isdisjoint(source.calls):
        found.update(text.replace(".", "/") for text in source.strings)
        for imported in source.imports:
            found.update(name.replace(".", "/") for name in resolve(imported, module, is_package))
    return found
