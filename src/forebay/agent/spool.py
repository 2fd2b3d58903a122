"""Reports on disk, so that what a process could not send is sent by the next one.

Each process has one file at most, replaced as a whole: written beside, fsynced, renamed.  It holds
reports in the order in which they are to be sent.  Whoever has a file holds its lock (`flock`),
so that of any number of processes on one directory exactly one takes over a dead one's file.

Each graph has a folder of its own in the directory, so that nothing is sent under another's token.

A file that can't be read is renamed to `….damaged`, once; one of a newer Forebay is left alone.
All files together stay within a bound: of what has no room, only the number of requests is kept.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import os
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from ..errors import RejectRecord
from .sealed import Sealed, given_up, opened

try:
    import fcntl
except ImportError:  # Windows: then there is no spool
    fcntl = None  # type: ignore[assignment]

SUFFIX: Final = ".spool"
FAMILY: Final = b"forebay spool "
HEAD: Final = FAMILY + b"1\n"
DIGEST: Final = 16
NOT_A_REPORT: Final = (ValueError, EOFError, RecursionError, zlib.error, gzip.BadGzipFile, msgspec.MsgspecError)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[bytes, bool]])


def folder_of(token: str) -> str:
    """The same for every token of one graph; the token itself, of which no claims can be read, has one of its own."""
    try:
        claims = token.split(".")[1]
        told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        whose = f"{told['organization_id']}/{told['federated_graph_id']}"
    except (IndexError, ValueError, KeyError, TypeError):
        whose = token
    return hashlib.blake2b(whose.encode(), digest_size=DIGEST).hexdigest()


class Spool:
    """Used by one thread at a time.  All but `forget` raise OSError where the disk does not do as it should."""

    def __init__(self, directory: Path, limit: int) -> None:
        """`limit`: bytes of all files together.  Nothing is touched before it is needed."""
        if fcntl is None:
            raise OSError("a spool needs file locks, which this system does not have")
        self._directory, self._limit = directory, limit
        self._path: Path | None = None
        self._file = -1  # of that path; as long as it is open nobody else takes it over

    @property
    def empty(self) -> bool:
        """There is no file of this process."""
        return self._path is None

    def hold(self, reports: Sequence[Sealed]) -> None:
        """Durable when this returns, in place of all that was held before; else that is still there."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path or self._directory / (uuid.uuid4().hex + SUFFIX)
        content = _encoder.encode([(report.body, report.uncertain) for report in self._fitting(reports)])
        fresh = path.with_suffix(".new")
        file = _created(fresh)
        try:
            _write(file, HEAD + hashlib.blake2b(content, digest_size=DIGEST).digest() + content)
            os.fsync(file)
            fresh.rename(path)
        except BaseException:
            with contextlib.suppress(OSError):
                fresh.unlink()
            os.close(file)
            raise
        self.forget()
        self._path, self._file = path, file
        _sync(self._directory)

    def drop(self) -> None:
        """Hold nothing any more."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self.forget()

    def adopt(self) -> list[Sealed]:
        """Take over one file whose process is gone, and hold it from now on; empty if there is none.

        RejectRecord if it can't be read.
        """
        for left in self._directory.glob("*.new"):  # by a process that was killed as it wrote
            if (file := _taken(left)) is not None:
                left.unlink()
                os.close(file)
        for path in self._directory.glob("*" + SUFFIX):
            file = _taken(path)
            if file is None:
                continue
            with open(file, "rb", closefd=False) as content:
                raw = content.read()
            if raw.startswith(FAMILY) and not raw.startswith(HEAD):
                os.close(file)
                continue
            try:
                reports = _read(raw)
            except NOT_A_REPORT as exc:
                path.rename(path.with_suffix(".damaged"))
                os.close(file)
                raise RejectRecord("spool_damaged", "a file of the spool can't be read and was put aside") from exc
            self._path, self._file = path, file
            return reports
        return []

    def forget(self) -> None:
        """Leave the file to whoever takes it over; a forked child leaves it to its parent."""
        if self._file >= 0:
            os.close(self._file)
        self._path, self._file = None, -1

    def _fitting(self, reports: Sequence[Sealed]) -> list[Sealed]:
        room = self._limit
        for path in self._directory.glob("*" + SUFFIX):
            if path != self._path:
                with contextlib.suppress(FileNotFoundError):
                    room -= path.stat().st_size
        for number, report in enumerate(reports):
            room -= len(report.body)
            if room < 0:
                return [*reports[:number], given_up(reports[number:], "spool")]
        return list(reports)


def _read(raw: bytes) -> list[Sealed]:
    content = raw[len(HEAD) + DIGEST :]
    if raw[: len(HEAD) + DIGEST] != HEAD + hashlib.blake2b(content, digest_size=DIGEST).digest():
        raise ValueError("not what was written")
    return [opened(body, uncertain) for body, uncertain in _decoder.decode(content)]


def _created(path: Path) -> int:
    """A new file, locked before anybody can take it for a dead process's."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            return file
        os.close(file)  # somebody did, just before


def _taken(path: Path) -> int | None:
    """A file that nobody else holds, locked; None otherwise."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_nlink:  # else it was replaced or done with meanwhile
            return file
    except BlockingIOError:
        pass
    except BaseException:
        os.close(file)
        raise
    os.close(file)
    return None


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
