"""``lamina trace``, and what builds make of a trace: on a layer of small wheels, in a real interpreter."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.report.machine import schema

pytestmark = pytest.mark.usefixtures("index", "python311")

TARGET = "cp311-manylinux2014_x86_64"
NAME = f"api-{TARGET}"
RECIPE = """
name = "api"
artefacts = ["layer", "function"]
requirements = ["lamina-trace-demo", "lamina-trace-idle", "markupsafe==2.1.5"]
find-links = ["wheels"]

[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"

[proof]
imports = ["demo.used"]

[function]
handler = "handler.lambda_handler"
source = [{ from = "app" }]
events = ["events/first.json"]
memory = "256 MiB"
timeout = 20
"""
HANDLER = """
import importlib.metadata
import json
import subprocess

from demo import used


def lambda_handler(event, context):
    import markupsafe

    if event["more"]:
        from demo import idle

        assert idle
    if event["table"]:
        used.table("second")
    text = subprocess.run(["cat", used.beside("read_by_cat.txt")], capture_output=True, check=True).stdout
    version = importlib.metadata.version("lamina-trace-demo")
    told = [str(markupsafe.escape("<")), version, text.decode(), used.table("first")]
    return {"statusCode": 200, "body": json.dumps(told)}
"""
USED = """
import json, pathlib


def beside(name):
    return str(pathlib.Path(__file__).with_name(name))


def table(name):
    from demo import lazily

    return lazily.read(beside(f"{name}.json"))
"""
LAZILY = """
import json


def read(path):
    with open(path) as file:
        return json.load(file)
"""
WHEELS = {
    "lamina_trace_demo": {
        "demo/__init__.py": "",
        "demo/used.py": USED,
        "demo/lazily.py": LAZILY,
        "demo/idle.py": "",
        "demo/unused/__init__.py": "",
        "demo/unused/deep.py": "",
        "demo/first.json": "1",
        "demo/second.json": "22",
        "demo/read_by_cat.txt": "text",
    },
    "lamina_trace_idle": {"idle/__init__.py": "", "idle/module.py": ""},
}
EXPECTED = {
    "modules": [
        "python/demo/__init__.py",
        "python/demo/used.py",
        "python/markupsafe/__init__.py",
        "python/demo/lazily.py",
    ],
    "libraries": ["python/markupsafe/_speedups.cpython-311-x86_64-linux-gnu.so"],
    "metadata": ["python/lamina_trace_demo-1.0.dist-info/METADATA"],
    "files": ["python/demo/first.json", "python/demo/read_by_cat.txt"],
}
EMPTY: dict[str, Any] = {"lock": "1" * 64, "modules": [], "libraries": [], "metadata": [], "files": []}

Lamina = Callable[..., "subprocess.CompletedProcess[str]"]


class Api:
    """A project of one recipe, and ``lamina`` in it."""

    def __init__(self, root: Path, run: Lamina) -> None:
        self.root, self._run = root, run
        self.trace = root / "layers" / "api" / "trace.json"

    def __call__(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = self._run(*arguments, cwd=self.root, env={"COLUMNS": "2000", **env})
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback (most recent call last)" not in done.stderr
        return done

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text(encoding="utf-8")
        assert text.count(old) == 1
        (self.root / path).write_text(text.replace(old, new), encoding="utf-8")

    def event(self, **asked: bool) -> None:
        """What the function is sent."""
        content = json.dumps({"more": False, "table": False, **asked})
        (self.root / "events" / "first.json").write_text(content)

    def untraced(self, *globs: str) -> None:
        self.edit("recipes/api.toml", "[proof]", f"[prune]\nuntraced = {json.dumps(globs)}\n\n[proof]")

    def shipped(self) -> set[str]:
        with zipfile.ZipFile(self.root / "dist" / f"{NAME}.zip") as archive:
            return set(archive.namelist())


@pytest.fixture(scope="module")
def template(
    tmp_path_factory: pytest.TempPathFactory,
    make_wheel: Callable[..., bytes],
    index: None,  # noqa: ARG001
    shared_store: Path,
) -> Path:
    """The project, locked and traced once, never built."""
    root = tmp_path_factory.mktemp("template")
    for folder in ("recipes", "app", "events", "wheels"):
        (root / folder).mkdir()
    (root / "recipes" / "api.toml").write_text(RECIPE)
    (root / "app" / "handler.py").write_text(HANDLER)
    (root / "events" / "first.json").write_text('{"more": false, "table": false}')
    (root / "events" / "first.expect.json").write_text('{"status": 200, "body": ["&lt;", "1.0", "text", 1]}')
    for name, files in WHEELS.items():
        (root / "wheels" / f"{name}-1.0-py3-none-any.whl").write_bytes(make_wheel(name, "1.0", files))
    for command in ("lock", "trace"):
        done = subprocess.run(
            [sys.executable, "-m", "lamina", command, "api"],
            cwd=root,
            env={**os.environ, "LAMINA_CACHE": str(shared_store)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture
def api(template: Path, tmp_path: Path, lamina: Lamina) -> Api:
    """A copy of the project of the test's own."""
    shutil.copytree(template, tmp_path / "api")
    return Api(tmp_path / "api", lamina)


def test_what_the_proofs_touch_is_recorded_and_the_same_bytes_each_time(api: Api) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    lock = hashlib.sha256((api.root / "recipes" / "locks" / f"{NAME}.txt").read_bytes()).hexdigest()
    assert json.loads(api.trace.read_text()) == {"targets": {TARGET: {"lock": lock, **EXPECTED}}}
    before = api.trace.read_bytes()
    assert not (api.root / "dist").exists()
    rows = json.loads(api("trace", "api", "--check", "--json", "--quiet").stdout)
    jsonschema.validate({"trace": rows}, schema())
    [row] = rows
    assert [proof["kind"] for proof in row["proofs"]] == ["imports", "event"]
    assert row["proofs"][0]["detail"].startswith("1 of 1 modules import; ")  # nothing but what the recipe names
    assert (row["path"], row["passed"], row["changed"]) == ("layers/api/trace.json", True, False)
    assert row["traced"] == {"lock": lock, **EXPECTED}
    # Bytecode is not told from sources, and another target's entry stays.
    other = {"targets": {TARGET: {"lock": "0" * 64}, "cp312-manylinux_2_34_x86_64": {"lock": "1" * 64}}}
    api.trace.write_text(json.dumps(other))
    api.edit("recipes/api.toml", "[proof]", '[bytecode]\nmode = "sourceless"\n\n[proof]')
    done = api("trace", "api", "--quiet")
    assert done.stdout.splitlines()[-1] == (
        "  trace    4 modules, 1 native file, 2 other files, 1 file of metadata; written to layers/api/trace.json"
    )
    made = json.loads(api.trace.read_text())["targets"]
    assert made == {**json.loads(before)["targets"], "cp312-manylinux_2_34_x86_64": EMPTY}
    assert not (api.root / "dist").exists()


def test_a_proof_that_fails_leaves_the_trace_as_it_was(api: Api) -> None:
    before = api.trace.read_bytes()
    api.edit("app/handler.py", "from demo import used", "from demo import gone")
    done = api("trace", "api", "--quiet", code=1)
    assert done.stdout.splitlines()[-1] == "  trace    a proof failed, so layers/api/trace.json is as it was"
    assert api.trace.read_bytes() == before
    api.edit("recipes/api.toml", 'imports = ["demo.used"]', "imports = []")
    api.edit("recipes/api.toml", 'events = ["events/first.json"]', "events = []")
    assert api("trace", "api", "--quiet", code=2).stderr.splitlines() == [
        "error: recipes/api.toml: states nothing that a trace could run",
        "State what the layer is for: imports or script in [proof], or events in [function].",
    ]


def test_what_no_trace_touched_is_dropped_and_proven_at_once(api: Api) -> None:
    api.untraced("demo/**", "idle/")
    done = api("build", "api", "--quiet")
    assert (
        "  note: prune.untraced: 6 files, 2 bytes, left out, as no trace touched them; that nothing of that is missed "
        "is what the proofs tell, and nothing else"
    ) in done.stdout.splitlines()
    assert "  proofs   2 proofs passed; " in done.stdout
    assert {path for path in api.shipped() if path.startswith(("python/demo/", "python/idle")) and ".py" in path} == {
        "python/demo/__init__.py",
        "python/demo/__pycache__/__init__.cpython-311.pyc",
        "python/demo/__pycache__/lazily.cpython-311.pyc",
        "python/demo/__pycache__/used.cpython-311.pyc",
        "python/demo/lazily.py",
        "python/demo/used.py",
    }
    assert "python/demo/second.json" not in api.shipped()
    assert "python/lamina_trace_idle-1.0.dist-info/METADATA" in api.shipped()
    told = api("explain", "api", "demo/idle.py").stdout
    assert "untraced: layers/api/trace.json does not name it; lamina trace api makes that anew" in told
    # The same bytes are proven already; not so once anything else runs on them.
    assert "proofs passed" not in api("build", "api", "--quiet").stdout
    assert "proofs passed" in api("build", "api", "--quiet", "--prove").stdout
    api.event(more=True)
    failed = api("build", "api", "--quiet", code=1).stdout.splitlines()
    because = "was dropped by the recipe's prune.untraced: layers/api/trace.json does not name it"
    assert f"    demo.idle {because}; lamina trace api makes that anew" in failed
    api.event(table=True)
    failed = api("build", "api", "--quiet", code=1).stdout.splitlines()
    assert f"    /opt/python/demo/second.json {because}; lamina trace api makes that anew" in failed
    # The trace is made of a layer without it, so it widens.
    api.event(more=True, table=True)
    api("trace", "api", "--quiet")
    api("build", "api", "--quiet")
    assert {"python/demo/idle.py", "python/demo/second.json"} <= api.shipped()
    assert not any(path.startswith("python/demo/unused/") for path in api.shipped())


def test_without_a_trace_of_this_lock_nothing_is_dropped_by_it(api: Api) -> None:
    api.untraced("demo/**")
    api.trace.write_text(json.dumps({"targets": {TARGET: {"lock": "0" * 64}}}))
    hint = f"Make it: lamina trace api --target {TARGET}"
    assert api("build", "api", "--quiet", code=1).stderr.splitlines() == [
        f"error: layers/api/trace.json: for {TARGET} it was made with another lock, so prune.untraced cannot use it",
        hint,
    ]
    api.trace.unlink()
    assert api("build", "api", "--quiet", code=2).stderr.splitlines() == [
        f"error: layers/api/trace.json: has no trace for {TARGET}, which prune.untraced of the recipe needs",
        hint,
    ]
    assert api("trace", "api", "--check", "--quiet", code=1).stdout.splitlines()[-1] == (
        "  trace    4 modules, 1 native file, 2 other files, 1 file of metadata: layers/api/trace.json has none of "
        "this target; without --check this command writes it"
    )
    assert not api.trace.exists()


def test_containers_of_a_stand_in_for_the_base_image_trace_the_same(api: Api, base_image: str) -> None:
    done = api("trace", "api", "--check", "--quiet", "--in", "container", LAMINA_BASE_IMAGE=base_image)
    assert done.stdout.splitlines()[-1] == (
        "  trace    4 modules, 1 native file, 2 other files, 1 file of metadata: as layers/api/trace.json has it"
    )
