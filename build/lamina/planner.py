"""Plans in the store: recalled, made, carried out, and made again where the store was damaged.

A plan is stored under the name of all it was made from. The digest that it remembers doubles as the check of the store:
another digest for the same plan means a damaged part.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

import lamina
from lamina import lock as locks
from lamina import taken
from lamina import trace as traces
from lamina.bytecode import FORMAT as COMPILED
from lamina.emit import manifest as manifests
from lamina.emit import zip as zips
from lamina.errors import IntegrityError, MissingToolError
from lamina.findings import Finding
from lamina.lock import canonical
from lamina.overlay import Generated, read_overlay
from lamina.part.library import (
    DERIVED_SUFFIXES,
    SMALL_FORMAT,
    SUFFIXES,
    Fetch,
    data_path,
    ensure,
    load_parts,
    part_key,
)
from lamina.part.model import Facts, Index
from lamina.plan import FORMAT, Plan
from lamina.progress import Progress
from lamina.project import Order
from lamina.store import Store

if TYPE_CHECKING:
    from lamina.audit.model import Artefact
    from lamina.bytecode.compilers import Compiler
    from lamina.bytecode.model import Choice
    from lamina.layer import Layer
    from lamina.planning import Decided
    from lamina.prune.model import Decision

T = TypeVar("T")


def _no_compiler() -> Compiler:
    raise MissingToolError("no CPython was given to compile with")


class Bytecode(NamedTuple):
    """What bytecode depends on beside the order.

    ``find`` gives a CPython of the target's minor version, or raises :class:`~lamina.errors.MissingToolError`. ``room``
    is what the layer may come to with it, in bytes, where the mode is ``fit``; ``None`` for no limit.
    """

    find: Callable[[], Compiler] = _no_compiler
    room: int | None = None


NO_BYTECODE = Bytecode()


class Planner:
    """Plans of one recipe, target and lock: recalled, made, carried out, and healed where the store was damaged."""

    def __init__(
        self,
        order: Order,
        store: Store,
        fetch: Fetch,
        progress: Progress,
        take: taken.Take | None = None,
        bytecode: Bytecode = NO_BYTECODE,
    ) -> None:
        """``take`` puts the base image's files of the lock into the store; without it, they must be there.

        Raises:
            RecipeError, UsageError, StaleTraceError: the recipe's trace is none, or not there where it has to be.
        """
        self.order, self.store, self.fetch, self.progress, self._take = order, store, fetch, progress, take
        recipe, target = order.recipe, order.target
        taken.check(order)
        self._committed = read_overlay(order.project.root / "layers" / recipe.name / "overlay")
        omitted = {canonical(omit.name) for omit in recipe.omit}
        self.wheels = [wheel for wheel in order.lock.wheels if wheel.name not in omitted]
        self.keys = [part_key(wheel.sha256) for wheel in self.wheels]
        self._mode = recipe.bytecode.mode
        self._bytecode = bytecode
        self.traced = traces.of(order, manifests.text_sha256(order.lock_path))
        made_from = (
            f"plan {FORMAT}",
            lamina.__version__,
            self.wheels,
            recipe.name,
            recipe.description,
            recipe.prune,
            recipe.native,
            (recipe.emit.dedupe, recipe.emit.compression, SMALL_FORMAT),
            recipe.proof.imports,
            target.name,
            target.runtime.interpreter,
            (self._mode, target.runtime.python, COMPILED, bytecode.room if self._mode == "fit" else None),
            self._counts(),
            [(file.path, hashlib.sha256(file.content).hexdigest()) for file in self._committed]
            + [(file.path, file.sha256) for file in order.lock.taken],
        )
        self.warm = True
        self.key = hashlib.sha256(msgspec.json.encode(made_from)).hexdigest()
        #: Of the plan that a machine without the target's CPython makes; one that has it never takes that.
        self._bare = hashlib.sha256(f"without bytecode {self.key}".encode()).hexdigest()

    def _counts(self) -> tuple[object, ...]:
        """What of the trace the plan depends on."""
        if self.traced is None:
            return ()
        ordering = self.traced.modules if self._mode == "fit" else ()
        return (ordering, sorted(self.traced.touched) if self.order.recipe.prune.untraced else ())

    @functools.cached_property
    def overlay(self) -> tuple[Generated, ...]:
        """The recipe's own files and those of the base image; a plan that is remembered reads no content of these."""
        return (*self._committed, *taken.contents(self.order, self.store, self._take))

    def recall(self) -> Plan | None:
        """The plan that is remembered for exactly this, if one is; it and its parts count as used now."""
        plan = self._load(self.key)
        if plan is None and self._mode != "off":
            plan = self._recall_bare()
        if plan is None:
            return None
        path = self.store.path("plans", self.key)
        used = [path, *(self.store.path("plans", self.key, suffix) for suffix in (".decisions", ".bytecode"))]
        used += [self.store.path("parts", key, suffix) for key in self.keys for suffix in SUFFIXES]
        made_of_parts = {piece.key for piece in plan.blueprint.pieces}.difference(self.keys)  # bytecode, smaller ones
        used += [self.store.path("parts", key, suffix) for key in made_of_parts for suffix in DERIVED_SUFFIXES]
        used += [self.store.path("wheels", wheel.sha256, ".whl") for wheel in self.wheels]
        used += taken.used(self.order, self.store)
        self.store.touch(used)
        return plan

    def _load(self, key: str) -> Plan | None:
        return _decoded(self.store.load(self.store.path("plans", key)), Plan)

    def _recall_bare(self) -> Plan | None:
        """The plan without bytecode, where one was made so and there still is no interpreter."""
        plan = self._load(self._bare)
        if plan is None:
            return None
        try:
            self._bytecode.find()
        except MissingToolError:
            self.key = self._bare
            return plan
        return None

    def make(self) -> Plan:
        """Parts, decisions, layer, plan. Its digest is not known before it is written."""
        return self._make()[0]

    def _make(self) -> tuple[Plan, list[list[Decision]]]:
        from lamina.planning import make_plan

        self.warm = False
        order = self.order
        locks.verify(order.lock, order.recipe, order.target, order.project.shown(order.lock_path))
        ensure(self.store, self.wheels, self.fetch, verify=True, progress=self.progress)
        self.progress.stage("deciding what ships")
        parts = load_parts(self.store, self.wheels)
        compiled = None if self._mode == "off" else self._chosen
        shrink = self._smaller if order.recipe.emit.compression == "small" else None
        overlay = self.overlay
        touched = self.traced.touched if self.traced is not None else frozenset[str]()
        make = functools.partial(make_plan, order, overlay, parts, self.keys, shrink=shrink, traced=touched)
        try:
            plan, decisions, chosen = make(compiled=compiled)
        except MissingToolError as error:
            self.key = self._bare
            plan, decisions, chosen = make(compiled=None)
            note = f"bytecode: the layer is built without: {error.message}. {error.hint}"
            plan = msgspec.structs.replace(plan, notes=(*plan.notes, note))
        self.store.save(self.store.path("plans", self.key, ".bytecode"), msgspec.msgpack.encode(chosen))
        self.store.save(self.store.path("plans", self.key, ".decisions"), msgspec.msgpack.encode(decisions))
        return plan, decisions

    def _chosen(self, parts: Sequence[tuple[Index, Facts]], layer: Layer) -> Choice:
        """The bytecode that ships in a layer that has none yet."""
        from lamina.bytecode.shipping import Means, choice

        room = self._bytecode.room
        return choice(
            self._mode,
            layer.picks,
            parts,
            self.keys,
            self.order.target.runtime.python,
            Means(self.store, self._bytecode.find, self.progress),
            imports=self.order.recipe.proof.imports,
            traced=() if self.traced is None else self.traced.modules,
            room=None if room is None else room - layer.unzipped_bytes,
        )

    def _smaller(self, parts: Sequence[tuple[Index, Facts]], layer: Layer) -> tuple[Layer, list[str]]:
        """The layer with its entries as they are compressed again, and the names of their data."""
        from lamina.emit.smaller import smaller

        trim = self.order.recipe.native.trim
        return smaller(layer, parts, self.keys, self.store, self.progress, trim=trim)

    def ships(self, notices: bytes = b"") -> Layer:
        """The layer as it ships, with these notices."""
        from lamina.planning import layer_of

        return layer_of(self._decided(), notices, self.bytecode())

    def bytecode(self) -> Choice:
        """What ships as bytecode, and what became of sources for it; remembered, or decided now."""
        from lamina.bytecode.model import Choice

        self.decisions()
        said = _decoded(self.store.load(self.store.path("plans", self.key, ".bytecode")), Choice)
        if said is None:
            self._make()
            said = _decoded(self.store.load(self.store.path("plans", self.key, ".bytecode")), Choice)
        return said or Choice(())

    def decisions(self) -> tuple[list[tuple[Index, Facts]], list[list[Decision]]]:
        """The parts, and what was decided for each; remembered, or made now."""
        from lamina.prune.model import Decision

        said = _decoded(self.store.load(self.store.path("plans", self.key, ".decisions")), list[list[Decision]])
        if said is not None:
            with contextlib.suppress(IntegrityError):
                return load_parts(self.store, self.wheels), said
        _, said = self._make()
        return load_parts(self.store, self.wheels), said

    def _decided(self) -> Decided:
        from lamina.planning import Decided

        parts, said = self.decisions()
        return Decided(self.order, self.overlay, parts, said)

    def layer(self) -> Artefact:
        """The layer as checks judge it, from the facts of its parts and what was decided."""
        from lamina.planning import layer_artefact

        return layer_artefact(self._decided())

    def composing_findings(self) -> tuple[Finding, ...]:
        """What putting the layer together found, whatever it stands in."""
        from lamina.planning import composing_findings

        return composing_findings(self._decided())

    def write(self, plan: Plan, path: Path) -> Plan:
        """Write the zip to ``path`` and return the plan with its digest.

        The digest that a plan remembers is the check of the store: another one, or a part that is not there, means
        damage, and then parts and plan are made again.
        """
        digest = self._write(plan, path)
        if digest is None or (plan.sha256 and digest != plan.sha256):
            self.progress.stage("the store was damaged: making its parts again")
            plan = self.make()
            digest = self._write(plan, path)
        if digest is None:
            raise IntegrityError(
                f"{self.store.root}: parts vanish while they are read", hint="Run lamina cache clear, then build again."
            )
        if plan.sha256 == digest:
            return plan
        plan = msgspec.structs.replace(plan, sha256=digest)
        self.store.save(self.store.path("plans", self.key), msgspec.msgpack.encode(plan))
        return plan

    def _write(self, plan: Plan, path: Path) -> str | None:
        try:
            with path.open("wb") as out:
                return zips.write(plan.blueprint, lambda key: data_path(self.store, key), out)
        except (FileNotFoundError, EOFError, ValueError):
            return None


def _decoded(content: bytes | None, kind: type[T]) -> T | None:
    """A remembered value, or ``None`` where there is none, or one that another version remembered."""
    try:
        return None if content is None else msgspec.msgpack.decode(content, type=kind)
    except msgspec.MsgspecError:
        return None
