"""Appends to Kafka: one idempotent producer, one thread that serves it, one future per append.

The messages of an append go topic by topic, in the order given: those of the next topic are
produced only when all of the former's are acknowledged by every in-sync replica, so that a
reader never finds what names something before what it names.  An append to one topic, which is
nearly every one, waits for nothing of the kind.

What is not acknowledged within `delivery` seconds fails, and then its outcome is *unknown*: the
messages may be in the log, even more than once.  Whoever tries again relies on the report's own
identity, not on the producer's.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from itertools import groupby
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivered

from ..errors import ForebayError, RejectRecord, RetryLater
from .port import TOO_LARGE, Message

FRAME = 2**16
"""Room between the largest message that is taken and the topic's limit, which is on the batch around it."""

BROKEN_FOR = 0.5
"""Seconds between two producers: what made one fail for good may well do so with the next."""

DEFAULTS = {"compression.type": "lz4", "linger.ms": 5}
PROMISES = {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random"}
"""Not to be overridden.  The partitioner is that of Java's clients: messages of one key meet, whoever wrote them."""

REASONS = {
    KafkaError.MSG_SIZE_TOO_LARGE: TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE: TOO_LARGE,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "forbidden",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "forbidden",
}


Place = tuple[str | None, int | None]
"""Topic and partition, as far as the client knows them."""


class _Append:
    """One append under way.  Counted down by the polling thread alone."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.done: Future[None] = Future()
        self.done.set_running_or_notify_cancel()  # who stops waiting can't take back what may be in the log
        self.runs = deque(list(run) for _, run in groupby(messages, key=lambda message: message.topic))
        self.unacknowledged = 0

    def fail(self, error: ForebayError) -> None:
        with suppress(InvalidStateError):  # the first reason counts; caller and polling thread may both have one
            self.done.set_exception(error)


class Appends:
    """Usable from any thread."""

    def __init__(self, connection: dict[str, Any], delivery: float, message_bytes: int) -> None:
        self._config = {
            **DEFAULTS,
            **connection,
            **PROMISES,
            "delivery.timeout.ms": int(delivery * 1000),
            "message.max.bytes": message_bytes - FRAME,
            "error_cb": self._on_error,
        }
        self._trouble = "not acknowledged in time"
        self._patience = 2 * delivery
        self._failing: dict[Place, float] = {}  # since when nothing is acknowledged there
        self._broken = False
        self._closing = threading.Event()
        self._producer = Producer(self._config)
        self._thread = threading.Thread(target=self._serve, name="journal-appends", daemon=True)
        self._thread.start()

    def append(self, messages: Sequence[Message]) -> Future[None]:
        """The future fails with RetryLater, or with RejectRecord for a message beyond the limit."""
        append = _Append(messages)
        if self._closing.is_set():
            append.fail(RetryLater("the journal is being closed"))
        else:
            self._produce_next(append)
        return append.done

    def close(self, within: float) -> None:
        """Wait so many seconds for what is under way; the rest fails as unknown."""
        self._closing.set()
        self._thread.join()
        self._give_up(self._producer, within)

    def _produce_next(self, append: _Append) -> None:
        """The next topic's messages: from the caller's thread at first, then from the polling thread."""
        if not append.runs:
            append.done.set_result(None)
            return
        run = append.runs.popleft()
        append.unacknowledged = len(run)

        def acknowledged(error: KafkaError | None, message: Delivered) -> None:
            self._broken |= self._stuck((message.topic(), message.partition()), error)
            if error is not None:
                append.fail(_refusal(error, f"{error.str()} ({self._trouble})"))
            append.unacknowledged -= 1
            if not append.unacknowledged and not append.done.done():
                self._produce_next(append)

        try:
            for topic, key, value in run:
                self._producer.produce(topic, value, key, on_delivery=acknowledged)
        except BufferError:
            append.fail(RetryLater("too many records wait for Kafka"))
        except RuntimeError:  # this one has just been replaced and closed
            append.fail(RetryLater("Kafka's producer is being replaced"))
        except KafkaException as exc:
            error = exc.args[0]
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:  # our own limit; the broker's answer is about a batch
                append.fail(RejectRecord(TOO_LARGE, f"a record is larger than the journal takes: {error.str()}"))
            else:
                self._broken |= error.fatal()
                append.fail(_refusal(error, error.str()))

    def _stuck(self, place: Place, error: KafkaError | None) -> bool:
        """Is it time for another producer?  After a fatal error, and where messages do not arrive for long.

        librdkafka takes the leader of a topic that was recreated for old news if its epoch is lower than that of
        the former one, and goes on asking the wrong broker for ever.
        """
        if error is None:
            self._failing.pop(place, None)
            return False
        return error.fatal() or time.monotonic() - self._failing.setdefault(place, time.monotonic()) > self._patience

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                self._producer.poll(0.1)
            except KafkaException as exc:  # a fatal error is told to `_on_error`, and raised again here
                self._on_error(exc.args[0])
            if self._broken:  # librdkafka: after a fatal error an idempotent producer takes nothing any more
                old, self._producer = self._producer, Producer(self._config)
                self._give_up(old, 0)
                self._failing.clear()
                self._broken = False
                self._closing.wait(BROKEN_FOR)

    def _on_error(self, error: KafkaError) -> None:
        self._trouble = error.str()
        self._broken |= error.fatal()

    def _give_up(self, producer: Producer, within: float) -> None:
        left = True
        with suppress(KafkaException):  # a fatal error, which is told to `_on_error` and raised again
            left = bool(producer.flush(within))
        if left:
            producer.purge()
            producer.flush(1)
        producer.close()


def _refusal(error: KafkaError, why: str) -> RetryLater:
    """Never RejectRecord: a broker speaks of a whole batch, in which others' records may be, and of what may change."""
    return RetryLater(f"Kafka did not take the records: {why}", reason=REASONS.get(error.code(), "unavailable"))
