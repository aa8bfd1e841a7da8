"""Locks: one form, read strictly, stale only when what is resolved changes."""

# ruff: noqa: E501 - tables of cases, one a line

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from lamina import lock as locks
from lamina.errors import MissingLockError, StaleLockError, UsageError
from lamina.lock import Lock, LockedFile, LockedLocal, LockedSource, LockedWheel, canonical_requirement, parse, render
from lamina.recipe import Index, Recipe, TargetSpec
from lamina.target import target_for

DIGEST = "ab" * 32
TARGET = target_for("cp311", platform="manylinux2014_x86_64")
NUMPY = LockedWheel(
    "numpy", "1.26.4", "numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "cd" * 32, 18252005
)
LOCK = Lock(TARGET.name, "uv 0.13.9", DIGEST, (NUMPY,), "sklearn")
TEXT = f"""\
# Written by `lamina lock sklearn`; to renew it, run that again. pip reads it with --require-hashes.
# recipe: sklearn
# target: cp311-manylinux2014_x86_64
# builder: uv 0.13.9
# inputs: {DIGEST}
numpy==1.26.4 --hash=sha256:{"cd" * 32}  # {NUMPY.filename} 18252005
"""
EDIT = "Locks are written by `lamina lock`; run it for this recipe rather than editing the file."


def recipe(**changes: object) -> Recipe:
    fields: dict[str, object] = {
        "name": "sklearn",
        "requirements": ("scikit-learn==1.3.2", "pandas"),
        "target": (TargetSpec(python="cp311", platform="manylinux2014_x86_64"),),
    }
    return Recipe(**(fields | changes))  # type: ignore[arg-type]


def test_the_form_is_fixed() -> None:
    assert render(LOCK) == TEXT
    assert parse(TEXT, "x.txt") == LOCK


def test_line_ends_of_windows_are_read() -> None:
    assert parse(TEXT.replace("\n", "\r\n"), "x.txt") == LOCK


NAMES = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+){0,2}", fullmatch=True).filter(lambda name: len(name) < 40)
VERSIONS = st.from_regex(
    r"(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){1,3}(rc[1-9]|\.post[1-9]|\.dev[1-9]|\+cpu)?", fullmatch=True
)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)


@st.composite
def wheels(draw: st.DrawFn, name: str) -> LockedWheel:
    version = draw(VERSIONS)
    build = draw(st.sampled_from(["", "-1", "-20b"]))
    tag = draw(st.sampled_from(["py3-none-any", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"]))
    filename = f"{name.replace('-', '_')}-{version}{build}-{tag}.whl"
    return LockedWheel(name, version, filename, draw(DIGESTS), draw(st.integers(1, 1 << 39)))


@st.composite
def sources_(draw: st.DrawFn, name: str) -> LockedSource:
    version, end = draw(VERSIONS), draw(st.sampled_from([".tar.gz", ".zip"]))
    spelled = draw(st.sampled_from([name, name.replace("-", "_")]))
    return LockedSource(name, version, f"{spelled}-{version}{end}", draw(DIGESTS), draw(st.integers(1, 1 << 39)))


@st.composite
def locks_(draw: st.DrawFn) -> Lock:
    names = sorted(draw(st.sets(NAMES, max_size=6)))
    built = draw(st.sets(st.sampled_from(names))) if names else set()
    sources = tuple(draw(sources_(name)) for name in names if name in built)
    paths = sorted(draw(st.sets(st.sampled_from(["bin/tesseract", "lib/libgomp.so.1", "share/a b/ü.txt"]))))
    return Lock(
        TARGET.name,
        "uv 1.2.3",
        draw(DIGESTS),
        tuple(draw(wheels(name)) for name in names if name not in built),
        "my-recipe_2",
        sources=sources,
        taken=tuple(LockedFile(path, draw(DIGESTS), draw(st.integers(0, 1 << 30))) for path in paths),
        image=f"sha256:{draw(DIGESTS)}" if paths else "",
    )


@given(locks_())
def test_what_is_written_is_read_back(lock: Lock) -> None:
    assert parse(render(lock), "x.txt") == lock


TAKEN = f"# image: sha256:{DIGEST}\n# taken: lib/libgomp.so.1 {DIGEST} 12\n"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (TAKEN.replace("lib/", "../"), "x.txt:7: '../libgomp.so.1' is no path inside a layer"),
        (TAKEN.replace("lib/", "/lib/"), "x.txt:7: '/lib/libgomp.so.1' is no path inside a layer"),
        (TAKEN.replace("lib/", "lib/../"), "x.txt:7: 'lib/../libgomp.so.1' is no path inside a layer"),
        (TAKEN.replace(" 12", ""), "x.txt:7: expected `# taken: path digest size`"),
        (TAKEN.replace("image: sha256:", "image: "), f"x.txt:6: '{DIGEST}' is no digest of an image"),
        (TAKEN.splitlines()[0], "x.txt: files are taken from an image, and the image is named, or neither is so"),
        (TAKEN.splitlines()[1], "x.txt: files are taken from an image, and the image is named, or neither is so"),
        (TAKEN + TAKEN, "x.txt:8: the image stands here twice"),
        (TAKEN + TAKEN.splitlines()[1], "x.txt:8: lib/libgomp.so.1 stands here twice"),
    ],
)
def test_what_was_never_taken_from_an_image_is_refused(more: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(TEXT.replace("numpy==", more.rstrip("\n") + "\nnumpy=="), "x.txt")
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("numpy==1.26.4 ", "numpy ", "x.txt:6: expected `name==version --hash=sha256:… # file size`"),
        ("  # ", "  ", "x.txt:6: expected `name==version --hash=sha256:… # file size`"),
        ("sha256:cd", "sha256:CD", f"x.txt:6: {'CD' + 'cd' * 31!r} is no SHA-256"),
        ("sha256:cd", "sha256:", f"x.txt:6: {'cd' * 31!r} is no SHA-256"),
        ("numpy==1.26.4", "NumPy==1.26.4", "x.txt:6: 'NumPy' is no normalized name of a package"),
        ("numpy==1.26.4", "numpy==1.26.*", "x.txt:6: '1.26.*' is no normalized version"),
        ("numpy==1.26.4", "numpy==1.26.5", f"x.txt:6: {NUMPY.filename!r} is no wheel of numpy 1.26.5"),
        ("numpy==1.26.4", "pandas==1.26.4", f"x.txt:6: {NUMPY.filename!r} is no wheel of pandas 1.26.4"),
        (" 18252005", " 0", "x.txt:6: '0' is no size in bytes"),
        (" 18252005", " -1", "x.txt:6: '-1' is no size in bytes"),
        (" 18252005", " ١٢", "x.txt:6: '١٢' is no size in bytes"),
        (" 18252005", " 99999999999999", "x.txt:6: '99999999999999' is no size in bytes"),
        ("# numpy-1.26.4", "# ../numpy-1.26.4", f"x.txt:6: {'../' + NUMPY.filename!r} is no file name of a wheel"),
        ("# numpy-1.26.4", "# C:\\numpy-1.26.4", f"x.txt:6: {'C:' + chr(92) + NUMPY.filename!r} is no file name of a wheel"),
        ("# numpy-1.26.4", "# numpy-1.26.4-..", f"x.txt:6: {NUMPY.filename.replace('1.26.4', '1.26.4-..')!r} is no file name of a wheel"),
        (".whl ", ".egg ", f"x.txt:6: {NUMPY.filename.replace('.whl', '.egg')!r} is no file name of a wheel"),
        (".whl ", ".zip ", f"x.txt:6: {NUMPY.filename.replace('.whl', '.zip')!r} is no source distribution of numpy 1.26.4"),
        ("# recipe: sklearn\n", "", "x.txt: the header does not state recipe"),
        ("# inputs: ab", "# inputs: xy", f"x.txt:5: inputs: {'xy' + 'ab' * 31!r} cannot be that"),
        ("# recipe: sklearn", "# recipe: x; rm -rf ~", "x.txt:2: recipe: 'x; rm -rf ~' cannot be that"),
        ("# builder: uv 0.13.9", "# builder: \x1b[31muv", "x.txt:4: builder: '\\x1b[31muv' cannot be that"),
        ("# builder: uv 0.13.9", "# target: a", "x.txt:4: the header states 'target' twice"),
        ("numpy==", "--index-url=https://evil.invalid/simple\nnumpy==", "x.txt:6: expected `name==version --hash=sha256:… # file size`"),
        ("numpy==", "<<<<<<< HEAD\nnumpy==", "x.txt:6: expected `name==version --hash=sha256:… # file size`"),
    ],
)  # fmt: skip
def test_what_was_not_written_by_lamina_is_refused(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(UsageError) as caught:
        parse(TEXT.replace(old, new, 1), "x.txt")
    assert caught.value.message == message
    assert caught.value.hint == EDIT
    assert caught.value.exit_code == 2


LOCAL = f"# local: ./packages/my shared shared {DIGEST}\n"


def test_local_projects_have_a_comment_each() -> None:
    locked = msgspec.structs.replace(LOCK, local=(LockedLocal("./packages/my shared", "shared", DIGEST),))
    text = TEXT.replace("numpy==", LOCAL + "numpy==")
    assert render(locked) == text
    assert parse(text, "x.txt") == locked


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (LOCAL + LOCAL, "x.txt:8: ./packages/my shared stands here twice"),
        (f"# local: shared {DIGEST}\n", "x.txt:7: expected `# local: ./folder name digest`"),
        (f"# local: ../a shared {DIGEST}\n", "x.txt:7: '../a' is no folder of a local project"),
        (f"# local: ./a/../b shared {DIGEST}\n", "x.txt:7: './a/../b' is no folder of a local project"),
        (f"# local: ./a/ shared {DIGEST}\n", "x.txt:7: './a/' is no folder of a local project"),
        (f"# local: ./a Shared {DIGEST}\n", "x.txt:7: 'Shared' is no normalized name of a package"),
        ("# local: ./a shared 12\n", "x.txt:7: '12' is no SHA-256"),
    ],
)
def test_a_local_project_that_was_not_written_by_lamina(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(TEXT + line, "x.txt")
    assert caught.value.message == message


def test_an_overlong_file_name() -> None:
    tags = ".".join(f"cp{number}" for number in range(100))
    with pytest.raises(UsageError, match="is no file name of a wheel"):
        parse(TEXT.replace("-cp311-cp311-", f"-{tags}-cp311-"), "x.txt")


def test_a_package_stands_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse(TEXT + TEXT.splitlines()[-1] + "\n", "x.txt")
    assert caught.value.message == "x.txt:7: numpy stands here twice"


def test_a_version_may_be_spelled_otherwise_in_the_file_name() -> None:
    line = f"a-b==1.0rc1 --hash=sha256:{DIGEST}  # A.B-1.0.rc1-py3-none-any.whl 12"
    assert parse(TEXT + line + "\n", "x.txt").wheels[0].name == "a-b"


@given(st.text())
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    try:
        parse(TEXT + text, "x.txt")
    except UsageError as error:
        assert error.message.startswith("x.txt")  # noqa: PT017 - most texts are refused, a few are not


def test_a_lock_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    path = tmp_path / "sklearn-cp311-manylinux2014_x86_64.txt"
    with pytest.raises(MissingLockError) as caught:
        locks.read(path)
    assert caught.value.message == f"{path}: there is no lock yet"
    assert caught.value.hint == "Make it: lamina lock sklearn"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"# \xff")
    with pytest.raises(UsageError) as caught:
        locks.read(path)
    assert caught.value.message == f"{path}: not a lock: invalid start byte at byte 2"


def test_where_locks_stand() -> None:
    path = locks.lock_path(Path("recipes/sklearn.toml"), "sklearn", TARGET)
    assert path == Path("recipes/locks/sklearn-cp311-manylinux2014_x86_64.txt")


@pytest.mark.parametrize(
    "same",
    [
        {"requirements": ("pandas", "scikit-learn==1.3.2")},
        {"requirements": ("Pandas", "Scikit_Learn == 1.3.2")},
        {"requirements": ("pandas", "pandas", "scikit.learn ( ==1.3.2 )")},
        {"provided": ("Botocore", "boto3")},
        {"description": "other", "name": "renamed"},
    ],
)
def test_the_digest_ignores_how_a_thing_is_written(same: dict[str, object]) -> None:
    assert locks.inputs_digest(recipe(**same), TARGET) == locks.inputs_digest(recipe(), TARGET)


@pytest.mark.parametrize(
    "other",
    [
        {"requirements": ("pandas", "scikit-learn==1.3.1")},
        {"requirements": ("pandas[excel]", "scikit-learn==1.3.2")},
        {"requirements": ("pandas; python_version < '3.12'", "scikit-learn==1.3.2")},
        {"constraints": ("numpy<2",)},
        {"provided": ()},
        {"find_links": ("wheels",)},
        {"index": (Index(name="a", url="https://index.invalid/a", packages=("torch",)),)},
    ],
)
def test_the_digest_follows_what_is_resolved(other: dict[str, object]) -> None:
    assert locks.inputs_digest(recipe(**other), TARGET) != locks.inputs_digest(recipe(), TARGET)


def test_the_digest_follows_the_target() -> None:
    other = target_for("cp311", platform="manylinux2014_aarch64")
    assert locks.inputs_digest(recipe(), TARGET) != locks.inputs_digest(recipe(), other)


def test_a_stale_lock_names_the_command() -> None:
    fresh = Lock(TARGET.name, "uv 1", locks.inputs_digest(recipe(), TARGET), (NUMPY,), "sklearn")
    locks.check(fresh, recipe(), TARGET, "x.txt")
    with pytest.raises(StaleLockError) as caught:
        locks.check(fresh, recipe(constraints=("numpy<2",)), TARGET, "x.txt")
    inputs = (
        "requirements, constraints, provided packages, folders, indexes, system packages or files of the base image"
    )
    stale = f"x.txt: stale: the recipe now states other {inputs}"
    assert (caught.value.message, caught.value.hint) == (stale, "Renew it: lamina lock sklearn")
    assert caught.value.exit_code == 1


def test_a_lock_that_lost_a_line() -> None:
    """What is required must be there, less what the runtime provides and what does not hold on the target."""
    wanted = recipe(requirements=("numpy", "boto3", "pywin32; sys_platform == 'win32'", "Foo.Bar[x]>=1"))
    foo = LockedWheel("foo-bar", "1.0", "foo_bar-1.0-py3-none-any.whl", DIGEST, 1)
    locks.verify(Lock(TARGET.name, "uv 1", DIGEST, (NUMPY, foo), "sklearn"), wanted, TARGET, "x.txt")
    with pytest.raises(StaleLockError) as caught:
        locks.verify(Lock(TARGET.name, "uv 1", DIGEST, (NUMPY,), "sklearn"), wanted, TARGET, "x.txt")
    assert caught.value.message == "x.txt: has no wheel of foo-bar, which the recipe requires"
    assert caught.value.hint == "Renew it: lamina lock sklearn"


def test_a_lock_for_another_target() -> None:
    other = target_for("cp312", architecture="x86_64")
    with pytest.raises(StaleLockError) as caught:
        locks.check(LOCK, recipe(), other, "x.txt")
    assert caught.value.message == "x.txt: made for cp311-manylinux2014_x86_64, not for cp312-manylinux_2_34_x86_64"


@pytest.mark.parametrize(
    "filename",
    [
        "numpy-1.26.4-cp312-cp312-manylinux_2_17_x86_64.whl",
        "numpy-1.26.4-cp311-cp311-manylinux_2_28_x86_64.whl",
        "numpy-1.26.4-cp311-cp311-manylinux2014_aarch64.whl",
        "numpy-1.26.4-cp311-cp311-musllinux_1_1_x86_64.whl",
        "numpy-1.26.4-cp311-cp311-linux_x86_64.whl",
        "numpy-1.26.4-cp311-cp311-win_amd64.whl",
    ],
)
def test_wheels_that_the_target_does_not_accept(filename: str) -> None:
    numpy = recipe(requirements=("numpy",))
    locks.verify(LOCK, numpy, TARGET, "x.txt")
    wheel = LockedWheel("numpy", "1.26.4", filename, DIGEST, 1)
    with pytest.raises(UsageError) as caught:
        locks.verify(Lock(TARGET.name, "uv 1", DIGEST, (wheel,), "sklearn"), numpy, TARGET, "x.txt")
    assert caught.value.message == f"x.txt: {filename}: cp311-manylinux2014_x86_64 does not accept this wheel"
    assert caught.value.hint == "Renew the lock: lamina lock sklearn"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NumPy", "numpy"),
        ("Foo_Bar [ Socks , a.b ] >= 1.0 , < 2", "foo-bar[a-b,socks]<2,>=1.0"),
        ("foo (>=1)", "foo>=1"),
        ("foo;python_version<'3.12' and sys_platform=='win32'", 'foo; python_version < "3.12" and sys_platform == "win32"'),
        ("foo ; ( os_name == 'nt' or extra=='x' ) and python_version not in '2.7'", 'foo; ( os_name == "nt" or extra == "x" ) and python_version not in "2.7"'),
        ("foo===1.0", "foo===1.0"),
        ("./libs\\a/", "./libs/a"),
        ("././libs//a [ B_c, a,]", "./libs/a[a,b-c]"),
        (" ./", "./"),
    ],
)  # fmt: skip
def test_one_spelling(text: str, expected: str) -> None:
    assert canonical_requirement(text) == expected


SPACES = st.sampled_from(["", " ", "  "])


@st.composite
def requirements(draw: st.DrawFn) -> str:
    parts = [draw(st.sampled_from(["foo", "Foo_Bar", "foo.bar", "foo-bar"]))]
    extras = draw(st.lists(st.sampled_from(["a", "B", "c_d", "c-d"]), max_size=3))
    if extras:
        parts.append("[" + ",".join(draw(SPACES) + extra + draw(SPACES) for extra in extras) + "]")
    limits = draw(st.lists(st.sampled_from([">=1.0", "< 2", "!=1.5", "~= 1.4", "==1.4.*"]), max_size=3))
    parts.append(",".join(draw(SPACES) + limit + draw(SPACES) for limit in limits))
    marker = draw(
        st.sampled_from(["", "python_version < '3.12'", 'python_version<"3.12"', "os_name=='nt' or extra == \"q\""])
    )
    return draw(SPACES).join(parts) + (draw(SPACES) + ";" + draw(SPACES) + marker if marker else "")


@given(requirements(), requirements())
def test_the_spelling_agrees_with_packaging(one: str, other: str) -> None:
    def reference(text: str) -> tuple[object, ...]:
        parsed = Requirement(text)
        extras = {locks.canonical(extra) for extra in parsed.extras}
        limits = {str(limit) for limit in parsed.specifier}
        return locks.canonical(parsed.name), extras, limits, str(parsed.marker)

    assert (canonical_requirement(one) == canonical_requirement(other)) == (reference(one) == reference(other))


def test_reading_a_lock_imports_nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("packaging", "packaging.version", "packaging.requirements", "requests", "pypi_simple", "filelock"):
        monkeypatch.setitem(sys.modules, name, None)  # makes its import fail
    locks.check(
        Lock(TARGET.name, "uv 1", locks.inputs_digest(recipe(), TARGET), parse(TEXT, "x").wheels), recipe(), TARGET, "x"
    )


def test_a_version_of_more_digits_than_python_reads_is_none_of_the_file_name() -> None:
    version = "1" * 5000
    text = render(LOCK).replace(f"=={NUMPY.version} ", f"=={version} ")
    with pytest.raises(UsageError) as caught:
        parse(text, "x.txt")
    assert caught.value.message == f"x.txt:6: {NUMPY.filename!r} is no wheel of numpy {version}"


def test_the_layer_itself_is_no_file_of_an_image() -> None:
    with pytest.raises(UsageError) as caught:
        parse(render(LOCK) + f"# taken: . {DIGEST} 1\n", "x.txt")
    assert caught.value.message == "x.txt:7: '.' is no path inside a layer"
