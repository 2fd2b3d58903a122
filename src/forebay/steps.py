"""The named steps at which the fault tests kill a process.

Each step stands where durable state has just changed or is just about to.  In production a
step is one comparison; a fault test installs a hook that ends the process with SIGKILL.
"""

from __future__ import annotations

from collections.abc import Callable

STEPS = (
    "journal.begun",  # a group of appends is in an open transaction
    "journal.durable",  # it is fsynced, nobody has been told
    "collector.received",  # a report is decoded, nothing is stored
    "collector.appended",  # it is durable, the client has not been answered
    "spill.written",  # a group of appends is in a segment, not yet fsynced
    "spill.durable",  # it is fsynced, nobody has been told
    "spill.confirmed",  # the journal has some of a segment's records, the segment knows nothing of it
    "spill.drained",  # the journal has all of them, the segment is still there
    "spill.deleted",  # the segment is gone
    "loader.gathered",  # a range is chosen, not yet declared
    "loader.declared",  # the commit holds the intent
    "loader.prepared",  # the block is built, nothing is sent
    "loader.sent",  # the store has a part of the block, if it has several
    "loader.inserted",  # the store has the block, nothing is confirmed
    "loader.confirmed",  # the commit confirms the range
    "rebuild.noted",  # loaders wait, nothing is emptied
    "rebuild.settled",  # no range is declared any more
    "rebuild.emptied",  # the days hold nothing
    "rebuild.inserted",  # they hold a batch more
    "rebuild.loaded",  # they are whole, the ledger holds their ranges twice
    "rebuild.replaced",  # once again, the rebuild still counts as unfinished
    "rebuild.finished",  # loaders go on, nobody has been told
    "replay.appended",  # dead letters are in the journal once more, nobody has been told
)

_hook: Callable[[str], None] | None = None


def reached(step: str) -> None:
    """Tell the hook, if there is one."""
    if _hook is not None:
        _hook(step)


def on_step(hook: Callable[[str], None] | None) -> None:
    """Install a hook for this process; None takes it away."""
    global _hook
    _hook = hook
