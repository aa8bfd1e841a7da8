"""Where files of an image stand in a layer."""

from __future__ import annotations

import pytest

from lamina.taken import places


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/usr/share/tesseract-ocr/5/tessdata", "share/tesseract-ocr/5/tessdata"),
        ("/usr/lib/x86_64-linux-gnu/gdk/x.so", "lib/gdk/x.so"),
        ("/usr/lib/aarch64-linux-gnu/libx.so.1", "lib/libx.so.1"),
        ("/lib/x86_64-linux-gnu/libx.so.1", "lib/libx.so.1"),
        ("/usr/lib64/libx.so.1", "lib/libx.so.1"),
        ("/lib64/libx.so.1", "lib/libx.so.1"),
        ("/usr/lib/python3/x.py", "lib/python3/x.py"),
        ("/usr/libexec/tool", "libexec/tool"),
        ("/usr/bin/tool", "bin/tool"),
        ("/bin/tool", "bin/tool"),
        ("/opt/tool/data", "tool/data"),
        ("/etc/fonts/fonts.conf", "etc/fonts/fonts.conf"),
        ("/usr/share/usr/lib/x", "share/usr/lib/x"),
    ],
)
def test_a_path_keeps_what_follows_the_prefix(path: str, place: str) -> None:
    assert places.path(path) == place


def test_libraries_and_programs_stand_where_lambda_looks() -> None:
    assert places.library("libgomp.so.1") == "lib/libgomp.so.1"
    assert places.executable("tesseract") == "bin/tesseract"
