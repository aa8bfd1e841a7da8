"""Native files of another system or machine, and damaged ones: told from their bytes, whatever they are called."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from lamina.audit.loader import loadable
from lamina.audit.model import Artefact, Item, Package
from lamina.audit.world import World
from lamina.binary.model import MACHINES, Binary, Elf
from lamina.findings import Finding, make
from lamina.target import Target

_CODES = {"pe": "windows-binary", "macho": "macos-binary"}
_SYSTEMS = {"pe": "Windows", "macho": "macOS"}
_FORMATS = {"elf": "ELF", "pe": "PE", "macho": "Mach-O"}


def check_platform(artefact: Artefact, world: World) -> Iterator[Finding]:
    """``windows-binary``, ``macos-binary``, ``wrong-architecture``, ``damaged-file`` and ``unaligned-segment``.

    Object files (``ET_REL``) are data to a loader and pass. What is damaged is not judged further.
    """
    fit = {
        package.folder
        for item in artefact.items
        if (elf := loadable(item)) is not None
        and _runs(elf, world.target)
        and (package := world.packages.get(item.place))
    }
    for item in artefact.items:
        binary = item.binary
        if binary is None:
            continue
        if binary.format in _CODES:
            yield _foreign(item, binary, world.packages.get(item.place), fit, world.target)
        if binary.damage:
            yield _damaged(item, binary, world)
        elif (elf := loadable(item)) is not None:
            yield from _architecture(item, binary, elf, _everywhere(item, fit, world), world.target)
            if elf.unaligned:
                yield make(
                    "unaligned-segment",
                    item.path,
                    f"{_base(item)} cannot be mapped: {elf.unaligned}. The loader says ELF load command "
                    "address/offset not page-aligned; strip run after patchelf leaves files like this",
                    f"Take the library as it is in the wheel of {world.owner(item)}, without strip.",
                )


def _foreign(item: Item, binary: Binary, package: Package | None, fit: set[str], target: Target) -> Finding:
    """A warning where a wheel that is the same on every system brings it for the others, else an error."""
    kind = "library" if binary.library else "program"
    what = f"{_base(item)} is a {_SYSTEMS[binary.format]} {kind} for {binary.machine}"
    code = _CODES[binary.format]
    if package is not None and _pure(package) and (package.folder in fit or not binary.library):
        return make(
            code,
            item.path,
            f"{what}; the wheel of {package.name} is the same on every system, and Lambda never loads this file",
            f'Drop it: prune.drop = ["**/{_base(item)}"].',
            "warning",
        )
    name = package.name if package is not None else "the package"
    hint = (
        f"Take the Linux wheel: lock and build with lamina for {target.name}, or pip install --platform "
        f"{target.platform} --python-version {'.'.join(map(str, target.runtime.python))} "
        f"--only-binary=:all: --target python {name if package is not None else 'NAME'}."
    )
    return make(code, item.path, f"{what}; Lambda runs Linux and cannot load it", hint)


def _damaged(item: Item, binary: Binary, world: World) -> Finding:
    return make(
        "damaged-file",
        item.path,
        f"{_base(item)} is a damaged {_FORMATS[binary.format]} file: {binary.damage}",
        f"Fetch the wheel of {world.owner(item)} again and build from it; if it is so in the wheel, take another one.",
    )


def _architecture(
    item: Item, binary: Binary, elf: Elf, everywhere: Package | None, target: Target
) -> Iterator[Finding]:
    """Machine, class and byte order, as the kernel and the loader compare them (gABI, ELF header)."""
    if _runs(elf, target):
        return
    order = "" if elf.little else ", big-endian"
    what = f"{_base(item)} is built for {binary.machine} ({elf.bits} bit{order}); "
    if everywhere is not None:
        message = f"{what}the wheel of {everywhere.name} is the same on every machine, and brings one for this too"
        yield make("wrong-architecture", item.path, message, f'Drop it: prune.drop = ["**/{_base(item)}"].', "warning")
        return
    yield make(
        "wrong-architecture",
        item.path,
        f"{what}the target is {target.architecture} (64 bit)",
        f"Take the wheel for {target.architecture}: lock and build with lamina for {target.name}, or set the "
        "function's architecture to that of the library.",
    )


def _runs(elf: Elf, target: Target) -> bool:
    return elf.machine == MACHINES[target.architecture] and elf.bits == 64 and elf.little  # noqa: PLR2004 - bits


def _pure(package: Package) -> bool:
    """Whether its wheel says that it is for every system, so that no other build of it can be taken."""
    return bool(package.tags) and all(tag.endswith("-none-any") for tag in package.tags)


def _everywhere(item: Item, fit: set[str], world: World) -> Package | None:
    """The package of a file, where its wheel is for every system and holds libraries for this one as well."""
    package = world.packages.get(item.place)
    return package if package is not None and _pure(package) and package.folder in fit else None


def _base(item: Item) -> str:
    return posixpath.basename(item.path)
