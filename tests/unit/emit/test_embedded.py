from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.emit import embedded
from lamina.emit.embedded import Component, Reading


def cyclonedx(*components: object, **more: object) -> str:
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components, **more})


def library(name: str, version: str = "", purl: str = "", *licences: str) -> Component:
    return Component("library", "", name, version, purl, licences)


def test_cyclonedx_components_are_taken_at_every_depth_the_described_one_first() -> None:
    text = cyclonedx(
        {
            "type": "library",
            "group": "org.example",
            "name": "outer",
            "version": "1.0",
            "purl": "pkg:cargo/outer@1.0",
            "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "Ours"}}],
            "components": [{"type": "file", "name": "inner", "components": [{"name": "innermost"}]}],
        },
        {"type": "framework", "name": "next", "licenses": [{"expression": "MIT OR Apache-2.0"}]},
        metadata={"component": {"type": "library", "name": "crate", "components": [{"name": "target"}]}},
    )
    assert embedded.read(text, "pkg") == Reading(
        (
            library("crate"),
            library("target"),
            Component("library", "org.example", "outer", "1.0", "pkg:cargo/outer@1.0", ("MIT", "Ours")),
            Component("file", "", "inner", "", "", ()),
            library("innermost"),
            Component("framework", "", "next", "", "", ("MIT OR Apache-2.0",)),
        ),
        "",
    )


def test_spdx_packages_are_taken_with_declared_before_concluded_licences() -> None:
    text = json.dumps(
        {
            "spdxVersion": "SPDX-2.3",
            "packages": [
                {
                    "name": "openssl",
                    "versionInfo": "3.0.1",
                    "licenseDeclared": "Apache-2.0",
                    "licenseConcluded": "MIT",
                    "externalRefs": [
                        {"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a"},
                        {"referenceType": "purl", "referenceLocator": "pkg:generic/openssl@3.0.1"},
                    ],
                },
                {
                    "name": "zlib",
                    "versionInfo": "NOASSERTION",
                    "licenseDeclared": "NOASSERTION",
                    "licenseConcluded": "Zlib",
                },
                {"name": "bare", "licenseDeclared": "NONE"},
            ],
        }
    )
    assert embedded.read(text, "pkg") == Reading(
        (
            library("openssl", "3.0.1", "pkg:generic/openssl@3.0.1", "Apache-2.0"),
            library("zlib", "", "", "Zlib"),
            library("bare"),
        ),
        "",
    )


def test_the_wheel_itself_is_passed_over_but_not_what_is_in_it() -> None:
    text = cyclonedx(
        {"name": "My_Pkg", "purl": "pkg:pypi/My_Pkg@1.0?file_name=my_pkg-1.0.whl"},
        {"name": "my.pkg"},
        {"name": "my-pkg", "purl": "pkg:cargo/my-pkg@1.0"},
        {"name": "my_pkg._speedups", "purl": "pkg:pypi/my-pkg@1.0#c-ext/my_pkg._speedups"},
    )
    assert [component.purl for component in embedded.read(text, "my-pkg").components] == [
        "pkg:cargo/my-pkg@1.0",
        "pkg:pypi/my-pkg@1.0#c-ext/my_pkg._speedups",
    ]


def test_what_is_listed_twice_is_taken_once() -> None:
    assert embedded.read(cyclonedx({"name": "one"}, {"name": "one"}), "pkg") == Reading((library("one"),), "")


def test_values_of_wrong_types_and_lengths_count_as_missing() -> None:
    text = cyclonedx(
        7,
        {"name": ["list"]},
        {"name": "  "},
        {"name": "x" * 1025},
        {
            "name": "good",
            "type": "no-such-type",
            "version": 3,
            "purl": {},
            "licenses": [7, {"license": "MIT"}, {"license": {"id": 7}}, {"expression": None}],
            "components": "none",
        },
        metadata=["component"],
    )
    assert embedded.read(text, "pkg") == Reading((library("good"),), "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("<bom/>", "not JSON"),
        ('{"bomFormat": "CycloneDX", "name": "\\ud800"}', "not JSON"),
        ("\udcff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "neither CycloneDX nor SPDX 2"),
        ("{}", "neither CycloneDX nor SPDX 2"),
        ('{"spdxVersion": "SPDX-3.0"}', "neither CycloneDX nor SPDX 2"),
        ('{"spdxVersion": 2}', "neither CycloneDX nor SPDX 2"),
    ],
)
def test_what_is_no_bill_is_a_problem(text: str, problem: str) -> None:
    assert embedded.read(text, "pkg") == Reading((), problem)


def test_a_bill_without_end_is_a_problem() -> None:
    text = cyclonedx(*({"name": f"n{number}"} for number in range(embedded.MOST_COMPONENTS + 1)))
    assert embedded.read(text, "pkg") == Reading((), "more than 2,000 components")


def test_deep_nesting_is_no_problem_of_ours() -> None:
    nested = '{"name": "a", "components": [' * 200 + "]}" * 200
    text = '{"bomFormat": "CycloneDX", "components": [' + nested + "]}"
    assert embedded.read(text, "pkg") == Reading((library("a"),), "")


def test_a_byte_order_mark_does_no_harm() -> None:
    assert embedded.read("\ufeff" + cyclonedx({"name": "one"}), "pkg") == Reading((library("one"),), "")


_KEYS = st.sampled_from(
    [
        "bomFormat",
        "spdxVersion",
        "components",
        "packages",
        "metadata",
        "component",
        "name",
        "type",
        "purl",
        "licenses",
        "license",
        "id",
        "expression",
        "externalRefs",
        "referenceType",
        "referenceLocator",
        "licenseDeclared",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["CycloneDX", "SPDX-2.3", "purl", "MIT"]),
    lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner),
    max_leaves=20,
)


@given(_VALUES | st.dictionaries(_KEYS, _VALUES).map(lambda document: {**document, "bomFormat": "CycloneDX"}))
def test_nothing_makes_the_reader_fail(document: object) -> None:
    reading = embedded.read(json.dumps(document), "pkg")
    assert not (reading.components and reading.problem)
    assert all(component.name for component in reading.components)
