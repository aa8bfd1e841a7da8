"""Events once more, through the emulator that a base image brings: what ``docker run`` of an image would start."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from lamina.prove.events import mismatches
from lamina.prove.invocation import environment
from lamina.prove.model import Job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lamina.engine.images import Image
    from lamina.prove.invocation import Setting
    from lamina.prove.model import Sandbox
    from lamina.prove.trial import Event

_PROGRAM = Path(__file__).with_name("inside") / "emulate.py"
#: The entry point of AWS's images: Lambda developer guide, page python-image.
_ENTRY = "/lambda-entrypoint.sh"
_ENTER = """
import json, os, sys
command, environment, folder = json.loads(sys.argv[1])
reserved = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "_"))}
os.chdir(folder)
os.execvpe(command[0], command, {**reserved, **environment})
"""
_SECONDS = 60.0  # beyond all timeouts together, for the emulator itself


class Emulated(NamedTuple):
    """What the emulator made of one event; ``mismatches`` are where that is not what was expected."""

    where: str
    mismatches: tuple[str, ...]
    log: str


class Entry(NamedTuple):
    """What ``docker run`` of an image starts: entry point and command, the image's variables, the folder."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str

    def with_variables(self, more: Mapping[str, str]) -> Entry:
        """The same with more variables, as ``docker run --env`` adds them."""
        return self._replace(environment={**self.environment, **more})


def entry_of(image: Image) -> Entry:
    """What the configuration of an image says that it starts."""
    pairs = (variable.partition("=") for variable in image.environment)
    return Entry(image.entry, {name: value for name, _, value in pairs}, image.folder)


def client_of(entry: Entry) -> tuple[str, ...]:
    """What starts an image's entry point where a function's runtime client is started: as Lambda itself does.

    It gets the image's variables and those that Lambda reserves, and nothing else of the sandbox's.
    """
    return "-c", _ENTER, json.dumps([entry.command, dict(entry.environment), entry.folder])


def through_emulator(
    sandbox: Sandbox, setting: Setting, events: Sequence[Event], entry: Entry | None = None
) -> list[Emulated]:
    """Send the events to the emulator of the image; empty where the image has none.

    Without an ``entry`` the base image's own is started with the handler. With one, it gets its own variables, and of
    ``setting`` those that they do not name, and the services'.

    Memory is not limited: emulator and client would count as the function's.
    """
    order: dict[str, Any] = {
        "command": (_ENTRY, setting.handler),
        "events": [base64.b64encode(event.data).decode() for event in events],
        "seconds": setting.timeout,
    }
    variables = {**environment(setting, 0), "AWS_LAMBDA_FUNCTION_TIMEOUT": str(int(setting.timeout))}
    del variables["AWS_LAMBDA_RUNTIME_API"]  # with it the image would start no emulator
    if entry is not None:
        own = {**variables, **entry.environment, **setting.environment}
        order |= {"command": entry.command, "environment": own, "folder": entry.folder}
    job = Job(
        ("-c", _PROGRAM.read_text(encoding="utf-8")),
        variables,
        json.dumps(order).encode(),
        setting.reach,
        seconds=setting.timeout * len(events) + _SECONDS,
    )
    running = sandbox.start(job)
    outcome = running.wait() or running.stop()
    answers = [base64.b64decode(line) for line in outcome.stdout.split()]
    if not answers and outcome.ended == "exited" and outcome.code == 0:
        return []
    log = outcome.stderr.decode(errors="replace")
    told = [
        Emulated(event.where, tuple(mismatches(event.expected, answer, failed=_is_error(answer))), log)
        for event, answer in zip(events, answers, strict=False)
    ]
    return [*told, *(Emulated(event.where, ("the emulator gave no answer",), log) for event in events[len(told) :])]


def _is_error(answer: bytes) -> bool:
    """Whether an answer is an error of the function: the emulator tells by its form alone."""
    try:
        told = msgspec.json.decode(answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(told, dict) and {"errorType", "errorMessage"} <= told.keys()
