"""A fleet as an operator runs it: processes of the command line, a real Kafka, ClickHouse's engine behind HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from front.control import Front
from kafka.broker import Broker

from forebay.access import Identity, Scope, SigningKeys
from forebay.core.record import TOPICS

from .member import Member, Mutation

KEYS = "k1:" + "s" * 40
YEAR = 365 * 86_400
_asking = httpx.Client(timeout=60)  # to make one costs more than to ask


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
        return SigningKeys(dict([KEYS.split(":")])).create(Identity("acme", "shop", scope), YEAR)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        command = [sys.executable, "-m", "forebay", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)

    def start(self, command: str, mutation: Mutation | None = None, **environment: str) -> Member:
        """One more member; `environment` is what it has of its own."""
        data = self._folder / f"{command}-{len(self.members)}"
        self.members.append(Member(command, data, self.environment | environment, mutation).start())
        return self.members[-1]

    def end(self) -> None:
        """Topics have the same names in every fleet: the next one makes its own."""
        for member in self.members:
            if not member.dead():
                member.kill()
        if self._broker:
            there = self._broker.admin.list_topics(timeout=10).topics
            for topic in there.keys() & set(TOPICS):
                self._broker.delete(topic)


def ask(console: Member, question: str) -> Any:
    """An answer of the console's JSON API."""
    return _asking.get(f"{console.url}/api/v1/{question}").raise_for_status().json()


def loaded(console: Member) -> Any:
    """`verify`, once nothing is left to load."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if ask(console, "status")["lag_records"] == 0:
            return ask(console, "verify")
        time.sleep(0.2)
    raise TimeoutError("the backlog was not loaded")
