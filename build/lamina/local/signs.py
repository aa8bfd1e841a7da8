"""Signs that a project holds native code, which tell where it is to be built before a build tells for certain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomli

from lamina.local.sources import files
from lamina.recipe.spelling import requirement_name

if TYPE_CHECKING:
    from pathlib import Path

#: Sources that only a compiler turns into something that runs, and descriptions of builds that call one.
_ENDINGS = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".f", ".f90", ".rs", ".cu", ".s", ".asm")
_NAMES = frozenset({"CMakeLists.txt", "Cargo.toml", "meson.build"})

#: Backends and build requirements that bring native code about: each project's own documentation.
_REQUIRED = frozenset(
    """
    cffi cmake cython maturin meson meson-python mypy mypyc nanobind ninja pybind11 scikit-build scikit-build-core
    setuptools-rust
    """.split()
)


def is_native(folder: Path) -> bool:
    """Whether sources or ``[build-system]`` say that it takes a compiler; false leaves it open."""
    for name, path in files(folder):
        if name.lower().endswith(_ENDINGS) or path.name in _NAMES:
            return True
    try:
        stated: Any = tomli.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        return not _REQUIRED.isdisjoint(requirement_name(text) for text in stated["build-system"]["requires"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # what is wrong with it, the build says
        return False
