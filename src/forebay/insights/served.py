"""Which versions of a graph's schema are served now, as its traffic tells: at a rollout, in two regions, several are.

A version that gets no requests any more is gone, and what went with it went before: checks don't
go on asking for it.  Rare traffic says so later than busy traffic does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from graphql import GraphQLSchema

from ..store.port import Store
from . import queries
from .answers import Scope
from .mistakes import BadQuestion, BadSchema
from .published import version
from .questions import newest
from .window import Window

HOUR: Final = 3_600
MOST: Final = 4
"""So many versions beside the newest are compared: each costs what a check costs."""

_OURS = re.compile("[0-9a-f]{32}")


class Served(NamedTuple):
    """By version: the newest published one first, then others, those seen most often first.

    `unknown`: those of which the store does not have the schema, or that are too many.
    """

    schemas: dict[str, GraphQLSchema]
    unknown: tuple[str, ...] = ()


def served(store: Store, scope: Scope, window: Window) -> Served:
    """BadQuestion if no schema was published, BadSchema if the newest one can't be built."""
    last = newest(store, scope)
    if last is None:
        raise BadQuestion(f"no schema of {scope.graph} has been published yet: give the old one with `against`")
    rows = store.query(queries.VERSIONS_RUN, queries.parameters(scope, window))
    now = max((max(row["times"]) for row in rows), default=0)
    # Other reporters stamp what is no name of a schema, as Cosmo's routers do the version of their configuration.
    others = [
        row["name"]
        for row in rows
        if row["name"] != last.version
        and (row["published"] or _OURS.fullmatch(row["name"]))
        and is_served(row["times"], now)
    ]
    found = _published(store, scope, others[:MOST]) if others else {}
    schemas = {name: found[name] for name in others if name in found}
    return Served({last.version: last.schema} | schemas, tuple(name for name in others if name not in found))


def is_served(times: Sequence[int], now: int) -> bool:
    """Of a version that had requests at these times: is it silent for less than an hour, or for less than twice the
    time that once lay between two of its requests?"""
    silences = [later - earlier for earlier, later in pairwise(sorted(times))]
    return not silences or now - max(times) <= max(HOUR, 2 * max(silences))


def _published(store: Store, scope: Scope, names: list[str]) -> dict[str, GraphQLSchema]:
    found = {}
    for row in store.query(queries.SCHEMAS_NAMED, queries.graph_parameters(scope) | {"versions": names}):
        try:
            found[row["schema_version"]] = version(row["schema_version"], row["sdl"]).schema
        except BadSchema:
            continue
    return found
