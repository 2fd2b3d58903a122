"""A member of a group in a process of its own, told by lines what to do, so that it can be stopped like any process.

    python -m kafka.member BROKERS PROTOCOL SESSION TOPIC

`poll` answers with what was dropped and assigned in half a second, `commit OFFSET METADATA` with what came of it.
"""

from __future__ import annotations

import sys

from forebay.errors import ForebayError
from forebay.journal.kafka import KafkaJournal
from forebay.journal.port import Partition
from forebay.settings import KafkaSettings


def main(brokers: str, protocol: str, session: str, topic: str) -> None:
    journal = KafkaJournal(KafkaSettings(brokers=brokers, protocol=protocol, session=float(session)), [topic])
    consumer = journal.consumer(topic, [topic])
    for line in sys.stdin:
        match line.split():
            case ["poll"]:
                polled = consumer.poll(0.5)
                print("dropped", len(polled.dropped), "assigned", len(polled.assigned), flush=True)
            case ["commit", offset, metadata]:
                try:
                    consumer.commit(Partition(topic, 0), int(offset), metadata)
                    print("done", flush=True)
                except ForebayError as exc:
                    print(type(exc).__name__, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
