"""`forebay dead-letters`: records that could not be loaded, what they hold, and replaying them."""

from __future__ import annotations

import base64
import json
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ..errors import Stop
from .api import Server
from .ask import Json
from .server_options import of_server
from .tables import table, terminal, when

app = typer.Typer(no_args_is_help=True, help="Records that could not be loaded: look at them, replay them.")

Reason = Annotated[str | None, typer.Option(help="Of this reason only, like undecodable.", show_default=False)]


@app.command("list")
@of_server
def list_(
    server: Server,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many.")] = 50,
    as_json: Json = False,
) -> None:
    """The newest dead letters: why they are some, whose, and what a replay would do now."""
    answer = server.get("dead-letters", reason=reason, limit=limit)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    letters = answer["letters"]
    rows = (
        (
            letter["id"],
            when(letter["appended"]),
            letter["reason"],
            _owner(letter),
            letter["size"],
            letter["now"],
            _printable(letter["message"]),
        )
        for letter in letters
    )
    console = terminal()
    table(console, "id appended reason graph bytes# now message", rows, "there are no dead letters")
    if len(letters) < answer["total"]:
        console.print(f"{answer['total'] - len(letters):,} older ones: --limit", style="dim", highlight=False)


@app.command()
@of_server
def show(
    server: Server,
    id: Annotated[str, typer.Argument(help="As `list` names it, like forebay.tallies/0/41.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the exact bytes, and nothing else.")] = False,
    as_json: Json = False,
) -> None:
    """Everything about one dead letter, and its bytes: as text if they are, else in hexadecimal."""
    answer = server.get(f"dead-letters/{quote(id, safe='/@')}")
    content = base64.b64decode(answer["raw"])
    if raw:
        sys.stdout.buffer.write(content)
        return
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    letter = answer["letter"]
    told = letter | {"graph": _owner(letter), "message": _printable(letter["message"])}
    for name in ("id", "appended", "reason", "message", "graph", "size", "now"):
        typer.echo(f"{name:<9} {told[name]}")
    typer.echo(f"\n{shown(content)}")


@app.command()
@of_server
def replay(
    server: Server,
    ids: Annotated[list[str] | None, typer.Argument(help="As `list` names them.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that a replay would load now.")] = False,
    reason: Reason = None,
    force: Annotated[bool, typer.Option("--force", help="Also those that would be put aside again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Put dead letters into the journal once more; each counts once, however often.  Exit 1: some were refused."""
    if bool(ids) == everything or (reason is not None and not everything):
        raise Stop("name either the ids of dead letters, or --all, perhaps with --reason")
    content = {"ids": ids or [], "all": everything, "reason": reason, "force": force, "dry_run": dry_run}
    answer = server.post("dead-letters/replay", content)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        _tell(answer)
    raise typer.Exit(1 if answer["refused"] else 0)


def _tell(answer: dict[str, Any]) -> None:
    typer.echo(f"{'would replay' if answer['dry_run'] else 'replayed'} {_letters(answer['appended'])}")
    if answer["landed"]:
        typer.echo(f"left out {_letters(answer['landed'])} that the store has by now")
    if answer["refused"]:
        typer.echo(f"refused {_letters(answer['refused'])} that would be put aside again (--force replays them too):")
        for refusal in answer["refusals"]:
            typer.echo(f"  {refusal['id']}  {refusal['reason']}: {_printable(refusal['message'])}")
        if (more := answer["refused"] - len(answer["refusals"])) > 0:
            typer.echo(f"  and {more:,} more")


def shown(raw: bytes) -> str:
    """Text as it is if nothing in it could act on a terminal, else sixteen bytes a line in hexadecimal."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return _dump(raw)
    return text if all(each.isprintable() or each in "\n\t" for each in text) else _dump(raw)


def _dump(raw: bytes) -> str:
    lines = []
    for at in range(0, len(raw), 16):
        part = raw[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:08x}  {part.hex(' '):<47}  {text}")
    return "\n".join(lines)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _owner(letter: dict[str, Any]) -> str:
    return _printable(f"{letter['org']}/{letter['graph']}") if letter["org"] or letter["graph"] else "-"


def _letters(count: int) -> str:
    return f"{count:,} letter{'' if count == 1 else 's'}"
