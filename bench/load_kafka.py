"""The same as `load`, from a real Kafka: the loader's rate over that of the slower half of its work.

`read` is librdkafka's consumer by itself, `consume` of 10,000 messages with auto commit off, and
`core.record.decode`.  The topic has one partition.  The broker is another process; its CPU is in no
figure.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from kafka.broker import Broker

from forebay.core.record import TALLIES
from forebay.journal.kafka import KafkaJournal
from forebay.settings import KafkaSettings

from .load import REPORTS, ROUTERS, compare
from .result import Result


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        broker = Broker(Path(directory) / "kafka")
        try:
            broker.create(TALLIES)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                yield from pool.apply(measure, (Path(directory), broker.settings()))
        finally:
            broker.cluster.remove()


def measure(directory: Path, settings: KafkaSettings) -> list[Result]:
    """In a process of its own."""
    journal = KafkaJournal(settings, [TALLIES])
    reader = Consumer(
        {
            "bootstrap.servers": settings.brokers,
            "group.id": "raw",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
        }
    )

    def reads() -> Iterator[list[bytes]]:
        reader.assign([TopicPartition(TALLIES, 0, 0)])
        left = ROUTERS * REPORTS
        while left:
            values = [message.value() or b"" for message in reader.consume(10_000, 0.1)]
            left -= len(values)
            yield values
        reader.unassign()

    results = compare("load_kafka", directory, journal, reads)
    reader.close()
    journal.close()
    return results
