"""What no trace touched goes; and what stays beside what one did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lamina.binary.model import Binary, Elf
from lamina.part.model import Facts, Index
from lamina.prune.decide import decide
from lamina.prune.untraced import Touched
from lamina.recipe import Prune

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Forge = Callable[..., Path]
    Make = Callable[..., tuple[Index, Facts]]

REASON = "layers/demo/trace.json does not name it; lamina trace demo makes that anew"
FILES = {
    "pkg/__init__.py": "",
    "pkg/used.py": "",
    "pkg/idle.py": "import pkg.tests.helper\n",
    "pkg/data/used.json": "",
    "pkg/data/idle.json": "",
    "pkg/data/__init__.py": "",
    "pkg/far/__init__.py": "",
    "pkg/far/away.py": "",
    "pkg/tests/__init__.py": "",
    "pkg/tests/helper.py": "",
    "pkg/tests/test_a.py": "",
    "other.py": "",
}
TOUCHED = ("python/pkg/used.py", "python/pkg/data/used.json")


@pytest.fixture
def part(forge: Forge, make_part: Callable[[Path], Any]) -> Make:
    def make(name: str = "pkg", **files: str) -> tuple[Index, Facts]:
        pair: tuple[Index, Facts] = make_part(forge(name, files=files)).pair
        return pair

    return make


def gone(parts: list[tuple[Index, Facts]], touched: tuple[str, ...], **prune: Any) -> dict[str, str]:  # noqa: ANN401
    """Rule by path, of what is dropped outside of ``.dist-info``."""
    said = decide(parts, Prune(**prune), touched=Touched(frozenset(touched), "demo"))
    found = [one for each in said for one in each if one.dropped and ".dist-info/" not in one.path]
    assert {one.reason for one in found if one.rule == "untraced"} <= {REASON}
    for (index, _), each in zip(parts, said, strict=True):
        places = [entry.path for entry in index.entries]
        order = [places.index(one.path) for one in each]
        assert order == sorted(set(order))
    return {one.path.removeprefix("python/"): one.rule for one in found}


def test_what_is_not_touched_goes_within_the_globs_alone(part: Make) -> None:
    pair = part(**FILES)
    tests = {"pkg/tests/test_a.py": "tests"}
    assert gone([pair], TOUCHED) == tests
    assert gone([pair], TOUCHED, untraced=("pkg/data/",)) == {**tests, "pkg/data/idle.json": "untraced"}
    # What a rule proposed and a module kept is not touched either. What a rule dropped stays that rule's.
    assert gone([pair], TOUCHED, untraced=("**",)) == {
        **tests,
        "pkg/idle.py": "untraced",
        "pkg/data/idle.json": "untraced",
        "pkg/far/__init__.py": "untraced",
        "pkg/far/away.py": "untraced",
        "pkg/tests/__init__.py": "untraced",
        "pkg/tests/helper.py": "untraced",
        "other.py": "untraced",
    }


def test_what_the_recipe_keeps_stays_and_the_packages_above_it(part: Make) -> None:
    kept = gone([part(**FILES)], TOUCHED, untraced=("**",), keep=("pkg/far/away.py", "other.py"))
    assert not {"pkg/far/away.py", "pkg/far/__init__.py", "other.py"} & kept.keys()
    assert "pkg/idle.py" in kept


def test_metadata_stays(part: Make) -> None:
    index, facts = part(**FILES)
    [said] = decide([(index, facts)], Prune(untraced=("**",)), touched=Touched(frozenset(), "demo"))
    dropped = {one.path for one in said if one.dropped}
    assert f"{index.dist_info}/METADATA" not in dropped
    assert "python/pkg/used.py" in dropped


def test_without_a_trace_nothing_is_untraced(part: Make) -> None:
    pair = part(**FILES)
    assert decide([pair], Prune(untraced=("**",))) == decide([pair], Prune())


def library(*needed: str, soname: str = "") -> Binary:
    return Binary("elf", "x86_64", library=True, elf=Elf(62, 64, little=True, type=3, soname=soname, needed=needed))


def test_what_a_library_that_stays_is_linked_to_stays_across_packages(part: Make) -> None:
    index, facts = part(**dict.fromkeys(("pkg/a.so", "pkg.libs/libb-1.so.1", "pkg.libs/libc-1.so", "pkg/idle.so"), ""))
    facts = Facts(
        *(getattr(facts, name) for name in ("metadata", "licences", "sboms", "scripts", "entry_points", "sources")),
        0,
        binaries={
            "python/pkg/a.so": library("libb-1.so.1", "libc.so.6"),
            "python/pkg.libs/libb-1.so.1": library("libd.so.2"),
            "python/pkg.libs/libc-1.so": library(),
            "python/pkg/idle.so": library("libc-1.so"),
        },
    )
    other, more = part("other", **{"other/d.so": "", "other/e.so": ""})
    more = Facts((), (), (), (), (), {}, 0, binaries={"python/other/d.so": library("libb-1.so.1", soname="libd.so.2")})
    parts = [(index, facts), (other, more)]
    assert gone(parts, ("python/pkg/a.so",), untraced=("**",)) == {
        "pkg/idle.so": "untraced",
        "pkg.libs/libc-1.so": "untraced",
        "other/e.so": "untraced",
    }
