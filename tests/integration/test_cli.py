"""The command line over forged wheels in a folder, without any network: what is printed, and the exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.report.machine import schema

RECIPE = """
name = "demo"
requirements = ["alpha"]
provided = []
find-links = ["wheels"]

[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"

[[target]]
python = "cp312"
architecture = "aarch64"
"""
FIRST, SECOND = "cp311-manylinux2014_x86_64", "cp312-manylinux_2_34_aarch64"

Lamina = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def demo(tmp_path: Path, forge: Callable[..., Path], lamina: Lamina) -> Lamina:
    """``lamina`` in a project with one recipe, two targets and two wheels; no index is ever asked."""
    root = tmp_path / "demo"
    (root / "recipes").mkdir(parents=True)
    (root / "recipes" / "demo.toml").write_text(RECIPE)
    files = {"alpha/__init__.py": "import beta\n", "alpha/tests/__init__.py": "", "alpha/tests/big.py": "x = 1\n" * 500}
    forge("alpha", "1.0", files, requires=("beta>=1",))
    forge("beta", "2.0", {"beta/__init__.py": "", "beta/docs/index.md": "# beta\n"})
    shutil.copytree(tmp_path / "wheels", root / "wheels")
    empty = tmp_path / "index"
    empty.mkdir()
    env = {"UV_DEFAULT_INDEX": str(empty), "LAMINA_CACHE": str(tmp_path / "store")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return lamina(*arguments, cwd=root, env=env)

    done = run("lock", "demo", "--offline")
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The project that ``demo`` runs in."""
    return tmp_path / "demo"


def test_builds_every_target_and_only_the_named_one(demo: Lamina, root: Path) -> None:
    assert demo("build", "--offline").returncode == 0
    assert {path.name for path in (root / "dist").glob("*.zip")} == {f"demo-{FIRST}.zip", f"demo-{SECOND}.zip"}
    shutil.rmtree(root / "dist")
    assert demo("build", "demo", "--target", SECOND, "--offline").returncode == 0
    assert {path.name for path in (root / "dist").glob("*.zip")} == {f"demo-{SECOND}.zip"}


def test_output_for_machines_fits_the_shipped_schema(demo: Lamina) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for words in (["build"], ["lock"], ["explain", "demo"], ["cache", "info"]):
        options = [] if words[0] == "cache" else ["--offline"]
        done = demo(*words, *options, "--json")
        assert done.returncode == 0, done.stderr
        command = "cache info" if words[0] == "cache" else words[0]
        jsonschema.validate({command: json.loads(done.stdout)}, schema())


def test_shipped_schema_is_the_generated_one(repository: Path) -> None:
    shipped = repository / "build" / "lamina" / "report" / "output.schema.json"
    assert json.loads(shipped.read_text()) == schema(), "run scripts/schemas.py"


def test_small_zip_is_published_directly(demo: Lamina) -> None:
    done = demo("build", "demo", "--target", FIRST, "--offline")
    assert "--zip-file fileb://dist/demo-cp311-manylinux2014_x86_64.zip" in done.stdout
    assert "--compatible-runtimes python3.11 --compatible-architectures x86_64" in done.stdout


def test_second_build_is_warm_and_says_so(demo: Lamina) -> None:
    assert "(warm: composed from the store)" not in demo("build", "--offline").stdout
    assert demo("build", "--offline").stdout.count("(warm: composed from the store)") == 2


def test_explain_names_rule_and_reason(demo: Lamina) -> None:
    done = demo("explain", "demo", "alpha/tests", "--target", FIRST, "--offline")
    assert done.stdout.splitlines() == [
        f"# demo for {FIRST}",
        'dropped            0  python/alpha/tests/__init__.py (alpha: rule "tests": nothing refers to it)',
        'dropped        3,000  python/alpha/tests/big.py (alpha: rule "tests": nothing refers to it)',
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["bogus"], 2, "error: No such command 'bogus'.\nSee: lamina --help\n"),
        (["build", "nope"], 2, "error: recipes/nope.toml: no such recipe\nRecipes in recipes: demo.\n"),
        (
            ["build", "demo", "--target", "cp313-manylinux2014_x86_64"],
            2,
            f"error: demo has no target cp313-manylinux2014_x86_64\nIts targets are: {FIRST}, {SECOND}\n",
        ),
        (
            ["build", "demo", "--all"],
            2,
            "error: --all and names of recipes exclude each other\nGive one of the two.\n",
        ),
        (
            ["lock", "--check", "--upgrade"],
            2,
            "error: --check changes nothing, --upgrade does\nGive one of the two.\n",
        ),
        (
            ["lock", "--check", "--builder", "uv"],
            2,
            "error: --check changes nothing, --builder does\nGive one of the two.\n",
        ),
        (["explain", "demo", "gamma"], 2, "error: gamma: no wheel of demo has it\nSee: lamina explain demo\n"),
        (
            ["recipe", "new", "demo"],
            2,
            "error: recipes/demo.toml: exists already\nChoose another name, or edit that file.\n",
        ),
    ],
)
def test_usage_errors(demo: Lamina, arguments: list[str], code: int, message: str) -> None:
    done = demo(*arguments, *([] if arguments[0] in {"bogus", "recipe"} else ["--offline"]))
    stages = ("making", "deciding", "compiling", "fetching", "writing", "resolving")
    printed = [line for line in done.stderr.splitlines(keepends=True) if not line.startswith(stages)]
    assert (done.returncode, "".join(printed)) == (code, message)


def test_missing_and_stale_locks(demo: Lamina, root: Path) -> None:
    recipe = root / "recipes" / "demo.toml"
    recipe.write_text(RECIPE.replace('["alpha"]', '["alpha", "beta"]'))
    done = demo("build", "demo", "--offline")
    lock = f"recipes/locks/demo-{FIRST}.txt"
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {lock}: stale: ")
    assert done.stderr.endswith("Renew it: lamina lock demo\n")
    done = demo("lock", "--check")
    assert (done.returncode, done.stderr.count("stale")) == (1, 2)
    (root / lock).unlink()
    done = demo("build", "demo", "--offline")
    assert (done.returncode, done.stderr) == (
        2,
        f"error: {lock}: there is no lock yet\nMake it: lamina lock demo\n",
    )


def test_prune_rules_do_not_make_a_lock_stale(demo: Lamina, root: Path) -> None:
    recipe = root / "recipes" / "demo.toml"
    recipe.write_text(RECIPE + '\n[prune]\nrules = []\nmetadata = "keep"\n')
    assert demo("lock", "--check").returncode == 0
    assert demo("build", "--target", FIRST, "--offline").returncode == 0
    with zipfile.ZipFile(root / "dist" / f"demo-{FIRST}.zip") as archive:
        assert "python/alpha/tests/big.py" in archive.namelist()


def test_wheel_that_is_gone_is_an_index_error(demo: Lamina, root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "wheels")
    (root / "wheels").mkdir()
    shutil.rmtree(tmp_path / "store")
    done = demo("build", "demo", "--target", FIRST, "--offline")
    assert done.returncode == 4
    assert "alpha-1.0-py3-none-any.whl" in done.stderr
    assert not list(root.glob("dist/*"))


def test_wheel_that_lies_is_refused_by_name(demo: Lamina, root: Path, tmp_path: Path) -> None:
    path = root / "wheels" / "alpha-1.0-py3-none-any.whl"
    path.write_bytes(path.read_bytes()[:-40])
    shutil.rmtree(tmp_path / "store")
    done = demo("build", "demo", "--target", FIRST, "--offline")
    assert done.returncode == 4
    assert "alpha-1.0-py3-none-any.whl" in done.stderr
    assert not list(root.glob("dist/*"))


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (("beta==2.0 --hash", "#beta"), 1, "has no wheel of beta, which alpha-1.0-py3-none-any.whl requires"),
        (("alpha==1.0 --hash", "#alpha"), 1, "has no wheel of alpha, which the recipe requires"),
        (("alpha-1.0-py3-none-any.whl ", "alpha-1.0-py3-none-win_amd64.whl "), 2, "does not accept this wheel"),
        ((".whl ", ".whl 1"), 4, "in the lock; the wheel of that hash is"),
    ],
)
def test_lock_that_was_edited_is_refused_with_a_warm_store_too(
    demo: Lamina, root: Path, change: tuple[str, str], code: int, message: str
) -> None:
    assert demo("build", "demo", "--target", FIRST, "--offline").returncode == 0
    lock = root / "recipes" / "locks" / f"demo-{FIRST}.txt"
    lock.write_text(lock.read_text().replace(*change))
    done = demo("build", "demo", "--target", FIRST, "--offline")
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


@pytest.mark.usefixtures("demo")
def test_reader_that_leaves_early_is_no_error(root: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "LAMINA_CACHE": str(tmp_path / "store")}
    running = subprocess.Popen(
        [sys.executable, "-m", "lamina", "explain", "demo", "--offline"],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert running.stdout is not None
    running.stdout.close()
    assert running.wait(timeout=60) == 0


@pytest.mark.usefixtures("demo")
def test_console_of_another_encoding_ends_nothing(lamina: Lamina, root: Path, tmp_path: Path) -> None:
    recipe = root / "recipes" / "demo.toml"
    recipe.write_text(RECIPE.replace('name = "demo"', 'name = "demo"\ndescription = "→ 5"'), encoding="utf-8")
    env = {"LAMINA_CACHE": str(tmp_path / "store"), "PYTHONIOENCODING": "cp1252"}
    done = lamina("build", "demo", "--target", FIRST, "--offline", cwd=root, env=env)
    assert done.returncode == 0, done.stderr
    assert r"\u2192 5" in done.stdout


def test_accepted_conflict_stays_visible(demo: Lamina, root: Path, tmp_path: Path, forge: Callable[..., Path]) -> None:
    forge("beta", "2.0", {"beta/__init__.py": "", "alpha/__init__.py": "raise SystemExit\n"})
    shutil.copytree(tmp_path / "wheels", root / "wheels", dirs_exist_ok=True)
    assert demo("lock", "demo", "--offline", "--upgrade").returncode == 0
    done = demo("build", "demo", "--target", FIRST, "--offline")
    assert done.returncode == 1
    both = "alpha-1.0-py3-none-any.whl and beta-2.0-py3-none-any.whl both bring this file, with different content"
    assert "error  file-conflict  python/alpha/__init__.py" in done.stdout
    assert both in " ".join(done.stdout.split())
    recipe = root / "recipes" / "demo.toml"
    accept = '\n[[accept]]\ncode = "file-conflict"\npath = "python/alpha/__init__.py"\nreason = "alpha\'s is the one"\n'
    recipe.write_text(RECIPE + accept)
    done = demo("build", "demo", "--target", FIRST, "--offline")
    assert done.returncode == 0
    assert "accepted error  file-conflict  python/alpha/__init__.py" in done.stdout
    with zipfile.ZipFile(root / "dist" / f"demo-{FIRST}.zip") as archive:
        assert archive.read("python/alpha/__init__.py") == b"import beta\n"


def test_nobody_accepts_more_than_lambda_takes(demo: Lamina, root: Path) -> None:
    recipe = root / "recipes" / "demo.toml"
    stack = '\n[budget]\nstack = ["250 MiB"]\n[[accept]]\ncode = "over-budget"\npath = "*"\nreason = "try"\n'
    recipe.write_text(RECIPE + stack)
    done = demo("build", "demo", "--target", FIRST, "--offline")
    assert done.returncode == 1
    assert "error  over-budget" in done.stdout


def test_help_of_every_command_has_examples(demo: Lamina) -> None:
    for command in ("build", "lock", "explain", "recipe", "cache"):
        done = demo(command, "--help")
        assert done.returncode == 0
        assert "Examples:" in done.stdout
