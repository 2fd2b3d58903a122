"""Persisted documents: learned when a client registers one with its hash, or from a file of trusted ones.

Bounded: those asked for least lately are forgotten.  A document is believed to have a hash only
if it has it.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

from ..errors import Stop


class Documents:
    """By name: a SHA-256 in lower case, or the identifier of a trusted document."""

    def __init__(self, limit: int, trusted: dict[str, str] | None = None) -> None:
        self._limit, self._size = limit, 0
        self._trusted = trusted or {}
        self._learned: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._trusted) + len(self._learned)

    def find(self, name: str) -> str | None:
        if (source := self._learned.get(name)) is not None:
            self._learned.move_to_end(name)
            return source
        return self._trusted.get(name)

    def learn(self, digest: str, source: str) -> None:
        """Remember a document under its hash; a no-op if that is not its hash."""
        if self._learned.get(digest) == source:
            return
        if hashlib.sha256(source.encode(errors="replace")).hexdigest() != digest:
            return
        self._learned[digest] = source
        self._size += len(source)
        while self._size > self._limit:
            _, forgotten = self._learned.popitem(last=False)
            self._size -= len(forgotten)


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
