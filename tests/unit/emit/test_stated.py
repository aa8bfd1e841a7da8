from __future__ import annotations

import pytest

from lamina.emit import stated
from lamina.emit.stated import Licence, Links

_MIT = "MIT License\n        \n        Copyright (c) 2022 Somebody\n        \n        Permission is hereby granted"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ((), Licence("", ())),
        (
            (("License-Expression", "MIT OR Apache-2.0"), ("License", "MIT")),
            Licence("License-Expression", ("MIT OR Apache-2.0",)),
        ),
        ((("license", " new  BSD\t"),), Licence("License", ("new BSD",))),
        (
            (("License", "UNKNOWN"), ("Classifier", "License :: OSI Approved :: MIT License")),
            Licence("Classifier", ("MIT License",)),
        ),
        ((("License", ""), ("Classifier", "License :: OSI Approved")), Licence("Classifier", ("OSI Approved",))),
        (
            (
                ("Classifier", "Programming Language :: Python"),
                ("Classifier", "License :: OSI Approved :: BSD License"),
                ("Classifier", "License :: OSI Approved :: Apache Software License"),
                ("Classifier", "License :: OSI Approved :: BSD License"),
            ),
            Licence("Classifier", ("BSD License", "Apache Software License")),
        ),
        # A whole text is no name: the classifiers win, then a title.
        ((("License", _MIT), ("Classifier", "License :: Public Domain")), Licence("Classifier", ("Public Domain",))),
        ((("License", _MIT),), Licence("License", ("MIT License",))),
        ((("License", "Copyright (c) 2005, Somebody.\n  All rights reserved."),), Licence("", ())),
        ((("License", "This licence lets you " + "do a lot " * 20),), Licence("", ())),
        ((("License", "MIT\x1b[31m"),), Licence("License", ("MIT [31m",))),
    ],
)
def test_the_licence_is_told_in_the_words_of_the_most_exact_field(metadata: stated.Metadata, expected: Licence) -> None:
    assert stated.licence(metadata) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("MIT", ""),
        (_MIT, "MIT License\n\nCopyright (c) 2022 Somebody\n\nPermission is hereby granted"),
        ("One\r\n  two\r\n    three\r\n", "One\ntwo\n  three"),
        ("One\n       |two\n       |  three\n       |", "One\ntwo\n  three"),
        ("One\n  | two\n  three", "One\n| two\nthree"),
    ],
)
def test_the_text_of_a_licence_is_freed_from_the_form_of_the_header(value: str, expected: str) -> None:
    assert stated.licence_text((("License", value),)) == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ((), Links("", "")),
        ((("Home-page", "https://example.org/pkg"),), Links("https://example.org/pkg", "")),
        (
            (("Home-page", "https://old.example"), ("Project-URL", "Home-Page, https://new.example")),
            Links("https://new.example", ""),
        ),
        (
            (
                ("Project-URL", "Source Code, https://code.example/pkg#readme"),
                ("Project-URL", "Bugs, https://bugs.example"),
            ),
            Links("", "https://code.example/pkg#readme"),
        ),
        (
            (("Project-URL", "repository,https://a.example"), ("Project-URL", "Source, https://b.example")),
            Links("", "https://a.example"),
        ),
        (
            (("Home-page", "UNKNOWN"), ("Project-URL", "Homepage, git@example.org:pkg"), ("Project-URL", "broken")),
            Links("", ""),
        ),
        (
            (
                ("Home-page", "javascript:alert(1)"),
                ("Home-page", "https://x.example/%zz"),
                ("Home-page", "https://x:y/"),
            ),
            Links("", ""),
        ),
        (
            (
                ("Home-page", "https://user:word@x.example"),
                ("Home-page", "https://x.example/#a#b"),
                ("Home-page", "https://" + "x" * 3000),
            ),
            Links("", ""),
        ),
    ],
)
def test_links_are_found_by_their_well_known_labels_and_must_be_urls(
    metadata: stated.Metadata, expected: Links
) -> None:
    assert stated.links(metadata) == expected
