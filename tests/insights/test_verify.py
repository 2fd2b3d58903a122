"""`verify` agrees with a pipeline that lost nothing, and finds each way in which one could have."""

from __future__ import annotations

import pytest
from killed import killed_at
from reports import executions
from world import World

from forebay.errors import RetryLater
from forebay.insights.verify import MAX_DIFFERENCES, Verification, Verifier

QUERY = "{ user(id: 1) { id } }"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forebay.insights.verify.PAUSE", 0.0)


def verified(world: World) -> Verification:
    return world.insights.verify()


def test_an_empty_pipeline_has_nothing_to_differ_in(alone: World) -> None:
    answer = verified(alone)
    assert (answer.ok, answer.first_difference) == (True, None)
    assert answer.compared["records"] == 0


def test_what_was_loaded_repeated_or_put_aside_adds_up(alone: World) -> None:
    alone.publish()
    for number in range(4):
        alone.request(QUERY, 10 + number, ago=number * 86_400)
        alone.load()
    alone.request(QUERY, 7, sequence=1)  # seen before
    alone.append_raw(b"no record")
    alone.load()
    answer = verified(alone)
    assert answer.differences == ()
    assert answer.compared["requests"] == 10 + 11 + 12 + 13
    assert answer.compared["dead_letters"] == 1
    assert answer.compared["ranges_decoded_again"] == answer.compared["ranges"]
    assert answer.compared["records"] == 1 + 2 * 5 + 1


def test_records_that_wait_are_no_difference(alone: World) -> None:
    alone.request(QUERY)
    alone.load()
    alone.request(QUERY)
    assert verified(alone).ok


def test_numbers_that_an_agent_skipped_are_counted_as_missing_until_they_come(alone: World) -> None:
    for sequence in (1, 2, 5, 9):
        alone.request(QUERY, sequence=sequence)
        alone.load()
    answer = verified(alone)
    assert (answer.ok, answer.compared["missing_reports"]) == (True, 2 + 3)
    alone.request(QUERY, sequence=4)
    alone.load()
    assert verified(alone).compared["missing_reports"] == 1 + 3


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("ALTER TABLE traffic DELETE WHERE client = 'web'", "the tallies hold 0 requests"),
        ("INSERT INTO traffic SELECT * FROM traffic", "the tallies hold 10 requests, the ledger 5"),
        ("ALTER TABLE executions DELETE WHERE errors > 0", "holds 5 errors and executions, the ledger 10"),
        ("INSERT INTO executions SELECT * FROM executions", "holds 20 errors and executions, the ledger 10"),
        ("ALTER TABLE ledger DELETE WHERE topic = 'forebay.tallies' AND first_offset = 0", "requests, the ledger"),
        ("ALTER TABLE ledger DELETE WHERE topic = 'forebay.tallies' AND first_offset = 1", "the ledger ends"),
        ("INSERT INTO ledger SELECT * FROM ledger WHERE topic = 'forebay.shapes'", "accounts for 2 records"),
        ("ALTER TABLE ledger UPDATE requests = 4 WHERE requests = 5", "the ledger says (1, 4, 0)"),
        ("ALTER TABLE ledger UPDATE detail = '{}' WHERE dead_letters > 0", "the ledger says"),
    ],
)
def test_whatever_is_missing_or_doubled_is_found(alone: World, damage: str, words: str) -> None:
    alone.request(QUERY, 5, executions=executions(5, int(alone.now * 1000)))
    alone.load()
    alone.append_raw(b"{")
    alone.load()
    assert verified(alone).ok
    alone.store.command(f"{damage} SETTINGS mutations_sync = 2" if damage.startswith("ALTER") else damage)
    answer = verified(alone)
    assert not answer.ok
    assert answer.first_difference == answer.differences[0]
    assert any(words in difference for difference in answer.differences), answer.differences


def test_a_gap_between_ranges_is_found(alone: World) -> None:
    for _ in range(3):
        alone.request(QUERY)
        alone.load()
    alone.store.command(
        "ALTER TABLE ledger DELETE WHERE topic = 'forebay.tallies' AND first_offset = 1 SETTINGS mutations_sync = 2"
    )
    assert any("range 2-2 follows one that ends at 0" in difference for difference in verified(alone).differences)


def test_a_commit_without_any_range_is_found(alone: World) -> None:
    alone.request(QUERY)
    alone.load()
    alone.store.command("ALTER TABLE ledger DELETE WHERE topic = 'forebay.shapes' SETTINGS mutations_sync = 2")
    assert any("the ledger has no range" in difference for difference in verified(alone).differences)


def test_differences_are_bounded(alone: World) -> None:
    for day in range(30):
        alone.request(QUERY, ago=day * 86_400)
    alone.load()
    alone.store.command("TRUNCATE TABLE ledger")
    assert len(verified(alone).differences) == MAX_DIFFERENCES


def test_with_a_scope_only_totals_of_that_graph_are_named(alone: World) -> None:
    alone.request(QUERY, 5)
    alone.load()
    alone.store.command("ALTER TABLE traffic DELETE WHERE 1 SETTINGS mutations_sync = 2")
    assert not alone.insights.verify(alone.scope).ok
    assert alone.insights.verify(alone.scope._replace(graph="other")).ok


def test_what_retention_took_is_not_decoded_again(alone: World) -> None:
    for _ in range(2):
        alone.request(QUERY)
        alone.load()
    (tallies,) = alone.journal.partitions("forebay.tallies")
    alone.journal.trim(tallies, below=1, appended_before=2**60)
    answer = verified(alone)
    assert answer.ok
    assert answer.compared["ranges_decoded_again"] == answer.compared["ranges"] - 1


def test_errors_of_a_range_that_was_lost_between_its_two_inserts_are_no_difference(alone: World) -> None:
    """Its requests count as lost; what was inserted of it before was counted once."""
    (tallies,) = alone.journal.partitions("forebay.tallies")
    alone.request(QUERY, 5, executions=executions(5, int(alone.now * 1000)))
    with killed_at("loader.sent", 2):  # the first one is of the shape
        alone.load()
    alone.journal.trim(tallies, below=1, appended_before=2**60)
    alone.request(QUERY, 7, executions=executions(7, int(alone.now * 1000)))
    alone.restart()
    alone.load()
    answer = verified(alone)
    assert (answer.differences, answer.compared["requests"], answer.compared["lost_records"]) == ((), 7, 1)
    assert answer.compared["outcomes"] == 14
    [row] = alone.store.query("SELECT sum(errors) AS n FROM executions")
    assert row["n"] == 12


def test_a_difference_that_passes_is_none(alone: World) -> None:
    """An insert under way may be seen half: the comparison is made again."""
    answers = [["not yet"], ["not yet"], []]
    verifier = Verifier(alone.store, alone.journal, "g", "p", lambda: alone.now)
    assert verifier._steadily(lambda: answers.pop(0)) == []


def test_only_one_verification_runs_at_a_time(alone: World) -> None:
    verifier = Verifier(alone.store, alone.journal, "g", "p", lambda: alone.now)
    with verifier._running, pytest.raises(RetryLater, match="already running"):
        verifier.verify()
    assert verifier.verify().ok
