from __future__ import annotations

from collections.abc import Callable

import pytest

from lamina.emit.manifest import Proof
from lamina.findings import Finding
from lamina.prove.import_times import Group, ImportTimes, Run, Step
from lamina.prune.model import Thing
from lamina.report.diff import Difference, FileChange, PackageChange, Side
from lamina.report.layer.model import (
    ArtefactReport,
    Budget,
    BytecodeReport,
    PackageReport,
    Report,
    RuleUse,
    Share,
    Slice,
    TraceReport,
    Veto,
)


def _report(text: str = "", *, many: int = 2) -> Report:
    """A report with every section; ``text`` stands wherever a wheel, a recipe or a manifest may say what it likes."""
    kinds = (Slice("native", 2, 3_000_000), Slice("bytecode", 9, 500_000), Slice("python", 10, 1_500_000))
    packages = tuple(
        PackageReport(
            name=f"pkg{number}{text}",
            version=f"1.{number}{text}",
            shipped_bytes=5_000_000,
            pruned_bytes=800_000,
            trimmed_bytes=200_000,
            bytecode_bytes=500_000,
            kinds=kinds,
            rules=(RuleUse("tests", 5, 700_000, 1, 20_000),),
            licences=(f"MIT{text}",),
            licence_field="License",
            modules=10,
            compiled=9,
            sources_kept=f"asks{text}",
            traced_files=7,
            traced_bytes=1_250_000,
        )
        for number in range(many)
    )
    steps = (Step(f"pkg0{text}", 0, 0, 250_000, 1_000_000), Step(f"pkg0.sub{text}", 1, 0, 750_000, 750_000))
    run = Run(1.25, (1.25, 1.3, 1.4), 2, steps, (Group(f"pkg0{text}", 2, 1_000_000),))
    slow = Run(4.0, (4.0, 4.5, 4.1), 2, (Step(f"pkg0{text}", 0, 0, 3_900_000, 3_900_000),), run.groups)
    finding = Finding("missing-import", "warning", f"python/x{text}.py", f"says {text}", f"do {text}\nthen more")
    accepted = Finding("near-budget", "warning", f"x{text}.zip", f"near {text}", accepted=True)
    changed = FileChange(f"python/a{text}.py", 1, 2)
    return Report(
        name="demo",
        description=f"a demo{text}",
        target="cp311-manylinux2014_x86_64",
        runtime="python3.11",
        architecture="x86_64",
        lamina_version="1.0",
        artefacts=(
            ArtefactReport(
                "demo.zip", "ab" * 32, 4_000_000, 10_000_000, 42, (finding, accepted),
                (Proof("imports", f"Debian{text}", passed=True, detail=f"2 of 2{text}"),),
            ),
        ),
        budget=Budget(
            (Share("this layer", 10_000_000), Share(f"other{text}", 5_000_000)), 12_000_000, 14_000_000, 20_000_000
        ),
        packages=packages,
        rest=(Slice("notices", 1, 1_000),),
        rules=(RuleUse("tests", 10, 1_400_000, 2, 40_000), RuleUse("metadata", 3, 900, 0, 0)),
        vetoes=(Veto(f"pkg0{text}", "tests", f"imported by x{text}", 2, 40_000),),
        largest_kept=(Thing(f"pkg0{text}", f"python/pkg0{text}/", 3, 900, "", f"no rule{text}"),),
        largest_dropped=(Thing(f"pkg0{text}", f"python/t{text}.py", 1, 800, "tests", f"nothing{text}"),),
        bytecode=BytecodeReport("fit", "3.11.7", 18, 1_000_000, 2, 5_000, (f"python/bad{text}.py",)),
        prove="lamina prove demo --target cp311-manylinux2014_x86_64",
        trace="lamina trace demo --target cp311-manylinux2014_x86_64",
        traced=TraceReport(14, 2_500_000, stale=False),
        notes=(f"bytecode: a note{text}",),
        imports=ImportTimes(("pkg0",), f"Debian{text}", slow, run),
        changes=Difference(
            before=Side(f"old{text}.zip", "cd" * 32, 3_000_000, 9_000_000, 40),
            after=Side("demo.zip", "ab" * 32, 4_000_000, 10_000_000, 42),
            verdict="different",
            same=1,
            packages=(PackageChange(f"pkg0{text}", f"1{text}", f"2{text}", 1, 2_000_000, 1, 0, 0, (changed,)),),
            findings_appeared=(finding,),
            findings_vanished=(accepted,),
            notes=(f"a note of it{text}",),
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_report() -> Callable[..., Report]:
    """:func:`_report`, for all that renders one."""
    return _report
