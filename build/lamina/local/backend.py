"""The build backend of a local project, run by uv in an environment of its own (PEP 517, PEP 518).

It runs on a copy of the sources under a fixed name, with fixed hash seed and date, and sees of the machine's
environment only what programs need to run and to reach the index. So the same sources give the same wheel, whatever
folder they stand in.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lamina.errors import IndexAccessError, MissingToolError, ResolutionError
from lamina.local.versions import stated
from lamina.process import last_lines, run
from lamina.resolve import uv
from lamina.tarformat import DATE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lamina.index import Indexes

#: What a backend may see of the environment, in upper case; beside it, what uv is told.
_KEPT = frozenset(
    """
    ALL_PROXY APPDATA COMSPEC HOME HTTPS_PROXY HTTP_PROXY LANG LC_ALL LOCALAPPDATA NETRC NO_COLOR NO_PROXY PATH PATHEXT
    PROGRAMDATA SSL_CERT_DIR SSL_CERT_FILE SYSTEMDRIVE SYSTEMROOT TEMP TMP TMPDIR USERPROFILE WINDIR XDG_CACHE_HOME
    XDG_CONFIG_HOME XDG_DATA_HOME
    """.split()
)

_TIMEOUT = 900.0  # seconds; a first build fetches the backend


def build(project: Path, out: Path, where: str, *, indexes: Indexes, env: Mapping[str, str], offline: bool) -> Path:
    """Build the wheel of the copy ``project`` into the folder ``out``; return its path. ``where`` names the project.

    Raises:
        ResolutionError: the project cannot be built; the message holds the last lines of what the backend said.
        IndexAccessError: what the build needs cannot be had; or, offline, was never fetched.
        MissingToolError: uv is not there, or the build does not end.
    """
    command = [uv.program(), "build", "--wheel", "--out-dir", str(out), "--python", sys.executable]
    command += ["--no-config", "--no-sources", "--no-python-downloads", "--no-create-gitignore", "--no-progress"]
    command += ["--color", "never", "--index-strategy", "first-index"]
    for place in indexes.find_links:
        command += ["--find-links", place]
    command += ["--offline"] if offline else []
    try:
        done = run([*command, project.name], timeout=_TIMEOUT, env=environment(indexes, env), cwd=str(project.parent))
    except MissingToolError as error:
        raise MissingToolError(indexes.redact(error.message), hint=indexes.redact(error.hint)) from None
    said = indexes.redact(done.stderr).replace(str(project), ".")
    if done.code:
        try:
            uv.raise_for_index(said)
        except IndexAccessError as error:
            raise IndexAccessError(f"{where}: {error.message}", hint=error.hint) from None
        raise ResolutionError(f"{where}: cannot be built:\n{last_lines(said)}", hint=_HINT)
    wheels = sorted(out.glob("*.whl"))
    if len(wheels) != 1:
        raise ResolutionError(
            f"{where}: the build succeeds and leaves {len(wheels)} wheels:\n{last_lines(said)}", hint=_HINT
        )
    return wheels[0]


_HINT = (
    "It is built from a copy of its folder, without version control and without what stands outside. A version taken\n"
    "from version control can be stated in the environment (SETUPTOOLS_SCM_PRETEND_VERSION)."
)


def environment(indexes: Indexes, env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a build."""
    told = uv.environment(indexes, env)
    kept = {name: value for name, value in told.items() if name.upper() in _KEPT or name.startswith("UV_")}
    fixed = {"SOURCE_DATE_EPOCH": str(DATE), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **stated(env), **fixed}
