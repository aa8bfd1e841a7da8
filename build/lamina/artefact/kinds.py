"""Layer or function: told from what lies where, when the user does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from lamina.audit.model import ArtefactKind, Item, Package

#: What people call the module of a handler: in AWS's console and guide, in SAM's and Serverless's templates.
HANDLERS = frozenset({"lambda_function.py", "handler.py", "app.py", "main.py", "index.py"})
#: Folders at the root that only layers have, or only layers packed at the wrong place.
_LAYER_FOLDERS = frozenset({"lib", "bin", "licenses", "site-packages"})


def layer_or_function(items: Iterable[Item], handlers: Collection[str], packages: Sequence[Package]) -> ArtefactKind:
    """Tell a layer from a function. ``handlers`` are the modules that define a function of two positional parameters.

    - ``python/`` at the root: a layer. Only layers have it: Lambda puts ``/opt/python`` on ``sys.path``.
    - A module at the root that is named like a handler (``lambda_function.py``, ``handler.py``, ``app.py``,
      ``main.py``, ``index.py``) or defines a function which Lambda could call: a function. Modules that a distribution
      lists in its RECORD do not count: ``six.py`` has such functions too.
    - All in one folder, with such a module in it: a function whose folder was packed instead of what is in it.
    - Anything else is a layer: one with only ``bin/``, ``lib/`` or ``licenses/``, or one packed at the wrong place,
      with packages, ``site-packages/`` or ``lib/python3.X/`` at its root. A function without a handler could not be
      called.
    """
    paths = [item.path for item in items if item.kind != "folder"]
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    if "python" in tops:
        return "layer"
    owned = frozenset[str]().union(*(package.files for package in packages))
    found = {path for path in paths if is_handler(path, handlers) and path not in owned}
    if any("/" not in path for path in found):
        return "function"
    alone = len(tops) == 1 and tops.isdisjoint(_LAYER_FOLDERS) and not any("/" not in path for path in paths)
    top = next(iter(tops), "")
    if alone and f"{top}/__init__.py" not in paths and any(path.count("/") == 1 for path in found):
        return "function"
    return "layer"


def is_handler(path: str, handlers: Collection[str] = ()) -> bool:
    """Whether a file may hold a handler, by its name or by what it defines."""
    return path in handlers or path.rpartition("/")[2] in HANDLERS
