"""The configuration of a base → that of our image: Lambda's command and environment, our layers, our labels.

Sources: OCI image-spec 1.1, "Image Configuration"; Lambda developer guide, page images-create (the entry point of the
base takes the handler as its one argument).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from lamina.errors import IntegrityError, UsageError
from lamina.recipe import Function
from lamina.runtimes import image_architecture
from lamina.target import Target

#: What image-spec defines of a configuration; the rest is of the engine that built the base, and of its build.
_KEPT = ("architecture", "author", "created", "os", "variant")
#: What it defines of ``config``, with what Docker has beside it and every engine reads.
_KEPT_CONFIG = frozenset(
    "User ExposedPorts Env Entrypoint Cmd Volumes WorkingDir Labels StopSignal Healthcheck Shell".split()
)
#: Where the base does not say when it was made: the date of all files that are written here.
_CREATED = "1980-02-01T00:00:00Z"
_AWS = "Name AWS's base image of the runtime, or one with its entry point (/lambda-entrypoint.sh) as base."


class Added(NamedTuple):
    """A layer that is put on the base: the digest of its tar, and what it is, for the history."""

    diff_id: str
    what: str


def read(content: bytes, name: str, layers: int, target: Target) -> dict[str, Any]:
    """The configuration of the base called ``name``, which has so many layers, held against the target.

    Raises:
        IntegrityError: it cannot be read, or contradicts its manifest.
        UsageError: it is for another architecture or system, or states no entry point.
    """
    try:
        config = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(f"{name}: its configuration cannot be read: {error}", hint=_AWS) from error
    rootfs, run = config.get("rootfs"), config.get("config")
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(found, list) or len(found) != layers or not all(isinstance(one, str) for one in found):
        raise IntegrityError(
            f"{name}: its configuration does not know the {layers} layers of its manifest", hint="Fetch it again."
        )
    wanted = image_architecture(target.architecture)
    system = f"{config.get('os')}/{config.get('architecture')}"
    if system != f"linux/{wanted}":
        raise UsageError(
            f"{name}: is an image for {system}; {target.name} needs linux/{wanted}",
            hint="Name one that has it, or choose the recipe's other target by --target.",
        )
    if not isinstance(run, dict) or not _is_command(run.get("Entrypoint")):
        raise UsageError(f"{name}: states no entry point, so nothing in it would start a function", hint=_AWS)
    return config


def make(
    base: Mapping[str, Any], added: Sequence[Added], function: Function | None, labels: Mapping[str, str]
) -> bytes:
    """The configuration as JSON: the base's, with ``added`` layers and ``labels``.

    The command is the function's handler, and its variables that have a value are in the environment: those that are
    required or secret are whoever deploys's. Entry point, working directory and user stay the base's. ``base`` is as
    :func:`read` gave it.
    """
    run = {key: value for key, value in base["config"].items() if key in _KEPT_CONFIG and value is not None}
    if function is not None:
        run["Cmd"] = [function.handler]
        run["Env"] = environment(run.get("Env"), function)
    kept = run.get("Labels")
    run["Labels"] = {**(kept if isinstance(kept, dict) else {}), **labels}
    created = base.get("created")
    if not isinstance(created, str) or created.startswith("0001-"):  # Go's zero date, as some builders leave it
        created = _CREATED
    diff_ids = base["rootfs"]["diff_ids"]
    made = {key: base[key] for key in _KEPT if base.get(key)}
    made |= {
        "created": created,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [*diff_ids, *(layer.diff_id for layer in added)]},
        "history": [
            *_history(base.get("history"), len(diff_ids), created),
            *({"created": created, "created_by": f"lamina: {layer.what}"} for layer in added),
        ],
    }
    return msgspec.json.encode(made, order="sorted")


def environment(stated: object, function: Function) -> list[str]:
    """The base's variables, each as ``NAME=value``, with the function's values in the place of those of their names."""
    values = [one for one in stated if isinstance(one, str)] if isinstance(stated, list) else []
    given = {name: variable.value for name, variable in function.environment.items() if variable.value is not None}
    found = {one.partition("=")[0]: one for one in values}
    return [*(found | {name: f"{name}={value}" for name, value in given.items()}).values()]


def _history(stated: object, layers: int, created: str) -> list[dict[str, Any]]:
    """The base's history where it tells of its layers, else an entry for each: readers hold the two together."""
    entries = [one for one in stated if isinstance(one, dict)] if isinstance(stated, list) else []
    if sum(not one.get("empty_layer") for one in entries) == layers:
        return entries
    return [{"created": created, "created_by": "the base image"} for _ in range(layers)]


def _is_command(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)
