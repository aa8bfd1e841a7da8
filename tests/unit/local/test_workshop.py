"""What is checked of local projects around the build, which is played here by records in the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lamina.built import Built, metadata_digest
from lamina.errors import LaminaError, RecipeError, ResolutionError, StaleLockError
from lamina.index import Indexes
from lamina.local import Workshop
from lamina.local.backend import environment
from lamina.local.siblings import siblings
from lamina.lock import Lock, LockedLocal, LockedSource, LockedWheel
from lamina.progress import SILENT
from lamina.project import Order, Project
from lamina.recipe import Omit, Recipe, TargetSpec
from lamina.store import Store
from lamina.target import target_for

TARGET = target_for("cp311", architecture="x86_64")
SIX = LockedWheel("six", "1.0", "six-1.0-py3-none-any.whl", "cd" * 32, 1)


class World:
    """A project of local projects that count as built."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root / "cache")
        self.project = Project(root / "recipes" / "x.toml", root, root / "dist")

    def recipe(self, *requirements: str, **more: object) -> Recipe:
        spec = TargetSpec(python="cp311", architecture="x86_64")
        return Recipe(name="x", requirements=requirements, target=(spec,), **more)  # type: ignore[arg-type]

    def workshop(self, *requirements: str, **more: object) -> Workshop:
        def indexes() -> Indexes:
            raise AssertionError("nothing is to be built")

        recipe = self.recipe(*requirements, **more)
        return Workshop(self.project, recipe, self.store, indexes=indexes, env={}, offline=True, progress=SILENT)

    def put(
        self, path: str, name: str, version: str = "1.0", requires: tuple[str, ...] = (), own: tuple[str, ...] = ()
    ) -> Built:
        """A project whose wheel the store has."""
        folder = self.root / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pyproject.toml").write_text(f"# {path} {name} {version} {requires}")
        digest = f"{len(path):064d}"
        wheel = LockedWheel(name, version, f"{name}-{version}-py3-none-any.whl", digest, 4)
        built = Built(wheel, metadata_digest(name, requires, "", ()), requires, own)
        place = self.store.path("wheels", digest, ".whl")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"1234")
        self.store.save(self.workshop()._here().record(folder), msgspec.msgpack.encode(built))
        return built

    def order(self, recipe: Recipe, *local: LockedLocal) -> Order:
        lock = Lock(TARGET.name, "uv 1", "ab" * 32, (SIX,), "x", local)
        return Order(self.project, recipe, TARGET, lock, Path("recipes/locks/x.txt"))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path)


def failure(call: Callable[[], object], kind: type[LaminaError]) -> tuple[str, str]:
    with pytest.raises(kind) as caught:
        call()
    return caught.value.message, caught.value.hint


ROOT = "Paths start from the project's root, which is the folder that holds recipes/."


@pytest.mark.parametrize(
    ("path", "what", "hint"),
    [
        ("./gone", "there is no such folder", ROOT),
        ("./file", "a file, not a folder", ROOT),
        ("./a.whl", "there is no such folder",
         "Put the wheel into a folder that find-links names, and require it by its name."),
        ("./empty", "no Python project: has neither pyproject.toml nor setup.py",
         "Give the folder that holds pyproject.toml or setup.py."),
        ("./out", "leads out of the project", "Put the project itself there, not a link."),
    ],
)  # fmt: skip
def test_what_is_no_project(world: World, path: str, what: str, hint: str) -> None:
    (world.root / "file").touch()
    (world.root / "empty").mkdir()
    (world.root / "out").symlink_to("/")
    message = f"recipes/x.toml: requirements: {path}: {what}"
    assert failure(world.workshop(path).built, RecipeError) == (message, hint)


def test_what_stands_in_the_store_is_not_built_again(world: World) -> None:
    a, b = world.put("a", "a"), world.put("bb", "b")
    assert world.workshop("./a[x]", "./bb", "six").built() == {"./a": a, "./bb": b}
    assert world.workshop("six").built() == {}


@pytest.mark.parametrize(
    ("requirements", "more", "message"),
    [
        (("./a", "./bb"), {}, "./bb: is called six, as ./a is"),
        (("./a", "Six>=1"), {}, "./a: is called six, which requirements names too"),
        (("./a",), {"provided": ("six",)}, "./a: is called six, which provided names too"),
        (("./a",), {"omit": (Omit("SIX", "why"),)}, "./a: is called six, which omit names too"),
    ],
)
def test_a_name_that_is_taken(
    world: World, requirements: tuple[str, ...], more: dict[str, object], message: str
) -> None:
    world.put("a", "six")
    world.put("bb", "six")
    said, _ = failure(world.workshop(*requirements, **more).built, RecipeError)
    assert said == f"recipes/x.toml: requirements: {message}"


def test_a_sibling_that_the_recipe_does_not_name(world: World) -> None:
    world.put("a", "app", own=("shared",))
    assert failure(world.workshop("./a").built, RecipeError) == (
        "recipes/x.toml: requirements: ./a: needs shared of its workspace",
        'Require the folder of shared as well, as "./packages/shared"; else an index would be asked.',
    )
    world.put("bb", "shared")
    assert len(world.workshop("./a", "./bb").built()) == 2


def test_the_wheels_join_those_of_the_lock(world: World) -> None:
    built = world.put("a", "app", requires=("shared>=1", "six"))
    shared = world.put("bb", "shared")
    recipe = world.recipe("./a", "./bb")
    ordered = world.order(recipe, built.locked("./a"), shared.locked("./bb"))
    filled = world.workshop("./a", "./bb").fulfil(ordered)
    assert filled.lock.wheels == (built.wheel, shared.wheel, SIX)
    assert world.workshop("six").fulfil(ordered) is ordered


def test_a_lock_that_states_it_otherwise_is_stale(world: World) -> None:
    built = world.put("a", "app", requires=("six",))
    recipe = world.recipe("./a")
    cases = {
        "does not know ./a": (),
        "./a is called app now, was old": (LockedLocal("./a", "old", built.metadata),),
        "./a states other dependencies, extras or Pythons than when it was locked": (
            LockedLocal("./a", "app", "cd" * 32),
        ),
    }
    for message, local in cases.items():
        ordered = world.order(recipe, *local)
        said = failure(lambda ordered=ordered: world.workshop("./a").fulfil(ordered), StaleLockError)  # type: ignore[misc]
        assert said == (f"recipes/locks/x.txt: stale: {message}", "Renew it: lamina lock x")


def test_versions_that_do_not_go_together_any_more(world: World) -> None:
    app = world.put("a", "app", requires=("shared>=2; extra == 'x'", "shared>=3; extra == 'y'"))
    shared = world.put("bb", "shared", version="1.0")
    ordered = world.order(world.recipe("./a[x]", "./bb"), app.locked("./a"), shared.locked("./bb"))
    assert failure(lambda: world.workshop("./a[x]", "./bb").fulfil(ordered), StaleLockError) == (
        "recipes/locks/x.txt: stale: ./a asks for shared>=2, and ./bb is 1.0",
        "Renew it: lamina lock x",
    )
    world.workshop("./a", "./bb").fulfil(ordered)


def test_siblings_are_what_uv_takes_from_the_workspace(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[tool.uv.sources]\nShared_Code = { workspace = true }\nnear = [{ path = "../near" }]\n'
        'torch = { index = "cpu" }\nunused = { workspace = true }\n'
    )
    assert siblings(path, ["shared-code>=1", "near", "torch", "six"]) == ("near", "shared-code")
    path.write_text("[tool]\nuv = 3\n")
    assert siblings(path, ["six"]) == ()
    assert siblings(tmp_path / "none", ["six"]) == ()


def test_a_build_sees_little_of_the_environment() -> None:
    env = {
        "PATH": "/bin", "HOME": "/root", "AWS_SECRET_ACCESS_KEY": "s", "PYTHONPATH": "x", "UV_INDEX": "x",
        "PIP_INDEX_URL": "x", "https_proxy": "p", "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_A": "1", "UV_CACHE_DIR": "c",
    }  # fmt: skip
    assert environment(Indexes("https://i.invalid/simple"), env) == {
        "PATH": "/bin", "HOME": "/root", "https_proxy": "p", "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_A": "1",
        "UV_CACHE_DIR": "c", "UV_DEFAULT_INDEX": "https://i.invalid/simple", "NO_COLOR": "1",
        "SOURCE_DATE_EPOCH": "318211200", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def test_a_source_distribution_needs_the_docker_builder(world: World) -> None:
    recipe = world.recipe("six")
    source = LockedSource("slow", "1.0", "slow-1.0.tar.gz", "ef" * 32, 1)
    lock = Lock(TARGET.name, "uv 1", "ab" * 32, (SIX,), "x", (), (source,))
    order = Order(world.project, recipe, TARGET, lock, Path("recipes/locks/x.txt"))
    assert failure(lambda: world.workshop("six").fulfil(order), ResolutionError) == (
        "recipes/locks/x.txt: slow-1.0.tar.gz: a source distribution, and only the docker builder builds those",
        'Set kind = "docker" in the recipe\'s [builder], or require a version of it that has a wheel.',
    )
    omitted = {"omit": (Omit("slow", "never imported"),)}
    assert world.workshop("six", **omitted).fulfil(order) is order
