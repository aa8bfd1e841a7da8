from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import FindingsError
from lamina.prove.import_times import Group, Step, in_turn, read
from lamina.prove.model import Job, Outcome

LINES = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 |     pkg.sub.deep
import time:       200 |        300 |   pkg.sub
a module that prints to stderr
import time:        50 |         50 |   pkg.other
import time:       650 |       1000 | pkg
import time:        10 |         10 | second
"""


def test_each_module_stands_below_what_imported_it_with_its_beginning() -> None:
    assert read(LINES.splitlines()) == [
        Step("pkg", 0, 0, 650, 1000),
        Step("pkg.sub", 1, 0, 200, 300),
        Step("pkg.sub.deep", 2, 0, 100, 100),
        Step("pkg.other", 1, 300, 50, 50),
        Step("second", 0, 1000, 10, 10),
    ]


def test_what_is_cut_short_keeps_its_figures() -> None:
    assert read(LINES.splitlines()[:3]) == [Step("pkg.sub", 0, 0, 200, 300), Step("pkg.sub.deep", 1, 0, 100, 100)]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 10**6)), max_size=60))
def test_no_order_of_lines_loses_a_module_or_fails(rows: list[tuple[int, int]]) -> None:
    lines = [f"import time: {own:9} | {own:10} | {'  ' * depth}m{at}" for at, (depth, own) in enumerate(rows)]
    assert sorted(step.name for step in read(lines)) == sorted(f"m{at}" for at in range(len(rows)))


class _Done(NamedTuple):
    outcome: Outcome

    def wait(self) -> Outcome:
        return self.outcome


class _Sandbox:
    """A sandbox whose jobs say what they are told to; ``order`` notes which ran when."""

    def __init__(self, name: str, seconds: list[str], order: list[str], said: str = LINES) -> None:
        self._name, self._seconds, self._order, self._said = name, seconds, order, said

    def start(self, job: Job) -> _Done:
        assert job.environment == {"PYTHONPROFILEIMPORTTIME": "1"}
        token = job.arguments[2]
        assert re.fullmatch(r"lamina-[0-9a-f]{32}", token)
        assert job.arguments[3:] == ("pkg", "second")
        self._order.append(self._name)
        text = f"import time:  9 |  9 | before\n\n{token} begins\n{self._said}\n{token} {self._seconds.pop(0)}\n"
        return _Done(Outcome(code=0, ended="exited", stdout=b"", stderr=text.encode(), seconds=1.0, peak=1))


def test_layers_take_turns_and_the_fastest_run_of_each_counts() -> None:
    order: list[str] = []
    sandboxes = [_Sandbox("a", ["3.0", "1.5", "2.0"], order), _Sandbox("b", ["0.5", "0.7", "0.6"], order)]
    first, second = in_turn(sandboxes, ("pkg", "second"))  # type: ignore[arg-type]
    assert order == ["a", "b"] * 3
    assert (first.seconds, first.every, first.modules) == (1.5, (3.0, 1.5, 2.0), 5)
    assert second.seconds == 0.5
    assert first.groups == (Group("pkg", 4, 1000), Group("second", 1, 10))
    assert [step.name for step in second.steps] == ["pkg"]  # what is not worth showing is left out


@pytest.mark.parametrize("lie", ["nan", "inf", "-1.0", "1e99", "", "9" * 400])
def test_a_module_that_forges_the_end_is_no_measure(lie: str) -> None:
    sandbox = _Sandbox("a", [lie], [], said="Traceback\nImportError: no such thing\n")
    with pytest.raises(FindingsError) as caught:
        in_turn([sandbox], ("pkg", "second"))  # type: ignore[list-item]
    assert caught.value.message.startswith("import pkg, second: ")
    assert caught.value.hint == "See which import fails: lamina prove runs each for itself."
