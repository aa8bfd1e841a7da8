"""A place in which the artefacts of one order run: zips in a sandbox of the target's Python, images in an engine."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from lamina.emit import manifest as manifests
from lamina.engine.base import runnable
from lamina.engine.connect import connect
from lamina.errors import FindingsError, IntegrityError, UsageError
from lamina.function.build import stem
from lamina.interpreters import find
from lamina.oci.layouts import open_layout
from lamina.prove.container import ContainerSandbox, open_container, open_image
from lamina.prove.emulator import Entry, entry_of
from lamina.prove.loaded import loaded, shipped_in
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
    from lamina.recipe import Recipe
    from lamina.store import Store

#: Where proofs run: in a sandbox of this machine, or in containers of the target's base image.
Place = Literal["host", "container"]
#: What is proven together: the layer with the function beside it, or the image.
Kind = Literal["zips", "image"]

_Opened: TypeAlias = "Callable[[Stage], contextlib.AbstractContextManager[Sandbox]]"


class Emitted(NamedTuple):
    """One artefact in the output folder and the manifest beside it, which describes these very bytes."""

    path: Path
    manifest: Manifest

    @property
    def report(self) -> Path:
        """Where the manifest stands."""
        return self.path.with_suffix(".json")


class Session(NamedTuple):
    """The artefacts of one order, ready to run: a layer with a function perhaps, or an image.

    ``shipped`` gives the paths of all that the layer ships, relative to ``/opt``. ``unpruned`` imports names from the
    wheels as they are. ``entry`` is what the image starts. ``one_by_one`` has imports run in their order.
    """

    order: Order
    layer: Emitted | None
    function: Emitted | None
    image: Emitted | None
    sandbox: Sandbox
    shipped: Callable[[], Sequence[str]]
    unpruned: Callable[[Sequence[str]], Sequence[Import]]
    entry: Entry | None = None
    one_by_one: bool = False

    @property
    def runs_function(self) -> bool:
        """Whether the function of the recipe is there to be called."""
        return self.order.recipe.function is not None and (self.function is not None or self.image is not None)

    @property
    def artefacts(self) -> tuple[Emitted, ...]:
        """All that runs here."""
        return tuple(one for one in (self.layer, self.function, self.image) if one is not None)


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


def kinds(recipe: Recipe) -> tuple[Kind, ...]:
    """What the artefacts of a recipe are proven as, one after the other."""
    zips: tuple[Kind, ...] = ("zips",) if set(recipe.artefacts) - {"image"} else ()
    return (*zips, "image") if "image" in recipe.artefacts else zips


@contextlib.contextmanager
def open_session(order: Order, means: Means, kind: Kind = "zips") -> Iterator[Session]:
    """Open a sandbox over what was emitted for an order; all of it is ended and removed at the end.

    Zips are unpacked for it. An image is loaded into a container engine, wherever the zips are proven.

    Raises:
        UsageError: there is no artefact to run.
        FindingsError: there is none because the build found errors.
        IntegrityError: an artefact is not the one that its manifest describes.
        MissingToolError: this machine cannot run the target's binaries, or has no CPython of its version; or it has no
            container engine, where one is needed.
        IndexAccessError: what the runtime has beside the standard library cannot be fetched.
    """
    with _open_image(order, means) if kind == "image" else _open_zips(order, means) as session:
        yield session


@contextlib.contextmanager
def _open_zips(order: Order, means: Means) -> Iterator[Session]:
    layer = _emitted(order, f"{order.name}.zip", "build")
    wanted = order.recipe.function is not None and "function" in order.recipe.artefacts
    function = _emitted(order, f"{stem(order)}.zip", "build") if wanted else None
    bare, opened = _in_containers(order, means) if means.place == "container" else on_host(order, means)
    means.progress.stage(f"unpacking {layer.path.name}")
    task = _unpacked(function, means.store) if function is not None else None
    stage = bare._replace(opt=_unpacked(layer, means.store), task=task)
    unpruned = _untouched(order, means, stage, opened)
    with opened(stage) as sandbox:
        yield Session(order, layer, function, None, sandbox, lambda: _names(layer.path), unpruned)


@contextlib.contextmanager
def open_trees(order: Order, means: Means, opt: Path, task: Path | None) -> Iterator[Sandbox]:
    """A sandbox over these folders, as layer and function.

    Raises:
        MissingToolError, IndexAccessError: as :func:`open_session`.
    """
    bare, opened = _in_containers(order, means) if means.place == "container" else on_host(order, means)
    with opened(bare._replace(opt=opt, task=task)) as sandbox:
        yield sandbox


@contextlib.contextmanager
def _open_image(order: Order, means: Means) -> Iterator[Session]:
    emitted = _emitted(order, f"{order.name}.oci.tar", "image")
    stage = Stage(Path(order.target.runtime.interpreter), Path())
    architecture, name, label = order.target.architecture, emitted.path.name, secrets.token_hex(8)
    with contextlib.closing(connect(means.environment)) as engine:
        means.progress.stage(f"loading {name}")
        stored = open_layout(emitted.path, architecture, means.store, name=name, progress=means.progress)
        with loaded(engine, stored, label, means.environment) as image:

            def opened(stage: Stage) -> ContainerSandbox:
                own = connect(means.environment)
                standin = partial(_standin, order, means)
                return open_image(stage, order.target, own, image, standin, label=label, network=means.network)

            unpruned = _untouched(order, means, stage, opened)
            with opened(stage) as sandbox:
                shipped = partial(shipped_in, sandbox)
                yield Session(order, None, None, emitted, sandbox, shipped, unpruned, entry_of(image))


def _untouched(
    order: Order, means: Means, stage: Stage, opened: _Opened
) -> Callable[[Sequence[str]], Sequence[Import]]:
    ask = untouched(stage, opened, order.lock.wheels, means.fetch, store=means.store)

    def unpruned(names: Sequence[str]) -> Sequence[Import]:
        means.progress.stage("importing from the wheels as they are, to compare")
        return ask(names)

    return unpruned


def _names(path: Path) -> list[str]:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def on_host(order: Order, means: Means) -> tuple[Stage, _Opened]:
    """What runs on this machine, without the artefacts, and how a sandbox over it is opened."""
    stage = Stage(find(order.target, means.environment).path, _standin(order, means))
    return stage, lambda whole: contextlib.closing(open_sandbox(whole, order.target.runtime, network=means.network))


def _in_containers(order: Order, means: Means) -> tuple[Stage, _Opened]:
    """The same with an engine: interpreter and runtime are the image's."""
    image = runnable(order.recipe, order.target, means.environment)

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


def _emitted(order: Order, name: str, command: str) -> Emitted:
    path = order.project.output / name
    manifest = manifests.read(path.with_suffix(".json"))
    errors = [one for one in manifest.findings if one.severity == "error" and not one.accepted] if manifest else []
    if manifest is not None and manifest.sha256 is None and errors:
        found = ", ".join(dict.fromkeys(f"{one.code} in {one.path}" for one in errors))
        raise FindingsError(
            f"{order.project.shown(path)}: was not made, for errors that the build found: {found}",
            hint=f"See what they mean: lamina {command} {order.recipe.name}",
        )
    if manifest is None or manifest.sha256 is None or not path.is_file():
        raise UsageError(
            f"{order.project.shown(path)}: there is no such artefact to run",
            hint=f"Build it first: lamina {command} {order.recipe.name}",
        )
    with path.open("rb", buffering=0) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != manifest.sha256:
        what = "zip" if path.suffix == ".zip" else "archive"
        raise IntegrityError(
            f"{order.project.shown(path)}: is not the {what} that the manifest beside it describes",
            hint=f"Build it again: lamina {command} {order.recipe.name}",
        )
    return Emitted(path, manifest)


def _unpacked(emitted: Emitted, store: Store) -> Path:
    return unpacked(store, [Source(emitted.path, emitted.manifest.sha256 or "", emitted.path.name)])
