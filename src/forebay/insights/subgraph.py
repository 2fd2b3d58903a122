"""A federation subgraph as it is served: its text may leave out what every subgraph answers its router.  Pure.

What a running service says of its schema has `_entities` and `_service`, the text that its authors
write has not; operations ask for both.  Source: Apollo Federation, "Subgraph specification".
"""

from __future__ import annotations

from graphql import GraphQLObjectType, GraphQLSchema, extend_schema, parse

from .type_changes import written_on


def with_federation(schema: GraphQLSchema) -> GraphQLSchema:
    """The schema with the fields of federation, where types have keys and the text lacks those."""
    query, entities = schema.query_type, sorted(filter(None, map(_entity, schema.type_map.values())))
    theirs = {"_entities", "_service", "_Any", "_Entity", "_Service"}
    if query is None or not entities or theirs & (query.fields.keys() | schema.type_map.keys()):
        return schema
    text = f"""
    scalar _Any
    union _Entity = {" | ".join(entities)}
    type _Service {{ sdl: String }}
    extend type {query.name} {{ _entities(representations: [_Any!]!): [_Entity]! _service: _Service! }}
    """
    return extend_schema(schema, parse(text), assume_valid=True)


def _entity(type_: object) -> str:
    """The type's name, if it is an object type with a key."""
    if not isinstance(type_, GraphQLObjectType):
        return ""
    return type_.name if any(each.name.value == "key" for each in written_on(type_)) else ""
