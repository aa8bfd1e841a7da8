"""Where files lie and who may read them: what Lambda would not find, and what its user could not open.

Sources: AWS Lambda developer guide, "Packaging your layer content" (folders of layers) and "Working with .zip file
archives for Python Lambda functions" (permissions); ``sys.path`` of the runtimes as measured.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lamina.findings import Finding, make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina.audit.model import Artefact, Item
    from lamina.target import Target

_NESTED = (".zip", ".whl", ".egg")
#: What Lambda or the loader looks for below ``/opt``.
_LAYER_FOLDERS = ("python", "lib", "bin")
#: So many findings of one kind are told one by one; more in one folder become one.
_MOST_ALIKE = 5
_READ, _SEARCH, _RUN = 0o004, 0o005, 0o001


def check_layout(artefact: Artefact, target: Target) -> Iterator[Finding]:
    """``bad-layout``: one finding for each way in which code stands where Python on Lambda does not look.

    Wheels have the layout of wheels, and an image may put its code anywhere: neither is judged.
    """
    if any(finding.code == "bad-layout" for finding in artefact.findings):
        return  # reading told already that this is no layout of Lambda's at all, and what to do
    if not artefact.items and any(finding.code == "damaged-file" for finding in artefact.findings):
        return  # nothing of it could be read
    if artefact.kind == "layer":
        yield from _check_layer(artefact, target)
    elif artefact.kind == "function":
        yield from _check_function(artefact)


def check_modes(artefact: Artefact) -> Iterator[Finding]:
    """``unreadable-mode``: what Lambda's user, who is not root and owns nothing, cannot read, enter or run.

    Only modes that the artefact states are judged: files need o+r, folders o+rx, programs and scripts in ``bin/`` o+x.
    Of an image, the folders of functions and layers are judged; the base image knows what it does.
    """
    wrong: dict[tuple[str, str, str], list[Item]] = {}
    for item in artefact.items:
        if item.mode is None or item.kind == "link":
            continue
        if artefact.kind == "image" and not item.place.startswith(("/opt/", "/var/task/")):
            continue
        what, hint = _mode_mistake(item, item.mode)
        if what:
            wrong.setdefault((item.path.rpartition("/")[0], what, hint), []).append(item)
    for (folder, what, hint), items in wrong.items():
        if len(items) <= _MOST_ALIKE:
            for item in items:
                message = f"its mode is {_octal(item)}: {what}"
                yield make("unreadable-mode", item.path, message, hint.format(path=item.path))
            continue
        first = items[0]
        name = first.path.rpartition("/")[2]
        message = f"{len(items):,} files or folders in it, the first {name} with mode {_octal(first)}: {what}"
        yield make("unreadable-mode", folder or ".", message, hint.format(path=f"{folder or '.'}/*"))


def _mode_mistake(item: Item, mode: int) -> tuple[str, str]:
    """What Lambda's user cannot do, and the command that lets it; both empty where all is well."""
    if item.kind == "folder":
        if mode & _SEARCH != _SEARCH:
            return (
                "Lambda's user, who is not root, cannot enter it",
                "Before packing: chmod 755 {path}",
            )
    elif not mode & _READ:
        runs = "755" if _is_run(item) else "644"
        return "Lambda's user, who is not root, cannot read it", f"Before packing: chmod {runs} {{path}}"
    elif _is_run(item) and not mode & _RUN:
        return "Lambda's user, who is not root, cannot run it", "Before packing: chmod 755 {path}"
    return "", ""


def _is_run(item: Item) -> bool:
    """Whether a file is one that is started: a program, or a script where ``PATH`` looks. The loader only reads."""
    in_bin = item.place.rpartition("/")[0].endswith("/bin")
    if item.binary is not None:
        if item.binary.damage:
            return in_bin  # whether it was a library, nobody can tell any more
        return item.binary.format == "elf" and (not item.binary.library or in_bin)
    return item.script and in_bin


def _octal(item: Item) -> str:
    return f"{item.mode or 0:03o}"


def _check_layer(artefact: Artefact, target: Target) -> Iterator[Finding]:
    files = [item for item in artefact.items if item.kind != "folder" and item.place.startswith("/opt/")]
    paths = {item.place.removeprefix("/opt/"): item.path for item in files}
    told = list(_misplaced(paths, target))
    yield from told
    tops = {place.partition("/")[0] for place in paths if "/" in place}
    if not told and tops.isdisjoint(_LAYER_FOLDERS):
        what = f"has only {_listed(sorted(tops))}" if tops else "has no folder at its root" if paths else "is empty"
        yield make(
            "bad-layout",
            artefact.name,
            f"the layer {what}: Lambda unpacks it to /opt and looks only in /opt/python, /opt/lib and /opt/bin",
            "Put packages below python/, for example with pip install --target python -r requirements.txt, and pack "
            "that folder itself: zip -r layer.zip python.",
        )


def _misplaced(paths: dict[str, str], target: Target) -> Iterator[Finding]:
    """The mistakes that can be told by their form; ``paths`` maps the path below ``/opt`` to that in the artefact."""
    own = "lib/python{}.{}/site-packages".format(*target.runtime.python)
    seen = f"Python on Lambda looks in /opt/python and /opt/python/{own}"
    heads: dict[str, str] = {}
    for place, path in paths.items():
        heads.setdefault(_head(place), path)
    heads.pop("", None)
    if heads.pop(f"python/{own}", None):  # one layer may serve several versions, each with its folder
        heads = {head: path for head, path in heads.items() if not head.startswith("python/lib/")}
    if "python/python/__init__.py" in paths:  # a package of that name
        heads.pop("python/python", None)
    for head, path in sorted(heads.items()):
        message, hint = _explain(head, own)
        where = path if _is_nested(head) else head
        yield make("bad-layout", where, message.format(seen=seen), hint)
    packages = sorted({place.partition("/")[0] for place in paths if _is_package(place, paths)})
    if packages:
        yield make(
            "bad-layout",
            packages[0],
            f"{_listed(packages)} at the root of the layer: {seen}, not in /opt itself",
            "Put them below python/: mkdir python, move everything into it, and pack that folder itself: "
            "zip -r layer.zip python.",
        )


def _head(place: str) -> str:
    """The folder, or the nested archive, that stands at a wrong place; empty where the form tells nothing."""
    parts = place.split("/")
    for wrong in ("python/python", "python/site-packages", "site-packages"):
        if place.startswith(wrong + "/"):
            return wrong
    match = re.match(r"(python/)?(lib/python3\.\d+/site-packages)/", place)
    if match:
        return match[0].removesuffix("/")
    if len(parts) == 1 + (parts[0] == "python") and _is_nested(place):
        return place
    if len(parts) > 2 and parts[1] == "python" and parts[0] not in {*_LAYER_FOLDERS, "licenses"}:  # noqa: PLR2004
        return f"{parts[0]}/python"
    return ""


def _is_nested(path: str) -> bool:
    return path.lower().endswith(_NESTED)


def _explain(head: str, own: str) -> tuple[str, str]:
    """Message and hint for what :func:`_head` found."""
    if _is_nested(head):
        unpack = "Unpack it into python/ and pack that folder"
        if head.lower().endswith(".whl"):
            unpack = f"Install it instead: pip install --target python {head.rpartition('/')[2]}, and pack that folder"
        return "an archive inside the layer: {seen}, and Lambda unpacks the outer zip only", f"{unpack}."
    if head == "python/python":
        return (
            "python/ is doubled: {seen}, so packages one folder deeper are not found",
            "Move what is in python/python/ up into python/.",
        )
    if head == "python/site-packages":
        return "{seen}, not in /opt/python/site-packages", "Move what is in python/site-packages/ up into python/."
    if head.startswith("python/lib/"):
        version = head.split("/")[2]
        wanted = own.split("/")[1]
        return (
            f"is for {version}: {{seen}}, and never in the folder of another version",
            f"Install the packages for {wanted}, straight into python/: native ones for {version} do not load there.",
        )
    if head == "site-packages" or head.startswith("lib/python3."):
        return f"{{seen}}, not in /opt/{head}", f"Move what is in {head}/ into python/, and pack that folder."
    return (
        "python/ is one folder too deep: {seen}",
        f"Pack from inside {head.removesuffix('/python')}/: zip -r ../layer.zip python.",
    )


def _is_package(place: str, paths: dict[str, str]) -> bool:
    """Whether a path tells of a package or module at the root of a layer."""
    top, slash, rest = place.partition("/")
    if top in {*_LAYER_FOLDERS, "licenses", "site-packages"}:
        return False
    if not slash:
        return top.endswith((".py", ".so", ".pyd"))
    if rest.startswith("python/"):
        return False
    return top.endswith((".dist-info", ".egg-info", ".libs")) or f"{top}/__init__.py" in paths


def _check_function(artefact: Artefact) -> Iterator[Finding]:
    paths = [item.path for item in artefact.items if item.kind != "folder"]
    for path in paths:
        if "/" not in path and _is_nested(path):
            yield make(
                "bad-layout",
                path,
                "an archive inside the function: Lambda unpacks the outer zip only, and Python looks in /var/task",
                "Unpack it, and pack what is in it at the root of the function.",
            )
    tops = {path.partition("/")[0] for path in paths}
    top = next(iter(tops), "")
    alone = len(tops) == 1 and all("/" in path for path in paths)
    if alone and f"{top}/__init__.py" not in paths and any(_is_direct(path) for path in paths):
        yield make(
            "bad-layout",
            top,
            f"everything is in {top}/: Lambda unpacks the function to /var/task, and Python looks there, not in "
            f"/var/task/{top}",
            f"Pack what is in {top}/, not the folder: cd {top} && zip -r ../function.zip .",
        )


def _is_direct(path: str) -> bool:
    return path.count("/") == 1 and path.endswith(".py")


def _listed(names: list[str]) -> str:
    """Up to three names, and how many more."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3:,} more"  # noqa: PLR2004
