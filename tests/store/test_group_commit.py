"""Batches form by themselves, and every client gets its own answer exactly once, whatever goes wrong."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from bandit_nba.errors import InputError, StoreBusyError, StoreError
from bandit_nba.store.group_commit import GroupCommit


class Gate:
    """A handler that doubles numbers, and can be held up; it keeps the batches it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append(items)
        self.entered.set()
        assert self.open.wait(10.0)
        return [2 * item for item in items]

    @contextmanager
    def closed(self, commits: "GroupCommit[int, int]") -> Iterator["Future[int]"]:
        """One item is inside; what comes now waits."""
        self.open.clear()
        self.entered.clear()
        first = commits.submit(0)
        assert self.entered.wait(10.0)
        yield first
        self.open.set()


def commits_of(handle: object, *, max_queued: int = 100, max_batch: int = 10) -> "GroupCommit[int, int]":
    return GroupCommit(handle, max_queued=max_queued, max_batch=max_batch, name="numbers")  # type: ignore[arg-type] # any callable


def test_each_item_gets_its_own_result_and_whatever_waits_is_one_batch() -> None:
    gate = Gate()
    commits = commits_of(gate)
    with gate.closed(commits):
        futures = [commits.submit(i) for i in range(1, 24)]

    assert [f.result(10.0) for f in futures] == [2 * i for i in range(1, 24)]
    assert gate.batches == [[0], list(range(1, 11)), list(range(11, 21)), [21, 22, 23]]
    assert commits.close(drain_s=1.0)


def test_an_order_is_done_in_its_order_by_batches_and_told_once() -> None:
    """25 items behind one that is inside, ten at a time; what comes behind them shares their last batch."""
    gate = Gate()
    commits = commits_of(gate)
    told: list[list[int | Exception]] = []

    async def clients() -> int:
        with gate.closed(commits):
            order = commits.hand_over(range(1, 26), told=lambda r: told.append(list(r)), wanted=lambda: True)
            after = commits.submit_async(100)
            assert (commits.waiting, order.results) == (26, [])
        return await after

    assert asyncio.run(clients()) == 200
    assert told == [[2 * i for i in range(1, 26)]]
    assert gate.batches == [[0], list(range(1, 11)), list(range(11, 21)), [*range(21, 26), 100]]
    commits.close(drain_s=1.0)


def test_results_of_an_order_stand_there_as_soon_as_they_are_committed_and_not_before() -> None:
    gate = Gate()
    commits = commits_of(gate, max_batch=2)

    async def watch() -> list[list[int | Exception]]:
        seen = []
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gate.open.clear()
        order = commits.hand_over([1, 2, 3], told=lambda _: done.set_result(None), wanted=lambda: True)
        while not gate.entered.is_set():
            await asyncio.sleep(0.001)
        seen.append(list(order.results))
        gate.open.set()
        await done
        seen.append(list(order.results))
        return seen

    assert asyncio.run(watch()) == [[], [2, 4, 6]]
    commits.close(drain_s=1.0)


def test_of_an_order_there_is_taken_what_has_room() -> None:
    gate = Gate()
    commits = commits_of(gate, max_queued=3)

    async def clients() -> tuple[list[int | Exception], int]:
        told: asyncio.Future[list[int | Exception]] = asyncio.get_running_loop().create_future()
        with gate.closed(commits):
            order = commits.hand_over([1, 2, 3, 4, 5], told=lambda r: told.set_result(list(r)), wanted=lambda: True)
            with pytest.raises(StoreBusyError, match="queue is full"):
                commits.hand_over([6], told=print, wanted=lambda: True)
        return await told, len(order.items)

    assert asyncio.run(clients()) == ([2, 4, 6], 3)
    commits.close(drain_s=1.0)


def test_an_order_whose_client_has_gone_ends_where_it_was() -> None:
    gate = Gate()
    commits = commits_of(gate, max_batch=2)
    wanted = True
    told: list[object] = []

    async def leave() -> int:
        nonlocal wanted
        with gate.closed(commits):
            commits.hand_over([1, 2, 3, 4], told=told.append, wanted=lambda: wanted)
            stays = commits.submit_async(5)
            wanted = False
        return await stays

    assert asyncio.run(leave()) == 10
    assert gate.batches == [[0], [5]]
    assert told == []
    commits.close(drain_s=1.0)


def test_one_poisoned_item_of_an_order_fails_alone() -> None:
    def handle(items: list[int]) -> list[int]:
        if 3 in items:
            raise ZeroDivisionError("three")
        return [2 * item for item in items]

    commits = commits_of(handle)

    async def client() -> list[int | Exception]:
        told: asyncio.Future[list[int | Exception]] = asyncio.get_running_loop().create_future()
        commits.hand_over(range(1, 6), told=lambda r: told.set_result(list(r)), wanted=lambda: True)
        return await told

    results = asyncio.run(client())
    assert [r for r in results if not isinstance(r, Exception)] == [2, 4, 8, 10]
    assert isinstance(results[2], StoreError)
    commits.close(drain_s=1.0)


def test_an_order_of_which_a_part_is_at_work_when_the_time_is_up_is_told_of_both_parts() -> None:
    gate = Gate()
    commits = commits_of(gate, max_batch=2)

    async def client() -> list[int | Exception]:
        told: asyncio.Future[list[int | Exception]] = asyncio.get_running_loop().create_future()
        gate.open.clear()
        commits.hand_over([1, 2, 3], told=lambda r: told.set_result(list(r)), wanted=lambda: True)
        while not gate.entered.is_set():
            await asyncio.sleep(0.001)
        assert not await asyncio.to_thread(commits.close, drain_s=0.05)
        gate.open.set()
        return await asyncio.wait_for(told, 5.0)

    first, second, third = asyncio.run(client())
    assert (first, second) == (2, 4)
    assert isinstance(third, StoreError)
    assert "closed before its turn" in str(third)


def test_nothing_is_answered_before_the_handler_returns() -> None:
    gate = Gate()
    commits = commits_of(gate)
    with gate.closed(commits) as first:
        assert not first.done()
    assert first.result(10.0) == 0
    commits.close(drain_s=1.0)


def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    gate = Gate()
    commits = commits_of(gate, max_queued=3)
    with gate.closed(commits):
        futures = [commits.submit(i) for i in range(3)]
        assert commits.waiting == 3
        with pytest.raises(StoreBusyError, match="queue is full"):
            commits.submit(9)

    assert [f.result(10.0) for f in futures] == [0, 2, 4]
    assert commits.submit(5).result(10.0) == 10
    assert [9] not in gate.batches
    commits.close(drain_s=1.0)


def test_a_store_error_fails_its_batch_once_and_the_thread_goes_on() -> None:
    calls: list[list[int]] = []

    def handle(items: list[int]) -> list[int]:
        calls.append(items)
        if len(calls) == 1:
            raise StoreError("cannot grow", where="nba.db", hint="free space")
        return items

    commits = commits_of(handle)
    with pytest.raises(StoreError, match="cannot grow") as caught:
        commits.submit(1).result(10.0)

    assert (caught.value.where, caught.value.hint) == ("nba.db", "free space")
    assert commits.failure is not None
    assert commits.submit(2).result(10.0) == 2
    assert commits.failure is None
    assert calls == [[1], [2]]
    commits.close(drain_s=1.0)


def test_each_client_gets_an_exception_of_its_own() -> None:
    """The same object raised in many places would gather all their tracebacks."""
    gate = Gate()
    plain = gate.__call__

    def handle(items: list[int]) -> Sequence[int | Exception]:
        plain(items)
        raise StoreBusyError("is locked")

    commits = commits_of(handle)
    with gate.closed(commits):
        futures = [commits.submit(i) for i in range(4)]
    errors = [f.exception(10.0) for f in futures]

    assert len({id(e) for e in errors}) == 4
    assert all(isinstance(e, StoreBusyError) and str(e) == "is locked" for e in errors)
    commits.close(drain_s=1.0)


def test_one_poisoned_item_fails_alone() -> None:
    gate = Gate()
    plain = gate.__call__

    def handle(items: list[int]) -> Sequence[int | Exception]:
        plain(items)
        if 3 in items:
            raise ZeroDivisionError("three")
        return [2 * item for item in items]

    commits = commits_of(handle)
    with gate.closed(commits):
        futures = [commits.submit(i) for i in range(1, 6)]

    assert [f.exception(10.0) is None for f in futures] == [True, True, False, True, True]
    assert [f.result() for f in futures if not f.exception()] == [2, 4, 8, 10]
    assert isinstance(futures[2].exception(), StoreError)
    assert isinstance(futures[2].exception().__cause__, ZeroDivisionError)  # type: ignore[union-attr] # just checked
    assert commits.failure is None  # the store is not to blame
    commits.close(drain_s=1.0)


def test_a_handler_may_refuse_single_items() -> None:
    refused = InputError("too odd")
    commits = commits_of(lambda items: [refused if item % 2 else item for item in items])
    with pytest.raises(InputError):
        commits.submit(1).result(10.0)

    assert commits.submit(2).result(10.0) == 2
    commits.close(drain_s=1.0)


@pytest.mark.parametrize("wrong", [SystemExit(1), ZeroDivisionError("x")])
def test_the_thread_outlives_whatever_a_handler_raises(wrong: BaseException) -> None:
    def handle(items: list[int]) -> list[int]:
        if items == [1]:
            raise wrong
        return items

    commits = commits_of(handle)
    with pytest.raises(StoreError, match="could not be stored"):
        commits.submit(1).result(10.0)

    assert commits.submit(2).result(10.0) == 2
    commits.close(drain_s=1.0)


def test_a_handler_that_loses_results_is_refused() -> None:
    commits = commits_of(lambda _items: [])
    with pytest.raises(StoreError, match="0 results for 1 items"):
        commits.submit(1).result(10.0)
    commits.close(drain_s=1.0)


def test_a_client_that_has_gone_is_left_out() -> None:
    gate = Gate()
    commits = commits_of(gate)
    with gate.closed(commits):
        gone, stays = commits.submit(1), commits.submit(2)
        assert gone.cancel()

    assert stays.result(10.0) == 4
    assert gate.batches == [[0], [2]]
    commits.close(drain_s=1.0)


def test_event_loops_are_woken_once_per_batch() -> None:
    gate = Gate()
    commits = commits_of(gate, max_batch=100)

    async def clients() -> tuple[list[int], int]:
        loop, wakes = asyncio.get_running_loop(), 0
        plain = loop.call_soon_threadsafe

        def counting(*args: object, **kwargs: object) -> object:
            nonlocal wakes
            wakes += 1
            return plain(*args, **kwargs)  # type: ignore[arg-type] # handed through

        loop.call_soon_threadsafe = counting  # type: ignore[method-assign,assignment] # counts and hands through
        with gate.closed(commits):
            futures = [commits.submit_async(i) for i in range(50)]
        return await asyncio.gather(*futures), wakes

    results, wakes = asyncio.run(clients())

    assert results == [2 * i for i in range(50)]
    assert wakes == 1
    commits.close(drain_s=1.0)


def test_async_clients_that_go_before_or_during_their_turn_hang_nobody() -> None:
    gate = Gate()
    commits = commits_of(gate)

    async def clients() -> int:
        gate.open.clear()
        during = asyncio.ensure_future(asyncio.wait_for(commits.submit_async(1), 5.0))
        while not gate.entered.is_set():
            await asyncio.sleep(0.001)
        before, stays = commits.submit_async(2), commits.submit_async(3)
        await asyncio.sleep(0)
        during.cancel()
        before.cancel()
        gate.open.set()
        return await asyncio.wait_for(stays, 5.0)

    assert asyncio.run(clients()) == 6
    assert gate.batches == [[1], [3]]
    assert commits.submit(4).result(10.0) == 8
    commits.close(drain_s=1.0)


def test_a_loop_that_was_closed_hangs_nobody() -> None:
    gate = Gate()
    commits = commits_of(gate)
    gate.open.clear()

    async def leave() -> None:
        commits.submit_async(1)
        while not gate.entered.is_set():
            await asyncio.sleep(0.001)

    asyncio.run(leave())
    gate.open.set()

    assert commits.submit(2).result(10.0) == 4
    commits.close(drain_s=1.0)


def test_close_finishes_what_waits() -> None:
    gate = Gate()
    commits = commits_of(gate)
    with gate.closed(commits):
        futures = [commits.submit(i) for i in range(25)]

    assert commits.close(drain_s=10.0)
    assert [f.result(0.0) for f in futures] == [2 * i for i in range(25)]
    with pytest.raises(StoreError, match="is closed"):
        commits.submit(1)


def test_close_fails_what_is_left_when_the_time_is_up() -> None:
    gate = Gate()
    commits = commits_of(gate)
    with gate.closed(commits) as inside:
        left = commits.submit(1)
        assert not commits.close(drain_s=0.05)
        with pytest.raises(StoreError, match="closed before its turn"):
            left.result(0.0)

    assert inside.result(10.0) == 0
    assert gate.batches == [[0]]
