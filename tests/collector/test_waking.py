"""Waiting in a loop for futures of another thread."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from forebay.collector.waking import Waking
from forebay.errors import RetryLater


def under_way(count: int) -> list[Future[None]]:
    futures = [Future[None]() for _ in range(count)]
    for future in futures:
        future.set_running_or_notify_cancel()
    return futures


def settle(futures: list[Future[None]]) -> None:
    for number, future in enumerate(futures):
        if number % 3:
            future.set_result(None)
        else:
            future.set_exception(RetryLater(str(number)))


def test_everyone_learns_of_their_own_outcome_however_many_are_settled_at_once() -> None:
    futures = under_way(3_000)

    async def all_of_them() -> list[BaseException | None]:
        waking = Waking()
        threads = [threading.Thread(target=settle, args=(futures[begin::3],)) for begin in range(3)]
        waiting = [asyncio.ensure_future(waking.result(future)) for future in futures]
        await asyncio.sleep(0)
        for thread in threads:
            thread.start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    outcomes = asyncio.run(asyncio.wait_for(all_of_them(), 60))
    assert [str(outcome) for outcome in outcomes] == [str(future.exception()) for future in futures]


def test_what_is_settled_already_is_not_waited_for() -> None:
    [future] = under_way(1)
    future.set_exception(RetryLater("too late"))
    with pytest.raises(RetryLater, match="too late"):
        asyncio.run(asyncio.wait_for(Waking().result(future), 60))


def test_an_outcome_that_nobody_waits_for_any_more_disturbs_nobody() -> None:
    forsaken, awaited = under_way(2)
    waking = Waking()

    async def one_of_two() -> None:
        impatient = asyncio.ensure_future(waking.result(forsaken))
        patient = asyncio.ensure_future(waking.result(awaited))
        await asyncio.sleep(0)
        impatient.cancel()
        threading.Thread(target=settle, args=([awaited],)).start()
        with pytest.raises(RetryLater):
            await patient

    asyncio.run(one_of_two())
    assert forsaken.running()
    forsaken.set_result(None)
