"""What recording a request costs the server that the agent lives in.

`record/known`: µs per `Recorder.record` of an operation that is known and has no variables that
matter, minus an empty function of the same signature called in the same way, interleaved.
`record/input`: what each provided input field adds: the same call with five of them given in one
variable, minus the call without, divided by five.  `record/inputs`: that call as a whole.

`record/unknown`: µs of CPU per field of a document that was never seen and that the host has
validated, less what graphql-core takes to parse it and to print it again; `record/unknown_inputs`
where every fourth field is given an input object of six fields.  `…_whole` is all of it,
`…_unvalidated` with a validation of our own.  All of that happens in the background.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from graphql import build_schema, parse, print_ast

from forebay.agent.extract import Extractor
from forebay.agent.faults import Faults
from forebay.agent.recorder import Recorder, Request

from .result import Result, at_most

CALLS, ROUNDS = 20_000, 31
NOW = 1_795_000_000.0
SCHEMA = """
type Query { search(filter: Filter): [Hit!]! me: Hit! }
type Hit { id: ID! name: String }
input Filter { text: String category: String minimum: Float maximum: Float stock: Boolean other: Int }
"""
PLAIN = "query Plain { me { id name } }"
SEARCH = "query Search($filter: Filter) { search(filter: $filter) { id name } }"
FIELDS = 160
_GROUP = "h{}: search{} {{ id name again: name }}"
UNKNOWN = {
    given: f"query Big {{ {' '.join(_GROUP.format(number, given) for number in range(FIELDS // 4))} }}"
    for given in ("", '(filter: {text: "tea"})')
}
FILTER = {"filter": {"text": "tea", "category": "garden", "minimum": 1.5, "maximum": 9.5, "stock": True}}


def run() -> Iterator[Result]:
    schema = build_schema(SCHEMA)
    recorder = Recorder(lambda: Extractor(schema), Faults())

    def record(*request: Any) -> None:
        recorder.record(Request(*request))

    plain = partial(_calls, record, PLAIN, "Plain", None)
    search = partial(_calls, record, SEARCH, "Search", FILTER)
    for warm in (plain, search):
        warm()
        recorder.analyse()  # in production the background thread's work
    rounds = [(_calls(_nothing, PLAIN, "Plain", None), plain(), search()) for _ in range(ROUNDS)]
    known = statistics.median(a - empty for empty, a, _ in rounds)
    inputs = statistics.median(b - empty for empty, _, b in rounds)
    each = statistics.median((b - a) / len(FILTER["filter"]) for _, a, b in rounds)
    yield at_most(5, "record/known", known, "µs", "an empty call")
    yield at_most(1, "record/input", each, "µs per input field given", "the call without variables")
    yield Result("record/inputs", inputs, "µs", "an empty call; five input fields given")
    counts = recorder.counts()
    assert counts.recorded == CALLS * (2 * ROUNDS + 2), counts
    assert not counts.lost, counts
    for name, source in zip(("record/unknown", "record/unknown_inputs"), UNKNOWN.values(), strict=True):
        yield from _unknown(name, Extractor(schema), source)


def _unknown(name: str, extractor: Extractor, source: str) -> Iterator[Result]:
    rounds = []
    for _ in range(ROUNDS):
        library = _per_field(lambda: print_ast(parse(source, no_location=True)))
        validated = _per_field(lambda: extractor.operation(source, validated=True))
        rounds.append((validated - library, validated, _per_field(lambda: extractor.operation(source))))
    own, whole, unvalidated = (statistics.median(each) for each in zip(*rounds, strict=True))
    yield at_most(5, name, own, "µs per field", "graphql-core's parsing and printing")
    yield Result(f"{name}_whole", whole, "µs per field", "nothing: all of it")
    yield Result(f"{name}_unvalidated", unvalidated, "µs per field", "nothing: all of it")


def _per_field(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) / FIELDS * 1e6


def _calls(record: Callable[..., None], source: str, operation_name: str, variables: Mapping[str, Any] | None) -> float:
    """Mean µs of a call."""
    begun = time.perf_counter()
    for _ in range(CALLS):
        record(source, operation_name, variables, "web", "3.2.0", 200, False, 0.0123, NOW)
    return (time.perf_counter() - begun) / CALLS * 1e6


def _nothing(
    source: str,
    operation_name: str | None,
    variables: Mapping[str, Any] | None,
    client: str,
    client_version: str,
    status: int,
    errors: bool,
    seconds: float | None,
    now: float,
) -> None:
    pass
