"""`forebay rebuild`: empty days of traffic and load them again from the log."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from ..errors import ForebayError, RetryLater, Stop
from ..insights.window import KEPT
from ..loader.rebuild import Outcome
from ..store.refill import Days
from ..wiring.rebuild import rebuilding
from .serve import DATA, Data
from .tables import table, terminal


def rebuild(
    first: Annotated[
        str | None, typer.Option("--from", help="The first day, in UTC, like 2026-07-01.", metavar="DAY")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="The last day.", metavar="DAY")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Let loaders go on after a rebuild that can't be finished.")
    ] = False,
    data: Data = DATA,
) -> None:
    """Empty days of traffic and load them again from the log, after a lost table or a bug.  Stop the loaders first.

    Works on the data directory, or where FOREBAY_KAFKA_BROKERS is set on that fleet.  Killed at any
    moment: run it again.  Exit code 1: it could not be done, the line says why.
    """
    if give_up == bool(first or last) or (give_up and yes) or bool(first) != bool(last):
        raise Stop("name the days, as --from 2026-07-01 --to 2026-07-03, or --give-up alone")
    days = None if give_up else _days(str(first), str(last))
    try:
        with rebuilding(data, typer.echo) as rebuild:
            if days is None:
                typer.echo(f"given up: the rebuild of {rebuild.give_up().days}; loaders go on")
            elif yes:
                _show(rebuild.run(days), days, "before after")
                typer.echo("rebuilt; loaders may be started")
            else:
                _show(rebuild.plan(days), days, "now from_the_log")
                typer.echo("nothing was changed: --yes does it, once `forebay up` or all loaders are stopped")
    except ForebayError as exc:
        again = "; run it again" if isinstance(exc, RetryLater) else ""
        typer.echo(f"forebay: {exc}{again}", err=True)
        raise typer.Exit(1) from exc


def _days(first: str, last: str) -> Days:
    today = datetime.now(UTC).date()
    days = Days(_day(first), _day(last))
    if days.first > days.last:
        raise Stop(f"--from {first} is after --to {last}")
    if days.last > today:
        raise Stop(f"{last} is in the future: today is {today} in UTC")
    if days.first < today - KEPT:
        raise Stop(f"{first} is older than what the store keeps, which is {KEPT.days} days")
    return days


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Stop(f"{text!r} is no day: write it like 2026-07-01") from None


def _show(outcome: Outcome, days: Days, columns: str) -> None:
    before, after = columns.split()
    listed = sorted(outcome.before.keys() | outcome.after.keys())
    rows = [(day, outcome.before.get(day, 0), outcome.after.get(day, 0)) for day in listed]
    table(terminal(), f"day {before}# {after}#", rows, f"there is no traffic from {days.first} to {days.last}")
