"""Write the JSON schemas that are shipped with the package, from the types they describe."""

from __future__ import annotations

import json
from pathlib import Path

from lamina.recipe import schema_text
from lamina.report.machine import schema

PACKAGE = Path(__file__).resolve().parent.parent / "build" / "lamina"

(PACKAGE / "recipe" / "recipe.schema.json").write_text(schema_text(), encoding="utf-8", newline="\n")
(PACKAGE / "report" / "output.schema.json").write_text(
    json.dumps(schema(), indent=2) + "\n", encoding="utf-8", newline="\n"
)
