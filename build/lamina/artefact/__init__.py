"""Artefacts as they lie on disk, whoever made them, read with distrust: zips, folders, wheels and images."""
