"""However recording, sealing, sending, refusing, coarsening, saving and dying interleave, Σ requests is kept."""

from __future__ import annotations

import resource
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fake_collector import decoded
from graphql import build_schema
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.agent.exporter import Bounds, Exporter
from forebay.agent.extract import Extractor
from forebay.agent.faults import Faults
from forebay.agent.outcomes import Sample
from forebay.agent.post import Answer
from forebay.agent.recorder import Limits, Recorder, Request
from forebay.agent.sealed import Sealed
from forebay.agent.spool import Spool, _read
from forebay.core import wire
from forebay.core.record import SchemaColumns
from forebay.core.shape import content_hash
from forebay.errors import RetryLater

SDL = "type Query { user(id: ID): User } type User { id: ID email: String }"
FULL = 10
"""Bytes that a file may have on a full disk."""

ANSWERS = ["ack", "reject", "too-large", "rubbish", "busy", "unsent", "cut", "cut-after"]

extractor = cache(lambda: Extractor(build_schema(SDL)))
columns = cache(lambda: SchemaColumns(id=content_hash(SDL.encode()), sdl=SDL))

steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)),
        st.sampled_from([("analyse",), ("coarsen",), ("save",), ("die",), ("leave",), ("full",), ("free",)]),
        st.tuples(st.just("step"), st.sampled_from(ANSWERS)),
    ),
    min_size=15,
    max_size=80,
)


class Life:
    """Processes that follow each other, and a collector that knows what it took."""

    def __init__(self, directory: Path | None, tallies: int, memory: int) -> None:
        self._directory = directory
        self._limits = Limits(queued=3, memory=memory, variants=2, operations=2, executions=2)
        self._bounds = Bounds(tallies=tallies, body=2_000, patience=10**6)
        self.taken: dict[tuple[str, int], wire.Push] = {}
        self.answer = "ack"
        self.full = False  # the disk was, since the process began
        self.recorded = self.failed = self.gone = 0
        self.begin()

    def begin(self) -> None:
        self.full = self.full and resource.getrlimit(resource.RLIMIT_FSIZE)[0] == FULL
        self.recorder = Recorder(extractor, Faults(), limits=self._limits)
        self.spool = Spool(self._directory, 10**9) if self._directory else None
        self.exporter = Exporter(self.recorder, self.send, columns, Faults(), bounds=self._bounds, spool=self.spool)

    def send(self, body: bytes, timeout: float) -> Answer:
        push = decoded(body)
        number = push.agent, push.sequence
        match self.answer:
            case "ack" | "cut-after":
                assert self.taken.setdefault(number, push) == push
            case "reject" if number in self.taken:  # the same bytes as before, and the same judgement
                return Answer(200)
            case "unsent":
                raise RetryLater("refused", unsent=True)
        if self.answer.startswith("cut"):
            raise RetryLater("cut")
        status = {"ack": 200, "reject": 400, "too-large": 413, "rubbish": 200, "busy": 503}[self.answer]
        return Answer(status, genuine=self.answer in ("ack", "reject"))

    def record(self, operation: int, client: int, errors: int) -> None:
        source = f"query Q{operation}($id: ID) {{ user(id: $id) {{ id }} }}"
        variables = {"id": "1"} if client else {}
        at = {("user", "id"): errors, ("nowhere",): errors} if errors else {}
        seen = Sample(7)
        seen.add("User", "id", 0.1, failed=bool(errors))
        who = f"c{client}", str(client)
        self.recorder.record(Request(source, None, variables, *who, 200, at, 0.1, client * 60, executions=seen))
        self.recorded += 1
        self.failed += 2 * errors

    def die(self, file: Path | None = None) -> None:
        """By SIGKILL: what the disk does not have is gone."""
        file = file or (self.spool._path if self.spool else None)
        held = self.pending()
        unsealed = held - self.untaken(self.exporter._reports)
        if self.spool is not None and file is not None:
            held -= self.untaken(_read(file.read_bytes()))
            self.spool.forget()
        assert held >= 0
        assert self.spool is None or self.full or held <= unsealed
        self.gone += held
        self.begin()

    def leave(self) -> None:
        """At the end of a process: nothing is gone, unless the disk was full."""
        if self.spool is not None:
            file = self.spool._path
            if self.exporter.leave(1):
                self.begin()
            else:
                assert self.full
                self.die(file)

    def pending(self) -> int:
        """Requests, and losses of which nobody was told."""
        untold = sum(self.recorder._lost.values())
        return self.recorder.counts().waiting + untold + self.untaken(self.exporter._reports)

    def untaken(self, reports: Sequence[Sealed]) -> int:
        left = (report for report in reports if (report.agent, report.sequence) not in self.taken)
        return sum(report.requests + sum(report.lost.values()) for report in left)

    def told(self) -> Counter[str]:
        lost: Counter[str] = Counter()
        for push in self.taken.values():
            lost.update(push.lost)
        return lost


def limit(size: int) -> None:
    """Of every file that this process writes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def through(life: Life, steps: list[tuple[Any, ...]]) -> None:
    for name, *arguments in [*steps, ("free",), *[("step", "ack")] * 200]:
        if name == "record":
            life.record(*arguments)
        elif name == "analyse":
            life.recorder.analyse()
        elif name == "coarsen" and life.recorder._level < 3:
            life.recorder._coarsen()
        elif name == "save":
            life.exporter._save()
        elif name == "die":
            life.die()
        elif name == "leave":
            life.leave()
        elif name == "free" or (name == "full" and life.spool is not None):
            life.full |= name == "full"
            limit(FULL if name == "full" else resource.RLIM_INFINITY)
        elif name == "step":
            life.answer = arguments[0]
            life.exporter._adopt_due = 0
            life.exporter.step()
        counts = life.recorder.counts()
        waiting = counts.waiting + life.exporter.unacknowledged()
        assert counts.recorded == life.exporter.acknowledged + waiting + sum(counts.lost.values())


def assert_kept(life: Life, steps: list[tuple[Any, ...]]) -> None:
    requests = sum(sum(push.requests) for push in life.taken.values())
    assert requests + life.told().total() + life.gone == life.recorded
    if requests == life.recorded:  # then so are errors by field, and executions
        outcomes = [row for push in life.taken.values() if push.executions for _, row in push.executions.rows()]
        assert sum(outcome.errors for outcome in outcomes) == life.failed
        assert sum(outcome.sampled for outcome in outcomes) == life.recorded
        assert sum(outcome.executions for outcome in outcomes) == 7 * life.recorded
        assert sum(sum(outcome.duration.values()) for outcome in outcomes) == 7 * life.recorded
    numbers: dict[str, list[int]] = {}
    for agent, sequence in life.taken:
        numbers.setdefault(agent, []).append(sequence)
    assert all(sorted(held) == list(range(1, len(held) + 1)) for held in numbers.values())
    if ("step", "too-large") not in steps:  # a shape that was cut from its tally may be refused alone
        shapes = {shape.id for push in life.taken.values() for shape in push.shapes}
        assert all(set(push.shape) <= shapes for push in life.taken.values())


@settings(deadline=None, max_examples=150)
@given(steps, st.integers(1, 5), st.integers(1, 4000))
def test_however_steps_interleave_every_request_is_taken_told_as_lost_or_died_with_its_process(
    steps: list[tuple[Any, ...]], tallies: int, memory: int
) -> None:
    life = Life(None, tallies, memory)
    through(life, steps)
    assert_kept(life, steps)


@settings(deadline=None, max_examples=100)
@given(steps, st.integers(1, 5), st.integers(1, 4000))
def test_with_a_spool_what_was_saved_outlives_its_process_and_counts_once(
    steps: list[tuple[Any, ...]], tallies: int, memory: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        life = Life(Path(directory), tallies, memory)
        try:
            through(life, steps)
        finally:
            limit(resource.RLIM_INFINITY)
        assert_kept(life, steps)
        assert not list(Path(directory).iterdir())
