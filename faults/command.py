"""A command line that ends with SIGKILL where a test wants it, and what a data directory then holds."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from forebay.store.clickhouse import ClickHouse

from .pipeline import Kill, install, processes

Totals = dict[tuple[str, date], int]
"""Requests by client and day."""


def killed(arguments: list[str], environment: Mapping[str, str], step: str) -> None:
    """`forebay …` in a process of its own, killed at this step."""
    process = processes.Process(target=_run, args=(arguments, dict(environment), Kill(step, 1)), daemon=True)
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -9, f"{step} was never reached"


def traffic(store: ClickHouse) -> Totals:
    rows = store.query("SELECT client, toDate(time) AS d, sum(requests) AS n FROM traffic GROUP BY client, d")
    return {(row["client"], row["d"]): row["n"] for row in rows}


def traffic_in(path: Path) -> Totals:
    """Read in another process: one that ran the engine can't open another path."""
    with processes.Pool(1) as pool:
        return pool.apply(_traffic_in, (path,))


def _traffic_in(path: Path) -> Totals:
    store = ClickHouse(f"chdb:{path}")
    try:
        return traffic(store)
    finally:
        store.close()


def _run(arguments: list[str], environment: dict[str, str], fault: Kill) -> None:
    from forebay.cli import main

    os.environ.update(environment)
    install(fault)
    sys.argv = ["forebay", *arguments]
    main()
