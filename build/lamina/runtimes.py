"""What is known of AWS Lambda: its Python runtimes, architectures and quotas, read from ``runtimes.toml``.

Every fact is data, with its source beside it in that file; no other module holds one as a literal. The file is read
once a process, which takes some milliseconds of a warm build: hence no heavy import here.
"""

import datetime as dt
import functools
from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli

#: How sure a fact is. Inferred and unverified facts are good for warnings, never for errors.
Status = Literal["certain", "measured", "inferred", "unverified"]

#: Whether a shared library is in the managed runtime.
Presence = Literal["present", "absent", "unverified"]

#: A version of glibc, (2, 26).
Glibc = tuple[int, int]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where ``facts`` (keys of the table beside it in ``runtimes.toml``) come from, and how sure they are."""

    facts: tuple[str, ...]
    status: Status
    where: str


class ByArchitecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that differs by architecture, named as wheels spell it."""

    x86_64: tuple[int, ...]
    aarch64: tuple[int, ...]

    def of(self, architecture: str) -> tuple[int, ...]:
        """The version on ``architecture``."""
        return self.aarch64 if architecture == "aarch64" else self.x86_64


class Runtime(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="kebab"):
    """What is known of one Lambda runtime. Versions are tuples of numbers, so that they compare.

    ``glibcxx`` and ``cxxabi`` are the highest symbol versions of libstdc++ that are certain; the ``_inferred`` ones,
    where there are any, are what newer images probably have. ``gcc`` is the highest version of libgcc_s, which differs
    by architecture. The loader looks in the folders of ``library_path`` (LD_LIBRARY_PATH) and ``system_folders``, in
    their order. ``libraries_present`` and ``libraries_unverified`` hold sonames (``libz.so.1``), ``libraries_absent``
    names without a version (``libgomp``): absent in every version.
    ``modules`` are the top-level modules that a function can import beside the standard library,
    ``modules_unverified`` those of which nobody has looked whether the managed runtime has them.
    """

    name: str
    python: tuple[int, int]
    python_full_version: str
    interpreter: str
    deprecated: dt.date
    os: str
    glibc: Glibc
    glibcxx: tuple[int, int, int]
    cxxabi: tuple[int, int, int]
    glibcxx_inferred: tuple[int, int, int] | None = None
    cxxabi_inferred: tuple[int, int, int] | None = None
    gcc: ByArchitecture
    gcc_inferred: ByArchitecture | None = None
    sqlite: tuple[int, ...]
    openssl: tuple[int, ...]
    libraries_present: frozenset[str]
    libraries_unverified: frozenset[str]
    libraries_absent: frozenset[str]
    library_path: tuple[str, ...]
    system_folders: tuple[str, ...]
    modules: frozenset[str]
    modules_unverified: frozenset[str]
    sources: tuple[Source, ...]

    @property
    def abi(self) -> str:
        """The runtime's CPython as wheels spell it: ``cp311``."""
        return "cp{}{}".format(*self.python)

    def library(self, soname: str) -> Presence:
        """Whether the shared library ``soname`` (``libgomp.so.1``) is there; ``unverified`` where nobody has looked."""
        if soname in self.libraries_present:
            return "present"
        return "absent" if soname.partition(".so")[0] in self.libraries_absent else "unverified"


class Quotas(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="kebab"):
    """Lambda's quotas: sizes in bytes, lengths in characters, the rest counts.

    ``unzipped`` is for a function and all its layers together. ``direct_upload`` limits a zip sent in the request,
    ``request`` the request itself, in which the zip is base64. An archive stays *below* ``entries``.
    ``layer_name`` is a regular expression for the whole name. ``event`` is what a function can be called with and
    ``answer`` what it can answer, ``log_tail`` what an answer carries of the log; ``init`` is in seconds.
    """

    unzipped: int
    direct_upload: int
    request: int
    layers: int
    entries: int
    image: int
    environment: int
    layer_name: str
    description: int
    license_info: int
    compatible_runtimes: int
    compatible_architectures: int
    event: int
    answer: int
    init: int
    log_tail: int
    sources: tuple[Source, ...]


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A processor architecture, named as in wheels: other names for it, and the lowest glibc of its manylinux.

    Lambda has a name of its own for it, and so have container images.
    ``aliases`` are accepted in a recipe's ``architecture``; ``mistaken`` names are not, but leave no doubt.
    """

    name: str
    lambda_name: str = msgspec.field(name="lambda")
    image_name: str = msgspec.field(name="image")
    floor: Glibc
    aliases: tuple[str, ...]
    mistaken: tuple[str, ...]
    sources: tuple[Source, ...]


class Manylinux(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The names that ``manylinux_2_N`` had before PEP 600, lowest first."""

    aliases: dict[str, Glibc]
    sources: tuple[Source, ...]


class Markers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The environment markers (PEP 508) that are the same on every runtime."""

    environment: dict[str, str]
    sources: tuple[Source, ...]


class BaseImages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where AWS's base images are; the tag is the Python, as ``3.11``."""

    repository: str
    sources: tuple[Source, ...]


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """All of ``runtimes.toml``, with each runtime's system merged into it; runtimes oldest first."""

    runtimes: tuple[Runtime, ...]
    architectures: tuple[Architecture, ...]
    manylinux: Manylinux
    markers: Markers
    base_images: BaseImages
    quotas: Quotas


@functools.cache
def facts() -> Facts:
    """Everything known, read once."""
    # Beside this file rather than through importlib.resources, whose import alone costs more than the rest.
    raw: dict[str, Any] = tomli.loads(Path(__file__).with_name("runtimes.toml").read_text(encoding="utf-8"))
    systems, shared = raw.pop("systems"), raw.pop("every-runtime")
    raw["runtimes"] = [_merged(shared, systems[row.pop("system")], row) for row in raw["runtimes"]]
    return msgspec.convert(raw, Facts)


def runtimes() -> tuple[Runtime, ...]:
    """Every known Lambda runtime for Python, oldest first."""
    return facts().runtimes


def image_architecture(name: str) -> str:
    """How images spell an architecture; what no wheel spells so stays as it is."""
    return next((one.image_name for one in facts().architectures if one.name == name), name)


def quotas() -> Quotas:
    """Lambda's quotas."""
    return facts().quotas


def _merged(*tables: dict[str, Any]) -> dict[str, Any]:
    """One table of all: lists of names and of sources are joined, anything else stands in one table only."""
    merged: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            merged[key] = [*merged[key], *value] if key in merged else value
    return merged
