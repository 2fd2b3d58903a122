"""What folding a batch before its insert costs and saves, by how often its tallies repeat each other.

A batch is 500 reports of 100 tallies.  `fold/saves_N`: each row is met N times in it; the value is
the CPU seconds of inserting the reports as they are over those of folding them and inserting what
is left.  All CPU of the process is counted, with all the engine's threads, as in `load`; decoding
and keeping the ledger, which both ways need, are not.  `fold/engine_N`: of the engine's own CPU in
the insert alone, by its counters (see `cost`): what is saved of ClickHouse itself.  `fold/pays`: the
repetition from which on the whole is cheaper with folding, between those that were measured.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, TypeVar

from forebay.core.record import TallyColumns, columns_of
from forebay.core.tally import Tallies
from forebay.loader.folding import Folding
from forebay.store.clickhouse import ClickHouse
from forebay.store.landing import REPORTS
from forebay.store.port import Row

from . import traffic
from .cost import Metered
from .load import BEGIN
from .result import Result

T = TypeVar("T")

BATCH, TALLIES_EACH, ROUNDS = 500, 100, 5
REPETITIONS = (1, 2, 4, 10, 50)


def run() -> Iterator[Result]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield from pool.apply(measure)


def measure() -> list[Result]:
    """In a process of its own, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    gc.disable()  # as `loader.block` does
    results: list[Result] = []
    whole: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        store = Metered(f"chdb:{directory}/store")
        store.migrate()
        store.command("SYSTEM STOP MERGES")
        for repetition in REPETITIONS:
            rounds = [_round(store, repetition, number) for number in range(-1, ROUNDS)][1:]  # the first one warms up
            plain, fold, folded, engine_plain, engine_folded = (
                statistics.median(each) for each in zip(*rounds, strict=True)
            )
            saves = statistics.median((each[0]) / (each[1] + each[2]) for each in rounds)
            whole.append((repetition, saves))
            spent = f"insert {plain * 1e3:.0f} ms; folding {fold * 1e3:.0f} ms and insert {folded * 1e3:.0f} ms"
            results.append(Result(f"fold/saves_{repetition}", saves, "× less CPU, folding included", spent))
            engine = f"{engine_plain * 1e3:.0f} ms; folded {engine_folded * 1e3:.0f} ms"
            results.append(
                Result(f"fold/engine_{repetition}", engine_plain / engine_folded, "× less of the engine's CPU", engine)
            )
        store.close()
    return [*results, Result("fold/pays", _pays(whole), "tallies per row and more", "whole CPU; interpolated")]


def _round(store: Metered, repetition: int, number: int) -> tuple[float, ...]:
    """CPU seconds: insert as it is, fold, insert folded; and of the engine alone for both inserts."""
    reports = batch(repetition)
    names = TallyColumns.__struct_fields__
    rows = [_row({name: getattr(report, name) for name in names}) for report in reports]
    plain, engine_plain = _insert(store, rows, f"{repetition} {number} plain")
    columns, fold = _timed(lambda: _folded(reports))  # last: the histograms are its own then
    folded, engine_folded = _insert(store, [_row(columns)], f"{repetition} {number} folded")
    return plain, fold, folded, engine_plain, engine_folded


def _insert(store: Metered, rows: list[Row], token: str) -> tuple[float, float]:
    """All of it, and the engine's part; each of an insert of its own, because asking for the latter costs too."""
    _, whole = _timed(lambda: ClickHouse.insert(store, REPORTS, rows, token))
    before = store.spent
    store.insert(REPORTS, rows, f"{token} metered")
    return whole, store.spent - before


def _folded(reports: list[TallyColumns]) -> dict[str, list[Any]]:
    folding = Folding()
    for report in reports:
        folding.add(report)
    return folding.columns()


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """What it gives, and the CPU seconds that it took."""
    begun = time.process_time()
    made = work()
    return made, time.process_time() - begun


def batch(repetition: int) -> list[TallyColumns]:
    """Reports of one minute whose rows are each met so many times, in no order."""
    chance = random.Random(repetition)
    shapes = [f"{number:032x}" for number in range(BATCH * TALLIES_EACH // repetition // len(traffic.CLIENTS))]
    keys = [(BEGIN, traffic.SCHEMA_VERSION, shape, *client, 200) for shape in shapes for client in traffic.CLIENTS]
    reports: list[TallyColumns] = []
    drawn = iter(chance.sample(keys, len(keys)) * repetition)
    for _ in range(BATCH):
        tallies: Tallies = {key: traffic.count(chance, chance.randint(1, 8)) for key in islice(drawn, TALLIES_EACH)}
        reports.append(TallyColumns(**columns_of(tallies)))  # type: ignore[arg-type]  # its inverse
    return reports


def _row(columns: dict[str, list[Any]]) -> Row:
    return {"record": "tallies", "org": "bench", "graph": "shop", **columns}


def _pays(whole: list[tuple[float, float]]) -> float:
    for (below, less), (above, more) in pairwise(whole):
        if less < 1 <= more:
            return below + (above - below) * (1 - less) / (more - less)
    return whole[0][0]
