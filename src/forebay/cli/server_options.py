"""The options by which every question names the Forebay that it asks, declared once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import typer

from .api import Server
from .serve import DATA, PORT, Data

P = ParamSpec("P")
R = TypeVar("R")


def of_server(command: Callable[Concatenate[Server, P], R]) -> Callable[..., R]:
    """Put options in the place of a command's first parameter, the server."""
    own = inspect.signature(command).parameters
    hints = get_type_hints(command, include_extras=True)
    kept = [own[name].replace(annotation=hints[name]) for name in list(own)[1:]]

    @functools.wraps(command)
    def asked(*args: Any, url: str, token: str, graph: str, data: Data, **kwargs: Any) -> R:
        return command(Server(url.rstrip("/"), token, graph, data), *args, **kwargs)

    asked.__signature__ = inspect.Signature([*kept, *_OPTIONS])  # type: ignore[attr-defined]  # what typer reads
    asked.__annotations__ = {p.name: p.annotation for p in (*kept, *_OPTIONS)}
    return asked


def _option(name: str, type_: Any, default: Any, **settings: Any) -> inspect.Parameter:
    annotation = Annotated[type_, typer.Option(**settings)] if settings else type_
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_OPTIONS = (
    _option("url", str, f"http://127.0.0.1:{PORT}", envvar="FOREBAY_URL", help="The Forebay to ask."),
    _option("token", str, "", envvar="FOREBAY_TOKEN", help="A token; not needed on the same machine."),
    _option("graph", str, "", help="ORG/GRAPH, where there are several."),
    _option("data", Data, DATA),
)
