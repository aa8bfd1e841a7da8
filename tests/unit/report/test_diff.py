"""How two artefacts differ: whole differences, and whole texts."""

from __future__ import annotations

from lamina.findings import Finding, make
from lamina.report.diff import (
    Difference,
    File,
    FileChange,
    Inventory,
    PackageChange,
    Shipped,
    compare,
)
from lamina.report.diff_text import difference_lines

A, B = "a" * 64, "b" * 64


def inventory(label: str, sha256: str, files: dict[str, int], packages: dict[str, str], **more: object) -> Inventory:
    listed = tuple(File(path, size, size, 0o644) for path, size in files.items())
    values = {
        "label": label,
        "sha256": sha256,
        "zipped_bytes": sum(files.values()) // 2,
        "unzipped_bytes": sum(files.values()),
        "entries": len(files),
        "packages": {name: Shipped(version, None) for name, version in packages.items()},
        "files": listed,
        **more,
    }
    return Inventory(**values)  # type: ignore[arg-type]


OLD = inventory(
    "old.zip",
    A,
    {
        "python/alpha/__init__.py": 10,
        "python/alpha/data.bin": 1000,
        "python/alpha-1.0.dist-info/METADATA": 100,
        "python/beta.py": 50,
        "python/beta-1.0.dist-info/METADATA": 100,
        "python/gone/x.py": 40,
        "python/gone-3.dist-info/METADATA": 60,
        "bin/run": 20,
    },
    {"alpha": "1.0", "beta": "1.0", "gone": "3"},
)
NEW = inventory(
    "new.zip",
    B,
    {
        "python/alpha/__init__.py": 12,
        "python/alpha/more.bin": 2000,
        "python/alpha-2.0.dist-info/METADATA": 100,
        "python/beta.py": 50,
        "python/beta-1.0.dist-info/METADATA": 100,
        "python/come/x.py": 400,
        "python/come-1.dist-info/METADATA": 60,
        "bin/run": 21,
    },
    {"alpha": "2.0", "beta": "1.0", "come": "1"},
)


def test_packages_and_files() -> None:
    found = compare(OLD, NEW)
    assert (found.verdict, found.same) == ("different", 1)
    assert [package.package for package in found.packages] == ["alpha", "come", "gone", "bin/"]
    assert found.packages[0] == PackageChange(
        "alpha",
        "1.0",
        "2.0",
        1110,
        2112,
        added=2,
        removed=2,
        changed=1,
        files=(
            FileChange("python/alpha/more.bin", None, 2000),
            FileChange("python/alpha/data.bin", 1000, None),
            FileChange("python/alpha-1.0.dist-info/METADATA", 100, None),
            FileChange("python/alpha-2.0.dist-info/METADATA", None, 100),
            FileChange("python/alpha/__init__.py", 10, 12),
        ),
    )
    assert [*difference_lines(found)] == [
        "before  old.zip",
        "after   new.zip",
        f"sha256    {A} → {B}",
        "zipped    690 → 1,371 bytes (+681)",
        "unzipped  1,380 → 2,743 bytes (+1,363)",
        "files     8 → 8 (+0)",
        "packages  1 added, 1 removed, 1 changed, 1 the same",
        "~ alpha 1.0 → 2.0: 1,110 → 2,112 bytes (+1,002); 2 files added, 2 files removed, 1 file changed",
        "    +        +2,000  python/alpha/more.bin",
        "    -        -1,000  python/alpha/data.bin",
        "    -          -100  python/alpha-1.0.dist-info/METADATA",
        "    +          +100  python/alpha-2.0.dist-info/METADATA",
        "    ~            +2  python/alpha/__init__.py",
        "+ come 1: 0 → 460 bytes (+460); 2 files added",
        "    +          +400  python/come/x.py",
        "    +           +60  python/come-1.dist-info/METADATA",
        "- gone 3: 100 → 0 bytes (-100); 2 files removed",
        "    -           -60  python/gone-3.dist-info/METADATA",
        "    -           -40  python/gone/x.py",
        "~ bin/: 20 → 21 bytes (+1); 1 file changed",
        "    ~            +1  bin/run",
    ]


def test_only_the_largest_files_unless_all_are_asked_for() -> None:
    old = inventory("old.zip", A, {}, {})
    new = inventory("new.zip", B, {f"python/x/{number}.py": number for number in range(1, 8)}, {})
    lines = [*difference_lines(compare(old, new))]
    assert lines[-2:] == ["    +            +3  python/x/3.py", "    and 2 files more (--files shows all)"]
    assert [*difference_lines(compare(old, new), every_file=True)][-1] == "    +            +1  python/x/1.py"


def test_identical() -> None:
    found = compare(OLD, OLD._replace(label="copy.zip"))
    assert (found.verdict, found.packages, found.same) == ("identical", (), 3)
    assert [*difference_lines(found)] == [
        "before  old.zip",
        "after   copy.zip",
        f"identical, byte for byte: sha256 {A}",
    ]


def test_the_same_files_packed_otherwise() -> None:
    files = tuple(reversed(OLD.files or ()))
    found = compare(OLD, OLD._replace(label="again.zip", sha256=B, files=files, zipped_bytes=700))
    assert found.verdict == "repacked"
    assert [*difference_lines(found)][2:] == [
        f"sha256    {A} → {B}",
        "zipped    690 → 700 bytes (+10)",
        "unzipped  1,380 → 1,380 bytes (+0)",
        "files     8 → 8 (+0)",
        "the same files, by path, size, CRC-32 and mode; their order, dates or compression differ",
    ]


def test_content_and_modes_of_the_same_size() -> None:
    old = OLD._replace(files=(File("python/x.py", 5, 1, 0o644), File("python/y.sh", 5, 1, 0o644)))
    new = OLD._replace(sha256=B, files=(File("python/x.py", 5, 2, 0o644), File("python/y.sh", 5, 1, 0o755)))
    lines = [*difference_lines(compare(old, new))]
    assert "    ~            +0  python/x.py (same size)" in lines
    assert "    ~            +0  python/y.sh (mode 644 → 755)" in lines


def test_files_belong_to_the_package_that_records_them() -> None:
    """Also where one side has no RECORD; a shared folder is nobody's unless its path is recorded."""
    owners = {
        "python/sklearn/a.py": "scikit-learn",
        "python/google/auth/a.py": "google-auth",
        "python/google/x.py": "g",
    }
    old = inventory("old.zip", A, dict.fromkeys(owners, 1), {"scikit-learn": "1"}, owners=owners)
    new = inventory("new.zip", B, {"python/sklearn/b.py": 1, "python/google/auth/a.py": 2, "python/google/y.py": 1}, {})
    found = {package.package: [file.path for file in package.files] for package in compare(old, new).packages}
    assert found == {
        "scikit-learn": ["python/sklearn/a.py", "python/sklearn/b.py"],
        "google-auth": ["python/google/auth/a.py"],
        "g": ["python/google/x.py"],
        "python/google/": ["python/google/y.py"],
    }


def test_libraries_beside_a_package_are_its_own() -> None:
    old = inventory("old.zip", A, {}, {"numpy": "1"})
    new = inventory("new.zip", B, {"python/numpy.libs/libx.so": 9}, {"numpy": "1"})
    assert [package.package for package in compare(old, new).packages] == ["numpy"]


def stated(label: str, sha256: str | None, sizes: dict[str, tuple[str, int]], *findings: Finding) -> Inventory:
    return Inventory(
        label=label,
        sha256=sha256,
        zipped_bytes=None if sha256 is None else 7,
        unzipped_bytes=sum(size for _, size in sizes.values()),
        entries=3,
        packages={name: Shipped(version, size) for name, (version, size) in sizes.items()},
        findings=findings,
    )


def test_manifests_tell_packages_and_findings_but_no_files() -> None:
    upload = make("needs-s3-upload", "x-cp311.zip", "60 bytes zipped")
    other = make("needs-s3-upload", "y-cp311.zip", "61 bytes zipped")
    conflict = make("file-conflict", "python/a.py", "a and b both bring it")
    old = stated("old.json", A, {"alpha": ("1", 100), "beta": ("1", 5)}, upload)
    new = stated("new.json", None, {"alpha": ("1", 90), "beta": ("1", 5)}, other, conflict)
    found = compare(old, new)
    assert (found.findings_appeared, found.findings_vanished) == ((conflict,), ())
    assert [*difference_lines(found)] == [
        "before  old.json",
        "after   new.json",
        f"sha256    {A} → none",
        "zipped    7 → none bytes",
        "unzipped  105 → 95 bytes (-10)",
        "files     3 → 3 (+0)",
        "packages  1 changed, 1 the same",
        "~ alpha 1: 100 → 90 bytes (-10)",
        "finding appeared: error: file-conflict: python/a.py: a and b both bring it",
        "note: old.json is a manifest, which names no files",
        "note: new.json is a manifest, which names no files",
    ]
    assert compare(new, old).findings_vanished == (conflict,)


def test_manifest_against_zip() -> None:
    found = compare(stated("a.json", A, {"alpha": ("1.0", 1110), "beta": ("1.0", 1)}), OLD._replace(sha256=B))
    assert [(p.package, p.bytes_before, p.bytes_after) for p in found.packages] == [
        ("beta", 1, 150),
        ("gone", 0, 100),
    ]
    assert found.notes == (
        "a.json is a manifest, which names no files",
        "old.zip has no manifest beside it, so findings cannot be compared",
    )


def test_names_cannot_move_the_terminals_cursor() -> None:
    new = inventory("new.zip", B, {"python/x\x1b[2J\n.py": 1}, {"evil\x1b": "1\r"})
    lines = [*difference_lines(compare(inventory("old.zip", A, {}, {}), new))]
    assert all(line.isprintable() for line in lines)
    assert "    +            +1  python/x\\x1b[2J\\n.py" in lines


def test_nothing_at_all() -> None:
    empty = inventory("e.zip", A, {}, {})
    assert isinstance(compare(empty, empty), Difference)
