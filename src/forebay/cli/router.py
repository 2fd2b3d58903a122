"""`forebay router`: a reverse proxy before any GraphQL server, that reports what passes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import settings
from ..errors import Stop
from ..serving import Address
from .log import log_to_stderr
from .serve import PORT


def router(
    upstream: Annotated[str, typer.Option(help="The GraphQL endpoint, as http://host:port/graphql.")] = "",
    schema: Annotated[Path | None, typer.Option(help="The schema, in SDL; else the upstream is asked.")] = None,
    documents: Annotated[Path | None, typer.Option(help="Trusted documents, as JSON by identifier.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = PORT + 3,
    health_host: Annotated[str, typer.Option(help="Address of /health, /ready and /metrics.")] = "127.0.0.1",
    health_port: Annotated[int, typer.Option(min=1, max=65535)] = PORT + 4,
) -> None:
    """Pass GraphQL traffic on to any server, unchanged, and report what it uses."""
    log_to_stderr()
    try:
        from ..router.run import route
    except ImportError as exc:
        raise Stop(f"the router needs more than the server does ({exc.name}): pip install 'forebay[router]'") from None
    given = {"upstream": upstream, "schema": schema, "documents": documents}
    options: dict[str, Any] = {name: str(value) for name, value in given.items() if value}
    own = dataclasses.replace(settings.read(settings.RouterSettings), **options)
    front, side = Address(host, port), Address(health_host, health_port)
    typer.echo(
        route(own, front, side, lambda: typer.echo(f"routing {front.url} to {own.upstream}; health on {side.url}"))
    )
