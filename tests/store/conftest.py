"""A real SQLite file per test, and log records made by hand."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.store.database import Database, sqlite_url

if TYPE_CHECKING:
    from tests.postgres import Server


def record(decision: str, **changes: Any) -> DecisionRecord:
    """A normal decision at t = 1,000 s that matures at 2,800 s; `changes` by column."""
    columns: dict[str, Any] = {
        "id": decision,
        "customer": "c1",
        "channel": "app",
        "decided_at": 1_000.0,
        "valid_until": 2_800.0,
        "matures_at": 2_800.0,
        "activate_by": None,
        "kind": "normal",
        "arm": "tariff_m/short",
        "propensity": 0.75,
        "arms": b'["no_action","tariff_m/short"]',
        "probabilities": b"[0.25,0.75]",
        "expected_rewards": b"[0.1,0.2]",
        "removed": b'{"roaming":["eligibility","not abroad"]}',
        "catalogue_version": "cat1",
        "policy_version": "pol1",
        "feature_version": "fea1",
        "reward_version": "rew1",
        "model_version": "none",
        "salt_id": "s1",
        "payload_sha256": hashlib.sha256(decision.encode()).digest(),
        "answer": b'{"decisionId":"' + decision.encode() + b'"}',
        "facts": b'{"tenure":12.0}',
    }
    return DecisionRecord(**{**columns, **changes})


@pytest.fixture(name="record")
def _record() -> Callable[..., DecisionRecord]:
    return record


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start one of `processes.py`; whatever still runs after the test is killed."""
    running: list[subprocess.Popen[str]] = []

    def run(command: str, url: str, name: str, seconds: float) -> "subprocess.Popen[str]":
        here = Path(__file__).parent
        environment = {**os.environ, "PYTHONPATH": str(here.parents[1])}
        arguments = [sys.executable, str(here / "processes.py"), command, url, name, str(seconds)]
        running.append(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store on each database; a module of one alone has its own."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "nba.db")
        return
    postgres: Server = request.getfixturevalue("postgres")
    url = postgres.store()
    yield url
    postgres.drop(url)


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> Iterator[str]:
    """A database without tables, of the same kind as `url`."""
    if url.startswith("sqlite"):
        yield sqlite_url(tmp_path / "empty.db")
        return
    postgres: Server = request.getfixturevalue("postgres")
    empty = postgres.empty()
    yield empty
    postgres.drop(empty)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url)
    yield database
    database.close()
