"""The spill's files: what was fsynced is read back whatever happened to the rest."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from collector.spilled import MIB, fill, one, opened, texts
from faults.pipeline import processes
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.collector.frames import read
from forebay.errors import RetryLater, Stop
from forebay.journal.port import Message


def written(folder: Path, *groups: list[str]) -> Path:
    """One segment that holds these groups, each made durable by itself; nobody has it open."""
    segments = opened(folder)
    for group in groups:
        assert segments.write([one(text) for text in group]) == [None] * len(group)
    [segment] = segments.live
    segments.close()
    return segment.path


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return tmp_path / "spill"


def test_what_was_written_is_read_back_in_order_after_reopening(fresh: Path) -> None:
    segments = opened(fresh, segment=200)
    words = [f"report {n}" for n in range(40)]
    for start in range(0, 40, 4):
        assert segments.write([one(word) for word in words[start : start + 4]]) == [None] * 4
    assert len(segments.live) > 5
    assert texts(segments) == (words, 0)
    segments.close()
    again = opened(fresh)
    assert texts(again) == (words, 0)
    assert sum(segment.records for segment in again.live) == 40
    again.close()


def test_an_append_of_several_messages_is_one_record(fresh: Path) -> None:
    segments = opened(fresh)
    segments.write([[Message("shapes", "k", b"s"), Message("tallies", "k", b"\xff\x00")]])
    file = os.open(segments.live[0].path, os.O_RDONLY)
    frame = read(file, 0, segments.live[0].durable)
    os.close(file)
    assert frame
    assert frame.messages == [Message("shapes", "k", b"s"), Message("tallies", "k", b"\xff\x00")]
    segments.close()


def test_a_segment_that_is_cut_at_any_byte_keeps_every_whole_frame_and_is_no_error(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", ["a"], ["b", "c"], ["", "d" * 50])
    data = whole.read_bytes()
    ends = _ends(whole)
    for cut in range(len(data) + 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / whole.name).write_bytes(data[:cut])
        segments = opened(folder)
        kept = sum(end <= cut for end in ends)
        assert texts(segments) == (["a", "b", "c", "", "d" * 50][:kept], 0), cut
        assert segments.write([one("next")]) == [None]
        assert texts(segments)[0][-1] == "next"
        segments.close()


def _ends(path: Path) -> list[int]:
    file, position, ends = os.open(path, os.O_RDONLY), 0, []
    while frame := read(file, position, path.stat().st_size):
        position = frame.end
        ends.append(position)
    os.close(file)
    return ends


@settings(max_examples=100, deadline=None)
@given(tail=st.binary(max_size=200) | st.integers(1, 5000).map(bytes), groups=st.integers(1, 3))
def test_any_rubbish_behind_the_last_durable_frame_is_cut_off(tail: bytes, groups: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        words = [f"w{n}" for n in range(groups)]
        path = written(Path(folder), *([word] for word in words))
        path.write_bytes(path.read_bytes() + tail)
        segments = opened(Path(folder))
        assert texts(segments) == (words, 0)
        segments.close()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_wrong_byte_costs_one_record_is_counted_and_its_file_is_put_aside(data: st.DataObject) -> None:
    words = [f"word {n}" for n in range(6)]
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), words[:2], words[2:5], words[5:])
        ends = _ends(path)
        raw = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, ends[4] - 1))  # the last group's frame says that these were durable
        raw[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(raw)
        segments = opened(Path(folder))
        found, damaged = texts(segments)
        hit = sum(end <= place for end in ends)
        assert found == words[:hit] + words[hit + 1 :]
        assert damaged == ends[hit] - (ends[hit - 1] if hit else 0)
        segments.live[0].damaged = damaged
        segments.finish(segments.live[0])
        assert path.with_suffix(".damaged").read_bytes() == bytes(raw)
        segments.close()


def test_a_hole_in_a_group_that_was_never_acknowledged_is_a_torn_end_and_no_damage(fresh: Path) -> None:
    """A power cut may keep a later page of an unfinished write and lose an earlier one."""
    path = written(fresh, ["a", "b"], ["c" * 100, "d" * 100])
    ends = _ends(path)
    raw = bytearray(path.read_bytes())
    raw[ends[1] : ends[2] - 10] = bytes(ends[2] - 10 - ends[1])
    path.write_bytes(raw)
    segments = opened(fresh)
    assert texts(segments) == (["a", "b"], 0)
    segments.close()


def test_damage_in_a_segment_that_has_a_successor_is_never_taken_for_a_torn_end(fresh: Path) -> None:
    segments = opened(fresh, segment=100)
    segments.write([one("a" * 60), one("b" * 60), one("c" * 60)])
    segments.close()
    first = min(fresh.glob("*.spill"))
    os.truncate(first, first.stat().st_size - 1)
    again = opened(fresh)
    found, damaged = texts(again)
    assert found == ["b" * 60, "c" * 60]
    assert damaged > 60
    again.close()


def test_beyond_the_bound_appends_are_refused_and_taken_again_when_there_is_room(fresh: Path) -> None:
    segments = opened(fresh, segment=2_000, total=4_000)
    outcomes = segments.write([one("x" * 900) for _ in range(6)])
    assert outcomes[:4] == [None] * 4
    assert all(isinstance(outcome, RetryLater) and outcome.reason == "spill_full" for outcome in outcomes[4:])
    assert sum(path.stat().st_size for path in fresh.glob("*.spill")) <= 4_000
    segments.finish(segments.live[0])
    assert segments.write([one("x" * 900)]) == [None]
    segments.close()


def test_where_the_system_cuts_a_write_short_nothing_acknowledged_is_lost(fresh: Path) -> None:
    process = processes.Process(target=fill, args=(fresh, MIB - 1))
    process.start()
    process.join(60)
    assert process.exitcode == 0


def test_on_a_disk_that_is_full_nothing_acknowledged_is_lost(fresh: Path) -> None:
    """A small disk of its own where the system lets us have one; else the largest file that it allows."""
    disk = fresh.parent / "disk"
    disk.mkdir()
    small = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode == 0
    )
    try:
        process = processes.Process(target=fill, args=(disk / "spill", None if small else 2 * MIB))
        process.start()
        process.join(60)
        assert process.exitcode == 0
    finally:
        if small:
            subprocess.run(["umount", disk], check=True)


def test_two_processes_never_share_a_directory(fresh: Path) -> None:
    segments = opened(fresh)
    with pytest.raises(Stop, match="another collector"):
        opened(fresh)
    segments.close()
    opened(fresh).close()


def test_a_directory_of_a_newer_version_is_left_alone(fresh: Path) -> None:
    opened(fresh).close()
    (fresh / "lock").write_text("forebay spill directory, layout 2\n")
    with pytest.raises(Stop, match="newer Forebay"):
        opened(fresh)
