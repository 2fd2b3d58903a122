"""`forebay explain`: what an operation would be recorded as, without any server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ..agent.explain import explain as explained
from ..agent.extract import Extractor
from ..errors import Stop
from ..insights.published import build
from .files import text_of
from .tables import terminal


def explain(
    schema: Annotated[Path, typer.Option(help="The schema, in SDL.")],
    operation: Annotated[Path, typer.Option(help="The GraphQL document.")],
    variables: Annotated[Path | None, typer.Option(help="The variables, as a JSON object.")] = None,
    name: Annotated[str | None, typer.Option(help="Which operation of the document.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what an operation would be recorded as: its shape, coordinates and states."""
    extractor = Extractor(build(text_of(schema), f"schema in {schema}", strict=False))
    answer = explained(extractor, text_of(operation), _variables(variables), name)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    console = terminal()
    state = answer["type"]
    if answer["invalid"]:
        state = "does not parse, validate or say which operation is meant: requests count, nothing is used"
    console.print(f"[bold]{answer['name'] or '(anonymous)'}[/]  {state}  shape {answer['shape']}", highlight=False)
    table = Table("kind", "coordinate", "type", "states")
    for entry in answer["entries"]:
        states = [*entry["states"], *(["nullable variable"] if entry["nullable_variable"] else [])]
        table.add_row(entry["kind"], entry["coordinate"], entry["named_type"], ", ".join(states))
    console.print(table)
    console.print(answer["document"], highlight=False, markup=False)


def _variables(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        variables = json.loads(text_of(path))
    except ValueError as exc:
        raise Stop(f"{path} is no JSON: {exc}") from exc
    if not isinstance(variables, dict):
        raise Stop(f"{path} must hold one JSON object")
    return variables
