"""What the workflow needs beside lamina itself, with the standard library alone."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def targets() -> int:
    """Print ``targets=["…"]``, as a job's output has it: every target that a committed lock is for."""
    locks = (path.stem.rpartition("-cp") for path in (ROOT / "recipes" / "locks").glob("*.txt"))
    print("targets=" + json.dumps(sorted({f"cp{target}" for _, _, target in locks})))
    return 0


def compare(folder: Path) -> int:
    """Fail where zips of one name, below ``folder``, differ or stand alone; each is hashed anew."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted(folder.rglob("*.zip")):
        found[path.name][path.parent.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    code = 0 if found else 1
    for name, digests in sorted(found.items()):
        same = len(set(digests.values())) == 1 and len(digests) > 1
        code = code if same else 1
        print(f"{'same' if same else 'DIFFERENT'}  {name}")
        for place, digest in sorted(digests.items()):
            print(f"  {digest}  {place}")
    if not found:
        print(f"{folder}: no zip there", file=sys.stderr)
    return code


def sizes(before: Path, after: Path) -> int:
    """Print a Markdown table of what the change does to each layer."""
    old, new = _manifests(before), _manifests(after)
    print("### Layers\n")
    print("| layer | zipped | | unzipped | | of the quota |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in sorted({*old, *new}):
        was, now = old.get(name), new.get(name)
        if now is None:
            print(f"| {name} | gone | | | | |")
            continue
        cells = [name]
        for key in ("zipped_bytes", "unzipped_bytes"):
            cells += [f"{now[key]:,}", "new" if was is None else f"{now[key] - was[key]:+,}"]
        print(f"| {' | '.join(cells)} | {now['unzipped_bytes'] / 262_144_000:.1%} |")
    changed = [line for name in sorted(new) for line in _changes(name, old.get(name), new[name])]
    print("\n" + ("\n".join(changed) or "No package changed its version."))
    return 0


def _manifests(folder: Path) -> dict[str, dict[str, Any]]:
    """Manifests below a folder, by the stem of what they describe."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        if not path.name.endswith(".cdx.json"):
            found[path.stem] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _changes(name: str, was: dict[str, Any] | None, now: dict[str, Any]) -> list[str]:
    old = {package["name"]: package["version"] for package in (was or {}).get("packages", [])}
    new = {package["name"]: package["version"] for package in now["packages"]}
    pairs = [(key, old.get(key, "none"), new.get(key, "none")) for key in sorted({*old, *new}) if was is not None]
    return [f"- {name}: {key} {before} → {after}" for key, before, after in pairs if before != after]


def main() -> int:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("targets", help=targets.__doc__)
    commands.add_parser("compare", help=compare.__doc__).add_argument("folder", type=Path)
    table = commands.add_parser("sizes", help=sizes.__doc__)
    table.add_argument("before", type=Path)
    table.add_argument("after", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "compare":
        return compare(arguments.folder)
    if arguments.command == "sizes":
        return sizes(arguments.before, arguments.after)
    return targets()


if __name__ == "__main__":
    sys.exit(main())
