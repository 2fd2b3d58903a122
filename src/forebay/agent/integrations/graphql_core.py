"""Any server on graphql-core: functions in place of graphql-core's own.

    from forebay.agent.integrations.graphql_core import Forebay

    forebay = Forebay()
    result = await forebay.graphql(schema, source, context_value={"request": request})

`graphql`, `graphql_sync`, `execute` and `subscribe` are called like those of graphql-core, and
`wrap` makes such a function of any other one that takes the same arguments.  Results are theirs,
untouched, sync or async.

What a server refuses before it calls `execute` is not seen here.  A subscription counts once,
when it starts, without a duration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import isawaitable, iscoroutinefunction
from time import perf_counter
from typing import Any, Final, NamedTuple, TypeVar, cast

import graphql
from graphql import DocumentNode, GraphQLSchema, Source, print_ast

from ..outcomes import Sample
from ..recorder import Request
from .executions import counting, with_middleware
from .reporters import Reporters

F = TypeVar("F", bound=Callable[..., Any])

PARAMETERS: Final = (
    ("schema",),
    ("document", "source", "query"),
    ("root_value", "root"),
    ("context_value", "context"),
    ("variable_values", "variables"),
    ("operation_name", "operation"),
)
"""Of the functions of graphql-core, in order, with the names that libraries on it also give them."""

MIDDLEWARE_AT: Final = 8
"""From here on a positional argument may be the middleware."""

PRINTED: Final = 1_000
"""Documents without a source whose text is kept."""


class _Asked(NamedTuple):
    """One call of a wrapped function."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    validates: bool
    began: float
    sample: Sample | None


class Forebay(Reporters):
    """Functions that report; `client` is given the execution's context.  `options` are those of Reporter."""

    def __init__(self, url: str | None = None, token: str | None = None, **options: Any) -> None:
        super().__init__(url, token, **options)
        self._printed: dict[int, tuple[DocumentNode, str]] = {}
        self.graphql = self.wrap(graphql.graphql, middleware=True)
        self.graphql_sync = self.wrap(graphql.graphql_sync, middleware=True)
        self.execute = self.wrap(graphql.execute, validates=False, middleware=True)
        self.subscribe = self.wrap(graphql.subscribe, validates=False)

    def wrap(
        self, execute: F, schema: GraphQLSchema | None = None, *, validates: bool = True, middleware: bool = False
    ) -> F:
        """A function that is called like `execute`, gives what it gives, and reports.

        `schema` is that of a function which takes none, such as a method.  One that not `validates`
        executes what it is given: a document that is not valid counts as not analysed then.  One that takes
        a `middleware` as graphql-core's do is given one for requests that are sampled.
        """
        own = () if schema is None else (schema,)

        def recorded(*args: Any, **kwargs: Any) -> Any:
            sample = self.sample() if middleware and len(args) < MIDDLEWARE_AT else None
            if sample is not None:
                kwargs, sample = self._counting(kwargs, sample)
            asked = _Asked((*own, *args), dict(kwargs), validates, perf_counter(), sample)
            try:
                result = execute(*args, **kwargs)
            except BaseException:
                self._end(asked, None)
                raise
            if isawaitable(result):
                return self._awaited(result, asked)
            self._end(asked, result)
            return result

        async def recorded_async(*args: Any, **kwargs: Any) -> Any:
            return await recorded(*args, **kwargs)

        return cast(F, wraps(execute)(recorded_async if iscoroutinefunction(execute) else recorded))

    def _counting(self, kwargs: dict[str, Any], sample: Sample) -> tuple[dict[str, Any], Sample | None]:
        """The arguments with which executions are counted, and where."""
        try:
            if (counted := with_middleware(kwargs, counting(sample, self.faults))) is not None:
                return counted, sample
        except Exception as exc:
            self.faults.note("graphql_core", exc)
        return kwargs, None

    async def _awaited(self, answer: Awaitable[Any], asked: _Asked) -> Any:
        result = None
        try:
            result = await answer
        finally:
            self._end(asked, result)
        return result

    def _end(self, asked: _Asked, result: Any) -> None:
        """Count one call; `result` None if it raised."""
        try:
            streams = hasattr(result, "__anext__")
            first = getattr(result, "initial_result", result)
            schema, document, _, context, variables, operation_name = _arguments(asked.args, asked.kwargs)
            request = Request(
                self._text(document),
                operation_name,
                variables,
                errors=result is None or getattr(first, "errors", None),
                seconds=None if streams else perf_counter() - asked.began,
                executions=asked.sample,
                executed=not asked.validates or streams or getattr(first, "data", None) is not None,
            )
            self.count(schema, context, request)
        except Exception as exc:
            self.faults.note("graphql_core", exc)

    def _text(self, document: str | Source | DocumentNode) -> str:
        if isinstance(document, str):
            return document
        if isinstance(document, Source):
            return document.body
        if document.loc is not None:
            return document.loc.source.body
        held = self._printed.get(id(document))
        if held is None:
            if len(self._printed) >= PRINTED:
                self._printed = {}
            held = self._printed[id(document)] = (document, print_ast(document))
        return held[1]


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    named = ((kwargs[name] for name in names if name in kwargs) for names in PARAMETERS[len(args) :])
    return [*args[: len(PARAMETERS)], *(next(found, None) for found in named)]
