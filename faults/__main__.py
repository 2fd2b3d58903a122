"""`make faults`: the long run.  Prints the seed, each turn, and a table that it keeps in results.json."""

from __future__ import annotations

import argparse
import math
import random
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from . import kinds  # noqa: F401  which puts all faults on the list
from .fault import ALL, Fault
from .result import keep, results, table
from .run import Run, Turn, exact, plan
from .world import Site, World

NUMBER = 1_000
PROTOCOLS = {1: "classic", 3: "consumer"}
"""Of the consumer group, by the number of brokers: both are under test."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults ARGS=…", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same faults in the same order, with the same parameters")
    parser.add_argument("--number", type=int, default=NUMBER, help="of faults (%(default)s)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no more faults after so long")
    parser.add_argument("--only", metavar="TEXT", action="append", help="only faults whose name has it in it")
    parser.add_argument("--brokers", type=int, choices=sorted(PROTOCOLS), help="a cluster of this size alone")
    parser.add_argument("--list", action="store_true", help="name all faults and do nothing")
    options = parser.parse_args()
    chosen = [each for each in ALL if not options.only or any(text in each.name for text in options.only)]
    if options.list or not chosen:
        print("\n".join(each.name for each in chosen) or f"no fault has {options.only} in its name")
        return 0 if chosen else 2
    seed = random.randrange(2**32) if options.seed is None else options.seed
    sizes = [options.brokers] if options.brokers else sorted(PROTOCOLS, reverse=True)
    print(f"seed {seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    started, begun, turns = datetime.now(UTC), time.monotonic(), list[Turn]()
    for brokers in sizes:
        faults = [each for each in chosen if brokers in each.brokers]
        share = -(-options.number // len(sizes))
        turns += _world(brokers, faults, share, options.minutes / len(sizes), seed) if faults else []
        if not exact(turns):
            break
    found = results(seed, sizes, f"{started:%Y-%m-%d %H:%M} UTC", time.monotonic() - begun, turns)
    Console(width=120).print(table(found))
    if not (options.only or options.brokers):
        keep(found)
    return 1 if found.lost or found.doubled else 0


def _world(brokers: int, faults: list[Fault], number: int, minutes: float, seed: int) -> list[Turn]:
    """One world of its own.  Its folder stays if something was wrong, with every process's log in it."""
    folder = Path(tempfile.mkdtemp(prefix="forebay-faults-"))
    print(f"{brokers} brokers, protocol {PROTOCOLS[brokers]}, in {folder}", flush=True)
    site = Site(folder, brokers)
    try:
        run = Run(World(site, "forebay", PROTOCOLS[brokers]), seed, tell)
        turns = run.go(plan(faults, number, random.Random(f"{seed}/{brokers}")), 60 * minutes)
    finally:
        site.remove()
    if exact(turns):
        shutil.rmtree(folder)
    return turns


def tell(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
