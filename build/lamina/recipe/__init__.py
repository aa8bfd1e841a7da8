"""Recipes: what a layer is made of, for which targets; TOML in, frozen values out.

``parse`` and ``load`` check everything and report every mistake at once; ``trusted`` takes a text that was checked
before and costs next to nothing. ``schema`` is the JSON schema for editors, ``template`` a recipe to start from.
"""

from lamina.recipe.model import (
    RULES,
    Accept,
    Artefact,
    Budget,
    Builder,
    Bytecode,
    Emit,
    Function,
    Image,
    Index,
    Native,
    Omit,
    Overlay,
    Proof,
    Prune,
    Recipe,
    Rule,
    Source,
    TargetSpec,
    Variable,
)
from lamina.recipe.reading import decode, load, parse, targets, trusted
from lamina.recipe.schema import schema, schema_text
from lamina.recipe.template import template

__all__ = [
    "RULES",
    "Accept",
    "Artefact",
    "Budget",
    "Builder",
    "Bytecode",
    "Emit",
    "Function",
    "Image",
    "Index",
    "Native",
    "Omit",
    "Overlay",
    "Proof",
    "Prune",
    "Recipe",
    "Rule",
    "Source",
    "TargetSpec",
    "Variable",
    "decode",
    "load",
    "parse",
    "schema",
    "schema_text",
    "targets",
    "template",
    "trusted",
]
