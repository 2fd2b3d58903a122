"""What all of Forebay's Kafka clients share: how they connect, how records are taken, and what errors mean.

Kafka's errors are mapped here and nowhere else.
"""

from __future__ import annotations

import json
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import Message as Arrived
from confluent_kafka.admin import AdminClient

from ..errors import RetryLater, Stop
from ..settings import KafkaSettings
from .port import Fetched

UNAVAILABLE = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
    }
)
"""Nobody has answered: the outcome of what was asked is unknown, and asking again is right."""

ABSENT = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART})
"""Said by a broker.  `_UNKNOWN_PARTITION` and `_NOENT` are the client's word for "no leader that I know of"."""

REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._FATAL,
        KafkaError._INVALID_ARG,
        KafkaError._SSL,
        KafkaError._UNSUPPORTED_FEATURE,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_VERSION,
    }
)
"""Somebody has to change something first."""


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """What every client of the cluster is configured with.  Stop if the options are no JSON object."""
    try:
        options = json.loads(settings.options)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise Stop('FOREBAY_KAFKA_OPTIONS must be a JSON object, such as {"security.protocol": "SSL"}')
    # Its own lines on standard error would say beside ours, again and again, what ours say.
    return {"client.id": "forebay", "log_level": 2, **options, "bootstrap.servers": settings.brokers}


class Admin(AdminClient):
    """Remembers what it last heard of its connections: the reason behind a question that timed out."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._heard = ""
        told: dict[str, Any] = {**config, "error_cb": self._hear}
        super().__init__(told)

    @property
    def heard(self) -> str:
        """Empty if it has heard of nothing bad."""
        self.poll(0)
        return self._heard

    def _hear(self, error: KafkaError) -> None:
        if not self._heard or error.code() != KafkaError._ALL_BROKERS_DOWN:  # which follows upon each reason
            self._heard = error.str()


def arrived(client: Consumer, most: int, timeout: float) -> list[Arrived[bytes, bytes]]:
    """What is there, at once; else the first to come within `timeout` seconds.  `consume` alone would wait it out."""
    first = client.poll(timeout)
    return [first, *client.consume(most - 1, 0)] if first else []


def fetched(message: Arrived[bytes, bytes]) -> Fetched:
    """Headers are never looked at: they would cost half the rate."""
    offset = message.offset()
    assert offset is not None  # only an error lacks it
    return Fetched(offset, message.timestamp()[1], message.value() or b"")


def mapped(exc: KafkaException, doing: str, heard: str = "") -> RetryLater | Stop:
    """Our error for a vendor's; `doing` completes the sentence "Kafka refused to …"."""
    error = exc.args[0]
    if not isinstance(error, KafkaError):
        return Stop(f"Kafka refused to {doing}: {exc}")
    return meaning(error, doing, heard)


def meaning(error: KafkaError, doing: str, heard: str = "") -> RetryLater | Stop:
    """The same for an error that came as a value."""
    if error.code() in ABSENT:
        return Stop(f"Kafka refused to {doing}: there is no such topic; create the topics first")
    if error.fatal() or error.code() in REFUSED:
        return Stop(f"Kafka refused to {doing}: {error.str()}")
    because = f" ({heard})" if heard and error.code() in UNAVAILABLE else ""
    return RetryLater(f"Kafka could not {doing}: {error.str()}{because}")
