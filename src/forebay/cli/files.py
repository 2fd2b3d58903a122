"""Files that a user names."""

from __future__ import annotations

from pathlib import Path

from ..errors import Stop


def text_of(path: Path) -> str:
    """The file's text; Stop says in one line why it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise Stop(f"{path} cannot be read: {exc}") from exc
