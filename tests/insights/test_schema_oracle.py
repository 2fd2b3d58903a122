"""Mutated schemas, with graphql-core itself as the judge of whom they break: never a false "safe".

An operation that was fine is broken if the mutated schema refuses its document, its variables, or
the arguments that come of both.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest
from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    parse,
    validate,
    visit,
)
from graphql.execution.values import get_argument_values, get_variable_values

from forebay.agent.extract import Extractor
from forebay.agent.variants import unite
from forebay.core.coordinate import Kind
from forebay.core.shape import Coverage, Shape
from forebay.insights.mistakes import BadSchema
from forebay.insights.place_changes import Severity
from forebay.insights.published import build
from forebay.insights.schema_changes import changes
from forebay.insights.schema_impact import Judge
from forebay.insights.type_changes import Hit

SDL = """
directive @tag(name: String, level: Level = LOW) repeatable on FIELD | QUERY
scalar Date
interface Node {
  id: ID!
  label(short: Boolean = false, max: Int): String
}
type Book implements Node {
  id: ID!
  label(short: Boolean = false, max: Int): String
  title: String
  pages: Int
  genre: Genre
  tags: [String]
}
type Film implements Node {
  id: ID!
  label(short: Boolean = false, max: Int): String
  title: String
  minutes: Int!
  genre: Genre!
  at: Date
}
union Work = Book | Film
enum Genre {
  FICTION
  HISTORY
  NOIR
}
enum Level {
  LOW
  HIGH
}
input Range {
  from: Int = 0
  to: Int
  unit: String! = "day"
}
input Filter {
  title: String
  genres: [Genre!]
  level: Level = LOW
  range: Range
  ranges: [Range]
  any: [Filter!]
  since: Date
  id: ID
  ratio: Float
}
input Pick {
  id: ID
  title: String
  level: Level
}
type Query {
  node(id: ID!): Node
  works(filter: Filter, first: Int = 10, genre: Genre): [Work!]!
  book(pick: Pick, id: ID, level: Level!): Book
  count(ranges: [Range!], numbers: [Int], ratio: Float = 1.5): Int
}
type Mutation {
  add(filter: Filter!, at: Date): Book
}
"""

OPERATIONS: list[tuple[str, list[dict[str, Any]]]] = [
    ("{ node(id: 1) { id } }", [{}]),
    ('{ node(id: "a") { label(short: true) ... on Book { title pages } } }', [{}]),
    ("{ node(id: 1) { ... on Book { title } ... on Film { title minutes } } }", [{}]),
    ("{ node(id: 1) { ... on Book { genre } ... on Film { at genre } } }", [{}]),
    ("query Q($i: ID!) { node(id: $i) { ...F } } fragment F on Film { title label(max: 3) }", [{"i": 1}, {"i": "x"}]),
    ("{ works { ... on Node { id } ... on Film { minutes } } }", [{}]),
    ("{ works(first: null) { __typename ... on Work { ... on Book { id } } } }", [{}]),
    ("query Q($n: Int) { works(first: $n) { __typename } }", [{}, {"n": 1}, {"n": None}]),
    ("query Q($n: Int = 3) { works(first: $n) { __typename } }", [{}, {"n": 1}, {"n": None}]),
    ("query Q($g: Genre) { works(genre: $g) { __typename } }", [{}, {"g": "NOIR"}, {"g": None}]),
    ("{ works(genre: HISTORY) { ... on Book { tags } } }", [{}]),
    (
        "query Q($f: Filter) { works(filter: $f) { __typename } }",
        [
            {},
            {"f": None},
            {"f": {}},
            {"f": {"title": "x", "genres": ["NOIR", "FICTION"]}},
            {"f": {"genres": "HISTORY", "range": {"to": 3}}},
            {"f": {"range": None, "level": None, "ranges": [None, {"from": None}]}},
            {"f": {"any": [{"title": None}, {"level": "HIGH", "any": []}]}},
            {"f": {"ranges": {"unit": "h"}, "since": "2026", "id": 7, "ratio": 3}},
            {"f": {"id": "x", "ratio": 0.5, "ranges": []}},
        ],
    ),
    ('{ works(filter: {title: "x", genres: NOIR, range: {from: 1}}) { __typename } }', [{}]),
    ("{ works(filter: {any: {level: HIGH}, ranges: [{to: null}, null]}) { __typename } }", [{}]),
    ("query Q($t: String) { works(filter: {title: $t, ratio: 2}) { __typename } }", [{}, {"t": "x"}, {"t": None}]),
    ('query Q($r: Range = {to: 2}) { works(filter: {range: $r, id: 5}) { __typename } }', [{}, {"r": {"unit": "h"}}]),
    ("query Q($l: Level!) { book(level: $l) { genre } }", [{"l": "LOW"}]),
    ("query Q($l: Level! = HIGH, $p: Pick) { book(level: $l, pick: $p) { pages } }", [{}, {"p": {"id": 1}}]),
    ("query Q($p: Pick) { book(level: LOW, pick: $p) { id } }", [{"p": {"id": 1, "title": "x"}}, {"p": {"id": None}}]),
    ("{ book(level: LOW, pick: {id: 1}) { title } }", [{}]),
    ("query Q($i: ID) { book(level: LOW, pick: {id: $i}) { title } }", [{"i": 3}, {}]),
    ("query Q($r: [Range!]) { count(ranges: $r) }", [{}, {"r": []}, {"r": {"from": 1}}, {"r": [{}, {"to": 1}]}]),
    ("query Q($n: [Int]) { count(numbers: $n) }", [{}, {"n": [1, None]}, {"n": 4}]),
    ("{ count(numbers: [1, null], ratio: 2) }", [{}]),
    ("query Q($x: Float = 2.5) { count(ratio: $x) }", [{}, {"x": None}, {"x": 1}]),
    ("query Q($x: Int) { count(numbers: [$x, 1]) }", [{}, {"x": 1}, {"x": None}]),
    ("query Q @tag { count @tag(name: \"x\", level: HIGH) @tag }", [{}]),
    ("query Q($l: Level) { count @tag(level: $l) }", [{}, {"l": "LOW"}, {"l": None}]),
    ("mutation M($f: Filter!) { add(filter: $f) { id title } }", [{"f": {}}, {"f": {"level": "LOW", "since": 3}}]),
    ("mutation M($d: Date) { add(filter: {}, at: $d) { id } }", [{}, {"d": "x"}, {"d": None}]),
]  # fmt: skip

TYPES = ["Int", "Float", "String", "ID", "Date", "Genre", "Level", "Range", "Filter", "Book", "Film", "Node", "Work"]


def mutated(sdl: str, random_: random.Random) -> str:
    """The SDL with one line changed."""
    lines = sdl.strip().splitlines()
    at = random_.randrange(len(lines))
    line = lines[at]
    references = list(re.finditer(r": (\[*\w+!?\]?!?)", line))
    match random_.randrange(8):
        case 0 if line.startswith("  "):
            del lines[at]
        case 1 if line.startswith(("input", "enum", "type", "interface")) and line.endswith("{"):
            new = (
                "  added: Int!"
                if line.startswith("input")
                else "  ADDED"
                if line.startswith("enum")
                else "  added: Int"
            )
            lines.insert(at + 1, new)
        case 2 if "=" in line and line.startswith("  "):
            lines[at] = re.sub(r" = [^,)]+", "", line, count=1)
        case 3 if line.startswith("input"):
            lines[at] = line.replace(" {", " @oneOf {")
        case 4 if "|" in line:
            lines[at] = re.sub(r" \| \w+$", "", line)
        case 5 if "repeatable" in line or "implements" in line:
            lines[at] = line.replace("repeatable ", "").replace(" implements Node", "")
        case 6 if "(" in line:
            lines[at] = line.replace("(", random_.choice(["(added: Int, ", "(added: Int!, ", "(added: Int! = 1, "]), 1)
        case _ if references:
            found = random_.choice(references)
            old = found[1]
            name = re.sub(r"\W", "", old)
            choices = [
                f"{old}!",
                old.rstrip("!"),
                f"[{old}]",
                old.strip("[]!"),
                old.replace(name, random_.choice(TYPES)),
            ]
            lines[at] = line[: found.start(1)] + random_.choice(choices).replace("!!", "!") + line[found.end(1) :]
    return "\n".join(lines)


def fine(schema: GraphQLSchema, source: str, variables: Mapping[str, Any]) -> bool:
    """Would a server on this schema execute the request, every argument coerced?"""
    document = parse(source)
    if validate(schema, document):
        return False
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    values: Any = get_variable_values(schema, operation.variable_definitions or (), dict(variables))
    if isinstance(values, list):
        return False
    info = TypeInfo(schema)
    wrong: list[str] = []

    class Arguments(Visitor):
        def enter(self, node: Any, *_: Any) -> None:
            try:
                if isinstance(node, FieldNode) and (definition := info.get_field_def()):
                    get_argument_values(definition, node, values)
                for each in getattr(node, "directives", None) or ():
                    if directive := schema.get_directive(each.name.value):
                        get_argument_values(directive, each, values)
            except GraphQLError as exc:
                wrong.append(str(exc))

    visit(document, TypeInfoVisitor(info, Arguments()))
    return not wrong


OLD = build(SDL, "old schema")
EXTRACTOR = Extractor(OLD)
REQUESTS = [
    (source, variables, EXTRACTOR.operation(source).shape(variables))
    for source, all_variables in OPERATIONS
    for variables in all_variables
    if fine(OLD, source, variables)
]


def judged(old: GraphQLSchema, new: GraphQLSchema, shapes: list[Shape]) -> list[Hit]:
    """The worst that any breaking change does to each of the shapes."""
    found = changes(old, new)
    judge = Judge(old, new, found)
    worst = []
    for shape in shapes:
        impact = judge.judge(shape)
        hits = [effect.hit for number, effect in impact.effects.items() if matters(found[number].severity, effect.hit)]
        worst.append(Hit.YES if impact.unexplained else max(hits, default=Hit.NO))
    return worst


def matters(severity: Severity, hit: Hit) -> bool:
    """What the outcome of a check depends on."""
    return severity is Severity.BREAKING or (severity is Severity.SAFE and hit is Hit.MAYBE)


def schemas(seed: int, count: int) -> list[tuple[str, GraphQLSchema]]:
    random_ = random.Random(seed)
    valid: list[tuple[str, GraphQLSchema]] = []
    while len(valid) < count:
        text = SDL
        for _ in range(random_.choice([1, 1, 1, 2, 4])):
            text = mutated(text, random_)
        try:
            valid.append((text, build(text, "new schema")))
        except BadSchema:
            continue
    return valid


SEEN_BY = {
    Kind.TYPE: Coverage.FIELDS,
    Kind.FIELD: Coverage.FIELDS,
    Kind.ARGUMENT: Coverage.ARGUMENTS,
    Kind.INPUT: Coverage.INPUTS,
    Kind.ENUM_VALUE: Coverage.ENUM_VALUES,
    Kind.DIRECTIVE: Coverage.DOCUMENT,
}


def as_seen(shape: Shape, coverage: frozenset[Coverage]) -> Shape:
    """What a reporter with this coverage would have told."""
    entries = tuple(entry for entry in shape.entries if SEEN_BY[entry.kind] in coverage)
    document = shape.document if Coverage.DOCUMENT in coverage else ""
    return replace(shape, entries=entries, document=document, coverage=coverage)


COVERAGES = [
    pytest.param(frozenset(Coverage), id="everything"),
    pytest.param(frozenset(Coverage) - {Coverage.DOCUMENT}, id="no document"),
    pytest.param(frozenset({Coverage.FIELDS, Coverage.DOCUMENT}), id="fields and document"),
    pytest.param(frozenset({Coverage.FIELDS}), id="fields"),
    pytest.param(frozenset({Coverage.DOCUMENT}), id="document"),
    pytest.param(frozenset[Coverage](), id="nothing"),
]


@pytest.mark.parametrize("coverage", COVERAGES)
def test_no_request_that_breaks_is_ever_called_safe(coverage: frozenset[Coverage]) -> None:
    shapes = [as_seen(shape, coverage) for _, _, shape in REQUESTS]
    broken = 0
    for text, new in schemas(seed=11, count=20):
        for (source, variables, _), hit in zip(REQUESTS, judged(OLD, new, shapes), strict=True):
            if not fine(new, source, variables):
                broken += 1
                assert hit is not Hit.NO, (source, variables, text)
    assert broken > 20


def test_variants_that_share_a_shape_are_called_broken_or_unknown_if_one_of_them_breaks() -> None:
    together: dict[str, list[tuple[Mapping[str, Any], Shape]]] = {}
    for source, variables, shape in REQUESTS:
        together.setdefault(source, []).append((variables, shape))
    united = [reduce(unite, (shape for _, shape in each)) for each in together.values()]
    for text, new in schemas(seed=12, count=40):
        for (source, each), hit in zip(together.items(), judged(OLD, new, united), strict=True):
            if not all(fine(new, source, variables) for variables, _ in each):
                assert hit is not Hit.NO, (source, text)


def test_a_reporter_that_sees_everything_causes_few_needless_alarms() -> None:
    """Those that remain are meant: a result of another type, or a list that held one value."""
    judged_fine = alarms = 0
    shapes = [shape for _, _, shape in REQUESTS]
    for _, new in schemas(seed=13, count=40):
        for (source, variables, _), hit in zip(REQUESTS, judged(OLD, new, shapes), strict=True):
            if fine(new, source, variables):
                judged_fine += 1
                alarms += hit is not Hit.NO
    assert alarms / judged_fine < 0.01
