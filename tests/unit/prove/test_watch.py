"""Which files are opened, as the kernel tells it."""

from __future__ import annotations

import ctypes
import os
import select
import sys
import threading
from pathlib import Path

import pytest

from lamina import interpreters
from lamina.errors import MissingToolError
from lamina.interpreters import Host
from lamina.prove import watch as watches
from lamina.prove.watch import watching

linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.txt", "deep/er/b.txt", "deep/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


@linux
def test_files_are_told_in_the_order_of_their_first_opening(tree: Path) -> None:
    with watching(tree) as watch:
        assert watch.opened() == []
        (tree / "deep/er/b.txt").read_text()
        (tree / "a.txt").read_text()
        assert watch.opened() == ["deep/er/b.txt", "a.txt"]
        (tree / "deep/er/b.txt").read_text()
        os.listdir(tree / "deep")  # noqa: PTH208 - opens the folder
        (tree / "deep/c.txt").stat()
        assert watch.opened() == ["deep/er/b.txt", "a.txt"]


@linux
def test_what_code_in_c_opens_and_under_another_name_is_told_by_the_name_used(tree: Path) -> None:
    os.link(tree / "a.txt", tree / "deep" / "hard.txt")
    (tree / "link.txt").symlink_to("deep/c.txt")
    with watching(tree) as watch:
        libc = ctypes.CDLL(None)
        libc.fopen.restype = ctypes.c_void_p
        for name in ("deep/hard.txt", "link.txt"):
            opened = libc.fopen(os.fsencode(tree / name), b"r")
            assert opened
            libc.fclose(ctypes.c_void_p(opened))
        assert watch.opened() == ["deep/hard.txt", "deep/c.txt"]


@linux
def test_finding_the_folders_fills_no_queue(tree: Path) -> None:
    """A layer of more folders than the queue holds events (16,384) could not be traced otherwise."""
    watch = watches.Watch(tree)
    watch._thread = threading.Thread(target=lambda: None)  # what would read the queue
    try:
        watch.start()
        ready, _, _ = select.select([watch._kernel], [], [], 0)
        assert ready == []
    finally:
        watch.close()


@linux
def test_a_queue_that_ran_over_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "_OVERFLOW", 0x20)  # any opening, instead of a queue that would have to be filled
    with watching(tree) as watch:
        (tree / "a.txt").read_text()
        with pytest.raises(MissingToolError) as caught:
            watch.opened()
    assert caught.value.message == "so many files are opened at once that the kernel loses count of them"
    assert caught.value.hint == "Raise fs.inotify.max_queued_events (sysctl), then run it again."


def test_other_systems_are_told_at_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "this_host", lambda: Host("darwin", "arm64"))
    assert interpreters.Host is Host
    with pytest.raises(MissingToolError) as caught, watching(tree):
        pass
    assert caught.value.message == "which files of a layer are opened can be seen on Linux alone"
