"""What became of fields: counted in the background, bounded, and never a count lost."""

from __future__ import annotations

import random
from functools import cache
from threading import Thread
from typing import Any

import pytest
from graphql import build_schema

from forebay.agent.extract import Extractor
from forebay.agent.faults import Faults
from forebay.agent.outcomes import KNOWN_CHARACTERS, WAITING, Sample, Sampling
from forebay.agent.places import errors_at
from forebay.agent.recorder import Limits, Recorder, Request
from forebay.core.execution import NOWHERE, Executions

SDL = "type Query { user: User } type User { id: ID name: String }"
NAMED = "query User { user { alias: name } }"
NOW = 1_000_000 * 60.0
ERRORS = [{"message": "private", "path": ["user", "alias"]}] * 2

extractor = cache(lambda: Extractor(build_schema(SDL)))


def make(**limits: int) -> Recorder:
    return Recorder(extractor, Faults(), limits=Limits(**limits))


def record(recorder: Recorder, source: str | None = NAMED, **changes: Any) -> None:
    request = {"client": "web", "client_version": "1", "status": 200, "errors": ERRORS, "seconds": 0.01, "now": NOW}
    recorder.record(Request(source, None, None, **{**request, **changes}))


def taken(recorder: Recorder) -> Executions:
    recorder.analyse()
    return recorder.take(1_000_000).executions


def errors(executions: Executions) -> dict[str, tuple[int, int]]:
    """By coordinate the errors, and the requests that had them."""
    total: dict[str, tuple[int, int]] = {}
    for place, outcome in executions.items():
        held = total.get(place[2], (0, 0))
        total[place[2]] = held[0] + outcome.errors, held[1] + outcome.requests
    return total


def test_errors_count_under_their_coordinate_shape_client_and_minute_whether_the_document_was_known_or_not() -> None:
    recorder = make()
    record(recorder)
    recorder.analyse()
    record(recorder)
    recorder.analyse()
    record(recorder, client="app", now=NOW + 60)
    recorder.analyse()
    tallies, shapes, _, _, executions = recorder.take(10)
    [shape] = shapes
    assert {key: (count[0], count[1]) for key, count in tallies.items()} == {
        (1_000_000, "", shape, "web", "1", 200): (2, 2),
        (1_000_001, "", shape, "app", "1", 200): (1, 1),
    }
    assert {place: (outcome.errors, outcome.requests) for place, outcome in executions.items()} == {
        (1_000_000, shape, "User.name", "web", "1"): (4, 2),
        (1_000_001, shape, "User.name", "app", "1"): (2, 1),
    }
    assert recorder.take(10).executions == {}


@pytest.mark.parametrize("given", [True, [], (), {}, None, False, [{"message": "of the request"}]])
def test_without_a_path_nothing_is_attributed_and_the_request_counts_as_it_did(given: Any) -> None:
    recorder = make()
    record(recorder, errors=given)
    recorder.analyse()
    tallies, *_, executions = recorder.take(10)
    [(requests, failed, _)] = tallies.values()
    assert (requests, failed, executions) == (1, int(bool(given)), {})


@pytest.mark.parametrize(
    "source", [None, "", "{ user {", "{ user { other } }", "query A { user { id } } query B { user { id } }"]
)
def test_errors_of_what_is_not_known_are_unattributed(source: str | None) -> None:
    recorder = make()
    record(recorder, source)
    assert errors(taken(recorder)) == {NOWHERE: (2, 1)}


def test_a_path_may_have_been_read_already() -> None:
    recorder = make()
    record(recorder, errors=errors_at(ERRORS))
    assert errors(taken(recorder)) == {"User.name": (2, 1)}


def test_past_the_bound_everything_counts_under_no_coordinate() -> None:
    recorder = make(executions=3)
    for number in range(20):
        seen = Sample(10)
        seen.add("User", "name", 0.1, failed=False)
        record(recorder, client=f"c{number}", client_version="\ud800" * 2_000, executions=seen)
    found = taken(recorder)
    assert len(found) == 4
    assert sum(outcome.errors for outcome in found.values()) == 40
    assert sum(outcome.executions for outcome in found.values()) == 200
    assert (1_000_000, "", NOWHERE, "", "") in found


def test_answers_that_wait_are_bounded_and_those_beyond_are_unattributed() -> None:
    recorder = make()
    record(recorder)
    recorder.analyse()
    recorder.take(10)
    for _ in range(WAITING + 50):
        record(recorder)
    assert errors(taken(recorder)) == {"User.name": (2 * WAITING, WAITING), NOWHERE: (100, 50)}


def test_documents_are_forgotten_by_size_and_walked_again() -> None:
    recorder = make()
    padding = "#" * (KNOWN_CHARACTERS // 3)
    for number in range(7):
        record(recorder, f"query Q{number} {{ user {{ alias: name }} }} {padding}")
        recorder.analyse()
        assert len(recorder._outcomes._places) <= 3
    assert errors(taken(recorder)) == {"User.name": (14, 7)}


def test_a_schema_that_can_not_be_used_leaves_errors_unattributed() -> None:
    def broken() -> Extractor:
        raise TypeError("no schema")

    recorder = Recorder(broken, Faults())
    record(recorder)
    assert errors(taken(recorder)) == {NOWHERE: (2, 1)}


def test_what_is_given_back_merges_with_what_came_since() -> None:
    recorder = make()
    record(recorder)
    recorder.analyse()
    tallies, shapes, lost, _, executions = recorder.take(10)
    record(recorder)
    recorder.give_back(tallies, shapes, lost, executions)
    assert errors(taken(recorder)) == {"User.name": (4, 2)}


def test_a_sample_that_is_nonsense_costs_itself_and_no_request() -> None:
    recorder = make()
    nonsense: Any = object()
    record(recorder, executions=nonsense, errors=False)
    recorder.analyse()
    tallies, *_, executions = recorder.take(10)
    assert (sum(count[0] for count in tallies.values()), executions) == (1, {})


def test_what_is_drawn_neither_follows_nor_disturbs_the_draws_of_a_host_that_seeds_them() -> None:
    sampling = Sampling(0.5)
    drawn = []
    for _ in range(200):
        random.seed(7)
        drawn.append(sampling.draw() is None)
        assert random.random() == random.Random(7).random()
    assert len(set(drawn)) == 2


def test_threads_that_record_at_once_lose_no_error_and_no_execution() -> None:
    recorder = make(executions=20)

    def work(client: str) -> None:
        for number in range(300):
            seen = Sample(3)
            seen.add("User", "name", 0.1, failed=True)
            record(recorder, client=f"{client}{number % 5}", executions=seen)

    threads = [Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    found = []
    while any(thread.is_alive() for thread in threads):
        found.append(taken(recorder))
    found += [taken(recorder), taken(recorder)]
    outcomes = [outcome for executions in found for outcome in executions.values()]
    assert sum(outcome.errors for outcome in outcomes) == 2 * 1_200
    assert sum(outcome.requests for outcome in outcomes) >= 1_200
    assert (sum(o.sampled for o in outcomes), sum(o.executions for o in outcomes)) == (1_200, 3_600)
    assert sum(outcome.failed for outcome in outcomes) == 3_600
