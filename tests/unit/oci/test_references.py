"""References as Docker reads them, and places as skopeo names them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lamina.errors import UsageError
from lamina.oci.references import Place, Reference, names_registry, parse, place

DIGEST = "sha256:" + "0123456789abcdef" * 4
FORM = "An image is named [REGISTRY/]NAME[:TAG][@sha256:DIGEST], as public.ecr.aws/lambda/python:3.11 is."


@pytest.mark.parametrize(
    ("text", "expected", "url"),
    [
        ("python", Reference("docker.io", "library/python"), "https://registry-1.docker.io/v2/library/python"),
        ("python:3.11", Reference("docker.io", "library/python", "3.11"), None),
        ("team/app", Reference("docker.io", "team/app"), "https://registry-1.docker.io/v2/team/app"),
        ("docker.io/python", Reference("docker.io", "library/python"), None),
        ("index.docker.io/a/b:c", Reference("docker.io", "a/b", "c"), None),
        ("public.ecr.aws/lambda/python:3.11", Reference("public.ecr.aws", "lambda/python", "3.11"), None),
        ("localhost/app", Reference("localhost", "app"), "http://localhost/v2/app"),
        ("localhost:5000/app:x", Reference("localhost:5000", "app", "x"), "http://localhost:5000/v2/app"),
        ("127.0.0.1:5000/a/b/c", Reference("127.0.0.1:5000", "a/b/c"), "http://127.0.0.1:5000/v2/a/b/c"),
        ("[::1]:5000/app", Reference("[::1]:5000", "app"), "http://[::1]:5000/v2/app"),
        (
            "127.0.0.1.example.com/app",
            Reference("127.0.0.1.example.com", "app"),
            "https://127.0.0.1.example.com/v2/app",
        ),
        ("host:443/app@" + DIGEST, Reference("host:443", "app", "", DIGEST), "https://host:443/v2/app"),
        ("a.b/app:t@" + DIGEST, Reference("a.b", "app", "t", DIGEST), None),
        ("HOST/app", Reference("HOST", "app"), None),
        ("a__b/c-d--e.f", Reference("docker.io", "a__b/c-d--e.f"), None),
    ],
)
def test_references(text: str, expected: Reference, url: str | None) -> None:
    found = parse(text)
    assert found == expected
    assert parse(str(found)) == found
    assert url is None or found.url == url


@pytest.mark.parametrize(
    ("text", "expected"),
    [("python:3.11", False), ("team/app", False), ("a.b/app", True), ("localhost/app", True), ("h:1/app", True)],
)
def test_which_references_name_a_registry(text: str, expected: bool) -> None:  # noqa: FBT001
    assert names_registry(text) is expected
    assert (parse(text).registry != "docker.io") is expected


def test_what_names_the_manifest() -> None:
    assert [parse(text).version for text in ("a", "a:b", f"a:b@{DIGEST}")] == ["latest", "b", DIGEST]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the name has an empty part"),
        ("a//b", "the name has an empty part"),
        ("localhost:5000/", "the name has an empty part"),
        ("Python", "'Python' is no part of a name: lower-case letters, digits and single '.', '_', '-' between them"),
        ("a/../b", "'..' is no part of a name: lower-case letters, digits and single '.', '_', '-' between them"),
        ("a:", "'' is no tag, which is up to 128 letters, digits, '_', '.' and '-'"),
        ("a:b c", "'b c' is no tag, which is up to 128 letters, digits, '_', '.' and '-'"),
        ("a@sha256:12", "'sha256:12' is no digest, which is sha256: and 64 of 0-9 and a-f"),
        ("user:word@a.b/c", "'a.b/c' is no digest, which is sha256: and 64 of 0-9 and a-f"),
        ("a.b:port/c", "'a.b:port' is no host name with or without a port"),
        ("a.b:65536/c", "'a.b:65536' is no host name with or without a port"),
        ("-x.y/c", "'-x.y' is no host name with or without a port"),
        ("a.b/" + "c" * 255, "the name has more than 255 characters"),
    ],
)
def test_what_is_no_reference(text: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.message == f"{text!r} names no image: {what}"
    assert caught.value.hint == FORM


@given(st.text(st.sampled_from("aB0.:/@_-[] \n\0%#?"), max_size=40))
@example("a\n")
def test_a_reference_is_safe_in_a_url_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except UsageError:
        return
    assert not set("?#%@ \n\0\\") & set(found.url + found.version)
    assert ".." not in found.url
    assert parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python:3.11", Place("registry", "python:3.11")),
        ("docker://python:3.11", Place("registry", "docker.io/library/python:3.11")),
        ("oci:some/folder", Place("oci", "some/folder")),
        ("oci-archive:/x/base.tar", Place("oci-archive", "/x/base.tar")),
        ("docker-archive:base.tar", Place("docker-archive", "base.tar")),
        ("docker-daemon:name:tag", Place("docker-daemon", "name:tag")),
        ("docker://oci:1", Place("registry", "docker.io/library/oci:1")),
    ],
)
def test_places(text: str, expected: Place) -> None:
    assert place(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("oci:", "'oci:': names no folder"),
        ("docker-archive:", "'docker-archive:': names no file"),
        ("docker-daemon:", "'docker-daemon:': names no image of the engine"),
        ("https://a.b/c", "'https://a.b/c': images are not named by https://"),
        ("docker://", "'' names no image: the name has an empty part"),
    ],
)
def test_what_is_no_place(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        place(text)
    assert caught.value.message == message
