"""A collector's limits, as the settings say."""

from __future__ import annotations

from .. import settings
from ..collector.admission import MIB, Limits


def limits() -> Limits:
    own = settings.read(settings.CollectorSettings)
    return Limits(own.compressed_mib * MIB, own.plain_mib * MIB, own.entries, own.budget_mib * MIB)
