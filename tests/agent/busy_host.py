"""A host that records at a steady rate, and a ledger of it that outlives SIGKILL.

`python busy_host.py LEDGER RATE INTERVAL [SPOOL]`, with the collector in FOREBAY_URL and FOREBAY_TOKEN.
It ends with SIGTERM, or when its standard input ends, as the end of an interpreter does: nothing is
closed by hand.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
import resource
import signal
import struct
import sys
import time
from pathlib import Path
from threading import Event

from graphql import build_schema

from forebay.agent.exporter import Bounds
from forebay.agent.reporter import Reporter

SDL = "type Query { a(x: Int, y: Int): Int }"
CLIENTS, VERSIONS = 5, 37
SLOT = 0.05
"""Seconds for which the ledger has a number of its own."""
SLOTS = 20_000
_number = struct.Struct("<Q")
BOUNDS = Bounds(timeout=1.0, first_pause=0.05, last_pause=0.3)


class Ledger:
    """Requests by client, and by slot of time, in a file that several processes never share."""

    def __init__(self, path: Path) -> None:
        size = _number.size * (1 + CLIENTS + SLOTS)
        if not path.exists():  # a reader must not find it without its beginning
            unfinished = path.with_suffix(".new")
            unfinished.write_bytes(_number.pack(time.time_ns()) + bytes(size - _number.size))
            unfinished.rename(path)
        self._file = os.open(path, os.O_RDWR)
        self._map = mmap.mmap(self._file, size)
        self.begun = _number.unpack_from(self._map, 0)[0] / 1e9

    def note(self, client: int) -> None:
        self._add(1 + client)
        self._add(1 + CLIENTS + min(int((time.time() - self.begun) / SLOT), SLOTS - 1))

    def clients(self) -> dict[str, int]:
        return {f"c{client}": self._at(1 + client) for client in range(CLIENTS)}

    def total(self) -> int:
        return sum(self.clients().values())

    def since(self, moment: float) -> int:
        first = max(int((moment - self.begun) / SLOT), 0)
        return sum(self._at(1 + CLIENTS + slot) for slot in range(first, SLOTS))

    def _at(self, place: int) -> int:
        return int(_number.unpack_from(self._map, place * _number.size)[0])

    def _add(self, place: int) -> None:
        _number.pack_into(self._map, place * _number.size, self._at(place) + 1)


def record_until(ended: Event, reporter: Reporter, ledger: Ledger, rate: float) -> None:
    """As many requests a second, of eight operations; the ledger has each before the reporter does."""
    begun = time.monotonic()
    for number in itertools.count():
        if ended.is_set():  # and not amid a request, which the ledger has already
            return
        client = number % CLIENTS
        ledger.note(client)
        reporter.record(
            f"query Q{number % 8}($x: Int, $y: Int) {{ a(x: $x, y: $y) }}",
            None,
            {"x": 1} if number % 3 else {},
            client=f"c{client}",
            client_version=str(number % VERSIONS),
            errors=number % 10 == 0,
            seconds=0.001 * (number % 50),
        )
        if (ahead := begun + number / rate - time.monotonic()) > 0.005:
            time.sleep(ahead)


def main(path: str, rate: str, interval: str, spool: str = "") -> None:
    reporter = Reporter(build_schema(SDL), interval=float(interval), spool=spool or None, bounds=BOUNDS)
    ledger = Ledger(Path(path))
    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    record_until(ended, reporter, ledger, float(rate))
    reporter.flush(20 if not spool else 1)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({**reporter.status(), "memory": memory}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
