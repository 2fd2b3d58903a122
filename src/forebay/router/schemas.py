"""The schema that operations are analysed against: from a file, or from the upstream by introspection.

Each call of a source reads it anew, so that a changed schema is found; what it raises says in one
line what was wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from graphql import (
    GraphQLError,
    GraphQLSchema,
    assert_valid_schema,
    build_ast_schema,
    build_client_schema,
    get_introspection_query,
    parse,
    print_schema,
)

from ..core.supergraph import api_schema
from ..errors import RetryLater

TIMEOUT = 30.0
"""Seconds that an introspection may take."""

LARGEST = 64 * 2**20
"""Bytes of an introspection's answer."""


class Schema(NamedTuple):
    """What clients see, and the text under which it is known."""

    graphql: GraphQLSchema
    sdl: str


Source = Callable[[], Schema]
"""Raises RetryLater if there is no schema at the moment."""


def from_file(path: Path) -> Schema:
    """Of a schema in SDL; of a supergraph what clients see, known under the supergraph's own text."""
    try:
        text = path.read_text(encoding="utf-8")
        # Directives that are not defined in the text are let through, as those of federation.
        schema = build_ast_schema(api_schema(parse(text)), assume_valid_sdl=True)
        assert_valid_schema(schema)
    except (OSError, UnicodeDecodeError, GraphQLError, TypeError, KeyError, RecursionError) as exc:
        raise RetryLater(f"{path} is no valid schema: {_line(exc)}") from None
    return Schema(schema, text)


def from_upstream(url: str, headers: Mapping[str, str]) -> Schema:
    """What the upstream says of itself; asked for all that is known of introspection, then for the least."""
    full = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    )
    try:
        answer = _asked(url, headers, full)
        if not answer.get("data"):
            answer = _asked(url, headers, get_introspection_query())
        if not answer.get("data"):
            raise RetryLater(f"{url} answers no introspection (give its schema by --schema): {_errors(answer)}")
        schema = build_client_schema(answer["data"])
        assert_valid_schema(schema)
    except (httpx.HTTPError, ValueError, TypeError, KeyError, AttributeError, GraphQLError, RecursionError) as exc:
        raise RetryLater(f"no schema from {url}: {_line(exc)}") from None
    return Schema(schema, print_schema(schema))


def _asked(url: str, headers: Mapping[str, str], query: str) -> dict[str, Any]:
    body = b""
    # Like all traffic to the upstream, past any proxy that the environment names.
    with (
        httpx.Client(timeout=TIMEOUT, trust_env=False) as client,
        client.stream("POST", url, json={"query": query}, headers=headers) as response,
    ):
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > LARGEST:
                raise RetryLater(f"the introspection of {url} is larger than {LARGEST} bytes: give its schema")
    answer = httpx.Response(response.status_code, content=body).json()
    return answer if isinstance(answer, dict) else {}


def _errors(answer: Mapping[str, Any]) -> str:
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return _line(first.get("message", "")) if isinstance(first, dict) else "no errors are told"


def _line(what: object) -> str:
    return (str(what).splitlines() or [""])[0][:300] or type(what).__name__
