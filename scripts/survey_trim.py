"""Trim the native files of popular packages, and tell whether each that loaded before loads after.

Without arguments it does so for the packages below, and writes docs/trim-survey.md. Arguments are names of packages or
paths of wheels; what is found of those is printed, and nothing is written. Of a package the newest wheel for CPython
3.11 on Linux x86_64 is fetched. Each wheel is unpacked three times: as it is, trimmed as parts are, and with binutils'
``strip``. Then every library is opened with ``dlopen`` and RTLD_NOW in a process of its own, and every program is asked
for its version. Needs Linux on x86_64 with CPython 3.11; what does not load before, for want of a library of another
wheel, is counted and tells nothing.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime as dt
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from survey import had, newest

from lamina.binary.look import look
from lamina.index import IndexClient, from_environment
from lamina.part.variant import may_change, variant_of
from lamina.resolve.fit import Fit, final, releases
from lamina.store import Store, default_root
from lamina.target import target_for

PACKAGES = """
aiohttp argon2-cffi-bindings asyncpg av bcrypt blake3 blis blosc2 bottleneck brotli cffi charset-normalizer
confluent-kafka contourpy coverage cramjam cryptography curl-cffi cymem cython debugpy duckdb faiss-cpu fastparquet
fonttools frozenlist gensim gevent gmpy2 google-crc32c greenlet grpcio h5py hf-xet hiredis httptools jiter kiwisolver
levenshtein lightgbm llvmlite lxml lz4 markupsafe matplotlib ml-dtypes msgpack msgspec multidict murmurhash mypy netcdf4
numba numcodecs numexpr numpy onnxruntime opencv-python-headless optree orjson pandas pendulum pillow polars-runtime-32
preshed propcache protobuf psutil psycopg-binary psycopg2-binary pyarrow pycryptodome pydantic-core pymongo pymupdf
pynacl pyproj pyyaml pywavelets pyzmq rapidfuzz rasterio regex rpds-py ruff safetensors scikit-image scikit-learn scipy
sentencepiece setproctitle shap shapely simplejson soxr spacy sqlalchemy srsly statsmodels tables thinc tiktoken
tokenizers tornado ujson uvloop watchfiles websockets wrapt xxhash yarl zope-interface zstandard
""".split()
STATES = ("whole", "trimmed", "stripped")
OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "trim-survey.md"

HEAD = """# What trimming does to popular packages

Made on {date} by `scripts/survey_trim.py`: for each package the newest wheel for CPython 3.11 and Linux on x86_64.
Each native file of it is opened as it is, trimmed as lamina's parts are, and after `strip` of binutils {strip}:
libraries with `dlopen` and `RTLD_NOW`, each in a process of its own, programs by asking for their version. *Load* are
the files that load as they are, on {glibc} and without the packages they need; what does not load tells nothing.
*Smaller* are those of them that trimming changes. A file is *broken* if it loaded and anything else happens after.

| package | version | files | MB | load | smaller | MB off by trim | broken | MB off by strip | broken |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|
"""


class Found(NamedTuple):
    """What became of one wheel: counts and bytes by what they are, and each broken file in a line."""

    package: str
    version: str
    figures: Counter[str]
    broken: tuple[str, ...]


def main() -> None:
    """Survey and print a row for each wheel and one for all; exit code 1 where trimming broke a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", nargs="*", metavar="PACKAGE|WHEEL")
    given = parser.parse_args().wheels
    if shutil.which("strip") is None:
        sys.exit("strip is not on this machine; it is in binutils")
    rows = []
    for name in given or PACKAGES:
        version, path = ("", Path(name)) if Path(name).is_file() else wheel_of(name)
        if path is None:
            print(f"{name}: no wheel", file=sys.stderr)
            continue
        found = survey(name, version, path)
        if found.figures["files"]:
            rows.append(found)
            print(line(found), *found.broken, sep="\n", flush=True)
    rows.append(Found(f"all {len(rows)}", "", sum((row.figures for row in rows), Counter()), ()))
    print(line(rows[-1]))
    if not given:
        OUTPUT.write_text(page(rows), encoding="utf-8")
    sys.exit(rows[-1].figures["broken by trim"] > 0)


def page(rows: list[Found]) -> str:
    """The survey as Markdown."""
    version = subprocess.run(["strip", "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    head = HEAD.format(
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        strip=version.splitlines()[0].split()[-1],
        glibc=" ".join(platform.libc_ver()),
    )
    # What is said of a file begins with its path, or with that of a library which it needs.
    lines = [(row.package, one.split(": ")) for row in rows for one in row.broken]
    said = Counter((package, how, why) for package, (_, how, *_, why) in lines)
    broken = [f"- {package}: {how}: {count}, {why}\n" for (package, how, why), count in said.items()]
    tail = ["\nBroken files, and what the loader says of them or of what they need:\n\n", *broken] if broken else []
    return head + "".join([*(line(row) + "\n" for row in rows), *tail])


def line(found: Found) -> str:
    """The row as Markdown; bytes as millions of them."""
    figures = found.figures
    megabytes = {key: f"{figures[key] / 1e6:.1f}" for key in ("bytes", "saved by trim", "saved by strip")}
    cells = (
        found.package,
        found.version,
        figures["files"],
        megabytes["bytes"],
        figures["load"],
        figures["smaller"],
        megabytes["saved by trim"],
        figures["broken by trim"],
        megabytes["saved by strip"],
        figures["broken by strip"],
    )
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def wheel_of(package: str) -> tuple[str, Path | None]:
    """The newest wheel of a package on this machine, fetched if need be, and its version."""
    indexes, fit = from_environment(os.environ, []), Fit(target_for("cp311", architecture="x86_64"))
    with IndexClient(indexes) as client:
        table = releases(client.project(package))
    files = [one for version in final(table) for one in table[version] if not one.filename.endswith("-none-any.whl")]
    file = newest(files, fit)
    if file is None:
        return "", None
    return file.version, had(package, file, Store(default_root(os.environ)), indexes)


def survey(name: str, version: str, wheel: Path) -> Found:
    """What became of one wheel's native files."""
    found: Counter[str] = Counter()
    broken = []
    with tempfile.TemporaryDirectory() as scratch:
        roots = {state: Path(scratch, state) for state in STATES}
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(roots["whole"])
        files = {*every(roots["whole"])}
        native = [path for path in sorted(files) if is_elf(roots["whole"] / path)]
        if not native:
            return Found(name, version, found, ())
        for state in STATES[1:]:
            shutil.copytree(roots["whole"], roots[state], copy_function=os.link)
        for path in native:
            content = (roots["whole"] / path).read_bytes()
            replace(roots["trimmed"] / path, variant_of(content, look(content)) if may_change(path, files) else None)
            replace(roots["stripped"] / path, content)
            subprocess.run(["strip", roots["stripped"] / path], check=False, capture_output=True)  # noqa: S607
        found["files"] = len(native)
        sizes = {state: sum((roots[state] / path).stat().st_size for path in native) for state in STATES}
        found["bytes"] = sizes["whole"]
        found["saved by trim"] = sizes["whole"] - sizes["trimmed"]
        found["saved by strip"] = sizes["whole"] - sizes["stripped"]
        for path in native:
            before = outcome(roots["whole"] / path)
            if not before.startswith("loads"):
                continue
            found["load"] += 1
            found["smaller"] += not (roots["whole"] / path).samefile(roots["trimmed"] / path)
            for state, key in (("trimmed", "broken by trim"), ("stripped", "broken by strip")):
                after = outcome(roots[state] / path)
                if after != before:
                    found[key] += 1
                    broken.append(f"{path}: {key}: {after}")
    return Found(name, version, found, tuple(broken))


def every(root: Path) -> Iterator[str]:
    """All files below a folder."""
    for path in root.rglob("*"):
        if path.is_file():
            yield path.relative_to(root).as_posix()


def is_elf(path: Path) -> bool:
    """Whether the file begins as ELF does."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def replace(path: Path, content: bytes | None) -> None:
    """Put other content at the path, whose file is linked elsewhere."""
    if content is not None:
        path.unlink()
        path.write_bytes(content)


def outcome(path: Path) -> str:
    """What happens when the file is opened as a library, or run if it is a program; begins with "loads" if it does."""
    binary = look(path.read_bytes())
    if binary is None or not binary.library:
        path.chmod(0o755)
        try:
            ran = subprocess.run(
                [path, "--version"], capture_output=True, stdin=subprocess.DEVNULL, timeout=5, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return type(error).__name__
        return f"loads as a program: {ran.returncode}" if ran.returncode >= 0 else f"signal {-ran.returncode}"
    return opened(path)


def opened(path: Path) -> str:
    """What ``dlopen`` says, in a child, since constructors may do anything."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            ctypes.CDLL(str(path), os.RTLD_NOW)
            said = "loads"
        except OSError as error:
            said = str(error).replace(str(path.parent), "")
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    return said or "killed"


if __name__ == "__main__":
    main()
