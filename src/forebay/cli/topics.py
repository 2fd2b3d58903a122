"""`forebay topics`: what the topics should be, make them so, and what is dangerous about what they are."""

from __future__ import annotations

import typer

from ..wiring import topics

app = typer.Typer(no_args_is_help=True, help="The topics in Kafka: plan, apply, check.")


@app.command()
def plan() -> None:
    """Print what the topics should be."""
    for topic in topics.plan():
        typer.echo(topic)


@app.command()
def apply() -> None:
    """Create what is missing, alter what differs, add partitions; never remove anything."""
    for step in topics.apply() or ["nothing to do"]:
        typer.echo(step)


@app.command()
def check() -> None:
    """Compare the topics with the plan, and say what is dangerous.  Exit code 1 if anything is found."""
    findings = topics.check()
    for finding in findings:
        typer.echo(finding)
    if findings:
        raise typer.Exit(1)
    typer.echo("the topics are as planned")
