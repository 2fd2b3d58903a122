"""Settings: one frozen dataclass per stage, each field with its default, unit and meaning.

They are read once, at start, from `FOREBAY_<STAGE>_<FIELD>` in the environment, and where that
says nothing from the TOML file that `FOREBAY_SETTINGS` names: a table for each stage, its fields
as keys.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .errors import Stop

S = TypeVar("S")

FILE = "FOREBAY_SETTINGS"


def setting(default: float | str, unit: str, meaning: str, choices: tuple[str, ...] = (), secret: bool = False) -> Any:
    """A field whose unit and meaning the documentation takes from here.

    A number must be positive, or its default.  What is `secret` may hold a password and is never shown.
    """
    told = {"unit": unit, "meaning": meaning, "choices": choices, "secret": secret}
    return dataclasses.field(default=default, metadata=told)


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

    batch_mib: int = setting(16, "MiB", "records that fill a batch")
    budget_mib: int = setting(64, "MiB", "records in memory that wait for their insert, all partitions together")
    linger: float = setting(0.5, "s", "longest time that a record waits for a batch to fill")
    retry: float = setting(30.0, "s", "pause before a loader that stopped begins again")


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """What the embedded journal keeps."""

    retention: float = setting(7 * 86_400, "s", "how long records that are in the store are kept for `verify`")


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """The journal on Kafka: how it is reached, and what its topics should be."""

    brokers: str = setting("", "host:port,…", "where the cluster is reached")
    options: str = setting(
        "{}", "JSON", "more options of librdkafka for every client, such as `security.protocol`", secret=True
    )
    protocol: str = setting(
        "auto", "", "of the consumer group; auto: KIP-848 where the brokers have it", ("auto", "consumer", "classic")
    )
    session: float = setting(45.0, "s", "silence after which a loader is taken for dead (KIP-848: the brokers decide)")
    delivery: float = setting(5.0, "s", "until an append that is not acknowledged fails; less than clients wait")
    partitions: int = setting(8, "partitions", "of the topic of tallies; each costs the store an insert of its own")
    replicas: int = setting(3, "brokers", "that hold each record")
    in_sync: int = setting(2, "brokers", "that must have a record before it is acknowledged")
    retention: float = setting(7 * 86_400, "s", "how long the topics keep records")
    retention_gib: float = setting(0, "GiB", "most that a partition keeps, whatever its age; 0: no bound")
    message_mib: int = setting(64, "MiB", "largest record")
    outage: float = setting(3 * 86_400, "s", "longest time without loading to be survived; `topics check` judges by it")
    loaders: int = setting(1, "processes", "`forebay load` that run at a time; `topics check` judges by it")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """ClickHouse as a server."""

    dsn: str = setting("", "URL", "http(s)://user:password@host:port/database?option=…", secret=True)
    reach: float = setting(900.0, "s", "how long after it was first sent an insert may be repeated, and is recognised")


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """What a router passes on, how long it waits, and how much of what passes it looks at."""

    upstream: str = setting("", "URL", "the GraphQL endpoint behind the router; its path is the one that is counted")
    schema: str = setting("", "path", "the schema in SDL, or a supergraph; none: the upstream's introspection")
    documents: str = setting("", "path", "trusted documents by their identifiers, as JSON")
    paths: str = setting("", "/path,…", "more paths whose requests are counted")
    host: str = setting("upstream", "", "whose name the upstream sees as Host", ("upstream", "client"))
    connect: float = setting(5.0, "s", "until a connection to the upstream must stand; else 502")
    answer: float = setting(60.0, "s", "until the upstream must begin to answer; else 504")
    keep_alive: float = setting(4.0, "s", "how long idle connections are kept; less than the upstream keeps them")
    requests: int = setting(5_000, "requests", "in flight at a time, WebSockets too; more are refused with 503")
    head_kib: int = setting(64, "KiB", "longest request line or header; longer ones are refused with 400")
    look_kib: int = setting(1024, "KiB", "of each request, answer and message that is looked at; all of it passes")
    budget_mib: int = setting(64, "MiB", "all that is being looked at at a time")
    documents_mib: int = setting(16, "MiB", "persisted documents that are remembered")
    drain: float = setting(20.0, "s", "for what is in flight when the router is stopped; then it is cut off")
    refresh: float = setting(300.0, "s", "between two looks whether the schema has changed")
    hold: float = setting(30.0, "s", "that requests are held for want of the schema; later ones are not analysed")
    headers: str = setting("{}", "JSON", "headers of the introspection, such as `authorization`", secret=True)


STAGES = (
    *(CollectorSettings, SpillSettings, LoaderSettings, JournalSettings, KafkaSettings, StoreSettings),
    RouterSettings,
)


def table() -> str:
    """Every setting as rows of a Markdown table: variable, default, unit, meaning."""
    return "".join(
        f"| `{variable(kind, field)}` | {_shown(field.default)} | {_unit(field)} | {field.metadata['meaning']} |\n"
        for kind in STAGES
        for field in dataclasses.fields(kind)
    )


def variable(kind: type, field: dataclasses.Field[Any]) -> str:
    """The environment variable of one setting."""
    return f"FOREBAY_{kind.__name__.removesuffix('Settings')}_{field.name}".upper()


def given(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the file says, and over it the environment, by variable.  Stop for a file that is no settings."""
    file = environment.get(FILE)
    return _of_file(Path(file)) | dict(environment) if file else dict(environment)


def _of_file(path: Path) -> dict[str, str]:
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, ValueError) as exc:
        raise Stop(f"{FILE}: {path} cannot be read: {exc}") from None
    known = {variable(kind, field) for kind in STAGES for field in dataclasses.fields(kind)}
    found = {}
    for stage, table in tables.items():
        for field, value in table.items() if isinstance(table, dict) else [("", table)]:
            name = f"FOREBAY_{stage}_{field}".upper()
            if name not in known:
                raise Stop(f"{path}: [{stage}] {field} is no setting; `forebay settings` lists them")
            found[name] = str(value)
    return found


def read(kind: type[S], environment: Mapping[str, str] = os.environ) -> S:
    """The settings of one stage; Stop names the variable that does not fit."""
    said = given(environment)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # every stage's settings are a dataclass
        name = variable(kind, field)
        if (text := said.get(name)) is not None:
            values[field.name] = (
                _text(name, text, field) if isinstance(field.default, str) else _number(name, text, field)
            )
    return kind(**values)


def _text(name: str, text: str, field: dataclasses.Field[Any]) -> str:
    if field.metadata["choices"] and text not in field.metadata["choices"]:
        raise Stop(f"{name} is {text!r}, which is none of {_unit(field)}")
    return text


def _number(name: str, text: str, field: dataclasses.Field[Any]) -> float:
    try:
        number = int(text) if isinstance(field.default, int) else float(text)
    except ValueError:
        raise Stop(f"{name} is {text!r}, which is no number of {field.metadata['unit']}") from None
    if number <= 0 and number != field.default:
        raise Stop(f"{name} must be more than 0")
    return number


def _unit(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata["unit"]) or ", ".join(field.metadata["choices"])


def _shown(default: Any) -> str:
    return default or "none" if isinstance(default, str) else f"{default:,}"
