"""Entries compressed again: once, the same by any number of threads, and as they were where that is no gain."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lamina.errors import IntegrityError
from lamina.part import small
from lamina.part.compress import smallest
from lamina.part.entry import read_entry
from lamina.part.library import data_path, small_key
from lamina.part.small import Wanted, ensure, shipping_entries
from lamina.progress import SILENT, Progress, Task
from lamina.store import Store
from lamina.zipformat import DEFLATED, STORED

if TYPE_CHECKING:
    Forge = Callable[..., Path]
    MakePart = Callable[[Path], Any]

NOISE = random.Random(1).randbytes(5000)  # noqa: S311 - any bytes that do not compress
TEXT = "".join(f"def f{number}(x):\n    return x + {number * number}\n" for number in range(2000))
KEY = "ab" * 32


class Counted(Progress):
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.done = 0

    def stage(self, message: str) -> None:
        self.stages.append(message)

    def task(self, label: str, total: int | None = None, *, unit: str = "bytes") -> Task:
        del unit
        outer = self
        self.stages.append(f"{label} {total}")

        class One(Task):
            def advance(self, amount: int) -> None:
                outer.done += amount

        return One()


@pytest.fixture
def part(forge: Forge, make_part: MakePart) -> Any:  # noqa: ANN401 - a part as the fixture has it
    return make_part(forge(files={"pkg/a.py": TEXT, "pkg/empty.py": "", "pkg/noise": NOISE, "pkg/z.txt": "z" * 9000}))


def put(store: Store, part: Any) -> Wanted:  # noqa: ANN401
    path = data_path(store, KEY)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(part.data)
    return Wanted(KEY, small_key(KEY, trim=True), shipping_entries(part.index, trim=True))


def test_what_is_made_unpacks_to_the_same(part: Any, tmp_path: Path) -> None:  # noqa: ANN401
    store, told = Store(tmp_path), Counted()
    wanted = put(store, part)
    [found] = ensure(store, [wanted], told)
    total = sum(entry.size for entry in part.index.entries)
    assert told.stages == [f"compressing {total:,} bytes as small as can be", f"compressing {total}"]
    assert told.done == total
    assert list(found) == [entry.path for entry in part.index.entries]
    data = data_path(store, wanted.key).read_bytes()
    before = {entry.path: entry for entry in part.index.entries}
    for path, entry in found.items():
        assert read_entry(data_path(store, wanted.key), entry) == read_entry(data_path(store, KEY), before[path])
        assert data[entry.offset : entry.offset + 4] == b"PK\3\4"
        assert entry.compressed <= before[path].compressed
        assert (entry.crc, entry.sha256, entry.mode) == (before[path].crc, before[path].sha256, before[path].mode)
    assert found["python/pkg/noise"].method == STORED
    text = found["python/pkg/a.py"]
    assert text.method == DEFLATED
    assert data[text.offset + text.length - text.compressed : text.offset + text.length] == smallest(TEXT.encode())
    assert text.compressed < before["python/pkg/a.py"].compressed


def test_it_is_made_once_and_made_again_where_it_is_damaged(
    part: Any,  # noqa: ANN401
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store(tmp_path)
    wanted = put(store, part)
    first = ensure(store, [wanted], SILENT)
    path = data_path(store, wanted.key)
    content = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(small, "smallest", None)
        assert ensure(store, [wanted], SILENT) == first
    path.write_bytes(content[:-1] + b"?")
    assert ensure(store, [wanted], SILENT) == first
    assert path.read_bytes() == content
    store.path("parts", wanted.key, ".index").write_bytes(b"nonsense")
    assert ensure(store, [wanted], SILENT) == first


def test_what_stands_under_the_name_of_another_form_is_made_again(part: Any, tmp_path: Path) -> None:  # noqa: ANN401
    store = Store(tmp_path)
    whole = put(store, part)._replace(key=small_key(KEY, trim=False), entries=part.index.entries[:1])
    [first] = ensure(store, [whole], SILENT)
    trimmed = put(store, part)
    for suffix in (".data", ".index"):
        swapped = store.path("parts", trimmed.key, suffix)
        swapped.parent.mkdir(parents=True, exist_ok=True)
        swapped.write_bytes(store.path("parts", whole.key, suffix).read_bytes())
    [found] = ensure(store, [trimmed], SILENT)
    assert (len(first), len(found)) == (1, len(part.index.entries))


@pytest.mark.parametrize("cores", [1, 7])
def test_cores_and_room_change_no_byte(
    cores: int,
    part: Any,  # noqa: ANN401
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    ensure(one, [put(one, part)], SILENT)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setattr(small, "_MOST_IN_WORK", 1)
    wanted = put(other, part)
    ensure(other, [wanted], SILENT)
    assert data_path(other, wanted.key).read_bytes() == data_path(one, wanted.key).read_bytes()


def test_what_a_wheel_has_smaller_stays(part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    store = Store(tmp_path)
    monkeypatch.setattr(small, "smallest", lambda content: content + b"more")
    wanted = put(store, part)
    [found] = ensure(store, [wanted], SILENT)
    before = {entry.path: entry for entry in part.index.entries}
    assert {path: entry.compressed for path, entry in found.items()} == {
        path: min(entry.compressed, entry.size) for path, entry in before.items()
    }


def test_a_damaged_part_is_told_and_nothing_is_left(part: Any, tmp_path: Path) -> None:  # noqa: ANN401
    store = Store(tmp_path)
    wanted = put(store, part)
    path = data_path(store, KEY)
    entry = next(one for one in part.index.entries if one.path == "python/pkg/a.py")
    content = bytearray(path.read_bytes())
    content[entry.offset + entry.length - 10] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        ensure(store, [wanted], SILENT)
    assert caught.value.message == f"{path}: python/pkg/a.py is damaged"
    path.unlink()
    with pytest.raises(IntegrityError) as caught:
        ensure(store, [wanted], SILENT)
    assert caught.value.message == f"{tmp_path}: a part vanishes while it is read"
    assert not data_path(store, wanted.key).exists()
    assert [*store.root.joinpath("tmp").iterdir()] == []


def test_an_interruption_waits_for_no_more_than_what_is_in_work(
    part: Any,  # noqa: ANN401
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store(tmp_path)
    wanted = put(store, part)
    begun: list[int] = []

    def interrupted(content: bytes) -> bytes:
        begun.append(len(content))
        raise KeyboardInterrupt

    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(small, "smallest", interrupted)
    many = wanted._replace(entries=[wanted.entries[0]] * 500)
    with pytest.raises(KeyboardInterrupt):
        ensure(store, [many], SILENT)
    assert len(begun) < 500
    assert threading.active_count() == 1
    assert not data_path(store, wanted.key).exists()


def test_each_way_has_a_name_of_its_own() -> None:
    assert len({small_key(KEY, trim=True), small_key(KEY, trim=False), small_key("cd" * 32, trim=True), KEY}) == 4
