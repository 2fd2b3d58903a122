"""Ariadne: an extension, and the hook at which Ariadne shows the request to validation.

    from forebay.agent.integrations.ariadne import Forebay

    forebay = Forebay(schema)
    app = GraphQL(
        schema,
        validation_rules=forebay.rules,
        http_handler=GraphQLHTTPHandler(extensions=[forebay]),
    )

Both are needed: an extension learns how a request ends but not what it asks, and it does not run
for subscriptions.  Requests that don't parse or validate count too.  A subscription counts once,
when it starts, without a duration.  Answers are never altered, and no resolver is wrapped but in
requests that are sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from graphql import DocumentNode, GraphQLSchema

from ..http_request import NOTHING_EXECUTED
from ..outcomes import Sample
from . import missing
from .executions import counting
from .reporters import Reporters, at_a_field

try:
    from ariadne.types import Extension
except ModuleNotFoundError as exc:
    raise missing("ariadne", exc) from exc

Rules = Collection[Any] | Callable[..., Any] | None

_running: ContextVar[_Recording | None] = ContextVar("forebay_ariadne", default=None)


class Forebay(Reporters):
    """An entry of a server's `extensions`: makes one extension per request.  `rules` is its `validation_rules`.

    `validation_rules` are the host's own.  `client` tells who asks, given the execution's
    context.  `options` are those of Reporter.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        url: str | None = None,
        token: str | None = None,
        *,
        validation_rules: Rules = None,
        **options: Any,
    ) -> None:
        super().__init__(url, token, **options)
        self._schema, self._rules = schema, validation_rules
        self.hooked = False

    def __call__(self) -> Extension:
        return _Recording(self)

    def rules(self, context: Any, document: DocumentNode, data: Any) -> Any:
        """Note what is asked, and give the host's rules; Ariadne calls it once for each document that parses."""
        self.hooked = True
        recording = _running.get()
        if recording is not None:
            recording.asked = document, data
        else:
            self.record((document, data), context, errors=None, seconds=None)
        return self._rules(context, document, data) if callable(self._rules) else self._rules

    def record(
        self,
        asked: tuple[DocumentNode, Any] | None,
        context: Any,
        errors: list[Any] | None,
        seconds: float | None,
        sample: Sample | None = None,
    ) -> None:
        """Count one request; never raises.  `asked` is None where validation was not reached."""
        try:
            if asked is not None:
                document, data = asked
                source = document.loc.source.body if document.loc else data.get("query") or None
                operation_name, variables = data.get("operationName"), data.get("variables")
            else:
                if not self.hooked:
                    self.faults.note("ariadne", "without validation_rules=forebay.rules it is not known what is asked")
                source = NOTHING_EXECUTED if errors and self.hooked else None
                operation_name = variables = None
            self.count(
                self._schema,
                source,
                operation_name,
                variables,
                context,
                errors=errors,
                seconds=seconds,
                executed=at_a_field(errors) if errors else False,
                executions=sample,
            )
        except Exception as exc:
            self.faults.note("ariadne", exc)


class _Recording(Extension):
    resolve: Any = None  # or graphql-core would call it for each field; only in a request that is sampled it does

    asked: tuple[DocumentNode, Any] | None = None
    _errors: list[Any] | None = None
    _sample: Sample | None = None

    def __init__(self, forebay: Forebay) -> None:
        self._forebay, self._began = forebay, perf_counter()
        if forebay.samples and (sample := forebay.sample()) is not None:
            self._sample, self.resolve = sample, counting(sample, forebay.faults)

    def request_started(self, context: Any) -> None:
        _running.set(self)

    def has_errors(self, errors: Any, context: Any) -> None:
        self._errors = errors

    def request_finished(self, context: Any) -> None:
        _running.set(None)
        self._forebay.record(self.asked, context, self._errors, perf_counter() - self._began, self._sample)
