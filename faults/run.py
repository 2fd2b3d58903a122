"""The run: up to four faults at a time under continuous traffic, and after each the totals, exactly.

Routers count their reports for one *client* per turn.  After the faults of a turn, they go on for
the next client; when all reports of the former are acknowledged its totals are final, and the
product has to answer exactly those, router by router, while traffic goes on.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from .fault import Fault, Gone
from .world import Stuck, World, until

PATIENCE = 90.0
"""Seconds after the last acknowledgement of a turn within which all of it must be in the store."""
AT_A_TIME = 4
LOOK = 40


@dataclass(frozen=True, slots=True)
class Turn:
    """`lost`: acknowledged requests that did not land, but for those whose loss the fault had to cost, and that
    were counted and shown (`counted`).  `stall`: the longest wait for an acknowledgement.  `behind`: from the last
    acknowledgement to when all of the turn was in the store.  Seconds."""

    faults: tuple[Fault, ...]
    requests: int
    lost: int
    doubled: int
    counted: int
    stall: float
    behind: float


def exact(turns: Sequence[Turn]) -> bool:
    return not any(turn.lost or turn.doubled for turn in turns)


@dataclass(slots=True)
class Run:
    """One world, fault after fault.  Ends with the first turn whose totals are not exact."""

    world: World
    seed: int
    tell: Callable[[str], None]
    patience: float = PATIENCE
    turns: list[Turn] = field(default_factory=list)
    _due: list[Counter[str]] = field(default_factory=list)  # of each turn: what has to land, by router

    def go(self, plan: Sequence[Sequence[Fault]], seconds: float = math.inf) -> list[Turn]:
        """Turn by turn; no more are begun after so long."""
        over = time.monotonic() + seconds
        try:
            self.world.begin(_client(0))
            for number, faults in enumerate(plan):
                if time.monotonic() > over:
                    break
                self._turn(number, faults)
                if not exact(self.turns):
                    return self.turns
            self._last()
            return self.turns
        finally:
            self.world.end()

    def _turn(self, number: int, faults: Sequence[Fault]) -> None:
        world, client = self.world, _client(number)
        for agent in world.agents:
            agent.waited()
        gone = self._inject(number, faults)
        world.gone |= gone
        world.revive()
        owed = world.turn(client, _client(number + 1))
        stall = max(agent.waited() for agent in world.agents)
        acknowledged = time.monotonic()
        counted: Counter[str] = Counter()

        def landed() -> bool:
            nonlocal counted
            counted = _by_router(world.lost(), gone) if gone else Counter()
            return not owed - counted - world.landed(client)

        try:
            until(landed, f"{client} to land", self.patience, every=0.25)
        except Stuck as exc:
            self.tell(str(exc))
        behind = time.monotonic() - acknowledged
        self._due.append(owed - counted)
        self.turns.append(Turn(tuple(faults), owed.total(), 0, 0, counted.total(), stall, behind))
        for each in range(max(0, number - 1), number + 1):  # what came late befell the one before
            self._judge(each)
        turn, names = self.turns[number], " + ".join(fault.name for fault in faults)
        told = f"stall {stall:.1f} s, behind {behind:.1f} s, {turn.lost} lost, {turn.doubled} doubled"
        self.tell(f"{number:5} {names}: {told}" + f", {turn.counted} counted as lost" * bool(turn.counted))

    def _judge(self, number: int) -> None:
        """Compare with what the product answers now."""
        due, landed = self._due[number], self.world.landed(_client(number))
        lost, doubled = (due - landed).total(), (landed - due).total()
        if (lost, doubled) != (0, 0):
            self.tell(f"{_client(number)}: acknowledged {due}, landed {landed}")
        self.turns[number] = replace(self.turns[number], lost=lost, doubled=doubled)

    def _inject(self, number: int, faults: Sequence[Fault]) -> Gone:
        """All at a time, each with a generator of its own; what they took out of the journal."""
        gone: Gone = {}
        failures: list[BaseException] = []

        def one(fault: Fault) -> None:
            try:
                gone.update(fault.inject(self.world, random.Random(f"{self.seed}/{number}/{fault.name}")) or {})
            except BaseException as exc:
                failures.append(exc)

        threads = [threading.Thread(target=one, args=(fault,), name=fault.name) for fault in faults]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return gone

    def _last(self) -> None:
        """Everything once more, when it is quiet: what came late, and what the product says of itself."""
        world = self.world
        for agent in world.agents:
            agent.finish()
        world.loaded()
        for number in range(len(self.turns)):
            self._judge(number)
        verified = world.ask("verify")
        assert verified["ok"] or not exact(self.turns), verified
        assert world.letters() == world.poison
        assert world.status()["lost_records"] == world.lost_records
        assert verified["compared"].get("missing_reports", 0) == len(world.lost())


def _by_router(lost: Gone, of: Gone) -> Counter[str]:
    """Requests."""
    found: Counter[str] = Counter()
    for (router, number), requests in lost.items():
        found[router] += requests * ((router, number) in of)
    return +found


def _client(number: int) -> str:
    return f"turn-{number}"


def plan(faults: Sequence[Fault], count: int, chance: random.Random) -> list[tuple[Fault, ...]]:
    """So many faults in any order, each kind as often as its share."""
    bag = [fault for fault in faults for _ in range(fault.share)]
    rounds = (chance.sample(bag, len(bag)) for _ in range(-(-count // len(bag))))
    return list(_grouped(list(chain.from_iterable(rounds))[:count]))


def each(faults: Sequence[Fault], chance: random.Random) -> list[tuple[Fault, ...]]:
    """Every kind once."""
    return list(_grouped(chance.sample(faults, len(faults))))


def _grouped(drawn: Sequence[Fault]) -> Iterator[tuple[Fault, ...]]:
    """The next fault with those among the `LOOK` after it that can befall the fleet at the same time."""
    left = list(drawn)
    while left:
        group = [left.pop(0)]
        for fault in left[:LOOK]:
            if len(group) < AT_A_TIME and not any(set(fault.touches) & set(other.touches) for other in group):
                group.append(fault)
                left.remove(fault)
        yield tuple(group)
