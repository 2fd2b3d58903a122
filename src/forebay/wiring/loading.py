"""A loader in a thread of its own, which begins again after whatever happened to it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing

import structlog

from .. import settings
from ..collector.admission import MIB
from ..core.record import TOPICS
from ..errors import ForebayError, RetryLater
from ..journal.port import Journal
from ..loader.loop import Loader, Progress
from ..loader.pace import Pace
from ..store.port import Store

log = structlog.get_logger()

GROUP = "forebay-loader"
TIDY_EVERY = 600.0
DRAIN_WITHIN = 20.0


class Loading:
    """What else the process does goes on meanwhile: the journal is there to hold what can't be loaded.

    `prepare` is called before the first attempt, and again until it succeeds; `tidy` now and then.
    """

    def __init__(
        self,
        journal: Journal,
        store: Store,
        pipeline: str,
        prepare: Callable[[], None] = lambda: None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        own = settings.read(settings.LoaderSettings)
        self.progress = Progress()
        self._journal, self._store, self._pipeline = journal, store, pipeline
        self._prepare, self._tidy = prepare, tidy
        self._pace = Pace(own.batch_mib * MIB, own.linger, own.budget_mib * MIB)
        self._retry = own.retry
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loader")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> str:
        """Load what is there, for a while; what was in the way, or nothing."""
        self._stopping.set()
        self._thread.join()
        return self.progress.trouble

    def _run(self) -> None:
        prepared = False
        while not self._stopping.is_set():
            try:
                if not prepared:
                    self._prepare()
                    prepared, self.progress.trouble = True, ""
                with closing(self._journal.consumer(GROUP, TOPICS)) as consumer:
                    loader = Loader(
                        consumer,
                        self._store,
                        self._pipeline,
                        self._pace,
                        time.monotonic,
                        self.progress,
                        name=self._name,
                    )
                    while not self._stopping.is_set():
                        loader.run_for(self._stopping, TIDY_EVERY)
                        self._tidy()
                    loader.drain(DRAIN_WITHIN)
            except Exception as exc:  # whatever it was: say so, and begin again from what is durable
                self.progress.trouble = str(exc) if isinstance(exc, ForebayError) else repr(exc)
                pause = exc.retry_after if isinstance(exc, RetryLater) else self._retry
                log.error("the loader stopped", reason=self.progress.trouble, again_in_seconds=pause)
                self._stopping.wait(pause)
