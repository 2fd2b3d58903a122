"""`forebay up`: everything on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..access import Identity, Scope
from ..datadir import DataDirectory, default_path, open_directory
from ..serving import Address
from ..wiring.embedded import Embedded
from .log import log_to_stderr

YEAR = 365 * 86_400
PORT = 4610
DATA = default_path()

Data = Annotated[
    Path,
    typer.Option(help="The data directory.", envvar="FOREBAY_DATA", show_default="the platform's user data directory"),
]


def up(
    data: Data = DATA,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback demands tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = PORT,
) -> None:
    """Run the whole pipeline on this machine: collector, journal, loader, store and page."""
    log_to_stderr()
    with open_directory(data) as directory:
        address = Address(host, port)
        pipeline = Embedded(directory, address)
        pipeline.run(address, started=lambda: _welcome(pipeline, directory, address))
    typer.echo("stopped; everything acknowledged is on disk")


def _welcome(pipeline: Embedded, directory: DataDirectory, address: Address) -> None:
    typer.echo(f"Forebay is up: {address.url}  (data in {directory.path}; Ctrl-C stops it)")
    if not directory.first_start:
        return
    token = pipeline.keys.create(Identity("default", "default", Scope.WRITE), YEAR)
    typer.echo(SETTINGS.format(url=address.url, token=token))


SETTINGS = """
Paste one of these where your GraphQL traffic is (organisation `default`, graph `default`, valid
for a year; others: `forebay token create --org … --graph …`).

  Python server            export FOREBAY_URL={url}
                           export FOREBAY_TOKEN={token}
                           from forebay.agent.integrations.strawberry import Forebay
                           schema = strawberry.Schema(Query, extensions=[Forebay()])
                           (Ariadne, Graphene, FastAPI, Flask, Django, aiohttp, others: docs/agents)

  Any other server         export FOREBAY_URL=… FOREBAY_TOKEN=…      # as above
                           forebay router --upstream http://127.0.0.1:4000/graphql

  Cosmo router             export GRAPHQL_METRICS_ENABLED=true
                           export GRAPHQL_METRICS_COLLECTOR_ENDPOINT={url}
                           export GRAPH_API_TOKEN={token}

Then ask:  forebay status · forebay operations · forebay clients TYPE.field
"""
