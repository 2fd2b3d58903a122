"""Settings: one frozen dataclass per stage, each field with its default, unit and meaning.

They are read once, at start, from `FOREBAY_<STAGE>_<FIELD>` in the environment.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import Stop

S = TypeVar("S")


def setting(default: float, unit: str, meaning: str) -> Any:
    """A field whose unit and meaning the documentation takes from here."""
    return dataclasses.field(default=default, metadata={"unit": unit, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """What one report, and all that are taken in at once, may cost."""

    compressed_mib: int = setting(16, "MiB", "largest body of a report as sent")
    plain_mib: int = setting(64, "MiB", "largest body of a report once decompressed")
    entries: int = setting(50_000, "tallies", "most tallies in a report")
    budget_mib: int = setting(512, "MiB", "all bodies that are being taken in at a time")


@dataclass(frozen=True, slots=True)
class SpillSettings:
    """What a collector writes to its own disk while the journal is slow or away."""

    after: float = setting(2.0, "s", "how long the journal may take before a report goes to the collector's disk")
    segment_mib: int = setting(64, "MiB", "size of one file of the spill")
    total_mib: int = setting(1024, "MiB", "all files of the spill; beyond it reports are refused with 503")


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """When the loader inserts."""

    batch_mib: int = setting(8, "MiB", "records that fill a batch")
    budget_mib: int = setting(64, "MiB", "records in memory that wait for their insert, all partitions together")
    linger: float = setting(0.5, "s", "longest time that a record waits for a batch to fill")
    retry: float = setting(30.0, "s", "pause before a loader that stopped begins again")


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """What the embedded journal keeps."""

    retention: float = setting(7 * 86_400, "s", "how long records that are in the store are kept for `verify`")


STAGES = (CollectorSettings, SpillSettings, LoaderSettings, JournalSettings)


def table() -> str:
    """Every setting as rows of a Markdown table: variable, default, unit, meaning."""
    return "".join(
        f"| `{variable(kind, field)}` | {field.default:,} | {field.metadata['unit']} | {field.metadata['meaning']} |\n"
        for kind in STAGES
        for field in dataclasses.fields(kind)
    )


def variable(kind: type, field: dataclasses.Field[Any]) -> str:
    """The environment variable of one setting."""
    return f"FOREBAY_{kind.__name__.removesuffix('Settings')}_{field.name}".upper()


def read(kind: type[S], environment: Mapping[str, str] = os.environ) -> S:
    """The settings of one stage; Stop names the variable that does not fit."""
    given: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # every stage's settings are a dataclass
        name = variable(kind, field)
        if (text := environment.get(name)) is not None:
            try:
                given[field.name] = int(text) if isinstance(field.default, int) else float(text)
            except ValueError:
                raise Stop(f"{name} is {text!r}, which is no number of {field.metadata['unit']}") from None
            if given[field.name] <= 0:
                raise Stop(f"{name} must be more than 0")
    return kind(**given)
