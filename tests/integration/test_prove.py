"""``lamina prove`` and ``lamina invoke`` on real layers and functions, and on each way in which they break."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
requirements = ["python-dateutil", "six"]

[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"

[proof]
imports = ["dateutil.parser"]
script = "smoke.py"

[function]
handler = "handler.lambda_handler"
source = [{ from = "app" }]
events = ["events/year.json"]
memory = "128 MiB"
timeout = 2
"""
HANDLER = """
import json

from dateutil import parser


def lambda_handler(event, context):
    when = parser.parse(event["when"])
    return {"statusCode": 200, "body": json.dumps({"year": when.year})}
"""
SMOKE = """
import pickle, six, sys
class Here: pass
assert type(pickle.loads(pickle.dumps(Here()))) is Here
assert six.__file__.startswith(("/opt/python/", "/tmp/", "/")), six.__file__
assert sys.argv == ["smoke.py"]
"""
FILES = {
    "recipes/api.toml": RECIPE,
    "app/handler.py": HANDLER,
    "smoke.py": SMOKE,
    "events/year.json": '{"when": "2026-11-22"}',
    "events/year.expect.json": '{"status": 200, "body": {"year": 2026}}',
}

Lamina = Callable[..., "subprocess.CompletedProcess[str]"]


class Api:
    """A project of one recipe, and ``lamina`` in it."""

    def __init__(self, root: Path, run: Lamina, store: Path) -> None:
        self.root, self._run, self.store = root, run, store

    def __call__(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = self._run(*arguments, cwd=self.root, env=env)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback (most recent call last)" not in done.stderr
        return done

    def prove(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """The result for machines of the one target."""
        [row] = json.loads(self("prove", "api", "--json", "--quiet", *arguments, code=code).stdout)
        assert isinstance(row, dict)
        return row

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def recipe(self, old: str, new: str) -> None:
        """Change the recipe at one place."""
        text = (self.root / "recipes/api.toml").read_text(encoding="utf-8")
        assert text.count(old) == 1
        self.write("recipes/api.toml", text.replace(old, new))

    def manifest(self, suffix: str = "") -> dict[str, Any]:
        held = json.loads((self.root / "dist" / f"{NAME}{suffix}.json").read_text(encoding="utf-8"))
        assert isinstance(held, dict)
        return held

    def proofs(self) -> list[tuple[str, bool]]:
        """Kind and outcome of the proofs in both manifests."""
        return [
            (proof["kind"], proof["passed"])
            for suffix in ("", "-function")
            for proof in self.manifest(suffix)["proofs"]
        ]

    def handler(self, body: str, head: str = "import json") -> None:
        """Another function, built."""
        indented = body.replace("\n", "\n    ")
        self.write("app/handler.py", f"{head}\n\n\ndef lambda_handler(event, context):\n    {indented}\n")
        self("build", "api", "--quiet")

    def lines(self, code: int = 1) -> list[str]:
        """What a person reads of a proof, line ends of the terminal taken out."""
        return self("prove", "api", "--quiet", code=code, COLUMNS="2000").stdout.splitlines()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, index: None, shared_store: Path) -> Path:  # noqa: ARG001
    """The project, locked and built once."""
    root = tmp_path_factory.mktemp("template")
    for path, text in FILES.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for command in ("lock", "build"):
        done = subprocess.run(
            [sys.executable, "-m", "lamina", command, "api"],
            cwd=root,
            env={**os.environ, "LAMINA_CACHE": str(shared_store)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def api(template: Path, tmp_path: Path, lamina: Lamina, shared_store: Path) -> Api:
    """A copy of the project of the test's own."""
    shutil.copytree(template, tmp_path / "api")
    return Api(tmp_path / "api", lamina, shared_store)


# What runs, and what is told of it


def test_each_manifest_names_the_proofs_that_ran_and_where(api: Api) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    done = api("prove", "api", "--json")
    rows = json.loads(done.stdout)
    jsonschema.validate({"prove": rows}, schema())
    [row] = rows
    assert (row["name"], row["target"], row["passed"], row["notes"]) == ("api", TARGET, True, [])
    assert [proof["kind"] for proof in row["proofs"]] == ["imports", "script", "event"]
    layer, function = api.manifest()["proofs"], api.manifest("-function")["proofs"]
    assert layer == row["proofs"][:2]
    digest = hashlib.sha256((api.root / "dist" / f"{NAME}.zip").read_bytes()).hexdigest()
    [event] = function
    assert event["detail"] == f"{row['proofs'][2]['detail']}; with {NAME}.zip, sha256 {digest}"
    assert event["detail"].startswith("events/year.json: as expected; ")
    assert layer[0]["detail"].startswith("3 of 3 modules import; ")
    assert layer[1]["detail"].startswith("smoke.py: ended with exit code 0; ")
    for proof in row["proofs"]:
        assert ": not Lambda" in proof["where"]
        assert "glibc" in proof["where"]
        assert "CPython 3.11." in proof["where"]


def test_proofs_stay_with_their_bytes(api: Api) -> None:
    api.prove()
    before = api.manifest()
    assert api.proofs() == [("imports", True), ("script", True), ("event", True)]
    api("build", "api", "--quiet")
    assert api.manifest() == before
    api.write("app/handler.py", HANDLER + "\n")
    api("build", "api", "--quiet")
    assert api.proofs() == [("imports", True), ("script", True)]
    api.recipe("[proof]", '[prune]\ndrop = ["dateutil/easter.py"]\n\n[proof]')
    api("build", "api", "--quiet")
    assert api.proofs() == []


def test_a_function_is_not_proven_with_a_layer_that_it_never_met(api: Api) -> None:
    api.prove()
    met = api.manifest()["sha256"]
    api.recipe("[proof]", '[prune]\ndrop = ["dateutil/easter.py"]\n\n[proof]')
    api("build", "api", "--quiet")
    assert api.manifest()["sha256"] != met
    assert all(proof["detail"].endswith(f"sha256 {met}") for proof in api.manifest("-function")["proofs"])


def test_build_and_prove_in_one(api: Api) -> None:
    shutil.rmtree(api.root / "dist")
    [row] = json.loads(api("build", "api", "--prove", "--json", "--quiet").stdout)
    assert [proof["kind"] for proof in row["manifest"]["proofs"]] == ["imports", "script"]
    assert [proof["kind"] for proof in row["function"]["manifest"]["proofs"]] == ["event"]


def test_what_did_not_run_is_said(api: Api) -> None:
    api.recipe('events = ["events/year.json"]\n', "")
    row = api.prove()
    assert row["notes"] == ["the function was not run: [function] names no events"]
    assert [proof["kind"] for proof in row["proofs"]] == ["imports", "script"]
    assert api.proofs() == [("imports", True), ("script", True)]
    api.recipe('artefacts = ["layer", "function"]\n', "")
    assert api.prove()["notes"] == ['the function was not run: "function" is not in the artefacts of the recipe']
    text = (api.root / "recipes/api.toml").read_text(encoding="utf-8").partition("[function]")[0]
    api.write("recipes/api.toml", text.replace('script = "smoke.py"\n', ""))
    row = api.prove()
    assert row["notes"] == ["nothing but imports was run: the recipe has no [proof] script and no [function]"]
    assert [proof["kind"] for proof in row["proofs"]] == ["imports"]
    lines = api.lines(code=0)
    assert lines[-2] == f"  note     {row['notes'][0]}"
    assert lines[-1] == f"  proofs   1 proof passed; in dist/{NAME}.json"


def test_two_at_once(api: Api) -> None:
    command = [sys.executable, "-m", "lamina", "prove", "api", "--json", "--quiet"]
    env = {**os.environ, "LAMINA_CACHE": str(api.store)}
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, cwd=api.root, env=env, stdout=pipe, stderr=pipe) for _ in range(2)]
    for one in both:
        out, err = one.communicate(timeout=120)
        assert one.returncode == 0, err.decode()
        assert json.loads(out)[0]["passed"]
    assert api.proofs() == [("imports", True), ("script", True), ("event", True)]


def test_a_warm_store_is_enough_without_a_network(api: Api, tmp_path: Path) -> None:
    api.prove()
    empty = tmp_path / "index"
    empty.mkdir()
    api("prove", "api", "--offline", "--quiet", UV_DEFAULT_INDEX=str(empty))


def test_it_does_not_prove_what_was_built_anew_meanwhile(api: Api) -> None:
    zipped = api.root / "dist" / f"{NAME}.zip"
    api.write("smoke.py", "import time\nprint('running', flush=True)\ntime.sleep(6)\n")
    command = [sys.executable, "-m", "lamina", "prove", "api"]
    env = {**os.environ, "LAMINA_CACHE": str(api.store)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=api.root, env=env, stdout=pipe, stderr=pipe, text=True) as proving:
        assert proving.stdout is not None
        assert proving.stdout.readline().startswith("api for ")
        api.recipe("[proof]", '[prune]\ndrop = ["dateutil/easter.py"]\n\n[proof]')
        api("build", "api", "--quiet")
        _, err = proving.communicate(timeout=60)
    assert (proving.returncode, zipped.exists()) == (4, True)
    assert f"error: dist/{NAME}.zip: was built anew while it was proven\n" in err
    assert api.manifest()["proofs"] == []


# What is missing or wrong before anything runs


def test_without_an_artefact_it_says_what_to_build(api: Api) -> None:
    shutil.rmtree(api.root / "dist")
    done = api("prove", "api", "--quiet", code=2)
    assert done.stderr == (
        f"error: dist/{NAME}.zip: there is no such artefact to run\nBuild it first: lamina build api\n"
    )
    assert done.stdout == ""


@pytest.mark.parametrize("suffix", ["", "-function"])
def test_a_zip_that_the_manifest_does_not_describe(api: Api, suffix: str) -> None:
    zipped = api.root / "dist" / f"{NAME}{suffix}.zip"
    zipped.write_bytes(zipped.read_bytes() + b"x")
    done = api("prove", "api", "--quiet", code=4)
    assert done.stderr == (
        f"error: dist/{NAME}{suffix}.zip: is not the zip that the manifest beside it describes\n"
        "Build it again: lamina build api\n"
    )


def test_files_that_are_not_there_are_told_together(api: Api) -> None:
    (api.root / "smoke.py").unlink()
    (api.root / "events/year.json").unlink()
    api.recipe("[function]", 's3 = { "models/m.pkl" = "events/m.pkl" }\n\n[function]')
    done = api("prove", "api", "--quiet", code=2)
    assert done.stderr == (
        "error: recipes/api.toml: proof.script: smoke.py: there is no such file\n"
        'recipes/api.toml: proof.s3."models/m.pkl": events/m.pkl: there is no such file\n'
        "recipes/api.toml: function.events[0]: events/year.json: there is no such file\n"
        f"Paths are relative to the project's root, {api.root}.\n"
    )
    assert done.stdout == ""
    assert api.proofs() == []


def test_an_event_or_an_expectation_that_is_none(api: Api) -> None:
    api.write("events/year.json", "{'when': 1}")
    done = api("prove", "api", "--quiet", code=2)
    assert done.stderr.startswith("error: events/year.json: not JSON: ")
    assert done.stdout == ""
    api.write("events/year.json", "{}")
    api.write("events/year.expect.json", '{"stauts": 200}')
    done = api("prove", "api", "--quiet", code=2)
    assert done.stderr.startswith('error: events/year.expect.json: stauts: unknown key; did you mean "status"?\n')


def test_without_moto_it_says_what_to_install(api: Api, tmp_path: Path) -> None:
    api.recipe("[function]", 's3 = { "models/m.pkl" = "events/year.json" }\n\n[function]')
    hidden = tmp_path / "hidden" / "moto"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'moto'\")\n")
    path = os.pathsep.join(filter(None, [str(hidden.parent), os.environ.get("PYTHONPATH", "")]))
    done = api("prove", "api", "--quiet", code=5, PYTHONPATH=path)
    assert done.stderr == (
        "error: [proof.s3] needs moto's server, which is not installed beside lamina\n"
        "Install it with: pip install 'moto[s3,server]'\n"
    )
    assert api.proofs() == []


# What breaks when it runs


BREAKS = {
    "it raises at import": (
        ("return {}", 'raise RuntimeError("no licence")'),
        (
            "the module of handler.lambda_handler raised while it was imported: RuntimeError: no licence (File "
            '"/var/task/handler.py", line 1, in <module>)'
        ),
    ),
    "it needs more memory": (
        ("held = bytearray(300 * 1024 * 1024)\nreturn len(held)", ""),
        "the function needed more than its 128 MB of memory while it handled the event and was ended",
    ),
    "it sleeps past the deadline": (
        ("time.sleep(60)\nreturn event", "import time"),
        "handler.lambda_handler did not answer within 2 s, the function's timeout, and was ended",
    ),
    "it answers 7 MB": (
        ('return "x" * 7_000_000', ""),
        (
            "the answer of handler.lambda_handler is larger than Lambda takes: Response payload size exceeded maximum "
            "allowed payload size (6291556 bytes)."
        ),
    ),
    "its answer is no JSON": (
        ("return {1, 2}", ""),
        (
            "what handler.lambda_handler returned cannot be written as JSON: Unable to marshal response: Object of "
            "type set is not JSON serializable"
        ),
    ),
    "it ends its process": (
        ("os._exit(3)\nreturn event", "import os"),
        "the process ended while it handled the event: Runtime exited with error: exit status 3",
    ),
    "it is not what was expected": (
        ('return {"statusCode": 200, "body": json.dumps({"year": int(event["when"][:4]) - 1})}', "import json"),
        "answer.body.year: 2025 is not 2026",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_has_a_message_of_its_own(api: Api, name: str) -> None:
    (body, head), message = BREAKS[name]
    api.handler(body, head)
    lines = api.lines()
    at = next(at for at, line in enumerate(lines) if line.startswith("  failed   event: events/year.json: not as exp"))
    told = lines[at + 1].replace(str(api.root), "").strip()
    if "/var/task/" not in told and 'File "' in message:  # without namespaces the function stands elsewhere
        message, told = message.partition("(File")[0], told.partition("(File")[0]
    assert told == message
    assert lines[-1].startswith("  proofs   1 of 3 proofs failed; in ")
    assert api.proofs() == [("imports", True), ("script", True), ("event", False)]


def test_a_shared_folder_that_was_moved_is_found_before_anything_runs(api: Api) -> None:
    api.write("shared/storage.py", "def load(event):\n    return event\n")
    api.write("app/handler.py", HANDLER.replace("import json\n", "import json\n\nfrom shared.storage import load\n"))
    api.recipe('[{ from = "app" }]', '[{ from = "app" }, { from = "shared", to = "lib/shared" }]')
    done = api("build", "api", "--prove", "--quiet", code=1)
    assert "error  missing-import  handler.py" in done.stdout
    assert "passed" not in done.stdout
    done = api("prove", "api", "--quiet", code=1)
    assert done.stdout == ""
    assert done.stderr == (
        f"error: dist/{NAME}-function.zip: was not made, for errors that the build found: "
        "missing-import in handler.py\nSee what they mean: lamina build api\n"
    )
    api.recipe('to = "lib/shared"', 'to = "shared"')
    api("build", "api", "--prove", "--quiet")


def test_a_script_that_fails(api: Api) -> None:
    api.write("smoke.py", "def check():\n    raise ValueError('three rows')\n\n\ncheck()\n")
    lines = api.lines()
    at = next(at for at, line in enumerate(lines) if line.startswith("  failed   script: smoke.py: ended with exit co"))
    assert [line for line in lines[at + 1 : at + 8] if "^" not in line][:6] == [
        "    Traceback (most recent call last):",
        '      File "smoke.py", line 5, in <module>',
        "        check()",
        '      File "smoke.py", line 2, in check',
        "        raise ValueError('three rows')",
        "    ValueError: three rows",
    ]
    assert api.proofs() == [("imports", True), ("script", False), ("event", True)]
    for text, told in (("x = = 1\n", "SyntaxError: invalid syntax"), ("raise SystemExit('no')\n", "no")):
        api.write("smoke.py", text)
        assert f"    {told}" in api.lines()


def test_an_import_that_pruning_broke_is_explained(api: Api) -> None:
    api.recipe("[proof]", '[prune]\ndrop = ["dateutil/parser/**"]\n\n[proof]')
    api.write("app/handler.py", "def lambda_handler(event, context):\n    return event\n")
    api("build", "api", "--quiet")
    lines = api.lines()
    assert lines[1].startswith("  failed   imports: 2 of 3 modules import; ")
    assert lines[1].endswith("; failed: dateutil.parser")
    assert lines[2] == "    dateutil.parser: ModuleNotFoundError: No module named 'dateutil.parser'"
    assert lines[3] == ("      dateutil.parser was dropped by the recipe's prune.drop")
    assert api.proofs()[0] == ("imports", False)


def test_an_import_that_omit_broke_is_explained(api: Api, forge: Callable[..., Path], tmp_path: Path) -> None:
    forge("alpha", "1.0", {"alpha/__init__.py": "import beta\n"}, requires=("beta",))
    forge("beta", "1.0", {"beta/__init__.py": ""})
    shutil.copytree(tmp_path / "wheels", api.root / "wheels")
    api.recipe('"six"]', '"six", "alpha"]\nfind-links = ["wheels"]\nomit = [{ name = "beta", reason = "never used" }]')
    api("lock", "api")
    [row] = json.loads(api("build", "api", "--quiet", "--json").stdout)
    assert ("missing-import", "python/alpha/__init__.py") in [
        (one["code"], one["path"]) for one in row["manifest"]["findings"]
    ]
    lines = api.lines()
    at = lines.index("    alpha: ModuleNotFoundError: No module named 'beta'")
    assert lines[at + 1 : at + 3] == [
        "      /opt/python/alpha/__init__.py:1 in <module>: import beta",
        "      beta is not shipped, by omit of the recipe: never used",
    ]


def test_a_package_that_never_imports_is_a_note(api: Api, forge: Callable[..., Path], tmp_path: Path) -> None:
    forge("alpha", "1.0", {"alpha/__init__.py": "import delta\n"})
    shutil.copytree(tmp_path / "wheels", api.root / "wheels")
    api.recipe('"six"]', '"six", "alpha"]\nfind-links = ["wheels"]')
    api("lock", "api")
    api("build", "api", "--quiet")
    row = api.prove()
    assert row["proofs"][0]["detail"].startswith("3 of 4 modules import; ")
    assert row["notes"] == [
        "alpha does not import from its untouched wheel either: ModuleNotFoundError: No module named 'delta'"
    ]
    api.recipe('imports = ["dateutil.parser"]', 'imports = ["alpha"]')  # stated, it must import
    assert not api.prove(code=1)["passed"]


# The scikit-learn layer


@pytest.fixture
def sklearn(project: Path, lamina: Lamina, shared_store: Path) -> Api:
    """This repository's own recipe."""
    return Api(project, lamina, shared_store)


def test_sklearn(sklearn: Api) -> None:
    sklearn("build", "sklearn", "--target", TARGET, "--quiet")
    done = sklearn("prove", "sklearn", "--target", TARGET, "--quiet", "--json")
    [row] = json.loads(done.stdout)
    assert [(proof["kind"], proof["passed"]) for proof in row["proofs"]] == [
        ("imports", True), ("event", True), ("event", True)
    ]  # fmt: skip


def test_sklearn_without_numpy_testing_and_pandas(sklearn: Api) -> None:
    text = (sklearn.root / "recipes/sklearn.toml").read_text(encoding="utf-8")
    text = text.replace('imports = ["sklearn.linear_model",', 'imports = ["numpy.testing", "sklearn.linear_model",')
    text = text.replace("[proof]", '[prune]\ndrop = ["numpy/testing/**", "pandas/**"]\n\n[proof]')
    sklearn.write("recipes/sklearn.toml", text)
    done = sklearn("build", "sklearn", "--target", TARGET, "--quiet", "--json", code=1)
    [row] = json.loads(done.stdout)
    assert row["function"]["artefact"] is None
    [found] = row["function"]["manifest"]["findings"]
    assert (found["code"], found["path"]) == ("missing-import", "handler.py")
    assert found["message"].startswith("No module named 'pandas': handler.py imports it and will fail")
    done = sklearn("prove", "sklearn", "--target", TARGET, "--quiet", code=1)
    assert done.stderr == (
        f"error: dist/sklearn-{TARGET}-function.zip: was not made, for errors that the build found: "
        "missing-import in handler.py\nSee what they mean: lamina build sklearn\n"
    )
    # Somebody says that it does not matter.
    accepted = '\n[[accept]]\ncode = "missing-import"\npath = "handler.py"\nreason = "it is there in production"\n'
    sklearn.write("recipes/sklearn.toml", text + accepted)
    sklearn("build", "sklearn", "--target", TARGET, "--quiet")
    lines = sklearn("prove", "sklearn", "--target", TARGET, "--quiet", code=1, COLUMNS="2000").stdout.splitlines()
    assert lines[1].startswith("  failed   imports: 12 of 14 modules import; ")
    assert lines[1].endswith("; failed: numpy.testing, pandas")
    assert lines[2:6] == [
        "    numpy.testing: ModuleNotFoundError: No module named 'numpy.testing'",
        "      numpy.testing was dropped by the recipe's prune.drop",
        "    pandas: ModuleNotFoundError: No module named 'pandas'",
        "      pandas was dropped by the recipe's prune.drop",
    ]
    unable = "Unable to import module 'handler': No module named 'pandas'"
    assert lines[7:11] == [
        f"    the module of handler.lambda_handler does not import: {unable}",
        "    Ship what is missing: a package in requirements, a module of your own with source in [function].",
        f"    [ERROR] Runtime.ImportModuleError: {unable}",
        "    Traceback (most recent call last):",
    ]
    assert lines[-1].startswith("  proofs   3 of 3 proofs failed; in ")


# Interrupted


def _until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_interrupted_it_leaves_the_manifest_and_nothing_else(api: Api, tmp_path: Path) -> None:
    api.prove()
    before = {path.name: path.read_bytes() for path in (api.root / "dist").iterdir()}
    mounts = _mounts(api.store)
    api.write("smoke.py", "import time\ntime.sleep(300)\n")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "lamina", "prove", "api"]
    env = {**os.environ, "LAMINA_CACHE": str(api.store), "TMPDIR": str(temporary)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=api.root, env=env, stdout=pipe, stderr=pipe, text=True) as proving:
        try:
            assert proving.stdout is not None
            assert proving.stdout.readline().startswith("api for ")
            assert "imports" in proving.stdout.readline()
            _until(lambda: len(_children(proving.pid)) > 0)
            time.sleep(0.3)
            below = _children(proving.pid)
            proving.send_signal(signal.SIGINT)
            _, err = proving.communicate(timeout=30)
        finally:
            proving.kill()
    assert proving.returncode == 130
    assert "Traceback" not in err
    _until(lambda: not any(Path("/proc", pid).exists() for pid in below))
    assert {path.name: path.read_bytes() for path in (api.root / "dist").iterdir()} == before
    assert _mounts(api.store) == mounts
    assert [*temporary.iterdir()] == []


def _mounts(store: Path) -> list[str]:
    """What is mounted that a sandbox mounts; other programs of this machine may mount what they like."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if any(word in line for word in (str(store), "/var/task", "/var/lamina"))]


def _children(pid: int) -> list[str]:
    """All processes below one."""
    below: list[str] = []
    waiting = [str(pid)]
    while waiting:
        for task in Path("/proc", waiting.pop(), "task").glob("*/children"):
            try:
                found = task.read_text().split()
            except OSError:
                continue
            below += found
            waiting += found
    return below


# Invoke


def test_invoke_answers_an_event(api: Api) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    done = api("invoke", "api", "--event", "events/year.json")
    assert json.loads(done.stdout) == {"statusCode": 200, "body": '{"year": 2026}'}
    assert [line.split()[0] for line in done.stderr.splitlines() if "RequestId" in line] == ["START", "END", "REPORT"]
    assert "  Init Duration: " in done.stderr
    assert "Memory Size: 128 MB" in done.stderr
    rows = json.loads(api("invoke", "api", "--json").stdout)
    jsonschema.validate({"invoke": rows}, schema())
    assert api.proofs() == []  # a call is no proof


def test_invoke_refuses_what_it_cannot_send(api: Api) -> None:
    api.write("no.json", "no")
    assert api("invoke", "api", "--event", "no.json", code=2).stderr.startswith("error: no.json: not JSON: ")
    assert api("invoke", "api", "--event", "gone.json", code=2).stderr == (
        "error: gone.json: No such file or directory\n"
        "Name a file that holds the event as JSON, or - to read it from standard input.\n"
    )


@pytest.fixture
def served(api: Api) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The function behind Lambda's Invoke API, and its address."""
    command = [sys.executable, "-m", "lamina", "invoke", "api", "--serve", "0"]
    env = {**os.environ, "LAMINA_CACHE": str(api.store)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=api.root, env=env, stdout=pipe, stderr=pipe, text=True) as serving:
        try:
            assert serving.stdout is not None
            yield serving, serving.stdout.readline().strip()
        finally:
            serving.kill()


def test_an_sdk_calls_what_is_served(served: tuple[subprocess.Popen[str], str]) -> None:
    boto3 = pytest.importorskip("boto3")
    serving, url = served
    client = boto3.client(
        "lambda",
        endpoint_url=url.partition("/2015")[0],
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",  # noqa: S106 - nobody checks
    )
    answer = client.invoke(FunctionName="api", Payload=b'{"when": "1999-01-01"}')
    assert json.load(answer["Payload"]) == {"statusCode": 200, "body": '{"year": 1999}'}
    answer = client.invoke(FunctionName="api", Payload=b"{}")
    assert (answer["FunctionError"], json.load(answer["Payload"])["errorType"]) == ("Unhandled", "KeyError")
    serving.send_signal(signal.SIGINT)
    _, err = serving.communicate(timeout=30)
    assert serving.returncode == 0
    assert err.endswith("ended\n")
