"""``lamina diff``."""

from __future__ import annotations

import click

from lamina.cli import common


@click.command(
    epilog="""\b
Examples:
  lamina diff old/sklearn-cp311-manylinux2014_x86_64.zip dist/sklearn-cp311-manylinux2014_x86_64.zip
  lamina diff main.json dist/sklearn-cp311-manylinux2014_x86_64.json
  lamina diff a.zip b.zip --files"""
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--files", "every_file", is_flag=True, help="Show every file, not only the largest changes.")
@common.json_option
def command(before: str, after: str, *, every_file: bool, as_json: bool) -> int:
    """Explain how two artefacts differ: packages, versions, files, bytes and findings.

    A and B are layer zips, image archives or manifests (.json). The manifest beside a zip is used where it describes
    that very zip; packages of a zip without one are told from its .dist-info folders. Of an image the manifest beside
    it is read alone, which names no files. Nothing is unpacked. The exit code is 0 whether or not there is a
    difference.
    """
    from lamina.cli.contents import read
    from lamina.report import machine
    from lamina.report.diff import compare
    from lamina.report.diff_text import difference_lines

    difference = compare(read(before), read(after))
    if as_json:
        click.echo(machine.render(difference))
    else:
        click.echo("\n".join(difference_lines(difference, every_file=every_file)))
    return 0
