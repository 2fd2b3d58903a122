"""What every integration holds: a reporter for each schema, and the function that tells who asks.

Nothing here raises into the host: what fails is a fault, counted and logged seldom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from graphql import GraphQLSchema

from ..client_headers import Client
from ..faults import Faults
from ..outcomes import Sample, Sampling
from ..recorder import Request
from ..reporter import Reporter
from .clients import asgi_headers, client_of

MOST_SCHEMAS: Final = 64
"""A host that makes a schema for each request would have threads for each; it has to keep its schemas."""


class Reporters:
    """`client` tells who asks, of what the integration calls its context.  `options` are those of Reporter."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        client: Callable[[Any], Client] = client_of,
        **options: Any,
    ) -> None:
        self._client, self.faults = client, Faults()
        self._reporters: dict[GraphQLSchema, Reporter] = {}
        self._sampling = Sampling(options.pop("executions", 0.0))
        self.samples = self._sampling.weight > 0
        self._options = {"url": url, "token": token, **options}

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was recorded is acknowledged; False if that took longer than `timeout` seconds."""
        flushed = [reporter.flush(timeout) for reporter in list(self._reporters.values())]
        return all(flushed)

    def close(self, timeout: float = 5.0) -> bool:
        """Flush, then stop for good."""
        closed = [reporter.close(timeout) for reporter in list(self._reporters.values())]
        return all(closed)

    def status(self) -> list[dict[str, Any]]:
        """Reporter.status of each schema: mostly one, none before the first request."""
        return [reporter.status() for reporter in list(self._reporters.values())]

    def sample(self) -> Sample | None:
        """Reporter.sample, for a request that begins."""
        try:
            return self._sampling.draw()
        except Exception as exc:
            self.faults.note("executions", exc)
            return None

    def count(self, schema: GraphQLSchema, context: Any, request: Request) -> None:
        """Count one request, by the client of whom `context` tells.  Never raises."""
        try:
            if self._client is client_of:
                request.headers = asgi_headers(context)[0]
            if request.headers is None:
                client, client_version = self._client(context)
                request.client, request.client_version = client or "", client_version or ""
        except Exception as exc:
            self.faults.note("client", exc)
        try:
            reporter = self._reporters.get(schema) or self._new_reporter(schema)
            reporter.count(request)
        except Exception as exc:
            self.faults.note("integration", exc)

    def _new_reporter(self, schema: GraphQLSchema) -> Reporter:
        # Of two threads that both come first, one wins; the other's reporter never starts.  No lock: it could
        # be held while the process forks.
        if len(self._reporters) >= MOST_SCHEMAS:
            raise RuntimeError("more schemas than are reported")
        return self._reporters.setdefault(schema, Reporter(schema, **{"sdl": self._sdl(schema), **self._options}))

    def _sdl(self, schema: GraphQLSchema) -> Callable[[], str] | None:
        """What gives the schema's text, as Reporter takes it."""
        return None


def at_a_field(errors: Sequence[Any]) -> bool:
    """Did any of the errors arise at a field, so that execution had begun?"""
    return any(getattr(error, "path", None) for error in errors)
