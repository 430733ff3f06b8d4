"""Many waiting clients, one transaction: a thread takes whatever waits, and answers after the commit.

Nothing is delayed to fill a batch: while one batch commits, the next gathers by itself, so that a lone client pays for
a thread switch only and a thousand clients share each fsync.
"""

import asyncio
import contextlib
import copy
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from bandit_nba.errors import NbaError, StoreBusyError, StoreError
from bandit_nba.store.pace import Pace

log = logging.getLogger("nba.store")

T = TypeVar("T")
R = TypeVar("R")

Handle = Callable[[list[T]], Sequence[R | Exception]]
SWITCH_S = 0.000_5
"""A busy thread lets go of the interpreter after this long.

sqlite3 gives the interpreter's lock away at every row. Beside an event loop that is always busy the writer then waits
out Python's 5 ms each time: 95 rows a second, against 8,000 with 0.5 ms; with 256 clients of one loop 2,200 and 5,200.
"""

_AsyncAnswers = dict[asyncio.AbstractEventLoop, list[tuple["asyncio.Future[R]", R | Exception]]]


@dataclass(frozen=True)
class _Waiting(Generic[T, R]):
    """An item and who waits for it: a thread's future, or an event loop's."""

    item: T
    future: "Future[R] | asyncio.Future[R]"

    def wanted(self) -> bool:
        """False where the client has gone; from then on a thread's future can no longer be cancelled."""
        if isinstance(self.future, Future):
            return self.future.set_running_or_notify_cancel()
        return not self.future.done()


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
        self._queue: deque[_Waiting[T, R]] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._idle = False
        self._held = False
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
        return len(self._queue)

    @property
    def wait_s(self) -> float:
        """For how long an item that came now would probably wait, seconds; by the batches of late."""
        return self._pace.wait_s(len(self._queue) + self._at_work)

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
        self._put(_Waiting(item, future))
        return future

    def submit_async(self, item: T) -> "asyncio.Future[R]":
        """Hand over an item from a running event loop; raises as `submit` does."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._put(_Waiting(item, future))
        return future

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Wake the thread once for all that is handed over inside: a page is one batch, not its first item and a rest.

        For one event loop, and never around an `await`.
        """
        self._held = True
        try:
            yield
        finally:
            with self._changed:
                self._held = False
                if self._idle and self._queue:
                    self._changed.notify()

    def close(self, *, drain_s: float) -> bool:
        """Take nothing new, finish what waits for at most `drain_s` seconds, and fail the rest; True if none was left.

        A batch that is being committed when the time is up is still answered, by its own outcome.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(drain_s)
        with self._changed:
            left = list(self._queue)
            self._queue.clear()
        error = StoreError("was closed before its turn", where=self._name, hint="send it again")
        self._answer([waiting for waiting in left if waiting.wanted()], _for_each(error, len(left)))
        return not left and not self._thread.is_alive()

    def _put(self, waiting: _Waiting[T, R]) -> None:
        with self._changed:
            if self._closed:
                raise StoreError("is closed", where=self._name)
            if len(self._queue) >= self._max_queued:
                raise StoreBusyError(
                    "queue is full",
                    where=self._name,
                    got=len(self._queue),
                    allowed=f"{self._max_queued} waiting",
                    hint="try again after a moment",
                )
            self._queue.append(waiting)
            if self._idle and not self._held:
                self._changed.notify()

    def _run(self) -> None:
        while batch := self._take():
            wanted = [waiting for waiting in batch if waiting.wanted()]
            if wanted:
                self._answer(wanted, self._timed([waiting.item for waiting in wanted]))

    def _timed(self, items: list[T]) -> Sequence[R | Exception]:
        begun = time.perf_counter()
        self._at_work = len(items)
        results = self._results(items)
        self._at_work = 0
        self._pace.took(len(items), time.perf_counter() - begun)
        return results

    def _take(self) -> list[_Waiting[T, R]]:
        """Whatever waits, at most `max_batch`; empty once it is closed and drained."""
        with self._changed:
            while not self._queue and not self._closed:
                self._idle = True
                self._changed.wait()
            self._idle = False
            return [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch))]

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

    def _answer(self, answered: Sequence[_Waiting[T, R]], results: Sequence[R | Exception]) -> None:
        """Wake threads at once, and each event loop once per batch rather than once per item."""
        by_loop: _AsyncAnswers[R] = {}
        for waiting, result in zip(answered, results, strict=False):
            if isinstance(waiting.future, asyncio.Future):
                by_loop.setdefault(waiting.future.get_loop(), []).append((waiting.future, result))
            elif isinstance(result, Exception):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(result)
        for loop, answers in by_loop.items():
            _wake(loop, answers)


def _for_each(error: StoreError, count: int) -> list[Exception]:
    """One exception object per client: raising the same one in many places would mix their tracebacks."""
    copies: list[Exception] = [copy.copy(error) for _ in range(count)]
    for one in copies:
        one.__cause__ = error.__cause__
    return copies


def _wake(loop: asyncio.AbstractEventLoop, answers: list[tuple["asyncio.Future[R]", R | Exception]]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: all its clients have gone
        loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: list[tuple["asyncio.Future[R]", R | Exception]]) -> None:
    for future, result in answers:
        if future.done():  # the client has gone meanwhile
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
