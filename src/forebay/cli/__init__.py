"""The `forebay` command."""

from __future__ import annotations

import sys

import typer

from ..errors import ForebayError
from . import ask, demo, explain, serve, tokens

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Telemetry of GraphQL schema usage: who uses which field, and what a change would break.",
)
app.add_typer(tokens.app, name="token")
app.add_typer(ask.schema, name="schema")
for command in (serve.up, demo.demo, *ask.COMMANDS, explain.explain):
    app.command()(command)


def main() -> None:
    """Run the command line.  A user's mistake is one line on standard error and exit code 2."""
    try:
        app()
    except ForebayError as exc:
        sys.exit(_failed(str(exc)))


def _failed(message: str) -> int:
    typer.echo(f"forebay: {message}", err=True)
    return 2
