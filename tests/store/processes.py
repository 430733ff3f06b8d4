"""What tests run in processes of their own: `python processes.py COMMAND URL NAME SECONDS`."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import sqlalchemy as sa
from conftest import record

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.store.database import Database
from bandit_nba.store.group_commit import GroupCommit
from bandit_nba.store.log import decisions
from bandit_nba.store.migrate import migrate
from bandit_nba.store.tables import definitions


def add(database: Database, version: str, content: bytes) -> None:
    row = {"kind": "policy", "version": version, "content": content, "created_at": 1.0}
    with database.write() as connection:
        connection.execute(sa.insert(definitions).values(row))


def open_(database: Database, name: str, _seconds: float) -> None:
    """One row."""
    add(database, name, b"{}")


def write(database: Database, name: str, seconds: float) -> None:
    """As many rows as possible on two threads; prints each thread's count and its longest wait for one transaction."""
    stop = time.monotonic() + seconds

    def one_thread(thread: int) -> tuple[int, float]:
        count, longest = 0, 0.0
        while (started := time.monotonic()) < stop:
            add(database, f"{name}-{thread}-{count}", b"x" * 2_000)
            count, longest = count + 1, max(longest, time.monotonic() - started)
        return count, longest

    with ThreadPoolExecutor(2) as pool:
        for count, longest in pool.map(one_thread, range(2)):
            print(count, longest)


def acknowledge(database: Database, name: str, seconds: float) -> None:
    """Decisions by group commit, 32 under way at a time; prints each id once its commit is acknowledged."""

    def handle(records: list[DecisionRecord]) -> Sequence[str]:
        with database.write() as connection:
            decisions.insert(connection, records)
        return [r.id for r in records]

    commits = GroupCommit(handle, max_queued=1_000, max_batch=64, name="decisions")
    stop, made, waiting = time.monotonic() + seconds, 0, list[Future[str]]()
    while time.monotonic() < stop:
        while len(waiting) < 32:
            waiting.append(commits.submit(record(f"{name}-{made}")))
            made += 1
        print(waiting.pop(0).result(), flush=True)


def migrate_(url: str) -> None:
    """Prints the schema before and after."""
    done = migrate(url, backed_up=True)
    print(done.before, done.after)


def migrate_killed(url: str, before: int) -> None:
    """The process dies before the n-th statement that changes something."""
    left = before

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal left
        left -= statement.lstrip().split()[0].upper() in ("CREATE", "ALTER", "INSERT", "UPDATE", "DROP", "DELETE")
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    migrate_(url)


if __name__ == "__main__":
    _, command, url, name, seconds = sys.argv
    if command == "migrate":
        migrate_(url)
    elif command == "migrate_killed":
        migrate_killed(url, int(name))
    else:
        {"open": open_, "write": write, "acknowledge": acknowledge}[command](Database.open(url), name, float(seconds))
