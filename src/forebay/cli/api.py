"""The JSON API as the commands see it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from ..access import Identity, Scope, SigningKeys
from ..datadir import keys_path
from ..errors import Stop

TIMEOUT = 120.0
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Server:
    """A running Forebay.  Without a token, a server on this machine is asked as its owner."""

    url: str
    token: str
    graph: str  # `org/graph`, or empty: the only one
    data: Path

    def get(self, question: str, **parameters: str | int | None) -> Any:
        given = {name: value for name, value in (parameters | self._scope()).items() if value is not None}
        return self._ask("GET", f"/api/v1/{question}", Scope.READ, params=given)

    def post(self, question: str, content: Any) -> Any:
        return self._ask("POST", f"/api/v1/{question}", Scope.READ, params=self._scope(), json=content)

    def publish(self, sdl: str) -> Any:
        return self._ask("POST", "/v1/schemas", Scope.WRITE, json={"sdl": sdl})

    def _scope(self) -> dict[str, str | int | None]:
        org, _, graph = self.graph.partition("/")
        if bool(org) != bool(graph):
            raise Stop("--graph must be ORG/GRAPH")
        return {"org": org, "graph": graph} if org else {}

    def _ask(self, method: str, path: str, scope: Scope, **request: Any) -> Any:
        headers = {"authorization": f"Bearer {token}"} if (token := self._token(scope)) else {}
        try:
            answer = httpx.request(method, self.url + path, headers=headers, timeout=TIMEOUT, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise Stop(f"no Forebay answers at {self.url} ({exc}); start one with `forebay up`, or give --url") from exc
        try:
            content = answer.json()
        except ValueError:
            raise Stop(f"{self.url} answered {answer.status_code}, and not as a Forebay does") from None
        if answer.status_code >= 400:
            raise Stop(_mistake(content, answer.status_code))
        return content

    def _token(self, scope: Scope) -> str:
        if self.token:
            return self.token
        own = keys_path(self.data)
        if scope is Scope.READ or urlsplit(self.url).hostname not in LOCAL or not own.exists():
            return ""
        org, _, graph = (self.graph or self._only_graph()).partition("/")
        return SigningKeys.load(own).create(Identity(org, graph, scope), ttl=60, now=time.time())

    def _only_graph(self) -> str:
        graphs = self._ask("GET", "/api/v1/graphs", Scope.READ)
        if len(graphs) > 1:
            names = ", ".join(f"{graph['org']}/{graph['graph']}" for graph in graphs)
            raise Stop(f"there are several graphs, choose one with --graph: {names}")
        return f"{graphs[0]['org']}/{graphs[0]['graph']}" if graphs else "default/default"


def _mistake(content: dict[str, Any], status: int) -> str:
    """The message of a refusal; of a schema with several errors, each on a line."""
    message, problems = content.get("message", f"status {status}"), content.get("problems", [])
    return message if len(problems) < 2 else "\n  ".join([f"{message.partition(': ')[0]}:", *problems])
