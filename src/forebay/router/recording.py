"""From what was asked and how it ended to a recorded request; persisted documents are looked up here.

Whose document is not known covers nothing, so that answers are incomplete; but one that the
server did not know either was not executed, and uses nothing: the client sends it again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from .. import metrics
from ..agent.client_headers import Client
from ..agent.http_answer import Outcome
from ..agent.http_request import NOTHING_EXECUTED, Asked
from ..agent.persisted import Documents
from ..agent.recorder import Request
from .reports import Reports


class Recording:
    """Counts GraphQL requests; used by one thread.  What fails here is the caller's to catch."""

    def __init__(self, reports: Reports, documents: Documents) -> None:
        self._reports, self._documents = reports, documents

    def count(
        self,
        asked: Sequence[Asked],
        outcomes: Sequence[Outcome],
        client: Client,
        status: int,
        seconds: float | None,
        weight: int,
    ) -> None:
        """Each of a batch; one outcome stands for all where they don't match."""
        if len(outcomes) != len(asked):
            outcomes = [outcomes[0] if outcomes else Outcome()] * len(asked)
        metrics.ROUTER_COUNTED.inc(len(asked))
        now = time.time()
        for one, outcome in zip(asked, outcomes, strict=True):
            source = self._source(one, outcome)
            goes_on = source is not None and source.lstrip().startswith("subscription")
            request = Request(
                source,
                one.operation_name,
                one.variables,
                *client,
                status,
                outcome.at or outcome.errors,
                None if goes_on else seconds,  # how long somebody listened is no duration
                now,
                executed=outcome.executed,
            )
            self._reports.record(request, weight // len(asked) + 500)

    def count_unread(
        self, reason: str, outcomes: Sequence[Outcome], client: Client, status: int, seconds: float | None
    ) -> None:
        """A request of which nothing could be read."""
        metrics.ROUTER_UNANALYSED.labels(reason).inc()
        self.count([Asked(None)], outcomes[:1], client, status, seconds, 0)

    def _source(self, asked: Asked, outcome: Outcome) -> str | None:
        source = self._documents.source(asked)
        if source is None and outcome.unknown_document:
            return NOTHING_EXECUTED
        if source is None and asked.document:
            metrics.ROUTER_UNANALYSED.labels("unknown_document").inc()
        return source
