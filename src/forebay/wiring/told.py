"""What the stages know, as metrics: read when Prometheus asks."""

from __future__ import annotations

import math

from .. import metrics
from ..insights.insights import Insights
from ..loader.loop import Progress


def tell_lags(insights: Insights) -> None:
    for lag in insights.lags():
        labels = (lag.topic, str(lag.partition))
        metrics.LAG_RECORDS.labels(*labels).set(lag.lag_records)
        metrics.LAG_SECONDS.labels(*labels).set(lag.lag_seconds)
        metrics.LOSS_IN.labels(*labels).set(math.inf if lag.loss_in is None else lag.loss_in)


def tell_progress(progress: Progress) -> None:
    metrics.LOADED.set(progress.records)
    metrics.LOADED_REQUESTS.set(progress.requests)
    metrics.INSERTS.set(progress.inserts)
    metrics.DEAD_LETTERS.set(progress.dead_letters)
    metrics.LOST_RECORDS.set(progress.lost_records)
    metrics.FAILING.set(bool(progress.trouble))
