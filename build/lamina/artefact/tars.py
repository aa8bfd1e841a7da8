"""Tar archives: :mod:`lamina.oci.tars`, by the name that the readers of artefacts have for it."""

from lamina.oci.tars import Member, Stream, Tar

__all__ = ["Member", "Stream", "Tar"]
