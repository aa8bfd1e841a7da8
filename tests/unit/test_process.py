"""What programs said, as messages tell it."""

from __future__ import annotations

from lamina.process import last_lines


def test_the_end_of_what_was_said() -> None:
    assert last_lines("") == "  it printed nothing"
    assert last_lines("a\r\n\n\x1b[31mb\x1b[0m\x07\nhint: c\n  note: d\n") == "  a\n  b"
    assert last_lines("".join(f"{number}\n" for number in range(20))).splitlines() == [f"  {n}" for n in range(8, 20)]
    assert last_lines("x" * 1000) == "  " + "x" * 300
