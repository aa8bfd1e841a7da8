"""``lamina audit``."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from lamina.cli import common
from lamina.errors import UsageError
from lamina.findings import Finding, accept
from lamina.recipe import Recipe
from lamina.target import Target, TargetError, target_for

if TYPE_CHECKING:
    from lamina.audit.model import Artefact, ArtefactKind


class _Judged(NamedTuple):
    """What was found, artefact by artefact, and on the stack as a whole."""

    artefacts: list[Artefact]
    findings: list[tuple[Finding, ...]]
    stack: tuple[Finding, ...]

    @property
    def everything(self) -> list[Finding]:
        return [*(one for found in self.findings for one in found), *self.stack]


@click.command(
    epilog="""\b
Examples:
  lamina audit layer.zip --python cp311 --platform manylinux2014_x86_64
  lamina audit base.zip models.zip function.zip --python cp312 --architecture arm64
  lamina audit numpy-2.4.6-cp312-cp312-win_amd64.whl --python cp312 --architecture x86_64
  lamina audit dist/sklearn-cp311-manylinux2014_x86_64.zip --recipe sklearn
  lamina audit dist/layoutlm-cp312-manylinux_2_34_x86_64.oci.tar
  lamina audit .aws-sam/build/MyFunction --python cp311 --architecture x86_64 --sarif > audit.sarif"""
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--python", metavar="ABI", help="The CPython of the runtime, as cp311.")
@click.option("--platform", metavar="PLATFORM", help="The wheel platform, as manylinux2014_x86_64.")
@click.option("--architecture", metavar="ARCH", help="Instead of --platform: x86_64 or aarch64 (arm64).")
@click.option(
    "--kind",
    type=click.Choice(["layer", "function"]),
    help="What the paths are, where that cannot be told from what they hold.",
)
@click.option("--recipe", "recipe_name", metavar="RECIPE", help="Take accepted findings, budget and target from it.")
@common.target_option
@click.option("--online", is_flag=True, help="Ask the index for the newest versions that would load.")
@common.json_option
@click.option("--sarif", "as_sarif", is_flag=True, help="Print the result as SARIF, for code scanning.")
def command(  # noqa: PLR0913, PLR0917 - one argument an option
    paths: tuple[str, ...],
    python: str | None,
    platform: str | None,
    architecture: str | None,
    kind: ArtefactKind | None,
    recipe_name: str | None,
    wanted: tuple[str, ...],
    *,
    online: bool,
    as_json: bool,
    as_sarif: bool,
) -> int:
    """Judge artefacts, whoever built them: what in them cannot load or run on the target, and what to do about it.

    PATH is a layer zip, a function zip, an unpacked folder of either, a wheel, or an image archive (OCI or docker
    save). Several are judged together, as the layers of one function and the function itself. Nothing is unpacked or
    run, and no recipe is needed. The target is that of --python and --platform (or --architecture), of --recipe, or of
    the manifest beside a path.
    """
    if as_json and as_sarif:
        raise UsageError("--json and --sarif exclude each other", hint="Give one of the two.")
    progress = common.TerminalProgress(quiet=as_json or as_sarif)
    try:
        recipe = _recipe(recipe_name)
        target = _target(paths, python, platform, architecture, recipe, wanted)
        judged = _judge(paths, kind, target, recipe)
        if online:
            judged = _with_newest(judged, target)
    finally:
        progress.close()
    _print(judged, target, as_json=as_json, as_sarif=as_sarif)
    return 1 if any(one.severity == "error" and not one.accepted for one in judged.everything) else 0


def _recipe(name: str | None) -> Recipe | None:
    if name is None:
        return None
    from lamina.project import load_recipe

    [project] = common.choose([name], everything=False)
    return load_recipe(project, common.open_store())


def _target(
    paths: Sequence[str],
    python: str | None,
    platform: str | None,
    architecture: str | None,
    recipe: Recipe | None,
    wanted: Sequence[str],
) -> Target:
    """The one target that is judged for.

    Raises:
        UsageError: nothing tells it, or what is stated is no target, or more than one.
    """
    stated = [value for value in (python, platform, architecture) if value is not None]
    if stated and wanted:
        raise UsageError("--target and --python exclude each other", hint="Give one of the two.")
    if stated:
        return _made(python or "", platform, architecture)
    if recipe is not None:
        known = common.select(recipe, wanted)
        names = {target.name for target in known} & _told(paths)
        fitting = [target for target in known if target.name in names] or known
        if len(fitting) > 1:
            choice = " or ".join(f"--target {target.name}" for target in fitting)
            raise UsageError(f"{recipe.name} has {len(fitting)} targets", hint=f"Say for which one: {choice}.")
        return fitting[0]
    if len(wanted) == 1:
        return _named(wanted[0])
    told = _told(paths)
    if len(told) == 1:
        return _named(told.pop())
    raise UsageError(
        "the target is not stated" if not told else f"the manifests are of {len(told)} targets",
        hint="Say for which runtime: --python cp311 --architecture x86_64 (the CPython and processor of the function).",
    )


def _told(paths: Sequence[str]) -> set[str]:
    """The targets that manifests beside the paths tell."""
    from lamina.emit import manifest as manifests

    found = (manifests.read(Path(path).with_suffix(".json")) for path in paths if path.endswith((".zip", ".tar")))
    return {manifest.target for manifest in found if manifest is not None}


def _named(name: str) -> Target:
    python, _, platform = name.partition("-")
    return _made(python, platform, None)


def _made(python: str, platform: str | None, architecture: str | None) -> Target:
    try:
        return target_for(python, platform=platform, architecture=architecture)
    except TargetError as error:
        raise UsageError(f"--{error.key}: {error}", hint="See: lamina audit --help") from error


def _judge(paths: Sequence[str], kind: ArtefactKind | None, target: Target, recipe: Recipe | None) -> _Judged:
    from lamina.artefact import open_artefact
    from lamina.audit import budget
    from lamina.audit.check import check
    from lamina.audit.runtime import check_runtime
    from lamina.recipe import Budget
    from lamina.runtimes import quotas

    artefacts = [open_artefact(path, kind=kind, architecture=target.architecture) for path in dict.fromkeys(paths)]
    accepts = recipe.accept if recipe is not None else ()
    checked = check(artefacts, target, provided=recipe.provided if recipe is not None else ())
    found = [
        accept([*findings, *budget.check_artefact(artefact, quotas())], accepts)
        for artefact, findings in zip(artefacts, checked, strict=True)
    ]
    today = dt.datetime.now(dt.UTC).date()
    limits = recipe.budget if recipe is not None else Budget()
    whole = [*check_runtime(target, today), *budget.check_stack(artefacts, limits, quotas())]
    return _Judged(artefacts, found, accept(whole, accepts))


def _with_newest(judged: _Judged, target: Target) -> _Judged:
    """The findings with the newest versions that would load, as the index tells them."""
    from lamina.audit.owners import Owners
    from lamina.index import IndexClient, from_environment
    from lamina.resolve.newest import advise

    with IndexClient(from_environment(os.environ)) as client:
        found = [
            advise([_asked(one) for one in findings], Owners(artefact).distribution, client, target)
            for artefact, findings in zip(judged.artefacts, judged.findings, strict=True)
        ]
    return judged._replace(findings=found)


def _asked(finding: Finding) -> Finding:
    """The finding without the advice to do what is being done."""
    return msgspec.structs.replace(
        finding, hint=finding.hint.replace(": lamina audit --online tells the newest that loads", "")
    )


def _print(judged: _Judged, target: Target, *, as_json: bool, as_sarif: bool) -> None:
    from lamina.report.findings import counts

    pairs = list(zip(judged.artefacts, judged.findings, strict=True))
    if as_json:
        from lamina.report import machine

        click.echo(machine.render(machine.audit(pairs, judged.stack, target)))
    elif as_sarif:
        from lamina.report.sarif import sarif

        stack = judged.artefacts[-1].name
        click.echo(sarif([*((artefact.name, found) for artefact, found in pairs), (stack, judged.stack)]))
    else:
        for artefact, found in pairs:
            _print_one(artefact, found)
        if judged.stack:
            click.echo("all together")
            common.print_findings(judged.stack, lambda _: "")
        click.echo(f"judged for {target.runtime.name} on {target.lambda_architecture}: {counts(judged.everything)}")
    for artefact, found in pairs:
        common.annotate(artefact.name, found)
    common.annotate("all together", judged.stack)


def _print_one(artefact: Artefact, found: Sequence[Finding]) -> None:
    from lamina.audit.owners import Owners
    from lamina.report.findings import counts, printable

    zipped = f"{artefact.zipped:,} bytes, " if artefact.zipped is not None else ""
    files = sum(item.kind == "file" for item in artefact.items)
    size = f"{zipped}{artefact.unzipped:,} unpacked, {files:,} file{'s' * (files != 1)}"
    click.echo(f"{printable(artefact.name)} ({artefact.kind}): {size}: {counts(found)}")
    common.print_findings(found, Owners(artefact).title)
