"""Resolution from the real index, where what is newest changes: properties are asserted, and what cannot change."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from lamina.errors import ResolutionError
from lamina.index import from_environment
from lamina.lock import LockedWheel, parse, render, verify
from lamina.recipe import Recipe, TargetSpec
from lamina.resolve import Resolution, resolve
from lamina.target import Target, target_for

pytestmark = pytest.mark.usefixtures("index")

MANYLINUX2014 = target_for("cp311", platform="manylinux2014_x86_64")
AL2 = target_for("cp311", architecture="x86_64")
SKLEARN = ("scikit-learn==1.3.2", "pandas", "numpy", "scipy", "joblib", "threadpoolctl")


def ask(store: Path, target: Target, *requirements: str, **more: object) -> Resolution:
    stated = {key: more.pop(key) for key in ("constraints", "provided") if key in more}
    spec = TargetSpec(python=target.python, platform=target.platform)
    recipe = Recipe(name="sklearn", requirements=requirements, target=(spec,), **stated)  # type: ignore[arg-type]
    env = {**os.environ, "LAMINA_CACHE": str(store)}
    found = resolve(recipe, target, indexes=from_environment(env), base=store, env=env, **more)  # type: ignore[arg-type]
    verify(found.lock, recipe, target, "x")
    assert parse(render(found.lock), "x") == found.lock
    return found


def locked(found: Resolution) -> dict[str, LockedWheel]:
    return {wheel.name: wheel for wheel in found.lock.wheels}


def least_glibc(wheel: LockedWheel) -> int:
    """The least minor version of glibc that the wheel's name asks for; 0 if none."""
    found = re.findall(r"manylinux_2_(\d+)_", wheel.filename.replace("manylinux2014", "manylinux_2_17"))
    return min(map(int, found), default=0)


@pytest.fixture(scope="module")
def sklearn(index: None, shared_store: Path) -> Resolution:
    del index
    return ask(shared_store, MANYLINUX2014, *SKLEARN)


def test_the_recipe_of_the_readme(sklearn: Resolution) -> None:
    wheels = locked(sklearn)
    assert wheels["scikit-learn"].version == "1.3.2"
    assert wheels["scikit-learn"].sha256 == "fc4144a5004a676d5022b798d9e573b05139e77f271253a4703eed295bde0433"
    assert wheels["scikit-learn"].size == 10884422
    assert wheels["numpy"].version.startswith("1.")
    assert {"pandas", "scipy", "joblib", "threadpoolctl"} < set(wheels)
    assert not {"boto3", "botocore", "jmespath", "s3transfer", "urllib3"} & set(wheels)
    assert all(least_glibc(wheel) <= 17 for wheel in sklearn.lock.wheels)
    (line,) = [line for line in sklearn.held_back if line.startswith("pandas ")]
    assert re.fullmatch(r"pandas \S+ \(3\.\S+ needs glibc 2\.24, which python3\.11 has.*\)", line)


def test_pip_reads_the_lock(sklearn: Resolution, tmp_path: Path) -> None:
    path = tmp_path / "lock.txt"
    path.write_text(render(sklearn.lock), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--isolated", "install", "--dry-run", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
    command += ["--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"]
    command += ["--target", str(tmp_path / "out"), "--disable-pip-version-check", "--quiet", "-r", str(path)]
    if subprocess.run([*command[:3], "--version"], capture_output=True, check=False).returncode:
        pytest.skip("this environment has no pip")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_ceiling_of_amazon_linux_2(shared_store: Path) -> None:
    found = ask(shared_store, AL2, "pandas", "lxml", "numpy")
    wheels = locked(found)
    assert all(least_glibc(wheel) <= 26 for wheel in found.lock.wheels)
    assert Version(wheels["pandas"].version) >= Version("3.1.1")
    assert Version(wheels["lxml"].version) >= Version("6.1.3")
    assert least_glibc(wheels["pandas"]) == 24
    assert wheels["numpy"].version == "2.2.6"
    (line,) = [line for line in found.held_back if line.startswith("numpy ")]
    assert re.fullmatch(r"numpy 2\.2\.6 \(2\.4\.\d+ needs glibc 2\.27; 2\.\d+\.\d+ has no cp311 wheel\)", line)


def test_a_newer_runtime_has_newer_wheels(shared_store: Path) -> None:
    found = locked(ask(shared_store, target_for("cp313", architecture="aarch64"), "scikit-learn"))
    assert Version(found["scikit-learn"].version) >= Version("1.9.1")
    assert all("x86_64" not in wheel.filename for wheel in found.values())


def test_what_boto3_alone_needs_does_not_ship(shared_store: Path) -> None:
    found = locked(ask(shared_store, MANYLINUX2014, "click", "s3transfer"))
    assert set(found) == {"click", "s3transfer"}
    own = locked(ask(shared_store, MANYLINUX2014, "s3transfer", provided=()))
    assert {"s3transfer", "botocore", "jmespath", "urllib3", "six"} <= set(own)


def test_requirements_of_windows_do_not_ship(shared_store: Path) -> None:
    assert set(locked(ask(shared_store, MANYLINUX2014, "click"))) == {"click"}
    assert "colorama" not in locked(ask(shared_store, MANYLINUX2014, "tqdm"))


def test_extras(shared_store: Path) -> None:
    assert "pysocks" in locked(ask(shared_store, MANYLINUX2014, "requests[socks]"))


def test_pins_stay_and_single_packages_are_upgraded(shared_store: Path) -> None:
    old = ask(shared_store, MANYLINUX2014, "pandas", constraints=("pandas<2.3", "numpy<2")).lock
    kept = ask(shared_store, MANYLINUX2014, "pandas", previous=old)
    assert kept.lock.wheels == old.wheels
    assert kept.changes == ()
    one = ask(shared_store, MANYLINUX2014, "pandas", previous=old, upgrade_packages=["numpy"])
    assert [line.partition(" ")[0] for line in one.changes] == ["numpy"]
    every = ask(shared_store, MANYLINUX2014, "pandas", previous=old, upgrade=True)
    assert {"numpy", "pandas"} <= {line.partition(" ")[0] for line in every.changes}


def test_offline_after_it_was_asked_once(sklearn: Resolution, shared_store: Path) -> None:
    again = ask(shared_store, MANYLINUX2014, *SKLEARN, offline=True, previous=sklearn.lock)
    assert again.lock == sklearn.lock
    assert again.changes == ()


@pytest.mark.parametrize(
    ("target", "requirements", "words"),
    [
        (
            target_for("cp313", platform="manylinux2014_x86_64"),
            ("scikit-learn==1.3.2",),
            (
                "scikit-learn==1.3.2: no wheel for the target; 1.3.2 has wheels for cp38, cp39, cp310, cp311, cp312 on",
                "scikit-learn: 1.5.2 to ",
                'what is required has wheels for cp39, cp310, cp311, cp312 (python = "cp312", architecture = "x86_64")',
            ),
        ),
        (
            MANYLINUX2014,
            ("onnxruntime==1.20",),
            (
                "onnxruntime==1.20: no wheel for the target; 1.20.0 has wheels for cp310, cp311, cp312, cp313",
                "Linux x86_64 with glibc 2.27",
                "onnxruntime: 1.15.0 to 1.16.3 have wheels for this target.",
                'what is required has wheels for cp312, cp313 (python = "cp313", architecture = "x86_64")',
            ),
        ),
        (
            MANYLINUX2014,
            ("docopt",),
            ("docopt: there are only source distributions, and with the builder uv lamina builds none",),
        ),
        (MANYLINUX2014, ("pywin32",), ("pywin32: no wheel for the target;", "on Windows")),
        (
            target_for("cp310", architecture="x86_64"),
            ("pandas==2.2.2", "numpy==1.22.0"),
            ("the requirements contradict each other", "pandas==2.2.2 depends on numpy>=1.22.4"),
        ),
    ],
)
def test_impossible_requirements(
    shared_store: Path, target: Target, requirements: tuple[str, ...], words: tuple[str, ...]
) -> None:
    with pytest.raises(ResolutionError) as caught:
        ask(shared_store, target, *requirements)
    told = " ".join(f"{caught.value.message}\n{caught.value.hint}".split())
    assert [word for word in words if word not in told] == []
    assert target.name in told
