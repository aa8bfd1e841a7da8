"""Sources as code and literals by turns."""

from __future__ import annotations

import pytest

from lamina.part.lexer import Lexed, decode, lex


@pytest.mark.parametrize(
    ("source", "code", "literals"),
    [
        ("", [""], []),
        ("x", ["x"], []),
        ("x = 'a' # b\ny", ["x = ", " ", "\ny"], ["a", None]),
        ("# 'a'", ["", ""], [None]),
        ("'# a' + \"# b\"", ["", " + ", ""], ["# a", "# b"]),
        ("'' '''''' \"\"", ["", " ", " ", ""], ["", "", ""]),
        ("'''a''b\n'c''' \"\"\"d\"\\\"\"\"\"", ["", " ", ""], ["a''b\n'c", 'd""']),
        ("'it\\'s' \"say \\\"\"", ["", " ", ""], ["it's", 'say "']),
        ("rb'\\'' Rb'\\n' u'\\n'", ["rb", " Rb", " u", ""], ["\\'", "\\n", "\n"]),
        ("'a\\\nb' r'a\\\nb'", ["", " r", ""], ["ab", "a\\\nb"]),
        (r"'\x41\101\u0041\U00000041\q\N{DASH}\U11111111'", ["", ""], [r"AAAA\q\N{DASH}\U11111111"]),
        ("'" + "\\n" * 3000 + "'", ["", ""], ["\\n" * 3000]),
        ("print'a'if'b'else'c'", ["print", "if", "else", ""], ["a", "b", "c"]),
        ("if'{':elif'}'", ["if", ":elif", ""], ["{", "}"]),
    ],
)
def test_literals_and_comments(source: str, code: list[str], literals: list[str | None]) -> None:
    assert lex(source) == Lexed(code, literals)


@pytest.mark.parametrize(
    ("source", "code", "literals"),
    [
        ("f'a'", ["f", ""], ["a"]),
        ("f'{{a}}'", ["f", ""], ["{a}"]),
        ("F'a{b}c'", ["F", "{b}", ""], ["a", "c"]),
        ("f'{a}{b}'", ["f", "{a}", "{b}", ""], ["", "", ""]),
        ("f'{a!r:>{w}.3}'", ["f", "{a!r:", "{w}", "}", ""], ["", ">", ".3", ""]),
        ("f'{ {1: 2}[1] }{x[a:b]}'", ["f", "{ {1: 2}[1] }", "{x[a:b]}", ""], ["", "", ""]),
        ("f'{(lambda x: x)}'", ["f", "{(lambda x: x)}", ""], ["", ""]),
        ('f"{x["a"]}" \'b\'', ["f", "{x[", "]}", " ", ""], ["", "a", "", "b"]),
        ("f'{f'{f'{1}'}'}'", ["f", "{f", "{f", "{1}", "}", "}", ""], [""] * 6),
        ("f'{\na # '\n}'", ["f", "{\na ", "\n}", ""], ["", None, ""]),
        ("f'''{a:'>{w}}'\n''b'''", ["f", "{a:", "{w}", "}", ""], ["", "'>", "", "'\n''b"]),
        ("f'\\N{DASH}{a}' rf'\\N{b}'", ["f", "{a}", " rf", "{b}", ""], ["\\N{DASH}", "", "\\N", ""]),
        ("f'\\{a}' f'\\\\{b}' f'\\'{c}'", ["f", "{a}", " f", "{b}", " f", "{c}", ""], ["\\", "", "\\", "", "'", ""]),
        ("f'\\x7b{a}'", ["f", "{a}", ""], ["{", ""]),
        ("Rt'{a}' tR'b' ft'c'", ["Rt", "{a}", " tR", " ft", ""], ["", "", "b", "c"]),
        ("f'" + "{x:" * 3 + "}" * 3 + "'", ["f", "{x:", "{x:", "{x:", "}", "}", "}", ""], [""] * 7),
    ],
)
def test_formatted_literals(source: str, code: list[str], literals: list[str | None]) -> None:
    assert lex(source) == Lexed(code, literals)


@pytest.mark.parametrize(
    "source",
    [
        *("'", '"', "'a\nb'", "'''a'", "'''a''\\'", "'\\'", "''''", "f'", "f'{", "f'{a", "f'{a'", "f'{a:", "f'{a:b"),
        *("f'}'", "f'{a:'", "f'{a]}'", "f'{(}'", "f'a\nb'", "f'{#}'", "f'{\"}'", "f'''{a}''", "f'{a:}}'"),
        *("f'{" * 151 + "}'" * 151, "f'" + "{x:" * 151 + "}" * 151 + "'"),
    ],
)
def test_what_does_not_end(source: str) -> None:
    assert lex(source) is None


def test_decoding() -> None:
    assert decode(b"a\r\nb\rc\n") == "a\nb\nc\n"
    assert decode(b"\xef\xbb\xbf'\xc3\xa9'") == "'é'"
    assert decode(b"# -*- coding: LATIN_1 -*-\n'\xe9'") == "# -*- coding: LATIN_1 -*-\n'é'"
    assert decode(b"x\n# coding: latin-1\n'\xe9'") is None  # Python reads a second line only below a comment or a blank
    assert decode(b"# coding: rot13\n") is None
