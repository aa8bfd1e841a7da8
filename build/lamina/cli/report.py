"""``lamina report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from lamina.cli import common
from lamina.cli.means import means_of
from lamina.errors import UsageError
from lamina.project import Order, order

if TYPE_CHECKING:
    from lamina.report.layer.model import Report

Format = Literal["text", "markdown", "html", "json"]


@click.command(
    epilog="""\b
Examples:
  lamina report sklearn
  lamina report sklearn --html
  lamina report sklearn --target cp311-manylinux2014_x86_64 --markdown --against main.json
  lamina report sklearn --json --no-imports"""
)
@click.argument("recipe_name", metavar="RECIPE")
@common.target_option
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, for a comment on a pull request.")
@click.option("--html", "as_html", is_flag=True, help="Write a page beside the artefact: <name>-<target>.report.html.")
@common.json_option
@click.option("-o", "file", type=click.Path(dir_okay=False), metavar="FILE", help="Write the report to this file.")
@click.option(
    "--against", type=click.Path(), metavar="OTHER", help="A zip or manifest of an earlier build, to compare."
)
@click.option("--no-imports", is_flag=True, help="Do not measure imports, which runs the layer.")
@common.offline_option
@common.links_option
@click.option(
    "--output", type=click.Path(file_okay=False), metavar="FOLDER", help="Where the build is, instead of dist/."
)
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(  # noqa: PLR0913 - one for each option
    recipe_name: str,
    wanted: tuple[str, ...],
    links: tuple[str, ...],
    output: str | None,
    file: str | None,
    against: str | None,
    *,
    as_markdown: bool,
    as_html: bool,
    as_json: bool,
    no_imports: bool,
    offline: bool,
    quiet: bool,
) -> int:
    """Show where the bytes of what was built went, and the time of its imports.

    Packages and kinds of files, what pruning, trimming and bytecode saved or cost and why, the budget with all that
    shares the function, findings, proofs, licences, and with --against what changed. The imports of [proof] are timed
    in a CPython of the target, from the layer as it is and from the same layer without bytecode, three times in turn.
    Without --target, every target that was built is told of. -o takes one target; its ending (.html, .md, .json) says
    which form is meant where no option does.
    """
    from lamina.cli.reporting import has_manifest, nothing_built, report_of

    form = _form(file, markdown=as_markdown, html=as_html, json=as_json)
    store = common.open_store()
    progress = common.TerminalProgress(quiet=quiet)
    reports = []
    try:
        [(project, recipe, targets)] = common.chosen([recipe_name], wanted, store, everything=False, output=output)
        workshop, means = means_of(project, recipe, links, store, progress, offline=offline)
        take = common.taker(store, progress, offline=offline)
        ordered = [workshop.fulfil(order(project, recipe, target)) for target in targets]
        built = [one for one in ordered if has_manifest(one)]
        if not built or (wanted and len(built) < len(ordered)):
            raise nothing_built(next(one for one in ordered if one not in built))
        if (file or against) and len(built) > 1:
            raise UsageError(
                f"{'-o' if file else '--against'} is for one target, and {len(built)} of {recipe.name} are built",
                hint=f"Name one of them: --target {built[0].target.name}",
            )
        for one in built:
            report = report_of(one, means, take, against=against, imports=not no_imports)
            reports.append(report)
            if form != "json":
                _put(_rendered(report, form), _place(one, file, form), one)
    finally:
        progress.close()
    if form == "json":
        from lamina.report import machine

        _put(f"{machine.render(reports)}\n", _place(built[0], file, form), built[0])
    return 0


_ENDINGS: dict[str, Format] = {".html": "html", ".md": "markdown", ".json": "json", ".txt": "text"}


def _form(file: str | None, *, markdown: bool, html: bool, json: bool) -> Format:
    """The one form that is meant.

    Raises:
        UsageError: several are named, or none and the file's ending tells none.
    """
    stated: dict[Format, bool] = {"markdown": markdown, "html": html, "json": json}
    named = [form for form, is_meant in stated.items() if is_meant]
    if len(named) > 1:
        raise UsageError("--markdown, --html and --json exclude each other", hint="Give one of them.")
    if named or file is None:
        return named[0] if named else "text"
    form = _ENDINGS.get(Path(file).suffix.lower())
    if form is None:
        raise UsageError(
            f"-o {file}: its ending does not tell what to write",
            hint=f"Use {', '.join(_ENDINGS)}, or give --html, --markdown or --json as well.",
        )
    return form


def _rendered(report: Report, form: Format) -> str:
    if form == "html":
        from lamina.report.layer.page import page

        return page(report)
    if form == "markdown":
        from lamina.report.layer.markdown import markdown

        return markdown(report)
    from lamina.report.layer.text import report_lines

    return "\n".join(report_lines(report, common.paint)) + "\n"


def _place(one: Order, file: str | None, form: Format) -> Path | None:
    """Where a report goes; ``None`` for standard output."""
    if file is not None:
        return Path(file)
    return one.project.output / f"{one.name}.report.html" if form == "html" else None


def _put(text: str, place: Path | None, one: Order) -> None:
    if place is None:
        click.echo(text, nl=False)
        return
    from lamina.files import put

    if not place.parent.is_dir():
        raise UsageError(f"{place}: there is no folder {place.parent}", hint="Make it first, or name another file.")
    put(place, text.encode("utf-8", errors="replace"))
    click.echo(f"{one.recipe.name} for {one.target.name}: {one.project.shown(place)}")
