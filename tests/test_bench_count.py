"""The bench beside other reporters counts what is lost, and what came again, apart."""

from __future__ import annotations

import json

import pytest
from bench.peers.count import Ledger, Outcome, outcome
from bench.peers.sink import Taken

BUY, SEE = ("Buy", "web", "1.0.0"), ("See", "iOS", "2.0.1")


def report(identity: str, **requests: int) -> Taken:
    """As Hive's reporter sends it."""
    sent = {name: (name, client, version) for name, client, version in (BUY, SEE)}
    operations = [
        {"operationMapKey": name, "metadata": {"client": {"name": sent[name][1], "version": sent[name][2]}}}
        for name, number in requests.items()
        for _ in range(number)
    ]
    body = {"map": {name: {"operationName": name} for name in requests}, "operations": operations}
    return Taken(identity, json.dumps(body).encode())


def test_what_comes_again_does_not_make_up_for_what_is_lost() -> None:
    taken = [report("1", Buy=2, See=1), report("2", Buy=1), report("1", Buy=2, See=1)]
    assert outcome("hive", taken, Ledger({BUY: 5, SEE: 1})) == Outcome(recorded=6, arrived=4, lost=2, again=3)


def test_more_than_was_recorded_is_a_mistake_of_the_bench() -> None:
    with pytest.raises(AssertionError, match="more than was recorded"):
        outcome("hive", [report("1", Buy=2), report("2", Buy=2)], Ledger({BUY: 3}))
