"""Which requests arrived, by what was taken: each request by its operation's name, client and version.

Hive's reports are JSON, Apollo's are decoded with its own package by `decode.mjs`, Forebay's as its
collector does.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fake_collector import decoded

from .sink import Taken

NODE = Path(__file__).with_name("node")
Ledger = Counter[tuple[str, str, str]]


class Outcome(NamedTuple):
    """Requests: `again` those that came in a report which had been taken before."""

    recorded: int
    arrived: int
    lost: int
    again: int


def outcome(protocol: str, taken: Sequence[Taken], recorded: Ledger) -> Outcome:
    """Fails where more arrived of anything than was recorded: then the counting is wrong."""
    first: dict[str, bytes] = {}
    for report in taken:
        first.setdefault(report.identity, report.body)
    each = dict(zip(first, requests(protocol, list(first.values())), strict=True))
    arrived = sum(each.values(), Ledger())
    beyond = arrived - recorded
    assert not beyond, f"{protocol}: more than was recorded: {beyond.most_common(3)}"
    came = sum(each[report.identity].total() for report in taken)
    lost = (recorded - arrived).total()
    return Outcome(recorded.total(), arrived.total(), lost, came - arrived.total())


def requests(protocol: str, bodies: Sequence[bytes]) -> list[Ledger]:
    """What each of the reports counts."""
    return {"forebay": _forebay, "hive": _hive, "apollo": _apollo}[protocol](bodies)


def _forebay(bodies: Sequence[bytes]) -> list[Ledger]:
    pushes = [decoded(body) for body in bodies]
    names = {shape.id: shape.name for push in pushes for shape in push.shapes}
    ledgers = []
    for push in pushes:
        ledgers.append(Ledger())
        for key, (number, _, _) in push.rows():
            ledgers[-1][names[key[2]], key[3], key[4]] += number
    return ledgers


def _hive(bodies: Sequence[bytes]) -> list[Ledger]:
    return [Ledger(_operations(json.loads(body))) for body in bodies]


def _operations(report: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    for operation in report["operations"]:
        client = operation["metadata"]["client"]
        yield report["map"][operation["operationMapKey"]]["operationName"], client["name"], client["version"]


def _apollo(bodies: Sequence[bytes]) -> list[Ledger]:
    sent = json.dumps([base64.b64encode(body).decode() for body in bodies])
    done = subprocess.run(["node", "decode.mjs"], input=sent, capture_output=True, text=True, check=True, cwd=NODE)
    return [Ledger({tuple(key): number for key, number in rows}) for rows in json.loads(done.stdout)]
