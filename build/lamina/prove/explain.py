"""What pruning has to do with something that is not there."""

from __future__ import annotations

from collections.abc import Iterable

from lamina.prune.model import Decision

_ROOTS = ("python/", "/opt/python/", "opt/python/")
#: Who decided, in the words of the recipe; any other is a rule's name.
_WORDS = {"drop": "by the recipe's prune.drop", "metadata": "as metadata that nothing reads"}


def explain(missing: str, decisions: Iterable[Decision]) -> str:
    """Why a module (``numpy.testing``) or a file (``/opt/python/numpy/x.json``) is missing; empty if not for pruning.

    ``numpy.testing was dropped by rule "tests"``, and what that rests on.
    """
    stem = _stem(missing)
    for decision in decisions:
        if decision.dropped and _is_it(decision.path.removeprefix("python/"), stem):
            by = _WORDS.get(decision.rule, f'by rule "{decision.rule}"')
            reason = f": {decision.reason}" if decision.reason and decision.rule not in _WORDS else ""
            return f"{missing} was dropped {by}{reason}"
    return ""


def _stem(missing: str) -> str:
    """The path below ``python/`` that it would have, a module's without its suffix."""
    for root in _ROOTS:
        if missing.startswith(root):
            return missing.removeprefix(root)
    return missing if "/" in missing else missing.replace(".", "/")


def _is_it(path: str, stem: str) -> bool:
    """Whether a file is the module or the file, or what makes a folder that package."""
    if path == stem:
        return True
    rest = path.removeprefix(f"{stem}")
    if rest == path:
        return False
    return rest in {".py", ".pyc", "/__init__.py", "/__init__.pyc"} or (rest.startswith(".") and rest.endswith(".so"))
