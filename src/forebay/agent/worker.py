"""A daemon thread that repeats one step: when woken, and when the pause the step asked for is over."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition, RLock, Thread

from .faults import Faults


class Worker:
    """`step` returns the seconds until it is due again, None for "when woken".

    An exception of the step is noted and ends nothing: the step is due again after `after_fault`
    seconds.  The thread is started by the first `start`, so that a process that forks before it
    records anything forks without threads.  Locks are such that a signal's handler may call what
    it interrupted.
    """

    after_fault = 5.0

    def __init__(self, name: str, step: Callable[[], float | None], faults: Faults, first: float | None = None) -> None:
        self._name, self._step, self._faults, self._first = name, step, faults, first
        self._stopped, self._lock = False, RLock()
        self._woken, self._waking = False, Condition()
        self._thread: Thread | None = None

    def start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopped:
                thread = Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def wake(self) -> None:
        """Make the step due now; a no-op before `start`."""
        with self._waking:
            self._woken = True
            self._waking.notify()

    def stop(self, timeout: float) -> None:
        """End the thread after the step it is in; wait for it at most `timeout` seconds."""
        with self._lock:
            self._stopped, thread = True, self._thread
        self.wake()
        if thread is not None:
            thread.join(timeout)

    def _run(self) -> None:
        pause = self._first
        while True:
            with self._waking:
                self._waking.wait_for(lambda: self._woken, pause)
                self._woken = False
            if self._stopped:
                return
            try:
                pause = self._step()
            except Exception as exc:
                self._faults.note(self._name, exc)
                pause = self.after_fault
