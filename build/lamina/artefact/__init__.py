"""Artefacts as they lie on disk, whoever made them, read with distrust: zips, folders, wheels and images."""

from lamina.artefact.opening import open_artefact

__all__ = ["open_artefact"]
