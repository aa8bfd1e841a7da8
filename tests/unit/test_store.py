"""The store: entries whole or not at all, damage noticed, and what is counted and removed."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from lamina.errors import UsageError
from lamina.store import KINDS, Store, Usage, default_root

KEY = "ab" * 32
DAY = 24 * 60 * 60
linux = pytest.mark.skipif(sys.platform != "linux", reason="where Linux has its caches")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def files(store: Store) -> set[str]:
    """Every file but the store's own tag."""
    found = {path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file()}
    return found - {"CACHEDIR.TAG"}


def tagged(store: Store) -> None:
    """Make it a store, as the first entry does."""
    with store.create(store.path("memos", "ef" * 32)) as beside:
        beside.touch()
    store.path("memos", "ef" * 32).unlink()


def test_where_it_stands() -> None:
    root = Path("/" if sys.platform != "win32" else "C:/")
    assert default_root({"LAMINA_CACHE": str(root / "x")}) == root / "x"
    assert default_root({"LAMINA_CACHE": "~/x"}) == Path.home() / "x"
    with pytest.raises(UsageError) as caught:
        default_root({"LAMINA_CACHE": "cache"})
    assert caught.value.message == "LAMINA_CACHE: 'cache' is a relative path"
    assert caught.value.hint == "Set it to an absolute path."


@linux
@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"HOME": "/home/x"}, "/home/x/.cache/lamina"),
        ({"HOME": "/home/x", "LAMINA_CACHE": ""}, "/home/x/.cache/lamina"),
        ({"HOME": "/home/x", "XDG_CACHE_HOME": "/var/cache"}, "/var/cache/lamina"),
        ({"HOME": "/home/x", "XDG_CACHE_HOME": "relative"}, "/home/x/.cache/lamina"),
        ({"HOME": "/home/x", "XDG_CACHE_HOME": "/var/cache", "LAMINA_CACHE": "/y"}, "/y"),
    ],
)
def test_where_it_stands_on_linux(env: dict[str, str], expected: str) -> None:
    assert default_root(env) == Path(expected)


@linux
def test_it_stands_where_platformdirs_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warm path spares the import; it must not move the store."""
    import platformdirs

    for name in ("XDG_CACHE_HOME", "LAMINA_CACHE"):
        monkeypatch.delenv(name, raising=False)
    expected = Path(platformdirs.user_cache_dir("lamina", appauthor=False))
    assert default_root(os.environ) == expected
    assert default_root({}) == expected


def test_paths(store: Store) -> None:
    assert store.path("parts", KEY, ".data") == store.root / "parts" / "ab" / f"{KEY}.data"
    assert store.path("plans", KEY) == store.root / "plans" / "ab" / KEY


def test_an_entry_appears_when_it_is_whole(store: Store) -> None:
    target = store.path("parts", KEY)
    with store.create(target) as beside:
        beside.write_bytes(b"one")
        assert not target.exists()
    with store.create(target) as beside:
        beside.write_bytes(b"two")
        assert target.read_bytes() == b"one"
    assert target.read_bytes() == b"two"
    assert files(store) == {f"parts/ab/{KEY}"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_appears_after_an_error(store: Store, error: type[BaseException]) -> None:
    def fail() -> None:
        with store.create(store.path("parts", KEY)) as beside:
            beside.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert files(store) == set()


def test_two_writers_at_once(store: Store) -> None:
    target = store.path("parts", KEY)
    with store.create(target) as one, store.create(target) as two:
        assert one != two
        one.write_bytes(b"same")
        two.write_bytes(b"same")
    assert target.read_bytes() == b"same"


def test_exclusive_rights_end(store: Store) -> None:
    for _ in range(2):
        with store.exclusive(KEY):
            pass
    with pytest.raises(ValueError, match="x"), store.exclusive(KEY):
        raise ValueError("x")
    with store.exclusive(KEY):
        pass


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 50])
def test_loads_what_was_saved(store: Store, content: bytes) -> None:
    path = store.path("plans", KEY)
    assert store.load(path) is None
    store.save(path, content)
    assert store.load(path) == content


def test_damage_is_noticed(store: Store) -> None:
    path = store.path("plans", KEY)
    store.save(path, b"content")
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert store.load(path) is None
        path.write_bytes(whole[:at])
        assert store.load(path) is None
    path.write_bytes(whole + b"\0")
    assert store.load(path) is None
    path.unlink()
    path.mkdir()
    assert store.load(path) is None


def entry(store: Store, kind: str, key: str, *, days: float, size: int = 10) -> Path:
    path = store.path(kind, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - days * DAY,) * 2)
    return path


def test_counts(store: Store) -> None:
    assert store.usage() == [Usage(kind, 0, 0) for kind in KINDS]
    entry(store, "wheels", KEY, days=0, size=7)
    entry(store, "wheels", "cd" * 32, days=0, size=5)
    entry(store, "plans", KEY, days=0, size=3)
    usage = {row.kind: row[1:] for row in store.usage()}
    assert usage.pop("wheels") == (2, 12)
    assert usage.pop("plans") == (1, 3)
    assert set(usage.values()) == {(0, 0)}


def test_prunes_what_was_not_used(store: Store) -> None:
    tagged(store)
    old, new = entry(store, "parts", KEY, days=31), entry(store, "parts", "cd" * 32, days=29)
    used = entry(store, "plans", KEY, days=31)
    store.touch([used, store.root / "nothing"])
    unfinished, killed = entry(store, "tmp", KEY, days=0.5), entry(store, "tmp", "cd" * 32, days=1.5)
    assert store.prune(30 * DAY) == 20
    assert [path.exists() for path in (old, new, used, unfinished, killed)] == [False, True, True, True, False]
    assert store.prune(0) == 30
    assert files(store) == set()


def test_sweeps_what_killed_builds_left(store: Store) -> None:
    tagged(store)
    store.sweep()
    old, new = entry(store, "tmp", KEY, days=1.5), entry(store, "tmp", "cd" * 32, days=0.5)
    part = entry(store, "parts", KEY, days=99)
    store.sweep()
    assert [path.exists() for path in (old, new, part)] == [False, True, True]


def test_removes_nothing_from_a_folder_of_somebody_else(store: Store) -> None:
    """``LAMINA_CACHE=/var``: there is a ``tmp`` in it, but it is not ours."""
    theirs = entry(store, "tmp", KEY, days=100)
    for remove in (store.clear, lambda: store.prune(0)):
        with pytest.raises(UsageError) as caught:
            remove()
        expected = f"{store.root}: has no CACHEDIR.TAG of lamina, so it may be something else's folder"
        assert caught.value.message == expected
    store.sweep()
    assert theirs.exists()


def test_clears_its_own_folders_only(store: Store) -> None:
    tagged(store)
    entry(store, "parts", KEY, days=0, size=9)
    with store.exclusive(KEY):
        pass
    other = store.root / "notes.txt"
    other.touch()
    assert store.clear() == 9
    assert files(store) == {"notes.txt"}
    assert {path.name for path in store.root.iterdir()} == {"notes.txt", "CACHEDIR.TAG"}


def test_a_workplace_is_gone_when_its_work_ends_well_or_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    used = []

    def work(content: str) -> None:
        with store.workplace() as folder:
            used.append(folder)
            folder.joinpath("layer.tar").write_text(content, encoding="ascii")

    work("x")
    with pytest.raises(UnicodeEncodeError):
        work("ü")
    assert [folder.exists() for folder in used] == [False, False]
    assert store.clear() == 0  # the folder is marked as lamina's
