"""Where an installer would put the files of a wheel in a layer (binary distribution format, "Installing a wheel")."""

from __future__ import annotations

from lamina.audit.model import ROOTS
from lamina.part.schemes import SCHEMES

#: Where headers would go; no layer has them, and nothing at run time reads them.
_HEADERS = "include/"


def place_in_layer(path: str) -> str:
    """The place of a wheel's file at run time: ``/opt/python/…``, scripts in ``/opt/bin``, data below ``/opt``.

    Of a folder whose name ends in ``.data`` the schemes are resolved whatever stands before it: a wheel whose name and
    content disagree is judged all the same.
    """
    head, _, rest = path.partition("/")
    scheme, _, inner = rest.partition("/")
    if head.endswith(".data") and scheme in SCHEMES and inner:
        root = SCHEMES[scheme]
        return ROOTS["wheel"] + (_HEADERS if root is None else root) + inner
    return f"{ROOTS['wheel']}python/{path}"
