"""Native files of real packages, trimmed: each that loads as it is loads without what no segment maps, and computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Layers = Any  # the workshop of tests/conftest.py; test files import nothing from each other

PACKAGES = ("scikit-learn", "pandas", "pillow", "cryptography", "psycopg2-binary", "lxml")
WHOLE = "[native]\ntrim = false\n"

#: Opens each library in a child of its own, since constructors may do anything; prints what the loader says.
OPEN = """
import ctypes, json, os, sys
said = {}
for path in sys.argv[1:]:
    read, write = os.pipe()
    if not os.fork():
        try:
            ctypes.CDLL(path, os.RTLD_NOW)
            os.write(write, b"loads")
        except OSError as error:
            os.write(write, str(error).encode()[:2000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said[path] = pipe.read() or "killed"
    os.wait()
print(json.dumps(said))
"""

USES = {
    "numpy": "import numpy.linalg, numpy.fft; assert round(numpy.linalg.det([[1, 2], [3, 4]])) == -2",
    "scipy": "import scipy.linalg, scipy.stats, scipy.optimize, scipy.sparse.linalg, scipy.spatial, scipy.signal\n"
    "assert round(scipy.linalg.inv([[1, 2], [3, 4]])[0][0]) == -2\n"
    "assert scipy.optimize.minimize(lambda x: (x[0] - 3) ** 2, [0]).x.round(3) == 3",
    "pandas": "import pandas; assert pandas.DataFrame({'x': [1, 2], 'y': [1, 1]}).groupby('y').sum().x.item() == 3",
    "scikit-learn": "from sklearn.ensemble import HistGradientBoostingClassifier as C\n"
    "assert C().fit([[0], [1]] * 20, [0, 1] * 20).predict([[1]]) == [1]",
    "pillow": "from PIL import Image, ImageFont; import io; out = io.BytesIO()\n"
    "Image.new('RGB', (8, 8), 'red').save(out, 'JPEG'); Image.new('RGB', (8, 8)).save(out, 'WEBP')\n"
    "assert Image.open(io.BytesIO(out.getvalue())).size == (8, 8)",
    "cryptography": "from cryptography.fernet import Fernet as F; k = F(F.generate_key())\n"
    "assert k.decrypt(k.encrypt(b'x')) == b'x'",
    "psycopg2": "import psycopg2; assert psycopg2.__libpq_version__",
    "lxml": "import lxml.etree as e; assert e.XPath('count(//b)')(e.fromstring('<a><b/><b/></a>')) == 2",
}


def native(layer: Path) -> dict[str, Path]:
    """The ELF files of an unpacked layer, by their paths in it."""
    found = {}
    for path in layer.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    found[path.relative_to(layer).as_posix()] = path
    return found


def opened(interpreter: str, files: dict[str, Path], root: Path) -> dict[str, str]:
    """What the loader says of each file."""
    command = [interpreter, "-I", "-S", "-c", OPEN, *map(str, files.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    return {os.path.relpath(path, root): said.replace(str(root), "") for path, said in json.loads(done.stdout).items()}


@pytest.mark.skipif(sys.platform != "linux", reason="dlopen of Linux libraries")
def test_every_library_that_loads_whole_loads_trimmed(layers: Layers, python311: str) -> None:
    whole = layers.open("trim-whole", PACKAGES, extra=WHOLE)
    small = layers.open("trim-small", PACKAGES)
    before, after = native(whole), native(small)
    assert before.keys() == after.keys()
    assert len(before) > 200
    said = opened(python311, before, whole)
    assert sum(one == "loads" for one in said.values()) > 200
    assert opened(python311, after, small) == said
    sizes = [sum(path.stat().st_size for path in files.values()) for files in (before, after)]
    assert sizes[0] - sizes[1] > 20_000_000
    [manifest] = (small.parent.parent / "dist").glob("*_x86_64.json")
    assert sum(p.get("trimmed_bytes", 0) for p in json.loads(manifest.read_text())["packages"]) == sizes[0] - sizes[1]


@pytest.mark.parametrize("package", USES)
def test_trimmed_packages_compute(package: str, layers: Layers, python311: str) -> None:
    layers.use(layers.open("trim-small", PACKAGES), USES[package], interpreter=python311)


def test_the_sklearn_layer_is_smaller_by_15_mb(lamina: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = lamina("explain", "sklearn", "--target", "cp311-manylinux2014_x86_64", "--json")
    assert done.returncode == 0, done.stderr
    assert sum(row["trimmed_bytes"] for row in json.loads(done.stdout)) >= 15_000_000
