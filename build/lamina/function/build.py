"""The function of one order: judged beside its layer, written beside it.

What was found is remembered under the layer's plan and the function's content: only where one of the two has changed is
the layer looked at again.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

import lamina
from lamina.audit.budget import check_zip
from lamina.emit import manifest as manifests
from lamina.emit import zip as zips
from lamina.emit.function import draw
from lamina.files import beside, put
from lamina.findings import Finding, accept, fails
from lamina.function.pack import Pack
from lamina.project import Order
from lamina.recipe import Function
from lamina.runtimes import quotas
from lamina.store import Store

if TYPE_CHECKING:
    from lamina.audit.model import Artefact

#: Counted up with every change of what is judged or how.
FORMAT = 2


class FunctionBuilt(NamedTuple):
    """The outcome for the function of one order. ``artefact`` is ``None`` where an error forbade one.

    ``withheld`` tells that the error is the layer's: a function goes nowhere without its layer.
    """

    manifest: manifests.Manifest
    artefact: Path | None
    withheld: bool = False


def stem(order: Order) -> str:
    """The stem of what is emitted for the function: ``sklearn-cp311-manylinux2014_x86_64-function``."""
    return f"{order.name}-function"


def found_in(
    order: Order,
    function: Function,
    pack: Pack,
    *,
    plan_key: str,
    layer: Callable[[], Artefact],
    others: Sequence[tuple[Path, str]],
    store: Store,
) -> tuple[Finding, ...]:
    """What is found in the function beside its layer; remembered, or judged now.

    ``plan_key`` names all that the layer is made from; ``layer`` gives it as a value, and is called only where nothing
    is remembered. ``others`` are the zips of further layers of the function, each with its SHA-256.
    """
    provided = order.recipe.provided
    made_from = (
        f"function {FORMAT}",
        lamina.__version__,
        sys.version_info[:2],  # which decides what source code can be read
        plan_key,
        [(path.name, sha256) for path, sha256 in others],
        function,
        provided,
        pack.sha256,
        stem(order),
    )
    key = hashlib.sha256(msgspec.json.encode(made_from, order="deterministic")).hexdigest()
    path = store.path("plans", key, ".function")
    remembered = store.load(path)
    if remembered is not None:
        try:
            known = msgspec.msgpack.decode(remembered, type=tuple[Finding, ...])
        except msgspec.MsgspecError:
            pass
        else:
            store.touch([path])
            return known
    from lamina.artefact.opening import open_artefact
    from lamina.function.judge import judge

    layers = [*(open_artefact(str(path), kind="layer") for path, _ in others), layer()]
    found = judge(f"{stem(order)}.zip", pack, function, layers, order.target, provided)
    store.save(path, msgspec.msgpack.encode(found))
    return found


def write(order: Order, pack: Pack, found: tuple[Finding, ...], *, layer_fails: bool) -> FunctionBuilt:
    """Write zip and manifest into the order's output folder; with an error only the manifest, as the report.

    Proofs in the manifest that was there stay where it is about the same bytes.

    Raises:
        FindingsError: a zip of more than 4 GiB.
    """
    output, name = order.project.output, stem(order)
    artefact, report = output / f"{name}.zip", output / f"{name}.json"
    blueprint = draw(pack.files)
    size = check_zip(artefact.name, blueprint.zipped_bytes, len(pack.files), quotas())
    findings = accept(found, order.recipe.accept)
    if not fails(findings):
        findings = (*findings, *accept(size, order.recipe.accept))
    failed = fails(findings)
    earlier = manifests.read(report)
    output.mkdir(parents=True, exist_ok=True)
    sha256 = None
    if failed or layer_fails:
        report.unlink(missing_ok=True)
        artefact.unlink(missing_ok=True)
    else:
        with beside(artefact) as unfinished:
            with unfinished.open("wb") as out:
                sha256 = zips.write(blueprint, Path, out)
            # As with the layer, while a manifest stands, what it describes is complete.
            report.unlink(missing_ok=True)
    manifest = manifests.Manifest(
        name=order.recipe.name,
        target=order.target.name,
        runtime=order.target.runtime.name,
        architecture=order.target.lambda_architecture,
        sha256=sha256,
        code_sha256=manifests.code_sha256(sha256) if sha256 else None,
        zipped_bytes=blueprint.zipped_bytes,
        unzipped_bytes=pack.unzipped_bytes,
        entries=len(pack.files),
        packages=(),
        findings=findings,
        proofs=earlier.proofs if earlier is not None and sha256 and earlier.sha256 == sha256 else (),
        recipe_sha256=manifests.text_sha256(order.project.recipe_path),
        lock_sha256=manifests.text_sha256(order.lock_path),
        lamina_version=lamina.__version__,
    )
    put(report, manifests.render(manifest))
    return FunctionBuilt(manifest, artefact if sha256 else None, withheld=layer_fails and not failed)
