"""From an order to its artefacts: what is left in the output folder, in which order, and what a second build does."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lamina import files
from lamina.emit import manifest as manifests
from lamina.emit.manifest import Proof
from lamina.errors import IntegrityError, UnsafeWheelError
from lamina.lock import Lock, LockedWheel, inputs_digest, render
from lamina.part.library import data_path, part_key
from lamina.pipeline import Built, build
from lamina.planner import Planner
from lamina.progress import SILENT, Progress
from lamina.project import Order, Project
from lamina.recipe import Accept, Budget, Omit, Prune, Recipe, TargetSpec
from lamina.store import Store
from lamina.target import target_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Forge = Callable[..., Path]

NAME = "demo-cp311-manylinux2014_x86_64"
SUFFIXES = (".zip", ".json", ".cdx.json", ".notices.txt")
TODAY = dt.date(2026, 11, 22)
TARGET = target_for("cp311", platform="manylinux2014_x86_64")


class Told(Progress):
    """Progress that can be asked what it was told."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, message: str) -> None:
        self.stages.append(message)


class Bench:
    """A project with wheels of its own, and what came of building it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root / "store")
        self.output = root / "dist"
        self.wheels: dict[LockedWheel, Path] = {}
        self.fetched: list[str] = []
        (root / "recipes").mkdir()
        (root / "recipes" / "demo.toml").write_text("# the recipe\n")

    def add(self, path: Path) -> LockedWheel:
        name, version = path.name.split("-")[:2]
        content = path.read_bytes()
        wheel = LockedWheel(name, version, path.name, hashlib.sha256(content).hexdigest(), len(content))
        self.wheels[wheel] = path
        return wheel

    def fetch(self, wheels: Sequence[LockedWheel]) -> Mapping[str, Path]:
        self.fetched += [wheel.name for wheel in wheels]
        return {wheel.sha256: self.wheels[wheel] for wheel in wheels}

    def order(self, **keys: Any) -> Order:  # noqa: ANN401 - the recipe's
        recipe = Recipe("demo", ("alpha",), (TargetSpec("cp311", "manylinux2014_x86_64"),), **keys)
        lock = Lock(TARGET.name, "hand", inputs_digest(recipe, TARGET), tuple(self.wheels), "demo")
        lock_path = self.root / "recipes" / "lock.txt"
        lock_path.write_text(render(lock))
        project = Project(self.root / "recipes" / "demo.toml", self.root, self.output)
        return Order(project, recipe, TARGET, lock, lock_path)

    def build(self, progress: Progress = SILENT, **keys: Any) -> Built:  # noqa: ANN401 - the recipe's
        return build(self.order(**keys), store=self.store, fetch=self.fetch, today=TODAY, progress=progress)

    def left(self) -> set[str]:
        return {path.name.removeprefix(NAME) for path in self.output.iterdir()}


@pytest.fixture
def bench(tmp_path: Path, forge: Forge) -> Bench:
    made = Bench(tmp_path)
    alpha = {"alpha/__init__.py": "import beta\n", "alpha/tests/__init__.py": "x = 1\n" * 100}
    made.add(forge("alpha", files=alpha, requires=("beta",), metadata={"LICENSE": "MIT text"}))
    made.add(forge("beta", files={"beta/__init__.py": "", "beta.pth": "import beta\n"}))
    return made


def test_a_first_build_and_a_second(bench: Bench) -> None:
    told = Told()
    built = bench.build(told)
    assert told.stages[-2:] == ["deciding what ships", f"writing {NAME}.zip"]
    assert bench.fetched == ["alpha", "beta"]
    assert not built.warm
    assert built.notes == ("python/beta.pth of beta runs code at start-up; Lambda evaluates it in /opt/python",)
    assert built.artefact == bench.output / f"{NAME}.zip"
    assert bench.left() == set(SUFFIXES)
    first = {path.name: path.read_bytes() for path in bench.output.iterdir()}

    told = Told()
    again = bench.build(told)
    assert told.stages == [f"writing {NAME}.zip"]
    assert bench.fetched == ["alpha", "beta"]
    assert again.warm
    assert again.notes == built.notes
    assert again.manifest == built.manifest
    assert {path.name: path.read_bytes() for path in bench.output.iterdir()} == first


def test_the_manifest_tells_what_was_written(bench: Bench) -> None:
    manifest = bench.build().manifest
    content = (bench.output / f"{NAME}.zip").read_bytes()
    read = json.loads((bench.output / f"{NAME}.json").read_bytes())
    assert read == json.loads(manifests.render(manifest))
    digest = hashlib.sha256(content)
    assert (manifest.sha256, manifest.zipped_bytes) == (digest.hexdigest(), len(content))
    assert manifest.code_sha256 == base64.b64encode(digest.digest()).decode()
    with zipfile.ZipFile(bench.output / f"{NAME}.zip") as archive:
        infos = archive.infolist()
        notices = archive.read("licenses/demo.txt")
    assert (manifest.entries, manifest.unzipped_bytes) == (len(infos), sum(info.file_size for info in infos))
    assert notices == (bench.output / f"{NAME}.notices.txt").read_bytes()
    assert b"MIT text" in notices
    assert (manifest.name, manifest.target, manifest.runtime) == ("demo", TARGET.name, "python3.11")
    assert manifest.architecture == "x86_64"
    assert manifest.recipe_sha256 == hashlib.sha256(b"# the recipe\n").hexdigest()
    alpha, beta = manifest.packages
    assert (alpha.name, alpha.version, alpha.wheel) == ("alpha", "1.0", "alpha-1.0-py3-none-any.whl")
    assert alpha.pruned_bytes == 600 + len("MIT text")
    assert beta.pruned_bytes == 0
    assert alpha.shipped_bytes + beta.shipped_bytes + len(notices) == manifest.unzipped_bytes
    assert list(read) == list(manifests.Manifest.__struct_fields__)


def test_line_ends_of_recipe_and_lock_do_not_count(bench: Bench) -> None:
    before = bench.build().manifest
    (bench.root / "recipes" / "demo.toml").write_bytes(b"# the recipe\r\n")
    assert bench.build().manifest == before


def test_an_error_leaves_the_report_alone(bench: Bench) -> None:
    bench.build()
    built = bench.build(budget=Budget(unzipped=100, warn=50))
    assert built.artefact is None
    assert bench.left() == {".json"}
    assert (built.manifest.sha256, built.manifest.code_sha256) == (None, None)
    assert [(found.code, found.accepted) for found in built.manifest.findings] == [("over-budget", False)]
    assert manifests.read(bench.output / f"{NAME}.json") == built.manifest
    # And the next build that may writes it again.
    assert bench.build().artefact is not None
    assert bench.left() == set(SUFFIXES)


def test_an_accepted_error_stays_visible(bench: Bench) -> None:
    accept = (Accept("over-budget", f"{NAME}.zip", "a test"),)
    built = bench.build(budget=Budget(unzipped=100, warn=50), accept=accept)
    assert built.artefact is not None
    assert [(found.code, found.accepted) for found in built.manifest.findings] == [("over-budget", True)]


def test_a_conflict_is_an_error(bench: Bench, forge: Forge) -> None:
    bench.add(forge("gamma", files={"beta/__init__.py": "other"}))
    built = bench.build()
    assert [found.code for found in built.manifest.findings] == ["file-conflict"]
    assert bench.left() == {".json"}
    accepted = bench.build(accept=(Accept("file-conflict", "python/beta/*", "beta's own is the right one"),))
    assert accepted.artefact is not None
    with zipfile.ZipFile(accepted.artefact) as archive:
        assert archive.read("python/beta/__init__.py") == b""
        assert len(archive.namelist()) == len(set(archive.namelist()))


def test_proofs_survive_a_build_of_the_same_bytes(bench: Bench) -> None:
    manifest = bench.build().manifest
    path = bench.output / f"{NAME}.json"
    proofs = (Proof("imports", "here", passed=True, detail="fine"),)
    path.write_bytes(manifests.render(msgspec.structs.replace(manifest, proofs=proofs)))
    assert bench.build().manifest.proofs == proofs
    assert bench.build(prune=Prune(rules=())).manifest.proofs == ()


def test_the_manifest_goes_first_and_comes_last(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.build()
    seen = []
    replace = files.replace

    def watching(source: Path, target: Path) -> None:
        if target.parent == bench.output:
            seen.append((target.name.removeprefix(NAME), (bench.output / f"{NAME}.json").exists()))
        replace(source, target)

    monkeypatch.setattr(files, "replace", watching)
    bench.build()
    assert seen == [(".zip", False), (".notices.txt", False), (".cdx.json", False), (".json", False)]


def test_a_failure_while_writing_leaves_what_was_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.build()
    before = {path.name: path.read_bytes() for path in bench.output.iterdir()}

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Planner, "_write", fail)
    with pytest.raises(KeyboardInterrupt):
        bench.build()
    assert {path.name: path.read_bytes() for path in bench.output.iterdir()} == before


def test_a_wheel_that_must_not_be_used_leaves_nothing_new(bench: Bench, forge: Forge) -> None:
    bench.build()
    before = {path.name: path.read_bytes() for path in bench.output.iterdir()}
    bench.add(forge("evil", files={"evil-1.0.data/nowhere/x": ""}))
    with pytest.raises(UnsafeWheelError):
        bench.build()
    assert {path.name: path.read_bytes() for path in bench.output.iterdir()} == before


def test_what_is_omitted_is_not_even_fetched(bench: Bench) -> None:
    built = bench.build(omit=(Omit("Beta", "never imported"),))
    assert bench.fetched == ["alpha"]
    assert [package.name for package in built.manifest.packages] == ["alpha"]


@pytest.mark.parametrize(
    "keys",
    [
        {"prune": Prune(rules=())},
        {"prune": Prune(metadata="strip")},
        {"prune": Prune(drop=("beta/",))},
        {"description": "another"},
        {"omit": (Omit("beta", "never imported"),)},
    ],
)
def test_a_plan_is_remembered_for_exactly_what_it_was_made_from(bench: Bench, keys: dict[str, Any]) -> None:
    assert not bench.build().warm
    assert not bench.build(**keys).warm
    assert bench.build().warm
    assert bench.build(**keys).warm


def test_the_overlay_is_part_of_the_plan(bench: Bench) -> None:
    bench.build()
    path = bench.root / "layers" / "demo" / "overlay" / "lib" / "x"
    path.parent.mkdir(parents=True)
    for content in (b"one", b"two"):
        path.write_bytes(content)
        built = bench.build()
        assert not built.warm
        assert bench.build().warm
        assert built.artefact is not None
        with zipfile.ZipFile(built.artefact) as archive:
            assert archive.read("lib/x") == content


def test_budget_and_acceptance_are_judged_anew(bench: Bench) -> None:
    """They decide nothing of the bytes, so a change of them needs no other plan."""
    bench.build()
    built = bench.build(budget=Budget(warn=1))
    assert built.warm
    assert [found.code for found in built.manifest.findings] == ["near-budget"]


def test_a_damaged_part_is_made_again(bench: Bench) -> None:
    manifest = bench.build().manifest
    path = data_path(bench.store, part_key(next(iter(bench.wheels)).sha256))
    content = path.read_bytes()
    for damaged in (content[:200], b"", content.replace(b"alpha", b"ALPHA")):
        path.write_bytes(damaged)
        told = Told()
        built = bench.build(told)
        assert "the store was damaged: making its parts again" in told.stages
        assert not built.warm
        assert built.manifest == manifest
        assert path.read_bytes() == content
    assert bench.fetched == ["alpha", "beta", "alpha", "alpha", "alpha"]


def test_parts_that_vanish_again_and_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Planner, "_write", lambda *_: None)
    with pytest.raises(IntegrityError) as caught:
        bench.build()
    assert caught.value.message == f"{bench.store.root}: parts vanish while they are read"
    assert caught.value.hint == "Run lamina cache clear, then build again."
    assert bench.left() == set()


def test_decisions_are_remembered_and_made_again(bench: Bench) -> None:
    bench.build()
    planner = Planner(bench.order(), bench.store, bench.fetch, SILENT)
    parts, said = planner.decisions()
    assert [index.name for index, _ in parts] == ["alpha", "beta"]
    assert [decision.path for decision in said[0] if decision.dropped] == [
        "python/alpha-1.0.dist-info/LICENSE",
        "python/alpha/tests/__init__.py",
    ]
    path = bench.store.path("plans", planner.key, ".decisions")
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:40] + b"!" + whole[41:]):
        path.write_bytes(damaged)
        assert planner.decisions() == (parts, said)
        assert path.read_bytes() == whole
    for suffix in (".facts", ".index", ".data"):
        bench.store.path("parts", planner.keys[0], suffix).unlink()
        assert planner.decisions() == (parts, said)
