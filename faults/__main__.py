"""`make faults`: the long run.  Prints the seed, each turn, and a table that it keeps in results.json."""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed
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
    started, begun = datetime.now(UTC), time.monotonic()
    share = -(-options.number // len(sizes))
    plans = {size: [each for each in chosen if size in each.brokers] for size in sizes}
    # Side by side, because most of a turn is waiting; but all ports are taken before any is given up for a while.
    stages = [_Stage(size, seed) for size, faults in plans.items() if faults]
    pool = ThreadPoolExecutor(max(len(stages), 1))
    try:
        acts = [pool.submit(stage.play, plans[stage.brokers], share, options.minutes) for stage in stages]
        turns = [turn for act in as_completed(acts) for turn in act.result()]
    except BaseException:
        traceback.print_exc()
        for stage in stages:
            stage.abandon()
        os._exit(1)  # the others' threads go on
    found = results(seed, sizes, f"{started:%Y-%m-%d %H:%M} UTC", time.monotonic() - begun, turns)
    Console(width=120).print(table(found))
    if not (options.only or options.brokers):
        keep(found)
    return 1 if found.lost or found.doubled else 0


class _Stage:
    """A world of its own.  Its folder stays if something was wrong, with every process's log in it."""

    def __init__(self, brokers: int, seed: int) -> None:
        self.brokers, self._seed = brokers, seed
        self._folder = Path(tempfile.mkdtemp(prefix="forebay-faults-"))
        print(f"{brokers} brokers, protocol {PROTOCOLS[brokers]}, in {self._folder}", flush=True)
        self._site = Site(self._folder, brokers)
        self._world = World(self._site, "forebay", PROTOCOLS[brokers])
        self._run = Run(self._world, seed, lambda line: tell(f"{brokers}: {line}"))

    def play(self, faults: list[Fault], number: int, minutes: float) -> list[Turn]:
        try:
            turns = self._run.go(plan(faults, number, random.Random(f"{self._seed}/{self.brokers}")), 60 * minutes)
        finally:
            self._site.remove()
        if exact(turns):
            shutil.rmtree(self._folder)
        return turns

    def abandon(self) -> None:
        """Leave nothing running."""
        self._world.fleet.end()
        self._site.remove()


def tell(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
