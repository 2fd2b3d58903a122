"""The spill before a journal that ails: acknowledged is durable, order is kept, and it comes to an end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from collector.ailing import LARGE, MOODS, Ailing
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kafka.broker import Broker

from forebay.collector.drain import BATCH_BYTES, WINDOW_BYTES
from forebay.collector.spill import Mode, Spill
from forebay.errors import RetryLater, Stop
from forebay.journal.kafka import KafkaJournal
from forebay.journal.port import Message, Partition
from forebay.journal.sqlite import SqliteJournal

TOPIC = "letters"
AFTER = 0.2


@dataclass(slots=True)
class Bay:
    """A journal in whatever mood a test puts it, and a spill before it."""

    folder: Path
    mood: str = "well"
    after: float = AFTER
    options: dict[str, Any] = field(default_factory=dict)
    journal: SqliteJournal = field(init=False)
    ailing: Ailing = field(init=False)
    spill: Spill = field(init=False)

    def __post_init__(self) -> None:
        self.journal = SqliteJournal(self.folder / "journal.sqlite3", [TOPIC])
        self.ailing = Ailing(self.journal, lambda: self.mood, delay=AFTER / 2)
        self.start()

    def start(self) -> None:
        self.spill = Spill(self.ailing, self.folder / "spill", self.after, **self.options)

    def append(self, *numbers: int, size: int = 0) -> list[Future[None]]:
        """One append per number, none waited for."""
        return [self.spill.append([Message(TOPIC, "k", b"%d %s" % (number, b"x" * size))]) for number in numbers]

    def acknowledged(self, *numbers: int, **options: int) -> None:
        """Appended one after the other, each once the one before is acknowledged."""
        for number in numbers:
            self.append(number, **options)[0].result(timeout=30)

    def settle(self, within: float = 30) -> None:
        """Wait until all is in the journal and appends go there again."""
        deadline = time.monotonic() + within
        while self.spill.mode is not Mode.DIRECT:
            assert time.monotonic() < deadline, "the spill does not come to an end"
            time.sleep(0.005)

    def stored(self) -> list[int]:
        """Numbers in the order in which the journal has them, each where it came first."""
        partition, numbers, first = Partition(TOPIC, 0), [], 0
        while records := self.journal.read(partition, first, 10_000):
            numbers += [int(record.value.split()[0]) for record in records]
            first = records[-1].offset + 1
        return list(dict.fromkeys(numbers))

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "spill").iterdir() if path.name != "lock")

    def close(self) -> None:
        self.spill.close(within=0)
        self.journal.close()


@pytest.fixture
def bay(tmp_path: Path) -> Iterator[Bay]:
    bay = Bay(tmp_path)
    yield bay
    bay.close()


def test_while_the_journal_works_nothing_touches_the_disk(tmp_path: Path) -> None:
    bay = Bay(tmp_path, after=30)
    wait(bay.append(*range(1000)))
    assert bay.stored() == list(range(1000))
    assert bay.files() == []
    assert bay.spill.mode is Mode.DIRECT
    bay.close()


@pytest.mark.parametrize("mood", [mood for mood in MOODS if mood not in ("well", "slow")])
def test_reports_are_acknowledged_while_the_journal_ails_and_follow_in_order_when_it_is_well(
    bay: Bay, mood: str
) -> None:
    bay.acknowledged(*range(10))
    bay.mood = mood
    before = time.monotonic()
    bay.acknowledged(10)
    assert time.monotonic() - before < AFTER + 2
    bay.acknowledged(*range(11, 60))
    assert bay.files() != []
    time.sleep(AFTER)
    bay.mood = "well"
    bay.acknowledged(*range(60, 80))
    bay.settle()
    bay.acknowledged(*range(80, 90))
    assert bay.stored() == list(range(90))
    assert bay.files() == []


def test_a_journal_that_is_merely_slow_is_waited_for(tmp_path: Path) -> None:
    bay = Bay(tmp_path, mood="slow", after=30)
    bay.acknowledged(*range(3))
    assert bay.files() == []
    bay.close()


def test_what_was_spilled_goes_ahead_of_what_comes_after_it(bay: Bay) -> None:
    bay.mood = "away"
    wait(bay.append(*range(2000)))
    bay.mood = "well"
    futures = bay.append(*range(2000, 4000))
    bay.settle()
    futures += bay.append(*range(4000, 4100))
    assert all(future.result(timeout=30) is None for future in futures)
    assert bay.stored()[-2100:] == list(range(2000, 4100))
    assert set(bay.stored()) == set(range(4100))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(st.tuples(st.sampled_from(MOODS), st.integers(1, 40), st.booleans()), min_size=1, max_size=8))
def test_whatever_the_journal_goes_through_every_acknowledged_report_is_in_it_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[str, int, bool]]
) -> None:
    bay = Bay(tmp_path_factory.mktemp("bay"), options={"segment_bytes": 500})
    number, futures = 0, []
    for mood, count, restart in story:
        bay.mood = mood
        futures += bay.append(*range(number, number + count))
        number += count
        time.sleep(AFTER / 4)
        if restart:
            bay.spill.close(within=0)
            bay.start()
    wait(futures, timeout=30)
    acknowledged = {n for n, future in enumerate(futures) if future.exception(timeout=0) is None}
    bay.spill.close(within=0)
    bay.mood = "well"
    bay.start()
    bay.settle()
    assert acknowledged == set(range(number)), "the disk had room for all"
    assert set(bay.stored()) == acknowledged
    assert bay.files() == []
    bay.close()


def test_what_is_left_is_told_at_the_end_and_drained_by_the_next_process(tmp_path: Path) -> None:
    bay = Bay(tmp_path, mood="away", options={"segment_bytes": 5_000})
    bay.acknowledged(*range(100), size=500)
    left = bay.spill.close(within=0.1)
    assert (left.records, left.directory) == (100, tmp_path / "spill")
    assert left.bytes == sum(path.stat().st_size for path in (tmp_path / "spill").glob("*.spill"))
    with pytest.raises(RetryLater, match="shutting down"):
        bay.append(100)[0].result()
    bay.mood = "well"
    bay.start()
    bay.acknowledged(100)
    bay.settle()
    assert bay.stored() == list(range(101))
    assert bay.spill.close().records == 0
    bay.close()


def test_closing_waits_for_the_journal_as_long_as_it_may(tmp_path: Path) -> None:
    bay = Bay(tmp_path, mood="away")
    bay.acknowledged(*range(50))
    threading.Timer(0.3, setattr, (bay, "mood", "well")).start()
    assert bay.spill.close(within=20).records == 0
    assert bay.stored() == list(range(50))
    assert bay.files() == []
    bay.close()


@pytest.mark.parametrize("mood", ["away", "unknown", "mute"])
def test_under_constant_load_from_many_threads_it_switches_back_and_loses_nothing(tmp_path: Path, mood: str) -> None:
    """Some 4,000 a second without a pause, so there is no moment at which the spill is empty by itself."""
    bay = Bay(tmp_path, options={"segment_bytes": 2**18})
    stopping = threading.Event()
    kept: list[list[int]] = [[] for _ in range(4)]

    def load(thread: int) -> None:
        number, futures = thread * 10**6, dict[int, Future[None]]()
        while not stopping.wait(0.025):
            futures |= {
                number + n: future for n, future in enumerate(bay.append(*range(number, number + 25), size=300))
            }
            number += 25
        kept[thread] += [n for n, future in futures.items() if future.result(timeout=30) is None]

    threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    bay.mood = mood
    time.sleep(1.5)
    assert bay.spill.mode is Mode.SPILLING
    bay.mood = "well"
    bay.settle(within=60)
    time.sleep(0.5)
    stopping.set()
    for thread in threads:
        thread.join()
    bay.settle()
    stored = bay.stored()
    assert set(stored) == {number for numbers in kept for number in numbers}
    assert len(stored) > 4_000
    bay.close()


def test_a_full_spill_refuses_with_a_reason_and_takes_again_when_it_is_drained(tmp_path: Path) -> None:
    bay = Bay(tmp_path, mood="away", options={"segment_bytes": 3_000, "total_bytes": 10_000})
    futures = bay.append(*range(30), size=900)
    refusals = {n: exc for n, future in enumerate(futures) if (exc := future.exception(timeout=30))}
    assert len(refusals) == 20
    for exc in refusals.values():
        assert isinstance(exc, RetryLater)
        assert (exc.reason, exc.retry_after) == ("spill_full", 10)
    bay.mood = "well"
    bay.settle()
    bay.acknowledged(*sorted(refusals))
    assert set(bay.stored()) == set(range(30))
    bay.close()


def test_a_damaged_record_is_counted_and_put_aside_and_its_neighbours_go_on(tmp_path: Path) -> None:
    bay = Bay(tmp_path, mood="away")
    bay.acknowledged(*range(20))
    bay.spill.close(within=0)
    [path] = (tmp_path / "spill").glob("*.spill")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    bay.mood = "well"
    bay.start()
    bay.settle()
    assert len(bay.stored()) == 19
    assert bay.files() == [path.with_suffix(".damaged").name]
    bay.close()


@pytest.mark.parametrize("mood", ["strict", "unsure"])
def test_what_the_journal_never_takes_is_put_aside_alone_and_tried_again_at_the_next_start(
    tmp_path: Path, mood: str
) -> None:
    bay = Bay(tmp_path, mood="away", options={"total_bytes": 20_000})
    for number in range(40):
        bay.acknowledged(number, size=3 * LARGE if number in (7, 8, 30) else 10)
    bay.mood = mood
    bay.settle()
    assert set(bay.stored()) == set(range(40)) - {7, 8, 30}
    [file] = bay.files()
    assert file.endswith(".refused")
    assert "refuses 3 reports" in bay.spill.trouble
    assert bay.spill.close(within=0).refused == 3
    bay.start()
    bay.settle()
    assert bay.files() == [file], "still refused"
    bay.spill.close(within=0)
    bay.mood = "well"
    bay.start()
    bay.settle()
    assert set(bay.stored()) == set(range(40))
    assert (bay.files(), bay.spill.trouble) == ([], "")
    bay.close()


def test_what_is_put_aside_counts_towards_the_spills_bound(tmp_path: Path) -> None:
    bay = Bay(tmp_path, mood="unsure", options={"total_bytes": 10_000})
    bay.acknowledged(0, 1, 2, size=3 * LARGE)
    bay.settle()
    [refused] = bay.append(3, size=3 * LARGE)
    exc = refused.exception(timeout=30)
    assert isinstance(exc, RetryLater)
    assert exc.reason == "spill_full"
    bay.acknowledged(4)
    bay.close()


def test_on_kafka_a_limit_that_was_lowered_holds_up_nothing_but_what_is_beyond_it(
    broker: Broker, tmp_path: Path
) -> None:
    topic = broker.topic("limited")
    journal = KafkaJournal(broker.settings(delivery=2.0), [topic])
    values = [
        b"%d %s" % (number, random.randbytes(20_000 if number == 5 else 10).hex().encode()) for number in range(12)
    ]

    def limit(size: int) -> None:
        entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        broker.admin.incremental_alter_configs([resource])[resource].result()

    def arrived(count: int) -> set[bytes]:
        deadline = time.monotonic() + 60
        while len(found := {each.value for each in journal.read(Partition(topic, 0), 0, 1_000)}) < count:
            assert time.monotonic() < deadline, len(found)
            time.sleep(0.1)
        return found

    limit(10_000)
    spill = Spill(journal, tmp_path / "spill", after=1)
    futures = [spill.append([Message(topic, "k", value)]) for value in values]
    assert [future.result(timeout=30) for future in futures] == [None] * 12
    assert arrived(11) == {value for value in values if len(value) < 10_000}
    assert spill.close().refused == 1
    limit(100_000)
    spill = Spill(journal, tmp_path / "spill", after=1)
    assert arrived(12) == set(values)
    assert (spill.close().refused, list((tmp_path / "spill").glob("*.refused"))) == (0, [])
    journal.close()


def test_draining_holds_no_more_than_its_window_in_memory(tmp_path: Path) -> None:
    bay = Bay(tmp_path, mood="away")
    size = 2**15
    wait(bay.append(*range(1000), size=size))
    bay.spill.close(within=0)
    bay.mood = "slow"
    bay.ailing.most_unanswered = 0
    bay.start()
    bay.acknowledged(1000)
    bay.settle()
    assert set(bay.stored()) == set(range(1001))
    assert WINDOW_BYTES / 2 < bay.ailing.most_unanswered <= WINDOW_BYTES + BATCH_BYTES + size
    bay.close()


def test_an_append_cannot_be_taken_back_and_other_errors_are_handed_on(bay: Bay) -> None:
    bay.mood = "mute"
    [future] = bay.append(1)
    assert not future.cancel()
    future.result(timeout=30)
    bay.mood = "well"
    bay.settle()
    with pytest.raises(ValueError, match="no such topic"):
        bay.spill.append([Message("nowhere", "k", b"")]).result(timeout=30)


def test_two_collectors_never_share_a_directory(bay: Bay) -> None:
    with pytest.raises(Stop, match="another collector"):
        Spill(bay.journal, bay.folder / "spill")


def test_a_flapping_journal_costs_nothing_but_repeats(bay: Bay) -> None:
    chance = random.Random(7)
    stopping = threading.Event()

    def flap() -> None:
        while not stopping.is_set():
            bay.mood = chance.choice(MOODS)
            stopping.wait(chance.uniform(0, 0.1))

    flapping = threading.Thread(target=flap)
    flapping.start()
    futures = []
    for number in range(3_000):
        futures += bay.append(number)
        if number % 50 == 0:
            time.sleep(0.02)
    done = wait(futures, timeout=60)
    stopping.set()
    flapping.join()
    bay.mood = "well"
    assert not done.not_done
    assert all(future.exception() is None for future in futures)
    bay.settle()
    assert set(bay.stored()) == set(range(3_000))
