"""Strawberry: one line reports what its requests use.

    from forebay.agent.integrations.strawberry import Forebay

    schema = strawberry.Schema(Query, extensions=[Forebay()])

The collector's address and token are FOREBAY_URL and FOREBAY_TOKEN, unless given here.  Keep
the object to `flush` or `close` it: `forebay = Forebay(); …; forebay.close()`.

Every request counts, those that don't parse or validate too.  A subscription counts once, when
it starts, without a duration.  Answers are never altered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, Final

from graphql import GraphQLSchema, specified_rules

from ..outcomes import Sample
from ..recorder import Request
from ..reporter import Reporter
from . import missing
from .executions import counting
from .reporters import Reporters, at_a_field

try:
    from strawberry.extensions import SchemaExtension
    from strawberry.types.execution import ExecutionContext
    from strawberry.types.graphql import OperationType
except ModuleNotFoundError as exc:
    raise missing("strawberry", exc) from exc

_SPECIFIED: Final = frozenset(specified_rules)


class Forebay(Reporters):
    """An entry of a schema's `extensions`: makes one extension per request.

    `client` tells who asks, given the execution's context.  `options` are those of Reporter.
    """

    _streams = True  # until a schema is known

    def __call__(self, *, execution_context: ExecutionContext | None = None) -> SchemaExtension:
        if self.samples and (sample := self.sample()) is not None:
            return _Sampling(self, sample)
        return _Streaming(self) if self._streams else _Recording(self)

    def _refuse(self, _: object) -> None:
        raise TypeError("give strawberry an object, extensions=[Forebay()], and not the class")

    execution_context = property(None, _refuse)  # strawberry sets it of what it takes for an extension

    def _new_reporter(self, schema: GraphQLSchema) -> Reporter:
        reporter = super()._new_reporter(schema)
        self._streams = any(known.subscription_type is not None for known in list(self._reporters))
        return reporter

    def _sdl(self, schema: GraphQLSchema) -> Callable[[], str]:
        sdl: Callable[[], str] = schema._strawberry_schema.as_str  # type: ignore[attr-defined]
        return sdl


class _Recording(SchemaExtension):
    """Has no hook, each of which costs a request more than all that is done here.

    Strawberry asks each extension for results when a request has its own.  One that never has any, because it
    names no existing operation, its client went away, or it is delivered in parts, counts when its extension is
    let go of.
    """

    _recorded = False
    _sample: Sample | None = None

    def __init__(self, forebay: Forebay) -> None:
        self._forebay, self._began = forebay, perf_counter()

    def get_results(self) -> dict[str, Any]:
        if not self._recorded:
            self._record(perf_counter() - self._began)
        return {}

    def __del__(self) -> None:
        if not self._recorded and hasattr(self, "execution_context"):
            self._record(perf_counter() - self._began)

    def _record(self, seconds: float | None) -> None:
        """Count the request, unless it has no document (a probe of the address, say); never raises."""
        self._recorded, forebay, context, status = True, self._forebay, self.execution_context, 200
        errors: bool | list[Any] | None = context.pre_execution_errors  # True: of what may have begun and did not end
        try:
            if not errors and context.result is not None:
                errors = getattr(context.result, "initial_result", context.result).errors
            elif not errors:
                status, errors, seconds = _unfinished(context, seconds)
        except Exception as exc:
            forebay.faults.note("strawberry", exc)
        try:
            if source := context.query or _source(context):
                request = Request(
                    source,
                    context.operation_name,  # strawberry runs the first operation where none is named
                    context.variables,
                    status=status,
                    errors=errors,
                    seconds=seconds,
                    validated=_validated(context, source),
                    executed=bool(errors) and status == 200 and _executed(errors),
                    executions=self._sample,
                )
                forebay.count(context.schema._schema, context.context, request)
        except Exception as exc:
            forebay.faults.note("strawberry", exc)


class _Streaming(_Recording):
    """Of a schema that has subscriptions, which count when they start."""

    def on_execute(self) -> Iterator[None]:
        yield
        if not self._recorded and self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            self._record(None)


class _Sampling(_Streaming):
    """Of a request whose resolvers are counted; the others are not asked for each field."""

    def __init__(self, forebay: Forebay, sample: Sample) -> None:
        super().__init__(forebay)
        self._sample, self._resolve = sample, counting(sample, forebay.faults)

    def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        return self._resolve(_next, root, info, *args, **kwargs)


def _unfinished(context: ExecutionContext, seconds: float | None) -> tuple[int, bool, float | None]:
    """Status, errors and duration of a request that has neither a result nor errors."""
    if context.graphql_document is None:
        return 200, True, seconds
    try:
        type_ = context.operation_type
    except RuntimeError:  # the document has no such operation
        return 400, True, seconds
    if type_ not in context.allowed_operations:
        return 400, True, seconds
    return (200, False, None) if type_ is OperationType.SUBSCRIPTION else (200, True, seconds)


def _executed(errors: Any) -> bool:
    """Had execution begun when these errors arose, if only because it can't be told?"""
    return errors is True or at_a_field(errors) or any(error.original_error for error in errors)


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
    """The text of a document that an extension supplied, such as a persisted one."""
    location = context.graphql_document.loc if context.graphql_document else None
    return location.source.body if location else ""
