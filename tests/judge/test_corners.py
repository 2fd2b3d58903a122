"""Named cases of the check: what the judge found, and corners that random schemas seldom reach.

Each is executed as well, so that none of them can be wrong about what breaks.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forebay.agent.extract import Extractor
from forebay.agent.variants import unite
from forebay.core.coordinate import Kind
from forebay.core.shape import FULL_COVERAGE, Coverage
from forebay.insights.answers import Verdict
from forebay.insights.published import build

from .execution import broken, executed
from .judge import accused, answer, as_seen
from .operations import Request

CORNERS = Path(__file__).parents[1] / "fixtures" / "truth" / "corners.json"
CASES: list[dict[str, Any]] = json.loads(CORNERS.read_text())["cases"]
"""`change` is text of the schema and what takes its place; `breaks` the first words of why the operation does
not work any more, empty if it does; `answer` that of the check, which can be unknown where a value decides."""


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_check_says_what_execution_says(case: dict[str, Any]) -> None:
    new_text = case["schema"].replace(*case["change"])
    assert new_text != case["schema"]
    old, new = build(case["schema"], "old schema"), build(new_text, "new schema")
    request, breaks = Request(case["operation"], case["variables"]), case["breaks"]
    why = broken(executed(old, request), new, request)
    assert why.startswith(breaks)
    assert bool(why) is bool(breaks)
    shape = Extractor(old).operation(request.source).shape(request.variables)
    found = answer(old, new, shape)
    assert found.verdict == case["answer"], found
    assert (found.exit_code == 0) is not bool(breaks)
    assert bool(accused(found)) is bool(breaks)
    if breaks:
        for hidden in FULL_COVERAGE:
            assert answer(old, new, as_seen(shape, FULL_COVERAGE - {hidden})).exit_code != 0, hidden


def test_an_operation_that_ran_on_another_schema_than_the_old_one_is_judged_by_what_it_uses() -> None:
    """It is valid on neither, so validation can't tell what the change does to it."""
    ran = build("type Query { a: Int b: Int gone: Int }", "old schema")
    old, new = build("type Query { a: Int b: Int }", "old schema"), build("type Query { a: Int b: Int! }", "new schema")
    shape = Extractor(ran).operation("{ b gone }").shape({})
    assert answer(old, new, shape).exit_code == 0
    removed = build("type Query { a: Int }", "new schema")
    assert answer(old, removed, shape).exit_code == 1


@pytest.mark.parametrize(
    ("ran", "changed"),
    [
        ("type Query { me: O } type O { a: Int }", "type Query { me: P } type P { b: Int } type Q { a: Int }"),
        (
            "schema { query: Root } type Root { me: P } type P { a: Int }",
            "type Query { you: P } type P { a: Int } type Q { a: Int }",
        ),
    ],
    ids=["type", "root"],
)
def test_what_ran_when_a_type_had_another_name_is_judged_by_the_types_that_stand_there_now(
    ran: str, changed: str
) -> None:
    """Its document is as valid as before, and none of its entries speaks of the type whose field goes."""
    sdl = "type Query { me: P } type P { a: Int } type Q { a: Int }"
    old, new = build(sdl, "old schema"), build(changed, "new schema")
    request = Request("{ me { a } }", {})
    shape = Extractor(build(ran, "old schema")).operation(request.source).shape({})
    assert broken(executed(old, request), new, request)
    assert answer(old, new, shape).exit_code == 1
    assert answer(old, new, as_seen(shape, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 3
    elsewhere = build(sdl.replace("Q { a", "Q { b"), "new schema")
    assert answer(old, elsewhere, as_seen(shape, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 0


def test_who_asks_a_field_for_the_root_may_ask_it_for_the_schema() -> None:
    """Introspection has no entries."""
    sdl = "schema { query: Query subscription: S } type Query { a: Int } type S { q: Query }"
    old = build(sdl, "old schema")
    new = build(sdl.replace("query: Query", "query: Root") + " type Root { a: Int }", "new schema")
    request = Request("subscription { q { __schema { queryType { name } } } }", {})
    shape = Extractor(old).operation(request.source).shape({})
    assert answer(old, new, shape).exit_code == 1
    assert answer(old, new, as_seen(shape, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 3


def test_of_a_document_only_the_operation_that_runs_is_judged() -> None:
    """A server that validates all of it refuses both; docs/extraction.md says that this is not seen."""
    source = "query A { a ...F } query B { b ...F } fragment F on Query { c }"
    old, without_b, without_c = (
        build(f"type Query {{ {fields} }}", "schema")
        for fields in ("a: Int b: Int c: Int", "a: Int c: Int", "a: Int b: Int")
    )
    request = Request(source, {}, "A")
    shape = Extractor(old).operation(source, "A").shape({})
    assert not broken(executed(old, request), without_b, request)
    assert answer(old, without_b, shape).exit_code == 0
    assert broken(executed(old, request), without_c, request)
    assert answer(old, without_c, shape).exit_code == 1


def test_an_input_that_was_opaque_where_it_ran_is_unknown() -> None:
    """Its entries could not say what it held."""
    sdl = "scalar S input In { a: Int } input F { x: In } type Query { q(f: F): Int }"
    ran = build(sdl.replace("x: In", "x: S"), "old schema")
    old, new = build(sdl, "old schema"), build(sdl.replace("a: Int", "a: Int b: Int!"), "new schema")
    operation = Extractor(ran).operation("query ($f: F) { q(f: $f) }")
    given, null = operation.shape({"f": {"x": {"a": 1}}}), operation.shape({"f": {}})
    request = Request("query ($f: F) { q(f: $f) }", {"f": {"x": {"a": 1}}})
    assert broken(executed(old, request), new, request)
    assert answer(old, new, given).exit_code == 3
    assert answer(old, new, null).exit_code == 0


def test_a_document_too_large_to_be_walked_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forebay.insights.conditions.MAX_STEPS", 2)
    sdl = "interface N { a: Int } type X implements N { a: Int } type Query { n: N x: X }"
    old, new = build(sdl, "old schema"), build(sdl.replace("X implements N", "X"), "new schema")
    shape = Extractor(old).operation("{ n { a } x { ... on X { a } } }").shape({})
    [change] = answer(old, new, shape).changes
    assert change.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("type_", "sent", "without"),
    [
        ("enum S { A B }", "B", "enum S { A }"),
        ("input S { a: Int b: Int }", {"b": 1}, "input S { a: Int }"),
        ("input S { a: Int b: Int }", {"b": 1}, "input S { a: Int b: Int c: Int! }"),
    ],
)
@pytest.mark.parametrize("place", ["S", "[S!]"])
def test_what_was_sent_while_a_type_was_a_scalar_is_unknown(type_: str, sent: Any, without: str, place: str) -> None:
    """The type has kept its name, and no entry says what it held."""
    sdl = f"input F {{ s: {place} }} type Query {{ q(s: {place}, f: F): Int }} "
    ran, old, new = (build(sdl + each, "schema") for each in ("scalar S", type_, without))
    for text, values in (
        (f"query ($s: {place}) {{ q(s: $s) }}", {"s": sent}),
        ("query ($f: F) { q(f: $f) }", {"f": {"s": sent}}),
    ):
        request = Request(text, values)
        shape = Extractor(ran).operation(text).shape(values)
        assert broken(executed(old, request), new, request)
        assert answer(old, new, shape).exit_code == 3
        assert answer(old, new, as_seen(shape, FULL_COVERAGE - {Coverage.STATES})).exit_code == 3
        assert answer(old, new, unite(Extractor(ran).operation(text).shape({}), shape)).exit_code == 3
        nothing = Extractor(old).operation(text).shape({"s": [], "f": {"s": []}})
        assert answer(old, new, nothing).exit_code == 0


def test_fields_that_merge_far_below_an_abstract_type_are_unknown_without_a_document() -> None:
    sdl = "union U = X | Y type X { f: P } type Y { g: R } type P { a: Int } type R { a: Int } type Query { u: U }"
    old, new = build(sdl, "old schema"), build(sdl.replace("P { a: Int", "P { a: Int!"), "new schema")
    request = Request("{ u { ... on X { k: f { a } } ... on Y { k: g { a } } } }", {})
    shape = Extractor(old).operation(request.source).shape({})
    assert broken(executed(old, request), new, request)
    assert answer(old, new, shape).exit_code == 1
    assert answer(old, new, as_seen(shape, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 3
    alone = Extractor(old).operation("{ u { __typename } }").shape({})
    assert answer(old, new, as_seen(alone, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 0


@pytest.mark.parametrize("hidden", [{Coverage.INPUTS}, {Coverage.INPUTS, Coverage.ENUM_VALUES, Coverage.STATES}])
def test_what_a_reporter_cannot_see_stays_unknown_where_something_else_broke_the_document(
    hidden: set[Coverage],
) -> None:
    sdl = "input F { a: Int b: Int } type Query { q(f: F): Int gone: Int }"
    old, new = build(sdl, "old schema"), build(sdl.replace(" b: Int", "").replace(" gone: Int", ""), "new schema")
    shape = Extractor(old).operation("query ($f: F) { q(f: $f) gone }").shape({"f": {"b": 1}})
    verdicts = {
        change.coordinate: change.verdict for change in answer(old, new, as_seen(shape, FULL_COVERAGE - hidden)).changes
    }
    assert verdicts == {"Query.gone": Verdict.USED, "F.b": Verdict.UNKNOWN}


@pytest.mark.parametrize(
    ("change", "sent"),
    [(("scalar S", "enum S { A }"), "x"), (("scalar S", "input S { a: Int }"), "x"), (("scalar S", "scalar T"), "x")],
    ids=["enum", "input", "removed"],
)
def test_a_type_that_only_arguments_take_is_unknown_to_a_reporter_of_fields(change: tuple[str, str], sent: str) -> None:
    sdl = "scalar S input F { s: S } type Query { q(f: F): Int n: Int }"
    text = sdl.replace(*change).replace("s: S", "s: T" if "T" in change[1] else "s: S")
    old, new = build(sdl, "old schema"), build(text, "new schema")
    request = Request("query ($s: S) { q(f: {s: $s}) }", {"s": sent})
    assert broken(executed(old, request), new, request)
    shape = Extractor(old).operation(request.source).shape(request.variables)
    for coverage in ({Coverage.FIELDS}, {Coverage.FIELDS, Coverage.DOCUMENT}, {Coverage.FIELDS, Coverage.ARGUMENTS}):
        seen = as_seen(shape, frozenset(coverage))
        seen = replace(seen, entries=tuple(entry for entry in seen.entries if entry.kind is not Kind.TYPE))
        assert all(
            change.verdict is not Verdict.UNUSED
            for change in answer(old, new, seen).changes
            if change.severity == "breaking"
        ), coverage
    other = as_seen(Extractor(old).operation("{ n }").shape({}), frozenset({Coverage.FIELDS}))
    assert answer(old, new, other).exit_code == 0


@pytest.mark.parametrize("ran", ["type Y { f(x: Int! = 1): Int }", ""])
def test_a_type_that_can_stand_there_only_since_it_ran_is_unknown(ran: str) -> None:
    """Its interface keeps the default that the type loses; the entries name the interface alone, or the other types."""
    sdl = "interface N { f(x: Int! = 1): Int } type Y implements N { f(x: Int! = 1): Int } type Query { n: N y: Y }"
    before = "interface N { f(x: Int! = 1): Int } type X implements N { f(x: Int! = 1): Int } type Query { n: N }"
    ran_on = build(before + ran, "old schema")
    old, new = (
        build(sdl, "old schema"),
        build(sdl.replace("Y implements N { f(x: Int! = 1)", "Y implements N { f(x: Int!)"), "new schema"),
    )
    request = Request("{ n { f } }", {})
    assert broken(executed(old, request), new, request)
    shape = Extractor(ran_on).operation(request.source).shape({})
    assert answer(old, new, shape).exit_code == 3
    assert answer(old, new, as_seen(shape, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 3
    given = Extractor(ran_on).operation("{ n { f(x: 1) } }").shape({})
    assert answer(old, new, given).exit_code == 0


def test_a_type_that_came_to_two_abstract_ones_since_it_ran_may_be_met_where_both_are_conditions() -> None:
    """Of the document that would tell, nothing is known."""
    sdl = "interface N { a: Int } type X implements N { a: Int } type Y implements N { a: Int } union U = X | Y "
    sdl += "type Query { u: U n: N }"
    ran = build(sdl.replace("= X | Y", "= X").replace("Y implements N", "Y"), "old schema")
    old, new = build(sdl, "old schema"), build(sdl.replace("Y implements N", "Y"), "new schema")
    request = Request("{ u { ... on N { a } } }", {})
    shape = Extractor(ran).operation(request.source).shape({})
    assert broken(executed(old, request), new, request)
    assert answer(old, new, shape).exit_code == 1
    assert answer(old, new, as_seen(shape, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 3
    alone = Extractor(ran).operation("{ n { a } }").shape({})
    assert answer(old, new, as_seen(alone, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 0


@pytest.mark.parametrize("change", [("type X implements N & M { a: Int } ", ""), ("type X ", "interface X ")])
def test_a_type_in_which_two_conditions_met_unnamed_is_unknown_without_a_document(change: tuple[str, str]) -> None:
    sdl = "interface N { a: Int } interface M { a: Int } type Query { n: N } "
    sdl += "type X implements N & M { a: Int } type Y implements N { a: Int } "
    old, new = build(sdl, "old schema"), build(sdl.replace(*change), "new schema")
    request = Request("{ n { ... on M { __typename } } }", {})
    shape = Extractor(old).operation(request.source).shape({})
    assert broken(executed(old, request), new, request)
    assert answer(old, new, shape).exit_code == 1
    assert answer(old, new, as_seen(shape, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 3


def test_a_list_that_became_a_custom_scalar_may_be_taken_by_it() -> None:
    sdl = "scalar S input F { x: [Int] } type Query { q(f: F): Int }"
    old, new = build(sdl, "old schema"), build(sdl.replace("[Int]", "S"), "new schema")
    request = Request("query ($f: F) { q(f: $f) }", {"f": {"x": [1]}})
    shape = Extractor(old).operation(request.source).shape(request.variables)
    assert not broken(executed(old, request), new, request)
    assert answer(old, new, shape).exit_code == 3


@pytest.mark.parametrize(
    ("ran", "sdl", "change", "source", "variables"),
    [
        (("P", "X"), "type X { a: Int! } type Query { x: X }", ("Int!", "Int"), "{ x { a } }", {}),
        (
            ("P", "X"),
            "type X { a(n: Int = 1): Int } type Query { x: X }",
            ("n: Int", "n: Int!"),
            "query ($n: Int = 2) { x { a(n: $n) } }",
            {"n": None},
        ),
        (
            ("M", "N"),
            "interface N { a(n: Int! = 1): Int } type X implements N { a(n: Int! = 1): Int } type Query { n: N }",
            ("X implements N { a(n: Int! = 1)", "X implements N { a(n: Int!)"),
            "{ n { a } }",
            {},
        ),
    ],
    ids=["null", "null given", "no default"],
)
def test_what_no_document_shows_is_unknown_of_types_that_had_another_name_when_it_ran(
    ran: tuple[str, str], sdl: str, change: tuple[str, str], source: str, variables: dict[str, Any]
) -> None:
    before, name = ran
    text = sdl.replace(f" {name} ", f" {before} ")
    ran_on = build(text.replace("type X ", "type Y ") if "interface" in sdl else text, "old schema")
    old, new = (
        build(sdl + " type Z { a: Int }", "old schema"),
        build(sdl.replace(*change) + " type Z { a: Int }", "new schema"),
    )
    request = Request(source, variables)
    shape = Extractor(ran_on).operation(source).shape(variables)
    assert broken(executed(old, request), new, request)
    assert answer(old, new, shape).exit_code == 3
    assert answer(old, new, as_seen(shape, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 3
    elsewhere = build(sdl + " type Z { a: String }", "new schema")
    assert answer(old, elsewhere, shape).exit_code == 0


def test_a_variable_of_nullable_type_in_a_literal_that_became_one_of_is_unknown_without_a_document() -> None:
    """Its default makes no difference."""
    sdl = "input F { a: Int b: Int } type Query { q(f: F): Int }"
    old, new = build(sdl, "old schema"), build(sdl.replace("input F", "input F @oneOf"), "new schema")
    request = Request("query ($x: Int = 1) { q(f: {a: $x}) }", {"x": 2})
    shape = Extractor(old).operation(request.source).shape(request.variables)
    assert broken(executed(old, request), new, request)
    assert answer(old, new, shape).exit_code == 1
    assert answer(old, new, as_seen(shape, FULL_COVERAGE - {Coverage.DOCUMENT})).exit_code == 3


def test_what_began_at_another_root_that_is_a_type_like_others_now_is_judged_by_the_root_of_today() -> None:
    sdl = "type Query { me: P root: Root } type Root { me: P } type P { a: Int! }"
    ran, old = build("schema { query: Root } " + sdl, "old schema"), build(sdl, "old schema")
    request = Request("{ me { a } }", {})
    shape = Extractor(ran).operation(request.source).shape({})
    bare = as_seen(shape, FULL_COVERAGE - {Coverage.DOCUMENT})
    new = build(sdl.replace("Query { me: P ", "Query { "), "new schema")
    assert broken(executed(old, request), new, request)
    assert answer(old, new, shape).exit_code == 1
    assert answer(old, new, bare).exit_code == 3
    entities = replace(
        bare, document="query ($r: [_Any!]!) { _entities(representations: $r) { ... on Root { me { a } } } }"
    )
    assert answer(old, new, entities).exit_code == 0


def test_who_asks_a_subgraph_for_entities_may_do_it_by_a_variable_of_a_type_that_nothing_else_is_of() -> None:
    """No entry of the shape speaks of the representations."""
    text = """
    directive @key(fields: String!) on OBJECT
    type Query { g(id: ID): Int }
    type T @key(fields: "a") { a: Int }
    """
    subgraph = (
        text
        + """
    scalar _Any union _Entity = T type _Service { sdl: String }
    extend type Query { _entities(representations: [_Any!]!): [_Entity]! _service: _Service! }
    """
    )
    source = 'query ($x: ID) { _entities(representations: [{ __typename: "T", a: $x }]) { ... on T { a } } }'
    shape = Extractor(build(subgraph, "old schema")).operation(source).shape({"x": "1"})
    for old in (text, subgraph):
        new = build(old.replace("(id: ID)", ""), "new schema")
        assert answer(build(old, "old schema"), new, shape).exit_code == 1
