"""`forebay token`: make tokens, and turn the keys over that sign them."""

from __future__ import annotations

from typing import Annotated

import typer

from ..access import Identity, Scope, SigningKeys
from ..datadir import keys_path
from ..errors import Stop
from .serve import DATA, Data
from .window import seconds

app = typer.Typer(no_args_is_help=True, help="Make tokens, and rotate the keys that sign them.")


@app.command()
def create(
    org: Annotated[str, typer.Option(help="Organisation that the token speaks for.")],
    graph: Annotated[str, typer.Option(help="Graph that the token speaks for.")],
    scope: Annotated[Scope, typer.Option(help="write: send reports; read: ask questions.")] = Scope.WRITE,
    ttl: Annotated[str, typer.Option(help="How long it is valid, like 90d or 12h.")] = "365d",
    data: Data = DATA,
) -> None:
    """Print a signed token.  The same string works in every client protocol."""
    for name, value in (("--org", org), ("--graph", graph)):
        if not value.strip() or len(value) > 200:
            raise Stop(f"{name} must be 1 to 200 characters")
    typer.echo(_keys(data).create(Identity(org, graph, scope), seconds(ttl)))


@app.command()
def rotate(data: Data = DATA) -> None:
    """Sign with a new key from now on; tokens that exist stay valid."""
    typer.echo(f"signing with {_keys(data).rotate()}; retire an old key with `forebay token retire KEY`")


@app.command()
def keys(data: Data = DATA) -> None:
    """List the ids of the keys, the signing one first."""
    typer.echo("\n".join(_keys(data).ids()))


@app.command()
def retire(key: str, data: Data = DATA) -> None:
    """Forget a key: tokens that it signed are refused from now on."""
    _keys(data).retire(key)
    typer.echo(f"{key} is retired")


def _keys(data: Data) -> SigningKeys:
    data.mkdir(parents=True, exist_ok=True)
    return SigningKeys.load(keys_path(data))
