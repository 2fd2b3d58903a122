"""What is remembered of a schema: computed once, and gone with the schema."""

from __future__ import annotations

import gc
import weakref

from graphql import GraphQLSchema, build_schema

from forebay.insights.remembered import remembered


def test_each_name_of_a_schema_is_looked_up_once_and_forgotten_with_it() -> None:
    asked: list[str] = []

    @remembered
    def look_up(schema: GraphQLSchema, name: str) -> frozenset[str]:
        asked.append(name)
        return frozenset(schema.type_map)

    one, other = build_schema("type Query { a: Int }"), build_schema("type Query { b: ID }")
    assert look_up(one, "A") == look_up(one, "A") != look_up(other, "A")
    assert asked == ["A", "A"]
    alive = weakref.ref(one)
    del one
    gc.collect()
    assert alive() is None
    assert "ID" in look_up(other, "A")
    assert len(asked) == 2
