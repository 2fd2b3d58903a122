"""Reports that a collector of a fleet has acknowledged by Kafka, against a bare server that keeps nothing.

The reports and the bare server are those of `ingest`.  The other side is `forebay collect` as it
is, its spill included: a report is answered when the broker has acknowledged its records
(`acks=all`; the broker is one, so that is its page cache).  Both servers are pinned to one core
and driven in turn over 64 connections, because an acknowledgement takes some milliseconds.  The
value is the median over rounds of the ratio of reports per CPU second of the server's process, all
its threads: librdkafka's are in it, the broker, which is another process, is not.  Latencies are
those that a client sees at half of Forebay's own rate, from when a request was due: they have the
broker and whatever else the machine does in them, and five milliseconds of `linger.ms`.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from faults.fleet import KEYS
from kafka.broker import Broker

from forebay.core.record import TOPICS

from .client import drive
from .ingest import Server, cosmo, native, server
from .processes import cpu, mebibytes, token
from .result import Result, at_least

CONNECTIONS, ROUNDS, SECONDS = 64, 5, 1.5


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        broker = Broker(Path(directory) / "kafka")
        try:
            for topic in TOPICS:
                broker.create(topic)
            yield from _measure(directory, broker)
        finally:
            broker.cluster.remove()


def _measure(directory: str, broker: Broker) -> Iterator[Result]:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    environment = {"FOREBAY_KAFKA_BROKERS": broker.bootstrap, "FOREBAY_SIGNING_KEYS": KEYS}
    write = token("shop")
    with server("collect", directory, environment) as forebay, server("bare", directory) as bare:
        yield from _compare("native", native(write, with_shapes=True), forebay, bare)
        yield from _compare("native_known", native(write, with_shapes=False), forebay, bare)
        yield from _compare("cosmo", cosmo(write), forebay, bare)
        yield Result("collect/memory", mebibytes(forebay.pid), "MiB", "resident, after all of this")


def _compare(protocol: str, requests: list[bytes], forebay: Server, bare: Server) -> Iterator[Result]:
    for side in (forebay, bare):
        drive(side.port, requests, 1, 0.5)  # the first request brings the shapes
    rounds = [[_per_second(side, requests) for side in (forebay, bare)] for _ in range(ROUNDS)]
    ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in rounds)
    ours, theirs = (statistics.median(rate for rate, _ in side) for side in zip(*rounds, strict=True))
    wall = statistics.median(served for (_, served), _ in rounds)
    against = f"the bare server's {theirs:,.0f}; Forebay {ours:,.0f}"
    yield at_least(0.6, f"collect/{protocol}", ratio, "of the bare server's reports per CPU second", against)
    half = drive(forebay.port, requests, CONNECTIONS, 4, per_second=wall / 2)
    yield Result(f"collect/{protocol}_p50", half.quantile(0.5) * 1e3, "ms", f"{wall / 2:,.0f} reports/s, half load")
    yield Result(f"collect/{protocol}_p99", half.quantile(0.99) * 1e3, "ms", f"{wall / 2:,.0f} reports/s, half load")


def _per_second(side: Server, requests: list[bytes]) -> tuple[float, float]:
    """Reports per second of the server's CPU, and of the clock."""
    before = cpu(side.pid)
    served = drive(side.port, requests, CONNECTIONS, SECONDS)
    return len(served.latencies) / (cpu(side.pid) - before), served.rate
