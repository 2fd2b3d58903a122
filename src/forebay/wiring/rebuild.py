"""A rebuild on a data directory, or on a fleet's Kafka and ClickHouse where the settings name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from .. import settings
from ..collector.admission import MIB
from ..core.record import TOPICS
from ..datadir import is_one, open_directory
from ..errors import Stop
from ..insights.window import KEPT
from ..journal.port import Journal
from ..journal.sqlite import SqliteJournal
from ..loader.rebuild import Rebuilding
from ..store.clickhouse import ClickHouse
from ..store.orphans import forget_orphans
from ..store.refill import Refill
from ..store.window import EMBEDDED, Window
from . import embedded, fleet
from .loading import GROUP


@contextmanager
def rebuilding(data: Path, tell: Callable[[str], None]) -> Iterator[Rebuilding]:
    """Stop or RetryLater if journal or store can't be opened."""
    kafka = settings.read(settings.KafkaSettings)
    if kafka.brokers:
        tell(f"on Kafka at {kafka.brokers} and the ClickHouse of its fleet")
        with closing(fleet.journal()) as journal, closing(fleet.store()) as store:
            yield _rebuilding(journal, store, fleet.PIPELINE, fleet.replayable(), tell)
        return
    if not is_one(data):
        raise Stop(f"{data} is no data directory: name it with --data, or a fleet's Kafka in FOREBAY_KAFKA_BROKERS")
    tell(f"on {data}")
    with open_directory(data) as directory, closing(SqliteJournal(directory.journal, TOPICS)) as journal:
        forget_orphans(directory.store)
        with closing(ClickHouse(f"chdb:{directory.store}")) as store:
            store.migrate()
            yield _rebuilding(journal, store, embedded.PIPELINE, EMBEDDED, tell)


def _rebuilding(
    journal: Journal, store: ClickHouse, pipeline: str, window: Window, tell: Callable[[str], None]
) -> Rebuilding:
    refill = Refill(store, window, datetime.now(UTC).date() - KEPT)
    batch = settings.read(settings.LoaderSettings).batch_mib * MIB
    return Rebuilding(journal, store, refill, GROUP, pipeline, batch, tell)
