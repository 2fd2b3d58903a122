"""Answers as tables for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def terminal(stderr: bool = False) -> Console:
    """Where answers go: as wide as the terminal, and wide enough for everything where there is none."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=200)


def about(console: Console, answer: dict[str, Any]) -> None:
    """The lines that every answer ends with: its window, how complete it is, what was visible."""
    told = answer["about"]
    console.print(
        f"{told['org']}/{told['graph']}, {when(told['since'])} to {when(told['until'])} UTC, "
        f"{told['requests']:,} requests; complete up to {when(told['complete_up_to'])}",
        style="dim",
        highlight=False,
    )
    if told["missing"]:
        console.print(f"some agents can't see: {', '.join(told['missing'])}", style="yellow", highlight=False)
    for sentence in told["incomplete"]:
        console.print(f"incomplete: {sentence}", style="yellow", highlight=False, markup=False)


def table(console: Console, columns: str, rows: Iterable[Iterable[object]], empty: str) -> None:
    """A table whose columns are named by the words of `columns`; those that end in `#` hold numbers."""
    out = Table(box=None, pad_edge=False, header_style="bold")
    for word in columns.split():
        number = word.endswith("#")
        out.add_column(
            word.strip("#").replace("_", " "),
            justify="right" if number else "left",
            no_wrap=number or word.startswith("last"),
            overflow="fold",
        )
    for row in rows:
        out.add_row(*(Text(_cell(value)) for value in row))
    console.print(out if out.row_count else Text(empty, style="dim"))


def client(name: str, version: str) -> str:
    """A client and version in one word; one that does not say its name is told apart."""
    return f"{name} {version}".strip() or "(unidentified)"


def when(time: str | None) -> str:
    """A time to the minute: no answer is finer."""
    return time[:16].replace("T", " ") if time else "-"


def duration(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.3g} ms"


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
