"""Strawberry: one line reports what its requests use.

    from forebay.agent.integrations.strawberry import Forebay

    schema = strawberry.Schema(Query, extensions=[Forebay()])

The collector's address and token are FOREBAY_URL and FOREBAY_TOKEN, unless given here.  Keep
the object to `flush` or `close` it: `forebay = Forebay(); …; forebay.close()`.

Every request counts, those that don't parse or validate too.  A subscription counts once, when
it starts, without a duration.  Answers are never altered.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any, Final

from graphql import specified_rules

from ..outcomes import Sample
from . import missing
from .executions import counting
from .reporters import Reporters, at_a_field

try:
    from strawberry.extensions import SchemaExtension
    from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
    from strawberry.types.execution import ExecutionContext
    from strawberry.types.graphql import OperationType
except ModuleNotFoundError as exc:
    raise missing("strawberry", exc) from exc

_SPECIFIED: Final = frozenset(specified_rules)


class Forebay(Reporters):
    """An entry of a schema's `extensions`: makes one extension per request.

    `client` tells who asks, given the execution's context.  `options` are those of Reporter.
    """

    def __call__(self, *, execution_context: ExecutionContext | None = None) -> SchemaExtension:
        if (sample := self.sample()) is not None:
            return _Sampling(self, sample)
        known = self._reporters
        streams = not known or any(schema.subscription_type is not None for schema in list(known))
        return _Streaming(self) if streams else _Recording(self)

    def record(
        self,
        context: ExecutionContext,
        status: int,
        errors: bool | list[Any] | None,
        seconds: float | None,
        sample: Sample | None = None,
    ) -> None:
        """Count one request, unless it has no document (a probe of the address, say); never raises.

        `errors` is True where execution may have begun and did not come to its end.
        """
        try:
            source = _source(context)
            if not source:
                return
            reporter = self._reporter(context.schema._schema, context.schema.as_str)
            client, client_version = self._client_of(context.context)
            reporter.record(
                source,
                context.operation_name,  # strawberry runs the first operation where none is named
                context.variables,
                client=client,
                client_version=client_version,
                status=status,
                errors=errors,
                seconds=seconds,
                validated=_validated(context, source),
                executed=status == 200 and (errors is True or at_a_field(errors or ())),
                executions=sample,
            )
        except Exception as exc:
            self.faults.note("strawberry", exc)


class _Recording(SchemaExtension):
    """Each further hook costs a request as much as all that is done in it."""

    def __init__(self, forebay: Forebay, sample: Sample | None = None) -> None:
        self._forebay, self._recorded, self._sample = forebay, False, sample

    def on_operation(self) -> Iterator[None]:
        began, status = perf_counter(), 200
        errors: bool | list[Any] | None = True
        try:
            yield
            errors = _errors_of(self.execution_context)
        except (CannotGetOperationTypeError, InvalidOperationTypeError):
            status = 400
            raise
        finally:
            if not self._recorded:
                self._record(status, errors, perf_counter() - began)

    def _record(self, status: int, errors: bool | list[Any] | None, seconds: float | None) -> None:
        self._recorded = True
        self._forebay.record(self.execution_context, status, errors, seconds, self._sample)


class _Streaming(_Recording):
    """Of a schema that has subscriptions, which count when they start."""

    def on_execute(self) -> Iterator[None]:
        yield
        if self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            self._record(200, False, None)


class _Sampling(_Streaming):
    """Of a request whose resolvers are counted; the others are not asked for each field."""

    def __init__(self, forebay: Forebay, sample: Sample) -> None:
        super().__init__(forebay, sample)
        self._resolve = counting(sample, forebay.faults)

    def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        return self._resolve(_next, root, info, *args, **kwargs)


def _errors_of(context: ExecutionContext) -> list[Any] | None:
    result = getattr(context.result, "initial_result", context.result)
    return context.pre_execution_errors or getattr(result, "errors", None)


def _validated(context: ExecutionContext, source: str) -> bool:
    """Was it this text that was validated, by all rules of the specification, and found valid?"""
    # None where nothing validated, and other errors than none where the execution has some.
    if context.pre_execution_errors != []:
        return False
    location = context.graphql_document.loc if context.graphql_document else None
    if location is None or location.source.body != source:
        return False
    rules = context.validation_rules
    return rules == specified_rules or _SPECIFIED.issubset(rules)  # the first is what is there mostly, and faster


def _source(context: ExecutionContext) -> str:
    """The document's text; of a document that an extension supplied, such as a persisted one, its own."""
    if context.query:
        return context.query
    location = context.graphql_document.loc if context.graphql_document else None
    return location.source.body if location else ""
