"""Out and in again: what is exported teaches Vowpal Wabbit and another workspace the very same weights."""

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import vowpal_wabbit_next as vw

from bandit_nba.errors import StoreError
from bandit_nba.evaluate.formats import read_file, rows_of
from bandit_nba.evaluate.stored import read_log
from bandit_nba.learn.sparse import SparseWeights
from bandit_nba.logs.export import export_log
from bandit_nba.logs.importing import Imported, import_rows
from bandit_nba.online.definitions import register
from bandit_nba.store.archive.close import archive_days
from bandit_nba.store.database import Database
from bandit_nba.store.tables import decisions
from bandit_nba.workspace import open_workspace
from tests.full_disk import most_bytes
from tests.logs import rich_world

N = 600


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("logs") / "shop"
    rich_world.play(rich_world.make(directory), N, seed=3)
    return directory


@pytest.fixture(scope="module")
def weights(shop: Path) -> str:
    return rich_world.learn(shop).manifest.weights_sha256


def exported(directory: Path, out: Path, kind: str, **options) -> Path:
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    done = export_log(database, workspace, out, kind=kind, now_s=rich_world.NOW_S, **options)
    database.close()
    assert done.rows == N
    return out


def imported(directory: Path, file: Path, **options) -> Imported:
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    workspace = register(workspace, database)
    rows = rows_of(file, facts=tuple(workspace.catalogue.facts), arms=[arm.id for arm in workspace.catalogue.arms])
    bad: list = []
    done = import_rows(database, workspace, rows, origin="shop", now_s=rich_world.NOW_S, reject=bad.append, **options)
    database.close()
    assert bad == []
    return done


def test_vowpal_wabbit_learns_the_same_weights_from_the_exported_lines(shop, weights, tmp_path):
    file = exported(shop, tmp_path / "log.dsjson", "dsjson", train=True)
    manifest = rich_world.learn(shop).manifest
    workspace = vw.Workspace([*manifest.vw_args, "--quiet"])
    with file.open() as lines, vw.DSJsonFormatReader(workspace, lines) as reader:
        for event in reader:
            workspace.learn_one(event)

    assert SparseWeights.of(workspace.weights()[:, 0, 0].copy()).sha256() == weights


@pytest.mark.parametrize(("kind", "train"), [("dsjson", False), ("dsjson", True), ("parquet", False), ("csv", False)])
def test_another_workspace_learns_the_same_weights_from_the_file(shop, weights, tmp_path, kind, train):
    file = exported(shop, tmp_path / f"log.{kind}", kind, train=train)
    other = tmp_path / "other"
    rich_world.make(other)

    assert imported(other, file).kept == N
    model = rich_world.learn(other)
    assert model.manifest.weights_sha256 == weights
    assert model.manifest.examples_learned == N

    again = imported(other, file)
    assert (again.kept, again.known) == (0, N)
    assert rich_world.learn(other).manifest.version == model.manifest.version  # nothing more to learn


@pytest.mark.parametrize("kind", ["dsjson", "parquet", "csv"])
def test_a_file_is_judged_as_the_store_is(shop, tmp_path, kind):
    workspace = open_workspace(shop)
    database = Database.open(workspace.database_url)
    stored = read_log(database, workspace.rewards, workspace.catalogue.facts, now_s=rich_world.NOW_S)
    database.close()
    log, bad = read_file(exported(shop, tmp_path / f"log.{kind}", kind), schema=workspace.catalogue.facts)

    assert bad == []
    assert log.ids == stored.ids
    for name in ("group", "decided_at", "indptr", "probability", "reward", "chosen", "propensity"):
        assert getattr(log, name).tolist() == getattr(stored, name).tolist(), name
    assert log.facts.rows() == stored.facts.rows()


def test_archived_days_are_exported_with_the_rest(tmp_path):
    directory = tmp_path / "shop"
    rich_world.play(rich_world.make(directory), N, seed=3)
    before = exported(directory, tmp_path / "before.dsjson", "dsjson").read_bytes()
    rich_world.learn(directory)
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    done = archive_days(database, workspace.archive_folder, before_s=rich_world.NOW_S, clock=lambda: rich_world.NOW_S)
    database.close()
    assert sum(day.rows for day in done) == N

    assert exported(directory, tmp_path / "after.dsjson", "dsjson").read_bytes() == before


def test_an_import_beside_a_running_learner_is_learned_in_an_order_that_stays(shop, tmp_path):
    """What was learned first and what came in later: learning all of it anew gives the same weights."""
    file = exported(shop, tmp_path / "log.parquet", "parquet")
    other = tmp_path / "other"
    later_s = rich_world.START_S + 86_400.0
    rich_world.play(rich_world.make(other), 200, seed=9, start_s=later_s)
    rich_world.learn(other)
    imported(other, file)
    after = rich_world.learn(other, now_s=rich_world.NOW_S + 3600.0)
    assert after.manifest.examples_learned == 200 + N

    policy = (other / "policy.toml").read_text()
    (other / "policy.toml").write_text(policy.replace("scale = 37.0", "scale = 38.0"))
    rich_world.learn(other, now_s=rich_world.NOW_S + 7200.0)
    (other / "policy.toml").write_text(policy)
    anew = rich_world.learn(other, now_s=rich_world.NOW_S + 9000.0)
    assert anew.manifest.weights_sha256 == after.manifest.weights_sha256


def test_obp_dictionaries_hold_the_same_log(shop, tmp_path):
    file = exported(shop, tmp_path / "log.npz", "obp")
    with np.load(file) as feedback:
        arms = feedback["action_names"].tolist()
        assert feedback["n_rounds"] == N
        assert arms[0] == "no_action"
        chosen = feedback["pi_b"][np.arange(N), feedback["action"], 0]
        assert chosen.tolist() == feedback["pscore"].tolist()
        assert np.allclose(feedback["pi_b"].sum(axis=1), 1.0)
        assert feedback["context"].shape == (N, len(feedback["context_names"]))


@pytest.mark.parametrize("kind", ["dsjson", "parquet", "csv", "obp"])
def test_a_file_that_cannot_be_written_leaves_what_was_there(shop, tmp_path, kind):
    (tmp_path / "log").write_bytes(b"before")
    database = Database.open(open_workspace(shop).database_url)
    with database.read() as connection:
        connection.exec_driver_sql("SELECT 1 FROM decisions")  # what SQLite needs beside the store is there from now on
        with most_bytes(1_000), pytest.raises(StoreError, match="file cannot be written"):
            exported(shop, tmp_path / "log", kind)
    database.close()

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("log", b"before")]


@pytest.mark.parametrize("kind", ["dsjson", "parquet", "csv"])
def test_two_exports_into_one_file_at_once_are_each_whole(shop, tmp_path, kind):
    alone = exported(shop, tmp_path / "alone", kind).read_bytes()
    within: list[bytes] = []

    def another(_rows: int) -> None:
        within.append(exported(shop, tmp_path / "log", kind).read_bytes())

    outer = exported(shop, tmp_path / "log", kind, progress=another).read_bytes()

    assert within
    assert {outer, *within} == {alone}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "log"]


def test_what_is_quarantined_keeps_nobody_from_exporting_and_judging_the_others(tmp_path):
    directory = tmp_path / "shop"
    rich_world.play(rich_world.make(directory), 60, seed=3)
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    with database.write() as connection:
        two = connection.execute(sa.select(decisions.c.id).order_by(decisions.c.id).limit(2)).scalars().all()
        connection.execute(sa.update(decisions).where(decisions.c.id.in_(two)).values(facts=b"{broken"))
    rich_world.learn(directory)
    for kind in ("dsjson", "parquet", "csv", "obp"):
        done = export_log(database, workspace, tmp_path / kind, kind=kind, now_s=rich_world.NOW_S)
        assert (done.rows, done.left_out) == (58, {"quarantined": 2})
    log = read_log(database, workspace.rewards, workspace.catalogue.facts, now_s=rich_world.NOW_S)
    database.close()

    assert (len(log), log.left_out) == (58, {"quarantined": 2})
