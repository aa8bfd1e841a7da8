"""Variables that code reads and the recipe does not declare, and the reverse."""

from __future__ import annotations

import pytest

from lamina.findings import Finding
from lamina.function.code import check_function
from lamina.recipe.model import Function, Source, Variable

HANDLER = "\ndef lambda_handler(event, context):\n    return event['x']\n"


def _found(files: dict[str, str], *declared: str) -> list[Finding]:
    environment = {name: Variable(required=True) for name in declared}
    function = Function("handler.lambda_handler", (Source("function"),), environment=environment)
    data = {path: text.encode() for path, text in files.items()}
    return [one for one in check_function(data, function) if one.code == "undeclared-variable"]


def _names(code: str, *declared: str) -> list[tuple[str, bool]]:
    """The names told of, and whether they fail when missing."""
    found = _found({"handler.py": code + HANDLER}, *declared)
    return [(one.message.split()[3].rstrip(","), "without a default" in one.message) for one in found]


def test_message_of_one_that_fails_and_of_one_that_does_not() -> None:
    needed, other = _found({"handler.py": "import os\nA = os.getenv('A')\nB = os.environ['B']\n" + HANDLER})
    assert (needed.severity, needed.path) == ("warning", "handler.py")
    assert needed.message == (
        "line 3 reads B, without a default, so that it fails where nothing sets it; the recipe does not declare it"
    )
    assert needed.hint == ("Add to [function] environment: B = { required = true }, or { secret = true } for a secret.")
    assert other.message == "line 2 reads A, with a default; the recipe does not declare it"


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import os\nos.environ['X']", [("X", True)]),
        ("import os as o\no.environ.get('X')", [("X", False)]),
        ("from os import environ, getenv\nenviron['X']\ngetenv('Y')", [("X", True), ("Y", False)]),
        ("from os import environ as e\ne.pop('X')", [("X", True)]),
        ("import os\nenv = os.environ\nenv['X']", [("X", True)]),
        ("import os\nNAME = 'X'\nos.environ[NAME]", [("X", True)]),
        ("import os\ntry:\n    os.environ['X']\nexcept KeyError:\n    pass", [("X", False)]),
        ("import os\nif 'X' in os.environ:\n    os.environ['X']", [("X", False)]),
        ("import os\nos.environ['X'] = '1'\nos.environ['X']", []),
        ("import os\nos.environ.setdefault('X', '1')", []),
        ("import os\nfor n in 'ab':\n    os.environ[n]", []),
        ("import os\ndef need(name):\n    return os.environ[name]\nneed('X')", [("X", False)]),
        ("import os\nos.environ['AWS_REGION'] + os.environ['LAMBDA_TASK_ROOT']", []),
        ("import os\nos.environ.get('HTTPS_PROXY')", []),
        ("environ = {}\nenviron['X']", []),
        (
            (
                "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n"
                "    model_config = {}\n    bucket: str\n    region: str = 'eu'\n"
            ),
            [("BUCKET", True), ("REGION", False)],
        ),
        (
            (
                "from pydantic_settings import BaseSettings, SettingsConfigDict\nfrom pydantic import Field\n"
                "class S(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='APP_')\n"
                "    bucket: str = Field(...)\n    key: str = Field('k', alias='OTHER')\n"
            ),
            [("APP_BUCKET", True), ("OTHER", False)],
        ),
    ],
)
def test_what_counts_as_a_read(code: str, names: list[tuple[str, bool]]) -> None:
    assert _names(code) == names
    assert _names(code, *(name for name, _ in names)) == []


def test_modules_that_the_handler_never_imports_need_no_declaration() -> None:
    files = {"handler.py": "import used\n" + HANDLER, "used.py": "import os\nos.environ['A']\n"}
    files["tool.py"] = "import os\nos.environ['B']\n"
    assert [one.path for one in _found(files)] == ["used.py"]


def test_declared_and_never_read() -> None:
    [finding] = _found({"handler.py": HANDLER}, "BUCKET")
    assert (finding.severity, finding.path) == ("warning", "function.environment.BUCKET")
    assert finding.message == "the recipe declares it, and the function's own code never reads it"
    assert finding.hint == (
        "Take BUCKET out of [function] environment; if a library reads it, accept the finding with the reason."
    )


def test_declared_and_perhaps_read_by_a_computed_name() -> None:
    [finding] = _found({"handler.py": "import os\nconfig = dict(os.environ)\n" + HANDLER}, "BUCKET")
    assert (finding.severity, finding.message) == (
        "note",
        (
            "the recipe declares it, and the function's own code never reads it under its own name; "
            "some code reads names that are only known when it runs"
        ),
    )


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import anthropic", "ANTHROPIC_API_KEY"),
        ("import chromadb", "ANONYMIZED_TELEMETRY"),
        ("", "AWS_ENDPOINT_URL_S3"),
        ("", "PYTHONWARNINGS"),
        ("import lib\nlib.read('BUCKET')", "BUCKET"),
    ],
)
def test_variables_that_libraries_read(code: str, name: str) -> None:
    assert _found({"handler.py": code + "\n" + HANDLER}, name) == []


def test_a_library_that_is_not_imported_reads_nothing() -> None:
    assert len(_found({"handler.py": HANDLER}, "ANTHROPIC_API_KEY")) == 1
