"""Dead letters are shown as they are, and a replay counts each of them once, however often and wherever it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from reports import report, shape, shape_record
from world import World

from forebay.core.record import SHAPES, TALLIES, Report, encode
from forebay.core.sequences import MAX_INTERVALS
from forebay.insights.mistakes import BadQuestion
from forebay.journal.port import Message
from forebay.steps import on_step


class Killed(BaseException):
    """Ends a replay where it stands; only the journal and the store remain."""


class OfOldForebay(msgspec.Struct, tag_field="record", tag="tallies"):
    """All that a Forebay could read that came before the records of today."""

    v: Literal[0]


Older = Callable[[World], None]


@pytest.fixture
def load_by_an_older_forebay(monkeypatch: pytest.MonkeyPatch) -> Older:
    def load(world: World) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("forebay.core.record._decoder", msgspec.json.Decoder(OfOldForebay))
            world.load()

    return load


@pytest.fixture(autouse=True)
def no_hook() -> Iterator[None]:
    yield
    on_step(None)


def one(world: World, sequence: int = 1, requests: int = 7, agent: str = "a") -> Report:
    return report(world.scope.org, agent, sequence, requests, graph=world.scope.graph, received=int(world.now * 1000))


def append(world: World, raw: bytes, topic: str = TALLIES) -> None:
    world.journal.append([Message(topic, "key", raw)]).result()


def counted(world: World) -> int:
    """Requests in the store, which must conserve whatever happened."""
    world.load()
    verified = world.insights.verify()
    assert verified.ok, verified.differences
    return int(world.store.query("SELECT sum(requests) AS n FROM traffic")[0]["n"])


def repeats(world: World) -> int:
    return int(world.store.query("SELECT sum(repeats) AS n FROM ledger")[0]["n"])


def told(world: World, **chosen: Any) -> list[tuple[str, str, str]]:
    return [(each.id, each.reason, each.now) for each in world.insights.dead_letters.newest(**chosen).letters]


def test_the_newest_are_listed_first_and_as_many_as_status_counts(alone: World) -> None:
    append(alone, b"{")
    append(alone, encode(one(alone)), SHAPES)
    alone.load()
    append(alone, b"\xff\x00", TALLIES)
    alone.load()
    letters = alone.insights.dead_letters.newest()
    assert letters.letters[0].id == "forebay.tallies/0/1"
    assert sorted(told(alone)) == [
        ("forebay.shapes/0/0", "wrong_topic", "replayable"),
        ("forebay.tallies/0/0", "undecodable", "undecodable"),
        ("forebay.tallies/0/1", "undecodable", "undecodable"),
    ]
    assert (letters.letters[0].size, letters.letters[0].org) == (2, "")
    assert letters.total == sum(each.letters for each in alone.insights.status().dead_letters or ()) == 3
    assert told(alone, limit=1) == [("forebay.tallies/0/1", "undecodable", "undecodable")]
    assert told(alone, reason="wrong_topic") == [("forebay.shapes/0/0", "wrong_topic", "replayable")]
    assert alone.insights.dead_letters.newest(reason="wrong_topic").total == 1


def test_a_letter_is_shown_with_its_exact_bytes(alone: World) -> None:
    raw = bytes(range(256))
    append(alone, raw)
    alone.load()
    found = alone.insights.dead_letters.letter("forebay.tallies/0/0")
    assert found is not None
    assert (found.raw, found.letter.size, found.letter.reason) == (raw, 256, "undecodable")
    assert alone.insights.dead_letters.letter("forebay.tallies/0/1") is None
    assert alone.insights.dead_letters.letter("forebay.tallies/0/0", alone.scope) is None


@pytest.mark.parametrize("name", ["", "forebay.tallies", "forebay.tallies/0/-1", "other/0/0", "forebay.tallies/0/x"])
def test_what_is_no_id_is_explained(alone: World, name: str) -> None:
    with pytest.raises(BadQuestion, match=r"forebay\.tallies/0/41"):
        alone.insights.dead_letters.letter(name)


def test_a_record_of_a_later_version_counts_once_when_it_is_replayed_after_the_upgrade(
    alone: World, load_by_an_older_forebay: Older
) -> None:
    append(alone, encode(one(alone)))
    load_by_an_older_forebay(alone)
    assert counted(alone) == 0
    assert told(alone) == [("forebay.tallies/0/0", "undecodable", "replayable")]
    assert alone.insights.dead_letters.replay(["forebay.tallies/0/0"]).appended == 1
    assert counted(alone) == 7
    assert told(alone) == [("forebay.tallies/0/0", "undecodable", "landed")]


def test_what_has_landed_is_left_out_also_when_forced(alone: World, load_by_an_older_forebay: Older) -> None:
    append(alone, encode(one(alone)))
    load_by_an_older_forebay(alone)
    alone.insights.dead_letters.replay_all()
    assert counted(alone) == 7
    for force in (False, True):
        again = alone.insights.dead_letters.replay_all(force=force)
        assert (again.appended, again.landed, again.refused) == (0, 1, 0)
    assert (counted(alone), repeats(alone)) == (7, 0)


def test_replayed_twice_before_anything_is_loaded_it_counts_once(alone: World, load_by_an_older_forebay: Older) -> None:
    append(alone, encode(one(alone)))
    load_by_an_older_forebay(alone)
    for _ in range(2):
        assert alone.insights.dead_letters.replay_all().appended == 1
    assert (counted(alone), repeats(alone)) == (7, 1)


def test_killed_between_append_and_answer_it_is_replayed_again_and_counts_once(
    alone: World, load_by_an_older_forebay: Older
) -> None:
    append(alone, encode(one(alone)))
    load_by_an_older_forebay(alone)

    def kill(step: str) -> None:
        if step == "replay.appended":
            raise Killed

    on_step(kill)
    with pytest.raises(Killed):
        alone.insights.dead_letters.replay_all()
    on_step(None)
    assert alone.insights.dead_letters.replay_all().appended == 1
    assert (counted(alone), repeats(alone)) == (7, 1)


def test_a_report_that_its_agent_sent_twice_is_two_letters_and_counts_once(
    alone: World, load_by_an_older_forebay: Older
) -> None:
    for _ in range(2):
        append(alone, encode(one(alone)))
    load_by_an_older_forebay(alone)
    answer = alone.insights.dead_letters.replay_all()
    assert (answer.appended, answer.landed) == (1, 1)
    assert (counted(alone), repeats(alone)) == (7, 0)


def test_what_its_agent_sent_again_is_a_repeat_of_the_replay_and_has_landed(
    alone: World, load_by_an_older_forebay: Older
) -> None:
    append(alone, encode(one(alone)))
    load_by_an_older_forebay(alone)
    alone.insights.dead_letters.replay_all()
    append(alone, encode(one(alone)))
    assert (counted(alone), repeats(alone)) == (7, 1)
    append(alone, encode(one(alone, 2)))
    load_by_an_older_forebay(alone)
    append(alone, encode(one(alone, 2)))
    assert (counted(alone), repeats(alone)) == (14, 1)
    assert [now for _, _, now in told(alone)] == ["landed", "landed"]
    assert alone.insights.dead_letters.replay_all().appended == 0


def test_what_still_cannot_be_decoded_is_refused_and_forced_it_is_another_letter(alone: World) -> None:
    append(alone, encode(one(alone)).replace(b'"v":1', b'"v":2'))
    alone.load()
    answer = alone.insights.dead_letters.replay_all()
    assert (answer.appended, answer.refused) == (0, 1)
    assert (answer.refusals[0].id, answer.refusals[0].reason) == ("forebay.tallies/0/0", "undecodable")
    assert alone.journal.bounds(alone.journal.partitions(TALLIES)[0]).high == 1
    assert alone.insights.dead_letters.replay_all(force=True).appended == 1
    assert counted(alone) == 0
    assert [name for name, _, _ in told(alone)] == ["forebay.tallies/0/1", "forebay.tallies/0/0"]
    assert sum(each.letters for each in alone.insights.status().dead_letters or ()) == 2


def test_a_record_in_the_wrong_topic_is_replayed_into_the_right_one(alone: World) -> None:
    append(alone, encode(one(alone)), SHAPES)
    append(alone, encode(shape_record(alone.scope.org, shape("Q", "Query.x"), alone.scope.graph)), TALLIES)
    assert counted(alone) == 0
    for _ in range(2):
        answer = alone.insights.dead_letters.replay_all(reason="wrong_topic")
        assert (answer.appended, answer.refused) == (2, 0)
    assert (counted(alone), repeats(alone)) == (7, 1)
    assert alone.store.query("SELECT name FROM shapes FINAL") == [{"name": "Q"}]
    assert {now for _, _, now in told(alone)} == {"landed"}
    assert alone.insights.dead_letters.replay_all().landed == 2


def test_what_was_put_aside_for_gaps_counts_once_some_of_them_are_closed(alone: World) -> None:
    sequences = [2 * number for number in range(1, MAX_INTERVALS + 2)]
    alone.journal.append([Message(TALLIES, "key", encode(one(alone, each, 1))) for each in sequences]).result()
    assert counted(alone) == MAX_INTERVALS
    [(name, reason, now)] = told(alone, scope=alone.scope)
    assert (reason, now) == ("sequence_gaps", "sequence_gaps")
    assert alone.insights.dead_letters.replay([name]).refused == 1
    alone.insights.dead_letters.replay([name], force=True)
    assert counted(alone) == MAX_INTERVALS
    assert [now for _, _, now in told(alone)] == ["sequence_gaps", "sequence_gaps"]
    append(alone, encode(one(alone, 3, 1)))
    assert counted(alone) == MAX_INTERVALS + 1
    assert [now for _, _, now in told(alone)] == ["replayable", "replayable"]
    for _ in range(2):
        assert alone.insights.dead_letters.replay([name]).appended == 1
    assert (counted(alone), repeats(alone)) == (MAX_INTERVALS + 2, 1)


def test_letters_of_a_topic_that_was_made_anew_are_told_apart_and_replayed_into_the_new_one(
    alone: World, load_by_an_older_forebay: Older, tmp_path: Path
) -> None:
    append(alone, encode(one(alone)))
    load_by_an_older_forebay(alone)
    anew = World(alone.store, tmp_path / "anew.sqlite", alone.scope.org)
    append(anew, b"{")
    anew.load()
    [(present, _, _), (former, _, now)] = told(anew)
    assert present == "forebay.tallies/0/0"
    assert (former, now) == (f"forebay.tallies/0/0@{alone.journal.topic_id(TALLIES)}", "replayable")
    assert anew.insights.dead_letters.replay([former]).appended == 1
    assert counted(anew) == 7
    anew.close()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(alone: World, load_by_an_older_forebay: Older) -> None:
    append(alone, encode(one(alone)))
    append(alone, b"{")
    load_by_an_older_forebay(alone)
    answer = alone.insights.dead_letters.replay_all(dry_run=True)
    assert (answer.dry_run, answer.appended, answer.refused) == (True, 1, 1)
    assert alone.journal.bounds(alone.journal.partitions(TALLIES)[0]).high == 2


def test_of_ids_that_are_not_all_there_none_is_replayed(alone: World, load_by_an_older_forebay: Older) -> None:
    append(alone, encode(one(alone)))
    load_by_an_older_forebay(alone)
    with pytest.raises(BadQuestion, match=r"no dead letter forebay\.tallies/0/5"):
        alone.insights.dead_letters.replay(["forebay.tallies/0/0", "forebay.tallies/0/5"])
    assert alone.journal.bounds(alone.journal.partitions(TALLIES)[0]).high == 1


def test_more_letters_than_are_held_at_once_are_all_replayed(
    alone: World, load_by_an_older_forebay: Older, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sequence in range(1, 8):
        append(alone, encode(one(alone, sequence, 10**sequence)))
    load_by_an_older_forebay(alone)
    monkeypatch.setattr("forebay.insights.letters.PAGE_LETTERS", 3)
    assert alone.insights.dead_letters.replay_all().appended == 7
    assert counted(alone) == 11_111_110
