from __future__ import annotations

import hashlib

import msgspec
import pytest

from lamina import recipe as recipes
from lamina.bytecode.model import Choice, Pick
from lamina.emit.manifest import Manifest, Proof
from lamina.emit.manifest import Package as Stated
from lamina.layer import assemble
from lamina.overlay import Generated
from lamina.part.model import ELF, PLAIN, Entry, Facts, Index
from lamina.prune.model import Decision
from lamina.report.layer.gather import Planned, budget_of, gather
from lamina.report.layer.kinds import kind_of
from lamina.report.layer.model import BytecodeReport, PackageReport, RuleUse, Share, Slice, TraceReport, Veto
from lamina.report.layer.words import traced_told
from lamina.trace import Traced

RECIPE = """
name = "demo"
requirements = ["pkg"]

[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"

[bytecode]
mode = "all"
"""


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("python/numpy/core.so", ELF, "native"),
        ("python/numpy.libs/libx.so.1", ELF, "native"),
        ("python/a/__init__.py", PLAIN, "python"),
        ("python/a/b.pyi", PLAIN, "python"),
        ("python/a/__pycache__/b.cpython-311.pyc", PLAIN, "bytecode"),
        ("python/a-1.dist-info/METADATA", PLAIN, "metadata"),
        ("python/a/table.csv", PLAIN, "data"),
        ("python/a/fake.so", PLAIN, "data"),
        ("bin/tool.py", PLAIN, "commands"),
        ("licenses/demo.txt", PLAIN, "notices"),
        ("lib/libx.so.1", ELF, "native"),
    ],
)
def test_kinds_go_by_place_and_by_content(path: str, content: int, kind: str) -> None:
    assert kind_of(path, content) == kind


def _entry(path: str, size: int, kind: int = PLAIN) -> Entry:
    return Entry(path, 0, size, 0, 0, size, size, kind, hashlib.sha256(path.encode()).digest())


def test_figures_are_those_of_the_layer() -> None:
    entries = (
        _entry("python/pkg/__init__.py", 100),
        _entry("python/pkg/native.so", 5000, ELF),
        _entry("python/pkg/tests/used.py", 30),
        _entry("python/pkg/tests/unused.py", 70),
    )
    index = Index("pkg", "1.0", "pkg-1.0-py3-none-any.whl", "ab" * 32, 1, "python/pkg-1.0.dist-info", "", 1, entries)
    facts = Facts((("License-Expression", "MIT"),), (), (), (), (), {}, 0)
    compiled = _entry("python/pkg/__pycache__/__init__.cpython-311.pyc", 80)
    said = [
        Decision("python/pkg/tests/used.py", 30, "tests", dropped=False, reason="imported by pkg/__init__.py"),
        Decision("python/pkg/tests/unused.py", 70, "tests", dropped=True, reason="nothing refers to it"),
    ]
    chosen = Choice(((Pick("k", (compiled,)),),), "3.11.7", left=1, left_bytes=40, failed=("python/pkg/bad.py",))
    layer = assemble(
        [(index, facts)],
        [said],
        interpreter="/var/lang/bin/python3.11",
        overlay=[Generated("lib/x.txt", b"12345", PLAIN, "the overlay")],
        notices=Generated("licenses/demo.txt", b"MIT", PLAIN, "lamina"),
        trim=True,
        bytecode=[[("k", (compiled,))]],
    )
    manifest = Manifest(
        name="demo",
        target="cp311-manylinux2014_x86_64",
        runtime="python3.11",
        architecture="x86_64",
        sha256="cd" * 32,
        code_sha256="",
        zipped_bytes=900,
        unzipped_bytes=layer.unzipped_bytes,
        entries=layer.files,
        packages=(Stated("pkg", "1.0", index.wheel, "ab" * 32, 5210, 70, 12, 80),),
        findings=(),
        recipe_sha256="",
        lock_sha256="",
        lamina_version="1",
    )
    recipe = recipes.trusted(RECIPE)
    budget = budget_of(recipe, layer.unzipped_bytes, [("other", 7)], 262_144_000)
    traced = Traced("ee" * 32, modules=("python/pkg/__init__.py", "python/gone.py"))
    planned = Planned([(index, facts)], [said], chosen, layer, traced)
    report = gather(recipe, manifest.target, planned, [("demo.zip", manifest)], budget)
    assert report.packages == (
        PackageReport(
            name="pkg",
            version="1.0",
            shipped_bytes=5210,
            pruned_bytes=70,
            trimmed_bytes=12,
            bytecode_bytes=80,
            kinds=(Slice("native", 1, 5000), Slice("bytecode", 1, 80), Slice("python", 2, 130)),
            rules=(RuleUse("tests", 1, 70, 1, 30),),
            licences=("MIT",),
            licence_field="License-Expression",
            modules=2,
            compiled=1,
            traced_files=2,
            traced_bytes=180,
        ),
    )
    assert report.traced == TraceReport(2, 180, stale=True)
    assert traced_told(report) == (
        "the proofs touch 2 files of 180 B, 3.5 % of what packages ship; by a trace of another lock: "
        "lamina trace demo --target cp311-manylinux2014_x86_64"
    )
    untraced = gather(recipe, manifest.target, planned._replace(traced=None), [("demo.zip", manifest)], budget)
    assert untraced.traced is None
    assert traced_told(untraced) == (
        "what the proofs touch was not recorded for this target: lamina trace demo --target cp311-manylinux2014_x86_64"
    )
    assert report.rest == (Slice("data", 1, 5), Slice("notices", 1, 3))
    assert report.vetoes == (Veto("pkg", "tests", "imported by pkg/__init__.py", 1, 30),)
    assert report.bytecode == BytecodeReport("all", "3.11.7", 1, 80, 1, 40, ("python/pkg/bad.py",))
    assert report.budget.shares == (Share("this layer", 5218), Share("other", 7))
    assert report.budget.total == 5225
    assert report.verdict() == ("warning", "built; not proven yet")
    assert [thing.path for thing in report.largest_dropped] == ["python/pkg/tests/unused.py"]
    # A function keeps the proofs that it passed with another layer; they tell nothing of this one.
    ran = [
        Proof("event", "Debian", passed=True, detail=f"fine; with demo.zip, sha256 {sha * 32}") for sha in ("cd", "ee")
    ]
    script = Proof("script", "Debian", passed=True, detail="fine")
    function = msgspec.structs.replace(manifest, sha256="ff" * 32, proofs=(script, *ran))
    both = [("demo.zip", manifest), ("demo-function.zip", function)]
    report = gather(recipe, manifest.target, Planned([(index, facts)], [said], chosen, layer), both, budget)
    assert report.proofs == (script, ran[0])
    assert report.verdict() == ("good", "built; 2 proofs passed")
