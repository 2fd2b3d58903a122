"""The recorder: what is counted, under which shape, and what stays bounded."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Mapping
from functools import cache
from threading import Thread
from typing import Any

import msgspec
import pytest
from graphql import GraphQLError, build_schema

from forebay.agent.extract import Extractor, Operation
from forebay.agent.faults import Faults
from forebay.agent.recorder import OVERFLOW, Limits, Recorder, Request, Taken
from forebay.agent.variants import carried, not_analysed, unite
from forebay.core.coordinate import Entry, Kind, State
from forebay.core.record import ShapeColumns
from forebay.core.shape import OperationType, Shape

SDL = """
type Query { user(id: ID, filter: Filter): User }
type User { id: ID name: String }
input Filter { a: Int b: Int c: Int d: Int }
"""
NAMED = "query User { user { name } }"
FILTERED = "query Filtered($a: Int, $b: Int, $c: Int, $d: Int) { user(filter: {a: $a, b: $b, c: $c, d: $d}) { id } }"
NOW = 1_000_000 * 60.0

extractor = cache(lambda: Extractor(build_schema(SDL)))


def make(**limits: int) -> Recorder:
    return Recorder(extractor, Faults(), limits=Limits(**limits))


def record(recorder: Recorder, source: str = NAMED, variables: Any = None, **changes: Any) -> None:
    request = {"client": "web", "client_version": "1", "status": 200, "errors": False, "seconds": 0.01, "now": NOW}
    recorder.record(Request(source, None, variables, **{**request, **changes}))


def requests_of(taken: Taken) -> int:
    return sum(requests for requests, _, _ in taken.tallies.values())


def test_equal_requests_are_one_tally_and_their_durations_one_histogram() -> None:
    recorder = make()
    for seconds in (0.01, 0.01, 0.5):
        record(recorder, seconds=seconds)
    record(recorder, errors=True, seconds=None)
    recorder.analyse()
    taken = recorder.take(10)
    [(key, (requests, errors, durations))] = taken.tallies.items()
    assert (key[0], key[3:], requests, errors) == (1_000_000, ("web", "1", 200), 4, 1)
    assert sorted(durations.values()) == [1, 2]
    assert taken.shapes[key[2]].name == "User"
    assert "User.name" in taken.shapes[key[2]].coordinate


def test_a_request_counts_in_the_minute_in_which_it_was_made_however_late_it_is_analysed() -> None:
    recorder = make()
    record(recorder, now=NOW)
    record(recorder, now=NOW + 60)
    recorder.analyse()
    assert [key[0] for key in recorder.take(10).tallies] == [1_000_000, 1_000_001]


def test_a_request_whose_document_is_not_known_counts_at_once_and_covers_nothing() -> None:
    recorder = make()
    for _ in range(2):
        recorder.record(Request(None, "A", {"a": 1}, "web", "1", 200, False, 0.01, NOW))
    taken = recorder.take(10)
    [(key, (requests, _, durations))] = taken.tallies.items()
    assert (key[0], key[3:], requests, sum(durations.values())) == (1_000_000, ("web", "1", 200), 2, 2)
    assert (taken.shapes[key[2]].name, taken.shapes[key[2]].coverage) == ("A", [])
    assert recorder.counts().recorded == 2


def test_headers_name_the_client_and_what_are_none_cost_only_the_client() -> None:
    recorder = make()
    named: Any = [(b"graphql-client-name", b"app"), (b"graphql-client-version", b"7")]
    for headers in (named, [], [b"nonsense"]):
        record(recorder, client="", client_version="", headers=headers)
    recorder.analyse()
    assert [key[3:5] for key in recorder.take(10).tallies] == [("app", "7"), ("", "")]
    assert recorder.counts().recorded == 3


def test_what_does_not_parse_counts_as_an_invalid_operation_without_a_name() -> None:
    recorder = make()
    record(recorder, "query {", errors=True)
    recorder.analyse()
    [shape] = recorder.take(10).shapes.values()
    assert (shape.name, shape.invalid) == ("", True)


def test_what_was_answered_without_errors_was_executed_and_never_counts_as_invalid() -> None:
    recorder = make()
    for _ in range(2):  # new, and then known
        record(recorder, "query Unused { user { id } } fragment F on User { id }")
        record(recorder, "query Unused { user { id } } fragment F on User { id }", errors=True)
        recorder.analyse()
    taken = recorder.take(10)
    counted = {(shape.invalid, bool(shape.coverage)): id_ for id_, shape in taken.shapes.items()}
    requests = {key[2]: count[0] for key, count in taken.tallies.items()}
    assert {seen: requests[id_] for seen, id_ in counted.items()} == {(True, True): 2, (False, False): 2}


def test_what_a_host_executed_never_counts_as_invalid_whatever_errors_its_answer_has() -> None:
    """A host that does not validate answers with data and errors alike."""
    recorder = make()
    for _ in range(2):  # new, and then known
        record(recorder, "query A { user { id nope } }", errors=True, executed=True)
        recorder.analyse()
    [shape] = recorder.take(10).shapes.values()
    assert (shape.name, shape.invalid, shape.coverage) == ("A", False, [])


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_a_document_that_a_host_says_is_valid_is_one_shape_with_those_of_which_it_says_nothing(
    order: tuple[bool, bool],
) -> None:
    recorder = make()
    for validated in order:
        record(recorder, validated=validated)
        recorder.analyse()
    taken = recorder.take(10)
    assert (len(taken.shapes), requests_of(taken)) == (1, 2)


@pytest.mark.parametrize(
    "source",
    [
        "query A { user { id nope } }",
        "query A { user { id { deeper } } }",
        "query A { user { ...Gone } }",
        "query A { user { ... on Gone { id } } }",
        "query A { user(filter: {a: $undeclared}) { id } }",
        "query A($v: Gone) { user(filter: $v) { id } }",
        "mutation A { user { id } }",
    ],
)
def test_what_extraction_cannot_follow_is_not_analysed_though_the_host_says_that_it_is_valid(source: str) -> None:
    recorder = make()
    record(recorder, source, errors=True, validated=True, executed=True)
    recorder.analyse()
    [shape] = recorder.take(10).shapes.values()
    assert (shape.invalid, shape.coverage, shape.coordinate) == (False, [], [])


def test_past_the_bound_of_the_queue_requests_count_as_not_analysed() -> None:
    recorder = make(queued=2)
    for number in range(5):
        recorder.record(
            Request(f"query Q{number} {{ user {{ id }} }}", f"Q{number}", None, "web", "1", 200, False, 0.01, NOW)
        )
    recorder.analyse()
    taken = recorder.take(10)
    coarse = [shape for shape in taken.shapes.values() if not shape.coverage]
    assert requests_of(taken) == 5
    assert sorted(shape.name for shape in coarse) == ["Q2", "Q3", "Q4"]
    assert all(not shape.coordinate for shape in coarse)


def test_variables_that_wait_are_bounded_by_size_but_one_large_request_may_wait_alone() -> None:
    recorder = make(queued_bytes=10_000)
    for _ in range(3):
        record(recorder, FILTERED, {"a": "x" * 50_000})
    recorder.analyse()
    taken = recorder.take(10)
    assert sorted((taken.shapes[key[2]].name, count[0]) for key, count in taken.tallies.items()) == [
        ("", 2),
        ("Filtered", 1),
    ]


def test_variants_past_the_bound_share_one_shape_that_marks_what_differs_as_uncertain() -> None:
    recorder = make(variants=2)
    forms: list[dict[str, int]] = [{}, {"a": 1}, {"b": 1}, {"a": 1, "b": 1}]
    for variables in forms:
        record(recorder, FILTERED, variables)
        recorder.analyse()
    taken = recorder.take(100)
    states = [dict(zip(shape.coordinate, shape.state, strict=True)) for shape in taken.shapes.values()]
    merged = [state for state in states if state["Filter.a"] & State.UNCERTAIN]
    assert requests_of(taken) == 4
    assert len(states) - len(merged) == 2
    assert all(State.GIVEN | State.ABSENT in State(state["Filter.a"]) for state in merged)
    assert all(not state["Filter.c"] & State.UNCERTAIN for state in states)


def test_the_bound_of_variants_holds_per_minute_however_many_forms_there_are() -> None:
    recorder = make(variants=3)
    for minute in range(2):
        for number in range(16):
            variables = {name: 1 for bit, name in enumerate("abcd") if number >> bit & 1}
            record(recorder, FILTERED, variables, now=minute * 60)
        recorder.analyse()
    taken = recorder.take(1000)
    for minute in range(2):
        shapes = {key[2] for key in taken.tallies if key[0] == minute}
        certain = [shape for shape in shapes if not any(s & State.UNCERTAIN for s in taken.shapes[shape].state)]
        assert len(certain) <= 3
    assert requests_of(taken) == 32


def test_uniting_shapes_never_forgets_a_use_and_sees_only_what_both_see() -> None:
    def shape(*entries: Entry) -> Shape:
        return Shape("o", "n", OperationType.QUERY, "d", entries)

    given = Entry(Kind.INPUT, "F.a", "Int", State.GIVEN)
    value = Entry(Kind.ENUM_VALUE, "E.A")
    united = unite(shape(given, value), shape())
    assert united.entries == (value, given._replace(state=State.GIVEN | State.UNCERTAIN))
    assert unite(united, united) == united
    assert unite(shape(given), shape(given)) == shape(given)


@pytest.mark.parametrize("document", ["x" * (2**20 + 1), "\ud800"])
def test_a_shape_that_the_wire_cannot_carry_counts_as_not_analysed(document: str) -> None:
    shape = Shape("o", "é" * 2000, OperationType.QUERY, document, ())
    columns = carried(shape)
    assert columns == not_analysed("é" * 1024)
    assert msgspec.json.decode(msgspec.json.encode(columns), type=ShapeColumns) == columns


def test_memory_is_bounded_by_giving_up_versions_then_clients_then_operations() -> None:
    seen = []
    for bound in (10**9, 30_000, 4_000, 700):
        recorder = make(memory=bound)
        for number in range(40):
            record(recorder, client=f"c{number % 4}", client_version=str(number))
        recorder.analyse()
        record(recorder, client="late", client_version="1")
        taken = recorder.take(1000)
        assert requests_of(taken) == 41
        seen.append(
            (
                len({key[4] for key in taken.tallies}) > 1,
                len({key[3] for key in taken.tallies}) > 1,
                OVERFLOW.id not in taken.shapes,
            )
        )
        assert set(taken.shapes) == {key[2] for key in taken.tallies}
    assert seen[0] == (True, True, True)
    assert seen[-1] == (False, False, False)
    assert seen == sorted(seen, reverse=True)


def test_an_error_is_held_no_longer_than_the_call() -> None:
    class Failure(GraphQLError):
        """One that can be referred to weakly."""

    recorder, error = make(), Failure("no", path=["user"])
    alive = weakref.ref(error)
    record(recorder, errors=[error])
    del error
    assert alive() is None
    assert recorder.counts().waiting == 1


def test_what_coarseness_gave_up_is_counted_by_what_it_was() -> None:
    recorder = make(memory=10**9)
    for number in range(40):
        record(recorder, client=f"c{number % 4}", client_version=str(number % 10 or ""))
    recorder.analyse()
    recorder._coarsen()
    assert recorder.counts().coarsened == {"client versions": 36}
    recorder._coarsen()
    record(recorder)
    recorder.analyse()
    recorder._coarsen()
    record(recorder)
    recorder.analyse()
    assert recorder.counts().coarsened == {"client versions": 38, "clients": 42, "operations": 42}
    assert recorder.counts().recorded == requests_of(recorder.take(100)) == 42


def test_memory_is_bounded_even_when_the_background_never_gets_to_run() -> None:
    recorder = make(memory=60_000)
    record(recorder)
    recorder.analyse()
    for number in range(1000):
        record(recorder, client_version=str(number))
    taken = recorder.take(10_000)
    assert len(taken.tallies) <= 202
    assert requests_of(taken) == 1001


def test_detail_returns_once_the_tallies_were_taken() -> None:
    recorder = make(memory=5_000)
    for number in range(10):
        record(recorder, client_version=str(number))
    recorder.analyse()
    assert {key[4] for key in recorder.take(100).tallies} == {""}
    record(recorder)
    recorder.analyse()
    assert {key[4] for key in recorder.take(100).tallies} == {"1"}


def test_operations_are_forgotten_by_generation_and_learnt_again() -> None:
    recorder = make(operations=2)
    for number in range(20):
        record(recorder, f"query Q{number % 7} {{ user {{ id }} }}")
        recorder.analyse()
        assert len(recorder._operations) + len(recorder._older) <= 2 + 3
    assert sum(count[0] for count in recorder.take(100).tallies.values()) == 20


def test_operations_are_forgotten_by_size_too() -> None:
    recorder = make(known_bytes=20_000)
    for number in range(50):
        record(recorder, FILTERED.replace("Filtered", f"Q{number}"))
        recorder.analyse()
        assert len(recorder._operations) + len(recorder._older) <= 10
    assert requests_of(recorder.take(100)) == 50


def test_names_are_cut_to_what_a_record_can_hold() -> None:
    recorder = make()
    record(recorder, client="x" * 5000, client_version="\ud800", status=100_000)
    record(recorder, client="x" * 5000, client_version="\ud800", status=100_000)
    recorder.analyse()
    [(key, count)] = recorder.take(10).tallies.items()
    assert (key[3:], count[0]) == (("x" * 1024, "?", 0), 2)


class Broken(Operation):
    def form(self, variables: Mapping[str, Any] | None) -> Hashable:
        raise RuntimeError("form")


class BrokenExtractor(Extractor):
    def operation(self, source: str, operation_name: str | None = None, *, validated: bool = False) -> Operation:
        if "Form" in source:
            return Broken()
        raise RuntimeError("secret")


def test_a_broken_extractor_costs_detail_but_no_count() -> None:
    faults = Faults()
    recorder = Recorder(lambda: BrokenExtractor(build_schema(SDL)), faults)
    for _ in range(3):
        record(recorder)
        record(recorder, "query Form { user { id } }")
        recorder.analyse()
    taken = recorder.take(10)
    assert requests_of(taken) == 6
    assert list(taken.shapes) == [not_analysed("").id]
    assert faults.counts["analysis"] > 0


@pytest.mark.parametrize("change", [{"now": float("nan")}, {"client": 7}, {"status": None}, {"source": []}])
def test_nonsense_is_counted_as_lost_and_never_raises(change: dict[str, Any]) -> None:
    recorder = make()
    record(recorder)
    recorder.analyse()
    record(recorder, **change)
    recorder.analyse()
    assert recorder.take(10).lost == {"agent_error": 1}
    assert recorder.counts().recorded == 2


def test_threads_that_record_at_once_lose_no_count() -> None:
    recorder = make(queued=10)

    def work() -> None:
        for number in range(500):
            record(recorder, f"query Q{number % 5} {{ user {{ id }} }}")

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    total = 0
    while any(thread.is_alive() for thread in threads):
        recorder.analyse()
        total += requests_of(recorder.take(3))
    recorder.analyse()
    assert total + requests_of(recorder.take(1000)) == 2000
