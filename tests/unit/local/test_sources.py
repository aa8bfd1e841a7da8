"""Which files of a local project count."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import UsageError
from lamina.local.sources import copy, digest, files


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def test_outputs_caches_and_version_control_are_left_out(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "pyproject.toml", "src/a/__init__.py", "src/a/dist/x.txt", "build/own/__init__.py", ".gitignore", "a-b.txt",
        "build/lib/a.py", "build/bdist.linux-x86_64/a.py", "dist/a.whl", ".git/HEAD", "src/a.egg-info/PKG-INFO",
        "src/a/__pycache__/a.pyc", "src/a/old.pyc", ".tox/a.py", "env/pyvenv.cfg", "env/lib/b.py", "node_modules/a.js",
        ".mypy_cache/a", "src/.DS_Store",
    )  # fmt: skip
    assert [name for name, _ in files(tmp_path)] == [
        ".gitignore", "a-b.txt", "build/own/__init__.py", "pyproject.toml", "src/a/__init__.py", "src/a/dist/x.txt"
    ]  # fmt: skip


def test_the_digest_is_of_names_and_content_alone(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "one", "a.py", "b/c.py"), tree(tmp_path / "other", "b/c.py", "a.py")
    (other / "a.py").chmod(0o755)
    tree(other, "dist/x", "b/__pycache__/c.pyc")
    assert digest(one) == digest(other)
    (other / "a.py").rename(other / "d.py")
    assert digest(one) != digest(other)


@pytest.mark.parametrize("content", ["a.py\r\n", "a.py "])
def test_every_byte_counts(tmp_path: Path, content: str) -> None:
    root = tree(tmp_path, "a.py")
    before = digest(root)
    (root / "a.py").write_bytes(content.encode())
    assert digest(root) != before


def test_a_copy_has_the_digest_of_its_original(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a.py", "b/c.py", "dist/x")
    (root / "link.py").symlink_to("a.py")
    (root / "nowhere.py").symlink_to("nowhere")
    copy(root, tmp_path / "copy")
    assert digest(root) == digest(tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").rglob("*")) == ["a.py", "b", "c.py", "link.py"]
    assert not (tmp_path / "copy" / "link.py").is_symlink()


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    root = tree(tmp_path, "a.py")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UsageError) as caught:
        digest(root)
    assert caught.value.message == f"{root / 'a.py'}: cannot be read: Permission denied"
