"""Local projects built on this machine: pure Python, from a copy of the sources, remembered by the copy's digest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import lamina
from lamina.local import kept
from lamina.local.sources import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lamina.built import Built
    from lamina.index import Indexes
    from lamina.local.native import Inside
    from lamina.progress import Progress
    from lamina.store import Store

#: Counted up with every change of how a wheel is built or written.
FORMAT = 1


class Here:
    """Builds local projects; those with native code are handed on, where something builds inside the base image."""

    def __init__(
        self,
        store: Store,
        *,
        indexes: Callable[[], Indexes],
        env: Mapping[str, str],
        offline: bool,
        progress: Progress,
    ) -> None:
        self._store, self._indexes, self._env, self._offline, self._progress = store, indexes, env, offline, progress

    def record(self, folder: Path) -> Path:
        """Where the store remembers what the sources in a folder build to on this machine."""
        return self._record(digest(folder))

    def built(self, path: str, folder: Path, inside: Inside | None) -> Built:
        """What the project in ``folder``, which the recipe calls ``path``, builds to; built where the store lacks it.

        Raises:
            LaminaError: as :meth:`build`.
        """
        content = digest(folder)
        if inside is not None and (recalled := inside.recalled(content)) is not None:
            return recalled
        return kept.recall(self._store, self._record(content)) or self.build(path, folder, inside)

    def build(self, path: str, folder: Path, inside: Inside | None) -> Built:
        """Build from a copy; the copy's own digest names the result, whatever is saved in an editor meanwhile.

        Raises:
            ResolutionError: it cannot be built, or holds native code and nothing builds that.
            IndexAccessError: what the build needs cannot be had.
            MissingToolError: the build does not end, or no engine runs it.
        """
        import tempfile

        from lamina.local import backend
        from lamina.local.siblings import siblings
        from lamina.local.signs import is_native
        from lamina.local.sources import copy
        from lamina.local.wheel import native_in, normalize

        self._store.sweep()
        with tempfile.TemporaryDirectory(prefix="lamina-", ignore_cleanup_errors=True) as temporary:
            sources = Path(temporary, "project")
            copy(folder, sources)
            if inside is not None and is_native(sources):
                return _build_inside(path, sources, inside)
            self._progress.stage(f"building {path}")
            Path(temporary, ".git").mkdir()  # where hatchling stops to look for a .gitignore further up
            record = self.record(sources)
            indexes, out = self._indexes(), Path(temporary, "wheel")
            wheel = backend.build(sources, out, path, indexes=indexes, env=self._env, offline=self._offline)
            if inside is not None and native_in(wheel):
                return _build_inside(path, sources, inside)
            normal = Path(temporary, "normal.whl")
            with normal.open("wb") as file:
                built = normalize(wheel, path, file)
            own = {*built.siblings, *siblings(sources / "pyproject.toml", built.requires)}
            built = msgspec.structs.replace(built, siblings=tuple(sorted(own)))
            kept.keep(self._store, record, built, normal)
        return built

    def _record(self, content: str) -> Path:
        from lamina.local.versions import stated

        return kept.memo(self._store, (FORMAT, lamina.__version__, sys.version_info[:2], stated(self._env), content))


def _build_inside(path: str, copied: Path, inside: Inside) -> Built:
    from lamina.local.native import Sources
    from lamina.local.sources import files

    there = {f"project/{name}": (place, bool(place.stat().st_mode & 0o100)) for name, place in files(copied)}
    return inside.build(Sources(path, digest(copied), "project", lambda: there))
