"""The function of a session, ready to be called, with the services that stand in for AWS's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from lamina.errors import UsageError
from lamina.prove.emulator import client_of
from lamina.prove.invocation import Setting
from lamina.prove.invoke import Function
from lamina.prove.s3 import LoopbackS3

if TYPE_CHECKING:
    from lamina.prove.session import Session


class Services(NamedTuple):
    """What stands in for AWS: the variables by which a function finds it, and its ports on loopback."""

    environment: Mapping[str, str]
    reach: tuple[int, ...]


@contextlib.contextmanager
def services(session: Session, environment: Mapping[str, str]) -> Iterator[Services]:
    """The objects of ``[proof.s3]`` in a loopback S3, where there are any; it is ended at the end.

    ``environment`` is that of its server.

    Raises:
        MissingToolError: there are objects and no server for them.
        RecipeError: a name or a file of them is none.
    """
    project = session.order.project
    objects = {name: project.root / path for name, path in session.order.recipe.proof.s3.items()}
    if not objects:
        yield Services({}, ())
        return
    with LoopbackS3(objects, environment) as s3:
        yield Services(s3.environment, (s3.port,))


def setting_of(session: Session, beside: Services) -> Setting:
    """The function of the recipe as it is run: its own variables, under those of the services.

    Raises:
        UsageError: the recipe has no function.
    """
    recipe = session.order.recipe
    function = recipe.function
    if function is None:
        raise UsageError(f"{recipe.name} has no function", hint="Add [function] with handler and source to it.")
    values = {name: variable.value for name, variable in function.environment.items() if variable.value is not None}
    return Setting(
        name=recipe.name,
        handler=function.handler,
        memory=function.memory,
        timeout=function.timeout,
        runtime=session.order.target.runtime.name,
        environment={**values, **beside.environment},
        reach=beside.reach,
    )


@contextlib.contextmanager
def live(session: Session, environment: Mapping[str, str]) -> Iterator[Function]:
    """The function that was emitted, with its services; all is ended at the end. An image starts its own entry point.

    Raises:
        UsageError: the recipe emits no function.
        MissingToolError, RecipeError: see :func:`services`.
    """
    if not session.runs_function:
        raise UsageError(
            f"{session.order.recipe.name} emits no function",
            hint='Give it [function] with handler and source, and "function" or "image" in artefacts; then build it.',
        )
    with services(session, environment) as beside:
        setting = setting_of(session, beside)
        if session.entry is not None:
            setting = setting._replace(client=client_of(session.entry.with_variables(beside.environment)))
        with Function(session.sandbox, setting) as function:
            yield function
