"""A range of the log → one block for the store: decode, recognise repeats, fold, keep the ledger.

Pure: the same records under the same seen sequences give the same block, whoever builds it and
whenever.  That is what lets a restart replay a range and send equal rows under the same token.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET

from ..core.execution import Executions, fold
from ..core.record import TALLIES, ExecutionColumns, Report, TallyColumns, decode
from ..core.sequences import NONE, Sequences, add, check_gaps, missing, to_text
from ..errors import RejectRecord
from ..journal.port import Fetched
from ..store.landing import EXECUTIONS, NAMED, REPORTS
from ..store.port import AgentKey, Origin, Row
from .folding import Folding

GraphKey = tuple[str, str]
NOBODY: GraphKey = ("", "")
"""Whom a record belongs to that could not be decoded."""

MINUTES_A_DAY = 1440
BUCKET = 5
"""Minutes: the store keeps no finer times, so tallies of one bucket are folded into one row here already."""


@dataclass(slots=True)
class _Account:
    """What became of one graph's records in a range."""

    records: int = 0
    repeats: int = 0
    repeat_requests: int = 0
    rows: int = 0
    tallies: Folding = field(default_factory=Folding)
    executions: Executions = field(default_factory=dict)
    counted: Counter[int] = field(default_factory=Counter)  # of executions, by day
    landed: int = 0
    days: Counter[int] = field(default_factory=Counter)
    minutes: list[int] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    adjusted: Counter[str] = field(default_factory=Counter)
    dead: list[tuple[Fetched, RejectRecord]] = field(default_factory=list)
    seen: dict[str, tuple[Sequences, Sequences]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was decided of records when they were loaded first; once more it is to be the same.

    `dead`: those that were put aside, by offset, with whose they were and why; that they may be
    readable by now is for their replay.  Only tallies of `days` are to be rows, for the rest is in
    the store.
    """

    days: range
    dead: Mapping[int, tuple[GraphKey, RejectRecord]]


EVERYTHING: Sequences = ((1, 2**53),)
"""What an agent had sent before a range in which nothing of it landed: whatever it sent there was a repeat."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows for a landing table, the token that names them, and what the next range must know.

    `executions` are rows for their own landing table, of few ranges any.  They go in first: what the ledger
    knows of a range is in the store then, and a replay repeats both under the one token.
    """

    table: str
    rows: list[Row]
    executions: list[Row]
    token: str
    seen: dict[AgentKey, Sequences]
    records: int
    weight: int  # tallies, executions, shapes and schemas: what the store's work grows with
    requests: int
    dead_letters: int

    def inserts(self) -> list[tuple[str, list[Row]]]:
        """Tables and what goes into them, in this order."""
        return [*([(EXECUTIONS, self.executions)] if self.executions else []), (self.table, self.rows)]


def token(origin: Origin, first: int, end: int) -> str:
    """Names the range [first, end) of one partition of one topic's incarnation in one epoch."""
    return f"{origin.pipeline}|{origin.topic_id}|{origin.partition}|{first}-{end - 1}|{origin.epoch}"


def table_of(topic: str) -> str:
    """The landing table of a topic's ranges."""
    return REPORTS if topic == TALLIES else NAMED


def loss(origin: Origin, first: int, end: int, appended: int) -> Row:
    """The ledger's row for records that retention took unread; `appended` is when the first one after them came."""
    return {
        "record": "range",
        "org": "",
        "graph": "",
        **_place(origin, first, end - 1),
        "first_appended": appended,
        "last_appended": appended,
        "records": end - first,
        "lost_records": end - first,
        "detail": "{}",
    }


@contextmanager
def _without_collection() -> Iterator[None]:
    """A block is many objects and no garbage: to look for some again and again takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_collection()
def build(
    origin: Origin,
    records: Sequence[Fetched],
    seen: Mapping[AgentKey, Sequences],
    verdicts: Verdicts | None = None,
) -> Block:
    """The block of these records: consecutive offsets of one partition, at least one.

    With verdicts, of records that were loaded before; `seen` then names the agents of which something landed.
    """
    table = table_of(origin.topic)
    accounts: dict[GraphKey, _Account] = {}
    rows: dict[tuple[str, ...], Row] = {}
    days = verdicts.days if verdicts else None
    dead = verdicts.dead if verdicts else {}
    for fetched in records:
        if fetched.offset in dead:
            owner, exc = dead[fetched.offset]
            account = accounts.setdefault(owner, _Account())
            account.records += 1
            account.dead.append((fetched, exc))
            continue
        try:
            record = decode(fetched.value)
            if isinstance(record, Report) != (table == REPORTS):
                raise RejectRecord("wrong_topic", f"a {type(record).__name__} does not belong into {origin.topic}")
        except RejectRecord as exc:
            account = accounts.setdefault(NOBODY, _Account())
            account.records += 1
            account.dead.append((fetched, exc))
            continue
        account = accounts.setdefault((record.org, record.graph), _Account())
        account.records += 1
        if isinstance(record, Report):
            _take(account, record, fetched, seen, days)
        else:
            # Published again and again: the last copy in a range says all that the others say.
            rows[type(record).__name__, record.org, record.graph, record.id] = msgspec.structs.asdict(record) | {
                "record": record.__struct_config__.tag
            }
    out = list(rows.values())
    executions: list[Row] = []
    weight = len(rows)
    for (org, graph), account in accounts.items():
        graph_row: Row = {"org": org, "graph": graph}
        if columns := account.tallies.columns():
            out.append({"record": "tallies", **graph_row, **columns})
            weight += len(columns["minute"])
        if account.executions:
            arrays = msgspec.structs.astuple(ExecutionColumns.of(account.executions))
            executions.append({**graph_row, "executions": arrays})
            weight += len(account.executions)
        out.append({"record": "range", **graph_row, **_range(origin, records), **_ledger(account)})
    return Block(
        table=table,
        rows=out,
        executions=executions,
        token=token(origin, records[0].offset, records[-1].offset + 1),
        seen={
            (org, graph, agent): after
            for (org, graph), account in accounts.items()
            for agent, (_, after) in account.seen.items()
        },
        records=len(records),
        weight=weight,
        requests=sum(account.landed for account in accounts.values()),
        dead_letters=sum(len(account.dead) for account in accounts.values()),
    )


def _take(
    account: _Account, report: Report, fetched: Fetched, seen: Mapping[AgentKey, Sequences], days: range | None
) -> None:
    requests = sum(report.requests)
    if report.agent in account.seen:
        before, held = account.seen[report.agent]
    else:
        before = held = seen.get((report.org, report.graph, report.agent), NONE if days is None else EVERYTHING)
    after = add(held, report.sequence)
    if after is None:
        account.repeats += 1
        account.repeat_requests += requests
        return
    try:
        check_gaps(report.agent, after)
    except RejectRecord as exc:
        account.dead.append((fetched, exc))
        return
    account.seen[report.agent] = (before, after)
    account.rows += len(report.minute)
    account.landed += requests
    if report.lost or report.adjusted:
        account.lost.update(report.lost)
        account.adjusted.update(report.adjusted)
    if report.minute:
        first, last = min(report.minute), max(report.minute)
        account.minutes += (first, last)
        if first // MINUTES_A_DAY == last // MINUTES_A_DAY:
            account.days[first // MINUTES_A_DAY] += requests
        else:
            for minute, count in zip(report.minute, report.requests, strict=True):
                account.days[minute // MINUTES_A_DAY] += count
        report.minute = (
            [first - first % BUCKET] * len(report.minute)
            if first == last
            else [minute - minute % BUCKET for minute in report.minute]
        )
    if days is not None:
        _keep(report, days)
    account.tallies.add(report)
    if report.executions is not UNSET:
        _execute(account, report.executions, days)


def _execute(account: _Account, executions: ExecutionColumns, days: range | None) -> None:
    """Take in what became of fields; few reports say so."""
    for place, outcome in executions.rows():
        minute = place[0]
        day = minute // MINUTES_A_DAY
        account.counted[day] += outcome.errors + outcome.sampled
        if days is None or day in days:
            fold(account.executions, [((minute - minute % BUCKET, *place[1:]), outcome)])


def _keep(report: Report, days: range) -> None:
    """Only the tallies of these days."""
    kept = [row for row, minute in enumerate(report.minute) if minute // MINUTES_A_DAY in days]
    if len(kept) < len(report.minute):
        for name in TallyColumns.__struct_fields__:
            column = getattr(report, name)
            setattr(report, name, [column[row] for row in kept])


def _range(origin: Origin, records: Sequence[Fetched]) -> Row:
    return _place(origin, records[0].offset, records[-1].offset) | {
        "first_appended": records[0].appended,
        "last_appended": records[-1].appended,
    }


def _place(origin: Origin, first: int, last: int) -> Row:
    return {
        "pipeline": origin.pipeline,
        "topic": origin.topic,
        "topic_id": origin.topic_id,
        "partition": origin.partition,
        "epoch": origin.epoch,
        "first_offset": first,
        "last_offset": last,
    }


def _ledger(account: _Account) -> Row:
    detail = {
        "days": account.days,
        "lost": account.lost,
        "adjusted": account.adjusted,
        "executions": account.counted,
        "dead": [
            (fetched.offset, fetched.appended, exc.reason, str(exc), fetched.value)  # in base64
            for fetched, exc in account.dead
        ],
    }
    return {
        "records": account.records,
        "repeats": account.repeats,
        "repeat_requests": account.repeat_requests,
        "dead_letters": len(account.dead),
        "tallies": account.rows,
        "landed_requests": account.landed,
        "lost_requests": account.lost.total(),
        "missing": sum(missing(after) - missing(before) for before, after in account.seen.values()),
        "first_time": 60 * min(account.minutes, default=0),
        "last_time": 60 * max(account.minutes, default=0),
        "seen_agent": list(account.seen),
        "seen_before": [to_text(before) for before, _ in account.seen.values()],
        "seen_after": [to_text(after) for _, after in account.seen.values()],
        "detail": msgspec.json.encode({name: part for name, part in detail.items() if part}).decode(),
    }
