"""The state of the pipeline, as a person on duty reads it."""

from __future__ import annotations

import pytest
from world import World

from forebay.core.record import TALLIES
from forebay.journal.port import Partition, Retention

QUERY = "{ user(id: 1) { id } }"


def test_what_waits_is_counted_in_records_and_in_seconds(alone: World) -> None:
    alone.request(QUERY)
    alone.load()
    before = alone.insights.status()
    assert (before.lag_records, before.lag_seconds) == (0, 0.0)
    alone.request(QUERY)
    alone.now += 90
    after = alone.insights.status()
    assert after.lag_records == 2
    assert 80 < (after.lag_seconds or 0) < 100
    assert {lag.topic: (lag.high - lag.loaded) for lag in after.journal or ()} == {
        "forebay.schemas": 0,
        "forebay.shapes": 1,
        "forebay.tallies": 1,
    }


def test_what_retention_took_before_it_was_loaded_is_told(alone: World) -> None:
    alone.request(QUERY)
    alone.load()
    alone.request(QUERY)
    alone.request(QUERY)
    (tallies,) = alone.journal.partitions("forebay.tallies")
    alone.journal.trim(tallies, below=2, appended_before=2**60)
    status = alone.insights.status()
    assert [lag.stranded for lag in status.journal or ()] == [0, 0, 1]
    assert status.complete_up_to is None
    assert "stranded" in alone.ask().about.reasons


def test_a_report_that_has_a_number_and_never_came_makes_answers_incomplete_until_it_comes(alone: World) -> None:
    alone.start()
    for sequence in (7, 9):
        alone.request(QUERY, agent="b", sequence=sequence)
    alone.load()
    about = alone.ask().about
    assert about.reasons == ("missing",)
    assert about.incomplete == ("Agents have numbered 1 reports that did not arrive (yet).",)
    alone.request(QUERY, agent="b", sequence=8)
    alone.load()
    assert alone.ask().about.complete


def test_losses_and_dead_letters_are_shown_with_their_reasons(alone: World) -> None:
    alone.report({}, lost={"overflow": 12})
    alone.report({}, lost={"overflow": 3, "shutdown": 1})
    alone.append_raw(b"{")
    alone.load()
    status = alone.insights.status()
    assert {(loss.graph, loss.reason): loss.requests for loss in status.losses or ()} == {
        ("shop", "overflow"): 15,
        ("shop", "shutdown"): 1,
    }
    assert [(letters.reason, letters.letters) for letters in status.dead_letters or ()] == [("undecodable", 1)]
    assert status.loader is not None
    assert status.loader.dead_letters == 1
    assert alone.insights.status(alone.scope._replace(graph="other")).losses == ()


def test_the_parts_of_every_table_are_counted(alone: World) -> None:
    alone.request(QUERY)
    alone.load()
    parts = {each.table: each for each in alone.insights.status().store or ()}
    assert parts["traffic"].rows == 1
    assert parts["traffic"].most_in_a_partition == 1


def test_a_journal_that_takes_nothing_unloaded_has_no_time_until_loss(alone: World) -> None:
    alone.request(QUERY)
    assert alone.insights.status().loss_in is None


def test_the_time_until_retention_takes_what_is_not_loaded_is_told(
    alone: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone.journal, "retention", lambda topic: Retention(3_600.0))
    alone.request(QUERY)
    alone.now += 600
    status = alone.insights.status()
    assert status.loss_in is not None
    assert 2_900 < status.loss_in < 3_001
    size = sum(len(record.value) for record in alone.journal.read(Partition(TALLIES, 0), 0, 1))
    for kept, least, most in ((4 * size, 1_790, 1_801), (size // 2, 0, 0), (2**40, 2_900, 3_001)):
        monkeypatch.setattr(
            alone.journal, "retention", lambda topic, kept=kept: Retention(3_600.0, kept if topic == TALLIES else None)
        )
        soonest = alone.insights.status().loss_in
        assert soonest is not None
        assert least <= soonest <= most
    alone.load()
    assert alone.insights.status().loss_in is None
