"""``lamina invoke`` over a function that runs in AWS's own runtime client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamina.cli.invoke import command, run
from lamina.errors import RecipeError, UsageError
from lamina.prove.invocation import Setting
from lamina.prove.invoke import Function
from lamina.prove.model import Sandbox
from lamina.prove.trial import load

RECIPE = """
name = "churn"
requirements = ["six"]
artefacts = ["layer", "function"]

[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"

[function]
handler = "handler.lambda_handler"
source = [{ from = "task" }]
events = ["events/good.json", "events/bad.json"]
timeout = 5
memory = "256 MiB"
environment = { STAGE = { value = "test" }, TOKEN = { secret = true } }
"""
HANDLER = """
import json, os
def lambda_handler(event, context):
    print("event of", os.environ["STAGE"], "TOKEN" in os.environ)
    if "age" not in event:
        return {"statusCode": 400, "body": json.dumps({"error": "age is missing"})}
    if event["age"] < 0:
        raise ValueError("no such age")
    return {"statusCode": 200, "body": json.dumps({"probability": event["age"] / 100})}
"""
EVENTS = {
    "good": ({"age": 41}, {"status": 200, "body": {"probability": {"$between": [0, 1]}}}),
    "bad": ({}, {"status": 400, "body": {"error": {"$contains": "age"}}}),
}
Invoke = Callable[..., int]
Send = Callable[..., int]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """The command, in a project of its own."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "task").mkdir(exist_ok=True)
    (tmp_path / "recipes" / "churn.toml").write_text(RECIPE)
    (tmp_path / "task" / "handler.py").write_text(HANDLER)
    (tmp_path / "events").mkdir()
    for name, (event, expected) in EVENTS.items():
        (tmp_path / "events" / f"{name}.json").write_text(json.dumps(event))
        (tmp_path / "events" / f"{name}.expect.json").write_text(json.dumps(expected))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMINA_CACHE", str(tmp_path / "cache"))
    return lambda *arguments: command.main(list(arguments), standalone_mode=False)


@pytest.fixture
def send(plain: Sandbox, invoke: Invoke) -> Iterator[Send]:
    """Send events to the function of the project."""
    assert invoke
    setting = Setting("churn", "handler.lambda_handler", 2**28, 5, "python3.11", {"STAGE": "test"})
    with Function(plain, setting) as function:
        yield lambda *names, as_json=False: run(function, [load(Path(name), name) for name in names], as_json=as_json)


def test_the_recipes_events_are_sent_and_held_against_what_is_expected(
    send: Send, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send("events/good.json", "events/bad.json") == 0
    out, err = capsys.readouterr()
    first, second = (json.loads(line) for line in out.splitlines())
    assert first == {"statusCode": 200, "body": '{"probability": 0.41}'}
    assert second == {"statusCode": 400, "body": '{"error": "age is missing"}'}
    lines = err.splitlines()
    assert [line.split()[0] for line in lines] == ["START", "event", "END", "REPORT"] * 2
    assert lines[1] == "event of test False"
    assert ["Init Duration" in lines[3], "Init Duration" in lines[7]] == [True, False]
    assert "Memory Size: 256 MB  Max Memory Used: " in lines[3]


def test_an_answer_that_is_not_as_expected_is_told(
    send: Send, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.json").write_text('{"age": 170}')
    (tmp_path / "old.expect.json").write_text(json.dumps(EVENTS["good"][1]))
    assert send("old.json") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: old.json: answer.body.probability: 1.7 is not in [0, 1]"


def test_an_error_of_the_function_is_told(send: Send, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "minus.json").write_text('{"age": -1}')
    assert send("minus.json") == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["errorType"] == "ValueError"
    place = f'File "{tmp_path}/task/handler.py", line 8, in lambda_handler'
    assert err.splitlines()[-2:] == [
        f"error: minus.json: handler.lambda_handler raised ValueError: no such age ({place})",
        "  The log has the whole traceback.",
    ]
    (tmp_path / "none.json").write_text('{"age": -1}')
    (tmp_path / "none.expect.json").write_text('{"error": {"errorType": "ValueError"}}')
    assert send("none.json") == 0


def test_json_for_machines(send: Send, capsys: pytest.CaptureFixture[str]) -> None:
    assert send("events/good.json", "events/bad.json", as_json=True) == 0
    out, err = capsys.readouterr()
    first, second = json.loads(out)
    assert err == ""
    assert (first["event"], first["passed"], first["mismatches"], first["error_type"]) == (
        "events/good.json", True, [], None
    )  # fmt: skip
    assert first["answer"] == {"statusCode": 200, "body": '{"probability": 0.41}'}
    assert first["init_ms"] > 0
    assert first["billed_ms"] >= first["duration_ms"] + first["init_ms"]
    assert second["init_ms"] is None
    assert second["peak_bytes"] > 5_000_000


def test_usage_is_told_before_anything_runs(invoke: Invoke, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^gone\.json: No such file or directory$"):
        invoke("churn", "--event", "gone.json")
    (tmp_path / "no.json").write_text("{'age': 1}")
    with pytest.raises(UsageError, match=r"^no\.json: not JSON: JSON is malformed"):
        invoke("churn", "--event", "no.json")
    (tmp_path / "events" / "bad.expect.json").write_text('{"stauts": 1}')
    with pytest.raises(
        RecipeError, match=r"^events/bad\.expect\.json: stauts: unknown key; did you mean \"status\"\?$"
    ):
        invoke("churn")
    recipe = tmp_path / "recipes" / "churn.toml"
    recipe.write_text(RECIPE.replace('"layer", "function"', '"layer"'))
    with pytest.raises(UsageError, match=r"^churn emits no function$"):
        invoke("churn")
    with pytest.raises(UsageError, match=r"^--serve excludes --event and --json$"):
        invoke("churn", "--serve", "0", "--json")


#: A process of its own, so that it can be interrupted as a terminal does it.
SERVE = """
import importlib.util, os, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("places", sys.argv[1])
places = importlib.util.module_from_spec(spec)
spec.loader.exec_module(places)
from lamina.cli.invoke import serve
from lamina.prove.invocation import Setting
from lamina.prove.invoke import Function
task, client = Path(sys.argv[2]), Path(sys.argv[3])
setting = Setting("pid", "handler.lambda_handler", 2**28, 20, "python3.11")
with Function(places.Plain(task, [task, client]), setting) as function:
    code = serve(function, 0)
sys.exit(code)
"""


def test_it_serves_until_it_is_interrupted_and_leaves_nothing_running(tmp_path: Path, client: Path) -> None:
    (tmp_path / "handler.py").write_text("import os\ndef lambda_handler(event, context): return os.getpid()\n")
    places = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", SERVE, str(places), str(tmp_path), str(client)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as serving:
        try:
            assert serving.stdout is not None
            url = serving.stdout.readline().strip()
            with urllib.request.urlopen(url, b"{}", timeout=30) as answer:  # noqa: S310 - of our own server
                process = json.load(answer)
            os.kill(process, 0)
            serving.send_signal(signal.SIGINT)
            out, err = serving.communicate(timeout=30)
        finally:
            serving.kill()
    assert (serving.returncode, out) == (0, "")
    assert [line.split()[0] for line in err.splitlines()] == ["Ctrl-C", "START", "END", "REPORT", "ended"]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.usefixtures("index", "invoke")
def test_what_was_built_is_called_where_lambda_has_it(
    lamina: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for step in ("lock", "build"):
        done = lamina(step, "churn", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = lamina("invoke", "churn", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    assert first["answer"] == {"statusCode": 200, "body": '{"probability": 0.41}'}
    assert first["log"][1] == "event of test False"
    assert second["passed"]
    (tmp_path / "minus.json").write_text('{"age": -1}')
    done = lamina("invoke", "churn", "--event", "minus.json", cwd=tmp_path)
    assert done.returncode == 1
    assert "error: minus.json: handler.lambda_handler raised ValueError: no such age" in done.stderr
    assert lamina("invoke", "churn", "--event", "gone.json", cwd=tmp_path).returncode == 2
