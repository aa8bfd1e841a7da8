"""Resolution by the real uv from an index in a folder: every case made for it, no network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from lamina.errors import IndexAccessError, MissingToolError, ResolutionError, UsageError
from lamina.index import Indexes, from_environment
from lamina.lock import Lock, inputs_digest, verify
from lamina.recipe import Recipe, TargetSpec
from lamina.resolve import Resolution, resolve, uv
from lamina.target import Target, target_for

AL2 = "cp311-manylinux_2_26_x86_64"
Forge = Callable[..., Path]


class World:
    """An index in a folder, an environment of one's own, and recipes resolved in it."""

    def __init__(self, root: Path, forge: Forge) -> None:
        self.root = root
        self.forge = forge
        self.tree = root / "simple"
        self.tree.mkdir()
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(root / "home"),
            "LAMINA_CACHE": str(root / "cache"),
            "UV_CACHE_DIR": str(root / "uv"),
            "UV_HTTP_RETRIES": "0",
        }
        self.links: dict[str, list[str]] = {}

    def put(
        self, name: str, version: str, tag: str = "py3-none-any", requires: Sequence[str] = (), attributes: str = ""
    ) -> Path:
        """Add a wheel to the index."""
        path = self.forge(name.replace("-", "_"), version, tag=tag, requires=tuple(requires))
        self.links.setdefault(name, []).append(f'<a href="{path.as_uri()}" {attributes}>{path.name}</a>')
        folder = self.tree / name
        folder.mkdir(exist_ok=True)
        (folder / "index.html").write_text(
            "<!DOCTYPE html><html><body>" + "<br>".join(self.links[name]) + "</body></html>"
        )
        return path

    def resolve(self, *requirements: str, target: Target | None = None, **more: object) -> Resolution:
        """Resolve a recipe of these requirements."""
        target = target or target_for("cp311", architecture="x86_64")
        stated = {key: more.pop(key) for key in ("constraints", "provided", "find_links") if key in more}
        spec = TargetSpec(python=target.python, platform=target.platform)
        recipe = Recipe(name="x", requirements=requirements, target=(spec,), **{"provided": (), **stated})  # type: ignore[arg-type]
        indexes = more.pop("indexes", None) or Indexes(self.tree.as_uri(), find_links=recipe.find_links)
        found = resolve(recipe, target, indexes=indexes, base=self.root, env=self.env, **more)  # type: ignore[arg-type]
        verify(found.lock, recipe, target, "x")
        return found

    def names(self, *requirements: str, **more: object) -> list[str]:
        """What ships, as ``name version``."""
        lock = self.resolve(*requirements, **more).lock
        return [f"{wheel.name} {wheel.version}" for wheel in lock.wheels]


@pytest.fixture
def world(tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("UV_FIND_LINKS", "PIP_FIND_LINKS"):  # a trap: nothing of it may be taken
        monkeypatch.setenv(name, str(tmp_path / "trap"))
    return World(tmp_path, forge)


def numpy(world: World) -> None:
    """The shape of numpy's releases."""
    world.put("numpy", "2.2.6", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64")
    world.put("numpy", "2.2.6", "cp311-cp311-musllinux_1_2_x86_64")
    world.put("numpy", "2.3.0", "cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64")
    world.put("numpy", "2.4.6", "cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64")
    world.put("numpy", "2.5.5", "cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64")


def test_a_lock_states_the_wheel_that_was_chosen(world: World) -> None:
    path = world.put("foo", "1.0")
    found = world.resolve("foo")
    (wheel,) = found.lock.wheels
    assert (wheel.name, wheel.version, wheel.filename, wheel.size) == ("foo", "1.0", path.name, path.stat().st_size)
    assert found.lock.target == AL2
    assert found.lock.builder.startswith("uv ")
    assert found.lock.recipe == "x"
    assert (found.held_back, found.changes, found.notes) == ((), (), ())


def test_the_ceiling_that_uv_has_no_name_for(world: World) -> None:
    numpy(world)
    world.put("pandas", "3.0", "cp311-cp311-manylinux_2_17_x86_64", ["numpy"])
    world.put("pandas", "3.1", "cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64", ["numpy"])
    found = world.resolve("pandas")
    assert [wheel.filename for wheel in found.lock.wheels] == [
        "numpy-2.2.6-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "pandas-3.1-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    ]
    assert found.held_back == ("numpy 2.2.6 (2.4.6 needs glibc 2.27; 2.5.5 has no cp311 wheel)",)


def test_what_needs_what_exceeds_goes_back_too(world: World) -> None:
    numpy(world)
    world.put("scipy", "1.0", requires=["numpy<3"])
    world.put("scipy", "2.0", requires=["numpy>=2.3"])
    assert world.names("scipy") == ["numpy 2.2.6", "scipy 1.0"]
    newer = target_for("cp312", architecture="x86_64")
    assert world.names("scipy", target=newer) == ["numpy 2.5.5", "scipy 2.0"]


@pytest.mark.parametrize(
    "tag", ["cp311-cp311-linux_x86_64", "cp311-cp311-musllinux_1_1_x86_64", "cp311-cp311-win_amd64"]
)
def test_wheels_for_elsewhere_are_never_chosen(world: World, tag: str) -> None:
    world.put("foo", "1.0")
    world.put("foo", "2.0", tag)
    assert world.names("foo") == ["foo 1.0"]


def test_markers_are_the_targets(world: World) -> None:
    for name in ("windows", "linux", "new", "old", "arm", "extra-dep", "mac"):
        world.put(name, "1.0")
    world.put(
        "foo",
        "1.0",
        requires=[
            "windows; sys_platform == 'win32'",
            "linux; platform_system == 'Linux'",
            "new; python_version >= '3.13'",
            "old; python_full_version < '3.13.1'",
            "arm; platform_machine == 'aarch64'",
            "extra-dep; extra == 'more'",
        ],
    )
    asked = ("foo[more]", "mac; sys_platform == 'darwin'")
    assert world.names(*asked) == ["extra-dep 1.0", "foo 1.0", "linux 1.0", "old 1.0"]
    arm = target_for("cp313", architecture="aarch64")
    assert world.names(*asked, target=arm) == ["arm 1.0", "extra-dep 1.0", "foo 1.0", "linux 1.0", "new 1.0"]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [("", "1.0"), (">=2.0rc1", "2.0rc2"), (">1.5", "2.0rc2"), ("==2.0rc1", "2.0rc1"), ("!=2.0rc1", "1.0")],
)
def test_pre_releases_by_the_rules_of_pep_440(world: World, limits: str, expected: str) -> None:
    for version in ("1.0", "2.0rc1", "2.0rc2"):
        world.put("foo", version)
    assert world.names(f"foo{limits}") == [f"foo {expected}"]


def test_shutting_out_pre_releases_does_not_invite_others(world: World) -> None:
    world.put("foo", "1.0")
    world.put("foo", "2.0", "cp311-cp311-manylinux_2_28_x86_64")
    world.put("foo", "3.0rc1", "cp311-cp311-manylinux_2_28_x86_64")
    world.put("foo", "3.0rc2")
    assert world.names("foo") == ["foo 1.0"]


def test_constraints_limit_and_require_nothing(world: World) -> None:
    for version in ("1.0", "2.0"):
        world.put("foo", version)
    world.put("bar", "1.0")
    assert world.names("foo", constraints=("foo<2", "bar==1.0")) == ["foo 1.0"]


def test_yanked_versions_only_when_pinned(world: World) -> None:
    world.put("foo", "1.0")
    world.put("foo", "2.0", attributes='data-yanked="broken"')
    assert world.names("foo") == ["foo 1.0"]
    found = world.resolve("foo==2.0")
    assert [wheel.version for wheel in found.lock.wheels] == ["2.0"]
    assert found.notes == ('`foo==2.0` is yanked (reason: "broken")',)


def boto(world: World, newest: str = "1.44.5") -> None:
    world.put("boto3", newest, requires=["botocore"])
    world.put("botocore", newest, requires=["urllib3<3", "python-dateutil<3", 'awscrt; extra == "crt"'])
    world.put("urllib3", "2.8")
    world.put("urllib3", "3.0")
    world.put("python-dateutil", "2.9", requires=["six"])
    world.put("python-dateutil", "4.0")
    world.put("six", "1.17")
    world.put("awscrt", "0.38")


PROVIDED = ("boto3", "botocore")


def test_what_is_provided_is_resolved_with_and_not_shipped(world: World) -> None:
    boto(world)
    world.put("pandas", "1.0", requires=["python-dateutil"])
    assert world.names("pandas") == ["pandas 1.0", "python-dateutil 4.0"]
    assert world.names("pandas", provided=PROVIDED) == ["pandas 1.0", "python-dateutil 2.9", "six 1.17"]


def test_what_ships_may_need_what_is_provided(world: World) -> None:
    boto(world)
    world.put("s3fs", "1.0", requires=["botocore", "boto3"])
    assert world.names("s3fs", provided=PROVIDED) == ["s3fs 1.0"]
    assert world.names("s3fs") == [
        "boto3 1.44.5", "botocore 1.44.5", "python-dateutil 2.9", "s3fs 1.0", "six 1.17", "urllib3 2.8"
    ]  # fmt: skip


def test_an_extra_of_what_is_provided_ships(world: World) -> None:
    boto(world)
    world.put("s3transfer", "1.0", requires=["botocore[crt]"])
    assert world.names("s3transfer", provided=PROVIDED) == ["awscrt 0.38", "s3transfer 1.0"]


def test_what_goes_with_old_copies_only_is_noted(world: World) -> None:
    boto(world)
    world.put("botocore", "1.40.0")
    world.put("aiobotocore", "1.0", requires=["botocore<1.41"])
    (note,) = world.resolve("aiobotocore", provided=PROVIDED).notes
    assert note == (
        "what ships goes with botocore 1.40.0 (newest: 1.44.5), and the runtime has copies of its own; "
        "to ship those that fit, leave them out of `provided`"
    )


def test_a_conflict_with_what_is_provided_names_the_limit(world: World) -> None:
    boto(world)
    with pytest.raises(ResolutionError) as caught:
        world.resolve("urllib3>=3", provided=PROVIDED)
    first, _, said = caught.value.message.partition("\n")
    assert first == "the requirements do not go with what the runtime provides (boto3, botocore):"
    assert "botocore depend on urllib3<3 and you require urllib3>=3" in " ".join(said.split())
    assert caught.value.hint.startswith("Loosen the requirement named there. Or ship copies of your own:")


def test_a_conflict_between_requirements(world: World) -> None:
    world.put("foo", "1.0", requires=["bar<2"])
    world.put("bar", "1.0")
    world.put("bar", "2.0")
    with pytest.raises(ResolutionError) as caught:
        world.resolve("foo", "bar>=2")
    assert caught.value.message.startswith(f"the requirements contradict each other for {AL2}:\n  Because ")
    assert "foo depend on bar<2" in " ".join(caught.value.message.split())
    assert caught.value.exit_code == 3


def test_a_transitive_package_that_no_target_wheel_exists_of(world: World) -> None:
    world.put("foo", "1.0", requires=["bar"])
    world.put("bar", "1.0", "cp311-cp311-manylinux_2_28_x86_64")
    with pytest.raises(ResolutionError) as caught:
        world.resolve("foo")
    assert caught.value.message == (
        f"nothing can be resolved for {AL2}:\n"
        "  bar: no wheel for the target; 1.0 has wheels for cp311 on Linux x86_64 with glibc 2.28"
    )


def test_pins_stay_until_they_are_let_go(world: World) -> None:
    world.put("foo", "1.0", requires=["bar"])
    world.put("bar", "1.0")
    first = world.resolve("foo").lock
    world.put("foo", "2.0", requires=["bar"])
    world.put("bar", "2.0")
    assert world.resolve("foo", previous=first).lock == first
    assert world.resolve("foo", previous=first, upgrade_packages=["Bar"]).changes == ("bar 1.0 -> 2.0",)
    assert world.resolve("foo", previous=first, upgrade=True).changes == ("bar 1.0 -> 2.0", "foo 1.0 -> 2.0")
    forced = world.resolve("foo>=2", previous=first)
    assert forced.changes == ("foo 1.0 -> 2.0",)
    typo = world.resolve("foo", previous=first, upgrade_packages=["bra"])
    assert typo.notes == ("bra: not in the lock, so there was nothing to upgrade; did you mean bar?",)


def test_a_pinned_wheel_stays_beside_a_better_one_of_its_version(world: World) -> None:
    world.put("foo", "1.0")
    first = world.resolve("foo").lock
    world.put("foo", "1.0", "cp311-cp311-manylinux_2_17_x86_64")
    assert world.resolve("foo", previous=first).lock == first
    renewed = world.resolve("foo", previous=first, upgrade=True)
    assert renewed.changes == (
        "foo 1.0: now foo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl, was foo-1.0-py3-none-any.whl",
    )


def test_the_same_result_by_another_uv_is_no_change(world: World) -> None:
    world.put("foo", "1.0")
    first = world.resolve("foo").lock
    older = Lock(first.target, "uv 0.1.2", first.inputs, first.wheels, first.recipe)
    assert world.resolve("foo", previous=older).lock == older


def test_folders_of_wheels_stand_beside_the_index(world: World) -> None:
    world.put("foo", "1.0", requires=["bar"])
    moved = world.put("bar", "9.0")
    folder = world.root / "vendored"
    folder.mkdir()
    moved.rename(folder / moved.name)
    world.links.pop("bar")
    (world.tree / "bar" / "index.html").unlink()
    (world.tree / "bar").rmdir()
    assert world.names("foo", find_links=("vendored",)) == ["bar 9.0", "foo 1.0"]
    with pytest.raises(ResolutionError):
        world.resolve("foo")


def test_a_folder_that_does_not_exist(world: World) -> None:
    world.put("foo", "1.0")
    with pytest.raises(UsageError) as caught:
        world.resolve("foo", find_links=("nowhere",))
    assert caught.value.message == f"find-links: {world.root / 'nowhere'}: No such file or directory"


def test_a_project_comes_from_the_first_index_that_has_it(world: World, tmp_path: Path) -> None:
    world.put("foo", "1.0")
    private = World.__new__(World)
    private.forge, private.links, private.tree = world.forge, {}, tmp_path / "private"
    private.tree.mkdir()
    private.put("foo", "0.5")
    indexes = Indexes(world.tree.as_uri(), (private.tree.as_uri(),))
    assert world.names("foo", indexes=indexes) == ["foo 0.5"]


def test_offline_from_folders_alone(world: World) -> None:
    path = world.put("foo", "1.0")
    indexes = Indexes(find_links=(str(path.parent),))
    assert world.names("foo", indexes=indexes, offline=True) == ["foo 1.0"]
    with pytest.raises(IndexAccessError) as caught:
        world.resolve("bar", indexes=indexes, offline=True)
    assert caught.value.message == "offline, and the index was never asked about bar"


def test_only_the_requirements_decide_the_digest(world: World) -> None:
    world.put("foo", "1.0")
    lock = world.resolve("foo").lock
    spec = TargetSpec(python="cp311", architecture="x86_64")
    same = Recipe(name="other", requirements=("Foo",), target=(spec,), provided=())
    assert lock.inputs == inputs_digest(same, target_for("cp311", architecture="x86_64"))


def test_a_password_is_in_no_error(world: World) -> None:
    env = {"UV_DEFAULT_INDEX": "http://me:s3cr%40t@127.0.0.1:9/simple"}
    with pytest.raises(IndexAccessError) as caught:
        world.resolve("foo", indexes=from_environment(env))
    assert "127.0.0.1:9" in caught.value.message
    assert "s3cr" not in caught.value.message + caught.value.hint


def test_without_uv(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FileNotFoundError

    monkeypatch.setattr("uv.find_uv_bin", missing)
    with pytest.raises(MissingToolError) as caught:
        world.resolve("foo")
    assert caught.value.message == "uv: the executable that resolves requirements is not installed"
    assert caught.value.hint == "Install it beside lamina: python -m pip install uv"


def test_uv_knows_the_platforms_that_are_asked_of_it(world: World) -> None:
    world.put("foo", "1.0")
    for glibc in uv.KNOWN_GLIBC:
        for architecture in ("x86_64", "aarch64"):
            target = target_for("cp313", architecture=architecture)
            platform = uv.platform_for(target, (2, glibc))
            asked = uv.Question(("foo",), (), "3.13.1", platform)
            answer = uv.Uv(Indexes(world.tree.as_uri()), world.env, offline=True).ask(asked)
            assert isinstance(answer, uv.Answer), platform
