"""The data directory of an embedded Forebay: one process at a time, nothing touched unless it is ours."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import platformdirs

from .errors import Stop

LAYOUT = "forebay data directory, layout 3\n"
EARLIER = tuple(f"forebay data directory, layout {number}\n" for number in (1, 2))
"""Of before the first release; nothing reads them any more."""
MARKER = "FOREBAY"
MINIMUM_FREE = 64 * 2**20


def default_path() -> Path:
    """Where the platform keeps a user's data."""
    return Path(platformdirs.user_data_dir("forebay", appauthor=False))


def keys_path(data: Path) -> Path:
    """The signing keys of this directory, made at the first start."""
    return data / "signing-keys.json"


@dataclass(slots=True)
class DataDirectory:
    """Opened and locked; a context manager that lets go."""

    path: Path
    lock: int
    first_start: bool

    @property
    def journal(self) -> Path:
        return self.path / "journal.sqlite3"

    @property
    def store(self) -> Path:
        return self.path / "store"

    def __enter__(self) -> DataDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.lock)


def is_one(path: Path) -> bool:
    """Did some Forebay make it?"""
    return (path / MARKER).exists()


def open_directory(path: Path) -> DataDirectory:
    """Create or open it, and keep every other process out.  Stop says in one line what is in the way."""
    marker = path / MARKER
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not marker.exists() and any(path.iterdir() if not _only_keys(path) else ()):
            raise Stop(f"{path} holds something else: give an empty directory with --data")
        if marker.exists() and (text := marker.read_text()) != LAYOUT:
            if text in EARLIER:
                raise Stop(f"{path} is of before the first release: delete it, or give another directory with --data")
            raise Stop(f"{path} was made by a newer Forebay ({text.strip()[:80]}): upgrade to open it")
        free = shutil.disk_usage(path).free
        if free < MINIMUM_FREE:
            raise Stop(f"the disk of {path} is full ({free // 2**20} MiB free): make room and start again")
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Stop(
                f"another Forebay is running on {path}: stop it, or give another directory with --data"
            ) from None
        first = not marker.exists()
        marker.write_text(LAYOUT)
    except OSError as exc:
        raise Stop(f"{path} cannot be used: {exc.strerror}") from exc
    return DataDirectory(path, lock, first)


def _only_keys(path: Path) -> bool:
    """`forebay token create` may have come before the first start."""
    return all(entry.name in (keys_path(path).name, "lock") for entry in path.iterdir())
