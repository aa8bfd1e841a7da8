"""Where symbolic links lead. Lambda keeps them when it unpacks a zip; one that leads nowhere fails when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lamina.audit.model import Item

#: As the kernel: after so many links it gives up (path_resolution(7)).
_MOST_HOPS = 40
#: Names on the way of all links together; a zip of some megabytes can state thousands of millions.
_MOST_STEPS = 1_000_000
#: Folders of an image that a Lambda function's own files are in; links elsewhere are the distribution's affair.
_JUDGED = ("opt/", "var/task/")
#: What a link to nothing, and one to an absolute path, means.
_STRANGE = (
    "which is no path",
    "which leads to an absolute path: where Lambda unpacks it, that is something else, or nothing",
)
#: What the kernel or the runtime fills in.
_KERNEL = frozenset({"proc", "dev", "sys", "tmp", "run"})


def check(items: Mapping[str, Item], *, image: bool) -> Iterator[tuple[str, str]]:
    """Path and mistake of each link that leaves the tree, dangles or goes round; of an image, those below ``/opt``.

    In an image an absolute link is as good as any: the image is the whole file system.
    """
    links = {path: item.target for path, item in items.items() if item.kind == "link"}
    if not links:
        return
    known = {path for path, item in items.items() if item.kind != "link"}
    for path in items:
        parent = path
        while (cut := parent.rfind("/")) > 0 and (parent := parent[:cut]) not in known:
            if parent not in links:
                known.add(parent)
    steps = 0
    for path, target in sorted(links.items()):
        if steps > _MOST_STEPS:
            yield path, f"is one of {len(links):,} links, too long and too many to follow"
            return
        if image and not path.startswith(_JUDGED):
            continue
        what, taken = _mistake(path, links, known, image=image)
        steps += taken
        if what:
            yield path, f"is a link to {_short(target)}, {what}"


def _mistake(path: str, links: Mapping[str, str], known: set[str], *, image: bool) -> tuple[str, int]:
    """What is wrong with a link, empty where it leads to a file or folder of the artefact; and the steps it took."""
    here, ahead = path.split("/")[:-1], [path.rpartition("/")[2]]
    hops = steps = 0
    while ahead:
        part = ahead.pop()
        steps += 1
        if part == ".." and not here and not image:
            return "which leads out of the artefact", steps
        here = here[:-1] if part == ".." else here if part in {"", "."} else [*here, part]
        at = "/".join(here)
        if at in links and part not in {"", ".", ".."}:
            hops += 1
            target = links[at]
            if hops > _MOST_HOPS:
                return "which leads round in a circle", steps
            if not target or (target.startswith("/") and not image):
                return _STRANGE[bool(target)], steps
            here = [] if target.startswith("/") else here[:-1]
            ahead += target.split("/")[::-1]
        elif here and at not in known:
            return "" if image and here[0] in _KERNEL else "which is not there", steps
    return "", steps


def _short(target: str) -> str:
    text = target if target.isprintable() else ascii(target)[1:-1]
    return text if len(text) <= 100 else text[:100] + "…"  # noqa: PLR2004
