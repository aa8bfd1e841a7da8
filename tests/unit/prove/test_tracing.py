"""What was opened, sorted into a trace."""

from __future__ import annotations

from lamina.prove.tracing import sort
from lamina.trace import Traced


def test_bytecode_stands_for_its_source_and_comes_once() -> None:
    opened = [
        "python/zeta/__pycache__/__init__.cpython-311.pyc",
        "python/alpha/__init__.py",
        "python/zeta/__init__.py",
        "python/__pycache__/six.cpython-311.opt-1.pyc",
        "python/alpha/_speed.cpython-311-x86_64-linux-gnu.so",
        "python/alpha.libs/libz-1a.so.1.2",
        "lib/libomp.so",
        "python/zeta-1.dist-info/METADATA",
        "python/old.egg-info/PKG-INFO",
        "python/zeta/table.json",
        "python/bare.pyc",
        "bin/tool",
    ]
    assert sort(opened, "a" * 64) == Traced(
        "a" * 64,
        ("python/zeta/__init__.py", "python/alpha/__init__.py", "python/six.py"),
        (
            "lib/libomp.so",
            "python/alpha.libs/libz-1a.so.1.2",
            "python/alpha/_speed.cpython-311-x86_64-linux-gnu.so",
        ),
        ("python/old.egg-info/PKG-INFO", "python/zeta-1.dist-info/METADATA"),
        ("bin/tool", "python/bare.pyc", "python/zeta/table.json"),
    )
