"""Artefacts unpacked: once, as they are, and safely."""

from __future__ import annotations

import os
import threading
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from lamina.errors import IntegrityError, LaminaError, UnsafeWheelError
from lamina.lock import LockedWheel
from lamina.prove import runtime_standin, stage
from lamina.runtimes import facts, runtimes
from lamina.store import Store
from lamina.target import target_for

LINK = 0o120777


def _zip(path: Path, files: Mapping[str, str], modes: Mapping[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = (modes or {}).get(name, 0o100644) << 16
            archive.writestr(info, text)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def _read(tree: Path) -> dict[str, str]:
    return {path.relative_to(tree).as_posix(): path.read_text() for path in tree.rglob("*") if path.is_file()}


def test_later_layers_lie_over_earlier_ones(tmp_path: Path, store: Store) -> None:
    first = _zip(tmp_path / "a.zip", {"python/": "", "python/one.py": "1", "python/both.py": "1"})
    second = _zip(tmp_path / "b.zip", {"python/both.py": "2", "bin/tool": "3"}, {"bin/tool": 0o100755})
    tree = stage.unpacked(store, stage.zips([first, second]))
    assert _read(tree) == {"python/one.py": "1", "python/both.py": "2", "bin/tool": "3"}
    assert [(tree / name).stat().st_mode & 0o777 for name in ("bin/tool", "python/one.py")] == [0o755, 0o644]
    assert stage.unpacked(store, stage.zips([second, first])) != tree


def test_a_tree_that_stands_is_taken_as_it_is(tmp_path: Path, store: Store) -> None:
    source = stage.zips([_zip(tmp_path / "a.zip", {"python/one.py": "1"})])
    tree = stage.unpacked(store, source)
    made = tree.stat().st_ino
    (tmp_path / "a.zip").unlink()
    assert stage.unpacked(store, source).stat().st_ino == made


@pytest.mark.parametrize("damage", ["changed", "gone", "more", "index", "tree"])
def test_a_damaged_tree_is_made_again(tmp_path: Path, store: Store, damage: str) -> None:
    source = stage.zips([_zip(tmp_path / "a.zip", {"python/one.py": "1"})])
    tree = stage.unpacked(store, source)
    file = tree / "python" / "one.py"
    if damage == "changed":
        file.write_text("2")
        os.utime(file, ns=(1, 1))
    elif damage == "gone":
        file.unlink()
    elif damage == "more":
        (tree / "python" / "two.py").touch()
    elif damage == "index":
        tree.with_name(f"{tree.name}.index").write_bytes(b"x")
    else:
        file.unlink()
        file.parent.rmdir()
        tree.rmdir()
    assert _read(stage.unpacked(store, source)) == {"python/one.py": "1"}
    assert not [*store.root.joinpath("tmp").iterdir()]


def test_two_at_once_make_one_tree(tmp_path: Path, store: Store) -> None:
    source = stage.zips([_zip(tmp_path / "a.zip", {f"python/{number}.py": "1" for number in range(50)})])
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(stage.unpacked(store, source))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(_read(found[0])) == 50


def test_links_within_the_layer_are_kept(tmp_path: Path, store: Store) -> None:
    layer = _zip(tmp_path / "a.zip", {"lib/libx.so": "libx.so.1", "lib/libx.so.1": "x"}, {"lib/libx.so": LINK})
    tree = stage.unpacked(store, stage.zips([layer]))
    assert (tree / "lib" / "libx.so").readlink() == Path("libx.so.1")


@pytest.mark.parametrize(
    ("files", "modes", "told"),
    [
        ({"../x": "1"}, {}, "a.zip: '../x': a path that leaves the wheel"),
        ({"/x": "1"}, {}, "a.zip: '/x': an absolute path"),
        ({"a": "1", "a/b": "2"}, {}, "a.zip: 'a': is a file and a folder"),
        ({"a": "../../x"}, {"a": LINK}, "a.zip: 'a': a link that leaves the layer"),
        ({"a": "/etc"}, {"a": LINK}, "a.zip: 'a': a link that leaves the layer"),
        ({"a": ""}, {"a": LINK}, "a.zip: 'a': a link that leaves the layer"),
        ({"a": "x" * 5000}, {"a": LINK}, "a.zip: 'a': a link with a target of 5,000 bytes"),
    ],
)
def test_a_hostile_zip_is_refused(
    tmp_path: Path, store: Store, files: dict[str, str], modes: dict[str, int], told: str
) -> None:
    source = stage.zips([_zip(tmp_path / "a.zip", files, modes)])
    with pytest.raises(UnsafeWheelError) as caught:
        stage.unpacked(store, source)
    assert caught.value.message == told
    assert not [*store.root.joinpath("tmp").iterdir()]


def test_nothing_is_written_through_a_link_of_another_layer(tmp_path: Path, store: Store) -> None:
    first = _zip(tmp_path / "a.zip", {"lib": "real", "real/x": "1"}, {"lib": LINK})
    second = _zip(tmp_path / "b.zip", {"lib/x": "2"})
    with pytest.raises(UnsafeWheelError) as caught:
        stage.unpacked(store, stage.zips([first, second]))
    assert caught.value.message == "b.zip: 'lib/x': a folder here, a file or link in a layer below"


def test_another_zip_than_the_digest_says_is_refused(tmp_path: Path, store: Store) -> None:
    (source,) = stage.zips([_zip(tmp_path / "a.zip", {"a": "1"})])
    with pytest.raises(IntegrityError, match=r"^a.zip: has SHA-256 [0-9a-f]{64}, not 0000"):
        stage.unpacked(store, [source._replace(sha256="0" * 64)])


def test_damaged_content_is_refused(tmp_path: Path, store: Store) -> None:
    path = _zip(tmp_path / "a.zip", {"a": "some text that deflates"})
    raw = bytearray(path.read_bytes())
    raw[34] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(LaminaError, match=r"a.zip: "):
        stage.unpacked(store, stage.zips([path]))


def test_a_wheel_is_placed_as_an_installer_would(tmp_path: Path, store: Store) -> None:
    names = ("one/__init__.py", "one-1.dist-info/METADATA", "one-1.data/purelib/two.py", "one-1.data/scripts/tool")
    path = _zip(tmp_path / "one-1-py3-none-any.whl", dict.fromkeys(names, "x"))
    (zipped,) = stage.zips([path])
    locked = LockedWheel("one", "1", path.name, zipped.sha256, path.stat().st_size)
    tree = stage.unpacked(store, stage.wheels([locked], {zipped.sha256: path}, "python"))
    assert sorted(_read(tree)) == ["python/one-1.dist-info/METADATA", "python/one/__init__.py", "python/two.py"]


def test_trees_that_nobody_used_are_pruned_whole(tmp_path: Path, store: Store) -> None:
    used, unused = (
        stage.unpacked(store, stage.zips([_zip(tmp_path / name, {"python/x.py": name})])) for name in ("a.zip", "b.zip")
    )
    old = time.time() - 100
    os.utime(unused.with_name(f"{unused.name}.index"), (old, old))
    os.utime(used / "python" / "x.py", (old, old))
    assert store.prune(50) == 5
    assert (used / "python" / "x.py").exists()
    assert not unused.exists()
    assert store.clear() > 0
    assert not used.exists()


@pytest.mark.parametrize("runtime", runtimes(), ids=lambda runtime: runtime.name)
@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_every_runtime_has_a_stand_in_that_its_target_accepts(runtime: object, architecture: str) -> None:
    abi = getattr(runtime, "abi", "")
    target = target_for(abi, architecture=architecture)
    lock = runtime_standin.standin_lock(target)
    assert lock.target == target.name
    assert {"awslambdaric", "boto3", "botocore", "simplejson", "snapshot-restore-py"} <= {
        wheel.name for wheel in lock.wheels
    }
    accepted = set(target.tags())
    for wheel in lock.wheels:
        pythons, abis, platforms = (part.split(".") for part in wheel.filename[:-4].rsplit("-", 3)[1:])
        assert accepted & {f"{a}-{b}-{c}" for a in pythons for b in abis for c in platforms}


def test_a_target_below_its_runtime_has_the_runtimes_stand_in() -> None:
    assert facts().runtimes
    low = target_for("cp311", platform="manylinux2014_x86_64")
    assert runtime_standin.standin_lock(low) == runtime_standin.standin_lock(target_for("cp311", architecture="x86_64"))
