"""Where files of an image stand in a layer, relative to ``/opt``.

Libraries go to ``lib/``, which Lambda's LD_LIBRARY_PATH names, executables to ``bin/``, which its PATH names:
https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html. A path keeps what follows the system's prefix::

    /usr/share/tesseract-ocr/5/tessdata     share/tesseract-ocr/5/tessdata
    /usr/lib/x86_64-linux-gnu/gdk/x.so      lib/gdk/x.so             the folders of libraries of all distributions
    /usr/lib64/libx.so.1                    lib/libx.so.1
    /usr/libexec/tool                       libexec/tool
    /opt/tool/data                          tool/data
    /etc/fonts/fonts.conf                   etc/fonts/fonts.conf
"""

from __future__ import annotations

import posixpath
import re

#: Folders of libraries: lib, lib64, and Debian's for each architecture (https://wiki.debian.org/Multiarch/Tuples).
_LIBRARIES = re.compile(r"^/(?:usr/)?lib(?:64|/[a-z0-9_]+-linux-gnu[a-z0-9_]*)?/(?=.)")
_PREFIX = re.compile(r"^/(?:usr/|opt/)?(?=.)")


def library(name: str) -> str:
    """Where a library stands that is loaded under this name."""
    return f"lib/{posixpath.basename(name)}"


def executable(name: str) -> str:
    """Where a program stands that is run under this name."""
    return f"bin/{posixpath.basename(name)}"


def path(absolute: str) -> str:
    """Where the file of an absolute, normalized path stands."""
    return _PREFIX.sub("", _LIBRARIES.sub("/lib/", absolute, count=1), count=1)
