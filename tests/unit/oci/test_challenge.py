"""What registries ask for, and what is sent for it."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.oci.auth import Login
from lamina.oci.challenge import Challenge, challenges, token, token_request

BEARER = Challenge("bearer", {"realm": "https://auth.r.io/token?x=1", "service": "r.io"})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ('Basic realm="a, b"', [("basic", {"realm": "a, b"})]),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
            [("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"})],
        ),
        ('BEARER Realm = "a" , error=invalid_token', [("bearer", {"realm": "a", "error": "invalid_token"})]),
        ('Negotiate, Basic realm="\\"q\\\\"', [("negotiate", {}), ("basic", {"realm": '"q\\'})]),
        ('Bearer realm="first",realm="second"', [("bearer", {"realm": "first"})]),
        ('Bearer realm="open', [("bearer", {}), ("realm", {}), ("open", {})]),
    ],
)
def test_challenges(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(found.scheme, found.parameters) for found in challenges(header)] == expected


@given(st.text())
def test_no_header_is_too_odd(header: str) -> None:
    for found in challenges(header):
        token_request(found, ["repository:a:pull"], Login("u", "p"), plain=True)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,9}", fullmatch=True), st.text(), max_size=5))
def test_what_is_quoted_is_read_again(parameters: dict[str, str]) -> None:
    quoted = {key: value.replace("\\", "\\\\").replace('"', '\\"') for key, value in parameters.items()}
    header = "Bearer " + ", ".join(f'{key}="{value}"' for key, value in quoted.items())
    assert challenges(header) == (Challenge("bearer", parameters),)


def test_requests_for_tokens() -> None:
    asked = token_request(BEARER, ["repository:a:pull", "repository:b:pull"], None, plain=False)
    assert asked is not None
    assert asked.url == (
        "https://auth.r.io/token?x=1&service=r.io&scope=repository%3Aa%3Apull&scope=repository%3Ab%3Apull"
    )
    assert (asked.method, asked.headers, asked.body) == ("GET", {}, b"")
    asked = token_request(BEARER, ["repository:a:pull"], Login("u", "p"), plain=False)
    assert asked is not None
    assert asked.headers == {"Authorization": "Basic dTpw"}
    asked = token_request(BEARER, ["repository:a:pull"], Login(identity_token="T/="), plain=False)  # noqa: S106
    assert asked is not None
    assert (asked.method, asked.url) == ("POST", "https://auth.r.io/token?x=1")
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["refresh_token"],
        "service": ["r.io"],
        "client_id": ["lamina"],
        "scope": ["repository:a:pull"],
        "refresh_token": ["T/="],
    }


@pytest.mark.parametrize(
    "realm", ["", "http://a/t", "ftp://a/t", "file:///etc/passwd", "https://u:p@a/t", "https://", "https://[", "/token"]
)
def test_no_password_goes_to_such_a_realm(realm: str) -> None:
    challenge = Challenge("bearer", {"realm": realm})
    assert token_request(challenge, [], Login("u", "p"), plain=False) is None


def test_a_registry_on_loopback_may_name_a_realm_of_http_there_and_nowhere_else() -> None:
    for realm, fine in (("http://localhost:5001/t", True), ("http://[::1]/t", True), ("http://a/t", False)):
        asked = token_request(Challenge("bearer", {"realm": realm}), [], None, plain=True)
        assert (asked is not None) == fine


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"token": "a.b-c"}', "a.b-c"),
        (b'{"access_token": "x="}', "x="),
        (b'{"token": "a\\r\\nX: y"}', None),
        (b'{"token": ""}', None),
        (b'{"token": 1}', None),
        (b"[]", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_tokens(content: bytes, expected: str | None) -> None:
    assert token(content) == expected


@pytest.mark.parametrize(
    "realm", [" https://a/t", "\x00https://a/t", "https://a\t/t", "https://a\\b/t", "https://\u00e9/t"]
)
def test_a_realm_that_readers_of_urls_differ_on_is_none(realm: str) -> None:
    assert token_request(Challenge("bearer", {"realm": realm}), [], Login("u", "p"), plain=False) is None
