"""Targets: tags in order, markers, ceilings and every message, with a host that refuses to be asked."""

from __future__ import annotations

import itertools
import os
import platform
import sys
import sysconfig
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import packaging._manylinux
import packaging._musllinux
import packaging.markers
import packaging.tags
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina import runtimes as facts_module
from lamina import target as module
from lamina.target import Target, TargetError, mistakes, runtimes, target_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PYTHONS = {  # to Lambda's name and the highest platform
    "cp39": ("python3.9", (3, 9), (2, 26)),
    "cp310": ("python3.10", (3, 10), (2, 26)),
    "cp311": ("python3.11", (3, 11), (2, 26)),
    "cp312": ("python3.12", (3, 12), (2, 34)),
    "cp313": ("python3.13", (3, 13), (2, 34)),
    "cp314": ("python3.14", (3, 14), (2, 34)),
}
FLOORS = {"x86_64": 5, "aarch64": 17}
OLDER = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
PAIRS = [pytest.param(python, arch, id=f"{python}-{arch}") for python in PYTHONS for arch in FLOORS]


def expected_platforms(arch: str, top: int) -> list[str]:
    found = []
    for minor in range(top, FLOORS[arch] - 1, -1):
        found.append(f"manylinux_2_{minor}_{arch}")
        if minor in OLDER:
            found.append(f"{OLDER[minor]}_{arch}")
    return found


def expected_tags(python: str, arch: str, top: int) -> list[str]:
    minor = PYTHONS[python][1][1]
    platforms = expected_platforms(arch, top)
    pure = [f"py3{minor}", "py3", *(f"py3{older}" for older in range(minor - 1, -1, -1))]
    groups = [f"{python}-{python}", f"{python}-abi3", f"{python}-none"]
    groups += [f"cp3{older}-abi3" for older in range(minor - 1, 1, -1)]
    groups += [f"{each}-none" for each in pure]
    tags = [f"{group}-{each}" for group in groups for each in platforms]
    return [*tags, f"{python}-none-any", *(f"{each}-none-any" for each in pure)]


# --- the twelve pairs ---


@pytest.mark.parametrize(("python", "arch"), PAIRS)
def test_with_an_architecture_the_platform_is_the_highest_the_runtime_loads(python: str, arch: str) -> None:
    name, version, glibc = PYTHONS[python]
    target = target_for(python, architecture=arch)
    assert target.python == python
    assert target.platform == f"manylinux_2_{glibc[1]}_{arch}"
    assert target.architecture == arch
    assert target.name == f"{python}-manylinux_2_{glibc[1]}_{arch}"
    assert target.ceiling == glibc
    assert (target.runtime.name, target.runtime.python) == (name, version)
    assert target.lambda_architecture == {"x86_64": "x86_64", "aarch64": "arm64"}[arch]


@pytest.mark.parametrize(("python", "arch"), PAIRS)
def test_with_a_platform_the_target_keeps_its_name(python: str, arch: str) -> None:
    target = target_for(python, platform=f"manylinux2014_{arch}")
    assert target.name == f"{python}-manylinux2014_{arch}"
    assert target.ceiling == (2, 17)
    assert target.architecture == arch
    same = target_for(python, platform=f"manylinux_2_17_{arch}")
    assert same.name == f"{python}-manylinux_2_17_{arch}"
    assert same.tags() == target.tags()


@pytest.mark.parametrize(("python", "arch"), PAIRS)
def test_tags_of_the_highest_platform_in_order(python: str, arch: str) -> None:
    tags = target_for(python, architecture=arch).tags()
    assert list(tags) == expected_tags(python, arch, PYTHONS[python][2][1])


@pytest.mark.parametrize(("python", "arch"), PAIRS)
def test_tags_of_manylinux2014_in_order(python: str, arch: str) -> None:
    assert list(target_for(python, platform=f"manylinux2014_{arch}").tags()) == expected_tags(python, arch, 17)


@pytest.mark.parametrize(("python", "arch"), PAIRS)
def test_what_never_loads_is_not_accepted(python: str, arch: str) -> None:
    tags = target_for(python, architecture=arch).tags()
    assert len(set(tags)) == len(tags)
    newer = f"cp3{PYTHONS[python][1][1] + 1}"
    for tag in tags:
        interpreter, abi, platform_ = tag.split("-")
        assert abi in {python, "abi3", "none"}
        assert interpreter != newer
        assert platform_ == "any" or (platform_.startswith("manylinux") and platform_.endswith(f"_{arch}"))


@pytest.mark.parametrize(("python", "arch"), PAIRS)
def test_markers(python: str, arch: str) -> None:
    target = target_for(python, architecture=arch)
    full = target.runtime.python_full_version
    assert target.markers() == {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": arch,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": f"3.{PYTHONS[python][1][1]}",
        "sys_platform": "linux",
    }
    assert target.markers().keys() == packaging.markers.Environment.__annotations__.keys()
    assert full.startswith(target.markers()["python_version"] + ".")


def test_tags_of_one_target_in_full() -> None:
    tags = target_for("cp39", platform="manylinux2014_aarch64").tags()
    assert tags[:8] == (
        "cp39-cp39-manylinux_2_17_aarch64",
        "cp39-cp39-manylinux2014_aarch64",
        "cp39-abi3-manylinux_2_17_aarch64",
        "cp39-abi3-manylinux2014_aarch64",
        "cp39-none-manylinux_2_17_aarch64",
        "cp39-none-manylinux2014_aarch64",
        "cp38-abi3-manylinux_2_17_aarch64",
        "cp38-abi3-manylinux2014_aarch64",
    )
    assert tags[18:24] == (
        "cp32-abi3-manylinux_2_17_aarch64",
        "cp32-abi3-manylinux2014_aarch64",
        "py39-none-manylinux_2_17_aarch64",
        "py39-none-manylinux2014_aarch64",
        "py3-none-manylinux_2_17_aarch64",
        "py3-none-manylinux2014_aarch64",
    )
    assert tags[42:46] == ("cp39-none-any", "py39-none-any", "py3-none-any", "py38-none-any")
    assert tags[-1] == "py30-none-any"


@pytest.mark.parametrize(
    ("tag", "accepted"),
    [
        ("cp311-cp311-manylinux_2_17_x86_64", True),
        ("cp311-cp311-manylinux_2_26_x86_64", True),
        ("cp311-cp311-manylinux_2_27_x86_64", False),
        ("cp311-cp311-manylinux1_x86_64", True),
        ("cp311-abi3-manylinux2014_x86_64", True),
        ("cp32-abi3-manylinux2014_x86_64", True),
        ("cp312-abi3-manylinux2014_x86_64", False),
        ("cp310-cp310-manylinux2014_x86_64", False),
        ("cp311-cp311-linux_x86_64", False),
        ("cp311-cp311-musllinux_1_2_x86_64", False),
        ("cp311-cp311-manylinux2014_aarch64", False),
        ("cp311-cp311t-manylinux2014_x86_64", False),
        ("cp311-cp311d-manylinux2014_x86_64", False),
        ("cp311-none-any", True),
        ("py3-none-any", True),
        ("py2-none-any", False),
    ],
)
def test_accepted_on_python311(tag: str, accepted: bool) -> None:  # noqa: FBT001 - a column of the table
    assert (tag in target_for("cp311", architecture="x86_64").tags()) is accepted


def test_targets_are_values() -> None:
    one, other = (target_for("cp311", architecture=name) for name in ("aarch64", "arm64"))
    assert one == other
    assert hash(one) == hash(other)
    with pytest.raises(AttributeError):
        one.platform = "manylinux_2_28_aarch64"  # type: ignore[misc]


# --- the host is not asked ---


def refuse(*_args: object, **_kwargs: object) -> NoReturn:
    raise AssertionError("the host was asked what it is")


def functions(holder: object) -> Iterator[str]:
    return (name for name, value in vars(holder).items() if callable(value) and not isinstance(value, type))


@contextmanager
def silent_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every function that tells what the host is raises, and the rest lies. Within the block only."""
    with monkeypatch.context() as patch:
        for holder in (platform, packaging._manylinux, packaging._musllinux):
            for name in list(functions(holder)):
                patch.setattr(holder, name, refuse)
        for name in ("get_platform", "get_config_var", "get_config_vars", "get_paths", "get_python_version"):
            patch.setattr(sysconfig, name, refuse)
        for name in ("sys_tags", "platform_tags", "generic_tags", "interpreter_name", "interpreter_version"):
            patch.setattr(packaging.tags, name, refuse)
        for name in ("_linux_platforms", "_cpython_abis", "_generic_abi", "_get_config_var"):
            patch.setattr(packaging.tags, name, refuse)
        patch.setattr(packaging.markers, "default_environment", refuse)
        for name in ("uname", "confstr"):
            patch.setattr(os, name, refuse, raising=False)
        patch.setattr(sys, "platform", "plan9")
        patch.setattr(sys, "version_info", (2, 7, 18, "final", 0))
        patch.setattr(sys, "abiflags", "td", raising=False)
        yield


@pytest.mark.parametrize("ask", [packaging.tags.sys_tags, packaging.markers.default_environment])
def test_the_silent_host_is_silent(ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    with silent_host(monkeypatch), pytest.raises(AssertionError, match="the host was asked what it is"):
        getattr(sys.modules[ask.__module__], ask.__name__)()


@pytest.mark.parametrize(("python", "arch"), PAIRS)
def test_the_host_is_never_asked(python: str, arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = target_for(python, architecture=arch)
    expected = (before.tags(), before.markers(), before.ceiling, before.lambda_architecture)
    facts_module.facts.cache_clear()
    module._tags.cache_clear()
    with silent_host(monkeypatch):
        target = target_for(python, architecture=arch)
        seen = (target.tags(), target.markers(), target.ceiling, target.lambda_architecture)
    assert target == before
    assert seen == expected


@pytest.mark.parametrize(("python", "arch"), PAIRS)
def test_platforms_are_what_packaging_finds_on_such_a_host(
    python: str, arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_for(python, architecture=arch)
    monkeypatch.setattr(packaging._manylinux, "_get_glibc_version", lambda: target.runtime.glibc)
    monkeypatch.setattr(packaging._manylinux, "_have_compatible_abi", lambda *_: True)
    monkeypatch.setattr(packaging._manylinux, "_is_compatible", lambda _, version: version <= target.runtime.glibc)
    assert list(target.platforms()) == list(packaging._manylinux.platform_tags([arch]))


# --- what is wrong, in whole messages ---

KNOWN = "known are cp39, cp310, cp311, cp312, cp313 and cp314"


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("cp38", f"'cp38' is no CPython of Lambda that lamina knows; {KNOWN}"),
        ("cp315", f"'cp315' is no CPython of Lambda that lamina knows; {KNOWN}"),
        ("pp310", f"'pp310' is no CPython of Lambda that lamina knows; {KNOWN}"),
        ("cp3111", f"'cp3111' is no CPython of Lambda that lamina knows; {KNOWN}"),
        ("", f"'' is no CPython of Lambda that lamina knows; {KNOWN}"),
        ("3.11", "'3.11' is not how wheels name a CPython; write cp311"),
        ("py311", "'py311' is not how wheels name a CPython; write cp311"),
        ("python3.11", "'python3.11' is not how wheels name a CPython; write cp311"),
        ("CP311", "'CP311' is not how wheels name a CPython; write cp311"),
        ("3.9.18", "'3.9.18' is not how wheels name a CPython; write cp39"),
        (
            "cp313t",
            "'cp313t' is not on Lambda, whose CPython is neither free-threaded nor a debug build; write cp313",
        ),
        (
            "cp311d",
            "'cp311d' is not on Lambda, whose CPython is neither free-threaded nor a debug build; write cp311",
        ),
    ],
)
def test_python_that_is_wrong(python: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        target_for(python, platform="manylinux2014_x86_64")
    assert (caught.value.key, str(caught.value)) == ("python", message)


@pytest.mark.parametrize(
    ("python", "platform_", "message"),
    [
        (
            "cp311",
            "manylinux_2_28_x86_64",
            (
                "python3.11 on Lambda has glibc 2.26; manylinux_2_28 wheels cannot load there; "
                "use cp312 or newer, or manylinux_2_26_x86_64"
            ),
        ),
        (
            "cp39",
            "manylinux_2_27_aarch64",
            (
                "python3.9 on Lambda has glibc 2.26; manylinux_2_27 wheels cannot load there; "
                "use cp312 or newer, or manylinux_2_26_aarch64"
            ),
        ),
        (
            "cp311",
            "manylinux_2_39_x86_64",
            "python3.11 on Lambda has glibc 2.26; manylinux_2_39 wheels cannot load there; use manylinux_2_26_x86_64",
        ),
        (
            "cp314",
            "manylinux_2_35_aarch64",
            "python3.14 on Lambda has glibc 2.34; manylinux_2_35 wheels cannot load there; use manylinux_2_34_aarch64",
        ),
        ("cp311", "win_amd64", "'win_amd64' is for Windows, and Lambda runs Linux; write manylinux2014_x86_64"),
        ("cp311", "win_arm64", "'win_arm64' is for Windows, and Lambda runs Linux; write manylinux2014_aarch64"),
        (
            "cp311",
            "win32",
            "'win32' is for Windows, and Lambda runs Linux; write manylinux2014_x86_64 or manylinux2014_aarch64",
        ),
        (
            "cp311",
            "macosx_11_0_arm64",
            "'macosx_11_0_arm64' is for macOS, and Lambda runs Linux; write manylinux2014_aarch64",
        ),
        (
            "cp311",
            "macosx_11_0_universal2",
            (
                "'macosx_11_0_universal2' is for macOS, and Lambda runs Linux; "
                "write manylinux2014_x86_64 or manylinux2014_aarch64"
            ),
        ),
        (
            "cp311",
            "musllinux_1_2_x86_64",
            "'musllinux_1_2_x86_64' is for musl, and Lambda's Linux has glibc; write manylinux2014_x86_64",
        ),
        (
            "cp311",
            "linux_x86_64",
            "'linux_x86_64' says nothing of the glibc that its wheels need; write manylinux2014_x86_64",
        ),
        (
            "cp311",
            "any",
            "'any' is no platform of manylinux wheels; write manylinux2014_x86_64 or manylinux2014_aarch64",
        ),
        (
            "cp311",
            "",
            "'' is no platform of manylinux wheels; write manylinux2014_x86_64 or manylinux2014_aarch64",
        ),
        ("cp311", "x86_64", "'x86_64' is no platform of manylinux wheels; write manylinux2014_x86_64"),
        (
            "cp311",
            "manylinux_2_017_x86_64",
            "'manylinux_2_017_x86_64' is no platform of manylinux wheels; write manylinux2014_x86_64",
        ),
        (
            "cp311",
            "manylinux2024_x86_64",
            (
                "there is no 'manylinux2024'; "
                "write manylinux1, manylinux2010, manylinux2014 or manylinux_2_N for glibc 2.N"
            ),
        ),
        (
            "cp311",
            "manylinux2014",
            "'manylinux2014': the architecture is missing; write manylinux2014_x86_64 or manylinux2014_aarch64",
        ),
        ("cp311", "manylinux1", "'manylinux1': the architecture is missing; write manylinux1_x86_64"),
        (
            "cp311",
            "manylinux2014_i686",
            "'manylinux2014_i686': Lambda has no i686; write manylinux2014_x86_64 or manylinux2014_aarch64",
        ),
        (
            "cp311",
            "manylinux_2_17_ppc64le",
            "'manylinux_2_17_ppc64le': Lambda has no ppc64le; write manylinux_2_17_x86_64 or manylinux_2_17_aarch64",
        ),
        (
            "cp311",
            "manylinux2014_arm64",
            "'manylinux2014_arm64': wheels say aarch64 for arm64; write manylinux2014_aarch64",
        ),
        (
            "cp311",
            "manylinux2014_AMD64",
            "'manylinux2014_AMD64': wheels say x86_64 for AMD64; write manylinux2014_x86_64",
        ),
        (
            "cp311",
            "manylinux2010_arm64",
            "'manylinux2010_arm64': wheels say aarch64 for arm64; write manylinux2014_aarch64",
        ),
        (
            "cp311",
            "manylinux2010_aarch64",
            (
                "'manylinux2010_aarch64' does not exist: on aarch64 manylinux begins at manylinux_2_17; "
                "write manylinux2014_aarch64"
            ),
        ),
        (
            "cp311",
            "manylinux_2_4_x86_64",
            (
                "'manylinux_2_4_x86_64' does not exist: on x86_64 manylinux begins at manylinux_2_5; "
                "write manylinux2014_x86_64"
            ),
        ),
    ],
)
def test_platform_that_is_wrong(python: str, platform_: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        target_for(python, platform=platform_)
    assert (caught.value.key, str(caught.value)) == ("platform", message)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("i686", "'i686' is no architecture of Lambda; write x86_64 or aarch64"),
        ("ppc64le", "'ppc64le' is no architecture of Lambda; write x86_64 or aarch64"),
        ("", "'' is no architecture of Lambda; write x86_64 or aarch64"),
        ("amd64", "'amd64' is not how wheels name it; write x86_64"),
        ("ARM64", "'ARM64' is not how wheels name it; write aarch64"),
    ],
)
def test_architecture_that_is_wrong(architecture: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        target_for("cp311", architecture=architecture)
    assert (caught.value.key, str(caught.value)) == ("architecture", message)


def test_neither_platform_nor_architecture() -> None:
    with pytest.raises(TargetError) as caught:
        target_for("cp311")
    message = 'missing; write platform = "manylinux2014_x86_64", or architecture = "x86_64"'
    assert (caught.value.key, str(caught.value)) == ("platform", message)


def test_both_platform_and_architecture() -> None:
    with pytest.raises(TargetError) as caught:
        target_for("cp311", platform="manylinux2014_x86_64", architecture="x86_64")
    message = (
        "platform and architecture exclude each other; keep platform to cap the choice of wheels, "
        "or architecture for the highest platform that the runtime loads"
    )
    assert (caught.value.key, str(caught.value)) == ("architecture", message)


def test_all_mistakes_at_once() -> None:
    found = mistakes("3.12", platform="win_amd64")
    assert [(error.key, str(error)) for error in found] == [
        ("python", "'3.12' is not how wheels name a CPython; write cp312"),
        ("platform", "'win_amd64' is for Windows, and Lambda runs Linux; write manylinux2014_x86_64"),
    ]
    assert [error.key for error in mistakes("cp311", platform="manylinux_2_28_x86_64")] == ["platform"]
    assert mistakes("cp312", platform="manylinux_2_28_x86_64") == ()


# --- properties ---


@st.composite
def targets(draw: st.DrawFn) -> Target:
    python = draw(st.sampled_from(list(PYTHONS)))
    arch = draw(st.sampled_from(list(FLOORS)))
    top = draw(st.integers(FLOORS[arch], PYTHONS[python][2][1]))
    return target_for(python, platform=f"manylinux_2_{top}_{arch}")


def glibc_minor(tag: str) -> int:
    policy = tag.split("-")[2]
    older = {f"{name}_": minor for minor, name in OLDER.items()}
    return next((minor for name, minor in older.items() if policy.startswith(name)), 0) or int(policy.split("_")[2])


@given(targets())
def test_no_accepted_tag_exceeds_the_ceiling_and_order_never_rises(target: Target) -> None:
    platform_tags = [tag for tag in target.tags() if not tag.endswith("-any")]
    floor = FLOORS[target.architecture]
    for _, group in itertools.groupby(platform_tags, lambda tag: tag.rsplit("-", 1)[0]):
        minors = [glibc_minor(tag) for tag in group]
        assert minors == sorted(minors, reverse=True)
        assert (minors[0], minors[-1]) == (target.ceiling[1], floor)
    # One run for each interpreter and ABI: none comes back later, and pure wheels come last.
    runs = [key for key, _ in itertools.groupby(tag.rsplit("-", 1)[0] for tag in platform_tags)]
    assert len(runs) == len(set(runs))
    assert list(target.tags()[: len(platform_tags)]) == platform_tags


@given(targets())
def test_a_lower_platform_accepts_less(target: Target) -> None:
    highest = target_for(target.python, architecture=target.architecture).tags()
    lower = set(target.tags())
    assert target.tags() == tuple(tag for tag in highest if tag in lower)


@given(st.sampled_from(list(PYTHONS)), st.sampled_from(list(FLOORS)), st.integers(0, 60))
def test_a_platform_is_accepted_exactly_between_floor_and_glibc(python: str, arch: str, minor: int) -> None:
    exists = FLOORS[arch] <= minor <= PYTHONS[python][2][1]
    assert (mistakes(python, platform=f"manylinux_2_{minor}_{arch}") == ()) is exists


WORDS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"(cp|py|python)?3?\.?[0-9]{1,30}[tdm]?", fullmatch=True),
    st.from_regex(
        r"(manylinux|musllinux|linux|win|macosx)(_?[0-9]{1,30}){0,3}(_(x86_64|arm64|i686|amd64))?", fullmatch=True
    ),
    st.sampled_from([*PYTHONS, "x86_64", "aarch64", "arm64", "manylinux2014_x86_64"]),
)


@given(WORDS, st.none() | WORDS, st.none() | WORDS)
def test_anything_else_is_a_target_error(python: str, platform_: str | None, architecture: str | None) -> None:
    found = mistakes(python, platform=platform_, architecture=architecture)
    for error in found:
        assert error.key in {"python", "platform", "architecture"}
        assert str(error)
        assert not str(error).endswith(" ")
    if found:
        with pytest.raises(TargetError) as caught:
            target_for(python, platform=platform_, architecture=architecture)
        assert (caught.value.key, str(caught.value)) == (found[0].key, str(found[0]))
    else:
        target = target_for(python, platform=platform_, architecture=architecture)
        assert target.runtime in runtimes()
        assert target.ceiling <= target.runtime.glibc
