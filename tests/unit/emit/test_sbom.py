from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st

import lamina
from lamina.emit import embedded, sbom
from lamina.part.model import ELF, PLAIN, Entry, Facts, Index

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
_TARGET = "cp311-manylinux2014_x86_64"
_WHEEL = "pkg-1.0+cpu-cp311-cp311-manylinux2014_x86_64.whl"


def part(
    name: str = "pkg",
    *,
    wheel: str = _WHEEL,
    metadata: Iterable[tuple[str, str]] = (),
    sboms: Iterable[tuple[str, str]] = (),
    entries: Iterable[tuple[str, int]] = (),
) -> tuple[Index, Facts]:
    made = tuple(
        Entry(path, offset=0, length=0, method=0, crc=0, compressed=0, size=0, kind=kind, sha256=bytes([number]) * 32)
        for number, (path, kind) in enumerate(entries)
    )
    index = Index(name, "1.0+cpu", wheel, "ab" * 32, 1, f"python/{name}-1.0+cpu.dist-info", "", 0, made)
    return index, Facts(tuple(metadata), (), tuple(sboms), (), (), {}, 0)


def rendered(parts: Sequence[tuple[Index, Facts]]) -> dict[str, Any]:
    content = sbom.render("tiny", "A tiny layer", _TARGET, parts)
    assert _VALIDATOR.validate_str(content.decode()) is None
    document = json.loads(content)
    assert isinstance(document, dict)
    return document


def wheel_of(*parts: tuple[Index, Facts]) -> dict[str, Any]:
    """The component of the one wheel."""
    (found,) = rendered(parts)["components"]
    assert isinstance(found, dict)
    return found


def listing(*components: object) -> str:
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components})


def test_the_whole_document() -> None:
    made = part(
        metadata=[
            ("License-Expression", "MIT"),
            ("Project-URL", "Source, https://code.example/pkg"),
            ("Home-page", "https://pkg.example"),
        ],
        sboms=[
            ("sboms/rust.cyclonedx.json", listing({"name": "ahash", "version": "0.8", "purl": "pkg:cargo/ahash@0.8"}))
        ],
        entries=[("python/pkg/__init__.py", PLAIN), ("python/pkg.libs/libgomp-a34b3233.so.1.0.0", ELF)],
    )
    purl = f"pkg:pypi/pkg@1.0%2Bcpu?file_name={_WHEEL}".replace("+", "%2B")
    assert rendered([made]) == {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": f"tiny-{_TARGET}",
                "name": "tiny",
                "description": "A tiny layer",
                "properties": [{"name": "lamina:target", "value": _TARGET}],
            },
            "tools": {"components": [{"type": "application", "name": "lamina", "version": lamina.__version__}]},
        },
        "components": [
            {
                "type": "library",
                "bom-ref": purl,
                "name": "pkg",
                "version": "1.0+cpu",
                "scope": "required",
                "purl": purl,
                "hashes": [{"alg": "SHA-256", "content": "ab" * 32}],
                "licenses": [{"license": {"id": "MIT", "acknowledgement": "declared"}}],
                "externalReferences": [
                    {"type": "vcs", "url": "https://code.example/pkg"},
                    {"type": "website", "url": "https://pkg.example"},
                ],
                "components": [
                    {
                        "type": "library",
                        "bom-ref": f"{_WHEEL}/sboms/rust.cyclonedx.json#1",
                        "name": "ahash",
                        "version": "0.8",
                        "purl": "pkg:cargo/ahash@0.8",
                        "properties": [{"name": "lamina:sbom", "value": "sboms/rust.cyclonedx.json"}],
                    },
                    {
                        "type": "library",
                        "bom-ref": f"{_WHEEL}/python/pkg.libs/libgomp-a34b3233.so.1.0.0",
                        "name": "libgomp",
                        "version": "1.0.0",
                        "hashes": [{"alg": "SHA-256", "content": "01" * 32}],
                        "properties": [{"name": "lamina:path", "value": "python/pkg.libs/libgomp-a34b3233.so.1.0.0"}],
                    },
                ],
            }
        ],
        "dependencies": [{"ref": purl}, {"ref": f"tiny-{_TARGET}", "dependsOn": [purl]}],
    }


def test_the_bytes_are_indented_sorted_and_end_in_a_line_feed() -> None:
    content = sbom.render("tiny", "Größe", _TARGET, [part()])
    assert content.startswith(b'{\n  "$schema": ')
    assert content.endswith(b"\n}\n")
    assert "Größe".encode() in content
    assert content.decode() == json.dumps(json.loads(content), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def test_the_same_parts_in_any_order_make_the_same_bytes() -> None:
    one, two = part("one", wheel="one-1.0-py3-none-any.whl"), part("two", wheel="two-1.0-py3-none-any.whl")
    assert sbom.render("tiny", "", _TARGET, [one, two]) == sbom.render("tiny", "", _TARGET, [two, one])


def test_the_layer_depends_on_each_wheel() -> None:
    parts = [part(name, wheel=f"{name}-1.0-py3-none-any.whl") for name in ("one", "two")]
    refs = [f"pkg:pypi/{name}@1.0%2Bcpu?file_name={name}-1.0-py3-none-any.whl" for name in ("one", "two")]
    assert rendered(parts)["dependencies"] == [
        {"ref": refs[0]},
        {"ref": refs[1]},
        {"ref": f"tiny-{_TARGET}", "dependsOn": refs},
    ]


def test_a_layer_of_nothing_and_without_description_has_a_bill_too() -> None:
    document = json.loads(sbom.render("tiny", "", _TARGET, []))
    assert document["metadata"]["component"] == {
        "type": "library",
        "bom-ref": f"tiny-{_TARGET}",
        "name": "tiny",
        "properties": [{"name": "lamina:target", "value": _TARGET}],
    }
    assert "components" not in document


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (
            [("License-Expression", "MIT OR Apache-2.0")],
            [{"expression": "MIT OR Apache-2.0", "acknowledgement": "declared"}],
        ),
        ([("License", "bsd-3-clause")], [{"license": {"id": "BSD-3-Clause", "acknowledgement": "declared"}}]),
        ([("License", "new BSD")], [{"license": {"name": "new BSD", "acknowledgement": "declared"}}]),
        (
            [
                ("Classifier", "License :: OSI Approved :: MIT License"),
                ("Classifier", "License :: OSI Approved :: BSD License"),
            ],
            [
                {"license": {"name": "BSD License", "acknowledgement": "declared"}},
                {"license": {"name": "MIT License", "acknowledgement": "declared"}},
            ],
        ),
        ([], None),
    ],
)
def test_licences_are_ids_expressions_or_names(metadata: list[tuple[str, str]], expected: object) -> None:
    assert wheel_of(part(metadata=metadata)).get("licenses") == expected


def test_an_expression_beside_other_licences_becomes_a_name() -> None:
    licences = [{"license": {"id": "MIT"}}, {"expression": "MIT OR Apache-2.0"}]
    (component,) = wheel_of(part(sboms=[("sboms/x.json", listing({"name": "a", "licenses": licences}))]))["components"]
    assert component["licenses"] == [
        {"license": {"id": "MIT", "acknowledgement": "declared"}},
        {"license": {"name": "MIT OR Apache-2.0", "acknowledgement": "declared"}},
    ]


def test_extension_modules_are_not_listed() -> None:
    entries = [("python/pkg/lib.cpython-311-x86_64-linux-gnu.so", ELF), ("python/pkg/libdata.so.txt", PLAIN)]
    assert "components" not in wheel_of(part(entries=entries))


def test_the_same_library_under_two_paths_is_listed_twice() -> None:
    entries = [("python/pkg.libs/libz-0cf96a72.so.1", ELF), ("python/pkg/lib/libz.so.1", ELF)]
    components = wheel_of(part(entries=entries))["components"]
    assert [(found["name"], found["properties"][0]["value"]) for found in components] == [
        ("libz", "python/pkg.libs/libz-0cf96a72.so.1"),
        ("libz", "python/pkg/lib/libz.so.1"),
    ]


def test_a_component_of_two_embedded_bills_is_listed_once_by_the_first() -> None:
    bills = [("sboms/b.json", listing({"name": "a"}, {"name": "c"})), ("sboms/a.json", listing({"name": "a"}))]
    components = wheel_of(part(sboms=bills))["components"]
    assert [(found["name"], found["properties"][0]["value"]) for found in components] == [
        ("a", "sboms/a.json"),
        ("c", "sboms/b.json"),
    ]


def test_a_purl_that_is_none_is_left_out() -> None:
    (component,) = wheel_of(part(sboms=[("sboms/x.json", listing({"name": "a", "purl": "nonsense"}))]))["components"]
    assert "purl" not in component


def test_unreadable_bills_are_told_and_do_no_harm_to_the_others() -> None:
    many = listing(*({"name": f"n{number}"} for number in range(embedded.MOST_COMPONENTS)))
    bills = [
        ("sboms/a.json", listing({"name": "a"})),
        ("sboms/b.json", "{"),
        ("sboms/c.json", many),
        ("sboms/d.xml", "<bom/>"),
    ]
    wheel = wheel_of(part(sboms=bills))
    assert [found["name"] for found in wheel["components"]] == ["a"]
    assert wheel["properties"] == [
        {"name": "lamina:unreadable-sbom", "value": "sboms/b.json: not JSON"},
        {"name": "lamina:unreadable-sbom", "value": "sboms/c.json: more than 2,000 components in one wheel"},
        {"name": "lamina:unreadable-sbom", "value": "sboms/d.xml: not JSON"},
    ]


def test_a_description_that_utf_8_cannot_hold_is_written_all_the_same() -> None:
    assert b'"description": "?"' in sbom.render("tiny", "\udcff", _TARGET, [])


_WORDS = st.text(max_size=12) | st.sampled_from(
    ["", "MIT", "MIT OR Apache-2.0", "https://a.example/%zz", "https://a.example/#x", "pkg:cargo/a@1", "pkg:pypi/a#b"]
)
_PURLS = st.from_regex(r"pkg:[a-z/]{0,4}[/@?#%a-z=]{0,12}", fullmatch=True) | _WORDS
_COMPONENTS = st.fixed_dictionaries(
    {"name": _WORDS},
    optional={
        "group": _WORDS,
        "version": _WORDS,
        "purl": _PURLS,
        "type": st.sampled_from(["file", "cryptographic-asset", "x"]),
        "licenses": st.lists(
            st.fixed_dictionaries({"expression": _WORDS})
            | st.fixed_dictionaries({"license": st.fixed_dictionaries({"id": _WORDS})}),
            max_size=3,
        ),
    },
)
_FIELDS = st.sampled_from(["License", "License-Expression", "Classifier", "Home-page", "Project-URL"])
_METADATA = st.lists(
    st.tuples(_FIELDS, _WORDS | _WORDS.map("Source, https://{}".format) | _WORDS.map("License :: {}".format)),
    max_size=4,
)


@given(_METADATA, st.lists(_COMPONENTS, max_size=4))
def test_whatever_a_wheel_states_the_bill_is_valid(metadata: list[tuple[str, str]], components: list[object]) -> None:
    rendered([part(metadata=metadata, sboms=[("sboms/x.json", listing(*components))])])
