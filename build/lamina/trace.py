"""Traces: what a recipe's proofs touched of its layer, target by target, in the file ``layers/<name>/trace.json``.

It is made by ``lamina trace``, committed, and read by builds: it orders bytecode, and ``prune.untraced`` drops what it
does not name. Paths are those of the layer (``python/numpy/__init__.py``), one a line, so that a change is reviewed.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Annotated

import msgspec

from lamina.errors import RecipeError, StaleTraceError, UsageError
from lamina.files import put
from lamina.project import Order, Project

#: A layer of 100,000 files fits, at the length that paths have; a larger file was made to exhaust its reader.
_MOST_BYTES = 16 * 1024**2
#: PATH_MAX of Linux, in bytes.
_MOST_PATH_BYTES = 4096

#: Names between slashes, none empty, ``.`` or ``..``, without backslashes and control characters.
_NAME = r"(?!\.\.?(?:/|\Z))[^/\\\x00-\x1f\x7f]+"
_PATH = re.compile(f"{_NAME}(?:/{_NAME})*")

#: Bytecode as PEP 3147 names it, and the source that it is of.
_CACHED = re.compile(r"(?P<folder>(?:.*/)?)__pycache__/(?P<name>[^/]+?)\.[^/.]+-[0-9]+(?:\.opt-[^/.]+)?\.pyc")

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Traced(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was touched for one target. All but ``modules`` are sorted.

    ``lock`` is the SHA-256 of the lock that the layer was made by, as its manifest states it. ``modules`` are Python
    sources, in the order in which they were first loaded, whether from the source or from bytecode. ``libraries`` are
    native files, extension modules among them. ``metadata`` are files of ``.dist-info`` folders.
    """

    lock: _Digest
    modules: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def touched(self) -> frozenset[str]:
        """All layer paths that were touched."""
        return frozenset((*self.modules, *self.libraries, *self.metadata, *self.files))


class Trace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: what was touched, by the target's name."""

    targets: dict[str, Traced] = {}


def trace_path(project: Project, name: str) -> Path:
    """Where the trace of the recipe ``name`` stands."""
    return project.root / "layers" / name / "trace.json"


def read(path: Path, shown: str) -> Trace:
    """The trace there; an empty one where there is no file. ``shown`` is the path as messages have it.

    Raises:
        RecipeError: it is not what ``lamina trace`` writes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return Trace()
    except OSError as error:
        raise _wrong(f"{shown}: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise _wrong(f"{shown}: more than {_MOST_BYTES:,} bytes")
    return _parsed(content, shown)


@functools.lru_cache(maxsize=1)  # each target of a recipe asks for the same
def _parsed(content: bytes, shown: str) -> Trace:
    try:
        trace = msgspec.json.decode(content, type=Trace)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong(f"{shown}: {error}") from None
    for target, traced in trace.targets.items():
        wrong = _mistake(traced)
        if wrong:
            named = target if target.isprintable() else json.dumps(target)
            raise _wrong(f"{shown}: targets.{named[:200]}.{wrong}")
    return trace


def render(trace: Trace) -> bytes:
    """The file: one path a line, targets by their names."""
    return msgspec.json.format(msgspec.json.encode(trace, order="deterministic"), indent=2) + b"\n"


def update(path: Path, trace: Trace, target: str, traced: Traced) -> bool:
    """Write the trace with this entry for the target, the others as they are; whether that changed the file."""
    content = render(Trace({**trace.targets, target: traced}))
    if path.is_file() and path.read_bytes().replace(b"\r\n", b"\n") == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, content)
    return True


def of(order: Order, lock_sha256: str) -> Traced | None:
    """What was traced for the order's target, ``None`` where nothing was.

    ``lock_sha256`` is the digest of the lock that counts now. For the order of bytecode a trace of another one is as
    good; to drop what it does not name, it must be of this one.

    Raises:
        RecipeError: the trace is not what ``lamina trace`` writes.
        UsageError: ``prune.untraced`` needs a trace, and there is none for the target.
        StaleTraceError: ``prune.untraced`` needs a trace of this lock, and there is one of another.
    """
    path = trace_path(order.project, order.recipe.name)
    shown = order.project.shown(path)
    traced = read(path, shown).targets.get(order.target.name)
    if order.recipe.prune.untraced:
        hint = f"Make it: {command(order)}"
        if traced is None:
            message = f"{shown}: has no trace for {order.target.name}, which prune.untraced of the recipe needs"
            raise UsageError(message, hint=hint)
        if traced.lock != lock_sha256:
            message = f"{shown}: for {order.target.name} it was made with another lock, so prune.untraced cannot use it"
            raise StaleTraceError(message, hint=hint)
    return traced


def command(order: Order) -> str:
    """The command that traces this order."""
    return f"lamina trace {order.recipe.name} --target {order.target.name}"


def stands_for(path: str) -> str:
    """The layer path that a trace has for a file: a source for its bytecode in ``__pycache__``, else the file's own."""
    cached = _CACHED.fullmatch(path)
    return path if cached is None else f"{cached['folder']}{cached['name']}.py"


def _mistake(traced: Traced) -> str:
    """What is wrong with an entry, with its place in it; empty for one that is as it must be."""
    seen: set[str] = set()
    for name in ("modules", "libraries", "metadata", "files"):
        paths: tuple[str, ...] = getattr(traced, name)
        for number, path in enumerate(paths):
            wrong = "stands there twice" if path in seen else "" if _is_path(path) else "is no path in a layer"
            if wrong:
                return f"{name}[{number}]: {json.dumps(path[:200])} {wrong}"
            seen.add(path)
        if name != "modules" and list(paths) != sorted(paths):
            return f"{name}: is not sorted"
    return ""


def _is_path(path: str) -> bool:
    return len(path.encode(errors="surrogatepass")) <= _MOST_PATH_BYTES and _PATH.fullmatch(path) is not None


def _wrong(message: str) -> RecipeError:
    return RecipeError(message, hint="Traces are written by lamina trace: remove the file, and run it again.")
