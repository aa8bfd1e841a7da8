"""Files of credentials, in their order."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from lamina import process
from lamina.errors import MissingToolError, UsageError
from lamina.oci.auth import Found, Login, find

SECRET = "hunter22"  # noqa: S105


def auth(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, **content: Any) -> Path:  # noqa: ANN401
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_the_first_file_that_knows_the_registry_answers(tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = {
        "HOME": str(home),
        "REGISTRY_AUTH_FILE": str(tmp_path / "a.json"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }
    files = [
        tmp_path / "a.json",
        tmp_path / "docker" / "config.json",
        tmp_path / "run" / "containers" / "auth.json",
        home / ".config" / "containers" / "auth.json",
    ]
    for at, path in reversed(list(enumerate(files))):
        write(path, auths={"r.io": auth(f"user{at}")})
        assert find("r.io", "a/b", env) == Found(Login(f"user{at}", SECRET, source=str(path)))
    write(files[0], auths={"other.io": auth("x")})
    assert find("r.io", "a/b", env).login == Login("user1", SECRET, source=str(files[1]))
    last = write(home / ".docker" / "config.json", auths={"r.io": auth("last")})
    assert find("r.io", "a/b", {"HOME": str(home)}).login == Login("user3", SECRET, source=str(files[3]))
    files[3].unlink()
    assert find("r.io", "a/b", {"HOME": str(home)}).login == Login("last", SECRET, source=str(last))
    assert find("r.io", "a/b", {}) == Found(None)


@pytest.mark.parametrize(
    ("key", "registry", "known"),
    [
        ("https://index.docker.io/v1/", "docker.io", True),
        ("docker.io", "docker.io", True),
        ("https://r.io", "r.io", True),
        ("https://r.io/v2/", "r.io", True),
        ("r.io/team", "r.io", True),
        ("r.io/team/app", "r.io", True),
        ("r.io/tea", "r.io", False),
        ("r.io", "r.io:5000", False),
        ("evil-r.io", "r.io", False),
    ],
)
def test_how_a_file_names_a_registry(tmp_path: Path, key: str, registry: str, known: bool) -> None:  # noqa: FBT001
    path = write(tmp_path / "a.json", auths={key: auth("me")})
    found = find(registry, "team/app", {"REGISTRY_AUTH_FILE": str(path)}).login
    assert (found is not None) is known


def test_the_longest_path_is_the_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", auths={"r.io": auth("all"), "r.io/team": auth("team")})
    env = {"REGISTRY_AUTH_FILE": str(path)}
    assert [(find("r.io", name, env).login or Login()).user for name in ("team/app", "other/app")] == ["team", "all"]


def test_an_identity_token(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", auths={"r.io": {"identitytoken": SECRET}})
    login = find("r.io", "a", {"REGISTRY_AUTH_FILE": str(path)}).login
    assert login == Login(identity_token=SECRET, source=str(path))
    assert SECRET not in repr(login)


def test_helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def run(command: list[str], *, stdin: str, **_: object) -> process.Completed:
        asked.append((command[0], stdin))
        answers = {
            "docker-credential-own": (0, json.dumps({"Username": "own", "Secret": SECRET})),
            "docker-credential-token": (0, json.dumps({"Username": "<token>", "Secret": SECRET})),
            "docker-credential-none": (1, "credentials not found in native keychain\n"),
            "docker-credential-broken": (0, f"{SECRET}?"),
            "docker-credential-fails": (2, SECRET),
        }
        if command[0] not in answers:
            raise MissingToolError(f"{command[0]}: cannot be run: No such file or directory")
        return process.Completed(tuple(command), *answers[command[0]], "")

    monkeypatch.setattr(process, "run", run)
    path = tmp_path / "a.json"
    env = {"REGISTRY_AUTH_FILE": str(path)}

    def found(**content: Any) -> Found:  # noqa: ANN401
        write(path, **content)
        return find("r.io", "a", env)

    assert found(credHelpers={"r.io": "own"}).login == Login("own", SECRET, source="docker-credential-own")
    assert found(credsStore="own", credHelpers={"r.io": "token"}).login == Login(
        identity_token=SECRET, source="docker-credential-token"
    )
    assert found(credsStore="none", auths={"r.io": auth("file")}).login == Login("file", SECRET, source=str(path))
    assert found(credsStore="none") == Found(None)
    assert found(credHelpers={"x.io": "own"}) == Found(None)
    assert found(credsStore="broken") == Found(
        None, f"docker-credential-broken, which {path} names, answered something else than credentials"
    )
    assert found(credsStore="fails") == Found(
        None, f"docker-credential-fails, which {path} names, ended with exit code 2"
    )
    assert found(credsStore="gone") == Found(
        None, f"{path} names a credential helper: docker-credential-gone: cannot be run: No such file or directory"
    )
    asked.clear()
    assert found(credsStore="../own") == Found(
        None, f"{path} names a credential helper '../own', which is no name of a program"
    )
    assert asked == []
    write(path, credsStore="own")
    find("docker.io", "library/a", env)
    assert asked == [("docker-credential-own", "https://index.docker.io/v1/")]


@pytest.mark.parametrize("content", ["{", '{"auths": []}', f'{{"auths": {{"r.io": "{SECRET}"}}}}', "[" * 100_000])
def test_files_that_are_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        find("r.io", "a", {"REGISTRY_AUTH_FILE": str(path)})
    assert caught.value.message == f"{path}: is not a file of credentials as Docker and Podman write it"
    assert caught.value.hint == "Correct the file, or remove it and log in again: docker login."


@pytest.mark.parametrize("value", ["????", base64.b64encode(b"nocolon").decode()])
def test_credentials_that_cannot_be_decoded(tmp_path: Path, value: str) -> None:
    path = write(tmp_path / "a.json", auths={"r.io": {"auth": value}})
    with pytest.raises(UsageError) as caught:
        find("r.io", "a", {"REGISTRY_AUTH_FILE": str(path)})
    assert caught.value.message == f"{path}: has credentials that cannot be decoded"
