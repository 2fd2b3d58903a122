"""A real service behind routers: one for all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from faults.pipeline import free_port

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def service() -> Iterator[int]:
    """The port of the Strawberry service."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    process = subprocess.Popen([sys.executable, "-m", "router.service", str(port)], env=environment)
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/graphql", timeout=5)
                break
            except httpx.HTTPError:
                assert process.poll() is None
                with_pause(process)
        yield port
    finally:
        process.kill()
        process.wait()


def with_pause(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return
