"""Which kind a file of a layer is of, by its place and its content's kind."""

from __future__ import annotations

from lamina.part.model import ELF
from lamina.report.layer.model import Kind

_BY_FOLDER: tuple[tuple[str, Kind], ...] = (("licenses/", "notices"), ("bin/", "commands"))
_BY_ENDING: tuple[tuple[str, Kind], ...] = ((".pyc", "bytecode"), (".py", "python"), (".pyi", "python"))


def kind_of(path: str, content: int) -> Kind:
    """The kind of the file at a layer path; ``content`` is what its first bytes say it is."""
    for folder, kind in _BY_FOLDER:
        if path.startswith(folder):
            return kind
    if ".dist-info/" in path:
        return "metadata"
    if content == ELF:
        return "native"
    return next((kind for ending, kind in _BY_ENDING if path.endswith(ending)), "data")
