"""`forebay collect`, `load` and `console`: the processes of a fleet; `migrate` and `settings` beside them."""

from __future__ import annotations

import dataclasses
import os
from enum import StrEnum
from typing import Annotated, Any

import typer

from .. import settings
from ..serving import Address
from ..wiring import fleet
from .log import log_to_stderr
from .serve import DATA, PORT, Data
from .tables import table, terminal

Host = Annotated[str, typer.Option(help="Address to listen on; any but loopback demands tokens.")]
Port = Annotated[int, typer.Option(min=1, max=65535)]


def collect(data: Data = DATA, host: Host = "127.0.0.1", port: Port = PORT) -> None:
    """Take reports in and append them to Kafka.  As many as needed, each with a data directory of its own."""
    address = _begin(host, port)
    typer.echo(fleet.collect(data, address, lambda: typer.echo(f"collecting on {address.url}")))


def load(data: Data = DATA, host: Host = "127.0.0.1", port: Port = PORT + 1) -> None:
    """Load from Kafka into ClickHouse, at the pace that it can take.  As many as there are partitions."""
    address = _begin(host, port)
    typer.echo(fleet.load(data, address, lambda: typer.echo(f"loading; health and metrics on {address.url}")))


def console(data: Data = DATA, host: Host = "127.0.0.1", port: Port = PORT + 2) -> None:
    """Answer questions: the page and the JSON API that all other commands ask."""
    address = _begin(host, port)
    typer.echo(fleet.console(data, address, lambda: typer.echo(f"the page is on {address.url}")))


class Pull(StrEnum):
    """Who pulls from Kafka instead of Forebay's loader."""

    KAFKA_ENGINE = "kafka-engine"


def migrate(
    pull: Annotated[Pull | None, typer.Option(help="Statements with which ClickHouse pulls by itself.")] = None,
    apply: Annotated[bool, typer.Option(help="Run what --pull prints.")] = False,
) -> None:
    """Create or upgrade the tables in ClickHouse; with --pull, print what it needs to pull by itself."""
    if pull is None:
        fleet.migrate()
        typer.echo("the tables are as this Forebay needs them")
        return
    for statement in fleet.pull(apply):
        typer.echo(f"{statement};")


def list_settings() -> None:
    """List every setting: what it is, where it comes from, its unit and meaning."""
    said = settings.given()
    rows = [
        (name, _value(field, said.get(name)), _source(name, said), field.metadata["unit"], field.metadata["meaning"])
        for kind in settings.STAGES
        for field in dataclasses.fields(kind)
        for name in [settings.variable(kind, field)]
    ]
    table(terminal(), "setting value from unit meaning", rows, "no settings")


COMMANDS = (collect, load, console, migrate)


def _value(field: dataclasses.Field[Any], said: str | None) -> object:
    return field.default if said is None else "(set)" if field.metadata["secret"] else said


def _source(name: str, said: dict[str, str]) -> str:
    return "environment" if name in os.environ else "file" if name in said else "default"


def _begin(host: str, port: int) -> Address:
    log_to_stderr()
    return Address(host, port)
