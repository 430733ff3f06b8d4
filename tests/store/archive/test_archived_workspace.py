"""What people and the learner do with a log, before and after its days went to the archive: the same."""

import asyncio
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.decide.audit.run import audit
from bandit_nba.errors import RefusedError, StoreError
from bandit_nba.evaluate.workspace import judge_workspace
from bandit_nba.online.explaining import Explaining
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.replica import Replica
from bandit_nba.promote.reading import read
from bandit_nba.store.archive.close import archive_days
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.store.registry import models
from bandit_nba.store.tables import decisions
from bandit_nba.workspace import open_workspace
from serve.app import create_app
from tests import command
from tests.promote import world
from tests.serve.asgi_client import Answered, Client

NOW_S = world.START_S + 40 * 86_400.0
N = 800


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decisions, all learned, and a day later as many again that no model has learned from."""
    directory = tmp_path_factory.mktemp("archived") / "shop"
    workspace = world.make(directory)
    world.play(workspace, N, start_s=world.START_S, seed=7)
    learn(directory)
    world.play(workspace, N, start_s=world.START_S + 86_400.0, seed=8)
    return directory


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(made, tmp_path / "shop"))


def learn(directory: Path, *, clock_s: float = NOW_S) -> str:
    """Learn everything that has matured; the sha256 over all weights."""
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    try:
        loop = LearningLoop.open(workspace, database, clock=lambda: clock_s)
        loop.step()
        assert loop.stop()
        with database.read() as connection:
            return models.read(connection, models.newest(connection)).manifest.weights_sha256
    finally:
        database.close()


def archived(directory: Path) -> int:
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    try:
        done = archive_days(database, workspace.archive_folder, before_s=NOW_S, clock=lambda: NOW_S)
        return sum(day.rows for day in done)
    finally:
        database.close()


def seen(directory: Path) -> tuple:
    """What evaluate, report, audit and explain read and find."""
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    archive = Archive(workspace.archive_folder)
    try:
        rng = np.random.default_rng(0)
        found = audit(past_records(database, archive=archive), StoredPast(database, workspace.salts), rng=rng)
        explained = Explaining(database, workspace.salts, workspace.labels, archive=archive)
        words = explained.explain(f"{world.START_S:.0f}-000007", "en")
        reading = read(database, workspace, now_s=NOW_S)
    finally:
        database.close()
    judged = judge_workspace(directory, now_s=NOW_S, rng=np.random.default_rng(0))
    beside = {kind: flags.tolist() for kind, flags in reading.happened.items()}
    return judged, words, found.rows, found.ok, reading.log.reward.tolist(), beside, reading.policies


def test_reports_audits_and_explanations_are_the_same_to_the_last_bit(shop: Path) -> None:
    before = seen(shop)
    assert archived(shop) == N  # the later decisions are not learned yet: their day stays
    assert seen(shop) == before


def test_the_service_tells_an_archived_decision_as_before(shop: Path) -> None:
    def told() -> Answered:
        replica = Replica.open(open_workspace(shop), clock=lambda: NOW_S)
        try:
            path = f"/v1/decisions/{world.START_S:.0f}-000007"
            return asyncio.run(Client(create_app(replica)).get(path))
        finally:
            replica.close()

    before = told()
    archived(shop)
    after = told()
    assert before.status == after.status == 200
    assert after.json == before.json


def test_a_new_lineage_learns_the_archived_days_as_if_they_were_in_the_store(shop: Path, tmp_path: Path) -> None:
    archived(shop)
    features = world.FEATURES.replace('interactions = ["UA"]', 'interactions = ["UA"]\nbits = 17')
    (shop / "policy.toml").write_text(world.UNIFORM.replace(world.FEATURES, features))
    from_archive = learn(shop)

    other = tmp_path / "other"
    workspace = world.make(other, world.UNIFORM.replace(world.FEATURES, features))
    world.play(workspace, N, start_s=world.START_S, seed=7)
    world.play(workspace, N, start_s=world.START_S + 86_400.0, seed=8)
    assert from_archive == learn(other)


def test_a_learner_without_the_archive_stops_rather_than_forget(shop: Path) -> None:
    archived(shop)
    workspace = open_workspace(shop)
    workspace.archive_folder.rename(shop / "elsewhere")
    changed = world.FEATURES.replace('interactions = ["UA"]', 'interactions = ["UA"]\nbits = 17')
    (shop / "policy.toml").write_text(world.UNIFORM.replace(world.FEATURES, changed))
    with pytest.raises(StoreError, match="archive"):
        learn(shop)


def test_a_model_is_not_judged_on_archived_decisions_that_it_learned_from(shop: Path) -> None:
    learn(shop)  # the later ones, too
    assert archived(shop) == 2 * N
    older = judge_workspace(shop, now_s=NOW_S, rng=np.random.default_rng(0))
    assert older.judged == N  # by default an older model, on what came after it
    workspace = open_workspace(shop)
    database = Database.open(workspace.database_url)
    with database.read() as connection:
        newest = models.newest(connection)
    database.close()
    assert older.model != newest
    with pytest.raises(RefusedError, match="after the model had learned"):
        judge_workspace(shop, model=newest, now_s=NOW_S, rng=np.random.default_rng(0))


def test_the_command_archives_closed_days_and_says_what_stays(shop: Path) -> None:
    arguments = ["log", "archive", str(shop), "--compact", "--json"]
    result = command.nba(*arguments)
    assert result.exit_code == 0, result.output
    told = msgspec.json.decode(result.stdout)
    days = told["days"]
    assert told["storeBytes"][0] > told["storeBytes"][1]
    assert [(day["rows"] > 0, bool(day["stays"])) for day in days] == [(True, False), (False, True)]
    database = Database.open(open_workspace(shop).database_url)
    with database.read() as connection:
        query = sa.select(sa.func.count()).where(decisions.c.archived_on.is_not(None))
        assert connection.scalar(query) == N
    database.close()
