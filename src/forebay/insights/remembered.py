"""What is looked up in a schema again and again: remembered for as long as the schema is there, and no longer.

A cache of fixed size would hold on to the schemas of checks long past, tens of MiB each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from weakref import WeakKeyDictionary

from graphql import GraphQLSchema

Names = frozenset[str]


def remembered(look_up: Callable[[GraphQLSchema, str], Names]) -> Callable[[GraphQLSchema, str], Names]:
    """The same function, that does each of its work once."""
    known: WeakKeyDictionary[GraphQLSchema, dict[str, Names]] = WeakKeyDictionary()

    @wraps(look_up)
    def found(schema: GraphQLSchema, name: str) -> Names:
        names = known.setdefault(schema, {})
        if name not in names:
            names[name] = look_up(schema, name)
        return names[name]

    return found
