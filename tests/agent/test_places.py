"""The path of an error leads to the coordinate at which it arose, or to none where that can't be known."""

from __future__ import annotations

from typing import Any

import graphql
import pytest
from graphql import GraphQLError, build_schema
from hypothesis import given
from hypothesis import strategies as st

from forebay.agent.extract import Extractor
from forebay.agent.places import DISTINCT, LOOKED_AT, MAX_LENGTH, errors_at
from forebay.core.execution import NOWHERE

SDL = """
type Query { me: User  node(id: ID): Node  nodes: [[Node!]!]  search: [Result]  entity: Entity  only: Alone }
type Mutation { rename(name: String): User }
interface Entity { id: ID }
interface Node implements Entity { id: ID  name: String  owner: Node }
type User implements Node & Entity { id: ID  name: String  email: String  owner: User  friends: [User!]! }
type Device implements Node & Entity { id: ID  name: String  serial: String  owner: User }
interface Alone { a: Int }
type Single implements Alone { a: Int }
union Result = User | Device
"""
EXTRACTOR = Extractor(build_schema(SDL))
FRAGMENTS = """
fragment UserParts on User { mail: email friends { ...NodeParts } }
fragment NodeParts on Node { label: name owner { id } }
"""


def place(document: str, path: list[Any], name: str | None = None) -> str:
    places = EXTRACTOR.places(document, name)
    assert places is not None
    [path_] = errors_at([{"path": path}])
    return places.coordinate(path_)


@pytest.mark.parametrize(
    ("document", "path", "coordinate"),
    [
        ("{ me { email } }", ["me"], "Query.me"),
        ("{ me { email } }", ["me", "email"], "User.email"),
        ("{ i: me { e: email } }", ["i", "e"], "User.email"),
        ("mutation { rename { name } }", ["rename"], "Mutation.rename"),
        ("{ me { friends { email } } }", ["me", "friends", 3, "email"], "User.email"),
        ("{ nodes { name } }", ["nodes", 0, 1, "name"], "Node.name"),
        ("{ nodes { name } }", ["nodes", 0], "Query.nodes"),
        # through fragments, within each other
        ("{ me { ...UserParts } }" + FRAGMENTS, ["me", "mail"], "User.email"),
        ("{ me { ...UserParts } }" + FRAGMENTS, ["me", "friends", 0, "label"], "User.name"),
        ("{ me { ...UserParts } }" + FRAGMENTS, ["me", "friends", 0, "owner", "id"], "User.id"),
        ("{ me { ... @include(if: true) { email } } }", ["me", "email"], "User.email"),
        # on an interface: its own field where the object is not known, the object's where only one can stand there
        ("{ node { name } }", ["node", "name"], "Node.name"),
        ("{ node { ... on User { name } } }", ["node", "name"], "User.name"),
        ("{ node { name ... on User { name } } }", ["node", "name"], "Node.name"),
        ("{ node { ... on User { name } name } }", ["node", "name"], "Node.name"),
        ("{ node { ... on Entity { id } } }", ["node", "id"], "Entity.id"),
        ("{ entity { ... on Node { name } } }", ["entity", "name"], "Node.name"),
        ("{ only { a } }", ["only", "a"], "Single.a"),
        ("{ node { owner { name } } }", ["node", "owner", "name"], "User.name"),
        ("{ node { ... on Device { owner { ... on Node { name } } } } }", ["node", "owner", "name"], "User.name"),
        # on a union: where only one member has selected it
        ("{ search { ... on User { email } ... on Device { serial } } }", ["search", 0, "email"], "User.email"),
        ("{ search { ... on Node { name } } }", ["search", 0, "name"], "Node.name"),
        # both have: which one it was an answer does not tell
        ("{ search { ... on User { name } ... on Device { name } } }", ["search", 0, "name"], NOWHERE),
        ("{ search { ... on User { x: email } ... on Device { x: serial } } }", ["search", 0, "x"], NOWHERE),
        # below such a place it may be known again
        ("{ search { ... on User { owner { id } } ... on Device { owner { id } } } }", ["search", 0, "owner", "id"],
         "User.id"),
        # a condition that can't hold where it stands
        ("{ me { ... on Node { ... on User { email } } } }", ["me", "email"], "User.email"),
        # no fields of the schema
        ("{ me { __typename } }", ["me", "__typename"], NOWHERE),
        ("{ __schema { types { name } } }", ["__schema", "types", 0, "name"], NOWHERE),
        # paths that lead nowhere
        ("{ me { email } }", ["you"], NOWHERE),
        ("{ me { email } }", ["me", "email", "more"], NOWHERE),
        ("{ me { nothing { more } } }", ["me", "nothing", "more"], NOWHERE),
        ("{ me { nothing } node { nothing } }", ["me", "nothing"], NOWHERE),
        ("{ me { nothing } node { nothing } }", ["node", "nothing"], NOWHERE),
        ("{ me { ...Missing } }", ["me", "email"], NOWHERE),
        ("{ me { ...Own } } fragment Own on User { ...Own email }", ["me", "email"], "User.email"),
    ],
)  # fmt: skip
def test_a_path_leads_to_a_coordinate(document: str, path: list[Any], coordinate: str) -> None:
    assert place(document, path) == coordinate


def test_of_several_operations_the_one_that_ran_is_walked() -> None:
    document = "query A { x: me { id } } query B { x: node { name } }"
    assert place(document, ["x"], "A") == "Query.me"
    assert place(document, ["x", "name"], "B") == "Node.name"
    assert EXTRACTOR.places(document) is None


def test_a_document_that_is_too_large_to_be_walked_leads_nowhere_and_is_asked_once() -> None:
    wide = "{ me { " + " ".join(f"a{n}: id" for n in range(12_000)) + " } }"
    places = EXTRACTOR.places(wide)
    assert places is not None
    assert [places.coordinate(("me", "a1")) for _ in range(3)] == [NOWHERE] * 3


def test_the_paths_of_graphql_cores_own_errors_lead_to_the_fields_whose_resolvers_raised() -> None:
    def resolve(_: Any, info: Any) -> Any:
        if info.field_name in ("email", "serial"):
            raise RuntimeError("private")
        if info.field_name == "search":
            return [{"__typename": "User"}, {"__typename": "Device"}, {"__typename": "User"}]
        return {"__typename": "User"}

    document = "{ m: me { email } search { ... on User { e: email } ...Parts } } fragment Parts on Device { serial }"
    result = graphql.graphql_sync(build_schema(SDL), document, field_resolver=resolve)
    places = EXTRACTOR.places(document)
    assert places is not None
    assert result.errors
    found = [(places.coordinate(path), number) for path, number in errors_at(result.errors).items()]
    assert sorted(found) == [("Device.serial", 1), ("User.email", 1), ("User.email", 2)]


def test_of_errors_nothing_is_kept_but_the_keys_of_their_paths() -> None:
    errors = [
        {"message": "private", "path": ["a", 7, "b"], "extensions": {"private": 1}},
        GraphQLError("private", path=["a", 8, "b"]),
        {"path": "a"},
        {"path": [7]},
        {"path": ["x" * (MAX_LENGTH + 1)]},
    ]
    assert errors_at(errors) == {("a", "b"): 2, (): 3}


def test_an_error_without_a_path_is_of_no_field() -> None:
    of_the_request: list[Any] = [
        {"message": "private"},
        {"path": None},
        {"path": []},
        GraphQLError("x"),
        "private",
        None,
    ]
    assert errors_at(of_the_request) == {}
    nothing: list[Any] = [None, [], {}, "private", 5, True]
    assert [errors_at(each) for each in nothing] == [{}] * len(nothing)


def test_the_path_of_an_increment_goes_before_paths_that_do_not_begin_with_it() -> None:
    errors = [{"path": ["name"]}, {"path": ["list", 3, "name"]}, {}]
    assert errors_at(errors, ["list", 3]) == {("list", "name"): 2}


def test_what_is_looked_at_of_an_answer_is_bounded_and_every_error_counts() -> None:
    many = errors_at([{"path": [f"a{n}"]} for n in range(LOOKED_AT + 100)])
    assert (len(many), sum(many.values())) == (DISTINCT + 1, LOOKED_AT + 100)


@given(st.lists(st.one_of(st.none(), st.text(max_size=3), st.dictionaries(st.just("path"), st.lists(st.text())))))
def test_whatever_stands_among_errors_each_that_has_a_path_counts_once(errors: list[Any]) -> None:
    paths = [error for error in errors if isinstance(error, dict) and error.get("path")]
    assert sum(errors_at(errors).values()) == len(paths)
