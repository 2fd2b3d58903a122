"""Waiting in an event loop for what another thread settles, and waking the loop once for many.

A journal settles the appends of a batch one right after the other.  asyncio's own bridge wakes the
loop for each of them: a write to a pipe, and the interpreter's lock handed to and fro.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future


class Waking:
    """Used from one event loop."""

    def __init__(self) -> None:
        self._settled: deque[tuple[asyncio.Future[None], Future[None]]] = deque()
        self._woken = False

    async def result(self, future: Future[None]) -> None:
        """As `future.result()`, without holding up the loop.  Who stops waiting does not cancel the future."""
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()

        def settled(future: Future[None]) -> None:
            if waiting.done():  # nobody waits any more, and the loop may be closed
                return
            self._settled.append((waiting, future))
            if not self._woken:
                self._woken = True
                loop.call_soon_threadsafe(self._wake)

        future.add_done_callback(settled)
        await waiting

    def _wake(self) -> None:
        self._woken = False  # first: what is settled from here on wakes the loop again
        while self._settled:
            waiting, future = self._settled.popleft()
            if waiting.done():
                continue
            if exception := future.exception():
                waiting.set_exception(exception)
            else:
                waiting.set_result(None)
