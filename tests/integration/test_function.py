"""A function beside a small layer of real packages, through the command line: what is found before anybody deploys."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.report.machine import schema

RECIPE = """
name = "api"
artefacts = ["layer", "function"]
requirements = ["python-dateutil", "six"]
provided = []

[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"

[function]
handler = "{handler}"
source = [{source}]
"""
NAME = "api-cp311-manylinux2014_x86_64"
SOURCES = (
    '{ from = "services/api" }',
    '{ from = "workers", exclude = ["test_*.py"] }',
    '{ from = "shared", to = "shared" }',
)
FILES = {
    "services/api/handler.py": (
        "import os\n\nfrom dateutil import parser\n\nimport worker_tasks\nfrom shared.storage import load\n\n\n"
        "def lambda_handler(event, context):\n"
        "    when = parser.parse(event['when'])\n"
        "    return {'year': when.year, 'done': worker_tasks.run(load(event))}\n"
    ),
    "workers/worker_tasks.py": "import six\n\n\ndef run(thing):\n    return six.ensure_str(thing)\n",
    "workers/test_worker_tasks.py": "import pytest\n",
    "shared/__init__.py": "",
    "shared/storage.py": "def load(event):\n    return event.get('name', 'x')\n",
    "shared/__pycache__/storage.cpython-39.pyc": "old",
}


class Api:
    """The project, and ``lamina build`` in it."""

    def __init__(self, root: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        self.root, self._run = root, run
        for path, text in FILES.items():
            self.write(path, text)
        (root / "recipes").mkdir()
        self.recipe()
        done = run("lock", "api", cwd=root)
        assert done.returncode == 0, done.stderr

    @property
    def zip(self) -> Path:
        return self.root / "dist" / f"{NAME}-function.zip"

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def recipe(self, *sources: str, handler: str = "handler.lambda_handler") -> None:
        text = RECIPE.format(handler=handler, source=", ".join(sources or SOURCES))
        (self.root / "recipes" / "api.toml").write_text(text)

    def build(self, *options: str, **keywords: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
        return self._run("build", "api", "--quiet", *options, cwd=self.root, **keywords)

    def errors(self) -> list[tuple[str, str, str]]:
        """Code, path and first clause of each error of a build that must fail for its function alone."""
        done = self.build("--json")
        assert done.returncode == 1, done.stdout + done.stderr
        [outcome] = json.loads(done.stdout)
        assert outcome["artefact"] == f"dist/{NAME}.zip"
        assert outcome["function"]["artefact"] is None
        assert not self.zip.exists()
        found = outcome["function"]["manifest"]["findings"]
        report = json.loads(self.zip.with_suffix(".json").read_text())
        assert report["findings"] == found
        return [
            (one["code"], one["path"], one["message"].partition(": handler.py")[0])
            for one in found
            if one["severity"] == "error"
        ]


@pytest.fixture
def api(tmp_path: Path, index: None, lamina: Callable[..., subprocess.CompletedProcess[str]]) -> Api:  # noqa: ARG001
    return Api(tmp_path / "api", lamina)


def test_green(api: Api, python311: str, tmp_path: Path) -> None:
    done = api.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"api: the function for cp311-manylinux2014_x86_64: dist/{NAME}-function.zip" in done.stdout
    assert (
        "  aws lambda create-function --function-name api --runtime python3.11 --architectures x86_64 "
        '--handler handler.lambda_handler --memory-size 512 --timeout 60 --role "$ROLE_ARN" '
        f'--layers "$LAYER_VERSION_ARN" --zip-file fileb://dist/{NAME}-function.zip\n'
        "  aws lambda update-function-code --function-name api --architectures x86_64 "
        f"--zip-file fileb://dist/{NAME}-function.zip\n"
    ) in done.stdout
    with zipfile.ZipFile(api.zip) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["handler.py", "shared/__init__.py", "shared/storage.py", "worker_tasks.py"]
    # And the target's interpreter, which has nothing but the two zips, agrees.
    task, opt = tmp_path / "task", tmp_path / "opt"
    for path, folder in ((api.zip, task), (api.root / "dist" / f"{NAME}.zip", opt)):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    called = "import sys, handler; print(handler.lambda_handler({'when': '2026-11-22', 'name': 'n'}, None))"
    code = f"import sys; sys.path[:0] = [{str(task)!r}, {str(opt / 'python')!r}]; {called}"
    ran = subprocess.run([python311, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("{'year': 2026, 'done': 'n'}\n", "")


def test_output_for_machines_fits_the_shipped_schema(api: Api) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    done = api.build("--json")
    assert done.returncode == 0, done.stderr
    jsonschema.validate({"build": json.loads(done.stdout)}, schema())
    [outcome] = json.loads(done.stdout)
    assert outcome["function"]["artefact"] == f"dist/{NAME}-function.zip"
    assert outcome["function"]["manifest"]["sha256"] == hashlib.sha256(api.zip.read_bytes()).hexdigest()


def test_the_three_imports_that_fail_in_production(api: Api) -> None:
    assert api.build().returncode == 0
    # The layer lacks a package; a module was forgotten; a shared folder stands in the wrong place.
    api.write("services/api/handler.py", "import pandas\n" + FILES["services/api/handler.py"])
    assert api.errors() == [("missing-import", "handler.py", "No module named 'pandas'")]
    api.write("services/api/handler.py", FILES["services/api/handler.py"])
    api.recipe(SOURCES[0], SOURCES[2])
    assert api.errors() == [("missing-import", "handler.py", "No module named 'worker_tasks'")]
    api.recipe(SOURCES[0], SOURCES[1], '{ from = "shared", to = "lib/shared" }')
    assert api.errors() == [("missing-import", "handler.py", "No module named 'shared'")]
    done = api.build()
    hint = "lib/shared is in the function, where Python does not look for it: map it to shared by to in function.source"
    assert hint in " ".join(done.stdout.split())
    api.recipe(SOURCES[0], SOURCES[1], '{ from = "shared", to = "shared/lib" }')
    assert api.errors() == [("missing-import", "handler.py", "No module named 'shared.storage'")]
    api.recipe()
    assert api.build().returncode == 0
    assert api.zip.exists()


@pytest.mark.parametrize(
    ("handler", "path", "message"),
    [
        (
            "handler.lambda_handlr",
            "handler.py",
            "Runtime.HandlerNotFound: Handler 'lambda_handlr' missing on module 'handler'",
        ),
        (
            "services/handler.lambda_handler",
            "function.handler",
            "Runtime.ImportModuleError: Unable to import module 'services/handler': No module named 'services'",
        ),
        (
            "worker_tasks.run",
            "worker_tasks.py",
            "worker_tasks.run, line 4: TypeError: run() takes 1 positional argument but 2 were given",
        ),
    ],
)
def test_handlers_that_lambda_would_not_find_or_call(api: Api, handler: str, path: str, message: str) -> None:
    api.recipe(handler=handler)
    assert api.errors() == [("handler-missing", path, message)]


def test_every_host_makes_the_same_zip(api: Api, tmp_path: Path) -> None:
    digests = set()
    settings: list[dict[str, Any]] = [
        {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1", "LC_ALL": "C"},
        {"TZ": "America/New_York", "PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8"},
    ]
    for number, env in enumerate(settings):
        for path in sorted(FILES):
            found = api.root / path
            content = found.read_bytes()
            found.unlink()  # written again, in another order, with other dates and modes
            found.write_bytes(content)
            found.chmod((0o600, 0o755)[number])
            os.utime(found, (number * 10**9, number * 10**9))
        environment = {**os.environ, **env, "LAMINA_CACHE": str(tmp_path / f"store{number}")}
        command = [sys.executable, "-m", "lamina", "build", "api", "--quiet"]
        done = subprocess.run(
            command,
            cwd=api.root,
            env=environment,
            umask=(0o077, 0)[number],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        digests.add(hashlib.sha256(api.zip.read_bytes()).hexdigest())
    assert len(digests) == 1
