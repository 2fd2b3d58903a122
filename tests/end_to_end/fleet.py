"""A fleet as an operator runs it: processes of the command line, a real Kafka, ClickHouse's engine behind HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from faults.pipeline import free_port
from front.control import Front
from kafka.broker import Broker

from forebay.access import Identity, Scope, SigningKeys
from forebay.core.record import TOPICS

FOREBAY = [sys.executable, "-m", "forebay"]
KEYS = "k1:" + "s" * 40


@dataclass(slots=True)
class Member:
    """One process of the fleet."""

    command: str
    data: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Member:
        arguments = [*FOREBAY, self.command, "--data", str(self.data), "--port", str(self.port)]
        self.process = subprocess.Popen(arguments, env=self.environment, stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, f"{self.command} did not start"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.communicate()

    def stop(self) -> str:
        """SIGTERM; what it says in the end."""
        assert self.process
        self.process.terminate()
        said, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, said
        return said

    def _answers(self) -> bool:
        try:
            httpx.get(f"{self.url}/health", timeout=5)
        except httpx.HTTPError:
            return False
        return True


class Fleet:
    """Its members share Kafka, ClickHouse and the keys, and nothing else."""

    def __init__(self, folder: Path, broker: Broker | None, front: Front, database: str) -> None:
        self._folder, self._broker = folder, broker
        self.members: list[Member] = []
        self.environment = os.environ | {
            "FOREBAY_KAFKA_BROKERS": broker.bootstrap if broker else "127.0.0.1:1",
            "FOREBAY_KAFKA_REPLICAS": "1",
            "FOREBAY_KAFKA_IN_SYNC": "1",
            "FOREBAY_KAFKA_PARTITIONS": "3",
            "FOREBAY_KAFKA_SESSION": "3",
            "FOREBAY_STORE_DSN": front.dsn(database),
            "FOREBAY_SIGNING_KEYS": KEYS,
            "FOREBAY_LOADER_RETRY": "1",
        }

    def token(self, scope: Scope = Scope.WRITE) -> str:
        return SigningKeys(dict([KEYS.split(":")])).create(Identity("acme", "shop", scope), 3600)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        return subprocess.run([*FOREBAY, *arguments], env=self.environment, capture_output=True, text=True, timeout=120)

    def start(self, command: str) -> Member:
        data = self._folder / f"{command}-{len(self.members)}"
        self.members.append(Member(command, data, self.environment).start())
        return self.members[-1]

    def end(self) -> None:
        """Topics have the same names in every fleet: the next one makes its own."""
        for member in self.members:
            if member.process and member.process.poll() is None:
                member.kill()
        if self._broker:
            there = self._broker.admin.list_topics(timeout=10).topics
            for topic in there.keys() & set(TOPICS):
                self._broker.delete(topic)


def loaded(console: Member) -> Any:
    """`verify`, once nothing is left to load."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        status = httpx.get(f"{console.url}/api/v1/status", timeout=60).raise_for_status().json()
        if status["lag_records"] == 0:
            return httpx.get(f"{console.url}/api/v1/verify", timeout=60).raise_for_status().json()
        time.sleep(0.2)
    raise TimeoutError("the backlog was not loaded")
