"""Changes of schemas: all that graphql-core finds, never called less dangerous, and what it lacks."""

from __future__ import annotations

import re
from random import Random

import pytest
from graphql import BreakingChange, DangerousChange, SafeChange, SchemaChange, find_schema_changes
from judge.mutations import mutated
from judge.schemas import BUILT_IN, Maker

from forebay.insights.mistakes import BadSchema
from forebay.insights.place_changes import BREAKING, DANGEROUS, SAFE, Change
from forebay.insights.published import build
from forebay.insights.schema_changes import changes

OURS = {
    "TYPE_REMOVED": "type_removed",
    "TYPE_CHANGED_KIND": "type_kind_changed",
    "TYPE_REMOVED_FROM_UNION": "union_member_removed",
    "VALUE_REMOVED_FROM_ENUM": "enum_value_removed",
    "REQUIRED_INPUT_FIELD_ADDED": "input_field_added",
    "OPTIONAL_INPUT_FIELD_ADDED": "input_field_added",
    "IMPLEMENTED_INTERFACE_REMOVED": "interface_removed",
    "FIELD_REMOVED": "field_removed input_field_removed",
    "FIELD_CHANGED_KIND": "field_type_changed input_field_type_changed",
    "FIELD_CHANGED_KIND_SAFE": "field_type_changed input_field_type_changed",
    "REQUIRED_ARG_ADDED": "argument_added",
    "OPTIONAL_ARG_ADDED": "argument_added",
    "ARG_REMOVED": "argument_removed",
    "ARG_CHANGED_KIND": "argument_type_changed directive_argument_type_changed",
    "ARG_CHANGED_KIND_SAFE": "argument_type_changed directive_argument_type_changed",
    "ARG_DEFAULT_VALUE_CHANGE": "argument_default_changed directive_argument_default_changed",
    "ARG_DEFAULT_VALUE_ADDED": "argument_default_changed directive_argument_default_changed",
    "INPUT_FIELD_DEFAULT_VALUE_CHANGE": "input_field_default_changed",
    "INPUT_FIELD_DEFAULT_VALUE_ADDED": "input_field_default_changed",
    "DIRECTIVE_REMOVED": "directive_removed",
    "DIRECTIVE_ADDED": "directive_added",
    "DIRECTIVE_ARG_REMOVED": "directive_argument_removed",
    "REQUIRED_DIRECTIVE_ARG_ADDED": "directive_argument_added",
    "OPTIONAL_DIRECTIVE_ARG_ADDED": "directive_argument_added",
    "DIRECTIVE_REPEATABLE_REMOVED": "directive_repeatable_removed",
    "DIRECTIVE_REPEATABLE_ADDED": "directive_repeatable_added",
    "DIRECTIVE_LOCATION_REMOVED": "directive_location_removed",
    "DIRECTIVE_LOCATION_ADDED": "directive_location_added",
    "VALUE_ADDED_TO_ENUM": "enum_value_added",
    "TYPE_ADDED_TO_UNION": "union_member_added",
    "IMPLEMENTED_INTERFACE_ADDED": "interface_added",
    "TYPE_ADDED": "type_added",
    "FIELD_ADDED": "field_added",
    "DESCRIPTION_CHANGED": "description_changed",
}
"""The library's kind of change → ours, several where the kind of its place is in ours."""

SEVERITY = {BreakingChange: BREAKING, DangerousChange: DANGEROUS, SafeChange: SAFE}
SKIP = ("directive_argument_removed", "@skip(x:)", BREAKING)
RANK = [SAFE, DANGEROUS, BREAKING]


def found(old: str, new: str) -> list[Change]:
    return changes(build(old, "old schema"), build(new, "new schema"))


def missed(theirs: SchemaChange, ours: list[Change]) -> bool:
    kinds = OURS[theirs.type.name].split()
    severity = next(ours for kind, ours in SEVERITY.items() if isinstance(theirs, kind))
    if theirs.type.name == "VALUE_ADDED_TO_ENUM":
        severity = SAFE  # of an enum that nothing returns, nobody can receive the value
    return not any(
        each.kind in kinds
        and RANK.index(each.severity) >= RANK.index(severity)
        and each.coordinate.partition("(")[0] in theirs.description
        for each in ours
    )


@pytest.mark.parametrize("seed", range(4))
def test_whatever_graphql_core_finds_is_found_and_never_less_dangerous(seed: int) -> None:
    rng, compared = Random(seed), 0
    while compared < 60:
        model = Maker(rng).make()
        changed = mutated(mutated(model, rng.randrange(2**32)), rng.randrange(2**32))
        try:
            old, new = build(model.sdl(), "old schema"), build(changed.sdl(), "new schema")
        except BadSchema:
            continue
        ours = changes(old, new)
        for theirs in find_schema_changes(old, new):
            if theirs.type.name in ("TYPE_ADDED", "TYPE_REMOVED") and any(map(theirs.description.count, BUILT_IN)):
                continue  # a scalar of the specification comes and goes with the last place that has it
            compared += 1
            assert not missed(theirs, ours), (theirs, ours)


@pytest.mark.parametrize(
    ("sdl", "kind", "coordinate", "severity"),
    [
        ('type Query { <|"words"> a: Int }', "description_changed", "Query.a", SAFE),
        ('type Query { <"words"|> a: Int }', "description_changed", "Query.a", SAFE),
        ('type Query { a(<|"x"> x: Int): Int }', "description_changed", "Query.a(x:)", SAFE),
        ('enum E { <|"x"> A } type Query { a: E }', "description_changed", "E.A", SAFE),
        ('<|"x"> directive @d on FIELD type Query { a: Int }', "description_changed", "@d", SAFE),
        ("type Query { a: Int <|@deprecated> }", "deprecation_changed", "Query.a", SAFE),
        ("schema { query: Q <|mutation: M> } type Q { a: Int } type M { a: Int }", "root_type_added", "M", SAFE),
        ("schema { query: Q <mutation: M|> } type Q { a: Int } type M { a: Int }", "root_type_changed", "M", BREAKING),
        ('scalar S @specifiedBy(url: "<a|b>") type Query { a: S }', "specified_by_changed", "S", DANGEROUS),
        ("input F <|@oneOf> { a: Int b: Int } type Query { a(f: F): Int }", "one_of_added", "F", BREAKING),
        ("type Query { a: [[Int!]<!|>] }", "field_type_changed", "Query.a", BREAKING),
        ("type Query { a: [[Int!]<|!>] }", "field_type_changed", "Query.a", SAFE),
        ("type Query { a(x: [[Int]<!|>]): Int }", "argument_type_changed", "Query.a(x:)", SAFE),
        ("type Query { a(x: [[Int]<|!>]): Int }", "argument_type_changed", "Query.a(x:)", BREAKING),
        ("type Query { a(x: Int! <= 1|>): Int }", "argument_default_changed", "Query.a(x:)", BREAKING),
        ("type Query { a(x: Int <= 1|>): Int }", "argument_default_changed", "Query.a(x:)", DANGEROUS),
        ("interface N { a: Int } type Query <implements N|> { a: Int }", "interface_removed", "Query", BREAKING),
        ("directive @skip(if: Boolean!, <x: Int|>) on FIELD type Query { a: Int }", *SKIP),
    ],
)  # fmt: skip
def test_what_it_lacks_is_found_too(sdl: str, kind: str, coordinate: str, severity: str) -> None:
    """`<old|new>` is what changes."""
    old, new = (re.sub(r"<(.*?)\|(.*?)>", rf"\{part}", sdl) for part in (1, 2))
    assert [(each.kind, each.coordinate, each.severity) for each in found(old, new)] == [(kind, coordinate, severity)]


def test_what_stands_inside_an_added_or_removed_type_is_not_listed() -> None:
    assert [
        each.kind for each in found("type Query { a: Int } type X { b(c: Int): Int }", "type Query { a: Int }")
    ] == ["type_removed"]


OBJECTS = "type Query { a: A } type A { x: Int } type B { x: Int }"
DIRECTIVE = "directive @d(a: Int) on FIELD | OBJECT type Query { a: Int }"


@pytest.mark.parametrize(
    ("old", "change", "then"),
    [
        ("input I { f: Int! = 1 } type Query { a(i: I): Int }", ("Int! = 1", "Int!"), ("f: Int!", "f: Int")),
        (OBJECTS, ("a: A", "a: B"), ("B { x: Int", "B { x: ID")),
        (OBJECTS, ("type A", "interface A"), ("A { x: Int", "A { y: Int")),
        ("schema { query: Query } " + OBJECTS, ("query: Query", "query: B"), ("B { x: Int", "B { x: ID")),
    ],
    ids=["a default that is needed", "a field of another type", "a type of another kind", "another root"],
)
def test_a_mark_lets_no_other_change_pass_that_says_the_same(
    old: str, change: tuple[str, str], then: tuple[str, str]
) -> None:
    new = old.replace(*change)
    found, later = (changes(build(old, "old schema"), build(text, "new schema")) for text in (new, new.replace(*then)))
    [one] = [each for each in found if each.severity is not SAFE]
    [other] = [each for each in later if each.message == one.message]
    assert one.id() != other.id()


def test_a_directives_change_has_another_id_where_no_operation_could_use_it() -> None:
    one, other = (
        changes(build(old, "old schema"), build(old.replace("(a: Int)", ""), "new schema"))[0]
        for old in (DIRECTIVE, DIRECTIVE.replace("FIELD | ", ""))
    )
    assert (one.message, one.severity, other.severity) == (other.message, BREAKING, SAFE)
    assert one.id() != other.id()
