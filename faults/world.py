"""All of a fleet as processes, with its links in our hands: what the faults befall.

Timeouts are shorter than by default, so that a fault is over within seconds: see `SHORTENED`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from front.control import Front
from front.faults import Kind
from kafka.broker import Broker
from kafka.local_kafka import free_ports

from forebay.core.record import TALLIES, TOPICS
from forebay.core.sequences import Sequences, from_text
from forebay.errors import RetryLater
from forebay.journal.kafka import KafkaJournal
from forebay.settings import KafkaSettings
from forebay.store.clickhouse import ClickHouse
from forebay.store.port import Origin
from forebay.wiring.fleet import PIPELINE

from .fault import Gone
from .fleet import Fleet, ask
from .link import OFFSET_COMMIT, PRODUCE, Link
from .load import Agent
from .member import Member, Mutation

ROUTERS = 24
PAUSE = 0.3
"""Seconds between a router's reports."""

SHORTENED = {
    "FOREBAY_KAFKA_DELIVERY": "2",  # 5 by default
    "FOREBAY_KAFKA_SESSION": "3",  # 45
    "FOREBAY_KAFKA_OPTIONS": json.dumps({"reconnect.backoff.max.ms": 500}),  # 10,000
    "FOREBAY_SPILL_AFTER": "1",  # 2
    "FOREBAY_SPILL_TOTAL_MIB": "1",  # 1,024
    "FOREBAY_LOADER_LINGER": "0.3",  # 0.5
    "FOREBAY_LOADER_RETRY": "0.5",  # 30
}
STORE_TIMEOUT = 3
"""Seconds that a loader waits for ClickHouse's answer; 60 by default."""

T = TypeVar("T")

WITHIN = 60.0
_publishing = httpx.Client(timeout=2)


class Site:
    """What a world stands on, and the next one again: Kafka with a link to each broker, ClickHouse's front."""

    def __init__(self, folder: Path, brokers: int) -> None:
        listens = free_ports(2 * brokers)
        self.folder = folder
        self.appends = [Link(port, PRODUCE).open() for port in listens[:brokers]]
        self.commits = [Link(port, OFFSET_COMMIT).open() for port in listens[brokers:]]
        links = {"COLLECTORS": self.appends, "LOADERS": self.commits}
        told = {name: [(link.target, link.port) for link in each] for name, each in links.items()}
        self.broker = Broker(folder / "kafka", brokers=brokers, links=told)
        self.front = Front(folder / "clickhouse")
        self.front.start()

    def remove(self) -> None:
        self.front.kill()
        self.broker.cluster.remove()


class World:
    """A fleet with its routers.  `protocol`: of the consumer group; `mutations`: by command, what its members do wrong.

    `database`: of its own, in ClickHouse.
    """

    def __init__(
        self, site: Site, database: str, protocol: str = "auto", mutations: dict[str, Mutation] | None = None
    ) -> None:
        self.appends, self.commits = site.appends, site.commits
        self.broker, self.kafka, self.front = site.broker, site.broker.cluster, site.front
        brokers = len(self.kafka.nodes())
        self.fleet = Fleet(site.folder / database, self.broker, self.front, database)
        dsn = self.front.dsn(database, send_receive_timeout=STORE_TIMEOUT)
        self.fleet.environment |= SHORTENED | {
            "FOREBAY_KAFKA_REPLICAS": str(brokers),
            "FOREBAY_KAFKA_IN_SYNC": str(min(brokers, 2)),
            "FOREBAY_KAFKA_PROTOCOL": protocol,
            "FOREBAY_STORE_DSN": dsn,
        }
        for command in (("topics", "apply"), ("migrate",)):
            done = self.fleet.run(*command)
            assert done.returncode == 0, done.stderr
        self._mutations = mutations or {}
        self.collectors = [self._member("collect", self.appends) for _ in range(2)]
        self.loaders = [self._member("load", self.commits) for _ in range(2)]
        self.spare = self._member("load", self.commits)  # joins and leaves
        self.spare.kill()
        patient = self.front.dsn(database)
        self.console = self.fleet.start("console", FOREBAY_STORE_DSN=patient)
        self.store = ClickHouse(patient)
        self.journal = self._journal()
        self.reports = [Link(collector.port).open() for collector in self.collectors]
        self.agents: list[Agent] = []
        self.poison = 0  # records that nobody can read, so far
        self.lost_records = 0  # that retention took, so far
        self.gone: Gone = {}  # what of the journal was taken unread, so far

    def begin(self, client: str) -> None:
        """Let the routers report."""
        for number in range(ROUTERS):
            self.router(f"Router{number}", client, PAUSE).start()

    def router(self, name: str, client: str, pause: float, tallies: int = 1) -> Agent:
        """One more; the caller starts it."""
        first, *others = [link.port for link in self.reports][:: 1 if len(self.agents) % 2 else -1]
        agent = Agent(name, first, self.fleet.token(), pause, tuple(others), 2, client, tallies)
        self.agents.append(agent)
        return agent

    def revive(self) -> None:
        """Start again who is dead: an order to die may have been obeyed while it was taken back."""
        for member in (*self.collectors, *self.loaders):
            if member.dead():
                member.start()

    def turn(self, client: str, following: str) -> Counter[str]:
        """What routers had acknowledged for `client`, all of it: they report for the following one now."""
        for agent in self.agents:
            agent.count_for(following)
        until(lambda: not any(agent.owes(client) for agent in self.agents), "every report to be acknowledged")
        return Counter({agent.name: agent.ledger[client] for agent in self.agents if agent.ledger[client]})

    def landed(self, client: str) -> Counter[str]:
        """What the product answers: requests of this client by operation, and each router has its own."""
        answer = self.ask(f"operations?client={client}&window=7d&limit=10000")
        return Counter({each["name"]: each["requests"] for each in answer["operations"]})

    def lost(self) -> Gone:
        """Of what was taken unread, what has not come another way either: it was sent more than once."""
        held: dict[str, Sequences] = {}
        for partition in answered(lambda: self.journal.partitions(TALLIES)) if self.gone else ():
            topic_id = answered(lambda: self.journal.topic_id(TALLIES))
            origin = Origin(PIPELINE, TALLIES, topic_id, partition.number)
            held |= {agent: from_text(seen.after) for (_, _, agent), seen in self.store.seen(origin).items()}
        return {
            (agent, number): requests
            for (agent, number), requests in self.gone.items()
            if not any(low <= number <= high for low, high in held.get(agent, ()))
        }

    def status(self) -> Any:
        return self.ask("status")

    def letters(self) -> int | None:
        """Dead letters, as the product says; None while its store can't tell."""
        listed = self.status()["dead_letters"]
        return None if listed is None else sum(letter["letters"] for letter in listed)

    def ask(self, question: str) -> Any:
        """An answer of the console, as soon as it has one."""
        answer: Any = None

        def answered() -> bool:
            nonlocal answer
            assert not self.console.dead(), "the console has died, and nobody killed it"
            answer = ask(self.console, question)
            return True

        until(answered, f"an answer to {question}")
        return answer

    def loaded(self) -> None:
        """Wait until nothing that is in the topics waits to be loaded."""
        until(lambda: self.status()["lag_records"] == 0, "the backlog to be loaded", every=0.2)

    def publish(self, number: int) -> None:
        """A schema of its own, past the links: something for the partitions that are mostly idle."""
        headers = {"authorization": f"Bearer {self.fleet.token()}"}
        for collector in self.collectors:
            body = {"sdl": f"type Query {{ load: Int published{number}: Int }}"}
            try:
                _publishing.post(f"{collector.url}/v1/schemas", json=body, headers=headers)
            except httpx.HTTPError:
                continue

    def fail_inserts(self, kind: Kind, value: float, times: int) -> None:
        """So many inserts fail in this way; returns when they have begun to."""
        self.front.fault(kind, value, times=times)
        until(lambda: not self.front.pending(), f"inserts to fail by {kind}")

    def hold_appends(self) -> None:
        """Kafka does not answer collectors, and they don't reach it."""
        for link in self.appends:
            link.hold()

    def release_appends(self) -> None:
        for link in self.appends:
            link.release()

    def spilled(self, collector: Member) -> int:
        """Bytes on the disk of a collector."""
        return sum(path.stat().st_size for path in (collector.data / "spill").glob("*.spill"))

    def recreate(self) -> None:
        """Delete the topic of reports with all that is in it, and create it again as it was."""
        self.broker.delete(TALLIES)
        until(lambda: TALLIES not in self.broker.admin.list_topics(timeout=10).topics, "the topic to be deleted")
        done = self.fleet.run("topics", "apply")
        assert done.returncode == 0, done.stderr
        # A producer that knew the former topic may ask the wrong broker, and takes twice its patience to notice.
        self.journal.close()
        self.journal = self._journal()

    def end(self) -> None:
        for agent in self.agents:
            agent.stopping.set()
        self.journal.close()
        self.store.close()
        self.fleet.end()

    def _journal(self) -> KafkaJournal:
        """The harness's own, past all links; it waits for as long as the broker may be away."""
        return KafkaJournal(KafkaSettings(brokers=self.broker.bootstrap, delivery=60), TOPICS)

    def _member(self, command: str, links: list[Link]) -> Member:
        brokers = ",".join(f"127.0.0.1:{link.port}" for link in links)
        return self.fleet.start(command, self._mutations.get(command), FOREBAY_KAFKA_BROKERS=brokers)


class Stuck(AssertionError):
    """What had to come did not come in time."""


def answered(question: Callable[[], T]) -> T:
    """The answer, as soon as there is one: whose leader is just being elected can't be asked."""
    found: list[T] = []

    def asked() -> bool:
        found.append(question())
        return True

    until(asked, "an answer")
    return found[0]


def until(done: Callable[[], object], what: str, within: float = WITHIN, every: float = 0.05) -> None:
    """Wait for it.  Who can't be asked at the moment is asked again."""
    deadline = time.monotonic() + within
    while True:
        try:
            if done():
                return
        except (httpx.HTTPError, RetryLater):
            pass
        if time.monotonic() > deadline:
            raise Stuck(f"{within:.0f} s were not enough for {what}")
        time.sleep(every)
