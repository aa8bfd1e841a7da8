"""The command line: one module a command, and the one place where errors become exit codes."""

from __future__ import annotations

import io
import os
import sys

import click

import lamina
from lamina.errors import LaminaError, MissingToolError, UsageError

#: Command → one line of help. A command's module is imported only when it runs or shows its own help.
COMMANDS = {
    "audit": "Judge artefacts, whoever built them, for a target.",
    "build": "Build the layers of recipes from their locks.",
    "cache": "Show or empty the store of wheels and parts.",
    "diff": "Explain how two artefacts differ.",
    "explain": "Tell what a layer leaves out, what it keeps, and why.",
    "image": "Build container images of recipes, without an engine.",
    "invoke": "Call the function that was built, as Lambda would.",
    "lock": "Resolve recipes to exact wheels for their targets.",
    "prove": "Run what was built, in a CPython of the target.",
    "recipe": "Write a new recipe, or check one.",
    "report": "Show where a layer's bytes and import time go.",
    "trace": "Record what the proofs of recipes touch of their layers.",
}

INTERRUPTED = 130


class _Commands(click.Group):
    """Commands that are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        command: click.Command = import_module(f"lamina.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: lamina recipe new NAME, then lamina lock NAME, then lamina build NAME.",
)
@click.version_option(lamina.__version__, prog_name="lamina")
def cli() -> None:
    """Build AWS Lambda layers for Python: for the target, slimmed without breaking, reproducible.

    A recipe is a TOML file in recipes/; its lock stands in recipes/locks/, what is built goes to dist/.

    \b
    Exit codes: 0 fine, 1 error findings, a failed proof or a stale lock, 2 usage or recipe, 3 no resolution,
    4 index, network, integrity or an unsafe wheel, 5 the machine lacks something, 130 interrupted.
    """


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; what went wrong is on stderr."""
    for stream in (sys.stdout, sys.stderr):  # what a console cannot show must not end a command that has done its work
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        result = cli.main(arguments, prog_name="lamina", standalone_mode=False)
    except SystemExit:
        if "_LAMINA_COMPLETE" in os.environ:  # shell completion ends so
            raise
        return 0  # and else only what finds the reader of its output gone, as after `head`
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; nothing was left half-done", err=True)
        return INTERRUPTED
    except (LaminaError, click.ClickException, OSError) as error:
        return _failed(error)
    return result if isinstance(result, int) else 0


def _failed(error: LaminaError | click.ClickException | OSError) -> int:
    """Print what went wrong and return the exit code for it."""
    from lamina.cli.common import show

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        hint = f"See: {context.command_path} --help" if context is not None else ""
        error = UsageError(error.format_message(), hint=hint)
    elif isinstance(error, OSError):  # a disk that is full, a folder that cannot be written
        place = f"{error.filename}: " if error.filename else ""
        notes = getattr(error, "__notes__", [])
        hint = "\n".join(["Check free space and permissions there; nothing was left half-done.", *notes])
        error = MissingToolError(f"{place}{error.strerror or error}", hint=hint)
    show(error)
    return error.exit_code
