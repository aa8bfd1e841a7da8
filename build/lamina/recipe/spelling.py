"""One spelling for names and requirements that mean the same, by string methods alone.

``packaging`` would say the same of valid requirements, but importing it costs more than a whole warm build may.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LOCAL = re.compile(r"(\./[^\[\];]*?)\s*(?:\[([^\[\]]*)\])?\s*")


class LocalProject(NamedTuple):
    """A requirement that names a project by its folder: ``./packages/shared``, ``./`` for the project's root."""

    path: str
    extras: tuple[str, ...] = ()


def canonical(name: str) -> str:
    """The normalized name of a project or an extra (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_local(text: str) -> bool:
    """Whether a requirement is meant to name a local project by its folder; no name of a package begins like that."""
    return text.lstrip().startswith((".", "/", "\\"))


def local_project(text: str) -> LocalProject | None:
    """The local project that a requirement names, or ``None`` where it names none, or not as ``./folder[extra]``."""
    found = _LOCAL.fullmatch(text.strip().replace("\\", "/"))
    if found is None:
        return None
    steps = [step for step in found[1].split("/") if step not in {"", "."}]
    extras = {canonical(extra.strip()) for extra in (found[2] or "").split(",") if extra.strip()}
    return LocalProject("./" + "/".join(steps), tuple(sorted(extras)))


def requirement_name(text: str) -> str:
    """The normalized name that a requirement string begins with."""
    return _split(text.strip())[0]


def canonical_requirement(text: str) -> str:
    """A requirement string in one spelling of the many with the same meaning.

    Versions are not interpreted: ``==1.0`` and ``==1`` stay different, which at worst renews a lock.
    """
    text = text.strip()
    if is_local(text):
        local = local_project(text)
        return text if local is None else local.path + _bracketed(local.extras)
    head, _, marker = text.partition(";")
    name, rest = _split(head)
    extras: tuple[str, ...] = ()
    if rest.startswith("["):
        inside, _, rest = rest[1:].partition("]")
        extras = tuple(sorted({canonical(extra.strip()) for extra in inside.split(",") if extra.strip()}))
    rest = rest.strip()
    if rest.startswith("(") and rest.endswith(")"):
        rest = rest[1:-1]
    limits = sorted({"".join(limit.split()).lower() for limit in rest.split(",") if limit.strip()})
    stated = f"; {_canonical_marker(marker)}" if marker.strip() else ""
    return name + _bracketed(extras) + ",".join(limits) + stated


def _bracketed(extras: tuple[str, ...]) -> str:
    return f"[{','.join(extras)}]" if extras else ""


def _split(head: str) -> tuple[str, str]:
    """The normalized name at the beginning, and what stands behind it."""
    end = next((i for i, char in enumerate(head) if not (char.isalnum() or char in "-_.")), len(head))
    return canonical(head[:end]), head[end:].strip()


_TOKEN = re.compile(r"""'([^']*)'|"([^"]*)"|([()])|(===|<=|>=|==|!=|~=|<|>)|([^\s()'"<>=!~]+)""")


def _canonical_marker(marker: str) -> str:
    """A marker with one space between its words and double quotes around its strings."""
    words = []
    for found in _TOKEN.finditer(marker):
        single, double = found[1], found[2]
        if single is None and double is None:
            words.append(found[0])
        else:
            inside = single if single is not None else double
            words.append(f"'{inside}'" if '"' in inside else f'"{inside}"')
    return " ".join(words)
