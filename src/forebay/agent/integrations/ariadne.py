"""Ariadne: what it calls to parse, for the root value, and to format errors reports its requests.

    from forebay.agent.integrations.ariadne import Forebay

    forebay = Forebay(schema)
    app = GraphQL(schema, **forebay.hooks)

Every request with a document counts, those that don't parse or validate too.  A subscription counts
once, when it starts, without a duration.  Answers are never altered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from inspect import isawaitable
from time import perf_counter
from typing import Any, Final

from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationType, get_operation_ast, parse

from ..outcomes import Sample
from ..recorder import Request
from . import missing
from .executions import Middleware, counting
from .reporters import Reporters, at_a_field

try:
    from ariadne import format_error
    from ariadne.types import BaseProxyRootValue
except ModuleNotFoundError as exc:
    raise missing("ariadne", exc) from exc

Result = tuple[bool, dict[str, Any]]
"""Was there a result without errors, and the answer; as Ariadne has it."""

_asking: Final[ContextVar[_Request | None]] = ContextVar("forebay_ariadne", default=None)
_sampled: Final[ContextVar[Sample | None]] = ContextVar("forebay_ariadne_sample", default=None)


class Forebay(Reporters):
    """`hooks` are arguments for Ariadne's servers and for its `graphql`, `graphql_sync` and `subscribe`.

    `query_parser`, `root_value` and `error_formatter` are the host's own, which the hooks call.  `client`
    tells who asks, given the execution's context.  `options` are those of Reporter.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        url: str | None = None,
        token: str | None = None,
        *,
        query_parser: Callable[[Any, Any], DocumentNode] | None = None,
        root_value: Any = None,
        error_formatter: Callable[[GraphQLError, bool], Any] = format_error,
        **options: Any,
    ) -> None:
        super().__init__(url, token, **options)
        self.schema, self._subscribes = schema, schema.subscription_type is not None
        self._parser, self._root_value, self._formatter = query_parser, root_value, error_formatter
        self._wrapped = False
        self.hooks: dict[str, Any] = {
            "query_parser": self._parse,
            "root_value": self._root,
            "error_formatter": self._format,
        }

    def middleware(self, _request: Any = None, _context: Any = None) -> list[Middleware]:
        """The `middleware` of a server whose resolvers' executions are counted; empty for most requests."""
        self._wrapped = True
        sample = self.sample()
        _sampled.set(sample)
        return [] if sample is None else [counting(sample, self.faults)]

    def _parse(self, context: Any, data: Any) -> DocumentNode:
        request = _Request(self, context, data)
        _asking.set(request)
        try:
            document = parse(data["query"]) if self._parser is None else self._parser(context, data)
        except BaseException:
            request.count(True)
            raise
        request.document = document
        return document

    def _root(self, *asked: Any) -> Any:
        """The host's root value, for a context, an operation's name, variables, and a document that is valid."""
        request, document = _asking.get(), asked[-1]
        if request is None or request.document is not document or request.executing:  # it was parsed by others
            data = dict(zip(("operationName", "variables"), asked[1:-1], strict=False))
            request = _Request(self, asked[0], data, document)
        value = self._root_value
        if callable(value):
            try:
                value = value(*asked)
            except Exception as exc:
                if not isinstance(exc, TypeError):  # of which old Ariadnes think that fewer arguments are wanted
                    request.count(True)
                raise
        if self._subscribes and request.subscribes():
            request.count(None)
            return value
        if value is not None and isawaitable(value):
            return request.awaits(value)
        return request.executes(value)

    def _format(self, error: GraphQLError, debug: bool = False) -> Any:
        request = _asking.get()
        if request is not None:
            request.fails(error)
        return self._formatter(error, debug)

    def take_sample(self) -> Sample | None:
        """What `middleware` drew for the request whose execution begins."""
        if not self._wrapped:
            self.faults.note("executions", "without middleware=forebay.middleware none are seen")
        sample = _sampled.get()
        _sampled.set(None)
        return sample


class _Request(BaseProxyRootValue):
    """A request from its parsing on, and for Ariadne its root value, which is shown the result.

    An execution that has no result, since the host raised or its client went away, counts when it is let go of.
    One that is not executed counts with its error: some of Ariadne's handlers parse a request twice.  Once counted
    it holds nothing of the host's, since a thread's last one lives until its next.
    """

    executing = False
    _counted = False
    _errors: list[GraphQLError] | None = None
    _sample: Sample | None = None
    _theirs: BaseProxyRootValue | None = None

    def __init__(self, forebay: Forebay, context: Any, data: Any, document: DocumentNode | None = None) -> None:
        self._forebay, self._context, self._data, self.document = forebay, context, data, document
        self._began = perf_counter()

    def executes(self, value: Any) -> _Request:
        """Stand for the host's root value from now on."""
        if isinstance(value, BaseProxyRootValue):
            self._theirs, value = value, value.root_value
        self.root_value, self.executing = value, True
        if self._forebay.samples:
            self._sample = self._forebay.take_sample()
        return self

    async def awaits(self, value: Awaitable[Any]) -> _Request:
        """Likewise, of one that is awaited."""
        return self.executes(await value)

    def subscribes(self) -> bool:
        """Is it a subscription?"""
        try:
            operation = get_operation_ast(self.document, self._data.get("operationName"))  # type: ignore[arg-type]
            return operation is not None and operation.operation is OperationType.SUBSCRIPTION
        except Exception as exc:
            self._forebay.faults.note("ariadne", exc)
            return False

    def fails(self, error: GraphQLError) -> None:
        """An error is about to be answered; before execution the first of them is the request's end."""
        if self.executing:
            self._errors = [*(self._errors or ()), error]
        elif not self._counted:
            self.count([error])

    def update_result(self, result: Result) -> Result:
        """Count the request, by its answer's errors."""
        self.count(self._errors or "errors" in result[1])
        return result if self._theirs is None else self._theirs.update_result(result)

    def count(self, errors: bool | list[GraphQLError] | None) -> None:
        """Count the request; never raises.  `errors`: True where it did not come to its end, None of a subscription."""
        forebay, context, data, document = self._forebay, self._context, self._data, self.document
        self._counted, self._context, self._data, self.document, self._errors = True, None, None, None, None
        try:
            request = Request(
                document.loc.source.body if document and document.loc else data.get("query"),
                data.get("operationName"),
                data.get("variables"),
                errors=errors,
                seconds=None if errors is None else perf_counter() - self._began,
                executed=self.executing and (errors is True or bool(errors and at_a_field(errors))),
                executions=self._sample,
            )
            forebay.count(forebay.schema, context, request)
        except Exception as exc:
            forebay.faults.note("ariadne", exc)

    def __del__(self) -> None:
        if self.executing and not self._counted:
            self.count(True)
