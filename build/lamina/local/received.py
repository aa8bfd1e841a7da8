"""The one file that is taken out of a container, from the tar in which an engine hands it over.

The container ran the code of whoever wrote the package, so nothing of the tar is believed: of what it holds only one
regular file counts, up to a size, whatever it is called in there.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from lamina.errors import IntegrityError
from lamina.oci.tars import FILE, Pieces, Tar

if TYPE_CHECKING:
    from collections.abc import Iterable


def receive(pieces: Iterable[bytes], out: IO[bytes], where: str, most: int) -> None:
    """Write the file, of at most ``most`` bytes, to ``out``.

    Raises:
        IntegrityError: it is no tar of exactly one regular file, or the file is larger.
    """
    tar = Tar(Pieces(pieces))
    members = iter(tar)
    try:
        member = next(members, None)
        if member is None:
            raise IntegrityError("holds no file")  # noqa: TRY301 - as what is no tar
        if member.type not in FILE:
            raise IntegrityError("holds something else than a file")  # noqa: TRY301
        if member.size > most:
            raise IntegrityError(f"holds a wheel of {member.size:,} bytes; at most {most:,} are taken")  # noqa: TRY301
        for piece in tar.pieces():
            out.write(piece)
        if next(members, None) is not None:
            raise IntegrityError("holds more than one file")  # noqa: TRY301
    except IntegrityError as error:
        raise IntegrityError(
            f"{where}: what the build left {error.message}",
            hint="What ran in the container left something else than a wheel; look at the sources that were built.",
        ) from error
