"""One configuration of indexes: its precedence, its secrets, and what folders and pages offer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from lamina.errors import IndexAccessError, UsageError
from lamina.index import IndexClient, Indexes, Named, from_environment, redact
from lamina.index.answers import asked_delay
from lamina.index.model import IndexFile, Project
from lamina.index.transport import Transport
from lamina.recipe import Index
from lamina.store import Store

A, B, C = "https://a.invalid/simple", "https://b.invalid/simple", "https://c.invalid/simple"


@pytest.mark.parametrize(
    ("env", "default", "extra"),
    [
        ({}, None, ()),
        ({"UV_DEFAULT_INDEX": A, "UV_INDEX_URL": B, "PIP_INDEX_URL": C}, A, ()),
        ({"UV_INDEX_URL": B, "PIP_INDEX_URL": C}, B, ()),
        ({"PIP_INDEX_URL": C + "/"}, C, ()),
        ({"UV_DEFAULT_INDEX": "  ", "PIP_INDEX_URL": C}, C, ()),
        (
            {"UV_INDEX": f"{A} {B}", "UV_EXTRA_INDEX_URL": C, "PIP_EXTRA_INDEX_URL": "https://d.invalid"},
            None,
            (A, B, C),
        ),
        ({"UV_INDEX": f"mine={A}"}, None, (A,)),
        ({"PIP_EXTRA_INDEX_URL": f"{A}\n{B} {A}"}, None, (A, B)),
        ({"UV_DEFAULT_INDEX": A, "PIP_EXTRA_INDEX_URL": B}, A, (B,)),
        ({"PIP_FIND_LINKS": "/wheels", "UV_FIND_LINKS": "/wheels", "PIP_CONFIG_FILE": "/pip.conf"}, None, ()),
    ],
)
def test_precedence(env: dict[str, str], default: str | None, extra: tuple[str, ...]) -> None:
    assert from_environment(env) == Indexes(default, extra)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        ({"PIP_CERT": "/p"}, "/p"),
        ({"PIP_CERT": "/p", "CURL_CA_BUNDLE": "/c", "REQUESTS_CA_BUNDLE": "/r"}, "/r"),
        ({"SSL_CERT_FILE": "/s", "REQUESTS_CA_BUNDLE": "/r"}, "/s"),
    ],
)
def test_certificates(env: dict[str, str], expected: str | None) -> None:
    assert from_environment(env).certificates == expected


def test_folders_come_from_the_caller_and_start_from_the_base(tmp_path: Path) -> None:
    found = from_environment({}, ["wheels", str(tmp_path / "other")], tmp_path / "project")
    assert found.find_links == (str(tmp_path / "project" / "wheels"), str(tmp_path / "other"))


def test_a_folder_can_be_an_index(tmp_path: Path) -> None:
    assert from_environment({"UV_INDEX": str(tmp_path)}).extra == (tmp_path.resolve().as_uri(),)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nowhere/simple", "UV_INDEX: 'nowhere/simple' is neither a URL nor a folder"),
        ("ftp://u:secret@a.invalid", "UV_INDEX: ftp://***@a.invalid: an index of this kind cannot be asked"),
    ],
)
def test_what_is_no_index(value: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_environment({"UV_INDEX": value})
    assert caught.value.message == message


def test_credentials_leave_the_url() -> None:
    found = from_environment({"UV_DEFAULT_INDEX": "https://me:p%40ss%2Fword@a.invalid:8443/simple/"})
    assert found.default == "https://a.invalid:8443/simple"
    assert found.credential("https://a.invalid:8443/simple/numpy/") == ("me", "p@ss/word")
    assert found.credential("https://a.invalid:8443/files/numpy.whl") == ("me", "p@ss/word")
    assert found.credential("https://a.invalid/simple/numpy/") is None
    assert found.credential("https://evil.invalid/?https://a.invalid:8443/simple/") is None
    assert found.with_credential("https://a.invalid:8443/simple") == "https://me:p%40ss%2Fword@a.invalid:8443/simple"
    assert found.with_credential(B) == B


def test_credentials_of_a_named_index() -> None:
    env = {"UV_INDEX": f"my-own={A}", "UV_INDEX_MY_OWN_USERNAME": "me", "UV_INDEX_MY_OWN_PASSWORD": "secret"}
    assert from_environment(env).credential(A + "/x/") == ("me", "secret")


def test_two_indexes_on_one_host_keep_their_own() -> None:
    found = from_environment({"UV_INDEX": "https://u1:one@a.invalid/team https://u2:two@a.invalid/team-b"})
    assert found.credential("https://a.invalid/team/x/") == ("u1", "one")
    assert found.credential("https://a.invalid/team-b/x/") == ("u2", "two")


def test_files_beside_their_index_take_its_credentials() -> None:
    found = from_environment(
        {
            "UV_INDEX": "https://u0:zero@a.invalid https://u1:one@a.invalid/p/1/simple https://u2:two@a.invalid/p/2/simple"
        }
    )
    for path, user in {"p/1/files/x": "u1", "p/2/simple/x/": "u2", "p/2/x": "u2", "files/x": "u0", "": "u0"}.items():
        known = found.credential(f"https://a.invalid/{path}")
        assert known is not None
        assert known[0] == user, path
    assert found.credential("http://a.invalid/p/1/simple/x/") is None
    assert found.credential("https://a.invalid:444/p/1/simple/x/") is None


OWN = Index(name="own-2-x", url=A + "/", packages=("Foo_Bar", "baz"))


@pytest.mark.parametrize(
    ("env", "url", "credential"),
    [
        ({}, A, None),
        ({"LAMINA_INDEX_OWN_2_X": " "}, A, None),
        ({"LAMINA_INDEX_OWN_2_X": f"{B}/"}, B, None),
        ({"LAMINA_INDEX_OWN_2_X": B + "/?own=1"}, B + "/?own=1", None),
        ({"LAMINA_INDEX_OWN_2_X": "https://me:s%2Fx@b.invalid/simple"}, B, ("me", "s/x")),
        ({"UV_INDEX_OWN_2_X_USERNAME": "me", "UV_INDEX_OWN_2_X_PASSWORD": "pw"}, A, ("me", "pw")),
    ],
)
def test_an_index_for_some_packages(env: dict[str, str], url: str, credential: tuple[str, str] | None) -> None:
    found = from_environment(env, named=[OWN])
    assert found.named == (Named("own-2-x", url, ("baz", "foo-bar")),)
    assert (found.default, found.extra) == (None, ())
    assert found.credential(url + "/foo/") == credential
    assert found.serving("foo-bar") == found.named[0]
    assert found.serving("other") is None


def test_an_index_for_some_packages_that_is_no_index() -> None:
    with pytest.raises(UsageError) as caught:
        from_environment({"LAMINA_INDEX_OWN_2_X": "no/where"}, named=[OWN])
    assert caught.value.message == "LAMINA_INDEX_OWN_2_X: 'no/where' is neither a URL nor a folder"


@pytest.mark.parametrize("loose", [True, False])
def test_its_packages_come_from_it_alone_and_no_others_do(
    tmp_path: Path, forge: Callable[..., Path], *, loose: bool
) -> None:
    for name in ("baz", "other", "foo-bar"):
        page(tmp_path / "public", name, f'<a href="x">{name.replace("-", "_")}-9.0-py3-none-any.whl</a>')
    own = forge("baz", "1.0").parent
    forge("other", "1.0")
    if not loose:
        own = tmp_path / "tree"
        for name in ("baz", "other"):
            page(own, name, f'<a href="x">{name}-1.0-py3-none-any.whl</a>')
    indexes = from_environment({"LAMINA_INDEX_OWN_2_X": str(own), "UV_INDEX": str(tmp_path / "public")}, named=[OWN])
    with IndexClient(indexes, offline=True) as client:
        assert [file.version for file in client.files("Baz")] == ["1.0"]
        assert [file.version for file in client.local("baz")] == ["1.0"]
        assert [file.version for one in client.everywhere("baz") for file in one.wheels] == ["1.0"]
        assert [file.version for file in client.files("other")] == ["9.0"]
        assert not client.project("foo-bar").found
        assert not client.offered("foo-bar").found
        assert list(client.everywhere("foo-bar")) == []


def test_nothing_shows_a_secret() -> None:
    found = from_environment({"UV_DEFAULT_INDEX": "https://me:s3cr%40t@a.invalid/simple"})
    assert "s3cr" not in repr(found)
    assert found.redact("Basic bWU6czNjckB0") == "Basic ***"
    assert found.redact("failed: https://me:s3cr%40t@a.invalid/simple and s3cr@t alone") == (
        "failed: https://***@a.invalid/simple and *** alone"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://a.invalid/x", "see https://a.invalid/x"),
        ("(http://u:p@a.invalid:80/x)", "(http://***@a.invalid:80/x)"),
        ("http://u:p@ss@a.invalid/x", "http://***@a.invalid/x"),
        ("http://token@a.invalid http://b.invalid", "http://***@a.invalid http://b.invalid"),
        ("https://a.invalid/f.whl?X-Signature=abc&x=1 next", "https://a.invalid/f.whl?*** next"),
        ("someone@a.invalid", "someone@a.invalid"),
    ],
)
def test_redaction(text: str, expected: str) -> None:
    assert redact(text) == expected


def page(root: Path, project: str, *links: str) -> None:
    folder = root / project
    folder.mkdir(parents=True)
    folder.joinpath("index.html").write_text("<!DOCTYPE html><html><body>" + "".join(links) + "</body></html>")


def test_pages_of_an_index_in_a_folder(tmp_path: Path) -> None:
    page(
        tmp_path,
        "foo-bar",
        f'<a href="../files/Foo.Bar-1.0-py3-none-any.whl#sha256={"ab" * 32}" data-requires-python="&gt;=3.9">x</a>',
        '<a href="../files/foo_bar-1.1-py3-none-any.whl" data-yanked="bad">foo_bar-1.1-py3-none-any.whl</a>',
        '<a href="../files/foo_bar-2.0.tar.gz">foo_bar-2.0.tar.gz</a>',
        '<a href="../files/other-1.0-py3-none-any.whl">other-1.0-py3-none-any.whl</a>',
        '<a href="../files/foo_bar-x-py3-none-any.whl">foo_bar-x-py3-none-any.whl</a>',
        '<a href="https://u:p@a.invalid/foo_bar-1.2-py3-none-any.whl#md5=00">foo_bar-1.2-py3-none-any.whl</a>',
    )
    with IndexClient(Indexes(tmp_path.as_uri())) as client:
        found = client.project("Foo.Bar")
        assert client.files("missing") == []
    files, odd = tmp_path.as_uri() + "/files/", "Foo.Bar-1.0-py3-none-any.whl"
    assert found.sources == {"2.0"}
    assert found.wheels == (
        IndexFile(odd, "1.0", files + odd, "ab" * 32, None, ">=3.9"),
        IndexFile("foo_bar-1.1-py3-none-any.whl", "1.1", files + "foo_bar-1.1-py3-none-any.whl", yanked=True),
        IndexFile("foo_bar-1.2-py3-none-any.whl", "1.2", "https://a.invalid/foo_bar-1.2-py3-none-any.whl"),
    )  # fmt: skip


def test_the_first_index_that_has_a_project_is_the_only_one(tmp_path: Path) -> None:
    page(tmp_path / "private", "foo", '<a href="foo-1.0-py3-none-any.whl">foo-1.0-py3-none-any.whl</a>')
    page(tmp_path / "public", "foo", '<a href="foo-9.0-py3-none-any.whl">foo-9.0-py3-none-any.whl</a>')
    page(tmp_path / "public", "bar", '<a href="bar-1.0-py3-none-any.whl">bar-1.0-py3-none-any.whl</a>')
    indexes = Indexes((tmp_path / "public").as_uri(), ((tmp_path / "private").as_uri(),))
    with IndexClient(indexes) as client:
        assert [file.version for file in client.files("foo")] == ["1.0"]
        assert [file.version for file in client.files("bar")] == ["1.0"]
        assert [[file.version for file in one.wheels] for one in client.everywhere("foo")] == [["1.0"], ["9.0"]]


def test_folders_of_wheels_come_first_and_beside(tmp_path: Path, forge: Callable[..., Path]) -> None:
    wheel = forge("foo", "1.0")
    (wheel.parent / "notes.txt").write_text("no wheel")
    (wheel.parent / "foo-0.9.tar.gz").write_bytes(b"")
    page(
        tmp_path / "index",
        "foo",
        *(f'<a href="{name}">{name}</a>' for name in (wheel.name, "foo-2.0-py3-none-any.whl")),
    )
    with IndexClient(Indexes((tmp_path / "index").as_uri(), find_links=(str(wheel.parent),))) as client:
        found = client.project("foo")
        assert next(file.url for file in client.local("foo")) == wheel.as_uri()
    assert found.sources == {"0.9"}
    assert [(file.version, file.path == wheel) for file in found.wheels] == [("1.0", True), ("2.0", False)]
    assert found.wheels[0].size == wheel.stat().st_size


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    indexes = Indexes(tmp_path.as_uri(), find_links=(str(tmp_path / "no"),))
    with IndexClient(indexes) as client, pytest.raises(UsageError) as caught:
        client.files("foo")
    assert caught.value.message == f"find-links: {tmp_path / 'no'}: No such file or directory"
    assert caught.value.hint == "Correct find-links in the recipe, or --find-links."


def test_offline_answers_what_was_asked_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.index.pages import Remote

    store = Store(tmp_path)
    known = Project(
        "foo", found=True, wheels=(IndexFile("foo-1.0-py3-none-any.whl", "1.0", A + "/f"),), sources=frozenset({"0.9"})
    )
    answers = {"foo": known, "gone": None}
    monkeypatch.setattr(Remote, "_asked", lambda _, name: answers[name])
    with IndexClient(Indexes(A), store=store) as client:
        assert client.project("foo") == known
        assert not client.project("gone").found
    with IndexClient(Indexes(A), store=store, offline=True) as client:
        assert client.project("foo") == known
        assert not client.project("gone").found
        with pytest.raises(IndexAccessError) as caught:
            client.files("new")
    assert caught.value.message == f"new: offline, and {A} was never asked about it"
    with IndexClient(Indexes(B), store=store, offline=True) as client, pytest.raises(IndexAccessError):
        client.files("foo")  # another index was asked, not this one


@pytest.mark.parametrize(
    "stated",
    ["\u00b2", "1" * 400, "Mon, 01 Jan 0001 00:00:00 -0000", "Mon, 01 Jan 2020 00:00:00 +99999999999999", "-1"],
)
def test_an_odd_retry_after_is_a_number_or_none(stated: str) -> None:
    answer = requests.Response()
    answer.headers["Retry-After"] = stated
    found = asked_delay(answer)
    assert found is None or found >= 0


def test_a_redirect_of_who_asks_no_netrc_gets_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    response = requests.Response()
    response.request = requests.Request("GET", "https://registry.example/v2/").prepare()

    def sent(url: str, *, netrc: bool) -> str | None:
        request = requests.Request("GET", url, headers={"Authorization": "Bearer word"}).prepare()
        with Transport(netrc=netrc) as transport:
            transport.session.rebuild_auth(request, response)
        return request.headers.get("Authorization")

    assert sent("https://elsewhere.example/x", netrc=False) is None
    assert sent("https://registry.example/x", netrc=False) == "Bearer word"
    assert sent("https://elsewhere.example/x", netrc=True) == "Basic bWU6c2VjcmV0"
