"""Who asks: a client's name and version, from the headers of its request.

Said once, for all integrations; each takes a function of its own in place of `client_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import client_headers
from ..client_headers import Client


def client_of(context: Any) -> Client:
    """The client that the request's headers name.

    `context` is the request, or has it as `request`, a key or an attribute; a request is what
    has `headers`, or a WSGI environment, or an ASGI scope.
    """
    request = context.get("request", context) if isinstance(context, Mapping) else getattr(context, "request", context)
    headers = getattr(request, "headers", None)
    if headers is None and isinstance(request, Mapping):
        headers = _of_asgi(request["headers"]) if "headers" in request else _Environment(request)
    return ("", "") if headers is None else client_headers.client_of(headers.get)


def _of_asgi(headers: Any) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


class _Environment:
    """The headers among the variables of a WSGI environment."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables

    def get(self, name: str) -> str | None:
        return self._variables.get("HTTP_" + name.upper().replace("-", "_"))
