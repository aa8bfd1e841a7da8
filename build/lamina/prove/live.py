"""The function of a session, ready to be called, with the services that stand in for AWS's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lamina.errors import UsageError
from lamina.prove.invoke import Function
from lamina.prove.run import setting_of
from lamina.prove.s3 import LoopbackS3

if TYPE_CHECKING:
    from lamina.prove.session import Session


@contextlib.contextmanager
def live(session: Session, environment: Mapping[str, str]) -> Iterator[Function]:
    """The function that was emitted, with the objects of ``[proof.s3]`` in a loopback S3; all is ended at the end.

    ``environment`` is that of the server of the S3.

    Raises:
        UsageError: the recipe emits no function.
        MissingToolError: there are objects and no server for them.
        RecipeError: a name or a file of them is none.
    """
    recipe, project = session.order.recipe, session.order.project
    if session.function is None:
        raise UsageError(
            f"{recipe.name} emits no function",
            hint='Give it [function] with handler and source, and "function" in artefacts; then build it.',
        )
    objects = {name: project.root / path for name, path in recipe.proof.s3.items()}
    with contextlib.ExitStack() as stack:
        extra: Mapping[str, str] = {}
        reach: tuple[int, ...] = ()
        if objects:
            s3 = stack.enter_context(LoopbackS3(objects, environment))
            extra, reach = s3.environment, (s3.port,)
        yield stack.enter_context(Function(session.sandbox, setting_of(session, extra, reach)))
