"""The facts on Lambda: complete, sourced, and exactly the known ones (each table below is written by hand)."""

from __future__ import annotations

import datetime as dt
import re

import msgspec
import pytest
import tomli

from lamina.runtimes import ByArchitecture, Quotas, Runtime, Source, facts, quotas, runtimes

AL2 = {
    "os": "Amazon Linux 2",
    "glibc": (2, 26),
    "glibcxx": (3, 4, 24),
    "cxxabi": (1, 3, 11),
    "glibcxx_inferred": None,
    "cxxabi_inferred": None,
    "gcc": ByArchitecture((7, 0, 0), (7, 0, 0)),
    "gcc_inferred": None,
    "sqlite": (3, 7, 17),
}
AL2023 = {
    "os": "Amazon Linux 2023",
    "glibc": (2, 34),
    "glibcxx": (3, 4, 29),
    "cxxabi": (1, 3, 13),
    "glibcxx_inferred": (3, 4, 33),
    "cxxabi_inferred": (1, 3, 15),
    "gcc": ByArchitecture((7, 0, 0), (11, 0)),
    "gcc_inferred": ByArchitecture((14, 0, 0), (14, 0, 0)),
    "sqlite": (3, 40),
}
SYSTEMS = {
    "python3.9": AL2,
    "python3.10": AL2,
    "python3.11": AL2,
    "python3.12": AL2023,
    "python3.13": AL2023,
    "python3.14": AL2023,
}
DEPRECATED = {
    "python3.9": dt.date(2025, 12, 15),
    "python3.10": dt.date(2026, 10, 31),
    "python3.11": dt.date(2027, 6, 30),
    "python3.12": dt.date(2028, 10, 31),
    "python3.13": dt.date(2029, 6, 30),
    "python3.14": dt.date(2029, 6, 30),
}
PRESENT = {
    "Amazon Linux 2": {
        "libcrypt.so.1",
        "libffi.so.6",
        "libgcc_s.so.1",
        "libstdc++.so.6",
        "libz.so.1",
    },
    "Amazon Linux 2023": {
        "libbz2.so.1",
        "libcrypto.so.3",
        "libffi.so.8",
        "libgcc_s.so.1",
        "liblzma.so.5",
        "libsqlite3.so.0",
        "libssl.so.3",
        "libstdc++.so.6",
        "libz.so.1",
    },
}
UNVERIFIED = {  # in the image, perhaps not in the managed runtime
    "Amazon Linux 2": {"libexpat.so.1", "libglib-2.0.so.0", "libxml2.so.2"},
    "Amazon Linux 2023": {"libuuid.so.1", "libxml2.so.2", "libyaml-0.so.2", "libzstd.so.1"},
}
ABSENT = {
    "Amazon Linux 2": {"libGL", "libX11", "libgfortran", "libgomp", "libquadmath", "libxcb"},
    "Amazon Linux 2023": {
        "libGL",
        "libX11",
        "libcrypt",
        "libexpat",
        "libgdbm",
        "libgfortran",
        "libgomp",
        "libquadmath",
    },
}
OPENSSL = {  # what ssl is linked to; python3.10 and 3.11 cannot be linked to the 1.0.2 of their system (PEP 644)
    "python3.9": (1, 0, 2),
    "python3.10": (1, 1, 1),
    "python3.11": (1, 1, 1),
    "python3.12": (3,),
    "python3.13": (3,),
    "python3.14": (3,),
}
BOTH_OPENSSLS = {"libcrypto.so.1.1", "libcrypto.so.10", "libssl.so.1.1", "libssl.so.10"}
GPU = set(
    "libcublas libcublasLt libcuda libcudart libcudnn libcufft libcufile libcupti libcurand libcusolver libcusparse "
    "libcusparseLt libnccl libnvJitLink libnvToolsExt libnvidia-ml libnvinfer libnvrtc".split()
)
LIBRARY_PATH = "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
GLIBC_ITSELF = {
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libmvec.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
}


def named(name: str) -> Runtime:
    return next(runtime for runtime in runtimes() if runtime.name == name)


def status(sources: tuple[Source, ...], fact: str) -> set[str]:
    return {source.status for source in sources if fact in source.facts}


def test_every_runtime_is_there_oldest_first() -> None:
    assert [runtime.name for runtime in runtimes()] == list(SYSTEMS)
    assert [runtime.abi for runtime in runtimes()] == ["cp39", "cp310", "cp311", "cp312", "cp313", "cp314"]


def test_a_newer_runtime_never_has_an_older_system() -> None:
    assert [runtime.glibc for runtime in runtimes()] == sorted(runtime.glibc for runtime in runtimes())


@pytest.mark.parametrize("name", SYSTEMS)
def test_versions_are_the_known_ones(name: str) -> None:
    runtime = named(name)
    assert {key: getattr(runtime, key) for key in AL2} == SYSTEMS[name]
    assert runtime.deprecated == DEPRECATED[name]
    assert name == "python{}.{}".format(*runtime.python)
    assert runtime.interpreter == f"/var/lang/bin/{name}"
    assert re.fullmatch(re.escape(name.removeprefix("python")) + r"\.\d+", runtime.python_full_version)


@pytest.mark.parametrize("runtime", runtimes(), ids=lambda runtime: runtime.name)
def test_libraries_are_the_known_ones(runtime: Runtime) -> None:
    own = {"libcrypto.so.10", "libssl.so.10"} if runtime.name == "python3.9" else set()
    either = BOTH_OPENSSLS if runtime.openssl == (1, 1, 1) else set()
    assert runtime.openssl == OPENSSL[runtime.name]
    assert runtime.libraries_present == PRESENT[runtime.os] | GLIBC_ITSELF | own
    assert runtime.libraries_unverified == UNVERIFIED[runtime.os] | either
    assert runtime.libraries_absent == ABSENT[runtime.os] | GPU
    assert ":".join(runtime.library_path) == LIBRARY_PATH
    assert runtime.system_folders == ("/lib64", "/usr/lib64", "/lib", "/usr/lib")


@pytest.mark.parametrize(
    ("runtime", "soname", "expected"),
    [
        ("python3.11", "libstdc++.so.6", "present"),
        ("python3.11", "libc.so.6", "present"),
        ("python3.11", "libcrypt.so.1", "present"),
        ("python3.12", "libcrypt.so.1", "absent"),
        ("python3.12", "libgomp.so.1", "absent"),
        ("python3.11", "libgfortran.so.3", "absent"),
        ("python3.11", "libgfortran.so.5", "absent"),
        ("python3.11", "libGL.so.1", "absent"),
        ("python3.11", "libGLU.so.1", "unverified"),
        ("python3.11", "libglib-2.0.so.0", "unverified"),
        ("python3.11", "libffi.so.8", "unverified"),
        ("python3.12", "libffi.so.8", "present"),
        ("python3.12", "libxml2.so.2", "unverified"),
        ("python3.9", "libssl.so.10", "present"),
        ("python3.11", "libssl.so.10", "unverified"),
        ("python3.11", "libssl.so.1.1", "unverified"),
        ("python3.12", "libssl.so.3", "present"),
        ("python3.12", "libcuda.so.1", "absent"),
    ],
)
def test_library(runtime: str, soname: str, expected: str) -> None:
    assert named(runtime).library(soname) == expected


@pytest.mark.parametrize("runtime", runtimes(), ids=lambda runtime: runtime.name)
def test_every_fact_on_a_runtime_has_a_source(runtime: Runtime) -> None:
    stated = {
        field.encode_name
        for field in msgspec.structs.fields(Runtime)
        if field.name != "sources" and getattr(runtime, field.name) is not None
    }
    assert {fact for source in runtime.sources for fact in source.facts} == stated
    assert all(source.where for source in runtime.sources)


@pytest.mark.parametrize("runtime", runtimes(), ids=lambda runtime: runtime.name)
def test_what_is_not_certain_is_marked(runtime: Runtime) -> None:
    assert status(runtime.sources, "glibc") == {"certain"}
    assert status(runtime.sources, "glibcxx") == {"certain"}
    assert status(runtime.sources, "libraries-absent") == {"certain"}
    assert status(runtime.sources, "python-full-version") == {"inferred"}
    either = {"inferred"} if runtime.openssl == (1, 1, 1) else set()
    assert status(runtime.sources, "libraries-unverified") == {"unverified"} | either
    assert status(runtime.sources, "gcc-inferred") == ({"inferred"} if runtime.gcc_inferred else set())
    assert status(runtime.sources, "glibcxx-inferred") == ({"inferred"} if runtime.glibcxx_inferred else set())
    assert status(runtime.sources, "cxxabi-inferred") == ({"inferred"} if runtime.cxxabi_inferred else set())


def test_quotas_are_the_known_ones() -> None:
    known = quotas()
    stated = {field.name: getattr(known, field.name) for field in msgspec.structs.fields(Quotas)}
    del stated["sources"]
    assert stated == {
        "unzipped": 250 * 1024**2,
        "direct_upload": 50 * 1024**2,
        "request": 70_167_211,
        "layers": 5,
        "entries": 65_535,
        "image": 10 * 1024**3,
        "environment": 4 * 1024,
        "layer_name": "[A-Za-z0-9_-]{1,140}",
        "description": 256,
        "license_info": 512,
        "compatible_runtimes": 15,
        "compatible_architectures": 2,
        "event": 6 * 1024**2,
        "answer": 6 * 1024**2 + 100,
        "init": 10,
        "log_tail": 4 * 1024,
    }
    assert quotas().unzipped == 262_144_000
    assert quotas().direct_upload == 52_428_800


def test_every_quota_has_a_source() -> None:
    stated = {field.encode_name for field in msgspec.structs.fields(Quotas)} - {"sources"}
    assert {fact for source in quotas().sources for fact in source.facts} == stated
    assert status(quotas().sources, "entries") == {"unverified"}


def test_architectures_and_older_names() -> None:
    assert [(known.name, known.lambda_name, known.floor, known.aliases) for known in facts().architectures] == [
        ("x86_64", "x86_64", (2, 5), ()),
        ("aarch64", "arm64", (2, 17), ("arm64",)),
    ]
    assert facts().manylinux.aliases == {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@pytest.mark.parametrize("table", ["runtimes", "architectures", "quotas", "manylinux", "markers"])
def test_an_unknown_key_is_refused(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = tomli.loads

    def with_another_key(text: str) -> dict[str, object]:
        raw = loads(text)
        place = raw[table][0] if isinstance(raw[table], list) else raw[table]
        place["another"] = 1
        return raw

    monkeypatch.setattr(tomli, "loads", with_another_key)
    with pytest.raises(msgspec.ValidationError, match="Object contains unknown field `another`"):
        facts.__wrapped__()
