"""What the names of wheels and source distributions say."""

from __future__ import annotations

#: No file system takes longer names, and none hides more tags in its compressed set than can be written out.
_LONGEST = 255


def wheel_name(filename: str) -> tuple[str, str] | None:
    """Project and version that a wheel's file name states; ``None`` if it is no valid name of a wheel."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename
    from packaging.version import InvalidVersion

    if not filename.endswith(".whl") or len(filename) > _LONGEST:
        return None
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except (InvalidWheelFilename, InvalidVersion):
        return None
    return name, str(version)


def source_name(filename: str) -> tuple[str, str] | None:
    """Project and version that a source distribution's file name states; ``None`` if it is no valid name of one."""
    from packaging.utils import InvalidSdistFilename, parse_sdist_filename
    from packaging.version import InvalidVersion

    if not filename.endswith((".tar.gz", ".zip")):
        return None
    try:
        name, version = parse_sdist_filename(filename)
    except (InvalidSdistFilename, InvalidVersion):
        return None
    return name, str(version)
