"""Entries of ``overlay.from-image`` → files of a layer, with the libraries that they need and that are not there."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal, NamedTuple

from lamina.archive import check_name
from lamina.binary.look import look
from lamina.binary.model import MACHINES, Elf
from lamina.errors import UnsafeWheelError, UsageError
from lamina.overlay import Generated, kind_of
from lamina.taken import OWNER, places
from lamina.taken.tree import File

#: glibc's own libraries: they come with the loader, and never without it. Source: the files ``shlib-versions`` of
#: https://sourceware.org/git/glibc.git.
GLIBC = frozenset(
    """
    ld-linux-x86-64.so.2 ld-linux-aarch64.so.1 libBrokenLocale.so.1 libanl.so.1 libc.so.6 libc_malloc_debug.so.0
    libdl.so.2 libm.so.6 libmvec.so.1 libnsl.so.1 libnss_compat.so.2 libnss_db.so.2 libnss_dns.so.2 libnss_files.so.2
    libnss_hesiod.so.2 libpthread.so.0 libresolv.so.2 librt.so.1 libthread_db.so.1 libutil.so.1
    """.split()
)

Kind = Literal["library", "executable", "path"]


class Wanted(NamedTuple):
    """What is looked for: a library by the name it is loaded under, a program, or an absolute path.

    ``folders`` are searched first, for a library: those that the file names that needs it.
    """

    kind: Kind
    name: str
    folders: tuple[str, ...] = ()


class Source(NamedTuple):
    """An image with its packages. ``locate`` gives real paths, ``read`` the file at one, or all below it."""

    image: str
    locate: Callable[[Sequence[Wanted]], Sequence[str | None]]
    read: Callable[[str], list[File]]


class _Placed(NamedTuple):
    content: bytes
    origin: str


def wanted(entry: str) -> Wanted:
    """What an entry of the recipe names: ``/…`` a path, ``….so…`` a library, anything else a program."""
    if entry.startswith("/"):
        return Wanted("path", posixpath.normpath(entry))
    return Wanted("library" if ".so" in entry else "executable", entry)


def collect(
    entries: Sequence[str], source: Source, *, architecture: str, there: Collection[str]
) -> tuple[Generated, ...]:
    """All files for the layer, by path.

    What an entry names is taken even where the system has it; of what it needs, only what is not ``there`` (names of
    libraries) and is none of glibc's. A library that the image does not have either is left to the audit to report.

    Raises:
        UsageError: an entry names nothing, or a library of glibc; two files would stand at one path.
    """
    gathering = _Gathering(source, architecture)
    asked = [wanted(entry) for entry in entries]
    for one in asked:
        if one.kind == "library" and one.name in GLIBC:
            raise UsageError(
                f"overlay.from-image: {one.name} belongs to glibc, which works only with its own loader",
                hint="Take it out: every runtime has glibc's libraries.",
            )
    for one, found in zip(asked, source.locate(asked), strict=True):
        if found is None:
            raise _nothing(one, source)
        gathering.add(one, found, explicit=True)
    known = {*there, *GLIBC}
    while needs := gathering.needs(known):
        known.update(need.name for need in needs)
        for need, found in zip(needs, source.locate(needs), strict=True):
            if found is not None:
                gathering.add(need, found, explicit=False)
    return gathering.files()


class _Gathering:
    """The files so far, and those whose needs were not looked at yet."""

    def __init__(self, source: Source, architecture: str) -> None:
        self._source, self._architecture = source, architecture
        self._placed: dict[str, _Placed] = {}
        self._open: list[tuple[str, Elf]] = []

    def add(self, one: Wanted, found: str, *, explicit: bool) -> None:
        """Take what was found for something wanted."""
        files = self._source.read(found)
        if one.kind == "path":
            if not files:
                raise UsageError(
                    f"{self._source.image}: {one.name}: holds no file",
                    hint="Name a folder with files in overlay.from-image.",
                )
            for file in files:
                self._place(places.path(one.name + file.path.removeprefix(found)), file)
            return
        if [file.path for file in files] != [found]:
            raise UsageError(
                f"{self._source.image}: {found}: is no file", hint=f"Give the absolute path of {one.name} instead."
            )
        if one.kind == "executable":
            self._place(places.executable(one.name), files[0])
            return
        binary = look(files[0].content)
        elf = binary.elf if binary is not None else None
        if elf is None or elf.machine != MACHINES[self._architecture]:
            raise UsageError(
                f"{self._source.image}: {found}: is no library for {self._architecture}",
                hint=f"See what the image has as {one.name}.",
            )
        self._place(places.library((elf.soname if explicit else "") or one.name), files[0])

    def needs(self, known: Collection[str]) -> list[Wanted]:
        """The libraries that the files taken last need and that are not known, each once."""
        found: dict[str, Wanted] = {}
        for origin, elf in self._open:
            folders = tuple(_folders(elf, posixpath.dirname(origin)))
            for name in elf.needed:
                if name not in known and "/" not in name and places.library(name) not in self._placed:
                    found.setdefault(name, Wanted("library", name, folders))
        self._open.clear()
        return list(found.values())

    def files(self) -> tuple[Generated, ...]:
        """What was taken, as files of the layer."""
        return tuple(
            Generated(path, placed.content, kind_of(placed.content), OWNER)
            for path, placed in sorted(self._placed.items(), key=lambda item: item[0].encode())
        )

    def _place(self, path: str, file: File) -> None:
        self._check(path, file)
        standing = self._placed.setdefault(path, _Placed(file.content, file.path))
        if standing.content != file.content:
            raise UsageError(
                f"{self._source.image}: {standing.origin} and {file.path} would both be {path} in the layer",
                hint="Take one of the two out of overlay.from-image.",
            )
        if standing.origin == file.path:
            binary = look(file.content)
            if binary is not None and binary.elf is not None:
                self._open.append((file.path, binary.elf))

    def _check(self, path: str, file: File) -> None:
        """Refuse a path that no layer, or no line of a lock, can hold."""
        try:
            check_name(path)
            if not path.isprintable():
                raise UnsafeWheelError("a character that cannot be shown")  # noqa: TRY301 - one refusal for both
        except UnsafeWheelError as error:
            raise UsageError(
                f"{self._source.image}: {file.path!r}: cannot be {path!r} in the layer: {error.message}",
                hint="Take another file: no layer can hold one of that name.",
            ) from None


def _folders(elf: Elf, origin: str) -> Iterator[str]:
    """The folders that a file itself names for what it needs (ld.so(8))."""
    for folder in elf.runpath or elf.rpath:
        expanded = folder.replace("$ORIGIN", origin).replace("${ORIGIN}", origin)
        if expanded.startswith("/") and "$" not in expanded:
            yield posixpath.normpath(expanded)


def _nothing(one: Wanted, source: Source) -> UsageError:
    where = {
        "library": "the loader of the image finds no such library",
        "executable": "the image has no such program on its PATH",
        "path": "there is no such path in the image",
    }
    return UsageError(
        f"{source.image}: overlay.from-image: {one.name}: {where[one.kind]}",
        hint="Name the package that brings it in builder.system-packages; a library by its full name "
        "(libgomp.so.1), a program by its name, anything else by its absolute path.",
    )
