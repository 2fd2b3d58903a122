"""Who asks: a client's name and version, from the headers of its request.

Said once, for all integrations; each takes a function of its own in place of `client_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import client_headers
from ..client_headers import Client, Headers


def client_of(context: Any) -> Client:
    """The client that the request's headers name.

    `context` is the request, or has it as `request`, a key or an attribute; a request is what
    has `headers`, or a WSGI environment, or an ASGI scope.
    """
    asgi, request = asgi_headers(context)
    if asgi is not None:
        return client_headers.client_in(asgi)
    headers = getattr(request, "headers", None)
    if headers is None and isinstance(request, Mapping):
        if "headers" in request:
            return client_headers.client_in(request["headers"])
        headers = _Environment(request)
    return ("", "") if headers is None else client_headers.client_of(headers.get)


def asgi_headers(context: Any) -> tuple[Headers | None, Any]:
    """The headers as an ASGI server gave them, far cheaper than a framework's view of them; None of other servers.

    And the request.
    """
    if type(context) is dict or isinstance(context, Mapping):  # the first is mostly so, and quicker
        request = context.get("request", context)
    else:
        request = getattr(context, "request", context)
    scope = getattr(request, "scope", None)
    headers = scope.get("headers") if type(scope) is dict else None
    return headers if type(headers) is list else None, request


class _Environment:
    """The headers among the variables of a WSGI environment."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables

    def get(self, name: str) -> str | None:
        return self._variables.get("HTTP_" + name.upper().replace("-", "_"))
