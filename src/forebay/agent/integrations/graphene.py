"""Graphene: one line reports what a schema's requests use.

    from forebay.agent.integrations.graphene import Forebay

    schema = Forebay().watch(graphene.Schema(query=Query))

It sees `execute`, `execute_async` and `subscribe` of the schema, as graphene-django's view and
others call them.  A server that calls graphql-core with `schema.graphql_schema` by itself takes
the functions of the integration for graphql-core, which this one also has.
"""

from __future__ import annotations

from typing import TypeVar

from . import missing
from .graphql_core import Forebay as _Forebay

try:
    from graphene import Schema
except ModuleNotFoundError as exc:
    raise missing("graphene", exc) from exc

S = TypeVar("S", bound=Schema)


class Forebay(_Forebay):
    """`client` is given the execution's context.  `options` are those of Reporter."""

    def watch(self, schema: S) -> S:
        """The same schema, whose requests are reported from now on."""
        for name in ("execute", "execute_async", "subscribe"):
            watched = self.wrap(getattr(schema, name), schema.graphql_schema, middleware=name != "subscribe")
            setattr(schema, name, watched)
        return schema
