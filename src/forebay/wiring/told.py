"""What the stages know, as metrics: read when Prometheus asks."""

from __future__ import annotations

import math

from .. import metrics
from ..insights.status import Status
from ..loader.loop import Progress
from ..store.condition import State


def tell_status(status: Status) -> None:
    """What nobody can tell at the moment has no value, rather than its last one."""
    for gauge in (metrics.LAG_RECORDS, metrics.LAG_SECONDS, metrics.LOSS_IN, metrics.UNDER_REPLICATED):
        gauge.clear()
    metrics.JOURNAL_UP.set(status.journal is not None)
    for lag in status.journal or ():
        labels = (lag.topic, str(lag.partition))
        metrics.LAG_RECORDS.labels(*labels).set(lag.lag_records)
        metrics.LAG_SECONDS.labels(*labels).set(lag.lag_seconds)
        metrics.LOSS_IN.labels(*labels).set(math.inf if lag.loss_in is None else lag.loss_in)
        metrics.UNDER_REPLICATED.labels(lag.topic).set(0)
    for partition in status.under_replicated or ():
        metrics.UNDER_REPLICATED.labels(partition.rpartition("/")[0]).inc()
    metrics.STORE_PARTS.clear()
    metrics.STORE_DEAD_LETTERS.clear()
    for state in State:
        metrics.STORE_STATE.labels(state).set(state is status.condition.state)
    for part in status.store or ():
        metrics.STORE_PARTS.labels(part.table).set(part.most_in_a_partition)
    for letters in status.dead_letters or ():
        metrics.STORE_DEAD_LETTERS.labels(letters.topic, letters.reason).set(letters.letters)
    metrics.STORE_LOST_RECORDS.set(math.nan if status.lost_records is None else status.lost_records)


def tell_progress(progress: Progress) -> None:
    metrics.LOADED.set(progress.records)
    metrics.LOADED_REQUESTS.set(progress.requests)
    metrics.INSERTS.set(progress.inserts)
    metrics.DEAD_LETTERS.set(progress.dead_letters)
    metrics.LOST_RECORDS.set(progress.lost_records)
    metrics.FAILING.set(bool(progress.trouble))
