"""A sealed report: the bytes that are sent until they are acknowledged, and what has to be known of them.

Its number (`agent`, `sequence`) is part of the bytes.  It may be cut, or get another number, only
while it is certain that no collector has taken it under the one it has.
"""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from ..core import wire
from ..core.record import columns_of
from ..core.tally import Tallies

_decoder: Final = msgspec.json.Decoder(wire.Push)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A report that is not acknowledged yet."""

    body: bytes
    agent: str
    sequence: int
    requests: int
    lost: Mapping[str, int]
    names: frozenset[str]  # ids of the shapes and schemas that it holds
    uncertain: bool = False  # an attempt whose answer was lost may have been taken


def new_agent() -> str:
    return uuid.uuid4().hex


def seal(push: wire.Push, plain: bytes | None = None, *, uncertain: bool = False) -> Sealed:
    """`plain` is the report encoded, where that was done already."""
    return Sealed(
        body=gzip.compress(plain or wire.encode(push), compresslevel=5, mtime=0),
        agent=push.agent,
        sequence=push.sequence,
        requests=sum(push.requests),
        lost=push.lost,
        names=frozenset((*(shape.id for shape in push.shapes), *(schema.id for schema in push.schemas))),
        uncertain=uncertain,
    )


def opened(body: bytes, uncertain: bool) -> Sealed:
    """From its bytes alone.  Raises what gzip and msgspec raise for bytes that are no report."""
    push = _decoder.decode(gzip.decompress(body))
    return Sealed(body, push.agent, push.sequence, sum(push.requests), push.lost, frozenset(), uncertain)


def renumbered(report: Sealed, agent: str, sequence: int) -> Sealed:
    """The same content under another number."""
    push = _decoder.decode(gzip.decompress(report.body))
    return seal(msgspec.structs.replace(push, agent=agent, sequence=sequence))


def halves(report: Sealed) -> tuple[Sealed, ...]:
    """The same content in two reports, whose numbers are still to be given; nothing if it can't be cut.

    Each holds the shapes that it names, so that one can be refused without the other.  A single tally is
    cut from its shape and the schema: what is too large then may be these alone.
    """
    push = _decoder.decode(gzip.decompress(report.body))
    rows = list(push.rows())
    if not rows or (len(rows) == 1 and not push.shapes and not push.schemas):
        return ()
    middle = len(rows) // 2
    first, second = dict(rows[:middle]), dict(rows[middle:])
    if not first:
        bare = seal(_with(push, {}, executions=msgspec.UNSET))
        return bare, seal(_with(push, second, shapes=[], schemas=[], lost={}))
    return seal(_with(push, first)), seal(_with(push, second, schemas=[], lost={}, executions=msgspec.UNSET))


def given_up(reports: Sequence[Sealed], reason: str) -> Sealed:
    """What stands for these where there is no room for them: a report that says how much was lost."""
    lost = {reason: sum(report.requests for report in reports)}
    for report in reports:
        for why, requests in report.lost.items():
            lost[why] = lost.get(why, 0) + requests
    return seal(wire.Push(**_columns({}), agent=reports[0].agent, sequence=reports[0].sequence, lost=lost))


def _with(push: wire.Push, tallies: Tallies, **changes: Any) -> wire.Push:
    named = {key[2] for key in tallies}
    if tallies:
        changes = {"shapes": [shape for shape in push.shapes if shape.id in named], **changes}
    return msgspec.structs.replace(push, **_columns(tallies), **changes)


def _columns(tallies: Tallies) -> dict[str, Any]:
    return cast(dict[str, Any], columns_of(tallies))
