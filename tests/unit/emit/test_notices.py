from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.emit import notices
from lamina.part.model import PLAIN, Entry, Facts, Index

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD = """\
Third-party notices

The packages listed here are in this layer, each under its own licence. After the list comes, package by package,
every licence text of its metadata, as it stands in its wheel but for line ends. Licence files that stand among a
package's own files are not repeated here.

"""
_RULE = "=" * 80


def part(
    name: str,
    metadata: Iterable[tuple[str, str]] = (),
    licences: Iterable[tuple[str, str]] = (),
    paths: Iterable[str] = (),
) -> tuple[Index, Facts]:
    entries = tuple(
        Entry(path, offset=0, length=0, method=0, crc=0, compressed=0, size=0, kind=PLAIN, sha256=bytes(32))
        for path in paths
    )
    wheel = f"{name}-1.0-py3-none-any.whl"
    index = Index(name, "1.0", wheel, "0" * 64, 1, f"python/{name}-1.0.dist-info", "", 0, entries)
    return index, Facts(tuple(metadata), tuple(licences), (), (), (), {}, 0)


def body(name: str, metadata: Iterable[tuple[str, str]] = (), **rest: Iterable[object]) -> str:
    """What stands below the heading of one package."""
    text = notices.render([part(name, metadata, **rest)]).decode()  # type: ignore[arg-type]
    return text.rpartition(f"{_RULE}\n")[2]


def test_the_whole_file() -> None:
    zebra = part(
        "zebra",
        [
            ("License-Expression", "MIT"),
            ("Home-page", "https://zebra.example"),
            ("Project-URL", "Source, https://code.example/zebra"),
        ],
        [("licenses/LICENSE", "Take it.\n")],
    )
    adder = part(
        "adder",
        [("Classifier", "License :: OSI Approved :: BSD License")],
        [("NOTICE", "Made by us."), ("LICENSE.txt", "Use it.\nAll of it.")],
    )
    assert notices.render([zebra, adder]).decode() == (
        f"{_HEAD}"
        "  adder 1.0: BSD License\n"
        "  zebra 1.0: MIT\n"
        "\n"
        "\n"
        f"{_RULE}\n"
        "adder 1.0\n"
        "Licence: BSD License (METADATA, classifiers)\n"
        f"{_RULE}\n"
        "\n"
        "--- LICENSE.txt ---\n"
        "\n"
        "Use it.\n"
        "All of it.\n"
        "\n"
        "--- NOTICE ---\n"
        "\n"
        "Made by us.\n"
        "\n"
        "\n"
        f"{_RULE}\n"
        "zebra 1.0\n"
        "Licence: MIT (METADATA, License-Expression)\n"
        "Home page: https://zebra.example\n"
        "Source: https://code.example/zebra\n"
        f"{_RULE}\n"
        "\n"
        "--- licenses/LICENSE ---\n"
        "\n"
        "Take it.\n"
    )


def test_a_source_that_is_the_home_page_is_told_once() -> None:
    url = "https://code.example/pkg"
    text = notices.render([part("pkg", [("Home-page", url), ("Project-URL", f"Source, {url}")])]).decode()
    assert text.count(url) == 1


def test_equal_texts_of_one_package_stand_once_under_all_their_names() -> None:
    said = body("pkg", licences=[("LICENSE", "Take it.\r\n"), ("licenses/LICENSE", "\ufeff\n  \nTake it.\n\n")])
    assert said == "\n--- LICENSE, licenses/LICENSE ---\n\nTake it.\n"


def test_equal_texts_of_two_packages_stand_under_both() -> None:
    text = notices.render([part(name, licences=[("LICENSE", "Take it.")]) for name in ("one", "two")]).decode()
    assert text.count("Take it.") == 2


def test_every_kind_of_line_end_becomes_a_line_feed() -> None:
    assert body("pkg", licences=[("LICENSE", "one\r\ntwo\rthree\n\x0c  four")]) == (
        "\n--- LICENSE ---\n\none\ntwo\nthree\n\x0c  four\n"
    )


def test_a_wheel_without_a_licence_text_is_told_with_what_metadata_states() -> None:
    assert body("pkg", [("License-Expression", "BSD-3-Clause")]) == (
        "\nThis wheel brings no licence text; METADATA states: BSD-3-Clause.\n"
    )


def test_a_wheel_that_says_nothing_at_all_is_told_so() -> None:
    text = notices.render([part("pkg", licences=[("LICENSE", " \n")])]).decode()
    assert text == (
        f"{_HEAD}"
        "  pkg 1.0: METADATA names no licence\n"
        "\n"
        "\n"
        f"{_RULE}\n"
        "pkg 1.0\n"
        f"{_RULE}\n"
        "\n"
        "This wheel brings no licence text; METADATA states: nothing.\n"
    )


def test_the_names_of_authors_are_no_licence_text() -> None:
    assert body("pkg", [("License", "MIT")], licences=[("licenses/AUTHORS.md", "Me.")]) == (
        "\nThis wheel brings no licence text; METADATA states: MIT.\n\n--- licenses/AUTHORS.md ---\n\nMe.\n"
    )


def test_a_text_that_stands_in_the_field_license_is_taken_from_there() -> None:
    assert body("pkg", [("License", "MIT License\n        \n        Permission is hereby granted.")]) == (
        "\n"
        "This wheel brings no licence text as a file; this is METADATA's field License:\n"
        "\n"
        "MIT License\n"
        "\n"
        "Permission is hereby granted.\n"
    )


def test_licences_among_the_package_s_own_files_are_pointed_at() -> None:
    paths = [
        "python/LICENSE",
        "python/pkg-1.0.dist-info/LICENSE-of-installer",
        "python/pkg/COPYING_PARTS.txt",
        "python/pkg/LICENCE.MIT",
        "python/pkg/UNLICENSE",
        "python/pkg/deep/LICENSE",
        "python/pkg/license.py",
        "python/pkg/licensed_models.txt",
        "share/LICENSE",
    ]
    assert body("pkg", [("License", "MIT")], paths=paths) == (
        "\n"
        "This wheel brings no licence text; METADATA states: MIT.\n"
        "Its files hold what may be one: python/LICENSE, python/pkg/COPYING_PARTS.txt, python/pkg/LICENCE.MIT, "
        "python/pkg/UNLICENSE\n"
    )


def test_they_are_not_where_the_metadata_has_a_text() -> None:
    said = body("pkg", licences=[("LICENSE", "Take it.")], paths=["python/pkg/LICENSE"])
    assert said == "\n--- LICENSE ---\n\nTake it.\n"


def test_names_cannot_break_out_of_their_lines() -> None:
    text = notices.render([part("pkg", [("License", "M\x1bI\u2028T")], [("licenses/a\nb", "Take it.")])]).decode()
    assert "Licence: M I T (METADATA, License)\n" in text
    assert "\n--- licenses/a b ---\n" in text


def test_what_utf_8_cannot_hold_is_replaced() -> None:
    assert body("pkg", licences=[("LICENSE", "Andr\u00e9 \udce9")]) == "\n--- LICENSE ---\n\nAndr\u00e9 ?\n"


@pytest.mark.parametrize("size", [0, 1])
def test_few_packages_make_a_file_as_well(size: int) -> None:
    assert notices.render([part("pkg")] * size).startswith(b"Third-party notices\n")


_LINES = st.lists(st.text(st.sampled_from("ab \t\u00e9")), max_size=4)
_TEXTS = st.builds(lambda lines, end: end.join(lines), _LINES, st.sampled_from(["\n", "\r\n", "\r"]))
_PARTS = st.lists(
    st.builds(
        part,
        st.from_regex(r"[a-z][a-z0-9]{0,3}", fullmatch=True),
        licences=st.lists(st.tuples(st.sampled_from(["LICENSE", "COPYING", "NOTICE"]), _TEXTS)),
    ),
    unique_by=lambda made: made[0].name,
    max_size=4,
)


@given(_PARTS, st.randoms(use_true_random=False))
def test_order_of_the_packages_does_not_matter_and_every_text_is_there(
    parts: list[tuple[Index, Facts]], random: object
) -> None:
    rendered = notices.render(parts)
    shuffled = [*parts]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert notices.render(shuffled) == rendered
    assert b"\r" not in rendered
    assert rendered.endswith(b"\n")
    text = rendered.decode()
    for _, facts in parts:
        for _, content in facts.licences:
            assert re.sub("\r\n?", "\n", content).strip() in text
