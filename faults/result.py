"""What a run has shown: a line for each kind of fault, printed as a table and kept in `results.json`."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table

from .run import Turn

FILE = Path(__file__).with_name("results.json")


@dataclass(slots=True)
class Line:
    """One kind of fault.  Where two befell the fleet at a time, both have what came of it.

    `lost` and `doubled` are requests; `counted` those that had to be lost, and were counted and shown.
    `longest_stall_s`: the longest that a router waited for an acknowledgement.  `longest_behind_s`: the longest
    that the store took, after the last acknowledgement, until it had everything.
    """

    fault: str
    times: int = 0
    lost: int = 0
    doubled: int = 0
    counted: int = 0
    longest_stall_s: float = 0.0
    longest_behind_s: float = 0.0


@dataclass(slots=True)
class Results:
    """All that a run was and showed."""

    seed: int
    brokers: list[int]
    started: str
    duration_s: float
    injected: int
    requests_sent: int
    lost: int
    doubled: int
    counted: int
    versions: dict[str, str] = field(default_factory=lambda: versions())
    faults: list[Line] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def lines(turns: Iterable[Turn]) -> list[Line]:
    """By the kind of fault, in alphabetical order."""
    found: dict[str, Line] = {}
    for turn in turns:
        for fault in turn.faults:
            line = found.setdefault(fault.name, Line(fault.name))
            line.times += 1
            line.lost += turn.lost
            line.doubled += turn.doubled
            line.counted += turn.counted
            line.longest_stall_s = round(max(line.longest_stall_s, turn.stall), 1)
            line.longest_behind_s = round(max(line.longest_behind_s, turn.behind), 1)
    return sorted(found.values(), key=lambda line: line.fault)


def results(seed: int, brokers: Sequence[int], started: str, duration: float, turns: Sequence[Turn]) -> Results:
    return Results(
        seed=seed,
        brokers=list(brokers),
        started=started,
        duration_s=round(duration),
        injected=sum(len(turn.faults) for turn in turns),
        requests_sent=sum(turn.requests for turn in turns),
        lost=sum(turn.lost for turn in turns),
        doubled=sum(turn.doubled for turn in turns),
        counted=sum(turn.counted for turn in turns),
        faults=lines(turns),
    )


def versions() -> dict[str, str]:
    names = ("forebay", "confluent-kafka", "chdb", "clickhouse-connect", "granian")
    return {"python": platform.python_version(), "kafka": "4.4.0", **{name: version(name) for name in names}}


def keep(found: Results, file: Path = FILE) -> None:
    file.write_text(json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n")


def table(found: Results) -> Table:
    title = (
        f"{found.injected:,} faults in {found.duration_s / 60:.0f} min, seed {found.seed}: {found.requests_sent:,}"
        f" requests acknowledged, {found.lost:,} lost, {found.doubled:,} doubled"
    )
    made = Table(title=title, title_justify="left")
    names = ("fault", "times", "lost", "doubled", "counted", "longest stall", "longest behind")
    for name in names:
        made.add_column(name, justify="left" if name == "fault" else "right", overflow="fold")
    for line in found.faults:
        bad = "bold red" if line.lost or line.doubled else ""
        counts = (f"{count:,}" for count in (line.times, line.lost, line.doubled, line.counted))
        made.add_row(line.fault, *counts, f"{line.longest_stall_s:.1f} s", f"{line.longest_behind_s:.1f} s", style=bad)
    return made
