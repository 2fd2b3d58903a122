"""The whole answer to a request, however it is delivered: at once, as an event of a subscription, or in parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    ExperimentalIncrementalExecutionResults,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    experimental_execute_incrementally,
    subscribe,
)


def answered(schema: GraphQLSchema, document: DocumentNode, **options: Any) -> ExecutionResult:
    """Of a subscription the first event's; parts that come later are put in their places."""
    operations = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    if next(operations).operation is OperationType.SUBSCRIPTION:
        return asyncio.run(_event(schema, document, options))
    result = experimental_execute_incrementally(schema, document, **options)
    if isinstance(result, ExperimentalIncrementalExecutionResults):
        return asyncio.run(_joined(result))
    assert isinstance(result, ExecutionResult)
    return result


async def _event(schema: GraphQLSchema, document: DocumentNode, options: dict[str, Any]) -> ExecutionResult:
    async def source(*_: Any, **__: Any) -> AsyncIterator[str]:
        yield "event"

    events: Any = subscribe(schema, document, subscribe_field_resolver=source, **options)
    if not hasattr(events, "__anext__") and not isinstance(events, ExecutionResult):
        events = await events
    if isinstance(events, ExecutionResult):
        return events
    [event] = [each async for each in events]
    assert isinstance(event, ExecutionResult)
    return event


async def _joined(result: ExperimentalIncrementalExecutionResults) -> ExecutionResult:
    first = result.initial_result
    data, errors, pending = first.data, list(first.errors or ()), {each.id: each for each in first.pending}
    async for later in result.subsequent_results:
        pending |= {each.id: each for each in later.pending or ()}
        for part in later.incremental or ():
            errors += part.errors or ()
            place = _at(data, [*pending[part.id].path, *(getattr(part, "sub_path", None) or ())])
            if isinstance(place, list):
                place += part.items  # type: ignore[union-attr]  # a stream's, since a list stands there
            else:
                _merge(place, part.data)  # type: ignore[union-attr]
        for completed in later.completed or ():
            errors += completed.errors or ()
    return ExecutionResult(data, errors or None)


def _at(data: Any, path: list[str | int]) -> Any:
    for key in path:
        data = data[key]
    return data


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
