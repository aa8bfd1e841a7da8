"""Make a stand-in for AWS's base image, where no public image can be pulled: Debian 12's CPython 3.11 in AWS's layout.

``python scripts/base_image.py lamina-standin:3.11`` needs root, Debian's debootstrap and an engine (DOCKER_HOST), and
takes a minute. It proves lamina's way with an engine, and nothing of Lambda: glibc, OpenSSL and SQLite are Debian's.
"""

from __future__ import annotations

import argparse
import subprocess
import tarfile
import tempfile
from pathlib import Path

_SUITE, _PYTHON = "bookworm", "python3.11"
_PACKAGES = "python3,ca-certificates"
#: As AWS's has it: one argument, the handler. Without an emulator it starts the runtime client where there is one.
_ENTRY = f"""#!/bin/sh
if [ $# -ne 1 ]; then
  echo "entrypoint requires the handler name to be the first argument" 1>&2
  exit 142
fi
exec /var/lang/bin/{_PYTHON} -m awslambdaric "$1"
"""


def main() -> None:
    """Bootstrap, lay out, import."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", help="name:tag of the image")
    name, _, tag = parser.parse_args().reference.rpartition(":")
    with tempfile.TemporaryDirectory(prefix="lamina-base-image-") as folder:
        root = Path(folder) / "root"
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        _lay_out(root)
        archive = Path(folder) / "root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, ".", filter=_kept)
        print(_imported(archive, name, tag))


def _lay_out(root: Path) -> None:
    for path in ("opt", "var/task", "var/runtime", f"var/lang/lib/{_PYTHON}/site-packages", "var/lang/bin"):
        (root / path).mkdir(parents=True, exist_ok=True)
    (root / "var/lang/bin" / _PYTHON).symlink_to(f"/usr/bin/{_PYTHON}")
    entry = root / "lambda-entrypoint.sh"
    entry.write_text(_ENTRY)
    entry.chmod(0o755)


def _kept(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """What an image needs: no devices, no packages that were downloaded, no lists of them."""
    unwanted = ("./dev/", "./proc/", "./sys/", "./var/cache/apt/", "./var/lib/apt/lists/", "./debootstrap/")
    return None if info.name.startswith(unwanted) else info


def _imported(archive: Path, name: str, tag: str) -> str:
    import docker

    client = docker.from_env(timeout=300)
    try:
        changes = ["WORKDIR /var/task", 'ENTRYPOINT ["/lambda-entrypoint.sh"]', "ENV LAMBDA_TASK_ROOT=/var/task"]
        client.api.import_image(src=str(archive), repository=name, tag=tag, changes=changes)
        return str(client.images.get(f"{name}:{tag}").id)
    finally:
        client.close()


if __name__ == "__main__":
    main()
