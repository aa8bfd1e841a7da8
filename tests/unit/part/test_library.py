"""Parts in the store: made once, found again, and made again where they are damaged."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import deflate
import msgspec
import pytest

from lamina.errors import IntegrityError, UnsafeWheelError
from lamina.lock import LockedWheel
from lamina.part import library
from lamina.part.library import SUFFIXES, data_path, ensure, is_sound, load_facts, load_index, part_key
from lamina.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Forge = Callable[..., Path]

FILES = {"pkg/__init__.py": "import os\n" * 50, "pkg/x.so": "\x7fELF", "pkg/tests/x.py": ""}


class Shop:
    """Where wheels come from: it counts what was asked for, and may sell other bytes first."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.wheels: dict[str, bytes] = {}
        self.faults: list[bytes] = []
        self.asked: list[str] = []

    def offer(self, path: Path) -> LockedWheel:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        self.wheels[sha256] = content
        name, version = path.name.split("-")[:2]
        return LockedWheel(name, version, path.name, sha256, len(content))

    def fetch(self, wheels: Sequence[LockedWheel]) -> Mapping[str, Path]:
        found = {}
        for wheel in wheels:
            self.asked.append(wheel.name)
            path = self.store.path("wheels", wheel.sha256, ".whl")
            if not path.exists():
                with self.store.create(path) as beside:
                    beside.write_bytes(self.faults.pop() if self.faults else self.wheels[wheel.sha256])
            found[wheel.sha256] = path
        return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(Store(tmp_path / "store"))


def part_files(shop: Shop, wheel: LockedWheel) -> dict[str, bytes]:
    key = part_key(wheel.sha256)
    return {suffix: shop.store.path("parts", key, suffix).read_bytes() for suffix in SUFFIXES}


def test_a_part_is_named_by_all_it_is_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    key = part_key("ab" * 32)
    assert len(key) == 64
    assert key == part_key("ab" * 32)
    assert key != part_key("cd" * 32)
    monkeypatch.setattr(library, "FORMAT", library.FORMAT + 1)
    assert key != part_key("ab" * 32)
    monkeypatch.undo()
    monkeypatch.setattr(deflate, "__version__", "0.0.1")
    assert key != part_key("ab" * 32)


def test_makes_what_is_missing_once(shop: Shop, forge: Forge) -> None:
    wheels = [shop.offer(forge(name, files=FILES)) for name in ("one", "two")]
    assert ensure(shop.store, wheels[:1], shop.fetch, verify=False) == 1
    assert ensure(shop.store, wheels, shop.fetch, verify=False) == 1
    assert ensure(shop.store, wheels, shop.fetch, verify=True) == 0
    assert shop.asked == ["one", "two"]
    for wheel in wheels:
        key = part_key(wheel.sha256)
        assert is_sound(shop.store, key)
        index, facts = load_index(shop.store, key), load_facts(shop.store, key)
        assert index is not None
        assert facts is not None
        assert (index.name, index.wheel, index.wheel_sha256) == (wheel.name, wheel.filename, wheel.sha256)
        assert hashlib.sha256(data_path(shop.store, key).read_bytes()).hexdigest() == index.data_sha256


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(content[:-1])
    elif how == "longer":
        path.write_bytes(content + b"\0")
    else:
        at = {"first": 0, "middle": len(content) // 2, "last": len(content) - 1}[how]
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


@pytest.mark.parametrize("how", ["gone", "empty", "cut", "longer", "first", "middle", "last"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_is_found_and_healed(shop: Shop, forge: Forge, suffix: str, how: str) -> None:
    wheel = shop.offer(forge(files=FILES))
    ensure(shop.store, [wheel], shop.fetch, verify=False)
    whole = part_files(shop, wheel)
    damage(shop.store.path("parts", part_key(wheel.sha256), suffix), how)
    assert not is_sound(shop.store, part_key(wheel.sha256))
    assert ensure(shop.store, [wheel], shop.fetch, verify=True) == 1
    assert part_files(shop, wheel) == whole


def test_every_single_byte_of_an_index_counts(shop: Shop, forge: Forge) -> None:
    """A path that says something else would change a layer without any digest of data telling."""
    wheel = shop.offer(forge(files={"pkg.py": ""}))
    ensure(shop.store, [wheel], shop.fetch, verify=False)
    key = part_key(wheel.sha256)
    path = shop.store.path("parts", key, ".index")
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert load_index(shop.store, key) is None
    path.write_bytes(whole)
    assert load_index(shop.store, key) is not None


def test_what_another_version_wrote_is_made_again(shop: Shop, forge: Forge) -> None:
    wheel = shop.offer(forge(files=FILES))
    ensure(shop.store, [wheel], shop.fetch, verify=False)
    whole = part_files(shop, wheel)
    for suffix in (".index", ".facts"):
        shop.store.save(shop.store.path("parts", part_key(wheel.sha256), suffix), msgspec.msgpack.encode(["other"]))
        assert ensure(shop.store, [wheel], shop.fetch, verify=True) == 1
        assert part_files(shop, wheel) == whole


def test_a_damaged_wheel_is_fetched_again(shop: Shop, forge: Forge) -> None:
    wheel = shop.offer(forge(files=FILES))
    shop.faults = [b"other bytes"]
    assert ensure(shop.store, [wheel], shop.fetch, verify=False) == 1
    assert shop.asked == ["pkg", "pkg"]
    assert is_sound(shop.store, part_key(wheel.sha256))


def test_a_wheel_that_is_wrong_twice(shop: Shop, forge: Forge) -> None:
    wheel = shop.offer(forge(files=FILES))
    shop.faults = [b"other bytes", b"other bytes"]
    with pytest.raises(IntegrityError) as caught:
        ensure(shop.store, [wheel], shop.fetch, verify=False)
    other = hashlib.sha256(b"other bytes").hexdigest()
    assert caught.value.message == f"{wheel.filename}: has SHA-256 {other}; the lock says {wheel.sha256}"
    assert caught.value.hint == "It was fetched twice and differs both times. Check the index, then run lamina lock."
    assert load_index(shop.store, part_key(wheel.sha256)) is None


def test_a_wheel_that_lies_leaves_nothing(shop: Shop, forge: Forge) -> None:
    wheel = shop.offer(forge(files={"pkg-1.0.data/nowhere/x": ""}))
    with pytest.raises(UnsafeWheelError):
        ensure(shop.store, [wheel], shop.fetch, verify=False)
    left = [path for path in shop.store.root.rglob("*") if path.is_file() and path.suffix not in {".whl", "", ".TAG"}]
    assert left == []
