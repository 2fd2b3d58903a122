"""Makes the tables, upgrades them, and checks that they are fit for exactly-once.

Every statement may be repeated, and two processes may run them at once: what is there is left
alone.  A migration counts as done when all its statements are.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Container, Iterator, Mapping
from typing import Any, Protocol

from ..errors import Stop
from . import landing
from .condition import State
from .window import Window

ENGINES = "SELECT name, engine, engine_full FROM system.tables WHERE database = {database:String} ORDER BY name"


class Tables(Protocol):
    """A database of a store."""

    @property
    def database(self) -> str: ...

    def command(self, sql: str, *, inside: bool = True) -> None: ...

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]: ...


def migrate(tables: Tables, window: Window, restore: Container[str] = ()) -> None:
    """Create what is missing and widen what remembers too little; Stop if it then still does not fit.

    What was dropped stays away, see `dropped`; but for what is to be restored, empty.
    """
    tables.command(f"CREATE DATABASE IF NOT EXISTS {tables.database}", inside=False)
    tables.command("CREATE TABLE IF NOT EXISTS migrations (number UInt32) ENGINE = MergeTree ORDER BY number")
    done = _done(tables)
    for table in landing.TABLES:
        tables.command(landing.create_table(table))
    for number, script in _scripts().items():
        for statement in _statements(script):
            if number not in done or _made_by(statement) in restore:
                tables.command(statement)
        if number not in done:
            tables.command(f"INSERT INTO migrations VALUES ({number})")
    ours = _made_here()
    for name, engine, settings in _merge_trees(tables):
        wanted = _remembers(engine, window) if name in ours else {}
        # Without replicas an insert must survive the loss of power by itself: the loader is about to confirm it.
        durable = {} if _shared(engine) else {"fsync_after_insert": 1, "fsync_part_directory": 1}
        change = {key: value for key, value in (wanted | durable).items() if settings.get(key, 0) < value}
        if change:
            listed = ", ".join(f"{key} = {value}" for key, value in change.items())
            tables.command(f"ALTER TABLE {name} MODIFY SETTING {listed}")
    check_windows(tables, window)


def check_schema(tables: Tables) -> None:
    """Stop unless the tables are those of this very Forebay."""
    if missing := _scripts().keys() - _done(tables):
        raise Stop(
            f"the store was made by an older Forebay (it lacks migration {min(missing)}): run `forebay migrate`",
            reason=State.OTHER_SCHEMA_VERSION,
        )
    if gone := dropped(tables):
        names = ", ".join(sorted(gone))
        raise Stop(f"the store lacks {names}: `forebay rebuild` makes it anew", reason=State.MISSING_TABLE)


def dropped(tables: Tables) -> set[str]:
    """Tables and views that were dropped.  An empty one in their place would pass for the truth."""
    return _made_here() - {row["name"] for row in tables.query(ENGINES, {"database": tables.database})}


def check_windows(tables: Tables, window: Window) -> None:
    """Stop unless every table remembers inserts for as long as they can be replayed.

    Tables that others made count too: whatever hangs on a landing table takes part in a retry.
    """
    short = [
        name
        for name, engine, settings in _merge_trees(tables)
        if name != "migrations"
        and any(settings.get(key, 0) < value for key, value in _remembers(engine, window).items())
    ]
    if short:
        raise Stop(
            f"the deduplication window of {', '.join(short)} is too short for a replay, which would count twice:"
            " run `forebay migrate`, or alter the tables that are not Forebay's"
        )


def _done(tables: Tables) -> set[int]:
    done = {row["number"] for row in tables.query("SELECT number FROM migrations")}
    if done - _scripts().keys():
        raise Stop(
            f"the store was made by a newer Forebay (migration {max(done)}): upgrade to open it",
            reason=State.OTHER_SCHEMA_VERSION,
        )
    return done


def _scripts() -> dict[int, str]:
    """The migrations, by number."""
    files = importlib.resources.files(__package__).joinpath("migrations").iterdir()
    scripts = sorted((file for file in files if file.name.endswith(".sql")), key=lambda file: file.name)
    return {int(file.name[:4]): file.read_text() for file in scripts}


def _statements(script: str) -> Iterator[str]:
    """The statements of a migration; one that was cut short goes on where it stopped."""
    for text in re.sub(r"--.*", "", script).split(";"):
        if statement := re.sub(r"^CREATE ((MATERIALIZED )?VIEW|TABLE) ", r"CREATE \1 IF NOT EXISTS ", text.strip()):
            tables = landing.RANGED if "{landing}" in statement else ("",)
            yield from (statement.replace("{landing}", table) for table in tables)


def _made_here() -> set[str]:
    """The names of all tables and views."""
    statements = (statement for script in _scripts().values() for statement in _statements(script))
    return set(landing.TABLES) | {made for statement in statements if (made := _made_by(statement))}


def _made_by(statement: str) -> str:
    """The name of what a statement creates, or adds a column to; empty if it does neither."""
    made = re.match(r"(?:CREATE (?:MATERIALIZED VIEW|VIEW|TABLE) IF NOT EXISTS|ALTER TABLE) (\w+)", statement)
    return made[1] if made else ""


def _merge_trees(tables: Tables) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Name, engine and settings of every table that keeps rows."""
    for row in tables.query(ENGINES, {"database": tables.database}):
        if row["engine"].endswith("MergeTree"):
            settings = re.findall(r"(\w+) = (\d+)", row["engine_full"].partition(" SETTINGS ")[2])
            yield row["name"], row["engine"], {key: int(value) for key, value in settings}


def _shared(engine: str) -> bool:
    return engine.startswith(("Replicated", "Shared"))


def _remembers(engine: str, window: Window) -> dict[str, int]:
    """The settings that make a table of this engine remember inserts."""
    if _shared(engine):
        return {
            "replicated_deduplication_window": window.parts,
            "replicated_deduplication_window_seconds": window.seconds,
        }
    return {"non_replicated_deduplication_window": window.parts}
