"""The files of a function: which go in, where, with which mode, and what two sources may not both bring."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.emit import zip as zips
from lamina.emit.function import draw
from lamina.errors import UsageError
from lamina.function import pack as packs
from lamina.function.pack import Pack, merge, pack
from lamina.overlay import Generated, kind_of
from lamina.recipe import Source


def write(root: Path, path: str, content: bytes = b"") -> Path:
    where = root / path
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(content)
    return where


def paths(made: Pack) -> list[str]:
    return [file.path for file in made.files]


def refusal(root: Path, *sources: Source) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        pack(root, sources)
    return caught.value.message, caught.value.hint


def zipped(made: Pack) -> bytes:
    out = io.BytesIO()
    sha256 = zips.write(draw(made.files), Path, out)
    assert sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    return out.getvalue()


def test_several_trees_take_their_places(tmp_path: Path) -> None:
    write(tmp_path, "services/api/app.py", b"import shared")
    write(tmp_path, "services/api/sub/x.json", b"{}")
    write(tmp_path, "libs/shared/__init__.py")
    write(tmp_path, "workers/tasks.py", b"x = 1")
    made = pack(
        tmp_path, (Source("services/api"), Source("libs/shared", "shared"), Source("workers/tasks.py", "jobs/"))
    )
    assert paths(made) == ["app.py", "jobs/tasks.py", "shared/__init__.py", "sub/x.json"]
    assert [file.owner for file in made.files] == ["services/api", "workers/tasks.py", "libs/shared", "services/api"]
    assert made.unzipped_bytes == 13 + 2 + 5
    assert made.findings == ()


def test_what_nobody_means_to_ship_stays_out(tmp_path: Path) -> None:
    left_out = (
        "__pycache__/a.pyc", "sub/__pycache__/b.pyc", ".git/HEAD", ".gitignore", ".idea/x.xml", ".vscode/settings.json",
        "app.py~", ".app.py.swp", ".#app.py", "#app.py#", ".DS_Store", "sub/Thumbs.db", ".pytest_cache/v/x",
    )  # fmt: skip
    kept = (".env.example", "app.py", "git", "lib.pyc", "sub/data.swp", "sub/mygit.py")
    for path in (*left_out, *kept):
        write(tmp_path, f"f/{path}", b"x")
    assert paths(pack(tmp_path, (Source("f"),))) == sorted(kept)


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ((), ["a.md", "app.py", "sub/b.md", "sub/tests/t.py", "tests/t.py", "tests2/x.py"]),
        (("*.md",), ["app.py", "sub/tests/t.py", "tests/t.py", "tests2/x.py"]),
        (("tests",), ["a.md", "app.py", "sub/b.md", "sub/tests/t.py", "tests2/x.py"]),
        (("tests/",), ["a.md", "app.py", "sub/b.md", "sub/tests/t.py", "tests2/x.py"]),
        (("**/tests",), ["a.md", "app.py", "sub/b.md", "tests2/x.py"]),
        (("tests/*", "a.md"), ["app.py", "sub/b.md", "sub/tests/t.py", "tests2/x.py"]),
        (("A.MD",), ["a.md", "app.py", "sub/b.md", "sub/tests/t.py", "tests/t.py", "tests2/x.py"]),
    ],
)
def test_globs_leave_out(tmp_path: Path, exclude: tuple[str, ...], left: list[str]) -> None:
    for path in ("a.md", "app.py", "sub/b.md", "sub/tests/t.py", "tests/t.py", "tests2/x.py"):
        write(tmp_path, f"f/{path}")
    assert paths(pack(tmp_path, (Source("f", exclude=exclude),))) == left


def test_modes_come_from_content(tmp_path: Path) -> None:
    for path, content, mode in (("a.py", b"x", 0o777), ("b.sh", b"#!/bin/sh\n", 0o600), ("c", b"\x7fELF...", 0o644)):
        write(tmp_path, f"f/{path}", content).chmod(mode)
    made = pack(tmp_path, (Source("f"),))
    assert [file.mode for file in made.files] == [0o644, 0o755, 0o755]
    with zipfile.ZipFile(io.BytesIO(zipped(made))) as archive:
        assert [oct(info.external_attr >> 16) for info in archive.infolist()] == ["0o100644", "0o100755", "0o100755"]
        assert {info.date_time for info in archive.infolist()} == {(1980, 2, 1, 0, 0, 0)}


def test_bytes_are_kept_as_they_are(tmp_path: Path) -> None:
    content = b"a = 1\r\nb = 2\r\n\x00\xff"
    write(tmp_path, "f/a.py", content)
    with zipfile.ZipFile(io.BytesIO(zipped(pack(tmp_path, (Source("f"),))))) as archive:
        assert archive.read("a.py") == content


LINK_HINT = "Put the file or folder itself there, or give what it points to a source of its own."


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes among files, and links for few users")
def test_links_and_special_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, "f/a.py")
    for make, path in (
        (lambda path: path.symlink_to("a.py"), "f/link.py"),
        (lambda path: path.symlink_to("nowhere"), "f/dangling"),
        (lambda path: path.symlink_to(tmp_path), "f/folder"),
        (os.mkfifo, "f/pipe"),
    ):
        make(tmp_path / path)
        told = f"function.source: {path}: a link or special file, which hosts treat differently"
        assert refusal(tmp_path, Source("f")) == (told, LINK_HINT)
        # What is left out is not looked at.
        assert paths(pack(tmp_path, (Source("f", exclude=(Path(path).name,)),))) == ["a.py"]
        (tmp_path / path).unlink()
    (tmp_path / "g").symlink_to("f")
    told = "function.source: g: a link or special file, which hosts treat differently"
    assert refusal(tmp_path, Source("g")) == (told, LINK_HINT)


def test_what_is_not_there(tmp_path: Path) -> None:
    told = "function.source: nothing: no such file or folder"
    assert refusal(tmp_path, Source("nothing")) == (told, "Correct the path in the recipe.")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a\\b.py", "a backslash in a path"),
        ("a\nb.py", "a control character in a path"),
        (os.fsdecode(b"\xff.py"), "a path that is not UTF-8"),
    ],
)
def test_names_that_no_zip_can_hold(tmp_path: Path, name: str, why: str) -> None:
    try:
        write(tmp_path, f"f/{name}")
    except OSError:
        pytest.skip("this file system has no such names")
    assert refusal(tmp_path, Source("f")) == (f"function.source: f: {name!r}: {why}", "Rename it.")


def test_more_than_lambda_takes_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    (tmp_path / "f").mkdir()
    with (tmp_path / "f" / "model.bin").open("wb") as file:
        file.truncate(262_144_001)
    told = "function.source: 262,144,001 bytes; Lambda takes 262,144,000 of a function and all its layers. The largest "
    told += "file is model.bin, 262,144,001 bytes"
    hint = "Leave out by exclude what the function does not need; load models and data from S3."
    assert refusal(tmp_path, Source("f")) == (told, hint)


HINT = "Map one of the sources to a folder of its own by to, or leave the file out of it by exclude."


def test_two_sources_and_one_path(tmp_path: Path) -> None:
    write(tmp_path, "a/same.py", b"1")
    write(tmp_path, "b/same.py", b"1")
    write(tmp_path, "a/other.py", b"1")
    write(tmp_path, "b/other.py", b"2")
    write(tmp_path, "a/name", b"1")
    write(tmp_path, "b/name/x.py", b"2")
    for sources, winner in (((Source("a"), Source("b")), b"1"), ((Source("b"), Source("a")), b"2")):
        made = pack(tmp_path, sources)
        assert [(found.code, found.severity, found.path, found.message, found.hint) for found in made.findings] == [
            ("file-conflict", "error", "name", "a file of a; b needs a folder of that name", HINT),
            (
                "file-conflict",
                "error",
                "other.py",
                "a and b bring different files for this place in the function",
                HINT,
            ),
        ]
        assert paths(made) == ["name/x.py", "other.py", "same.py"]
        assert made.files[1].content == winner


def generated(path: str, content: bytes, owner: str) -> Generated:
    return Generated(path, content, kind_of(content), owner)


segment = st.sampled_from(["a", "b", "é", "z.py", "__init__.py"])
some_files = st.lists(
    st.builds(
        generated,
        st.lists(segment, min_size=1, max_size=3).map("/".join),
        st.sampled_from([b"", b"x", b"#!/bin/sh\n", b"y" * 99]),
        st.sampled_from(["one", "two", "three"]),
    ),
    max_size=12,
)


@given(st.data(), some_files)
def test_the_order_of_sources_decides_nothing_but_conflicts(data: st.DataObject, given_files: list[Generated]) -> None:
    made = merge(given_files)
    other = merge(data.draw(st.permutations(given_files)))
    assert made.findings == other.findings
    assert paths(made) == paths(other)
    if not made.findings:
        assert made.sha256 == other.sha256
        assert zipped(made) == zipped(other)


@given(some_files)
def test_what_is_merged_is_a_tree_of_what_was_given(given_files: list[Generated]) -> None:
    made = merge(given_files)
    kept = set(paths(made))
    assert len(kept) == len(made.files)
    assert not any(path.startswith(f"{other}/") for path in kept for other in kept)
    assert {(file.path, file.content) for file in made.files} <= {(file.path, file.content) for file in given_files}
    # Nothing goes without a word: what is not there was told of.
    assert {file.path for file in given_files} - kept <= {found.path for found in made.findings}
    assert merge(made.files) == Pack(made.files)


@given(some_files, some_files)
def test_the_digest_tells_packs_apart(one: list[Generated], two: list[Generated]) -> None:
    first, second = merge(one), merge(two)
    same = first.findings == second.findings and [(f.path, f.content) for f in first.files] == [
        (f.path, f.content) for f in second.files
    ]
    told = [(f.path, f.message) for f in first.findings] == [(f.path, f.message) for f in second.findings]
    assert (first.sha256 == second.sha256) == (same and told)


def test_every_name_left_out_says_why() -> None:
    text = Path(packs.__file__).with_name("left_out.txt").read_text(encoding="utf-8")
    names = [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("# ")]
    assert len(names) == len(set(names))
    assert "Sources:" in text
