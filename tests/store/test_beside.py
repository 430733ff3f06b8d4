"""A real helper process: the same weights with it, without it, when it is killed, and where a row is damaged."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from bandit_nba.errors import NbaError
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.learner import beside
from bandit_nba.store.learner.beside import Beside, Task, helping
from bandit_nba.store.tables import decisions
from tests.learn import tiny_world as world
from tests.learn.tiny_training import CHUNK, training
from tests.learn.tiny_world import CATALOGUE, POLICY, REWARDS

SIZE = 2_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with world.opened(tmp_path) as database:
        world.play(database, SIZE, seed=3)
        yield database


@pytest.fixture
def helper(tmp_path: Path, database: Database) -> Iterator[Beside]:
    """At work already, so that it takes part from the first batch on."""
    helper = Beside(tmp_path / "beside")
    try:
        helper.begin(task(database))
        deadline = time.monotonic() + 60.0
        while not helper.is_ready():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield helper
    finally:
        helper.close()


def task(database: Database) -> Task:
    url = sqlite_url(Path(database.where))
    return Task(database=url, archive="", features=POLICY.features, facts=CATALOGUE.facts, rewards=REWARDS)


def test_it_takes_part_and_changes_nothing(database: Database, tmp_path: Path, helper: Beside) -> None:
    """Equal manifests but for VW's bytes and the version that follows from them; at least half made by the helper."""
    alone = training(tmp_path / "alone", database)().model.manifest
    made = training(tmp_path / "run", database, helper=helper)().model.manifest

    assert (made.weights_sha256, made.examples_learned) == (alone.weights_sha256, SIZE)
    assert (made.probes, made.means, made.arm_examples) == (alone.probes, alone.means, alone.arm_examples)
    assert (made.learned_from, made.learned_until) == (alone.learned_from, alone.learned_until)
    assert helper.ask([]) > 2  # of ten batches; how many depends on who was faster


def test_one_that_is_killed_costs_time_only(database: Database, tmp_path: Path, helper: Beside) -> None:
    alone = training(tmp_path / "alone", database)().model.manifest

    def kill(_count: int) -> None:
        if helper._process.poll() is None:
            os.kill(helper.pid, signal.SIGKILL)

    made = training(tmp_path / "run", database, helper=helper)(kill).model.manifest

    assert (made.weights_sha256, made.examples_learned) == (alone.weights_sha256, SIZE)


class Killed(BaseException):
    """The process ends here."""


def test_a_killed_run_goes_on_with_a_helper_or_without(database: Database, tmp_path: Path, helper: Beside) -> None:
    alone = training(tmp_path / "alone", database)().model.manifest
    seen: list[int] = []

    def kill(count: int) -> None:
        seen.append(count)
        if len(seen) == 4:
            raise Killed

    with pytest.raises(Killed):
        training(tmp_path / "run", database, helper=helper)(kill)
    made = training(tmp_path / "run", database)()

    assert made.resumed == 3 * CHUNK
    assert made.model.manifest.weights_sha256 == alone.weights_sha256


def test_a_damaged_row_is_named_as_without_it(database: Database, tmp_path: Path, helper: Beside) -> None:
    with database.write() as connection:
        connection.execute(sa.update(decisions).where(decisions.c.id == "d00101").values(facts=b"{"))
    alone = training(tmp_path / "alone", database)()
    made = training(tmp_path / "run", database, helper=helper)()

    assert made.failed == alone.failed
    assert [one.decision for one in made.failed] == ["d00101"]
    assert made.model.manifest.weights_sha256 == alone.model.manifest.weights_sha256


def test_it_leaves_nothing_behind(tmp_path: Path, helper: Beside) -> None:
    helper.ask(["d00001"])
    helper.close()

    assert helper._process.poll() is not None
    assert not (tmp_path / "beside").exists()
    assert not helper.is_ready()


def test_it_ends_with_the_process_that_asked_it(helper: Beside) -> None:
    """Its input ends when that process is gone, however it went."""
    assert helper._process.stdin is not None
    helper._process.stdin.close()

    assert helper._process.wait(30.0) == 0


def test_without_a_database_it_is_never_ready(database: Database, tmp_path: Path) -> None:
    helper = Beside(tmp_path / "beside")
    helper.begin(msgspec.structs.replace(task(database), database=sqlite_url(tmp_path / "none.db")))
    helper._process.wait(60.0)

    assert not helper.is_ready()
    assert helper.take(helper.ask(["d00001"])) is None
    helper.close()


def test_a_short_log_gets_none(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_has_cores", lambda: True)
    with helping(tmp_path / "beside", database, task(database)) as helper:
        assert helper is None
    monkeypatch.setattr(beside, "WORTH", SIZE - 1)
    with helping(tmp_path / "beside", database, task(database)) as helper:
        assert helper is not None
    with pytest.raises(NbaError), helping(tmp_path / "beside", database, task(database)) as helper:
        raise NbaError("anything")
    assert not (tmp_path / "beside").exists()
