"""uv, asked as a library would be: requirements in, versions and who needs them out.

uv runs with none of the machine's own settings: no configuration file, none of its and pip's variables but where it
keeps its cache and how long it waits; the indexes are handed over in its environment, where no list of processes shows
them. It resolves for the target's Python and a platform of its own choice of names, see :func:`platform_for`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lamina.errors import IndexAccessError, MissingToolError, ResolutionError
from lamina.lock import canonical
from lamina.process import run
from lamina.resolve.model import Answer, Question, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lamina.index import Indexes, Named
    from lamina.target import Target

#: Minor versions of glibc 2 for which uv has a platform (``x86_64-manylinux_2_28``), the same for both architectures.
KNOWN_GLIBC = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)

#: Variables of uv that say where and how patiently, but not what.
_KEPT = frozenset({"UV_CACHE_DIR", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", "UV_CONCURRENT_DOWNLOADS"})

#: What would make uv look at an environment that has nothing to do with the target.
_DROPPED = frozenset({"VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONPATH", "PYTHONHOME"})

_TIMEOUT = 600.0  # seconds; a first resolution with thousands of candidates takes one or two minutes

#: What uv knows the recipe's indexes by, with a number: names of its own, that no variable of the user's speaks of.
_LABEL = "lamina"

_UNKNOWN = "Put user and password into the index URL in the environment, or into netrc for its host."

_PIN = re.compile(r"([A-Za-z0-9._-]+)(\[[^\]]*\])?(?:==(\S+)| @ (\S+))")


def platform_for(target: Target, glibc: tuple[int, int] | None = None) -> str:
    """Name of uv's for the least platform that loads all that the target does, or all for another ``glibc``.

    uv has no name for most versions, 2.26 of Amazon Linux 2 among them; what exceeds the target is shut out afterwards.
    """
    _, minor = glibc or target.ceiling
    known = next((one for one in KNOWN_GLIBC if one >= minor), KNOWN_GLIBC[-1])
    name = "manylinux2014" if known == 17 else f"manylinux_2_{known}"  # noqa: PLR2004
    return f"{target.architecture}-{name}"


class Uv:
    """The uv executable with one index configuration."""

    sources = False
    notes = ()

    def __init__(self, indexes: Indexes, env: Mapping[str, str], *, offline: bool, first: str | None = None) -> None:
        """Take the configuration; ``first`` is the URL of an index that comes before all others."""
        self._indexes = indexes
        self._offline = offline
        self._env = environment(indexes, env, first)
        self._program = program()

    def version(self) -> str:
        """What stands as builder in a lock: ``uv 0.13.9``."""
        words = run([self._program, "--version"], timeout=60, env=self._env).stdout.split()
        return " ".join(words[:2])

    def ask(self, question: Question, *, refresh: bool = False) -> Answer | Refusal:
        """Resolve. ``refresh`` asks the index anew where uv would believe what it was told minutes ago.

        Raises:
            IndexAccessError: an index cannot be reached or refuses, or, offline, uv was never told of a package.
            ResolutionError: uv fails in another way.
        """
        with tempfile.TemporaryDirectory(prefix="lamina-") as folder:
            constraints, pins = Path(folder, "constraints.txt"), Path(folder, "pins.txt")
            constraints.write_text("".join(f"{line}\n" for line in question.constraints), encoding="utf-8")
            pins.write_text(
                "".join(f"{name}=={version}\n" for name, version in sorted(question.pins.items())), encoding="utf-8"
            )
            command = [self._program, "pip", "compile", "-"]
            command += ["--constraints", str(constraints)] if question.constraints else []
            command += ["--output-file", str(pins), "--python-version", question.python]
            command += ["--python-platform", question.platform, "--python", sys.executable]
            command += self._configuration(Path(folder, "uv.toml"))
            command += ["--no-python-downloads", "--only-binary", ":all:", "--no-header"]
            command += ["--annotation-style", "split", "--no-strip-extras", "--no-progress", "--color", "never"]
            command += ["--index-strategy", "first-index"]
            for place in self._indexes.find_links:
                command += ["--find-links", place]
            command += ["--offline"] if self._offline else ["--refresh"] if refresh else []
            stdin = "".join(f"{line}\n" for line in question.requirements)
            try:
                done = run(command, timeout=_TIMEOUT, env=self._env, stdin=stdin, cwd=folder)
            except MissingToolError as error:
                raise MissingToolError(
                    self._indexes.redact(error.message), hint=self._indexes.redact(error.hint)
                ) from None
        stderr = self._indexes.redact(done.stderr)
        if done.code == 0:
            return parse(done.stdout, stderr)
        raise_for_index(stderr)
        if done.code == 1 and "No solution found" in stderr:
            return Refusal(stderr)
        message = f"uv ended with exit code {done.code}: {_first_lines(stderr)}"
        raise ResolutionError(message, hint="Nothing was changed. Run the command again; if it stays, report it.")

    def _configuration(self, path: Path) -> list[str]:
        """The options that keep the machine's configuration out.

        uv sends credentials only where an index of its own knows them. It learns of the recipe's indexes by a file, as
        ``explicit`` ones, from which it takes nothing by itself; users and passwords are in its environment alone.
        """
        tables = [
            f'[[index]]\nname = "{_LABEL}-{number}"\nurl = {json.dumps(named.url)}\nexplicit = true\n'
            for number, named in _remote(self._indexes)
        ]
        if not tables:
            return ["--no-config"]
        path.write_text("\n".join(tables), encoding="utf-8")
        return ["--config-file", str(path)]


def environment(indexes: Indexes, env: Mapping[str, str], first: str | None = None) -> dict[str, str]:
    """The environment uv runs in: this one without settings of uv, pip and environments, and with the indexes.

    ``first`` is the URL of an index that comes before all others.
    """
    kept = {
        name: value
        for name, value in env.items()
        if name in _KEPT or not (name.startswith(("UV_", "PIP_", "LAMINA_INDEX_")) or name in _DROPPED)
    }
    if indexes.default is not None:
        kept["UV_DEFAULT_INDEX"] = indexes.with_credential(indexes.default)
    extra = [*([first] if first else []), *(indexes.with_credential(url) for url in indexes.extra)]
    if extra:
        kept["UV_INDEX"] = " ".join(extra)
    for number, named in _remote(indexes):
        user, password = indexes.credential(named.url + "/") or ("", "")
        if user or password:
            kept[f"UV_INDEX_{_LABEL.upper()}_{number}_USERNAME"] = user
            kept[f"UV_INDEX_{_LABEL.upper()}_{number}_PASSWORD"] = password
    if indexes.certificates:
        # As for downloads: these and no others. uv has a variable each for files and folders, and would add them up.
        kept.pop("SSL_CERT_FILE", None)
        kept.pop("SSL_CERT_DIR", None)
        kept["SSL_CERT_DIR" if Path(indexes.certificates).is_dir() else "SSL_CERT_FILE"] = indexes.certificates
    kept["NO_COLOR"] = "1"
    return kept


def _remote(indexes: Indexes) -> list[tuple[int, Named]]:
    """The indexes for some packages only that are asked over the network, numbered."""
    return [(number, named) for number, named in enumerate(indexes.named) if not named.url.startswith("file:")]


def parse(stdout: str, stderr: str = "") -> Answer:
    """Read what ``uv pip compile`` prints with its annotations, one parent a line."""
    versions: dict[str, str] = {}
    parents: dict[str, set[str]] = {}
    extras: set[str] = set()
    current = ""
    for line in stdout.splitlines():
        pin = _PIN.match(line)
        if pin:
            current = canonical(pin[1])
            versions[current] = pin[3] or _version(pin[4])
            parents[current] = set()
            if pin[2]:
                extras.add(current)
        elif current and line.lstrip().startswith("#"):
            word = line.lstrip().removeprefix("#").strip().removeprefix("via").strip()
            if word and not word.startswith("-"):  # "-r -" and "-c FILE" are the inputs themselves
                parents[current].add(canonical(word.partition("[")[0]))
    said = (line.partition(":")[2].strip() for line in stderr.splitlines() if line.startswith("warning:"))
    warnings = tuple(line for line in said if "yanked" in line or " extra " in line)  # the others are on uv itself
    return Answer(versions, {name: frozenset(found) for name, found in parents.items()}, frozenset(extras), warnings)


def _version(url: str) -> str:
    """The version of a wheel that a local project was built to, from its URL."""
    return unquote(url.rpartition("/")[2]).split("-")[1]


def raise_for_index(stderr: str) -> None:
    """Raise what is the index's or the network's fault; uv reports some of it as requirements without solution.

    Raises:
        IndexAccessError: ``stderr`` tells of such a fault.
    """
    text = " ".join(stderr.split())
    refused = re.search(r"An index(?: URL)? \((\S+?)\) (?:could not be queried|returned a 403)", text)
    if refused:
        status = "403" if "returned a 403" in text else "401"
        hint = _UNKNOWN
        if status == "403":
            hint = "Check the index URL, and that the credentials may read there."
        raise IndexAccessError(f"{refused[1]}: the index refuses access ({status})", hint=hint)
    if "network was disabled" in text:
        missing = re.findall(r"(\S+) was not found in the cache", text)
        what = ", ".join(dict.fromkeys(missing)) or "some packages"
        message = f"offline, and the index was never asked about {what}"
        raise IndexAccessError(message, hint="Run the command once without --offline.")
    if "Request failed after" in text or "Failed to fetch" in text or "Failed to download" in text:
        lines = [re.sub(r"^\s*(?:error|cause|Caused by):\s*", "", line) for line in stderr.splitlines() if line.strip()]
        first = next((line for line in lines if line.startswith("Failed to")), lines[0])
        what = f"{first}: {lines[-1]}"
        hint = "Check that the index can be reached from here (proxy, firewall, SSL_CERT_FILE), and run it again."
        if re.search(r"client error \((401|403) ", text):
            hint = _UNKNOWN
        raise IndexAccessError(what, hint=hint)


def program() -> str:
    """The path of the uv executable that is installed beside lamina.

    Raises:
        MissingToolError: there is none.
    """
    """The path of the uv executable that is installed beside lamina.

    Raises:
        MissingToolError: there is none.
    """
    try:
        import uv

        return os.fspath(uv.find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        hint = "Install it beside lamina: python -m pip install uv"
        raise MissingToolError("uv: the executable that resolves requirements is not installed", hint=hint) from error


def _first_lines(text: str) -> str:
    lines: Iterable[str] = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(list(lines)[:3]) or "it printed nothing"
