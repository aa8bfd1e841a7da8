"""``lamina audit`` on real artefacts, as users run it: what cannot load on the target is found, and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from uv import find_uv_bin

from lamina.fetch import fetch
from lamina.index import IndexClient, from_environment
from lamina.lock import LockedWheel
from lamina.progress import SILENT
from lamina.store import Store

pytestmark = pytest.mark.usefixtures("index")

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Files = dict[str, bytes]

TARGET = ("--python", "cp311", "--architecture", "x86_64")
#: Magic numbers of native files, by the format that they begin.
MAGICS = {b"\x7fELF": "elf", b"\xcf\xfa\xed\xfe": "macho", b"\xca\xfe\xba\xbe": "macho", b"\xce\xfa\xed\xfe": "macho"}
#: What python3.11 on Lambda (Amazon Linux 2: glibc 2.26, GCC 7) has at most.
CEILINGS = {"GLIBC": (2, 26), "GLIBCXX": (3, 4, 24), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}
#: Codes on which a layer that is being built and the finished zip have to agree.
OF_FILES = set(
    "windows-binary macos-binary wrong-architecture wrong-python-abi glibc-too-new libstdcxx-too-new missing-library "
    "unaligned-segment damaged-file unsafe-path bad-layout unreadable-mode missing-import missing-executable "
    "runtime-library-too-old".split()
)

Wheels = Callable[[str], Files]


@pytest.fixture(scope="session")
def wheel(shared_store: Path) -> Wheels:
    """The files of a wheel on the index, by ``name-version-`` and any part of the rest of its name."""
    known: dict[str, Files] = {}

    def find(wanted: str) -> Files:
        if wanted not in known:
            name, version, tags = re.fullmatch(r"(.+?)-(\d[^-]*)-(.+)", wanted).groups()  # type: ignore[union-attr]
            store = Store(shared_store)
            indexes = from_environment(os.environ)
            with IndexClient(indexes) as client:
                files = client.files(name)
            [file] = [one for one in files if one.version == version and tags in one.filename]
            assert file.sha256 is not None
            assert file.size is not None
            locked = LockedWheel(name, version, file.filename, file.sha256, file.size)
            [path] = fetch([locked], store=store, indexes=indexes, offline=False, progress=SILENT).values()
            with zipfile.ZipFile(path) as archive:
                known[wanted] = {one.filename: archive.read(one) for one in archive.infolist() if not one.is_dir()}
        return known[wanted]

    return find


@pytest.fixture(scope="session")
def right(wheel: Wheels) -> Files:
    """A layer in which everything is right for cp311 on x86_64."""
    return layer_of(
        wheel("pyyaml-6.0.3-cp311-cp311-manylinux2014_x86_64"), wheel("wrapt-1.17.3-cp311-cp311-manylinux1_x86_64")
    )


def layer_of(*wheels: Files) -> Files:
    return {f"python/{path}": content for files in wheels for path, content in files.items()}


def write_zip(path: Path, files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> str:
    """Write a zip as a Unix packer does; ``modes`` are of single paths, those of links and folders included."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.create_system = 3
            folder = stat.S_IFDIR | 0o755 if name.endswith("/") else stat.S_IFREG | 0o644
            info.external_attr = (modes or {}).get(name, folder) << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED, 1)
    return str(path)


def native(files: Files) -> set[str]:
    return {path for path, content in files.items() if content[:4] in MAGICS or content[:2] == b"MZ"}


@pytest.fixture(scope="session")
def audit_schema(repository: Path) -> dict[str, Any]:
    """The shipped schema for what ``lamina audit --json`` prints."""
    whole = json.loads((repository / "build/lamina/report/output.schema.json").read_bytes())
    return {**whole["properties"]["audit"], "$defs": whole["$defs"]}


Judge = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def judge(lamina: Run, audit_schema: dict[str, Any]) -> Judge:
    """Audit as JSON; the findings, after output and exit code were held against each other and the schema."""

    def run(*arguments: str, target: Iterable[str] = TARGET) -> list[dict[str, Any]]:
        done = lamina("audit", *arguments, *target, "--json")
        assert done.returncode in {0, 1}, done.stderr
        assert not done.stderr
        output = json.loads(done.stdout)
        jsonschema.validate(output, audit_schema)
        found = [one for artefact in output["artefacts"] for one in artefact["findings"]] + output["stack"]
        assert done.returncode == any(one["severity"] == "error" and not one["accepted"] for one in found)
        return found

    return run


def errors(found: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((one["code"], one["path"]) for one in found if one["severity"] == "error")


@pytest.mark.parametrize(
    ("code", "foreign"),
    [
        ("windows-binary", "markupsafe-3.0.3-cp311-cp311-win_amd64"),
        ("windows-binary", "cffi-1.17.1-cp311-cp311-win_amd64"),
        ("windows-binary", "cffi-1.17.1-cp311-cp311-win32"),
        ("windows-binary", "numpy-2.3.5-cp311-cp311-win_amd64"),
        ("macos-binary", "markupsafe-3.0.3-cp311-cp311-macosx_11_0_arm64"),
        ("macos-binary", "markupsafe-3.0.2-cp311-cp311-macosx_10_9_universal2"),
        ("macos-binary", "numpy-2.3.5-cp311-cp311-macosx_14_0_arm64"),
        ("wrong-architecture", "markupsafe-3.0.3-cp311-cp311-manylinux2014_aarch64"),
        ("wrong-architecture", "cffi-1.17.1-cp311-cp311-manylinux_2_12_i686"),
        ("wrong-architecture", "cffi-1.17.1-cp311-cp311-manylinux_2_17_s390x"),
        ("wrong-architecture", "numpy-2.3.5-cp311-cp311-manylinux_2_27_aarch64"),
        ("wrong-architecture", "markupsafe-3.0.3-cp311-cp311-musllinux_1_2_aarch64"),
        ("wrong-python-abi", "markupsafe-3.0.3-cp312-cp312-manylinux2014_x86_64"),
        ("wrong-python-abi", "markupsafe-3.0.3-cp313-cp313t-manylinux2014_x86_64"),
        ("wrong-python-abi", "cffi-1.17.1-cp312-cp312-manylinux_2_17_x86_64"),
        ("wrong-python-abi", "pandas-2.3.3-cp312-cp312-manylinux_2_24_x86_64"),
    ],
)
def test_a_wheel_of_another_platform_is_found_whole(
    wheel: Wheels, right: Files, judge: Judge, tmp_path: Path, code: str, foreign: str
) -> None:
    poured = layer_of(wheel(foreign))
    found = judge(write_zip(tmp_path / "layer.zip", right | poured))
    expected = native(poured)
    if code == "wrong-python-abi":  # libraries that are no extension modules know no Python
        expected = {path for path in expected if ".libs/" not in path}
    assert expected
    assert {path for one, path in errors(found) if one == code} == expected
    assert {path for _, path in errors(found)} == expected
    assert not [one for one in found if one["path"] in right]


@pytest.mark.parametrize(
    "foreign",
    ["markupsafe-3.0.3-cp311-cp311-musllinux_1_2_x86_64", "numpy-2.3.5-cp311-cp311-musllinux_1_2_x86_64"],
)
def test_a_musllinux_wheel_is_one_finding_with_all_its_files(
    wheel: Wheels, right: Files, judge: Judge, tmp_path: Path, foreign: str
) -> None:
    poured = layer_of(wheel(foreign))
    every = judge(write_zip(tmp_path / "layer.zip", right | poured))
    others = [one for one in every if one["code"] != "missing-library"]
    [found] = [one for one in every if one["code"] == "missing-library"]
    assert found["severity"] == "error"
    # An extension that asks nothing of libc is told by its name, which no CPython here looks for.
    needless = {path for path in native(poured) if b"libc.musl-" not in poured[path]}
    assert {(one["code"], one["path"]) for one in others} == {("wrong-python-abi", path) for path in needless}
    count = len(native(poured)) - len(needless)
    name = foreign.partition("-")[0]
    expected = f"{name} needs libc.musl-x86_64.so.1: it is of a musllinux wheel, and Lambda has glibc"
    assert found["message"] == expected + (f" ({count} files)" if count > 1 else "")
    assert found["path"] in poured


def needs(content: bytes) -> Iterable[tuple[str, tuple[int, ...]]]:
    """Every symbol version that a library asks for, as pyelftools reads it."""
    for section in ELFFile(io.BytesIO(content)).iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                for version in versions:
                    family, _, number = version.name.partition("_")
                    if family in CEILINGS and number[:1].isdigit():
                        yield family, tuple(map(int, number.split(".")))


@pytest.mark.parametrize(
    "foreign",
    [
        "numpy-2.3.5-cp311-cp311-manylinux_2_27_x86_64",
        "scikit-learn-1.8.0-cp311-cp311-manylinux_2_27_x86_64",
        "lxml-6.0.2-cp311-cp311-manylinux_2_26_x86_64",
        "pillow-12.0.0-cp311-cp311-manylinux_2_27_x86_64",
        "cryptography-50.0.2-cp311-abi3-manylinux_2_34_x86_64",
        "greenlet-3.3.0-cp311-cp311-manylinux_2_24_x86_64",
    ],
)
def test_a_newer_glibc_is_found_where_bytes_ask_for_it(
    wheel: Wheels, right: Files, judge: Judge, tmp_path: Path, foreign: str
) -> None:
    poured = layer_of(wheel(foreign))
    found = judge(write_zip(tmp_path / "layer.zip", right | poured))
    expected = {"glibc-too-new": set[str](), "libstdcxx-too-new": set[str]()}
    for path in native(poured):
        for family, version in needs(poured[path]):
            if version > CEILINGS[family]:
                expected["glibc-too-new" if family == "GLIBC" else "libstdcxx-too-new"].add(path)
    for code, paths in expected.items():
        assert {one["path"] for one in found if one["code"] == code} == paths
    assert not [one for one in found if one["path"] in right]


def test_bytes_tell_whatever_the_name_says(wheel: Wheels, right: Files, judge: Judge, tmp_path: Path) -> None:
    own = "_speedups.cpython-311-x86_64-linux-gnu.so"
    sources = {
        "windows-binary": ("win", "markupsafe-3.0.3-cp311-cp311-win_amd64"),
        "macos-binary": ("mac", "markupsafe-3.0.3-cp311-cp311-macosx_11_0_arm64"),
        "wrong-architecture": ("arm", "markupsafe-3.0.3-cp311-cp311-manylinux2014_aarch64"),
        "missing-library": ("musl", "markupsafe-3.0.3-cp311-cp311-musllinux_1_2_x86_64"),
    }
    files, expected = dict(right), []
    for code, (package, name) in sources.items():
        poured = wheel(name)
        [content] = [poured[path] for path in native(poured)]
        files |= {f"python/{package}/__init__.py": b""}
        for renamed in (own, "plain.so", "stable.abi3.so", "data.bin"):
            files[f"python/{package}/{renamed}"] = content
            if code != "missing-library" or renamed == own:  # one for all files that lack one name
                expected.append((code, f"python/{package}/{renamed}"))
    found = judge(write_zip(tmp_path / "layer.zip", files))
    assert errors(found) == sorted(expected)
    assert not [one for one in found if one["path"] in right]


def test_symbols_tell_of_a_newer_python_under_a_name_of_ours(
    wheel: Wheels, right: Files, judge: Judge, tmp_path: Path
) -> None:
    poured = wheel("pandas-2.3.3-cp312-cp312-manylinux_2_24_x86_64")
    files = {path.replace("cpython-312", "cpython-311"): content for path, content in layer_of(poured).items()}
    found = judge(write_zip(tmp_path / "layer.zip", right | files))
    assert ("wrong-python-abi", "python/pandas/_libs/lib.cpython-311-x86_64-linux-gnu.so") in errors(found)


def test_what_permissions_and_layout_do(right: Files, judge: Judge, tmp_path: Path) -> None:
    so = next(path for path in right if path.endswith(".so") and "yaml" in path)
    modes = {so: 0o100600, "python/wrapt/": 0o40700}
    found = judge(write_zip(tmp_path / "modes.zip", right | {"python/wrapt/": b""}, modes))
    assert {path.rstrip("/") for code, path in errors(found) if code == "unreadable-mode"} == {so, "python/wrapt"}
    bare = {path.removeprefix("python/"): content for path, content in right.items()}
    assert {code for code, _ in errors(judge(write_zip(tmp_path / "bare.zip", bare), "--kind", "layer"))} >= {
        "bad-layout"
    }
    other = {f"python/lib/python3.12/site-packages/{path}": content for path, content in bare.items()}
    assert {code for code, _ in errors(judge(write_zip(tmp_path / "other.zip", other)))} == {"bad-layout"}
    good = {f"python/lib/python3.11/site-packages/{path}": content for path, content in bare.items()}
    assert errors(judge(write_zip(tmp_path / "good.zip", good))) == []
    inner = Path(write_zip(tmp_path / "inner.zip", right)).read_bytes()
    nested = judge(write_zip(tmp_path / "nested.zip", {"layer.zip": inner}), "--kind", "layer")
    assert {code for code, _ in errors(nested)} == {"bad-layout"}


def test_links_that_lead_out_or_nowhere(right: Files, judge: Judge, tmp_path: Path) -> None:
    links = {
        "python/out": b"../../../etc/passwd",
        "python/gone": b"yaml/nothing.py",
        "python/absolute": b"/etc/passwd",
        "python/fine": b"yaml",
    }
    modes = dict.fromkeys(links, 0o120777)
    found = judge(write_zip(tmp_path / "layer.zip", right | links, modes))
    assert errors(found) == [("unsafe-path", path) for path in sorted(set(links) - {"python/fine"})]
    folder = tmp_path / "opt"
    (folder / "python").mkdir(parents=True)
    for path, content in links.items():
        (folder / path).symlink_to(content.decode())
    (folder / "python" / "yaml").mkdir()
    (folder / "python" / "yaml" / "__init__.py").write_bytes(b"")
    assert errors(judge(str(folder))) == errors(found)


def test_damaged_files(right: Files, judge: Judge, tmp_path: Path) -> None:
    so = next(path for path in right if path.endswith(".so") and "yaml" in path)
    segments = [one.header for one in ELFFile(io.BytesIO(right[so])).iter_segments() if one["p_type"] == "PT_LOAD"]
    mapped = max(one.p_offset + one.p_filesz for one in segments)
    for keep in (4, 40, 1000, mapped // 2, mapped - 1):
        found = judge(write_zip(tmp_path / f"{keep}.zip", right | {so: right[so][:keep]}))
        assert errors(found) == [("damaged-file", so)], keep
    whole = Path(write_zip(tmp_path / "whole.zip", right)).read_bytes()
    for keep in (3, len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.zip").write_bytes(whole[:keep])
        assert {code for code, _ in errors(judge(str(tmp_path / "cut.zip")))} == {"damaged-file"}, keep
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(flipped)
    assert {code for code, _ in errors(judge(str(tmp_path / "flipped.zip")))} == {"damaged-file"}


@pytest.mark.skipif(shutil.which("strip") is None, reason="no strip (binutils) on this machine")
def test_a_library_after_strip(wheel: Wheels, judge: Judge, tmp_path: Path) -> None:
    files = wheel("scipy-1.16.3-cp311-cp311-manylinux2014_x86_64")
    poured = layer_of({path: content for path, content in files.items() if ".libs/" in path})
    assert errors(judge(write_zip(tmp_path / "whole.zip", poured))) == []
    library, expected = tmp_path / "library", []
    for path in sorted(native(poured)):
        library.write_bytes(poured[path])
        subprocess.run(["strip", library], check=True, capture_output=True)
        poured[path] = library.read_bytes()
        loads = [one.header for one in ELFFile(io.BytesIO(poured[path])).iter_segments() if one["p_type"] == "PT_LOAD"]
        if any((one.p_vaddr - one.p_offset) % 4096 for one in loads):
            expected.append(("unaligned-segment", path))
    assert expected
    assert errors(judge(write_zip(tmp_path / "layer.zip", poured))) == expected


def test_bytecode_of_another_python(right: Files, judge: Judge, tmp_path: Path) -> None:
    pyc = (3531).to_bytes(2, "little") + b"\r\n" + bytes(40)  # CPython 3.12
    files = right | {
        "python/yaml/alone.pyc": pyc,
        "python/yaml/loader.pyc": pyc,
        "python/yaml/__pycache__/x.cpython-312.pyc": pyc,
    }
    assert errors(judge(write_zip(tmp_path / "layer.zip", files))) == [("wrong-python-abi", "python/yaml/alone.pyc")]


def test_stacks(judge: Judge, tmp_path: Path) -> None:
    paths = [write_zip(tmp_path / f"layer{number}.zip", {f"python/m{number}.py": b""}) for number in range(6)]
    function = write_zip(
        tmp_path / "function.zip", {"handler.py": b"import m0, m4\ndef handler(event, context): ...\n"}
    )
    assert errors(judge(*paths[:5], function)) == []
    six = judge(*paths, function)
    assert [code for code, _ in errors(six)] == ["over-budget"]
    assert [one["message"] for one in six if one["severity"] == "error"] == ["6 layers; a function takes 5"]
    big = [
        write_zip(tmp_path / f"big{number}.zip", {f"python/data{number}.bin": bytes(132_000_000)}) for number in (1, 2)
    ]
    assert errors(judge(big[0])) == []
    assert [code for code, _ in errors(judge(*big))] == ["over-budget"]
    near = write_zip(tmp_path / "near.zip", {"python/data.bin": bytes(110_000_000)})
    found = judge(big[0], near)
    assert errors(found) == []
    assert "near-budget" in {one["code"] for one in found}
    old = judge(write_zip(tmp_path / "old.zip", {"python/m.py": b""}), target=("--python", "cp39", *TARGET[2:]))
    assert [(one["code"], one["severity"]) for one in old] == [("deprecated-runtime", "warning")]


def pour(folder: Path, *arguments: str) -> str:
    """A layer folder of packages as they are on the index, without what they require; returns its path."""
    command = [find_uv_bin(), "pip", "install", "--target", str(folder / "python"), "--python-version", "3.11"]
    command += ["--python-platform", "x86_64-manylinux_2_28", "--only-binary", ":all:", "--no-deps", "--quiet"]
    command += ["--no-config", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(folder)


def test_libraries_programs_and_versions_that_the_runtime_lacks(judge: Judge, tmp_path: Path) -> None:
    def told(*packages: str) -> dict[tuple[str, str], str]:
        found = judge(pour(tmp_path / packages[0], *packages))
        assert not [one for one in found if one["code"] == "missing-import" and one["severity"] != "note"]
        return {(one["code"], one["message"]): one["hint"] for one in found if one["severity"] != "note"}

    lightgbm = told("lightgbm==4.6.0")
    message = "lightgbm needs libgomp.so.1, which python3.11 on Lambda does not have"
    assert "overlay as lib/libgomp.so.1" in lightgbm["missing-library", message]
    opencv = told("opencv-python==4.11.0.86")
    message = "opencv-python needs libGL.so.1, which python3.11 on Lambda does not have (4 files)"
    hint = opencv["missing-library", message]
    assert hint.startswith("Require opencv-python-headless instead")
    assert "missing-library" not in {code for code, _ in told("xgboost-cpu==3.0.5")}  # it brings its libgomp
    [((code, message), hint)] = told("chromadb==1.0.20").items()
    assert (code, message) == (
        "runtime-library-too-old",
        "chromadb 1.0.20 wants SQLite 3.35.0 or newer, and python3.11 on Lambda has 3.7.17: import chromadb raises RuntimeError",  # noqa: E501
    )
    [((code, message), _)] = told("pytesseract==0.3.13").items()
    assert code == "missing-executable"
    assert message.startswith("pytesseract runs the program tesseract")


def test_the_three_errors_of_a_function(lamina: Run, judge: Judge, tmp_path: Path) -> None:
    function = write_zip(
        tmp_path / "function.zip",
        {
            "handler.py": b"import json\nimport boto3\nimport pandas\nfrom worker_tasks import run\n"
            b"import shared.storage\ndef lambda_handler(event, context):\n    return run(event)\n",
            "shared/__init__.py": b"",
        },
    )
    found = judge(function)
    assert {(one["code"], one["severity"], one["path"]) for one in found} == {("missing-import", "error", "handler.py")}
    assert sorted(one["message"].partition(":")[0] for one in found) == [
        "No module named 'pandas'",
        "No module named 'shared.storage'",
        "No module named 'worker_tasks'",
    ]
    layer = write_zip(tmp_path / "layer.zip", {"python/pandas/__init__.py": b"", "python/worker_tasks.py": b"run = 1"})
    assert [one["message"].partition(":")[0] for one in judge(layer, function)] == ["No module named 'shared.storage'"]
    table = lamina("audit", function, *TARGET)
    assert table.returncode == 1
    assert table.stdout.count("error  missing-import  handler.py") == 3
    assert table.stdout.endswith("judged for python3.11 on x86_64: 3 errors\n")


REQUIREMENTS = ("cffi==1.17.1", "markupsafe==3.0.2", "requests==2.32.3")
OTHERS = {
    ("--python", "cp311", "--architecture", "arm64"): "wrong-architecture",
    ("--python", "cp312", "--architecture", "x86_64"): "wrong-python-abi",
}


def tool(
    package: str, *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command of a package from the index, in an environment of its own that uv keeps."""
    whole = [find_uv_bin(), "tool", "run", "--python", "3.11", "--from", package, *command]
    return subprocess.run(whole, capture_output=True, text=True, timeout=300, check=False, cwd=cwd, env=env)


def by_pip(folder: Path, python: str) -> Path:
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
        "--platform",
        "manylinux2014_x86_64",
    ]
    command += ["--python-version", "3.11", "--target", str(folder / "python"), *REQUIREMENTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def by_sam(folder: Path, python: str) -> Path:
    (folder / "deps").mkdir(parents=True)
    (folder / "deps" / "requirements.txt").write_text("\n".join(REQUIREMENTS))
    (folder / "template.yaml").write_text(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Deps:\n    Type: AWS::Serverless::LayerVersion\n"
        "    Properties: {ContentUri: deps, CompatibleRuntimes: [python3.11]}\n"
        "    Metadata: {BuildMethod: python3.11, BuildArchitecture: x86_64}\n"
    )
    path = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0", "HOME": str(folder), "PATH": path}
    env["UV_CACHE_DIR"] = os.environ.get("UV_CACHE_DIR") or str(Path("~/.cache/uv").expanduser())
    if tool("aws-sam-cli", "sam", "--version", env=env).returncode:
        pytest.skip("aws-sam-cli cannot be installed here")
    done = tool("aws-sam-cli", "sam", "build", cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    return folder / ".aws-sam" / "build" / "Deps"


def by_pex(folder: Path, python: str) -> Path:
    if tool("pex", "pex3", "--version").returncode:
        pytest.skip("pex cannot be installed here")
    command = ["pex3", "venv", "create", "--layout", "flat-zipped", "--prefix", "python", "--python", python]
    done = tool("pex", *command, "-d", str(folder / "out"), *REQUIREMENTS)
    assert done.returncode == 0, done.stderr
    [made] = folder.glob("out*.zip")
    return made


def read(layer: Path) -> Files:
    if layer.is_file():
        with zipfile.ZipFile(layer) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    return {path.relative_to(layer).as_posix(): path.read_bytes() for path in layer.rglob("*") if path.is_file()}


@pytest.mark.parametrize("maker", [by_pip, by_sam, by_pex])
def test_layers_that_other_tools_made(
    judge: Judge, python311: str, tmp_path: Path, maker: Callable[[Path, str], Path]
) -> None:
    (tmp_path / "made").mkdir()
    layer = maker(tmp_path / "made", python311)
    found = judge(str(layer))
    assert errors(found) == []
    assert not [one for one in found if one["severity"] == "warning"]
    natives = native(read(layer))
    assert {"python/markupsafe/_speedups.cpython-311-x86_64-linux-gnu.so"} < natives
    for target, code in OTHERS.items():
        wrong = errors(judge(str(layer), target=target))
        assert {one for one, _ in wrong} == {code}
        assert {path for _, path in wrong} == natives


@pytest.mark.parametrize("recipe", ["chroma", "docworker", "sklearn", "sklearn-latest"])
def test_our_own_layers_are_judged_alike_by_build_and_audit(
    lamina: Run, judge: Judge, project: Path, recipe: str
) -> None:
    done = lamina("build", recipe, "--json", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    for outcome in json.loads(done.stdout):
        manifest = outcome["manifest"]
        found = judge(str(project / outcome["artefact"]), "--recipe", recipe, "--target", manifest["target"], target=())
        assert errors(found) == errors(manifest["findings"]) == []
        both = [
            {(one["code"], one["severity"], one["path"], one["message"]) for one in every if one["code"] in OF_FILES}
            for every in (found, manifest["findings"])
        ]
        assert both[0] == both[1]


def test_the_newest_version_that_loads_is_named(wheel: Wheels, judge: Judge, tmp_path: Path) -> None:
    layer = write_zip(tmp_path / "layer.zip", layer_of(wheel("pillow-12.0.0-cp311-cp311-manylinux_2_27_x86_64")))
    found = [one for one in judge(layer, "--online") if one["code"] == "glibc-too-new"]
    assert found
    for one in found:
        told = re.search(r"The newest version that would load on python3\.11: pillow (\S+) \((\S+)\)\.", one["hint"])
        assert told is not None
    filename = told[2]
    name, version, tags = filename.removesuffix(".whl").split("-", 2)
    newest = layer_of(wheel(f"{name}-{version}-{tags}"))
    assert errors(judge(write_zip(tmp_path / "newest.zip", newest))) == []


def test_accepted_findings_stay_visible(
    lamina: Run, project: Path, right: Files, wheel: Wheels, tmp_path: Path
) -> None:
    recipe = project / "recipes" / "mine.toml"
    recipe.write_text(
        'name = "mine"\ndescription = "of a test"\nrequirements = ["six"]\n'
        '[[target]]\npython = "cp311"\narchitecture = "x86_64"\n'
        '[[accept]]\ncode = "windows-binary"\npath = "python/markupsafe/*"\nreason = "never imported"\n'
    )
    files = right | layer_of(wheel("markupsafe-3.0.3-cp311-cp311-win_amd64"))
    layer = write_zip(tmp_path / "layer.zip", files)
    table = lamina("audit", layer, "--recipe", "mine")
    assert table.returncode == 0, table.stderr
    assert "accepted" in table.stdout
    assert "windows-binary" in table.stdout
    [artefact] = json.loads(lamina("audit", layer, "--recipe", "mine", "--json").stdout)["artefacts"]
    [found] = artefact["findings"]
    assert (found["code"], found["severity"], found["accepted"]) == ("windows-binary", "error", True)
    [result] = json.loads(lamina("audit", layer, "--recipe", "mine", "--sarif").stdout)["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "external"}]
    actions = lamina("audit", layer, "--recipe", "mine", env={"GITHUB_ACTIONS": "true"})
    assert actions.returncode == 0
    assert "::error" not in actions.stdout + actions.stderr
    assert lamina("audit", layer, *TARGET).returncode == 1


def test_annotations_and_sarif(lamina: Run, right: Files, wheel: Wheels, tmp_path: Path) -> None:
    files = right | layer_of(wheel("markupsafe-3.0.3-cp311-cp311-win_amd64"))
    layer = write_zip(tmp_path / "layer.zip", files)
    done = lamina("audit", layer, *TARGET, env={"GITHUB_ACTIONS": "true"})
    assert done.returncode == 1
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("::")]
    assert len(lines) == 1
    assert lines[0].startswith("::error ")
    assert "windows-binary" in lines[0]
    log = json.loads(lamina("audit", layer, *TARGET, "--sarif").stdout)
    [run] = log["runs"]
    [result] = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "windows-binary"
    assert result["level"] == "error"
    [place] = result["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "layer.zip"
    assert place["logicalLocations"][0]["fullyQualifiedName"] in native(files)
    both = lamina("audit", layer, *TARGET, "--sarif", "--json")
    assert both.returncode == 2
    assert "--json and --sarif exclude each other" in both.stderr


def tarred(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def oci(layers: Iterable[bytes]) -> Files:
    """An OCI archive of these layers, whose blobs are named by their digests."""
    blobs: Files = {}

    def put(content: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    tars = [put(content, "layer.v1.tar") for content in layers]
    identifiers = [tar["digest"] for tar in tars]
    about = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": identifiers}}
    config = put(json.dumps(about | {"config": {}}).encode(), "config.v1+json")
    manifest = put(json.dumps({"schemaVersion": 2, "config": config, "layers": tars}).encode(), "manifest.v1+json")
    index = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
    return {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index, **blobs}


def saved(layers: Iterable[bytes]) -> Files:
    """An archive as ``docker save`` wrote it for years."""
    files = {f"{number}/layer.tar": content for number, content in enumerate(layers)}
    identifiers = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in files.values()]
    about = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": identifiers}}
    listed = [{"Config": "config.json", "RepoTags": ["test:latest"], "Layers": [*files]}]
    return {**files, "config.json": json.dumps(about).encode(), "manifest.json": json.dumps(listed).encode()}


@pytest.mark.parametrize("form", [oci, saved])
def test_images(
    judge: Judge, right: Files, wheel: Wheels, tmp_path: Path, form: Callable[[Iterable[bytes]], Files]
) -> None:
    foreign = {f"var/task/{path}": content for path, content in wheel("cffi-1.17.1-cp311-cp311-win_amd64").items()}
    fine = {f"opt/{path}": content for path, content in right.items()}
    image = tmp_path / "image.tar"
    image.write_bytes(tarred(form([tarred(fine)])))
    assert errors(judge(str(image))) == []
    image.write_bytes(tarred(form([tarred(fine), tarred(foreign)])))
    assert errors(judge(str(image))) == sorted(("windows-binary", path) for path in native(foreign))
    gone = {f"{path.rpartition('/')[0]}/.wh.{path.rpartition('/')[2]}": b"" for path in native(foreign)}
    image.write_bytes(tarred(form([tarred(fine), tarred(foreign), tarred(gone)])))
    assert errors(judge(str(image))) == []
