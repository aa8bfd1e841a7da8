"""Where a project is from, read from git's own files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamina.image.origin import origin, public

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = '[core]\n\tbare = false\n[remote "other"]\n\turl = https://a.example/b\n[remote "origin"]\n\turl = {}\n'


def repository(root: Path, url: str = "https://user:secret@git.example/team/app.git") -> Path:
    git = root / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    git.joinpath("HEAD").write_text("ref: refs/heads/main\n")
    git.joinpath("refs", "heads", "main").write_text(COMMIT + "\n")
    git.joinpath("config").write_text(CONFIG.format(url))
    return git


def test_a_checkout_states_commit_and_remote_without_credentials(tmp_path: Path) -> None:
    repository(tmp_path)
    project = tmp_path / "services" / "one"
    project.mkdir(parents=True)
    assert origin(project) == (COMMIT, "https://git.example/team/app.git")


def test_a_detached_head_and_packed_refs_are_read(tmp_path: Path) -> None:
    git = repository(tmp_path)
    git.joinpath("refs", "heads", "main").unlink()
    git.joinpath("packed-refs").write_text(f"# pack-refs with: peeled\n{COMMIT} refs/heads/main\n")
    assert origin(tmp_path).revision == COMMIT
    git.joinpath("HEAD").write_text("f" * 40 + "\n")
    assert origin(tmp_path).revision == "f" * 40


def test_a_worktree_is_followed_to_its_repository(tmp_path: Path) -> None:
    git = repository(tmp_path / "main")
    mine = git / "worktrees" / "mine"
    mine.mkdir(parents=True)
    mine.joinpath("HEAD").write_text("ref: refs/heads/main\n")
    mine.joinpath("commondir").write_text("../..\n")
    worktree = tmp_path / "mine"
    worktree.mkdir()
    worktree.joinpath(".git").write_text(f"gitdir: {mine}\n")
    assert origin(worktree) == (COMMIT, "https://git.example/team/app.git")


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "ref: ../../secret", "ref: /etc/hostname", "ref: HEAD"])
def test_what_names_no_commit_states_none(tmp_path: Path, head: str) -> None:
    repository(tmp_path).joinpath("HEAD").write_text(head)
    assert origin(tmp_path).revision == ""


def test_refs_that_name_each_other_end(tmp_path: Path) -> None:
    repository(tmp_path).joinpath("refs", "heads", "main").write_text("ref: refs/heads/main")
    assert origin(tmp_path).revision == ""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://token@git.example/a/b.git?key=1#x", "https://git.example/a/b.git"),
        ("ssh://git@git.example:2222/a/b.git", "ssh://git.example:2222/a/b.git"),
        ("git@git.example:a/b.git", "ssh://git.example/a/b.git"),
        ("file:///home/me/repository", ""),
        ("/home/me/repository", ""),
        ("../repository", ""),
        ("C:\\repository", ""),
        ("https://[::1", ""),
        ("", ""),
    ],
)
def test_only_public_parts_of_a_url_are_told(url: str, expected: str) -> None:
    assert public(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "oauth2:secret@git.example/team/app",
        "gcrypt::https://user:secret@git.example/team/app",
        "codecommit::eu-west-1://secret@app",
        "ext::sh",
        "https://secret/word@git.example/team/app",
    ],
)
def test_other_forms_of_a_remote_state_nothing_rather_than_a_secret(url: str) -> None:
    assert public(url) == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX")
@pytest.mark.parametrize("name", ["HEAD", "config", "commondir", "packed-refs"])
def test_a_pipe_among_gits_files_is_not_waited_for(tmp_path: Path, name: str) -> None:
    git = repository(tmp_path)
    git.joinpath("refs", "heads", "main").unlink()
    git.joinpath(name).unlink(missing_ok=True)
    os.mkfifo(git / name)
    assert origin(tmp_path).revision == ""
