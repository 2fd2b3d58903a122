"""`forebay check` and `forebay marks`: is a schema safe to publish, and what people have let pass."""

from __future__ import annotations

import getpass
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..insights.check_answers import FailOn
from .api import Server
from .ask import MONTH, Json, WindowOption
from .check_formats import FORMATS, as_table
from .files import text_of
from .server_options import of_server
from .tables import about, table, terminal, when


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"
    JUNIT = "junit"


PUBLISHED = Path("published")

Change = Annotated[str, typer.Argument(help="The change's id, as the check prints it.")]
Operation = Annotated[str, typer.Argument(help="The operation's id, as the check prints it.")]
Reason = Annotated[str, typer.Option(help="Why.")]
Author = Annotated[str, typer.Option(help="Who says so.", default_factory=getpass.getuser, show_default="you")]

marks = typer.Typer(no_args_is_help=True, help="Changes that a person marked as safe for an operation.")


@of_server
def check(
    server: Server,
    schema: Annotated[Path, typer.Option(help="The schema as it would be, in SDL.")],
    against: Annotated[Path, typer.Option(help="The schema as it is; else the newest published one.")] = PUBLISHED,
    window: WindowOption = MONTH,
    min_requests: Annotated[int, typer.Option(min=1, help="Fewer affected requests do not count.")] = 1,
    min_percent: Annotated[float, typer.Option(min=0, max=100, help="Nor does a smaller share of all requests.")] = 0,
    exclude_client: Annotated[list[str], typer.Option(help="Leave out a client, or NAME@VERSION.")] = [],  # noqa: B006  typer's way
    exclude_operation: Annotated[list[str], typer.Option(help="Leave out an operation, by name or id.")] = [],  # noqa: B006
    fail_on: Annotated[FailOn, typer.Option(help="What is a failure.")] = FailOn.UNKNOWN,
    output: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Does this schema break a client that is in use?  Exit 0: no; 1: yes; 2: error; 3: can't know."""
    text = text_of(schema)
    content = {
        "schema": text,
        "against": None if against == PUBLISHED else text_of(against),
        "window": window,
        "min_requests": min_requests,
        "min_percent": min_percent,
        "exclude_clients": exclude_client,
        "exclude_operations": exclude_operation,
        "fail_on": fail_on.value,
    }
    answer = server.post("check", content)
    if as_json or output is Format.JSON:
        typer.echo(json.dumps(answer, indent=2))
    elif output is Format.TABLE:
        console = terminal()
        as_table(console, answer)
        about(console, answer)
    else:
        typer.echo(FORMATS[output.value](answer, str(schema), text))
    raise typer.Exit(answer["exit_code"])


@marks.command("list")
@of_server
def list_marks(server: Server, as_json: Json = False) -> None:
    """What was marked, by whom and why; the newest first."""
    _print(server.get("marks"), as_json)


@marks.command("add")
@of_server
def add(server: Server, change: Change, operation: Operation, reason: Reason, author: Author) -> None:
    """Let this change pass for this operation, in every check until it is revoked."""
    _print(server.post("marks", _mark(change, operation, author, reason)))


@marks.command("revoke")
@of_server
def revoke(server: Server, change: Change, operation: Operation, reason: Reason, author: Author) -> None:
    """Let it pass no longer."""
    _print(server.post("marks/revoke", _mark(change, operation, author, reason)))


def _mark(change: str, operation: str, author: str, reason: str) -> dict[str, str]:
    return {"change": change, "operation": operation, "author": author, "reason": reason}


def _print(found: list[dict[str, Any]], as_json: bool = False) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    rows = (
        (
            mark["change"],
            mark["operation"],
            "revoked" if mark["revoked"] else "safe",
            mark["author"],
            mark["reason"],
            when(mark["at"]),
        )
        for mark in found
    )
    table(terminal(), "change operation mark author reason last_changed", rows, "nothing was marked")
