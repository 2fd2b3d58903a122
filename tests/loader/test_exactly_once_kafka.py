"""From a real Kafka to the store every count lands once: killed at each step, and while partitions move."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from kafka.broker import Broker
from killed import LOADER_STEPS, Killed, kill_at
from loader.ailing_store import Ailing
from reports import message, report

from forebay.core.intent import word_in
from forebay.core.record import TALLIES
from forebay.errors import RetryLater
from forebay.journal.kafka import KafkaJournal
from forebay.journal.kafka_consumer import KafkaConsumer
from forebay.journal.port import Message
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.steps import on_step
from forebay.store.port import Store

REPORTS = 30
WITHIN = 30.0


@dataclass
class Log:
    """The topic of tallies with its journal; loaders on it are members of one group."""

    journal: KafkaJournal
    group: str
    consumers: list[KafkaConsumer] = field(default_factory=list)

    def append(self, org: str, agent: str, sequences: range) -> None:
        now = int(time.time() * 1000)
        for sequence in sequences:
            record = report(org, agent, sequence, requests=sequence, received=now)
            self.journal.append([Message(TALLIES, agent, message(record).value)]).result(timeout=30)

    def loader(self, store: Store) -> Loader:
        """The last of `consumers` is its."""
        self.consumers.append(self.journal.consumer(self.group, [TALLIES]))
        return Loader(self.consumers[-1], store, "kafka", Pace(batch_bytes=3_000), time.monotonic)

    def loaded(self) -> bool:
        """Is everything that is there confirmed?"""
        for partition in self.journal.partitions(TALLIES):
            committed = self.journal.committed(self.group, partition)
            if (committed.offset if committed else 0) < self.journal.bounds(partition).high:
                return False
        return True

    def load(self, *loaders: Loader) -> None:
        until = time.monotonic() + WITHIN
        while not self.loaded():
            assert time.monotonic() < until
            for loader in loaders:
                with contextlib.suppress(
                    RetryLater
                ):  # as `run_for` does: a member asks again while its group rebalances
                    loader.step(final=True)

    def close(self) -> None:
        for consumer in self.consumers:
            consumer.close()
        self.journal.close()


@pytest.fixture(params=["consumer", "classic"])
def log(broker: Broker, request: pytest.FixtureRequest) -> Iterator[Log]:
    broker.create(TALLIES, partitions=3)
    log = Log(KafkaJournal(broker.settings(protocol=request.param), [TALLIES]), broker.name("loaders"))
    yield log
    on_step(None)
    log.close()
    broker.delete(TALLIES)


def landed(store: Store, org: str) -> set[int]:
    """What each table says of an organisation's requests."""
    return {
        store.query(f"SELECT sum(requests) AS n FROM {table} WHERE org = {{org:String}}", {"org": org})[0]["n"]
        for table in ("traffic", "ledger")
    }


def test_killed_at_each_step_the_next_loader_goes_on_exactly(store: Store, log: Log) -> None:
    org = f"killed-{log.group}"
    for number, step in enumerate(LOADER_STEPS):
        log.append(org, f"agent-{number}", range(1, REPORTS + 1))
        loader = log.loader(store)
        kill_at(step)
        with pytest.raises(Killed):
            log.load(loader)
        on_step(None)
        log.consumers[-1].close()
    log.load(log.loader(store))
    assert landed(store, org) == {len(LOADER_STEPS) * sum(range(1, REPORTS + 1))}


@pytest.mark.parametrize("failures", [0, 12])
def test_while_partitions_move_between_loaders_nothing_is_lost_or_doubled(
    store: Store, log: Log, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while inserts fail, and loaders make their commits again at each step to say so."""
    monkeypatch.setattr("forebay.loader.loop.SAY_EVERY", 0.0)
    store = Ailing(store, [""] * 20 + ["out_of_memory"] * failures)
    org = f"moving-{log.group}"
    troubles = set()
    agents = [f"agent-{number}" for number in range(6)]
    loaders = [log.loader(store)]
    steps = itertools.cycle(LOADER_STEPS)
    rounds = 60
    for number in range(1, rounds + 1):
        for agent in agents:
            log.append(org, agent, range(number, number + 1))
        if number in (10, 20):
            loaders.append(log.loader(store))
        if number % 12 == 0:
            kill_at(next(steps))
        for place, loader in enumerate(loaders):
            try:
                loader.step(final=True)
            except RetryLater:
                pass
            except Killed:
                on_step(None)
                log.consumers[place].close()
                loaders[place] = log.loader(store)
                log.consumers[place] = log.consumers.pop()
        commits = [log.journal.committed(log.group, where) for where in log.journal.partitions(TALLIES)]
        troubles |= {word.trouble for commit in commits if commit and (word := word_in(commit.metadata))}
        time.sleep(0.03)
    on_step(None)
    log.load(*loaders)
    assert ("out_of_memory" in troubles) == bool(failures)
    assert landed(store, org) == {len(agents) * sum(range(1, rounds + 1))}


def test_a_loader_whose_commits_have_vanished_finds_its_place_in_the_ledger(
    store: Store, log: Log, broker: Broker
) -> None:
    org = f"vanished-{log.group}"
    log.append(org, "a", range(1, 4))
    log.load(log.loader(store))
    log.consumers[-1].close()
    broker.admin.delete_consumer_groups([log.group])[log.group].result()
    log.append(org, "a", range(4, 6))
    log.load(log.loader(store))
    assert landed(store, org) == {sum(range(1, 6))}


def test_what_retention_took_unread_is_counted_exactly_and_the_rest_is_loaded(
    store: Store, log: Log, broker: Broker
) -> None:
    org = f"overtaken-{log.group}"
    log.append(org, "a", range(1, 4))
    log.load(log.loader(store))
    log.consumers[-1].close()
    log.append(org, "a", range(4, 9))
    [number] = [where.number for where in log.journal.partitions(TALLIES) if log.journal.bounds(where).high]
    broker.trim(TALLIES, 5, number)
    log.load(log.loader(store))
    [row] = store.query(
        "SELECT sum(lost_records) AS lost FROM ledger WHERE topic_id = {t:String}",
        {"t": log.journal.topic_id(TALLIES)},
    )
    assert row["lost"] == 2
    assert landed(store, org) == {sum((1, 2, 3, 6, 7, 8))}
