"""``.pth`` files: the folders that they add to ``sys.path`` where the interpreter evaluates them, as Lambda does."""

from __future__ import annotations

#: Linux's PATH_MAX, and more folders than any package adds: beyond, input is made to exhaust its reader.
_LONGEST = 4096
_MOST_FOLDERS = 100
#: A larger file is none that a person or a build backend writes.
MOST_BYTES = 1024**2


def path_lines(content: bytes) -> tuple[str, ...]:
    """The lines of a ``.pth`` file that name folders, for :attr:`lamina.part.model.Facts.adds`.

    As ``site.addpackage`` reads it: blank lines, comments and lines that begin with an import are something else.
    """
    lines = content.decode("utf-8-sig", errors="replace").splitlines()
    folders = (line.rstrip() for line in lines if not line.startswith(("#", "import ", "import\t")))
    return tuple(line for line in folders if line and len(line) <= _LONGEST)[:_MOST_FOLDERS]
