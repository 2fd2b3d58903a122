"""The `forebay` command."""

from __future__ import annotations

import sys
import traceback

import typer

from ..errors import ForebayError
from . import ask, check, dead_letters, demo, explain, fleet, rebuild, router, serve, tokens, topics

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Telemetry of GraphQL schema usage: who uses which field, and what a change would break.",
)
app.add_typer(tokens.app, name="token")
app.add_typer(ask.schema, name="schema")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(topics.app, name="topics")
app.add_typer(check.marks, name="marks")
for command in (
    serve.up,
    demo.demo,
    *ask.COMMANDS,
    check.check,
    explain.explain,
    *fleet.COMMANDS,
    router.router,
    rebuild.rebuild,
):
    app.command()(command)
app.command("settings")(fleet.list_settings)


def main() -> None:
    """Run the command line.  A user's mistake is one line on standard error and exit code 2.

    So is a fault of ours, with its traceback: exit code 1 says that a check found a breaking change.
    """
    try:
        app()
    except ForebayError as exc:
        sys.exit(_failed(str(exc)))
    except Exception:
        traceback.print_exc()
        sys.exit(_failed("this is a fault of Forebay, not yours: please report the lines above"))


def _failed(message: str) -> int:
    typer.echo(f"forebay: {message}", err=True)
    return 2
