"""A place in which the artefacts of one order run: what was emitted, unpacked, in a sandbox of the target's Python."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from lamina.emit import manifest as manifests
from lamina.engine.base import reference
from lamina.errors import FindingsError, IntegrityError, UsageError
from lamina.function.build import stem
from lamina.prove.container import open_container
from lamina.prove.interpreters import find
from lamina.prove.model import Sandbox, Stage
from lamina.prove.runtime_standin import standin
from lamina.prove.sandbox import open_sandbox
from lamina.prove.stage import Source, unpacked
from lamina.prove.untouched import untouched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lamina.emit.manifest import Manifest
    from lamina.index import Indexes
    from lamina.part.library import Fetch
    from lamina.progress import Progress
    from lamina.project import Order
    from lamina.prove.imports import Import
    from lamina.store import Store

#: Where proofs run: in a sandbox of this machine, or in containers of the target's base image.
Place = Literal["host", "container"]

_Opened: TypeAlias = "Callable[[Stage], contextlib.AbstractContextManager[Sandbox]]"


class Emitted(NamedTuple):
    """One zip in the output folder and the manifest beside it, which describes these very bytes."""

    path: Path
    manifest: Manifest

    @property
    def report(self) -> Path:
        """Where the manifest stands."""
        return self.path.with_suffix(".json")


class Session(NamedTuple):
    """The artefacts of one order, ready to run. ``unpruned`` imports names from the wheels as they are."""

    order: Order
    layer: Emitted
    function: Emitted | None
    sandbox: Sandbox
    unpruned: Callable[[Sequence[str]], Sequence[Import]]


class Means(NamedTuple):
    """What opening a session needs of the edge."""

    store: Store
    fetch: Fetch
    indexes: Callable[[], Indexes]
    environment: Mapping[str, str]
    progress: Progress
    offline: bool = False
    place: Place = "host"
    network: bool = False


@contextlib.contextmanager
def open_session(order: Order, means: Means) -> Iterator[Session]:
    """Unpack what was emitted for an order and open a sandbox over it; all of it is ended and removed at the end.

    Raises:
        UsageError: there is no artefact to run.
        FindingsError: there is none because the build found errors.
        IntegrityError: a zip is not the one that its manifest describes.
        MissingToolError: this machine cannot run the target's binaries, or has no CPython of its version; or it has no
            container engine, where one was asked for.
        IndexAccessError: what the runtime has beside the standard library cannot be fetched.
    """
    layer = _emitted(order, order.name)
    wanted = order.recipe.function is not None and "function" in order.recipe.artefacts
    function = _emitted(order, stem(order)) if wanted else None
    bare, opened = _in_containers(order, means) if means.place == "container" else _on_host(order, means)
    means.progress.stage(f"unpacking {layer.path.name}")
    task = _unpacked(function, means.store) if function is not None else None
    stage = bare._replace(opt=_unpacked(layer, means.store), task=task)

    ask = untouched(stage, opened, order.lock.wheels, means.fetch, store=means.store)

    def unpruned(names: Sequence[str]) -> Sequence[Import]:
        means.progress.stage("importing from the wheels as they are, to compare")
        return ask(names)

    with opened(stage) as sandbox:
        yield Session(order, layer, function, sandbox, unpruned)


def _on_host(order: Order, means: Means) -> tuple[Stage, _Opened]:
    """What runs on this machine, without the artefacts, and how a sandbox over it is opened."""
    stage = Stage(find(order.target, means.environment).path, _standin(order, means))
    return stage, lambda whole: contextlib.closing(open_sandbox(whole, order.target.runtime, network=means.network))


def _in_containers(order: Order, means: Means) -> tuple[Stage, _Opened]:
    """The same with an engine: interpreter and runtime are the image's."""
    stated = order.recipe.image.base if order.recipe.image is not None else None
    image = reference(stated, order.target, means.environment)

    def opened(stage: Stage) -> contextlib.AbstractContextManager[Sandbox]:
        means.progress.stage(f"asking a container engine for {image}")
        return open_container(
            stage,
            order.target,
            image,
            means.environment,
            lambda: _standin(order, means),
            offline=means.offline,
            progress=means.progress,
            network=means.network,
        )

    return Stage(Path(order.target.runtime.interpreter), Path()), opened


def _standin(order: Order, means: Means) -> Path:
    return standin(
        order.target, store=means.store, indexes=means.indexes(), offline=means.offline, progress=means.progress
    )


def _emitted(order: Order, name: str) -> Emitted:
    path = order.project.output / f"{name}.zip"
    manifest = manifests.read(path.with_suffix(".json"))
    errors = [one for one in manifest.findings if one.severity == "error" and not one.accepted] if manifest else []
    if manifest is not None and manifest.sha256 is None and errors:
        found = ", ".join(dict.fromkeys(f"{one.code} in {one.path}" for one in errors))
        raise FindingsError(
            f"{order.project.shown(path)}: was not made, for errors that the build found: {found}",
            hint=f"See what they mean: lamina build {order.recipe.name}",
        )
    if manifest is None or manifest.sha256 is None or not path.is_file():
        raise UsageError(
            f"{order.project.shown(path)}: there is no such artefact to prove",
            hint=f"Build it first: lamina build {order.recipe.name}",
        )
    with path.open("rb", buffering=0) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != manifest.sha256:
        raise IntegrityError(
            f"{order.project.shown(path)}: is not the zip that the manifest beside it describes",
            hint=f"Build it again: lamina build {order.recipe.name}",
        )
    return Emitted(path, manifest)


def _unpacked(emitted: Emitted, store: Store) -> Path:
    return unpacked(store, [Source(emitted.path, emitted.manifest.sha256 or "", emitted.path.name)])
