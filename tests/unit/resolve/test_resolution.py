"""What ships, what is held back, what failed: with uv and the index played by values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lamina.errors import IndexAccessError, IntegrityError, ResolutionError
from lamina.index import Indexes, Named
from lamina.index.model import IndexFile, Project
from lamina.lock import Lock, LockedSource, LockedWheel
from lamina.progress import SILENT
from lamina.recipe import Recipe, TargetSpec
from lamina.resolve import changes
from lamina.resolve.complete import locked_files
from lamina.resolve.held import held_back
from lamina.resolve.model import Answer, Question, Refusal
from lamina.resolve.settle import Settled, Settler, active, kept_pins
from lamina.store import Store
from lamina.target import target_for

LINUX = "manylinux_2_17_x86_64"


def project(name: str, *specs: str, sources: tuple[str, ...] = ()) -> Project:
    """A project from specs like ``2.4.6 cp311-cp311-manylinux_2_27_x86_64 [>=3.11]``."""
    wheels = []
    for spec in specs:
        version, tags, *more = spec.split()
        filename = f"{name.replace('-', '_')}-{version}-{tags}.whl"
        wheels.append(IndexFile(filename, version, f"https://a.invalid/{filename}", "ab" * 32, 1, *more))
    return Project(name, bool(wheels or sources), tuple(wheels), frozenset(sources))


class FakeTransport:
    def interrupt(self) -> None:
        raise AssertionError("nothing is to be interrupted")


class FakeClient:
    transport = FakeTransport()
    offline = False
    indexes = Indexes(named=(Named("own", "https://own.invalid/simple", ("numpa",)),))

    def __init__(self, *projects: Project) -> None:
        self.projects = {one.name: one for one in projects}

    def project(self, name: str) -> Project:
        return self.projects.get(name, Project(name))


class FakeUv:
    """Answers by a function of the question; remembers the questions."""

    sources = False

    def __init__(self, answer: Callable[[Question], Answer | Refusal]) -> None:
        self.answer = answer
        self.asked: list[Question] = []

    def ask(self, question: Question, *, refresh: bool = False) -> Answer | Refusal:
        del refresh
        self.asked.append(question)
        return self.answer(question)


def answer(*pins: str) -> Answer:
    """From pins like ``six==1.0 <python-dateutil,other`` or ``botocore[crt]==1``."""
    versions, parents, extras = {}, {}, set()
    for pin in pins:
        stated, _, needed = pin.partition(" <")
        name, _, version = stated.partition("==")
        if "[" in name:
            name = name.partition("[")[0]
            extras.add(name)
        versions[name] = version
        parents[name] = frozenset(filter(None, needed.split(",")))
    return Answer(versions, parents, frozenset(extras), ())


def settler(
    requirements: tuple[str, ...],
    uv: Callable[[Question], Answer | Refusal],
    *projects: Project,
    architecture: str = "x86_64",
    **recipe: object,
) -> Settler:
    spec = TargetSpec(python="cp311", architecture=architecture)
    made = Recipe(name="x", requirements=requirements, target=(spec,), **recipe)  # type: ignore[arg-type]
    target = target_for("cp311", architecture=architecture)
    return Settler(made, target, FakeClient(*projects), FakeUv(uv))  # type: ignore[arg-type]


NUMPY = project(
    "numpy",
    f"2.2.6 cp311-cp311-{LINUX}",
    "2.3.0 cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64",
    "2.4.6 cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64",
    "2.4.6 cp311-cp311-win_amd64",
    "2.5.5 cp312-cp312-manylinux_2_27_x86_64",
    f"2.6.0rc1 cp311-cp311-{LINUX}",
    sources=("2.1.0",),
)


def newest_allowed(question: Question) -> Answer:
    """The newest numpy for cp311 that no constraint shuts out."""
    out = " ".join(question.constraints)
    if question.platform.endswith("manylinux_2_17"):
        return answer("numpy==2.2.6")
    return answer(f"numpy=={next(v for v in ('2.4.6', '2.3.0', '2.2.6') if f'!={v}' not in out)}")


def test_what_exceeds_the_target_is_shut_out_at_once() -> None:
    made = settler(("numpy",), newest_allowed, NUMPY)
    settled = made.settle({})
    assert settled == Settled({"numpy": "2.2.6"}, ("numpy",), ())
    first, second = made.resolver.asked  # type: ignore[attr-defined]
    assert first.platform == "x86_64-manylinux_2_28"
    assert first.constraints == ()
    assert second.constraints == ("numpy!=2.3.0,!=2.4.6,!=2.5.5",)


def test_what_is_held_back_and_why() -> None:
    made = settler(("numpy",), newest_allowed, NUMPY)
    assert held_back(made, made.settle({})) == ("numpy 2.2.6 (2.4.6 needs glibc 2.27; 2.5.5 has no cp311 wheel)",)
    assert made.resolver.asked[-1].platform == "x86_64-manylinux_2_40"  # type: ignore[attr-defined]
    assert made.resolver.asked[-1].pins == {}  # type: ignore[attr-defined]


def test_what_the_runtime_would_load_under_another_platform_is_said() -> None:
    spec = TargetSpec(python="cp311", platform="manylinux2014_x86_64")
    recipe = Recipe(name="x", requirements=("pandas",), target=(spec,))
    pandas = project("pandas", f"2.3.2 cp311-cp311-{LINUX}", "3.1.1 cp311-cp311-manylinux_2_24_x86_64")
    uv = FakeUv(lambda question: answer("pandas==3.1.1" if "2_40" in question.platform else "pandas==2.3.2"))
    target = target_for("cp311", platform="manylinux2014_x86_64")
    made = Settler(recipe, target, FakeClient(pandas), uv)  # type: ignore[arg-type]
    assert held_back(made, made.settle({})) == ("pandas 2.3.2 (3.1.1 needs glibc 2.24, which python3.11 has)",)


def test_what_requirements_hold_back_is_not_told() -> None:
    made = settler(("numpy<2.3",), lambda _: answer("numpy==2.2.6"), NUMPY)
    assert held_back(made, made.settle({})) == ()


@pytest.mark.parametrize(
    ("newer", "reason"),
    [
        ("2.0 cp312-cp312-manylinux_2_17_x86_64", "2.0 has no cp311 wheel"),
        ("2.0 py3-none-any >=3.12", "2.0 asks for Python >=3.12"),
        ("2.0 cp311-cp311-win_amd64", "2.0 has no cp311 wheel for Linux on x86_64"),
        ("2.0 cp311-cp311-manylinux_2_17_aarch64", "2.0 has no cp311 wheel for Linux on x86_64"),
    ],
)
def test_why_this_python_has_no_newer_one(newer: str, reason: str) -> None:
    made = settler(("foo",), lambda _: answer("foo==1.0"), project("foo", "1.0 py3-none-any", newer))
    assert held_back(made, made.settle({})) == (f"foo 1.0 ({reason})",)
    assert len(made.resolver.asked) == 1  # type: ignore[attr-defined] # glibc excludes nothing: no need to ask again


def test_a_newer_source_distribution_is_told() -> None:
    made = settler(("foo",), lambda _: answer("foo==1.0"), project("foo", "1.0 py3-none-any", sources=("1.0", "2.0")))
    assert held_back(made, made.settle({})) == ("foo 1.0 (2.0 has no wheel)",)


def test_nothing_is_told_of_the_newest_or_of_what_a_newer_possible_one_explains() -> None:
    foo = project("foo", "1.0 py3-none-any", "2.0 py3-none-any", "3.0 cp312-cp312-manylinux_2_17_x86_64")
    one = settler(("foo",), lambda _: answer("foo==1.0"), foo)
    assert held_back(one, one.settle({})) == ()
    bar = project("bar", "1.0 py3-none-any", "2.0rc1 py3-none-any")
    two = settler(("bar",), lambda _: answer("bar==1.0"), bar)
    assert held_back(two, two.settle({})) == ()


PANDAS = (
    project("pandas", "2.3.2 py3-none-any"),
    project("python-dateutil", "2.9 py3-none-any"),
    project("six", "1.17 py3-none-any"),
    project("boto3", "1.44.5 py3-none-any"),
    project("botocore", "1.44.5 py3-none-any"),
    project("s3fs", "1.0 py3-none-any"),
    project("awscrt", "0.38 py3-none-any"),
    project("urllib3", "2.8 py3-none-any"),
)
BOTO = (
    "boto3==1.44.5",
    "botocore==1.44.5 <boto3",
    "urllib3==2.8 <botocore",
    "python-dateutil==2.9 <botocore,pandas",
    "six==1.17 <python-dateutil",
)


def test_what_is_provided_never_ships_nor_what_only_it_needs() -> None:
    made = settler(("pandas",), lambda _: answer("pandas==2.3.2", *BOTO), *PANDAS)
    assert made.settle({}).shipped == ("pandas", "python-dateutil", "six")
    assert made.resolver.asked[0].requirements == ("pandas", "boto3", "botocore")  # type: ignore[attr-defined]


def test_what_ships_may_need_what_is_provided() -> None:
    boto = [pin.replace("botocore==1.44.5 <boto3", "botocore==1.44.5 <boto3,s3fs") for pin in BOTO]
    made = settler(("s3fs",), lambda _: answer("s3fs==1.0", *boto), *PANDAS)
    assert made.settle({}) == Settled(dict(made.resolver.ask(made.question({}, {})).versions), ("s3fs",), ())  # type: ignore[union-attr]


def test_an_extra_of_a_provided_package_ships() -> None:
    boto = [pin.replace("botocore==1.44.5 <boto3", "botocore[crt]==1.44.5 <boto3,s3fs") for pin in BOTO]

    def uv(question: Question) -> Answer:
        return (
            answer(*BOTO)
            if question.requirements == ("botocore",)
            else answer("s3fs==1.0", "awscrt==0.38 <botocore", *boto)
        )

    made = settler(("s3fs",), uv, *PANDAS)
    assert made.settle({}).shipped == ("awscrt", "s3fs")


def test_provided_packages_in_an_old_version_are_noted() -> None:
    boto = [pin.replace("1.44.5 <boto3", "1.40.1 <boto3,s3fs") for pin in BOTO]
    made = settler(("s3fs",), lambda _: answer("s3fs==1.0", *boto), *PANDAS)
    (note,) = made.settle({}).notes
    assert note == (
        "what ships goes with botocore 1.40.1 (newest: 1.44.5), and the runtime has copies of its own; to ship those "
        "that fit, leave them out of `provided`"
    )


def test_requirements_that_the_markers_leave_out_ship_nothing() -> None:
    made = settler(
        ("six", "colorama; sys_platform == 'win32'"), lambda _: answer("six==1.17"), project("six", "1.17 py3-none-any")
    )
    assert made.settle({}).shipped == ("six",)
    assert list(active(made.recipe.requirements, made.target)) == ["six"]


def archive(name: str, version: str, **more: object) -> IndexFile:
    filename = f"{name}-{version}.tar.gz"
    return IndexFile(filename, version, f"https://a.invalid/{filename}", "cd" * 32, 7, **more)  # type: ignore[arg-type]


def test_source_distributions_ship_where_the_resolver_takes_them(tmp_path: Path) -> None:
    old = msgspec.structs.replace(
        project("old", "1.0 cp312-cp312-win_amd64", sources=("1.0", "2.0")),
        archives=(archive("old", "1.0"), archive("old", "2.0", requires_python=">=3.12")),
    )
    made = settler(("old",), lambda _: answer("old==1.0"), old)
    made.resolver.sources = True  # type: ignore[misc]
    settled = made.settle({})
    assert settled.shipped == ("old",)
    assert made.source("old", "2.0") is None
    store = Store(tmp_path)
    found = locked_files(made, settled, None, {}, store=store, progress=SILENT)
    assert found == (LockedSource("old", "1.0", "old-1.0.tar.gz", "cd" * 32, 7),)
    stated = msgspec.structs.replace(settled, hashes={"old": frozenset({"ab" * 32})})
    with pytest.raises(IntegrityError) as caught:
        locked_files(made, stated, None, {}, store=store, progress=SILENT)
    assert caught.value.message == (
        f"old-1.0.tar.gz: has sha256 {'cd' * 32}, which is none of those that pip-compile states"
    )
    made.resolver.sources = False  # type: ignore[misc]
    with pytest.raises(ResolutionError):  # uv would not have answered so
        settler(("old",), lambda question: REFUSED if question.constraints else answer("old==1.0"), old).settle({})


def test_an_index_that_forgets_what_it_offered() -> None:
    made = settler(("foo",), lambda _: answer("foo==2.0"), project("foo", "1.0 py3-none-any"))
    with pytest.raises(IndexAccessError) as caught:
        made.settle({})
    assert caught.value.message == "foo 2.0: the index does not list what it offered a moment ago"


REFUSED = Refusal(
    "error: No solution found when resolving dependencies\n  cause: Because of that.\n\nhint: --prerelease"
)


def refused(requirements: tuple[str, ...], *projects: Project, **recipe: object) -> ResolutionError:
    made = settler(requirements, lambda _: REFUSED, *projects, **recipe)
    with pytest.raises(ResolutionError) as caught:
        made.settle({})
    assert caught.value.exit_code == 3
    return caught.value


def test_a_project_that_does_not_exist() -> None:
    error = refused(("numpi",))
    assert error.message == (
        "nothing can be resolved for cp311-manylinux_2_26_x86_64:\n  numpi: no index has a project of this name"
    )
    assert error.hint == "numpi: check the spelling; if it is on an index of your own, name that in UV_INDEX."


def test_a_project_that_its_own_index_does_not_have() -> None:
    error = refused(("numpa",))
    assert error.message == (
        "nothing can be resolved for cp311-manylinux_2_26_x86_64:\n"
        "  numpa: the index own, which alone serves it, has no project of this name"
    )
    assert error.hint == (
        "numpa: take it out of that index's packages in the recipe, or let LAMINA_INDEX_OWN name another index."
    )


def test_a_version_that_does_not_exist() -> None:
    error = refused(("numpy==9",), NUMPY)
    assert error.message.splitlines()[1] == "  numpy==9: no version fits; the newest is 2.5.5"
    assert error.hint == "numpy: 2.2.6 has a wheel for this target."


def test_requirement_and_constraint_that_exclude_each_other() -> None:
    error = refused(("numpy<2",), NUMPY, constraints=("numpy>=2",))
    assert error.message.splitlines()[1] == "  numpy<2 with numpy>=2: no version fits; the newest is 2.5.5"


def test_wheels_for_other_targets_only() -> None:
    foo = project(
        "foo",
        f"1.3.2 cp312-cp312-{LINUX}.manylinux2014_x86_64",
        "1.3.2 cp312-cp312-macosx_11_0_arm64",
        "1.3.2 cp39-cp39-win_amd64",
        "1.3.2 cp313-cp313t-musllinux_1_2_x86_64",
        "1.3.2 cp313-abi3-manylinux_2_28_aarch64",
        f"1.0 cp311-cp311-{LINUX}",
        f"1.1 cp311-cp311-{LINUX}",
    )
    error = refused(("foo==1.3.2",), foo)
    _, line = error.message.splitlines()
    assert line == (
        "  foo==1.3.2: no wheel for the target; 1.3.2 has wheels for cp39, cp312, cp313 and newer, cp313t on "
        "Linux aarch64 with glibc 2.28, Linux with musl, Linux x86_64 with glibc 2.17, Windows, macOS"
    )
    assert error.hint.splitlines() == [
        "foo: 1.0 to 1.1 have wheels for this target.",
        'foo: what is required has wheels for cp312 (python = "cp312", architecture = "x86_64").',
    ]


def test_source_distributions_only() -> None:
    error = refused(("docopt",), project("docopt", sources=("0.6.2",)))
    wanted = "  docopt: there are only source distributions, and with the builder uv lamina builds none"
    assert error.message.splitlines()[1] == wanted
    assert error.hint == (
        "docopt: build a wheel of it for the target, and put it into a folder that find-links names. Or have it built "
        'inside the base image: [builder] kind = "docker".'
    )


def test_a_wheel_that_promises_no_glibc() -> None:
    error = refused(("foo",), project("foo", "1.0 cp311-cp311-linux_x86_64"))
    assert error.message.splitlines()[1] == (
        "  foo: no wheel for the target; 1.0 has wheels for cp311 on Linux without a stated glibc"
    )
    assert error.hint == "foo: no version has a wheel for a Lambda runtime on x86_64."


def test_a_conflict_is_told_in_uvs_words() -> None:
    error = refused(("six",), PANDAS[2], provided=())
    assert error.message == (
        "the requirements contradict each other for cp311-manylinux_2_26_x86_64:\n  Because of that."
    )
    assert error.hint == "Loosen one of the requirements or constraints named there."


def test_a_conflict_with_what_is_provided() -> None:
    def uv(question: Question) -> Answer | Refusal:
        if "boto3" not in question.requirements:
            return answer("six==1.17")
        newest = "botocore>=1.44.5" in question.constraints
        return (
            Refusal("error: x\n  cause: Because botocore depends on six<1{python_full_version < '3.12'}.")
            if newest
            else REFUSED
        )

    made = settler(("six",), uv, *PANDAS)
    with pytest.raises(ResolutionError) as caught:
        made.settle({})
    assert caught.value.message == (
        "the requirements do not go with what the runtime provides (boto3, botocore):\n"
        "  Because botocore depends on six<1."
    )
    assert caught.value.hint == (
        "Loosen the requirement named there. Or ship copies of your own: leave the package out of `provided`\n"
        "(provided = [] for none), and add it to `requirements` if your code imports it."
    )


def test_what_the_target_leaves_of_a_package_is_added() -> None:
    listed = "\n".join(f"   numpy=={version}" for version in range(1, 6))
    text = f"error: x\n  cause: Because one of:\n{listed}\n  and foo."

    def uv(question: Question) -> Answer | Refusal:
        return Refusal(text) if question.constraints else answer("foo==1", "numpy==2.4.6 <foo")

    made = settler(("foo",), uv, NUMPY, project("foo", "1 py3-none-any"), provided=())
    with pytest.raises(ResolutionError) as caught:
        made.settle({})
    assert caught.value.message.splitlines()[1:] == [
        "  Because one of:",
        "  numpy: ==1; ==2; ==3; ==4 and 1 more",
        "  and foo.",
        "  (numpy 2.2.6 is the newest for this target; newer ones need glibc 2.27)",
    ]


WHEEL = LockedWheel("numpy", "2.2.6", "numpy-2.2.6-py3-none-any.whl", "ab" * 32, 1)
LOCK = Lock("cp311-manylinux_2_26_x86_64", "uv 1", "00" * 32, (WHEEL,), "x")


def test_changes_against_the_previous_lock() -> None:
    newer = msgspec.structs.replace(WHEEL, version="2.3")
    built = msgspec.structs.replace(WHEEL, filename="numpy-2.2.6-1-py3-none-any.whl", sha256="cd" * 32)
    rebuilt = msgspec.structs.replace(WHEEL, sha256="cd" * 32)
    six = msgspec.structs.replace(WHEEL, name="six", version="1.17")

    def lock(*wheels: LockedWheel) -> Lock:
        return msgspec.structs.replace(LOCK, wheels=wheels)

    assert changes(None, LOCK) == ()
    assert changes(LOCK, LOCK) == ()
    assert changes(LOCK, lock(newer, six)) == ("numpy 2.2.6 -> 2.3", "six 1.17 added")
    assert changes(LOCK, lock(six)) == ("numpy 2.2.6 removed", "six 1.17 added")
    assert changes(LOCK, lock(rebuilt)) == (f"numpy 2.2.6: {WHEEL.filename} has other bytes now",)
    assert changes(LOCK, lock(built)) == (f"numpy 2.2.6: now {built.filename}, was {WHEEL.filename}",)


def test_pins_that_are_kept() -> None:
    assert kept_pins(None, []) == {}
    assert kept_pins(LOCK, []) == {"numpy": "2.2.6"}
    assert kept_pins(LOCK, ["NumPy"]) == {}
