"""What sections of the page are made of: escaped text, tables, legends."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from lamina.report.findings import printable

_CLASSES = {"#": ' class="n"', "|": ' class="b"'}


def e(text: str) -> str:
    """A text that may stand in HTML, in an attribute too; what cannot be printed is spelled out."""
    return html.escape(printable(text), quote=True)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], label: str) -> str:
    """A table of cells that are HTML already. A head that begins with ``#`` is one of numbers, ``|`` one of bars."""
    classes = [_CLASSES.get(head[:1], "") for head in heads]
    top = "".join(f"<th{kind} scope=col>{head.lstrip('#|')}</th>" for kind, head in zip(classes, heads, strict=True))
    body = ""
    for first, *cells in rows:
        body += f"<tr><th scope=row>{first}</th>"
        body += "".join(f"<td{kind or ' class=t'}>{cell}</td>" for kind, cell in zip(classes[1:], cells, strict=True))
        body += "</tr>\n"
    region = f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
    return f"{region}<table><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table></div>"


def legend(rows: Iterable[tuple[str, str, str]]) -> str:
    """The class, the name and the figure of each colour."""
    items = "".join(
        f'<li><svg width="12" height="12" aria-hidden="true"><rect class="{kind}" width="12" height="12"/></svg>'
        f'{e(name)} <span class="figure">{e(figure)}</span></li>'
        for kind, name, figure in rows
    )
    return f'<ul class="legend">{items}</ul>'


def items(lines: Iterable[str]) -> str:
    """A list of sentences."""
    return f"<ul>{''.join(f'<li>{e(line)}</li>' for line in lines)}</ul>"


def folded(title: str, content: str) -> str:
    """What a reader opens."""
    return f"<details><summary>{title}</summary>{content}</details>"
