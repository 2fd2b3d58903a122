"""Runs all benches, or those that are named, prints their results and keeps them in results.json."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .result import Result

BENCHES = (
    *("record", "overhead", "router", "identical", "ingest", "load", "cost", "check", "first_answer"),
    *("collect", "load_kafka", "fold", "partitions", "graphs", "catch_up", "store_away", "peers"),
)
FILE = Path(__file__).with_name("results.json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], metavar="NAME", help=", ".join(BENCHES))
    names = parser.parse_args().names or BENCHES
    console = Console()
    for name in names:
        begun = time.monotonic()
        with console.status(f"{name} …"):
            results = list(importlib.import_module(f".{name}", __package__).run())
        keep(name, results)
        console.print(table(f"{name} ({time.monotonic() - begun:.0f} s)", results))


def keep(bench: str, results: list[Result]) -> None:
    """Replace this bench's entries in the file, and no others."""
    held = json.loads(FILE.read_text()) if FILE.exists() else []
    others = [entry for entry in held if entry["name"].partition("/")[0] != bench]
    entries = [*others, *map(dataclasses.asdict, results)]
    entries.sort(key=lambda entry: BENCHES.index(entry["name"].partition("/")[0]))
    FILE.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n")


def table(title: str, results: list[Result]) -> Table:
    made = Table(title=title, title_justify="left")
    for column in ("name", "value", "unit", "against", "target", "holds"):
        made.add_column(column, justify="right" if column == "value" else "left", overflow="fold")
    for result in results:
        holds = {None: "", True: "[green]yes", False: "[bold red]NO"}[result.holds]
        made.add_row(result.name, f"{result.value:,.4g}", result.unit, result.against, result.target or "", holds)
    return made


if __name__ == "__main__":
    main()
