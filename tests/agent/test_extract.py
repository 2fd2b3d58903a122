"""Extraction judged by the fixtures of truth, and rule by rule where they have no case."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLScalarType, GraphQLSchema, build_schema

from forebay.agent import extract, inputs, uses
from forebay.agent.explain import explain
from forebay.agent.extract import Extractor
from forebay.core.coordinate import Kind, State
from forebay.core.shape import FULL_COVERAGE, Coverage, OperationType, Shape

TRUTH = json.loads((Path(__file__).parents[1] / "fixtures/truth/extraction.json").read_text())
SCHEMAS = {name: build_schema(sdl) for name, sdl in TRUTH["schemas"].items()}
CASES = {case["name"]: case for case in TRUTH["cases"]}
OWN = json.loads((Path(__file__).parents[1] / "fixtures/cases/extraction.json").read_text())
OWN_SCHEMA = build_schema("\n".join(OWN["schema"]))
STATED = (Kind.ARGUMENT, Kind.INPUT)

Item = tuple[str, str, bool | None]


def library(source: str, variables: Any = None, operation_name: str | None = None) -> Shape:
    shape = Extractor(SCHEMAS["library"]).operation(source, operation_name).shape(variables)
    assert not shape.invalid
    return shape


def roots(source: str, variables: Any = None) -> Shape:
    shape = Extractor(SCHEMAS["roots"]).operation(source).shape(variables)
    assert not shape.invalid
    return shape


def states(shape: Shape, coordinate: str) -> State:
    [state] = [entry.state for entry in shape.entries if entry.coordinate == coordinate]
    return state


def coordinates(shape: Shape, kind: Kind) -> set[str]:
    return {entry.coordinate for entry in shape.entries if entry.kind == kind}


def items(shape: Shape) -> set[Item]:
    """The entries in the notation of the fixtures."""
    found: set[Item] = set()
    for entry in shape.entries:
        if entry.kind in (Kind.TYPE, Kind.DIRECTIVE) or entry.coordinate.startswith("@"):
            continue
        if entry.kind not in STATED:
            found.add((entry.kind.value, entry.coordinate, None))
        if entry.state & (State.NULL | State.ABSENT):
            found.add((entry.kind.value, entry.coordinate, True))
        if entry.state & State.GIVEN:
            found.add((entry.kind.value, entry.coordinate, False))
    return found


def listed(expected: list[dict[str, Any]]) -> set[Item]:
    return {(item["kind"], item["coordinate"], item.get("null")) for item in expected}


@pytest.mark.parametrize("name", CASES)
def test_truth(name: str) -> None:
    case = CASES[name]
    operation = Extractor(SCHEMAS[case["schema"]]).operation(case["operation"], case["operation_name"])
    shape = operation.shape(case["variables"])
    expected = case["expected"]
    assert not shape.invalid
    assert shape.coverage == FULL_COVERAGE
    assert shape.name == case["operation_name"]
    found, required = items(shape), listed(expected["coordinates"])
    assert required - found == set()
    assert found - required - listed(expected["contested"]) - listed(expected["optional"]) == set()
    assert listed(expected["contested"]) - found == set()
    marked = {entry.coordinate for entry in shape.entries if entry.state & State.NULLABLE_VARIABLE}
    assert {place for place in marked if not place.startswith("@")} == set(expected["nullable_variable_at"])
    assert shape.entries == tuple(sorted(shape.entries, key=lambda entry: (entry.kind, entry.coordinate)))


@pytest.mark.parametrize("case", OWN["cases"], ids=[case["name"] for case in OWN["cases"]])
def test_an_operation_uses_exactly_what_its_case_lists(case: dict[str, Any]) -> None:
    operation = Extractor(OWN_SCHEMA).operation(case["operation"], case.get("operation_name"))
    shape = operation.shape(case["variables"])
    assert not shape.invalid
    assert shape.coverage == FULL_COVERAGE
    assert listing(shape) == set(case["uses"].split())


def listing(shape: Shape) -> set[str]:
    """`Type.field`, `Enum.VALUE!`, and `place=gna~` for given, null, absent, and a nullable variable without a
    default; what was only absent is left out."""
    letters = {State.GIVEN: "g", State.NULL: "n", State.ABSENT: "a", State.NULLABLE_VARIABLE: "~"}
    found = set[str]()
    for entry in shape.entries:
        if entry.kind in (Kind.TYPE, Kind.DIRECTIVE) or entry.coordinate.startswith("@") or entry.state == State.ABSENT:
            continue
        mark = "!" if entry.kind is Kind.ENUM_VALUE else "=" if entry.kind in STATED else ""
        found.add(entry.coordinate + mark + "".join(letters[state] for state in entry.state))
    return found


@pytest.mark.parametrize("case", OWN["invalid"])
def test_what_no_server_would_execute_uses_nothing(case: Any) -> None:
    source, variables, name = case if isinstance(case, list) else (case, {}, None)
    shape = Extractor(OWN_SCHEMA).operation(source, name).shape(variables)
    assert shape.invalid
    assert shape.entries == ()


def test_concrete_arguments_are_recorded_beside_those_of_the_interface() -> None:
    shape = library('query ($l: String) { entity(id: "1") { label(lang: $l) } }')
    assert states(shape, "Entity.label(lang:)") == State.ABSENT | State.NULLABLE_VARIABLE
    assert states(shape, "Book.label(lang:)") == State.ABSENT
    assert states(shape, "Book.label(prefix:)") == State.ABSENT


def test_nested_conditions_intersect_down_to_one_type() -> None:
    assert coordinates(library('{ node(id: "1") { ... on Book { title } } }'), Kind.FIELD) == {
        "Query.node",
        "Book.title",
    }


def test_a_selection_that_no_object_can_reach_still_needs_its_parent() -> None:
    shape = library('{ search(text: "") { ... on Entity { ... on Magazine { issue } } } }')
    assert coordinates(shape, Kind.FIELD) == {"Query.search", "Magazine.issue"}


def test_a_fragment_counts_in_every_context_in_which_it_stands() -> None:
    shape = library('{ node(id: 1) { ...N } search(text: "") { ...N } me { ...N } } fragment N on Node { id }')
    assert {"Magazine.id", "Device.id", "Person.id", "Node.id"} <= coordinates(shape, Kind.FIELD)


def test_an_interface_field_of_narrower_type_in_an_object_reaches_only_that_type() -> None:
    schema = build_schema(
        "interface N { next: N } type A implements N { next: B } type B implements N { next: B }"
        " type C implements N { next: B } union U = A | B  type Query { u: U }"
    )
    shape = Extractor(schema).operation("{ u { ... on N { next { next { __typename } } } } }").shape(None)
    assert coordinates(shape, Kind.FIELD) == {"Query.u", "N.next", "A.next", "B.next"}


def test_skip_include_and_their_variables_never_remove_a_use() -> None:
    source = "query ($s: Boolean = true) { me @skip(if: $s) { name @include(if: false) } }"
    shape = library(source, {"s": True})
    assert {"Query.me", "Person.name"} <= coordinates(shape, Kind.FIELD)
    assert coordinates(shape, Kind.DIRECTIVE) == set()
    operation = Extractor(SCHEMAS["library"]).operation(source)
    assert operation.form({"s": True}) == operation.form({}) == ()


def test_defer_never_removes_a_use_and_is_a_directive_in_use() -> None:
    shape = roots('{ open { id ... @defer(label: "a") { colour } ... @defer(label: "b") { how } } }')
    assert {"Door.colour", "Door.how"} <= coordinates(shape, Kind.FIELD)
    assert coordinates(shape, Kind.DIRECTIVE) == {"@defer"}
    assert states(shape, "@defer(label:)") == State.GIVEN
    assert states(shape, "@defer(if:)") == State.ABSENT
    assert 'label: "0"' in shape.document


def test_only_the_chosen_operation_and_its_fragments_count() -> None:
    source = """
        query A { me { ...P } } query B { books { ...C } }
        fragment P on Person { name } fragment C on Book { ...D } fragment D on Book { title }
    """
    shape = library(source, operation_name="B")
    assert coordinates(shape, Kind.FIELD) == {"Query.books", "Book.title"}
    assert "fragment D" in shape.document
    assert "fragment P" not in shape.document
    assert "query A" not in shape.document


def test_introspection_is_no_schema_use_but_a_directive_on_it_is() -> None:
    introspection = library('query ($n: String!) { __schema { types { ...T } } __type(name: $n) { name } } '
                            'fragment T on __Type { fields(includeDeprecated: true) { name } }')  # fmt: skip
    assert coordinates(introspection, Kind.FIELD) == coordinates(introspection, Kind.ARGUMENT) == set()
    assert coordinates(introspection, Kind.TYPE) == set()
    assert not introspection.invalid
    marked = library("{ __schema { description @cacheHint(scope: PRIVATE) } }")
    assert coordinates(marked, Kind.ENUM_VALUE) == {"CacheScope.PRIVATE"}


def test_federation_fields_are_no_schema_use_but_what_entities_select_is() -> None:
    schema = build_schema(
        "scalar _Any  type _Service { sdl: String }  union _Entity = Book  type Book { title: String }"
        " type Query { _entities(representations: [_Any!]!): [_Entity]!  _service: _Service!  books: [Book] }"
    )
    source = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Book { title } } _service { sdl } }"
    operation = Extractor(schema).operation(source)
    shape = operation.shape({"r": [{"__typename": "Book"}]})
    assert [entry[:2] for entry in shape.entries] == [(Kind.FIELD, "Book.title"), (Kind.TYPE, "Book")]
    assert operation.form({"r": [{"id": 1}]}) == ()


@pytest.mark.parametrize(
    ("variables", "state", "values"),
    [({}, State.GIVEN, {"DESC"}), ({"o": None}, State.NULL, {"DESC"}), ({"o": "ASC"}, State.GIVEN, {"ASC", "DESC"})],
)
def test_a_default_of_the_operation_is_given_unless_overridden(variables: Any, state: State, values: set[str]) -> None:
    shape = library("query ($o: Sort = DESC) { books(order: $o) { id } }", variables)
    assert states(shape, "Query.books(order:)") == state
    assert coordinates(shape, Kind.ENUM_VALUE) == {f"Sort.{value}" for value in values}


def test_a_default_of_null_is_null_and_no_safe_place_to_require() -> None:
    shape = library("query ($o: Sort = null) { books(order: $o) { id } }")
    assert states(shape, "Query.books(order:)") == State.NULL | State.NULLABLE_VARIABLE


def test_one_operation_holds_several_states_of_one_argument() -> None:
    shape = library(
        "{ books { x: authors { name } y: authors(role: ADMIN) { name } z: authors(role: null) { name } } }"
    )
    assert states(shape, "Book.authors(role:)") == State.GIVEN | State.NULL | State.ABSENT


def test_the_overridden_default_of_an_input_object_counts_beside_the_value() -> None:
    source = "query ($f: BookFilter = {title: null, genres: [POETRY]}) { books(filter: $f) { id } }"
    shape = library(source, {"f": {"title": "x"}})
    assert states(shape, "BookFilter.title") == State.GIVEN | State.NULL
    assert states(shape, "BookFilter.genres") == State.GIVEN | State.ABSENT
    assert coordinates(shape, Kind.ENUM_VALUE) == {"Genre.POETRY"}


def test_a_null_input_object_records_none_below_it() -> None:
    shape = library("query ($f: BookFilter) { books(filter: $f) { id } b: books(filter: null) { id } }", {"f": None})
    assert states(shape, "Query.books(filter:)") == State.NULL | State.NULLABLE_VARIABLE
    assert coordinates(shape, Kind.INPUT) == set()


def test_an_input_object_inside_a_variable_is_seen_at_any_depth() -> None:
    variables: dict[str, Any] = {"f": {"role": "ADMIN"}}
    for _ in range(3 * sys.getrecursionlimit()):
        variables = {"f": {"not": variables["f"]}}
    shape = library("query ($f: BookFilter) { books(filter: $f) { id } }", variables)
    assert coordinates(shape, Kind.ENUM_VALUE) == {"Role.ADMIN"}
    assert states(shape, "BookFilter.not") == State.GIVEN | State.ABSENT


def test_a_single_value_counts_as_a_list_of_it() -> None:
    shape = library("query ($f: BookFilter) { books(filter: $f) { id } }", {"f": {"genres": "FICTION", "any": {}}})
    assert coordinates(shape, Kind.ENUM_VALUE) == {"Genre.FICTION"}
    assert states(shape, "BookFilter.any") == State.GIVEN | State.ABSENT


def test_undeclared_variables_unknown_keys_and_values_of_wrong_kind_are_ignored() -> None:
    source = "query ($f: BookFilter) { books(filter: $f) { id } }"
    plain = library(source, {"f": {"role": "READER"}})
    assert plain == library(source, {"f": {"role": "READER", "secret": {"role": "ADMIN"}}, "g": {"role": "ADMIN"}})
    assert coordinates(library(source, {"f": "READER"}), Kind.INPUT) == set()
    assert coordinates(library(source, {"f": {"role": ["WIZARD", 7, {}]}}), Kind.ENUM_VALUE) == set()


def test_contents_of_a_variable_count_even_where_it_stands_inside_a_custom_scalar() -> None:
    shape = library("query ($r: Role) { raw(data: {a: [$r]}) }", {"r": "ADMIN"})
    assert coordinates(shape, Kind.ENUM_VALUE) == {"Role.ADMIN"}


def test_a_variable_of_required_type_is_given_whatever_was_sent() -> None:
    operation = Extractor(SCHEMAS["library"]).operation("query ($i: ID!) { entity(id: $i) { label } }")
    assert operation.form({"i": "1"}) == operation.form(None) == ()
    assert states(operation.shape({}), "Query.entity(id:)") == State.GIVEN


def test_a_nullable_variable_with_a_default_is_no_place_that_breaks_when_required() -> None:
    shape = library("query ($r: Role = ADMIN) { books { authors(role: $r) { name } } }", {"r": None})
    assert states(shape, "Book.authors(role:)") == State.NULL


def test_arguments_of_directives_are_recorded_with_their_states() -> None:
    shape = library("query ($m: Int) @cacheHint(maxAge: $m) { me { name @cacheHint(scope: SHARED) } }", {"m": 3})
    assert states(shape, "@cacheHint(maxAge:)") == State.GIVEN | State.ABSENT | State.NULLABLE_VARIABLE
    assert states(shape, "@cacheHint(scope:)") == State.GIVEN | State.ABSENT


def test_types_that_the_operation_needs() -> None:
    source = "query ($f: BookFilter, $d: JSON) { books(filter: $f) { ... on Rated { rating } } raw(data: $d) }"
    shape = library(source, {"f": {"price": {}, "since": None}})
    needed = {"Query", "Book", "Rated", "BookFilter", "JSON", "Range", "DateTime"}
    assert coordinates(shape, Kind.TYPE) == needed


def test_entries_carry_the_named_type() -> None:
    shape = library("{ books(filter: {genres: FICTION}) { id } }")
    named = {entry.coordinate: entry.named_type for entry in shape.entries}
    assert named["Query.books"] == "Book"
    assert named["Query.books(filter:)"] == "BookFilter"
    assert named["BookFilter.genres"] == "Genre"
    assert named["Genre.FICTION"] == named["Book"] == ""


@pytest.mark.parametrize(
    "source",
    ["#", "{", 'query { "secret" }', "{ me { name }", "\ud800", '{ me(a: "\\ud800 }', "type T { secret: Int }"],
)
def test_what_cannot_be_parsed_or_chosen_is_invalid_and_stores_no_text(source: str) -> None:
    operation = Extractor(SCHEMAS["library"]).operation(source)
    assert (operation.name, operation.type, operation.document) == ("", OperationType.UNKNOWN, "")
    assert operation.invalid
    assert operation.shape({"a": 1}).entries == ()


def test_an_unknown_or_ambiguous_operation_name_is_invalid() -> None:
    extractor = Extractor(SCHEMAS["library"])
    two = "query A { me { name } } query B { me { name } }"
    assert extractor.operation(two, "C").invalid
    assert extractor.operation(two, None).invalid
    assert extractor.operation(two, "A").name == "A"
    assert extractor.operation("{ me { name } }", "").name == ""


@pytest.mark.parametrize(
    "source",
    ["{ me { nonsense } }", "{ search(text: 99999999999) { __typename } }", "{ rated(min: 1e999) { nope } }"],
)
def test_a_document_that_does_not_validate_uses_nothing(source: str) -> None:
    operation = Extractor(SCHEMAS["library"]).operation(source)
    assert operation.invalid
    assert operation.document
    assert operation.shape(None).entries == ()


def test_validity_is_that_of_the_original_values() -> None:
    shape = Extractor(SCHEMAS["library"]).operation("{ books(page: {first: 99999999999}) { id } }").shape(None)
    assert shape.invalid
    assert "99999999999" not in shape.document


def assert_not_analysed(shape: Shape) -> None:
    assert (shape.coverage, shape.entries, shape.document, shape.invalid) == (frozenset(), (), "", False)


def test_a_document_past_the_bound_is_not_analysed() -> None:
    extractor = Extractor(SCHEMAS["library"])
    assert_not_analysed(extractor.operation("{ me { name } }" + "#" * extract.MAX_DOCUMENT).shape(None))


def test_selections_past_the_bound_are_not_analysed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses, "MAX_SELECTIONS", 3)
    extractor = Extractor(SCHEMAS["library"])
    assert extractor.operation("query Q { me { id name } }").shape(None).entries
    operation = extractor.operation("query Q { me { id name email } }")
    assert_not_analysed(operation.shape(None))
    assert (operation.name, operation.type) == ("Q", OperationType.QUERY)


def test_fields_past_the_bound_are_not_analysed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses, "MAX_FIELDS", 3)
    assert_not_analysed(Extractor(SCHEMAS["library"]).operation("{ node(id: 1) { id ... { id } } }").shape(None))


def test_a_document_too_deep_is_never_raised_to_the_caller() -> None:
    source = "{ me {" + " works { ... on Book { authors {" * 3000 + " name " + "} } }" * 3000 + "} }"
    shape = Extractor(SCHEMAS["library"]).operation(source).shape(None)
    assert shape.entries == ()
    assert shape.invalid or not shape.coverage  # graphql-core 3.3 refuses to parse it, 3.2 recurses


def test_fragments_that_double_at_each_level_do_not_blow_up() -> None:
    levels = "".join(f"fragment F{n} on Node {{ ...F{n + 1} ... on Entity {{ ...F{n + 1} }} }} " for n in range(60))
    shape = library("{ node(id: 1) { ...F0 } } " + levels + "fragment F60 on Node { id }")
    assert "Device.id" in coordinates(shape, Kind.FIELD)


def test_a_scalar_of_the_host_that_fails_makes_the_document_invalid() -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    schema = build_schema("scalar S  type Query { a(s: S): Int }")
    scalar = schema.type_map["S"]
    assert isinstance(scalar, GraphQLScalarType)
    scalar.parse_literal = fail  # type: ignore[assignment, method-assign]  # as hosts do
    shape = Extractor(schema).operation("{ a(s: 1) }").shape(None)
    assert shape.invalid
    assert shape.entries == ()


def test_an_invalid_schema_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="Query root type"):
        Extractor(GraphQLSchema())


def test_variables_past_the_bound_leave_the_states_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    operation = Extractor(SCHEMAS["library"]).operation("query ($f: BookFilter) { books(filter: $f) { id } }")
    many: dict[str, Any] = {"f": {"any": [{}] * inputs.MAX_VALUES}}
    shape = operation.shape(many)
    assert operation.form(many) == inputs.UNREAD
    assert shape.coverage == FULL_COVERAGE - {Coverage.INPUTS, Coverage.ENUM_VALUES, Coverage.STATES}
    assert states(shape, "Query.books(filter:)") == State.UNCERTAIN | State.NULLABLE_VARIABLE
    assert "Book.id" in coordinates(shape, Kind.FIELD)


@pytest.mark.parametrize("variables", [None, {}, [], "text", 7, {"f": object()}, {1: 2}, {"f": {3: [None, [[]]]}}])
def test_the_form_of_any_variables_is_taken(variables: Any) -> None:
    operation = Extractor(SCHEMAS["library"]).operation("query ($f: BookFilter) { books(filter: $f) { id } }")
    assert hash(operation.form(variables)) is not None
    assert operation.shape(variables).entries


def test_operations_that_differ_in_literals_only_are_one_operation() -> None:
    one, other = (library(f'query Q {{ byIds(ids: ["{i}", "x"]) {{ id }} }}') for i in range(2))
    assert one.id() == other.id()
    assert one.operation != library('query R { byIds(ids: ["1"]) { id } }').operation


def test_a_name_longer_than_a_record_takes_is_cut() -> None:
    shape = library(f"query {'Q' * 2000} {{ me {{ name }} }}")
    assert shape.name == "Q" * extract.MAX_NAME


def test_explain_shows_a_shape_in_words() -> None:
    extractor = Extractor(SCHEMAS["library"])
    told = explain(extractor, "query Q($r: Role) { books { authors(role: $r) { name } } }", {"r": None}, "Q")
    assert json.loads(json.dumps(told)) == told
    assert (told["name"], told["type"], told["invalid"]) == ("Q", "query", False)
    assert len(told["shape"]) == len(told["operation"]) == 32
    assert told["coverage"] == sorted(FULL_COVERAGE)
    assert {
        "kind": "argument",
        "coordinate": "Book.authors(role:)",
        "named_type": "Role",
        "states": ["null"],
        "nullable_variable": True,
    } in told["entries"]


def test_a_document_on_which_validation_is_given_up_is_not_analysed_instead_of_invalid() -> None:
    """Another version of the library, or one with a larger budget, may execute it."""
    operation = Extractor(SCHEMAS["library"]).operation("{" + " me { name }" * 1000 + "}")
    assert not operation.invalid
    assert operation.coverage == frozenset()
