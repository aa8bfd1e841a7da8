"""Locks: the exact wheels for one recipe and one target, as hashed requirements that pip reads too.

One line is one wheel::

    numpy==1.26.4 --hash=sha256:666d…  # numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl 18256503

The line states the one hash of the one file that was chosen, which is a wheel, or a source distribution where the
builder makes one of it; the comment, its file name and its size in bytes. Comments hold local projects as well, and
the files that are taken from the base image. No line holds a URL, so the same lock serves every index and mirror. The
header says for which target, by which builder, and from which resolution inputs the lock was made, and how to renew it.

A lock is read at the start of every build: nothing here is imported that a warm build can do without.
"""

from lamina.lock.check import check, inputs_digest, required, verify
from lamina.lock.model import Lock, LockedFile, LockedLocal, LockedSource, LockedWheel, lock_path, renewal
from lamina.lock.text import parse, read, render
from lamina.recipe.spelling import canonical, canonical_requirement

__all__ = [
    "Lock",
    "LockedFile",
    "LockedLocal",
    "LockedSource",
    "LockedWheel",
    "canonical",
    "canonical_requirement",
    "check",
    "inputs_digest",
    "lock_path",
    "parse",
    "read",
    "render",
    "renewal",
    "required",
    "verify",
]
