"""Collectors and loaders that are killed, stand still for longer than their group waits, come and go."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Sequence

from forebay.steps import STEPS

from ..fault import COLLECTORS, KAFKA, LOADERS, fault
from ..member import Jump, Member
from ..pipeline import Kill
from ..world import World, until

DAY = 86_400
BEFORE_SPILLING = ("collector.received", "collector.appended")
WHILE_SPILLING = ("spill.written", "spill.durable")
WHILE_DRAINING = ("spill.confirmed", "spill.drained", "spill.deleted")
LOADING = tuple(step for step in STEPS if step.startswith("loader."))


def strike(victims: list[Member], kill: Kill, pause: float, provoke: Callable[[], None] = lambda: None) -> None:
    """Whoever gets to the step first is killed and started again, or stands still for so long."""
    stopping = kill.signal == signal.SIGSTOP
    for member in victims:
        member.order(kill)

    def struck() -> list[Member]:
        return [member for member in victims if (member.stopped() if stopping else member.dead())]

    def hit() -> bool:
        provoke()
        time.sleep(0.02)
        return bool(struck())

    until(hit, f"{kill.step} to be reached")
    for member in victims:
        if member not in struck():
            member.order(None)
    time.sleep(pause)
    for member in struck():
        if stopping:
            member.signal(signal.SIGCONT)
        else:
            member.start()


def _of_collectors(step: str, number: signal.Signals) -> None:
    @fault(f"collector {_befallen(number)} at {step}", COLLECTORS, share=3)
    def inject(world: World, chance: random.Random) -> None:
        kill = Kill(step, chance.randint(1, 20), number)
        strike([chance.choice(world.collectors)], kill, _pause(number, chance))


def _of_spilling(step: str, number: signal.Signals) -> None:
    @fault(f"collector {_befallen(number)} at {step}", COLLECTORS, KAFKA, share=1)
    def inject(world: World, chance: random.Random) -> None:
        victim, kill = chance.choice(world.collectors), Kill(step, 1, number)
        pause = chance.uniform(0, 0.3) if number == signal.SIGKILL else chance.uniform(0.5, 2.5)
        try:
            if step in WHILE_DRAINING:
                world.hold_appends()
                until(lambda: world.spilled(victim), "something to be spilled")
                time.sleep(chance.uniform(0, 1))
                strike([victim], kill, pause, world.release_appends)
            else:
                strike([victim], kill, pause, world.hold_appends)
        finally:
            world.release_appends()


def _of_loaders(step: str, number: signal.Signals) -> None:
    @fault(f"loader {_befallen(number)} at {step}", LOADERS)
    def inject(world: World, chance: random.Random) -> None:
        due = time.monotonic()

        def provoke() -> None:
            nonlocal due
            if step == "loader.confirmed" and time.monotonic() >= due:  # it befalls what has nothing more to load
                world.publish(chance.randrange(2**32))
                due = time.monotonic() + 2

        nth = 1 if step == "loader.confirmed" else chance.randint(1, 3)
        strike(world.loaders, Kill(step, nth, number), _pause(number, chance), provoke)


def _befallen(number: signal.Signals) -> str:
    return "killed" if number == signal.SIGKILL else "frozen"


def _pause(number: signal.Signals, chance: random.Random) -> float:
    """A stopped one wakes up after the others have taken it for dead (3 s)."""
    return chance.uniform(0, 0.3) if number == signal.SIGKILL else chance.uniform(3.2, 4.5)


for number in (signal.SIGKILL, signal.SIGSTOP):
    for step in BEFORE_SPILLING:
        _of_collectors(step, number)
    for step in (*WHILE_SPILLING, *WHILE_DRAINING):
        _of_spilling(step, number)
    for step in LOADING:
        _of_loaders(step, number)


@fault("collector killed at any moment", COLLECTORS, share=4)
def collector_killed(world: World, chance: random.Random) -> None:
    _kill_one(world.collectors, chance)


@fault("collector restarted by SIGTERM", COLLECTORS)
def collector_restarted(world: World, chance: random.Random) -> None:
    victim = chance.choice(world.collectors)
    victim.stop()
    victim.start()


@fault("loader killed at any moment", LOADERS, share=4)
def loader_killed(world: World, chance: random.Random) -> None:
    _kill_one(world.loaders, chance)


def _kill_one(members: Sequence[Member], chance: random.Random) -> None:
    time.sleep(chance.uniform(0, 0.5))
    victim = chance.choice(members)
    victim.kill()
    victim.start()


@fault("loader joins and leaves", LOADERS, share=3)
def loader_joins(world: World, chance: random.Random) -> None:
    world.spare.start()
    time.sleep(chance.uniform(0.5, 3))
    if chance.random() < 0.5:
        world.spare.process.terminate()
        world.spare.process.join(timeout=60)
    world.spare.kill()


@fault("clock of a process jumps, and back", COLLECTORS, LOADERS, share=4)
def clock_jumps(world: World, chance: random.Random) -> None:
    victim = chance.choice([*world.collectors, *world.loaders, world.console])
    for _ in range(2):
        victim.order(Jump(chance.choice([-2 * DAY, -3600, -5, 5, 3600, 2 * DAY])))
        time.sleep(chance.uniform(0.3, 1))
    victim.order(Jump(0))
