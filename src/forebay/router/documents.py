"""A file of trusted documents: what clients name by an identifier alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import Stop


def trusted_documents(path: Path) -> dict[str, str]:
    """A file of persisted documents: `{id: document}`, or Apollo's manifest with its `operations`.

    Stop if it is neither.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        operations = content.get("operations")
        if isinstance(operations, list):
            content = {operation["id"]: operation["body"] for operation in operations}
        if not all(isinstance(document, str) for document in content.values()):
            raise ValueError("its documents must be texts")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Stop(f"{path} is no file of persisted documents, like {{id: document}}: {exc}") from None
    return {str(name): document for name, document in content.items()}
