"""Reports over real HTTP, through every fault: sums stay exact, and no secret leaves."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from threading import Thread
from typing import Any

import pytest
from fake_collector import FakeCollector, decoded, fake_collector
from graphql import GraphQLError, GraphQLSchema, build_schema, print_schema

from forebay.agent.exporter import Bounds, Exporter
from forebay.agent.extract import Extractor
from forebay.agent.faults import Faults
from forebay.agent.post import Answer
from forebay.agent.recorder import Recorder, Request
from forebay.agent.reporter import Reporter
from forebay.core import wire
from forebay.core.record import SchemaColumns
from forebay.core.shape import content_hash
from forebay.errors import RetryLater

SDL = "type Query { user(id: ID, role: Role): User } type User { id: ID email: String } enum Role { ADMIN GUEST }"
QUERY = "query Q { user { id } }"
FAULTS = [503, 500, 401, 403, 408, (302, {"Location": "/elsewhere"}), "cut", "cut-after", "hang"]
QUICK = Bounds(timeout=0.3, first_pause=0.02, last_pause=0.05)

schema: Callable[[], GraphQLSchema] = cache(lambda: build_schema(SDL))
extractor = cache(lambda: Extractor(schema()))
columns = cache(lambda: SchemaColumns(id=content_hash(SDL.encode()), sdl=SDL))


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        yield collector


@pytest.fixture
def reporter(collector: FakeCollector) -> Iterator[Reporter]:
    reporter = Reporter(schema(), collector.url, "token", interval=0.02, bounds=QUICK)
    yield reporter
    reporter.close(2)


def sent(collector: FakeCollector) -> list[wire.Push]:
    """Each attempt, decoded."""
    return [decoded(body) for body in collector.bodies]


def assert_numbered(taken: dict[tuple[str, int], wire.Push]) -> None:
    """No agent left a gap, or used a number twice."""
    numbers: dict[str, list[int]] = {}
    for agent, sequence in taken:
        numbers.setdefault(agent, []).append(sequence)
    assert all(sorted(held) == list(range(1, len(held) + 1)) for held in numbers.values())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_report_names_its_shapes_and_schema_once_a_day(collector: FakeCollector, reporter: Reporter) -> None:
    for _ in range(3):
        reporter.record(QUERY, client="web", client_version="1", seconds=0.01)
        assert reporter.flush(2)
    first, *others = sorted(collector.pushes.values(), key=lambda push: push.sequence)
    assert [push.sequence for push in (first, *others)] == [1, 2, 3]
    assert [shape.name for shape in first.shapes] == ["Q"]
    assert [schema.sdl for schema in first.schemas] == [print_schema(schema())]
    assert first.schema_version == [first.schemas[0].id]
    assert not any(push.shapes or push.schemas for push in others)
    assert collector.headers[0]["Authorization"] == "Bearer token"


def test_errors_that_are_found_after_their_tally_was_sent_follow_in_a_report_of_their_own(
    collector: FakeCollector, reporter: Reporter
) -> None:
    reporter.record(QUERY)
    assert reporter.flush(2)
    recorder = reporter._recorder
    recorder._fail(QUERY, None, next(iter(collector.shapes.values())), 1, "web", "1", {("user",): 2})
    assert reporter.flush(2)
    assert collector.errors() == {("Q", "Query.user"): 2}
    assert (collector.requests(), len(collector.pushes)) == (1, 2)


def test_shapes_are_named_again_on_the_next_day() -> None:
    bodies: list[bytes] = []

    def send(body: bytes, timeout: float) -> Answer:
        bodies.append(body)
        return Answer(202)

    now = [86_000.0]
    recorder = Recorder(extractor, Faults())
    exporter = Exporter(recorder, send, columns, Faults(), clock=lambda: now[0])
    for moment in (86_000.0, 86_100.0, 86_500.0):
        now[0] = moment
        recorder.record(Request(QUERY, None, None, "", "", 200, False, None, moment))
        exporter.step()
    pushes = [decoded(body) for body in bodies]
    assert [len(push.shapes) for push in pushes] == [1, 0, 1]
    assert [len(push.schemas) for push in pushes] == [1, 0, 1]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_bytes_are_sent_until_they_are_acknowledged(
    collector: FakeCollector, reporter: Reporter, fault: Any
) -> None:
    collector.faults.extend([fault, fault])
    reporter.record(QUERY)
    until(lambda: len(collector.bodies) >= 1)
    for _ in range(5):
        reporter.record(QUERY)
    assert reporter.flush(4)
    assert collector.bodies[0] == collector.bodies[1] == collector.bodies[2]
    assert collector.requests() == 6
    assert reporter.status()["pending"] == 0
    assert sorted(push.sequence for push in collector.pushes.values()) == list(range(1, len(collector.pushes) + 1))


def test_sums_are_exact_through_faults_while_threads_record(collector: FakeCollector, reporter: Reporter) -> None:
    collector.faults.extend(["cut", 503, "cut-after", (429, {"Retry-After": "0.05"}), "hang", "cut-after", 500] * 2)

    def work(client: str) -> None:
        for number in range(300):
            document = f"query Q{number % 7}($id: ID) {{ user(id: $id) {{ id }} }}"
            reporter.record(document, None, {"id": 1} if number % 2 else {}, client=client, errors=number % 3 == 0)
            time.sleep(0.0005)

    threads = [Thread(target=work, args=(f"c{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: not collector.faults)
    assert reporter.flush(4)
    assert collector.requests() == 1200 == reporter.status()["acknowledged"]
    assert sum(count for line, count in collector.usage().items() if line[3]) == 400
    assert all(count in (14, 15, 28, 29) for count in collector.usage().values())


def test_retry_after_is_waited_for(collector: FakeCollector, reporter: Reporter) -> None:
    collector.faults.append((429, {"Retry-After": "0.4"}))
    began = time.monotonic()
    reporter.record(QUERY)
    until(lambda: collector.requests() == 1)
    assert time.monotonic() - began >= 0.4
    assert len(collector.bodies) == 2


@pytest.mark.parametrize("status", [400, 404, 405, 415, 422])
def test_what_is_refused_for_good_is_counted_as_lost_in_the_next_report(
    collector: FakeCollector, reporter: Reporter, status: int
) -> None:
    collector.faults.append(status)
    for _ in range(3):
        reporter.record(QUERY)
    until(lambda: len(collector.bodies) >= 1)
    reporter.record(QUERY)
    assert reporter.flush(2)
    until(lambda: reporter.status()["pending"] == 0)
    assert collector.requests() + collector.lost()["rejected"] == 4
    assert reporter.status()["lost"] == dict(collector.lost())
    assert all(push.sequence == number for number, push in enumerate(collector.pushes.values(), start=1))
    assert {shape.name for shape in collector.shapes.values()} <= {"Q"}


@pytest.mark.parametrize("answer", [200, 202, 404, 400])
def test_what_somebody_else_answers_in_a_collectors_place_is_no_answer(answer: int) -> None:
    """As a proxy does whose service is just being replaced."""
    answers = [Answer(answer, genuine=False)] * 5
    taken: list[bytes] = []

    def send(body: bytes, timeout: float) -> Answer:
        taken.append(body)
        return answers.pop() if answers else Answer(200)

    recorder = Recorder(extractor, Faults())
    exporter = Exporter(recorder, send, columns, Faults())
    recorder.record(Request(QUERY, None, None, "", "", 200, False, None, 0))
    for _ in range(6):
        exporter.step()
    assert len(set(taken)) == 1
    assert (exporter.acknowledged, recorder.counts().lost) == (1, {})


def test_a_refusal_that_is_no_collectors_is_believed_in_the_end() -> None:
    recorder = Recorder(extractor, Faults())
    refusal = Answer(404, genuine=False)
    exporter = Exporter(recorder, lambda *_: refusal, columns, Faults(), bounds=Bounds(patience=3))
    recorder.record(Request(QUERY, None, None, "", "", 200, False, None, 0))
    for _ in range(2):
        exporter.step()
    assert recorder.counts().lost == {}
    exporter.step()
    assert recorder.counts().lost == {"rejected": 1}


@pytest.mark.parametrize("genuine", [True, False])
def test_what_is_too_large_is_cut_until_it_is_taken(genuine: bool) -> None:
    taken: dict[tuple[str, int], wire.Push] = {}

    def send(body: bytes, timeout: float) -> Answer:
        push = decoded(body)
        if len(push.minute) > 3:
            return Answer(413, genuine=genuine)
        taken[push.agent, push.sequence] = push
        return Answer(200)

    recorder = Recorder(extractor, Faults())
    exporter = Exporter(recorder, send, columns, Faults())
    for number in range(50):
        recorder.record(Request(QUERY, None, None, "", str(number), 200, False, None, 0))
    while exporter.acknowledged < 50:
        exporter.step()
    assert sum(sum(push.requests) for push in taken.values()) == 50
    assert recorder.counts().lost == {}
    assert_numbered(taken)


def test_a_single_tally_is_cut_from_the_schema_that_makes_it_too_large() -> None:
    taken: list[wire.Push] = []

    def send(body: bytes, timeout: float) -> Answer:
        push = decoded(body)
        if push.schemas:
            return Answer(413)
        taken.append(push)
        return Answer(200)

    recorder = Recorder(extractor, Faults())
    exporter = Exporter(recorder, send, columns, Faults())
    recorder.record(Request(QUERY, None, None, "", "", 200, False, None, 0))
    for _ in range(4):
        exporter.step()
    assert [push.requests for push in taken] == [[1]]
    assert recorder.counts().lost == {}


def test_what_may_have_been_taken_is_not_cut_and_never_counts_twice() -> None:
    answers = iter([None, Answer(413, genuine=False), Answer(413, genuine=False), Answer(200)])
    bodies: list[bytes] = []

    def send(body: bytes, timeout: float) -> Answer:
        bodies.append(body)
        answer = next(answers)
        if answer is None:
            raise RetryLater("cut")
        return answer

    recorder = Recorder(extractor, Faults())
    exporter = Exporter(recorder, send, columns, Faults())
    for number in range(4):
        recorder.record(Request(QUERY, None, None, "", str(number), 200, False, None, 0))
    for _ in range(4):
        exporter.step()
    assert len(set(bodies)) == 1
    assert exporter.acknowledged == 4


def test_a_collector_can_widen_the_interval_but_never_narrow_it() -> None:
    answers = [Answer(200, interval=60.0), Answer(200, interval=0.1), Answer(200), Answer(200, interval=1e9)]
    recorder = Recorder(extractor, Faults())
    exporter = Exporter(recorder, lambda *_: answers.pop(0), columns, Faults(), interval=5)
    pauses = []
    while answers:
        recorder.record(Request(QUERY, None, None, "", "", 200, False, None, 0))
        pauses.append(exporter.step())
    for pause, interval in zip(pauses, (60, 5, 5, 3600), strict=True):
        assert 0.8 * interval <= pause <= 1.2 * interval


@pytest.mark.parametrize("bounds", [Bounds(tallies=7), Bounds(body=3_000)])
def test_what_exceeds_the_size_of_a_report_goes_into_the_next_ones_at_once(
    collector: FakeCollector, bounds: Bounds
) -> None:
    reporter = Reporter(schema(), collector.url, "token", interval=60, bounds=bounds)
    for number in range(50):
        reporter.record(QUERY, client_version=str(number))
    assert reporter.close()
    assert collector.requests() == 50
    assert len(collector.pushes) >= 50 // 20
    for push in collector.pushes.values():
        assert len(push.minute) <= 1 or len(push.minute) <= bounds.tallies
        assert len(push.minute) <= 1 or len(wire.encode(push)) <= bounds.body
    assert sum(len(push.shapes) for push in collector.pushes.values()) == 1


def test_no_value_of_a_variable_or_literal_leaves_and_neither_does_the_token(
    collector: FakeCollector, reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    collector.faults.extend([400, 503])
    document = 'query S($id: ID, $role: Role) { user(id: $id, role: $role) { id } other: user(id: "hunter2") { id } }'
    errors = [{"message": "hunter2", "path": ["user", "hunter2", "id"], "extensions": {"hunter2": "hunter2"}}]
    errors += [GraphQLError("hunter2", path=["other", 1, "id"], original_error=ValueError("hunter2"))]  # type: ignore[list-item]
    for variables in ({"id": "hunter2"}, {"id": ["hunter2"]}, {"role": "hunter2"}, {"hunter2": {"x": "hunter2"}}):
        reporter.record(document, "S", variables, errors=errors)
        reporter.record('query { user(id: "hunter2") { hunter', None, variables)
        reporter.flush(2)
    assert sent(collector)
    for body in collector.bodies:
        plain = gzip.decompress(body)
        assert b"hunter2" not in plain
        assert b"token" not in plain
    coordinates = [at for push in sent(collector) if push.executions for at in push.executions.coordinate]
    assert {"User.id", ""} == set(coordinates)
    assert "hunter2" not in caplog.text
    assert "token" not in caplog.text


def test_without_a_url_or_token_it_says_so_once_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("FOREBAY_URL", raising=False)
    monkeypatch.setenv("FOREBAY_TOKEN", "")
    reporter = Reporter(schema())
    reporter.record(QUERY)
    assert reporter.flush()
    assert reporter.close()
    assert reporter.status() == {"enabled": False}
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("url", "token"), [("ftp://x", "t"), ("file:///etc/passwd", "t"), ("http://x", "a\nb")])
def test_an_impossible_address_or_token_disables_it(url: str, token: str) -> None:
    assert Reporter(schema(), url, token).status() == {"enabled": False}


def test_an_invalid_schema_or_a_broken_sdl_never_raises_into_the_host(collector: FakeCollector) -> None:
    def broken() -> str:
        raise RuntimeError("no SDL")

    reporter = Reporter(GraphQLSchema(), collector.url, "token", sdl=broken, interval=0.02, bounds=QUICK)
    reporter.record(QUERY)
    assert reporter.close(2)
    status = reporter.status()
    assert status["pending"] == 0
    assert status["faults"]["analysis"] == status["faults"]["schema"] == 1
    assert [shape.coverage for shape in collector.shapes.values()] == [[]]


def test_a_flush_that_cannot_succeed_gives_up_in_time(collector: FakeCollector, reporter: Reporter) -> None:
    collector.faults.extend([503] * 10_000)
    reporter.record(QUERY)
    began = time.monotonic()
    assert not reporter.flush(0.3)
    assert time.monotonic() - began < 1
    assert reporter.status()["pending"] == 1
    collector.faults.clear()


def test_once_closed_nothing_counts_and_nothing_waits(collector: FakeCollector, reporter: Reporter) -> None:
    reporter.record(QUERY)
    assert reporter.close()
    reporter.record(QUERY)
    began = time.monotonic()
    assert reporter.close()
    assert reporter.flush()
    assert time.monotonic() - began < 1
    assert collector.requests() == reporter.status()["recorded"] == 1


def test_the_end_of_a_process_waits_for_the_last_report(collector: FakeCollector) -> None:
    program = f"""
from graphql import build_schema
from forebay.agent.reporter import Reporter
reporter = Reporter(build_schema({SDL!r}), {collector.url!r}, "token", interval=60)
reporter.record({QUERY!r})
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=20)
    assert collector.usage() == {("", "", "Q", False): 1}


@pytest.mark.filterwarnings("ignore:.*fork")  # from Python 3.12 on: threads are running
def test_a_forked_child_reports_its_own_requests_only(collector: FakeCollector) -> None:
    reporter = Reporter(schema(), collector.url, "token", interval=60)
    for _ in range(3):
        reporter.record(QUERY, client="parent")
    child = os.fork()
    if child == 0:
        reporter.record(QUERY, client="child")
        os._exit(0 if reporter.close() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert reporter.close()
    assert collector.usage() == {("parent", "", "Q", False): 3, ("child", "", "Q", False): 1}
    assert len({agent for agent, _ in collector.pushes}) == 2
