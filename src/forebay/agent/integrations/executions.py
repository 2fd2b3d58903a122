"""A middleware of graphql-core for one request that is sampled: counts and times each resolver's execution.

It is around the resolver alone, inside of the host's own middlewares, and hands on what that gives or raises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from time import perf_counter
from typing import Any

from graphql import MiddlewareManager

from ..faults import Faults
from ..outcomes import Sample

Middleware = Callable[..., Any]


def counting(sample: Sample, faults: Faults) -> Middleware:
    """The middleware."""

    def count(info: Any, began: float, failed: bool) -> None:
        try:
            if not info.field_name.startswith("__") and not info.parent_type.name.startswith("__"):
                sample.add(info.parent_type.name, info.field_name, perf_counter() - began, failed)
        except Exception as exc:
            faults.note("executions", exc)

    async def awaited(value: Awaitable[Any], info: Any, began: float) -> Any:
        failed = True
        try:
            result = await value
            failed = isinstance(result, Exception)  # which graphql-core takes for one that was raised
        finally:
            count(info, began, failed)
        return result

    def resolve(next_: Callable[..., Any], root: Any, info: Any, /, *args: Any, **kwargs: Any) -> Any:
        began = perf_counter()
        try:
            value = next_(root, info, *args, **kwargs)
        except BaseException:
            count(info, began, failed=True)
            raise
        if getattr(info, "is_awaitable", isawaitable)(value):
            return awaited(value, info, began)
        count(info, began, isinstance(value, Exception))
        return value

    return resolve


def with_middleware(kwargs: Mapping[str, Any], middleware: Middleware) -> dict[str, Any] | None:
    """The arguments of an execution with one more middleware; None where the host's own manager stands in the way."""
    theirs = kwargs.get("middleware")
    if type(theirs) is MiddlewareManager:
        theirs = theirs.middlewares
    if isinstance(theirs, MiddlewareManager):
        return None
    return {**kwargs, "middleware": [middleware, *(theirs or ())]}
