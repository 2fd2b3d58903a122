"""What is deployed and documented names settings and commands that there are."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from typer.main import get_command

from forebay import settings
from forebay.access import COSMO_ENVIRONMENT, ENVIRONMENT
from forebay.cli import app

ROOT = Path(__file__).parent.parent
FILES = ("deploy/compose.yaml", "docs/operating.md", "README.md")
KNOWN = {settings.variable(kind, field) for kind in settings.STAGES for field in dataclasses.fields(kind)}
KNOWN |= {ENVIRONMENT, COSMO_ENVIRONMENT, settings.FILE, "FOREBAY_DATA", "FOREBAY_URL", "FOREBAY_TOKEN"}


@pytest.mark.parametrize("file", FILES)
def test_every_setting_that_it_names_exists(file: str) -> None:
    assert set(re.findall(r"FOREBAY_[A-Z_]+", (ROOT / file).read_text())) <= KNOWN


@pytest.mark.parametrize("file", FILES)
def test_every_command_that_it_names_exists(file: str) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]  # a group of commands
    text = (ROOT / file).read_text()
    named = set(re.findall(r"forebay ([a-z]+)(?=[ `\n·])", text)) | set(re.findall(r"command: \[([a-z]+)", text))
    assert named <= commands.keys() | {"is"}, named - commands.keys()
