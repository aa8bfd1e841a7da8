"""Write docs/audit-survey.md: what the audit finds in popular packages with native code, held against readelf.

For each package and runtime the newest final version with a Linux wheel for that Python is taken, whatever glibc it
asks for, and judged alone. ``readelf -V`` (binutils) tells the highest symbol versions of the same files once more.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from lamina.artefact import open_artefact
from lamina.audit.check import check
from lamina.audit.model import Artefact
from lamina.fetch import fetch
from lamina.findings import Finding
from lamina.index import IndexClient, Indexes, from_environment
from lamina.index.model import IndexFile
from lamina.lock import LockedWheel
from lamina.progress import SILENT
from lamina.resolve.fit import Fit, final, releases
from lamina.store import Store, default_root
from lamina.target import Target, target_for

OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "audit-survey.md"
#: All of polars that is native stands in polars-runtime-32.
PACKAGES = (
    "numpy scipy pandas scikit-learn pyarrow lightgbm xgboost onnxruntime opencv-python opencv-python-headless pillow "
    "lxml cryptography pymupdf psycopg2-binary grpcio tokenizers polars-runtime-32 shapely torch"
).split()
TARGETS = tuple(target_for(python, architecture="x86_64") for python in ("cp311", "cp312"))
FAMILIES = ("GLIBC", "GLIBCXX", "CXXABI", "GCC")
_NEED = re.compile(rb"Name: (GLIBC|GLIBCXX|CXXABI|GCC)_([0-9.]+)\b")

Ceilings = Mapping[str, tuple[int, ...]]

HEAD = """# What the audit finds in popular packages

Made on {date} by `scripts/survey.py`: for each package the newest version that has a wheel for the Python and Linux on
x86_64, whatever glibc it asks for, judged alone by `lamina audit`. The versions are the highest that any of its native
files asks for; *agrees* says whether `readelf -V` ({readelf}) tells the same four for
the same files. A package is *fine* where every native file in it loads on the runtime. `lamina lock` would choose
an older version where one here is not.

| package | version | runtime | wheel for | GLIBC | GLIBCXX | CXXABI | GCC | agrees | found |
|---|---|---|---|---|---|---|---|---|---|
"""


class Row(NamedTuple):
    """One wheel judged for one runtime."""

    package: str
    file: IndexFile
    target: Target
    ceilings: Ceilings
    readelf: Ceilings
    findings: tuple[Finding, ...]


def main() -> None:
    """Fetch, judge, write; exit code 1 where a ceiling differs from readelf's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    parser.add_argument("--find-links", action="append", default=[], help="a folder of wheels, for torch's CPU build")
    arguments = parser.parse_args()
    if shutil.which("readelf") is None:
        sys.exit("readelf is not on this machine; it is in binutils")
    store = Store(default_root(os.environ))
    indexes = from_environment(os.environ, [str(Path(folder).resolve()) for folder in arguments.find_links])
    rows = []
    for package in arguments.packages:
        for target in TARGETS:
            with IndexClient(indexes) as client:
                local = client.local(package)
                table = releases(client.project(package))
            file = newest(local, Fit(target)) or newest([one for v in final(table) for one in table[v]], Fit(target))
            if file is None:
                print(f"{package}: left out for {target.python}: no wheel", file=sys.stderr)
                continue
            rows.append(judge(package, file, had(package, file, store, indexes), target))
            print(line(rows[-1]), file=sys.stderr)
    version = subprocess.run(["readelf", "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    head = HEAD.format(date=dt.datetime.now(dt.UTC).date().isoformat(), readelf=version.splitlines()[0])
    OUTPUT.write_text(head + "".join(line(row) + "\n" for row in rows), encoding="utf-8")
    sys.exit(any(row.ceilings != row.readelf for row in rows))


def had(package: str, file: IndexFile, store: Store, indexes: Indexes) -> Path:
    """Where the wheel stands on this machine, fetched if need be."""
    if file.url.startswith("file:"):
        return Path(url2pathname(urlsplit(file.url).path))
    if file.sha256 is None or file.size is None:
        sys.exit(f"{file.filename}: the index states no hash or no size")
    wheel = LockedWheel(package, file.version, file.filename, file.sha256, file.size)
    [path] = fetch([wheel], store=store, indexes=indexes, offline=False, progress=SILENT).values()
    return path


def newest(files: Iterable[IndexFile], fit: Fit) -> IndexFile | None:
    """The wheel of the newest version for the target's Python and architecture, the one for the oldest glibc."""
    from packaging.version import Version

    fitting = [
        (Version(file.version), tuple(-number for number in glibc), file.filename, file)
        for file in files
        if not file.yanked and fit.python_fits(file) and (glibc := fit.glibc(file)) is not None
    ]
    return max(fitting, default=(None, None, None, None))[3]


def judge(package: str, file: IndexFile, path: Path, target: Target) -> Row:
    """Audit one wheel alone, and ask readelf about its native files."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder, file.filename)
        shutil.copyfile(path, wheel)
        artefact = open_artefact(str(wheel))
        [findings] = check([artefact], target)
        readelf = asked(wheel, Path(folder, "one"))
    native = tuple(one for one in findings if one.severity != "note" or one.code == "missing-library")
    return Row(package, file, target, ceilings(artefact), readelf, native)


def ceilings(artefact: Artefact) -> Ceilings:
    """The highest version of each family, as the audit reads them."""
    needs = (
        need.version for item in artefact.items if item.binary and item.binary.elf for need in item.binary.elf.needs
    )
    return highest(version.rpartition("_")[::2] for version in needs)


def asked(wheel: Path, scratch: Path) -> Ceilings:
    """The same as readelf tells it, file by file."""
    found: list[tuple[str, str]] = []
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                if member.read(4) != b"\x7fELF":
                    continue
                scratch.write_bytes(b"\x7fELF" + member.read())
            told = subprocess.run(["readelf", "-VW", scratch], capture_output=True, check=True).stdout  # noqa: S607
            found += ((family.decode(), version.decode()) for family, version in _NEED.findall(told))
    return highest(found)


def highest(versions: Iterable[tuple[str, ...]]) -> Ceilings:
    """Family → highest version, of those that are numbers."""
    best: dict[str, tuple[int, ...]] = {}
    for family, text in versions:
        if family in FAMILIES and re.fullmatch(r"\d+(\.\d+)*", text):
            best[family] = max(best.get(family, ()), tuple(map(int, text.split("."))))
    return best


def line(row: Row) -> str:
    """The row as Markdown."""
    platform = row.file.filename.removesuffix(".whl").split("-", 2)[2].replace(".", ", ")
    versions = [".".join(map(str, row.ceilings.get(family, ()))) for family in FAMILIES]
    agrees = "yes" if row.ceilings == row.readelf else f"no: {dict(row.readelf)}"
    runtime = row.target.runtime.name
    cells = (row.package, row.file.version, runtime, platform, *versions, agrees, "; ".join(causes(row)) or "fine")
    return f"| {' | '.join(cell or '-' for cell in cells)} |"


def causes(row: Row) -> Iterable[str]:
    """What was found in a line: each code and severity with what it speaks of, whatever the file."""
    kinds: dict[str, dict[str, None]] = {}
    for one in row.findings:
        kind = f"{one.code} ({one.severity})" if one.severity != "error" else one.code
        spoken = re.search(r"needs (\S+?)[,;.]?(?=\s|$)", one.message)
        kinds.setdefault(kind, {})[spoken[1] if spoken else one.message] = None
    return (f"{kind}: {', '.join(sorted(what))}" for kind, what in kinds.items())


if __name__ == "__main__":
    main()
