"""A store over HTTP whose server is slow, full, cut off or killed: no count is lost or doubled."""

from __future__ import annotations

import itertools
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from front.control import Front
from front.faults import Kind
from landed import blocks, content, put

from forebay.errors import RetryLater, Stop
from forebay.loader.block import Block
from forebay.store import connection
from forebay.store.clickhouse import ClickHouse
from forebay.store.condition import State
from forebay.store.orphans import forget_orphans

numbers = itertools.count()


@pytest.fixture
def org() -> str:
    return f"faults-{next(numbers)}"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Front]:
    """A front that a test may kill."""
    front = Front(tmp_path / "front")
    front.start()
    yield front
    front.kill()


def put_until_done(store: ClickHouse, block: Block) -> list[RetryLater]:
    """Repeats the insert as a loader does; what it had to be repeated for."""
    failures: list[RetryLater] = []
    while True:
        try:
            for table, rows in block.inserts():
                store.insert(table, rows, block.token)
            return failures
        except RetryLater as exc:
            failures.append(exc)


@pytest.mark.parametrize(
    ("kind", "value", "state"),
    [
        (Kind.CUT_BEFORE, 0, State.AWAY),
        (Kind.CUT_AFTER, 0, State.AWAY),
        (Kind.STATUS, 502, State.AWAY),
        (Kind.STATUS, 503, State.AWAY),
        (Kind.EXCEPTION, 252, State.TOO_MANY_PARTS),
        (Kind.EXCEPTION, 241, State.OUT_OF_MEMORY),
        (Kind.EXCEPTION, 242, State.READ_ONLY),
        (Kind.EXCEPTION, 164, State.READ_ONLY),
        (Kind.EXCEPTION, 209, State.SLOW),  # with HTTP status 503, upon which clients like to repeat by themselves
        (Kind.EXCEPTION, 243, State.REFUSING),
    ],
)
def test_an_insert_repeated_after_a_fault_lands_once(
    served: ClickHouse, embedded: ClickHouse, front: Front, org: str, kind: Kind, value: int, state: State
) -> None:
    made = blocks(org)
    with front.faulty(kind, value, times=2):
        with pytest.raises(RetryLater) as first:
            put(served, made[0])
        assert (first.value.reason, first.value.unsent) == (state, False)
        assert served.condition().state == state
        # One request for one call: of two faults, exactly one is left for the second call.
        failures = [failure for block in made for failure in put_until_done(served, block)]
        assert len(failures) == 1
    assert served.condition().state == State.OK
    put(embedded, *made)
    assert content(served, org) == content(embedded, org)


def test_inserts_that_outlast_the_wait_and_their_repetitions_land_once_together(
    embedded: ClickHouse, front: Front, org: str
) -> None:
    """The server executes what the client has given up, while the same block arrives again."""
    made = blocks(org)
    hasty = ClickHouse(front.dsn(send_receive_timeout=1))
    with front.faulty(Kind.SLOW, 1.2, times=3):
        failures = [failure for block in made for failure in put_until_done(hasty, block)]
    assert len(failures) >= 3
    assert {failure.reason for failure in failures} == {State.SLOW}
    time.sleep(1.5)  # until the last of them is through
    put(embedded, *made)
    assert content(hasty, org) == content(embedded, org)
    hasty.close()


def test_the_same_block_sent_by_several_at_once_lands_once(
    front: Front, served: ClickHouse, embedded: ClickHouse, org: str
) -> None:
    """A loader that woke up too late, and its successor."""
    made = blocks(org)
    stores = [ClickHouse(front.dsn()) for _ in range(6)]
    threads = [threading.Thread(target=put, args=(store, *made)) for store in stores for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    put(embedded, *made)
    assert content(served, org) == content(embedded, org)


def test_whatever_befalls_many_inserts_their_totals_are_exact(served: ClickHouse, front: Front, org: str) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    for number, kind in enumerate((Kind.CUT_BEFORE, Kind.CUT_AFTER, Kind.EXCEPTION, Kind.STATUS)):
        value = {Kind.EXCEPTION: 252, Kind.STATUS: 503}.get(kind, 0)
        front.fault(kind, value, times=None, probability=0.15, seed=seed + number)
    try:
        failures = [
            failure
            for first in range(0, 120, 10)
            for block in blocks(org, first)
            for failure in put_until_done(served, block)
        ]
    finally:
        front.clear()
    assert failures
    found = content(served, org)
    assert sum(row["requests"] for row in found["traffic"]) == 12 * 12
    assert sum(row["requests"] for row in found["ledger"]) == 12 * 12
    assert len(found["dead_letters"]) == 12


@pytest.mark.parametrize("kind", [Kind.KILL_BEFORE, Kind.KILL_AFTER])
def test_a_server_killed_around_an_insert_holds_it_once_after_its_repetition(
    own: Front, embedded: ClickHouse, org: str, kind: Kind
) -> None:
    """And the broken connection is not taken for one that never was, though none is to be had any more."""
    store = ClickHouse(own.dsn())
    store.migrate()
    made = blocks(org)
    own.fault(kind)
    with pytest.raises(RetryLater) as cut:
        put(store, made[0])
    assert not cut.value.unsent
    own.gone()
    with pytest.raises(RetryLater) as refused:
        put(store, made[0])
    assert (refused.value.unsent, refused.value.reason) == (True, State.AWAY)
    own.start()
    put(store, *made)
    put(embedded, *made)
    assert content(store, org) == content(embedded, org)
    store.close()


def test_an_engine_killed_at_any_moment_of_an_insert_holds_it_once_after_its_repetition(own: Front, org: str) -> None:
    """Where its files are ours: see `store.orphans` for why a server without replicas can't promise that."""
    store = ClickHouse(own.dsn())
    store.migrate()
    done = 0
    for first in range(0, 40, 10):
        block = blocks(org, first)[0]
        killer = threading.Timer(random.uniform(0, 0.05), own.kill)
        killer.start()
        try:
            put(store, block)
            done += 1
        except RetryLater:
            pass
        killer.join()
        forget_orphans(own.data)
        own.start()
        put(store, block)
    found = content(store, org)
    assert sum(row["requests"] for row in found["traffic"]) == 4 * 12, f"{done} inserts were confirmed"
    assert sum(row["requests"] for row in found["ledger"]) == 4 * 12
    assert len(found["dead_letters"]) == 4
    store.close()


@pytest.mark.parametrize("forget", [False, True])
def test_a_token_without_its_rows_is_forgotten_or_else_they_are_lost(own: Front, org: str, forget: bool) -> None:
    """The state that a kill can leave behind, made on purpose: the token is noted, the part is not there."""
    store = ClickHouse(own.dsn())
    store.migrate()
    [block, _] = blocks(org)
    put(store, block)
    parts = store.query(  # two, where the block's minutes lie on both sides of a week's end
        "SELECT path FROM system.parts WHERE active AND database = {database:String} AND table = 'traffic'",
        {"database": store.database},
    )
    own.kill()
    for part in parts:
        shutil.rmtree(part["path"])
    assert (forget_orphans(own.data) if forget else len(parts)) == len(parts) > 0
    assert forget_orphans(own.data) == 0 if forget else True
    own.start()
    put(store, block)
    assert sum(row["requests"] for row in content(store, org)["traffic"]) == (12 if forget else 0)
    assert sum(row["requests"] for row in content(store, org)["ledger"]) == 12
    store.close()


def test_a_store_may_be_named_before_its_server_is_there(tmp_path: Path) -> None:
    front = Front(tmp_path / "front")
    store = ClickHouse(front.dsn("somewhere"))
    with pytest.raises(RetryLater) as away:
        store.migrate()
    assert away.value.unsent
    assert store.condition().state == State.AWAY
    front.start()
    store.migrate()
    assert store.condition().state == State.OK
    store.close()
    front.kill()


def test_migrations_that_run_at_once_all_end_well(front: Front) -> None:
    stores = [ClickHouse(front.dsn("together")) for _ in range(4)]
    failed: list[Exception] = []

    def migrate(store: ClickHouse) -> None:
        try:
            store.migrate()
            store.check()
        except Exception as exc:
            failed.append(exc)

    threads = [threading.Thread(target=migrate, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    put(stores[0], *blocks("together"))
    assert sum(row["requests"] for row in content(stores[1], "together")["traffic"]) == 12
    for store in stores:
        store.close()


def test_a_slow_answer_holds_up_nobody_else(front: Front) -> None:
    store = ClickHouse(front.dsn())
    store.query("SELECT 1")
    with front.faulty(Kind.SLOW, 1.0, inserts=False):
        slow = threading.Thread(target=store.query, args=("SELECT 2",))
        slow.start()
        time.sleep(0.2)
        began = time.monotonic()
        store.query("SELECT 3")
        assert time.monotonic() - began < 0.7
        assert slow.is_alive()
        slow.join()
    store.close()


def test_what_is_wrong_with_the_tables_or_the_server_has_a_word(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ClickHouse(front.dsn("wrong", send_receive_timeout=1))
    assert store.condition().state == State.MISSING_TABLE
    store.migrate()
    assert store.condition().state == State.OK
    with front.faulty(Kind.SLOW, 1.3, inserts=False):
        assert store.condition().state == State.SLOW
    store.command("DROP VIEW shapes_view")
    assert store.condition().state == State.MISSING_TABLE
    store.command("TRUNCATE TABLE migrations")
    assert store.condition().state == State.OTHER_SCHEMA_VERSION
    store.migrate()
    assert store.condition().state == State.OK
    store.command("INSERT INTO migrations VALUES (9999)")
    assert store.condition().state == State.OTHER_SCHEMA_VERSION
    store.close()
    monkeypatch.setattr(connection, "OLDEST", (99, 1))
    newcomer = ClickHouse(front.dsn("wrong"))
    assert newcomer.condition().state == State.UNSUPPORTED_VERSION
    with pytest.raises(Stop, match=r"is too old: 99\.1 or later is needed"):
        newcomer.migrate()


def test_a_mistake_in_the_statement_is_no_reason_to_wait(served: ClickHouse) -> None:
    with pytest.raises(Stop, match=r"the store refuses: .*62"):
        served.query("SELEKT 1")


@pytest.mark.parametrize("dsn", ["", "clickhouse", "ftp://h/d", "http://", "http://h/a-b", "http://h/a/b"])
def test_what_names_no_store_is_refused_at_once(dsn: str) -> None:
    with pytest.raises(Stop):
        ClickHouse(dsn)


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    store = ClickHouse(Front(tmp_path).dsn().replace("://", "://me:secret@"))
    with pytest.raises(RetryLater) as away:
        store.query("SELECT 1")
    assert "secret" not in str(away.value)
