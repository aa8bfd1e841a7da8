"""Feed forged bytes to the readers of hostile content, guided by coverage, for a bounded time.

``python scripts/fuzz.py 60`` gives each target 60 seconds; ``python scripts/fuzz.py 60 look`` that target alone. A
target fails with an exception, with an input that takes longer than its limit, or beyond its memory. The input that did
it is kept in ``--findings`` (``dist/fuzz``), and ``--again FILE`` with the target's name runs it once more. Inputs that
reached new code are kept beside them for the next run.

A target is a function of bytes, with its seeds, in ``TARGETS``.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import os
import resource
import struct
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

#: Bytes of address space that a target may use; the fuzzer and the interpreter have some hundred MB of it themselves.
MEMORY = 2 << 30
#: MiB that may be in use at any time, fuzzer and interpreter (about 50) included.
IN_USE = 256
#: Bytes of the longest input.
LONGEST = 1 << 16
#: Bytes of the largest seed; a real library beyond them is cut, which is an input as good.
SEED = 1 << 16


class Target(NamedTuple):
    """What is fuzzed: a function that prepares the call (and does the imports), seeds, and seconds for one input."""

    prepare: Callable[[], Callable[[bytes], object]]
    seeds: Callable[[], Iterator[bytes]]
    limit: float


class SlowError(Exception):
    """An input took longer than its target may."""


def _look() -> Callable[[bytes], object]:
    import msgspec

    from lamina.binary.look import is_native, look
    from lamina.binary.model import Binary

    def call(content: bytes) -> object:
        found = look(content)
        if found is not None:
            if not is_native(content[:64]):
                raise AssertionError("look() finds what is_native() passes over")
            if msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Binary) != found:
                raise AssertionError("what look() finds does not survive storage")
        return found

    return call


def _trim() -> Callable[[bytes], object]:
    from lamina.binary.look import look
    from lamina.binary.trim import LEAST_SAVED, trimmed

    def call(content: bytes) -> object:
        smaller = trimmed(content)
        if smaller is not None:
            if len(content) - len(smaller) < LEAST_SAVED:
                raise AssertionError("a file is touched for less than a page")
            if look(smaller) != look(content):
                raise AssertionError("a trimmed file does not say what the whole one says")
            if trimmed(smaller) is not None:
                raise AssertionError("a trimmed file is trimmed again")
        return smaller

    return call


def _whole_native_files() -> Iterator[bytes]:
    """The smallest libraries of this interpreter that fit as a whole, since section headers stand at their ends."""
    yield from (content for content in _native_files() if len(content) < SEED)


def _native_files() -> Iterator[bytes]:
    """The smallest libraries of this interpreter, and the beginnings of the other formats."""
    folders = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platlib")]
    paths = {path for folder in folders for path in folder.rglob("*.so*") if path.is_file()}
    for path in sorted(paths, key=lambda path: (path.stat().st_size, str(path)))[:40]:
        with path.open("rb") as file:
            yield file.read(SEED)
    stub = b"MZ" + bytes(58) + struct.pack("<I", 128) + b"This program cannot be run in DOS mode".ljust(64, b"\0")
    yield stub + b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 16, 0x2022) + bytes(16 + 40)
    load = struct.pack("<II16sQQQQIIII", 0x19, 72, b"__TEXT", 0, 4096, 0, 104, 7, 5, 0, 0)
    thin = struct.pack("<IIIIIIII", 0xFEEDFACF, 0x0100_0007, 3, 6, 1, len(load), 0, 0) + load
    yield thin
    yield struct.pack(">IIIIIII", 0xCAFEBABE, 1, 0x0100_0007, 3, 64, len(thin), 12).ljust(64, b"\0") + thin


def _artefact() -> Callable[[bytes], object]:
    from lamina.artefact import open_artefact
    from lamina.audit.check import check
    from lamina.errors import LaminaError
    from lamina.report import machine
    from lamina.report.sarif import sarif
    from lamina.target import target_for

    target = target_for("cp311", architecture="x86_64")
    held = os.memfd_create("artefact")

    def call(content: bytes) -> object:
        os.ftruncate(held, 0)
        os.pwrite(held, content, 0)
        try:
            artefact = open_artefact(f"/proc/self/fd/{held}", architecture=target.architecture)
        except LaminaError as error:
            return error
        [found] = check([artefact], target)
        machine.render(machine.audit([(artefact, found)], (), target))
        sarif([(artefact.name, found)])
        return found

    return call


def _archives() -> Iterator[bytes]:
    """A layer, a function, a wheel, and images of two formats, with a native file, a link and metadata in each."""
    native = min((content for content in _native_files() if content[:4] == b"\x7fELF"), key=len)[:20_000]
    info = {
        "a-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: a\nVersion: 1.0\nRequires-Dist: b>1\n",
        "a-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: cp311-abi3-linux_x86_64\n",
        "a-1.0.dist-info/RECORD": b"a/__init__.py,,\na/x.cpython-311-x86_64-linux-gnu.so,,\n",
        "a-1.0.dist-info/entry_points.txt": b"[console_scripts]\na = a:main\n",
    }
    code = b"import b.c, ctypes\nfrom . import x\nctypes.CDLL('libgomp.so.1')\ntry:\n    import d\nexcept: pass\n"
    files = {**info, "a/__init__.py": code, "a/x.cpython-311-x86_64-linux-gnu.so": native, "a/y.pyc": bytes(16)}
    layer = {f"python/{path}": content for path, content in files.items()} | {"python/a.pth": b"a\n../b\n"}
    yield _zipped(files)
    yield _zipped(layer)
    yield _zipped({"handler.py": code + b"def handler(event, context): ...\n", **files})
    for opened in (False, True):
        rootfs = _tarred({f"opt/{path}": content for path, content in layer.items()} | {"opt/.wh.b": b""})
        packed = rootfs if opened else gzip.compress(rootfs, 1, mtime=0)
        name, diff = (f"sha256:{hashlib.sha256(content).hexdigest()}" for content in (packed, rootfs))
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff]}})
        listed = json.dumps([{"Config": "c.json", "RepoTags": ["a:b"], "Layers": ["l/layer.tar"]}])
        yield _tarred({"l/layer.tar": packed, "c.json": config.encode(), "manifest.json": listed.encode()})
        blobs = {name: packed}

        def put(value: object, blobs: dict[str, bytes] = blobs) -> dict[str, object]:
            content = json.dumps(value).encode()
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            blobs[digest] = content
            return {"mediaType": "application/json", "digest": digest, "size": len(content)}

        kind = "application/vnd.oci.image.layer.v1.tar" + ("" if opened else "+gzip")
        manifest = {
            "schemaVersion": 2,
            "config": put(json.loads(config)),
            "layers": [{"mediaType": kind, "digest": name, "size": len(packed)}],
        }
        index = {"schemaVersion": 2, "manifests": [put(manifest)]}
        held = {f"blobs/{digest.replace(':', '/')}": content for digest, content in blobs.items()}
        marks = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode()}
        yield _tarred(marks | held)


def _zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (path, content) in enumerate(files.items()):
            entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, content, (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)[number % 2])
        link = zipfile.ZipInfo("python/link", (2020, 1, 1, 0, 0, 0))
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, b"../a")
    return out.getvalue()


def _tarred(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("opt/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../etc"
        archive.addfile(link)
    return out.getvalue()


def _documents() -> Callable[[bytes], object]:
    """Manifests, indexes and configurations of images: what is decoded, chosen from, and made into our own."""
    from lamina.errors import LaminaError
    from lamina.image import config
    from lamina.oci.decode import choose, document
    from lamina.oci.model import Manifest
    from lamina.target import target_for

    target = target_for("cp311", architecture="x86_64")

    def call(content: bytes) -> object:
        with contextlib.suppress(LaminaError):
            base = config.read(content, "base", 1, target)
            config.read(config.make(base, (), None, {"a": "b"}), "ours", 1, target)
        try:
            found = document(content)
            return found if isinstance(found, Manifest) else choose(found, target.architecture, "base")
        except LaminaError as error:
            return error

    return call


def _json_documents() -> Iterator[bytes]:
    digest = f"sha256:{'a' * 64}"
    kind = "application/vnd.oci.image."
    entry = {"mediaType": f"{kind}manifest.v1+json", "digest": digest, "size": 9}
    named = [{**entry, "platform": {"os": "linux", "architecture": name}} for name in ("amd64", "arm64")]
    run = {"Entrypoint": ["/e"], "Cmd": ["a.b"], "Env": ["A=b"], "Labels": {"a": "b"}, "WorkingDir": "/"}
    for value in (
        {"schemaVersion": 2, "mediaType": f"{kind}index.v1+json", "manifests": named},
        {"schemaVersion": 2, "config": entry, "layers": [entry], "annotations": {"a": "b"}},
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2020-01-01T00:00:00Z",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [digest]},
            "history": [{"created_by": "x"}, {"empty_layer": True}],
        },
    ):
        yield json.dumps(value).encode()


def _layout() -> Callable[[bytes], object]:
    """An image archive as a base: opened, all of its blobs read, its files told."""
    import tempfile

    from lamina.errors import LaminaError
    from lamina.image.base import facts
    from lamina.oci.layouts import open_layout
    from lamina.progress import SILENT
    from lamina.store import Store
    from lamina.target import target_for

    target = target_for("cp311", architecture="x86_64")
    held = os.memfd_create("image")

    def call(content: bytes) -> object:
        os.ftruncate(held, 0)
        os.pwrite(held, content, 0)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            store = Store(Path(folder))
            try:
                image = open_layout(Path(f"/proc/self/fd/{held}"), "x86_64", store, name="base")
                for descriptor in image.manifest.layers:
                    for _ in image.blob(descriptor):
                        pass
                return facts(image, store, target, SILENT)
            except LaminaError as error:
                return error

    return call


def _tree() -> Callable[[bytes], object]:
    """What an engine gives of a folder of an image, and of a wheel that was built in one."""
    from lamina.errors import LaminaError
    from lamina.local.received import receive
    from lamina.taken.tree import Budget, read

    def call(content: bytes) -> object:
        pieces = [content[at : at + 700] for at in range(0, len(content), 700)]
        with contextlib.suppress(LaminaError):
            receive(iter(pieces), io.BytesIO(), "x", 1 << 20)
        try:
            files = read(pieces, "/usr/lib/x", "image", Budget("image", 1 << 20, 1000))
        except LaminaError as error:
            return error
        if any(not file.path.startswith("/usr/lib/x") for file in files):
            raise AssertionError("a file from outside of the folder")
        return files

    return call


def _trees() -> Iterator[bytes]:
    yield _tarred({"x/a.so": b"abc", "x/b/c.txt": b"d" * 600})
    yield _tarred({"wheel": b"PK" * 400})
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for name, kind, link in (("x/" + "n" * 200, b"0", ""), ("x/l", b"2", "x" * 150), ("x/h", b"1", "x/l")):
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = kind, link
                archive.addfile(entry)
        yield out.getvalue()


def _texts() -> Callable[[bytes], object]:
    """References, places, challenges of registries, remotes of git, locks, what pip-compile writes."""
    from lamina.errors import LaminaError
    from lamina.image.origin import public
    from lamina.lock import parse as parse_lock
    from lamina.lock import render
    from lamina.oci.challenge import challenges, token, token_request
    from lamina.oci.references import parse, place
    from lamina.resolve.docker import hashes
    from lamina.resolve.uv import parse as parse_answer

    def call(content: bytes) -> object:
        text = content.decode("utf-8", "replace")
        for found in challenges(text):
            asked = token_request(found, ["repository:a:pull"], None, plain=True)
            if asked is not None and not asked.url.lower().startswith(("https://", "http://")):
                raise AssertionError("a token from nowhere")
        token(content)
        if "@" in public(text):
            raise AssertionError("a remote with a user")
        hashes(text)
        parse_answer(text)
        with contextlib.suppress(LaminaError):
            place(text)
            reference = parse(text)
            if parse(str(reference)) != reference:
                raise AssertionError("a reference that is read otherwise when it is written")
        try:
            lock = parse_lock(text, "lock")
        except LaminaError as error:
            return error
        if parse_lock(render(lock), "again") != lock:
            raise AssertionError("a lock that is read otherwise when it is written")
        return lock

    return call


def _some_texts() -> Iterator[bytes]:
    digest = "a" * 64
    yield b"public.ecr.aws/lambda/python:3.11@sha256:" + digest.encode()
    yield b"localhost:5000/a/b__c-d:tag"
    yield b"oci-archive:folder/image.tar"
    yield b'Bearer realm="https://auth.example/token",service="x y",scope="repository:a:pull", Basic realm=a'
    yield b"git@github.com:team/app.git"
    yield b"https://user:word@git.example:8443/team/app.git?x#y"
    yield f"numpy==2.2.6 \\\n    --hash=sha256:{digest}\n    # via\n    #   -r requirements.txt\n".encode()
    yield (
        f"# recipe: a\n# target: b\n# builder: uv 1\n# inputs: {digest}\n# local: ./x y {digest}\n"
        f"# image: sha256:{digest}\n# taken: lib/x.so {digest} 3\n"
        f"a==1.0 --hash=sha256:{digest}  # a-1.0-py3-none-any.whl 3\n"
        f"b==2 --hash=sha256:{digest}  # b-2.tar.gz 3\n"
    ).encode()


TARGETS = {
    "look": Target(_look, _native_files, limit=1.0),
    "trim": Target(_trim, _whole_native_files, limit=1.0),
    "artefact": Target(_artefact, _archives, limit=5.0),
    "documents": Target(_documents, _json_documents, limit=1.0),
    "layout": Target(_layout, _archives, limit=5.0),
    "tree": Target(_tree, _trees, limit=1.0),
    "texts": Target(_texts, _some_texts, limit=1.0),
}


def main() -> int:
    """Run each target in a process of its own, so that its memory can be bounded; 1 where one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("seconds", type=int, nargs="?", default=60, help="for each target")
    parser.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)}; all without one")
    parser.add_argument("--findings", type=Path, default=Path("dist/fuzz"), help="where inputs are kept")
    parser.add_argument("--again", type=Path, metavar="FILE", help="run this input alone, without the fuzzer")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.target) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if options.inside:
        _fuzz(options.target[0], options.seconds, options.findings)
    names = options.target or list(TARGETS)
    if options.again:
        content = options.again.read_bytes()
        for name in names:
            print(f"{name}: {_timed(TARGETS[name])(content)}")
        return 0
    failed = [name for name in names if not _run(name, options.seconds, options.findings)]
    for name in failed:
        print(f"{name}: failed; the input is in {options.findings / name}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, seconds: int, findings: Path) -> bool:
    folder = findings / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(TARGETS[name].seeds()):
        (folder / "corpus" / f"seed-{number}").write_bytes(content)
    command = [sys.executable, __file__, str(seconds), name, "--findings", str(findings), "--inside"]
    # The fuzzer ends by itself; the rest is for the case that one input hangs.
    return subprocess.run(command, check=False, timeout=seconds + 120).returncode == 0


def _timed(target: Target) -> Callable[[bytes], object]:
    """The target's call, which fails where it takes longer than the limit (CPU seconds: other work may be going on)."""
    call = target.prepare()

    def timed(content: bytes) -> object:
        started = time.process_time()
        result = call(content)
        took = time.process_time() - started
        if took > target.limit:
            raise SlowError(f"{len(content)} bytes took {took:.1f} s; {target.limit} s are the limit")
        return result

    return timed


def _fuzz(name: str, seconds: int, findings: Path) -> None:
    """Become the fuzzer of one target; does not return."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

    with atheris.instrument_imports(include=["lamina"]):
        call = _timed(TARGETS[name])
    folder = findings / name
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    options: Sequence[str] = (
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={int(TARGETS[name].limit) * 5}",
        f"-rss_limit_mb={IN_USE}",
        f"-artifact_prefix={folder}{os.sep}",
        "-print_final_stats=1",
    )

    def one(content: bytes) -> None:
        call(content)

    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
