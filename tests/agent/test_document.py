"""Laws of extraction, over random documents: validity, secrecy, equal forms, and the principle itself."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from graphql import (
    DocumentNode,
    FieldDefinitionNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    InputValueDefinitionNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    Visitor,
    build_ast_schema,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_non_null_type,
    parse,
    validate,
    visit,
)
from graphql.execution.values import get_variable_values
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.agent.document import choose, reach
from forebay.agent.extract import Extractor
from forebay.core.coordinate import Kind, State
from forebay.core.record import ShapeColumns
from forebay.core.shape import Shape

SDL = json.loads((Path(__file__).parents[1] / "fixtures/truth/extraction.json").read_text())["schemas"]["library"]
SCHEMA = build_schema(SDL)
EXTRACTOR = Extractor(SCHEMA)
SECRET, SECRET_NUMBER = "s3cr3t", 1717170000

seeds = st.integers(0, 2**32).map(random.Random)


class Writer:
    """Writes a random document over the library schema, and values for its variables.

    Every literal and every value that is not a null, a boolean or an enum value holds a secret.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.variables: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        self.fragments: list[str] = []
        body = self.selections(SCHEMA.query_type, 4)
        declared = ", ".join(self.variables.values())
        self.source = (
            f"query Q {f'({declared})' if declared else ''} {self.directive()}{body} {' '.join(self.fragments)}"
        )

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def secret(self) -> str:
        return f"{SECRET}{self.rng.randrange(100)}"

    def number(self) -> int:
        return SECRET_NUMBER + self.rng.randrange(100)

    def directive(self) -> str:
        return self.rng.choice([f" @cacheHint(scope: PRIVATE, maxAge: {self.number()}) ", *[""] * 4])

    def selections(self, type_: Any, depth: int) -> str:
        chosen = [self.selection(type_, depth) for _ in range(self.rng.randint(1, 3))]
        return f"{{ {' '.join(chosen)} }}"

    def selection(self, type_: Any, depth: int) -> str:
        if is_abstract_type(type_) and self.chance(60):
            types = [SCHEMA.type_map[name] for name in ("Node", "Entity", "Rated", "Book", "Magazine", "Person")]
            condition: Any = self.rng.choice([*types, type_])
            body = self.selections(condition, depth - 1)
            if self.chance(50):
                return f"... on {condition} {self.directive()} {body}"
            name = f"F{len(self.fragments)}"
            self.fragments.append(f"fragment {name} on {condition} {body}")
            return f"...{name} ...{name}"
        fields = {
            name: field
            for name, field in getattr(type_, "fields", {}).items()
            if depth > 0 or is_leaf_type(get_named_type(field.type))
        }
        if not fields:
            return "__typename"
        name = self.rng.choice([*fields])
        field = fields[name]
        arguments = [
            f"{argument}: {self.literal(place.type, 3)}"
            for argument, place in field.args.items()
            if is_non_null_type(place.type) or self.chance(60)
        ]
        body = (
            "" if is_leaf_type(get_named_type(field.type)) else self.selections(get_named_type(field.type), depth - 1)
        )
        given = f"({', '.join(arguments)})" if arguments else ""
        # An alias for each, as fields with other arguments can't be merged.
        return f"a{self.rng.randrange(10**9)}: {name}{given}{self.directive()}{body}"

    def variable(self, type_: Any, depth: int) -> str:
        name = f"v{len(self.variables)}"
        self.variables[name] = ""
        required = self.chance(20)
        if required and not is_non_null_type(type_):
            type_ = GraphQLNonNull(type_)
        default = f" = {self.literal(type_, depth, constant=True)}" if self.chance(30) else ""
        self.variables[name] = f"${name}: {type_}{default}"
        if is_non_null_type(type_) or self.chance(70):
            self.values[name] = self.value(type_, depth)
        return f"${name}"

    def literal(self, type_: Any, depth: int, constant: bool = False) -> str:
        if not constant and self.chance(30):
            return self.variable(type_, depth)
        if not is_non_null_type(type_) and self.chance(15):
            return "null"
        type_ = get_nullable_type(type_)
        if isinstance(type_, GraphQLList):
            if self.chance(15):
                return self.literal(GraphQLNonNull(get_nullable_type(type_.of_type)), depth, constant=True)
            items = [self.literal(type_.of_type, depth, constant) for _ in range(self.rng.randint(0, 3))]
            return f"[{', '.join(items)}]"
        if isinstance(type_, GraphQLEnumType):
            return str(self.rng.choice([*type_.values]))
        if isinstance(type_, GraphQLInputObjectType):
            fields = [f"{n}: {self.literal(f.type, depth - 1, constant)}" for n, f in self.picked(type_, depth)]
            return f"{{{', '.join(fields)}}}"
        if type_.name == "JSON":
            return self.opaque(depth, constant)
        return str(self.scalar(type_.name, '"'))

    def opaque(self, depth: int, constant: bool) -> str:
        parts = [self.opaque(depth - 1, constant) for _ in range(self.rng.randint(0, 3))] if depth > 0 else []
        if not constant and self.chance(20):
            parts.append(self.variable(SCHEMA.type_map["Role"], 1))
        choices: list[Callable[[], str]] = [
            lambda: f'"{self.secret()}"',
            lambda: f'"""{self.secret()}"""',
            lambda: self.secret(),
            lambda: f"{self.number()}.5",
            lambda: "{" + ", ".join(f"{self.secret()}x{i}: {part}" for i, part in enumerate(parts)) + "}",
            lambda: f"[{', '.join(part for part in parts if '$' not in part)}]",
            lambda: "true",
        ]
        text = self.rng.choice(choices)()
        # A variable that is not used after all would make the document invalid.
        for part in parts:
            if "$" in part and part not in text:
                text = "{" + ", ".join(f"{self.secret()}y{i}: {part}" for i, part in enumerate(parts)) + "}"
        return text

    def scalar(self, name: str, quote: str = "") -> Any:
        values = {"Int": self.number(), "Float": self.number() + 0.5, "Boolean": "true" if quote else True}
        return values.get(name, f"{quote}{self.secret()}{quote}")

    def picked(self, type_: GraphQLInputObjectType, depth: int) -> list[tuple[str, Any]]:
        return [
            (name, field)
            for name, field in type_.fields.items()
            if is_non_null_type(field.type) or (depth > 0 and self.chance(30))
        ]

    def value(self, type_: Any, depth: int) -> Any:
        if not is_non_null_type(type_) and self.chance(15):
            return None
        type_ = get_nullable_type(type_)
        if isinstance(type_, GraphQLList):
            return [self.value(type_.of_type, depth) for _ in range(self.rng.randint(0, 3))]
        if isinstance(type_, GraphQLEnumType):
            return self.rng.choice([*type_.values])
        if isinstance(type_, GraphQLInputObjectType):
            return {name: self.value(field.type, depth - 1) for name, field in self.picked(type_, depth)}
        if type_.name == "JSON":
            return {self.secret(): [self.secret(), {"genre": "FICTION"}, None]}
        return self.scalar(type_.name)


def shape_of(writer: Writer) -> Shape:
    return EXTRACTOR.operation(writer.source, "Q").shape(writer.values)


def test_most_random_documents_are_valid() -> None:
    writers = [Writer(random.Random(seed)) for seed in range(200)]
    valid = [writer for writer in writers if not shape_of(writer).invalid]
    assert len(valid) > 100
    assert any(writer.values for writer in valid)


@given(seeds)
@settings(max_examples=200, deadline=None)
def test_the_stored_document_is_as_valid_as_the_original(rng: random.Random) -> None:
    writer = Writer(rng)
    shape = shape_of(writer)
    original = bool(validate(SCHEMA, parse(writer.source)))
    assert shape.invalid == original
    if not original:
        assert validate(SCHEMA, parse(shape.document)) == []


@given(seeds)
@settings(max_examples=200, deadline=None)
def test_the_stored_document_has_the_shape_of_the_original(rng: random.Random) -> None:
    writer = Writer(rng)
    shape = shape_of(writer)
    if not shape.invalid:
        assert EXTRACTOR.operation(shape.document, "Q").shape(writer.values) == shape


@given(seeds)
@settings(max_examples=200, deadline=None)
def test_no_secret_gets_into_a_shape(rng: random.Random) -> None:
    writer = Writer(rng)
    stored = msgspec.json.encode(ShapeColumns.of(shape_of(writer))).decode()
    assert SECRET not in stored
    assert str(SECRET_NUMBER)[:8] not in stored  # all that its secrets share; fewer digits are found in aliases too
    form = repr(EXTRACTOR.operation(writer.source, "Q").form(writer.values))
    assert SECRET not in form


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_equal_forms_have_equal_shapes(rng: random.Random) -> None:
    operation = EXTRACTOR.operation("""
        query ($f: BookFilter, $o: Sort = DESC, $p: Page, $t: String, $k: [Kind!], $d: JSON) {
          books(filter: $f, order: $o, page: $p) { id } raw(data: $d)
          search(text: "x", kinds: $k, page: {after: $t}) { __typename }
        }
    """)
    writer = Writer(rng)
    types = {"f": "BookFilter", "o": "Sort", "p": "Page", "t": "String", "d": "JSON"}

    def variables() -> dict[str, Any]:
        return {n: writer.value(SCHEMA.type_map[t], rng.randrange(2)) for n, t in types.items() if writer.chance(50)}

    seen: dict[Any, Shape] = {}
    for _ in range(30):
        values = variables()
        shape = operation.shape(values)
        assert seen.setdefault(operation.form(values), shape) == shape
        assert operation.form(other_scalars(values)) == operation.form(values)


def other_scalars(value: Any) -> Any:
    """The same values with other text and numbers."""
    if isinstance(value, dict):
        return {name: other_scalars(item) for name, item in reversed(value.items()) if SECRET not in name}
    if isinstance(value, list):
        return [other_scalars(item) for item in value]
    if isinstance(value, str) and value.startswith(SECRET):
        return "other"
    return value + 1 if type(value) in (int, float) else value


class _Mutation(Visitor):
    """Takes one element out of the SDL, or requires one argument or input field."""

    def __init__(self, coordinate: str, require: bool) -> None:
        super().__init__()
        self.coordinate, self.require = coordinate, require

    def _at(self, ancestors: list[Any], node: Any) -> str:
        names = [item.name.value for item in ancestors if getattr(item, "name", None)]
        if len(names) == 2:
            return f"{names[0]}.{names[1]}({node.name.value}:)"
        return f"{names[0]}.{node.name.value}" if names else ""

    def enter_field_definition(self, node: FieldDefinitionNode, _k: Any, _p: Any, _path: Any, ancestors: Any) -> Any:
        return ... if self._at(ancestors, node) == self.coordinate else None

    enter_enum_value_definition = enter_field_definition

    def enter_input_value_definition(
        self, node: InputValueDefinitionNode, _k: Any, _p: Any, _path: Any, ancestors: Any
    ) -> Any:
        if self._at(ancestors, node) != self.coordinate:
            return None
        if not self.require:
            return ...
        required: Any = node.type
        return InputValueDefinitionNode(name=node.name, type=NonNullTypeNode(type=required), directives=())


def mutated(coordinate: str, require: bool) -> GraphQLSchema:
    document = visit(parse(SDL), _Mutation(coordinate, require))
    return build_ast_schema(document, assume_valid=True, assume_valid_sdl=True)


def elements() -> list[tuple[Kind, str, bool]]:
    found: list[tuple[Kind, str, bool]] = []
    for type_ in SCHEMA.type_map.values():
        if type_.name.startswith("__"):
            continue
        if isinstance(type_, GraphQLEnumType):
            # Without the value of one of its own defaults the schema makes no sense.
            free = [name for name in type_.values if f"= {name}" not in SDL and f"[{name}]" not in SDL]
            found += [(Kind.ENUM_VALUE, f"{type_}.{name}", False) for name in free]
            continue
        for name, field in getattr(type_, "fields", {}).items():
            kind = Kind.INPUT if isinstance(type_, GraphQLInputObjectType) else Kind.FIELD
            found.append((kind, f"{type_}.{name}", False))
            if kind is Kind.INPUT and not is_non_null_type(field.type):
                found.append((kind, f"{type_}.{name}", True))
            for argument, place in getattr(field, "args", {}).items():
                found.append((Kind.ARGUMENT, f"{type_}.{name}({argument}:)", False))
                if not is_non_null_type(place.type):
                    found.append((Kind.ARGUMENT, f"{type_}.{name}({argument}:)", True))
    return found


MUTANTS = [(*element, mutated(element[1], element[2])) for element in elements()]


def works(schema: GraphQLSchema, document: DocumentNode, values: dict[str, Any]) -> bool:
    """The specification's own judgement: the document validates and its variables can be coerced."""
    if validate(schema, document):
        return False
    [operation] = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return not isinstance(get_variable_values(schema, operation.variable_definitions or (), values), list)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_whatever_breaks_an_operation_when_taken_out_or_required_is_among_its_entries(rng: random.Random) -> None:
    writer = Writer(rng)
    shape = shape_of(writer)
    document = parse(writer.source)
    if shape.invalid or not works(SCHEMA, document, writer.values):
        return
    entries = {(entry.kind, entry.coordinate): entry.state for entry in shape.entries}
    for kind, coordinate, require, schema in rng.sample(MUTANTS, 15):
        if works(schema, document, writer.values):
            continue
        assert (kind, coordinate) in entries, writer.source
        if kind in (Kind.ARGUMENT, Kind.INPUT):
            telling = State.NULL | State.NULLABLE_VARIABLE | (State.ABSENT if require else State.GIVEN)
            assert entries[kind, coordinate] & telling, writer.source
        # The stored document gives the same judgement.
        assert not works(schema, parse(shape.document), writer.values)


@pytest.mark.parametrize(
    ("literal", "neutral"),
    [
        ('{data: "x", more: "y"}', '{k0: ""}'),
        ("[1, 2, [3]]", "[0, [0]]"),
        ("{}", "{}"),
        ("SECRET", "_"),
        ("{a: {b: $v}, c: 1.5, d: true, e: null}", "{k0: {k0: $v}, k1: 0.0, k2: true, k3: null}"),
        ('"""block"""', '""'),
    ],
)
def test_a_custom_scalar_keeps_kinds_and_variables_only(literal: str, neutral: str) -> None:
    declared = "($v: Int)" if "$v" in literal else ""
    operation = EXTRACTOR.operation(f"query Q{declared} {{ raw(data: {literal}) }}")
    assert not operation.invalid
    assert tight(operation.document) == f"query Q{declared} {{\n  raw(data: {neutral})\n}}"


def tight(document: str) -> str:
    """As graphql-core 3.3 and 3.2 both print objects, but for the spaces inside braces."""
    return document.replace("{ ", "{").replace(" }", "}")


def test_literals_of_the_schemas_types_keep_their_kind() -> None:
    operation = EXTRACTOR.operation("""
        query Q($f: BookFilter = {title: "t", genres: [POETRY, POETRY]}) @cacheHint(maxAge: 5, scope: PRIVATE) {
          search(text: "secret", kinds: [BOOK, DEVICE], page: {first: 7, after: null}) { __typename }
          rated(min: 1.25) { rating @include(if: false) }
          books(filter: $f) { id }
          byIds(ids: [1, "2", 3]) { id }
        }
    """)
    assert not operation.invalid
    for kept in (
        '$f: BookFilter = {title: "", genres: [POETRY]}',
        "@cacheHint(maxAge: 0, scope: PRIVATE)",
        'search(text: "", kinds: [BOOK, DEVICE], page: {first: 0, after: null})',
        "rated(min: 0.0)",
        "@include(if: false)",
        'byIds(ids: [0, ""])',
    ):
        assert kept in tight(operation.document)


def test_descriptions_are_not_stored() -> None:
    operation = EXTRACTOR.operation('"""secret""" query Q { me { ...P } } """secret""" fragment P on Person { name }')
    assert "secret" not in operation.document


def test_an_invalid_document_is_stored_without_its_literals() -> None:
    operation = EXTRACTOR.operation(
        'query Q($x: Nope = "secret") { nope(a: {b: "secret", c: 42}) me(x: "secret") @no(y: 42) }'
    )
    assert operation.invalid
    assert operation.name == "Q"
    assert "secret" not in operation.document
    assert "42" not in operation.document
    assert 'nope(a: {k0: "", k1: 0})' in tight(operation.document)


@pytest.mark.parametrize("given", ["order: SECRET", "filter: {genres: [POETRY, SECRET]}", "order: $o"])
def test_an_enum_value_that_the_schema_does_not_have_is_no_name_of_the_schema(given: str) -> None:
    source = f"query Q($o: Sort = SECRET) {{ books({given}) {{ id }} }}"
    operation, believed = (EXTRACTOR.operation(source, validated=each) for each in (False, True))
    assert operation.invalid
    assert "SECRET" not in operation.document
    assert "= _)" in operation.document
    assert (believed.invalid, believed.coverage, believed.document) == (False, frozenset(), "")


def test_fragments_are_stored_in_one_order_whatever_their_order_was() -> None:
    one, two = "fragment A on Person { name ...B }", "fragment B on Person { email }"
    query = "{ me { ...A } }"
    assert EXTRACTOR.operation(query + one + two).document == EXTRACTOR.operation(two + query + one).document


def test_a_cycle_of_fragments_is_reached_once() -> None:
    document = parse("{ me { ...A } } fragment A on Person { ...B } fragment B on Person { ...A ...C }")
    operation = choose(document, None)
    assert operation is not None
    assert [*reach(operation, document)] == ["A", "B"]


def test_labels_of_deferred_fragments_stay_apart() -> None:
    schema = build_schema(
        "directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT"
        " type Query { a: Int }"
    )
    source = '{ ... @defer(label: "secret") { a } ... @defer(label: "other") { a } }'
    operation = Extractor(schema).operation(source)
    assert not operation.invalid
    assert validate(schema, parse(operation.document)) == []
    assert "secret" not in operation.document
