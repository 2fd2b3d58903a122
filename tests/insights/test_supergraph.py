"""A supergraph: what clients see of it has coordinates, its machinery has none, and fields know their subgraphs."""

from __future__ import annotations

import pytest
from graphql import parse
from world import World

from forebay.agent.extract import Extractor
from forebay.core.supergraph import subgraphs
from forebay.insights.answers import ElementUse
from forebay.insights.mistakes import BadSchema
from forebay.insights.published import build, coordinates
from forebay.insights.schema_changes import changes
from forebay.insights.schema_impact import Judge
from forebay.insights.touches import Comparison
from forebay.insights.type_changes import Hit

SUPERGRAPH = """
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
  @link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY)
{ query: Query }
directive @inaccessible on FIELD_DEFINITION | OBJECT | ENUM_VALUE | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION
directive @join__enumValue(graph: join__Graph!) repeatable on ENUM_VALUE
directive @join__field(graph: join__Graph, requires: join__FieldSet, external: Boolean, override: String,
  usedOverridden: Boolean) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__implements(graph: join__Graph!, interface: String!) repeatable on OBJECT | INTERFACE
directive @join__type(graph: join__Graph!, key: join__FieldSet) repeatable on OBJECT | INTERFACE | ENUM | SCALAR
directive @link(url: String, as: String, for: link__Purpose, import: [link__Import]) repeatable on SCHEMA
directive @live on FIELD
scalar join__FieldSet
enum join__Graph { PEOPLE @join__graph(name: "people", url: "") SHOP @join__graph(name: "web-shop", url: "") }
scalar link__Import
enum link__Purpose { SECURITY EXECUTION }
enum Role @join__type(graph: PEOPLE) { ADMIN @join__enumValue(graph: PEOPLE) ROOT @inaccessible }
type Query @join__type(graph: PEOPLE) @join__type(graph: SHOP) {
  me(secret: Int @inaccessible): User @join__field(graph: PEOPLE)
  orders: [Order] @join__field(graph: SHOP)
}
type User @join__type(graph: PEOPLE, key: "id") @join__type(graph: SHOP, key: "id") {
  id: ID!
  name: String @join__field(graph: PEOPLE) @join__field(graph: SHOP, external: true)
  role: Role @join__field(graph: PEOPLE)
  internal: Int @join__field(graph: PEOPLE) @inaccessible
}
type Order @join__type(graph: SHOP) { buyer: User }
type Hidden @join__type(graph: SHOP) @inaccessible { x: Int }
"""


def test_machinery_and_what_clients_cannot_see_have_no_coordinates() -> None:
    assert coordinates(build(SUPERGRAPH, "schema")) == {
        *("Query", "Query.me", "Query.orders", "User", "User.id", "User.name", "User.role"),
        *("Order", "Order.buyer", "Role", "Role.ADMIN", "@live"),
    }


def test_a_type_and_a_field_belong_to_the_subgraphs_that_answer_them() -> None:
    found = subgraphs(parse(SUPERGRAPH))
    assert found["Query.me"] == found["User.name"] == found["User.role"] == ("people",)
    assert found["Order.buyer"] == found["Query.orders"] == ("web-shop",)
    assert found["User.id"] == found["User"] == ("people", "web-shop")
    assert subgraphs(parse("type Query { a: Int }")) == {}


def test_a_field_that_moves_to_another_subgraph_changes_nothing_for_clients() -> None:
    moved = SUPERGRAPH.replace(
        "orders: [Order] @join__field(graph: SHOP)", "orders: [Order] @join__field(graph: PEOPLE)"
    )
    assert changes(build(SUPERGRAPH, "old schema"), build(moved, "new schema")) == []


def test_a_field_that_becomes_inaccessible_is_gone() -> None:
    hidden = SUPERGRAPH.replace("role: Role @join__field(graph: PEOPLE)", "role: Role @inaccessible")
    [change] = changes(build(SUPERGRAPH, "old schema"), build(hidden, "new schema"))
    assert (change.kind, change.coordinate) == ("field_removed", "User.role")


@pytest.mark.parametrize("renamed", ['as: "private"', 'import: [{name: "@inaccessible", as: "@private"}]'])
def test_what_a_link_calls_otherwise_is_as_inaccessible(renamed: str) -> None:
    text = SUPERGRAPH.replace("@inaccessible", "@private").replace("for: SECURITY)", f"for: SECURITY, {renamed})")
    assert coordinates(build(text, "schema")) == coordinates(build(SUPERGRAPH, "schema"))
    assert changes(build(SUPERGRAPH, "schema"), build(text, "schema")) == []


def test_an_inaccessible_type_is_no_member_and_no_interface() -> None:
    more = """
    extend type Query { found: Found @join__field(graph: SHOP) }
    union Found = User | Secret
    interface Kept @inaccessible { id: ID! }
    type Secret implements Kept @inaccessible { id: ID! }
    extend type Secret { more: Int }
    extend type User implements Kept
    """
    schema = build(SUPERGRAPH + more, "schema")
    assert coordinates(schema) == coordinates(build(SUPERGRAPH, "schema")) | {"Query.found", "Found"}


def test_a_subgraph_need_not_define_what_it_imports() -> None:
    link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key"])'
    keyed = 'type Query { me: User } type User @key(fields: "id") { id: ID! }'
    assert coordinates(build(f"{link} {keyed}", "schema")) == {"Query", "Query.me", "User", "User.id"}
    with pytest.raises(BadSchema, match="@key"):
        build(keyed, "schema")


WRITTEN = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key"])
type Query { me: User }
type User @key(fields: "id") { id: ID! email: String }
"""
SERVED = """
type Query { me: User _entities(representations: [_Any!]!): [_Entity]! _service: _Service! }
type User { id: ID! email: String }
scalar _Any
union _Entity = User
type _Service { sdl: String }
"""


@pytest.mark.parametrize("old", [SERVED, WRITTEN], ids=["served", "written"])
def test_what_a_subgraph_answers_its_router_need_not_stand_in_its_text(old: str) -> None:
    """It is there all the same: operations that ask for entities are judged as any."""
    source = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { email } } }"
    shape = Extractor(build(SERVED, "schema")).operation(source).shape({"r": []})
    for change, affected in ((("email: String", "email: String!"), False), ((" email: String", ""), True)):
        compared = Comparison(build(old, "old schema"), build(WRITTEN.replace(*change), "new schema"))
        assert {each.coordinate for each in compared.changes} <= {"User.email", "User"}
        [impact] = Judge(compared).judge([shape])
        hit = {compared.changes[number].coordinate: effect.hit for number, effect in impact.effects.items()}
        assert (hit, impact.unexplained) == ({"User.email": Hit.YES} if affected else {}, "")


def test_a_published_supergraph_is_shown_and_checked_as_clients_see_it(world: World) -> None:
    world.publish(SUPERGRAPH)
    world.start()
    world.load()
    answer = world.ask().schema_use()
    fields: dict[str, ElementUse] = {each.coordinate: each for type_ in answer.types for each in type_.elements}
    assert fields["Query.orders"].subgraphs == ("web-shop",)
    assert fields["User.id"].subgraphs == ("people", "web-shop")
    assert "User.internal" not in fields
    plain = "type Query { me: User } type User { id: ID! name: String role: Role } enum Role { ADMIN }"
    check = world.insights.check(world.scope, plain, None, "7d")
    assert [change.coordinate for change in check.changes] == ["Order", "Query.orders", "@live"]


def test_rubbish_between_the_machinery_is_found_with_its_place() -> None:
    with pytest.raises(BadSchema) as caught:
        build(SUPERGRAPH.replace("[Order]", "[Usr]").replace("buyer: User", "buyer: Usr"), "schema")
    assert [problem.partition("(")[2] for problem in caught.value.problems] == [
        "line 23, column 12)",
        "line 31, column 46)",
    ]
