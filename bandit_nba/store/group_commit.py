"""Many waiting clients, one transaction: a thread takes whatever waits, and answers after the commit.

Nothing is delayed to fill a batch: while one batch commits, the next gathers by itself, so that a lone client pays for
a thread switch only and a thousand clients share each fsync.

Who has many items hands them over as one order: one place in the queue, and one call back once all have their results.

A lone item could be done by whoever hands it over, in place of the thread: that saves two hand-overs (17 and 31 us of
some 1,500). But on an event loop one slow fsync or model would then hold up alarms, health checks and everybody else
beyond their deadlines, and no clock of the past says that the next one will not be slow.
"""

import asyncio
import contextlib
import copy
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from bandit_nba.errors import NbaError, StoreBusyError, StoreError
from bandit_nba.store.pace import Pace

log = logging.getLogger("nba.store")

T = TypeVar("T")
R = TypeVar("R")

Handle = Callable[[list[T]], Sequence[R | Exception]]
Told = Callable[[Sequence[R | Exception]], object]
SWITCH_S = 0.000_5
"""A busy thread lets go of the interpreter after this long.

sqlite3 gives the interpreter's lock away at every row. Beside an event loop that is always busy the writer then waits
out Python's 5 ms each time: 95 rows a second, against 8,000 with 0.5 ms; with 256 clients of one loop 2,200 and 5,200.
"""


class Order(Generic[T, R]):
    """Items that were handed over together.

    results: of the first so many items; it grows with each batch, after its commit. begun: how many items have been
    taken from the queue. told: called with all results, in `loop`, or by the queue's thread where that is None. wanted:
    asked before items are taken; False where the client has gone. cut: why the items that had not begun never will.
    """

    __slots__ = ("begun", "cut", "items", "loop", "results", "told", "wanted")

    def __init__(
        self,
        items: Sequence[T],
        *,
        told: Told[R],
        wanted: Callable[[], bool],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.items = items
        self.results: list[R | Exception] = []
        self.begun = 0
        self.loop = loop
        self.told = told
        self.wanted = wanted
        self.cut: StoreError | None = None

    def complete(self) -> bool:
        """Whether all results are there; what was cut has its error by then."""
        if self.cut is not None and len(self.results) == self.begun:
            self.results += _for_each(self.cut, len(self.items) - self.begun)
            self.begun = len(self.items)
        return len(self.results) == len(self.items)


class GroupCommit(Generic[T, R]):
    """Hands whatever waits to `handle`, one batch at a time, and gives each item its own result.

    handle: runs one transaction over its items and returns a result, or an exception, for each. An item is answered
    only after it returned, that is after the commit. Where it raises, nothing may have been written:

    - a `StoreError` (busy, disk full) is the store's trouble, and fails the whole batch at once;
    - anything else is some item's trouble: each item is handed over again alone, so that one poisoned item cannot fail
      its neighbours. What then still raises fails as `StoreError`.

    A client that has gone before its turn (a cancelled future) is left out: nobody was told that its item is kept.
    """

    def __init__(self, handle: Handle[T, R], *, max_queued: int, max_batch: int, name: str) -> None:
        self._handle = handle
        self._max_queued = max_queued
        self._max_batch = max_batch
        self._name = name
        self._queue: deque[Order[T, R]] = deque()
        self._waiting = 0
        self._guard = threading.Lock()
        self._bell = threading.Lock()
        """Held but for the moment in which it is rung; the thread waits for it. Cheaper than a condition."""
        self._bell.acquire()
        self._idle = False
        self._closed = False
        self._failure: StoreError | None = None
        self._pace = Pace()
        self._at_work = 0
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many items wait for their turn."""
        return self._waiting

    def wait_s(self, *, behind: int = 0) -> float:
        """For how long an item that came now, behind so many others, would probably wait, seconds."""
        return self._pace.wait_s(self._waiting + self._at_work + behind)

    @property
    def failure(self) -> StoreError | None:
        """Why the last batch failed as a whole; None since one has been committed."""
        return self._failure

    def submit(self, item: T) -> "Future[R]":
        """Hand over an item from a thread.

        Raises
        ------
        StoreBusyError
            If `max_queued` items wait already; nothing is kept of this one.
        StoreError
            If it is closed.
        """
        future: Future[R] = Future()
        # From `wanted` on the future can no longer be cancelled.
        self._put(Order((item,), told=lambda r: _resolve(future, r), wanted=future.set_running_or_notify_cancel))
        return future

    def submit_async(self, item: T) -> "asyncio.Future[R]":
        """Hand over an item from a running event loop; raises as `submit` does."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.hand_over((item,), told=lambda r: _resolve_wanted(future, r), wanted=lambda: not future.done())
        return future

    def hand_over(self, items: Sequence[T], *, told: Told[R], wanted: Callable[[], bool]) -> Order[T, R]:
        """Hand over items from a running event loop, see `Order`; those for which there is no room are not in it.

        Raises as `submit` does, where there is room for none.
        """
        order: Order[T, R] = Order(items, told=told, wanted=wanted, loop=asyncio.get_running_loop())
        self._put(order)
        return order

    def close(self, *, drain_s: float) -> bool:
        """Take nothing new, finish what waits for at most `drain_s` seconds, and fail the rest; True if none was left.

        A batch that is being committed when the time is up is still answered, by its own outcome.
        """
        with self._guard:
            self._closed = True
            self._ring()
        self._thread.join(drain_s)
        error = StoreError("was closed before its turn", where=self._name, hint="send it again")
        with self._guard:
            left, self._waiting = list(self._queue), 0
            self._queue.clear()
            for order in left:
                order.cut = error
            complete = [order for order in left if order.complete()]  # of the others a part is at work
        _tell([order for order in complete if order.wanted()])
        return not left and not self._thread.is_alive()

    def _put(self, order: Order[T, R]) -> None:
        with self._guard:
            if self._closed:
                raise StoreError("is closed", where=self._name)
            room = self._max_queued - self._waiting
            if room <= 0:
                raise StoreBusyError(
                    "queue is full",
                    where=self._name,
                    got=self._waiting,
                    allowed=f"{self._max_queued} waiting",
                    hint="try again after a moment",
                )
            if len(order.items) > room:
                order.items = order.items[:room]
            self._queue.append(order)
            self._waiting += len(order.items)
            self._ring()

    def _ring(self) -> None:
        """Wake the thread if it waits: once, whoever else rings before it is awake."""
        if self._idle:
            self._idle = False
            self._bell.release()

    def _run(self) -> None:
        while batch := self._take():
            self._do(batch)
            del batch  # while the thread waits, it keeps nobody's request

    def _do(self, batch: Sequence[tuple[Order[T, R], Sequence[T]]]) -> None:
        wanted = [(order, items) for order, items in batch if order.wanted()]
        if wanted:
            self._give(wanted, self._timed([item for _, items in wanted for item in items]))

    def _timed(self, items: list[T]) -> Sequence[R | Exception]:
        begun = time.perf_counter()
        self._at_work = len(items)
        results = self._results(items)
        self._at_work = 0
        self._pace.took(len(items), time.perf_counter() - begun)
        return results

    def _take(self) -> list[tuple[Order[T, R], Sequence[T]]]:
        """Whatever waits, at most `max_batch` items, by order; empty once it is closed and drained."""
        while True:
            with self._guard:
                if self._queue or self._closed:
                    return self._taken()
                self._idle = True
            self._bell.acquire()

    def _taken(self) -> list[tuple[Order[T, R], Sequence[T]]]:
        taken, room = [], self._max_batch
        while self._queue and room:
            order = self._queue[0]
            items = order.items[order.begun : order.begun + room]
            order.begun += len(items)
            room -= len(items)
            if order.begun == len(order.items):
                self._queue.popleft()
            taken.append((order, items))
        self._waiting -= self._max_batch - room
        return taken

    def _results(self, items: list[T]) -> Sequence[R | Exception]:
        try:
            results = self._handle(items)
            if len(results) != len(items):
                raise StoreError(f"{len(results)} results for {len(items)} items", where=self._name)
        except StoreError as error:
            self._tell(error)
            self._failure = error
            return _for_each(error, len(items))
        except BaseException as error:  # noqa: BLE001 - the thread must outlive whatever a handler raises
            return self._one_by_one(items) if len(items) > 1 else [self._unexpected(error)]
        if self._failure is not None:
            log.warning("%s: the store takes writes again", self._name)
        self._failure = None
        return results

    def _tell(self, error: StoreError) -> None:
        """Log the first failure of a row of them, and every one of another kind: callers are not told where and why."""
        if self._failure is None or self._failure.what != error.what:
            log.error("%s: nothing can be stored: %s", self._name, error)

    def _one_by_one(self, items: list[T]) -> list[R | Exception]:
        return [result for item in items for result in self._results([item])]

    def _unexpected(self, error: BaseException) -> Exception:
        if isinstance(error, NbaError):
            return error
        wrapped = StoreError(f"could not be stored ({type(error).__name__}: {error})", where=self._name)
        wrapped.__cause__ = error
        return wrapped

    def _give(self, taken: Sequence[tuple[Order[T, R], Sequence[T]]], results: Sequence[R | Exception]) -> None:
        """Each order its part; who has all is told."""
        at = 0
        with self._guard:
            for order, items in taken:
                order.results += results[at : at + len(items)]
                at += len(items)
            complete = [order for order, _ in taken if order.complete()]
        _tell(complete)


def _for_each(error: StoreError, count: int) -> list[Exception]:
    """One exception object per client: raising the same one in many places would mix their tracebacks."""
    copies: list[Exception] = [copy.copy(error) for _ in range(count)]
    for one in copies:
        one.__cause__ = error.__cause__
    return copies


def _tell(orders: Sequence[Order[T, R]]) -> None:
    """Tell threads at once, and wake each event loop once per batch rather than once per order."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Order[T, R]]] = {}
    for order in orders:
        if order.loop is None:
            order.told(order.results)
        else:
            by_loop.setdefault(order.loop, []).append(order)
    for loop, waiting in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: all its clients have gone
            loop.call_soon_threadsafe(_tell_each, waiting)


def _tell_each(orders: Sequence[Order[T, R]]) -> None:
    for order in orders:
        order.told(order.results)


def _resolve_wanted(future: "asyncio.Future[R]", results: Sequence[R | Exception]) -> None:
    if not future.done():  # else the client has gone meanwhile
        _resolve(future, results)


def _resolve(future: "Future[R] | asyncio.Future[R]", results: Sequence[R | Exception]) -> None:
    (result,) = results
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
