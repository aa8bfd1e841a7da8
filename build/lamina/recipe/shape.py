"""Hold parsed TOML against the model's types and report every mistake, where msgspec stops at the first.

What is known of a key comes from the model alone: its type, its bounds, and its ``format``, which names the check of
the single value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import inspect

from lamina.recipe.values import CHOICES, SIZES, STRINGS
from lamina.recipe.words import Mistake, Path, nearest, render, show

if TYPE_CHECKING:
    from collections.abc import Iterator


def shape(value: object, model: type) -> Iterator[Mistake]:
    """Hold a document, as the TOML parser leaves it, against a model; yield what is wrong, in the document's order."""
    root = inspect.type_info(model)
    assert isinstance(root, inspect.StructType)  # noqa: S101 - for the type checker; models are structs
    yield from _Shape(frozenset(field.encode_name for field in root.fields)).walk(value, root, ())


class _Shape:
    """The walk. ``top`` holds the keys of the document's top, for those who put one of them below a table."""

    def __init__(self, top: frozenset[str]) -> None:
        self.top = top

    def walk(self, value: object, node: inspect.Type, path: Path) -> Iterator[Mistake]:
        """Yield what is wrong with one value and what it holds."""
        node, form, unique = _unwrap(node)
        if form in SIZES:
            wrong = SIZES[form](value)
            if wrong:
                yield Mistake(path, _found(wrong, value))
        elif not _fits(value, node):
            yield Mistake(path, _found(f"expected {_expected(node)}", value) + _way_out(value, node, path))
        elif isinstance(value, str):
            yield from _text(value, node, form, path)
        elif isinstance(value, list) and isinstance(node, inspect.VarTupleType):
            yield from self._list(value, node, path, unique=unique)
        elif isinstance(value, dict):
            yield from self._table(value, node, path)

    def _list(self, value: list[object], node: inspect.VarTupleType, path: Path, *, unique: bool) -> Iterator[Mistake]:
        if len(value) < (node.min_length or 0):
            yield Mistake(path, "empty; at least one is needed")
        for position, item in enumerate(value):
            place = (*path, position)
            mistakes = list(self.walk(item, node.item_type, place))
            yield from mistakes
            if unique and not mistakes and item in value[:position]:
                yield Mistake(place, f"{show(item)} stands there twice")

    def _table(self, value: dict[str, object], node: inspect.Type, path: Path) -> Iterator[Mistake]:
        if isinstance(node, inspect.DictType):
            for key, item in value.items():
                yield from self.walk(key, node.key_type, (*path, key))
                yield from self.walk(item, node.value_type, (*path, key))
        if isinstance(node, inspect.StructType):
            fields = {field.encode_name: field for field in node.fields}
            for key, item in value.items():
                if key in fields:
                    yield from self.walk(item, fields[key].type, (*path, key))
                else:
                    yield Mistake((*path, key), self._unknown(key, list(fields)))
            for key, field in fields.items():
                if field.required and key not in value:
                    yield Mistake((*path, key), f"missing; expected {_expected(_unwrap(field.type)[0])}")

    def _unknown(self, key: str, known: list[str]) -> str:
        if key in self.top:
            return f"unknown key; {show(key)} belongs to the top, above the first [table]"
        return "unknown key" + nearest(key, known, otherwise=f"; known here: {', '.join(known)}")


def _unwrap(node: inspect.Type) -> tuple[inspect.Type, str, bool]:
    """Take off what stands around a type: its format, whether its items are unique, and that it may be absent."""
    form, unique = "", False
    while True:
        if isinstance(node, inspect.Metadata):
            extra = node.extra_json_schema or {}
            form, unique = form or str(extra.get("format", "")), unique or bool(extra.get("uniqueItems"))
            node = node.type
        elif isinstance(node, inspect.UnionType) and (types := _present(node)):
            node = types[0]
        else:
            return node, form, unique


def _present(node: inspect.UnionType) -> list[inspect.Type]:
    """What a key that may be absent holds when it is there: TOML has no null."""
    types = [option for option in node.types if not isinstance(option, inspect.NoneType)]
    return types if len(types) == 1 else []


def _fits(value: object, node: inspect.Type) -> bool:
    """Whether the value is of the type at all, and within the bounds of a number."""
    match node:
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType(ge=low, le=high):
            if isinstance(value, bool) or not isinstance(value, int):
                return False
            return (low is None or value >= low) and (high is None or value <= high)
        case inspect.VarTupleType():
            return isinstance(value, list)
        case inspect.StructType() | inspect.DictType():
            return isinstance(value, dict)
        case _:
            return isinstance(value, str)


def _expected(node: inspect.Type) -> str:
    match node:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.VarTupleType(item_type=item):
            return f"a list of {'tables' if isinstance(_unwrap(item)[0], inspect.StructType) else 'strings'}"
        case inspect.StructType() | inspect.DictType():
            return "a table"
        case inspect.LiteralType():
            return f"one of {', '.join(map(show, _words(node)))}"
        case _:
            return "a string"


def _text(value: str, node: inspect.Type, form: str, path: Path) -> Iterator[Mistake]:
    if isinstance(node, inspect.LiteralType) or form in CHOICES:
        expected, words = CHOICES.get(form) or (_expected(node), _words(node))
        if value not in words:
            yield Mistake(path, _found(f"expected {expected}", value) + nearest(value, words))
        return
    wrong = STRINGS[form](value) if form else ""
    if wrong:
        yield Mistake(path, _found(wrong, value))
    if isinstance(node, inspect.StrType) and node.max_length is not None and len(value) > node.max_length:
        yield Mistake(path, f"{len(value)} characters long; at most {node.max_length} fit")


def _words(node: inspect.Type) -> tuple[str, ...]:
    return tuple(map(str, node.values)) if isinstance(node, inspect.LiteralType) else ()


def _found(wrong: str, value: object) -> str:
    return f"{wrong}, found {show(value)}"


def _way_out(value: object, node: inspect.Type, path: Path) -> str:
    """How a value of another type was probably meant."""
    if isinstance(node, inspect.VarTupleType):
        if isinstance(value, str):
            return f"; write [{show(value)}]"
        if isinstance(value, dict):
            return f"; write [[{render(path)}]]"
    return ""
