"""Messages that quote what others wrote, on their way to a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.cli.common import TerminalProgress, show, shown
from lamina.cli.prove import show_result
from lamina.emit.manifest import Proof
from lamina.errors import IndexAccessError
from lamina.prove.run import Result


def test_an_error_carries_no_escape_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    said = "pip says:\n  \x1b]0;title\x07\x1b[2Jall fine\r\n\tè"
    show(IndexAccessError(said, hint="run \x1b[8mthis"))
    assert capsys.readouterr().err == (
        "error: pip says:\n  \\x1b]0;title\\x07\\x1b[2Jall fine\\r\n  è\nrun \\x1b[8mthis\n"
    )


def test_neither_does_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalProgress().stage("resolving inside a:b, \x1b[31mLinux")
    assert capsys.readouterr().err == "resolving inside a:b, \\x1b[31mLinux\n"


@given(st.text())
def test_only_line_ends_are_left_of_what_cannot_be_printed(text: str) -> None:
    assert shown(text).replace("\n", "").isprintable()
    assert shown(text).count("\n") == text.count("\n")


def test_no_break_spaces_in_tracebacks_of_the_runtime_client_are_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    proof = Proof("event", "Debian", passed=False, detail="not as expected")
    show_result(Result(proof, ('\xa0\xa0File "handler.py", line 4\x1b[2J',)))
    assert capsys.readouterr().out.splitlines()[1] == '      File "handler.py", line 4\\x1b[2J'
