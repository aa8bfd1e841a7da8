"""From an order to its artefacts: what is left in the output folder, in which order, and what a second build does."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lamina import files
from lamina.emit import manifest as manifests
from lamina.emit.manifest import Proof
from lamina.errors import IntegrityError, UnsafeWheelError, UsageError
from lamina.image.layers import dependencies
from lamina.lock import Lock, LockedFile, LockedWheel, inputs_digest, render
from lamina.overlay import Generated
from lamina.part.library import data_path, part_key, small_key
from lamina.pipeline import Built, build
from lamina.planner import Planner
from lamina.progress import SILENT, Progress
from lamina.project import Order, Project
from lamina.recipe import Accept, Budget, Bytecode, Emit, Function, Omit, Overlay, Prune, Recipe, Source, TargetSpec
from lamina.report.text import build_lines
from lamina.runtimes import quotas
from lamina.store import Store
from lamina.taken import keep, place
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

    def order(self, taken: tuple[LockedFile, ...] = (), **keys: Any) -> Order:  # noqa: ANN401 - the recipe's
        keys = {"bytecode": Bytecode("off"), **keys}  # no unit test runs another interpreter
        recipe = Recipe("demo", ("alpha",), (TargetSpec("cp311", "manylinux2014_x86_64"),), **keys)
        lock = Lock(TARGET.name, "hand", inputs_digest(recipe, TARGET), tuple(self.wheels), "demo", taken=taken)
        lock = msgspec.structs.replace(lock, image=f"sha256:{'0' * 64}" if taken else "")
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
    assert list(read) == [field for field in manifests.Manifest.__struct_fields__ if field not in {"bytecode", "image"}]


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


def test_small_is_the_same_layer_in_fewer_bytes(bench: Bench, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"def f{number}(x):\n    return x + {number * number}\n" for number in range(3000))
    bench.add(forge("gamma", files={"gamma/__init__.py": text, "gamma/notes": "x" * 500}))
    plain = bench.build().manifest
    path = bench.output / f"{NAME}.zip"
    copied = contents(path)
    told = Told()
    emit = Emit(compression="small")
    built = bench.build(told, emit=emit)
    assert [stage for stage in told.stages if stage.startswith("compressing")]
    assert contents(path) == copied
    assert built.manifest.zipped_bytes < plain.zipped_bytes
    changed = {"sha256", "code_sha256", "zipped_bytes"}
    for field in set(manifests.Manifest.__struct_fields__) - changed - {"image"}:
        assert getattr(built.manifest, field) == getattr(plain, field)

    again = bench.build(told := Told(), emit=emit)
    assert (again.warm, again.manifest) == (True, built.manifest)
    assert told.stages == [f"writing {NAME}.zip"]

    # Data that was damaged is made again, and so it is elsewhere: the same bytes.
    wheel = next(wheel for wheel in bench.wheels if wheel.name == "gamma")
    data = data_path(bench.store, small_key(part_key(wheel.sha256), trim=True))
    data.write_bytes(data.read_bytes()[:-1] + b"?")
    assert bench.build(emit=emit).manifest == built.manifest
    bench.store = Store(bench.root / "another store")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert bench.build(emit=emit).manifest == built.manifest


def test_identical_files_ship_once_and_that_is_told(bench: Bench, forge: Forge) -> None:
    data = bytes(range(256)) * 20
    bench.add(forge("gamma", files={"gamma/__init__.py": "", "gamma/a/x.bin": data, "gamma/b/x.bin": data}))
    plain = bench.build().manifest
    copied = contents(bench.output / f"{NAME}.zip")
    emit = Emit(dedupe=True)
    built = bench.build(emit=emit)
    linked = contents(bench.output / f"{NAME}.zip")
    assert linked == {**copied, "python/gamma/b/x.bin": b"../a/x.bin"}
    assert built.notes[-1] == (
        "dedupe: links in place of identical files: 1, 5,120 bytes less; unpack the zip with unzip, not with "
        "Python's zipfile, which writes links as small text files"
    )
    assert built.manifest.unzipped_bytes == plain.unzipped_bytes - 5120
    assert built.manifest.entries == plain.entries
    assert [package.linked_bytes for package in built.manifest.packages] == [0, 0, 5120]
    assert json.loads(manifests.render(plain))["packages"][2].keys().isdisjoint({"linked_bytes"})
    shipped = sum(package.shipped_bytes for package in built.manifest.packages)
    lines = [*build_lines(built.manifest, "x.zip", warm=False, notes=())]
    assert f"  3 packages: {shipped:,} bytes ship, 608 do not, 5,120 are links (lamina explain demo)" in lines
    planner = Planner(bench.order(emit=emit), bench.store, bench.fetch, SILENT)
    assert [[(link.entry.path, link.target) for link in links] for links in planner.ships().links] == [
        [],
        [],
        [("python/gamma/b/x.bin", "../a/x.bin")],
    ]
    assert Planner(bench.order(), bench.store, bench.fetch, SILENT).ships().links == ()


def test_links_stay_links_in_the_layer_of_an_image(bench: Bench, forge: Forge) -> None:
    data = bytes(range(256)) * 20
    bench.add(forge("gamma", files={"gamma/__init__.py": "", "gamma/a/x.bin": data, "gamma/b/x.bin": data}))
    planner = Planner(bench.order(emit=Emit(dedupe=True)), bench.store, bench.fetch, SILENT)
    made = dependencies(planner, planner.make())
    with tarfile.open(made.layer.path) as archive:
        link = archive.getmember("opt/python/gamma/b/x.bin")
        assert (link.issym(), link.linkname) == (True, "../a/x.bin")
        assert archive.getmember("opt/python/gamma/a/x.bin").size == len(data)


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


def test_files_of_the_base_image_ship_and_a_second_build_reads_none(bench: Bench) -> None:
    content = b"\x7fELF is damaged"
    files = (LockedFile("share/data.txt", hashlib.sha256(b"data").hexdigest(), 4),)
    recipe = {"overlay": Overlay(from_image=("/usr/share/data.txt",))}
    order, took = bench.order(files, **recipe), []

    def take(asked: Order) -> None:
        took.append(asked)
        keep(bench.store, [Generated("share/data.txt", b"data", 0, "")])

    built = build(order, store=bench.store, fetch=bench.fetch, take=take, today=TODAY)
    assert built.artefact is not None
    with zipfile.ZipFile(built.artefact) as archive:
        assert archive.read("share/data.txt") == b"data"
    assert took == [order]
    kept = place(bench.store, files[0].sha256)
    kept.write_bytes(content)
    os.utime(kept, (0, 0))
    again = build(order, store=bench.store, fetch=bench.fetch, take=take, today=TODAY)
    assert again.warm
    assert again.manifest == built.manifest
    assert took == [order]
    assert kept.stat().st_mtime > 0  # it counts as used


def test_a_file_of_the_base_image_and_another_of_the_overlay_in_one_place(bench: Bench) -> None:
    own = bench.root / "layers" / "demo" / "overlay" / "share" / "data.txt"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"own")
    keep(bench.store, [Generated("share/data.txt", b"data", 0, "")])
    files = (LockedFile("share/data.txt", hashlib.sha256(b"data").hexdigest(), 4),)
    order = bench.order(files, overlay=Overlay(from_image=("/usr/share/data.txt",)))
    built = build(order, store=bench.store, fetch=bench.fetch, today=TODAY)
    assert built.artefact is None
    (found,) = [one for one in built.manifest.findings if one.code == "file-conflict"]
    assert found.path == "share/data.txt"
    assert found.message == (
        "the overlay and the packages of the base image both bring this file, with different content"
    )
    own.write_bytes(b"data")
    assert build(order, store=bench.store, fetch=bench.fetch, today=TODAY).artefact is not None


FUNCTION_SUFFIXES = {"-function.zip", "-function.json"}
BOTH = {"artefacts": ("layer", "function"), "function": Function("app.handler", (Source("api"), Source("lib", "lib")))}
APP = "import alpha\nfrom lib.tools import f\n\n\ndef handler(event, context):\n    return f(event)\n"


@pytest.fixture
def api(bench: Bench) -> Path:
    """The sources of :data:`BOTH` in the project of ``bench``; returns the handler's module."""
    for path, text in (("api/app.py", APP), ("lib/tools.py", "def f(x):\n    return x\n")):
        (bench.root / path).parent.mkdir(exist_ok=True)
        (bench.root / path).write_text(text)
    return bench.root / "api" / "app.py"


def test_a_function_beside_its_layer(bench: Bench, api: Path) -> None:
    built = bench.build(**BOTH)
    assert bench.left() == {*SUFFIXES, *FUNCTION_SUFFIXES}
    assert built.function is not None
    assert (built.failed, built.function.withheld) == (False, False)
    assert built.function.artefact == bench.output / f"{NAME}-function.zip"
    content = built.function.artefact.read_bytes()
    manifest = manifests.read(bench.output / f"{NAME}-function.json")
    assert manifest is not None
    assert manifest == built.function.manifest
    assert (manifest.sha256, manifest.zipped_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (manifest.name, manifest.target, manifest.packages, manifest.findings) == ("demo", TARGET.name, (), ())
    assert (manifest.recipe_sha256, manifest.lock_sha256) == (built.manifest.recipe_sha256, built.manifest.lock_sha256)
    with zipfile.ZipFile(built.function.artefact) as archive:
        assert archive.namelist() == ["app.py", "lib/tools.py"]
        assert archive.read("app.py") == api.read_bytes()
        assert manifest.unzipped_bytes == sum(info.file_size for info in archive.infolist())
    assert manifest.entries == 2
    first = {path.name: path.read_bytes() for path in bench.output.iterdir()}
    assert bench.build(**BOTH).warm
    assert {path.name: path.read_bytes() for path in bench.output.iterdir()} == first


def test_no_function_where_artefacts_name_none(bench: Bench, api: Path) -> None:
    api.write_text("import nothing\n")
    built = bench.build(function=BOTH["function"])
    assert (built.function, built.failed) == (None, False)
    assert bench.left() == set(SUFFIXES)


def test_an_error_in_the_function_leaves_the_layer_and_the_report(bench: Bench, api: Path) -> None:
    bench.build(**BOTH)
    api.write_text(APP + "import nothing\n")
    built = bench.build(**BOTH)
    assert built.failed
    assert built.artefact is not None
    assert built.manifest.findings == ()
    assert bench.left() == {*SUFFIXES, "-function.json"}
    assert built.function is not None
    assert (built.function.artefact, built.function.withheld) == (None, False)
    assert (built.function.manifest.sha256, built.function.manifest.code_sha256) == (None, None)
    [found] = built.function.manifest.findings
    assert (found.code, found.severity, found.path) == ("missing-import", "error", "app.py")
    assert found.message.startswith("No module named 'nothing': app.py imports it and will fail")
    assert manifests.read(bench.output / f"{NAME}-function.json") == built.function.manifest
    # And what is accepted is written, and stays visible.
    built = bench.build(accept=(Accept("missing-import", "app.py", "a test"),), **BOTH)
    assert built.function is not None
    assert [(found.code, found.accepted) for found in built.function.manifest.findings] == [("missing-import", True)]
    assert bench.left() == {*SUFFIXES, *FUNCTION_SUFFIXES}


@pytest.mark.usefixtures("api")
def test_an_error_in_the_layer_leaves_no_function_either(bench: Bench) -> None:
    bench.build(**BOTH)
    built = bench.build(budget=Budget(unzipped=100, warn=50), **BOTH)
    assert bench.left() == {".json", "-function.json"}
    assert built.function is not None
    assert (built.function.artefact, built.function.withheld) == (None, True)
    assert (built.function.manifest.sha256, built.function.manifest.findings) == (None, ())


def test_what_the_layer_lacks_is_the_functions_error(bench: Bench, api: Path) -> None:
    api.write_text(APP + "import beta\n")
    assert not bench.build(**BOTH).failed
    # alpha imports beta as well; a layer built without it still imports in part, and the function does not.
    built = bench.build(omit=(Omit("beta", "a test"),), **BOTH)
    assert built.function is not None
    assert [found.path for found in built.function.manifest.findings if found.severity == "error"] == ["app.py"]
    assert not bench.build(**BOTH).failed


def test_findings_are_remembered_until_function_or_layer_change(
    bench: Bench, api: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    layer = Planner.layer
    monkeypatch.setattr(Planner, "layer", lambda planner: (looked.append(1), layer(planner))[1])
    api.write_text(APP + "import nothing\n")
    outcomes = [bench.build(**BOTH), bench.build(**BOTH)]
    assert len(looked) == 1
    assert outcomes[0].function == outcomes[1].function
    (bench.root / "api" / "notes.txt").write_text("another file")
    bench.build(**BOTH)
    assert len(looked) == 2
    bench.build(prune=Prune(rules=()), **BOTH)
    assert len(looked) == 3
    other = {**BOTH, "function": msgspec.structs.replace(BOTH["function"], handler="app.other")}
    built = bench.build(**other)
    assert built.function is not None
    assert len(looked) == 4
    assert {found.code for found in built.function.manifest.findings} == {"missing-import", "handler-missing"}
    bench.build(**BOTH)
    assert len(looked) == 4
    # What is damaged in the store is found again.
    for path in bench.store.root.glob("plans/*/*.function"):
        path.write_bytes(b"damaged")
    again = bench.build(**BOTH).function
    assert again is not None
    assert outcomes[0].function is not None
    assert again.manifest.findings == outcomes[0].function.manifest.findings
    assert len(looked) == 5


def test_a_function_has_the_other_layers_of_its_stack_as_well(bench: Bench, api: Path) -> None:
    api.write_text(APP + "import gamma\n")
    with zipfile.ZipFile(bench.root / "base.zip", "w") as archive:
        archive.writestr("python/delta.py", "")
    budget = Budget(stack=("base.zip",))
    assert bench.build(budget=budget, **BOTH).failed
    with zipfile.ZipFile(bench.root / "base.zip", "w") as archive:
        archive.writestr("python/gamma.py", "")
    assert not bench.build(budget=budget, **BOTH).failed
    assert bench.build(**BOTH).failed
    # The same by the name of a recipe, as its last build in the output folder.
    built = bench.build()
    other = NAME.replace("demo", "base")
    (bench.root / "base.zip").rename(bench.output / f"{other}.zip")
    manifest = msgspec.structs.replace(built.manifest, name="base")
    (bench.output / f"{other}.json").write_bytes(manifests.render(manifest))
    assert not bench.build(budget=Budget(stack=("base", 5)), **BOTH).failed


def test_two_sources_of_one_file(bench: Bench, api: Path) -> None:
    (bench.root / "lib" / "app.py").write_text("other")
    function = Function("app.handler", (Source("api"), Source("lib"), Source("lib", "lib")))
    built = bench.build(**{**BOTH, "function": function})
    assert built.function is not None
    assert [(found.code, found.path) for found in built.function.manifest.findings] == [("file-conflict", "app.py")]
    accept = (Accept("file-conflict", "app.py", "the first is the right one"),)
    built = bench.build(accept=accept, **{**BOTH, "function": function})
    assert built.function is not None
    assert built.function.artefact is not None
    with zipfile.ZipFile(built.function.artefact) as archive:
        assert archive.read("app.py") == api.read_bytes()


def test_a_large_function_goes_through_s3_as_well(bench: Bench, api: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = msgspec.structs.replace(quotas(), direct_upload=200)
    monkeypatch.setattr("lamina.function.build.quotas", lambda: small)
    api.with_name("data.bin").write_bytes(bytes(range(256)))
    built = bench.build(**BOTH)
    assert built.function is not None
    assert built.function.artefact is not None
    [found] = built.function.manifest.findings
    assert (found.code, found.severity, found.path) == ("needs-s3-upload", "note", f"{NAME}-function.zip")


def test_the_function_counts_with_its_layer(bench: Bench, api: Path) -> None:
    total = bench.build(**BOTH).manifest.unzipped_bytes + len(APP) + len("def f(x):\n    return x\n")
    assert not bench.build(budget=Budget(unzipped=total, warn=total), **BOTH).failed
    built = bench.build(budget=Budget(unzipped=total - 1, warn=1), **BOTH)
    assert [found.code for found in built.manifest.findings] == ["over-budget"]
    assert "the function " in built.manifest.findings[0].message
    api.with_name("x").write_bytes(b"1")
    assert bench.build(budget=Budget(unzipped=total, warn=total), **BOTH).failed


def test_proofs_of_a_function_survive_a_build_of_the_same_bytes(bench: Bench, api: Path) -> None:
    built = bench.build(**BOTH)
    assert built.function is not None
    path = bench.output / f"{NAME}-function.json"
    proofs = (Proof("invocation", "here", passed=True, detail="fine"),)
    path.write_bytes(manifests.render(msgspec.structs.replace(built.function.manifest, proofs=proofs)))
    again = bench.build(**BOTH).function
    assert again is not None
    assert again.manifest.proofs == proofs
    api.write_text(APP + "# changed\n")
    again = bench.build(**BOTH).function
    assert again is not None
    assert again.manifest.proofs == ()


def test_a_source_that_cannot_be_packed_leaves_everything_as_it_was(bench: Bench, api: Path) -> None:
    bench.build(**BOTH)
    before = {path.name: path.read_bytes() for path in bench.output.iterdir()}
    (api.parent / "link.py").symlink_to("app.py")
    with pytest.raises(UsageError, match=r"function\.source: api/link\.py: a link or special file"):
        bench.build(**BOTH)
    assert {path.name: path.read_bytes() for path in bench.output.iterdir()} == before
