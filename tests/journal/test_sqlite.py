"""What only the embedded journal does: trimming, a file with a version, a disk that is full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forebay.errors import RetryLater, Stop
from forebay.journal.port import Message, Partition
from forebay.journal.sqlite import SqliteJournal

TOPIC = "letters"
FIRST = Partition(TOPIC, 0)


def open_journal(folder: Path) -> SqliteJournal:
    return SqliteJournal(folder / "journal.sqlite3", [TOPIC, "other"])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = open_journal(tmp_path)
    yield journal
    journal.close()


def append(journal: SqliteJournal, *values: bytes) -> None:
    journal.append([Message(TOPIC, "key", value) for value in values]).result(timeout=30)


def test_trimming_keeps_what_is_not_below_the_offset_or_not_old_enough(journal: SqliteJournal) -> None:
    append(journal, b"a", b"b")
    assert journal.trim(FIRST, below=1, appended_before=2**62) == 1
    assert journal.trim(FIRST, below=2, appended_before=0) == 0
    assert journal.bounds(FIRST) == (1, 2)


def test_a_full_disk_refuses_the_append_and_leaves_the_journal_whole(journal: SqliteJournal) -> None:
    append(journal, b"a")
    pages = "PRAGMA max_page_count = 16"
    journal._submit(lambda writer: writer.execute(pages).fetchone()).result()  # SQLite's own way to a full disk
    with pytest.raises(RetryLater, match="full"):
        append(journal, b"b" * 2**20)
    append(journal, b"c")
    assert [record.value for record in journal.read(FIRST, 0, 10)] == [b"a", b"c"]


def test_a_file_of_a_newer_version_or_of_something_else_is_left_alone(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal._submit(lambda writer: writer.execute("PRAGMA user_version = 99")).result()
    journal.close()
    with pytest.raises(Stop, match="newer Forebay"):
        open_journal(tmp_path)
    (tmp_path / "journal.sqlite3").write_bytes(b"no database " * 100)
    with pytest.raises(Stop, match="cannot be opened"):
        open_journal(tmp_path)
    assert (tmp_path / "journal.sqlite3").read_bytes() == b"no database " * 100
