"""Thin sessions: each installs what it needs and calls one command.

``nox -s build_layer`` builds; ``nox -s tests`` tests; ``nox -l`` lists the rest.
"""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")


def _group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session
def build_layer(session: nox.Session) -> None:
    """Build recipes: `-- NAME...`, `-- --all`; without arguments, sklearn."""
    session.install(".")
    session.run("lamina", "build", *(session.posargs or ["sklearn"]))


@nox.session
def lock(session: nox.Session) -> None:
    """Resolve recipes again: `-- NAME...`, `-- --all --check`; without arguments, sklearn."""
    session.install(".[docker]")
    session.run("lamina", "lock", *(session.posargs or ["sklearn"]))


@nox.session
def verify(session: nox.Session) -> None:
    """Build recipes and run what was built: `-- NAME...`; without arguments, sklearn."""
    session.install(".[docker,prove]")
    session.run("lamina", "build", "--prove", *(session.posargs or ["sklearn"]))


@nox.session
def image(session: nox.Session) -> None:
    """Build container images of recipes: `-- NAME...`, `-- NAME --push REF`; without arguments, sklearn."""
    session.install(".[docker]")
    session.run("lamina", "image", *(session.posargs or ["sklearn"]))


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests against the installed package, in up to four workers; arguments go to pytest."""
    session.install(".", *_group("test"))
    workers = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")
    session.run("pytest", *workers, *session.posargs)


@nox.session
def tests_heavy(session: nox.Session) -> None:
    """Run the tests that fetch gigabytes; what they leave out stands in the summary. Arguments go to pytest."""
    session.install(".", *_group("test"))
    session.run("pytest", "tests/heavy", *session.posargs)
    for mode in ("off", "all", "sourceless"):
        session.run(
            "pytest",
            "tests/heavy/test_breakages.py",
            "tests/integration/test_breakages.py",
            *session.posargs,
            env={"LAMINA_TEST_BYTECODE": mode},
        )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and the direction of imports."""
    session.install("-e", ".", *_group("test"), *_group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure builds and cold starts against other ways to the same; prints ratios, judges nothing. See `-- --help`."""
    session.install(".[prove]")
    session.run("python", "scripts/bench.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Feed forged bytes to the readers: `-- SECONDS [TARGET...]`; without arguments, a minute for each."""
    session.install(".", *_group("fuzz"))
    session.run("python", "scripts/fuzz.py", *session.posargs)
