"""A WSGI app for gunicorn, whose every worker is a client of its own in what is reported."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from graphql import build_schema, graphql_sync

from forebay.agent.exporter import Bounds
from forebay.agent.integrations.wsgi import Forebay

SCHEMA = build_schema("type Query { a: Int }")
BOUNDS = Bounds(timeout=1.0, first_pause=0.05, last_pause=0.3)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    body = json.dumps(graphql_sync(SCHEMA, asked["query"]).formatted).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Worker": str(os.getpid())}
    start_response("200 OK", list(headers.items()))
    return [body]


application = Forebay(app, SCHEMA, interval=0.3, bounds=BOUNDS, client=lambda environ: (str(os.getpid()), ""))
