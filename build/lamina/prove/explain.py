"""What pruning has to do with something that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lamina.prune.model import Decision
from lamina.prune.untraced import RULE as UNTRACED

_ROOTS = ("python/", "/opt/python/", "opt/python/")
#: Who decided, in the words of the recipe; any other is a rule's name.
_WORDS = {"drop": "by the recipe's prune.drop", "metadata": "as metadata that nothing reads"}
#: In what is said of something that no trace touched.
OF_TRACE = "by the recipe's prune.untraced"
#: How CPython says that a module, a member of a package or a file is not there.
_MISSING = (
    re.compile(r"No module named '(?P<module>[\w.]+)'"),
    re.compile(r"cannot import name '(?P<member>\w+)' from '(?P<package>[\w.]+)'"),
    re.compile(r"No such file or directory: '(?P<file>[^']+)'"),
)
#: Where a layer stands in a plain process.
_ELSEWHERE = re.compile(r"/(?:.*?/)?(?=python/)")


def explain(missing: str, decisions: Iterable[Decision]) -> str:
    """Why a module (``numpy.testing``) or a file (``/opt/python/numpy/x.json``) is missing; empty if not for pruning.

    ``numpy.testing was dropped by rule "tests"``, and what that rests on.
    """
    stem = _stem(missing)
    for decision in decisions:
        if decision.dropped and _is_it(decision.path.removeprefix("python/"), stem):
            by = OF_TRACE if decision.rule == UNTRACED else _WORDS.get(decision.rule, f'by rule "{decision.rule}"')
            reason = f": {decision.reason}" if decision.reason and decision.rule not in _WORDS else ""
            return f"{missing} was dropped {by}{reason}"
    return ""


def missing_in(text: str) -> Iterator[str]:
    """The modules and files that a log says are missing, each once, in the order in which they are told."""
    found: dict[int, str] = {}
    for pattern in _MISSING:
        for match in pattern.finditer(text):
            named = match.groupdict()
            if "member" in named:
                found[match.start()] = f"{named['package']}.{named['member']}"
            else:
                found[match.start()] = named.get("module") or _ELSEWHERE.sub("/opt/", named["file"], count=1)
    yield from dict.fromkeys(found[at] for at in sorted(found))


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
