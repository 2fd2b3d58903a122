"""An operation explained: everything that is recorded of it, as plain data for people and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.coordinate import State
from .extract import Extractor


def explain(
    extractor: Extractor, source: str, variables: Mapping[str, Any] | None, operation_name: str | None
) -> dict[str, Any]:
    """The shape of one request, with its states as words; ready for JSON."""
    shape = extractor.operation(source, operation_name).shape(variables)
    return {
        "operation": shape.operation,
        "name": shape.name,
        "type": shape.type.value,
        "invalid": shape.invalid,
        "shape": shape.id(),
        "document": shape.document,
        "entries": [
            {
                "kind": entry.kind.value,
                "coordinate": entry.coordinate,
                "named_type": entry.named_type,
                "states": [str(state.name).lower() for state in entry.state if state != State.NULLABLE_VARIABLE],
                "nullable_variable": State.NULLABLE_VARIABLE in entry.state,
            }
            for entry in shape.entries
        ],
        "coverage": sorted(coverage.value for coverage in shape.coverage),
    }
