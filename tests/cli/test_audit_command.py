"""`nba audit` on a real workspace: silent on what the decider wrote, loud on what was changed behind its back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa
from click.testing import Result

from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.learn.examples import Examples
from bandit_nba.learn.options import vw_arguments
from bandit_nba.learn.registry import Learned, Lineage, package, verified
from bandit_nba.learn.sparse import SparseWeights
from bandit_nba.online.decider import Decider
from bandit_nba.online.definitions import register
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.store.database import Database
from bandit_nba.store.past import past_records
from bandit_nba.store.registry import models
from bandit_nba.store.tables import decisions
from bandit_nba.workspace import Workspace, init_workspace, open_workspace
from tests import command

ROWS = 240


class Serving:
    """The model of the moment."""

    def __init__(self) -> None:
        self.scorer: Scorer = NoModel()

    def current(self) -> Scorer:
        return self.scorer


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with half of its decisions made before the first model and half with it."""
    directory = tmp_path_factory.mktemp("audit") / "shop"
    init_workspace(directory)
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    register(workspace, database)
    serving, times = Serving(), iter(1_700_000_000.0 + np.arange(10_000.0))
    decider = Decider(workspace, database, serving, clock=lambda: float(next(times)))
    asked = _requests(workspace)
    decider.decide_batch(asked[: ROWS // 2])
    serving.scorer = _published(workspace, database)
    for start in range(ROWS // 2, ROWS, 30):
        decider.decide_batch(asked[start : start + 30])
    database.close()
    return directory


@pytest.fixture
def shop(written: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    directory = tmp_path / "shop"
    for path in written.rglob("*"):
        copy = directory / path.relative_to(written)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            copy.chmod(path.stat().st_mode)
    return directory


@pytest.fixture
def change(shop: Path) -> Iterator[Callable[[sa.Update | sa.Delete], None]]:
    """Change the database behind the program's back."""
    database = Database.open(open_workspace(shop).database_url, create=False)

    def run(statement: sa.Update | sa.Delete) -> None:
        with database.write() as connection:
            assert connection.execute(statement).rowcount > 0

    yield run
    database.close()


def test_what_the_decider_wrote_is_true(written: Path) -> None:
    found = _audit(written)

    assert found.exit_code == 0, found.output
    assert f"{ROWS} decisions made again ({ROWS} normal)" in found.output
    assert "distributions           all equal; largest difference 0.0e+00" in found.output
    assert "The log tells the truth." in found.output


def test_machines_read_the_same(written: Path) -> None:
    found = msgspec.json.decode(_audit(written, "--json").stdout)

    assert (found["ok"], found["rows"], found["differing"], found["differ"]) == (True, ROWS, 0, {})
    assert found["maxDifference"] == 0.0
    assert len(found["pit"]) == 20
    assert sum(found["pit"]) == ROWS
    assert 0.0 < found["pitPValue"] <= 1.0


def test_a_part_of_the_log(written: Path) -> None:
    since = msgspec.json.decode(_audit(written, "--since", "2023-11-14T22:13:22", "--json").stdout)
    limited = msgspec.json.decode(_audit(written, "--limit", "7", "--json").stdout)

    assert since["rows"] == ROWS // 2 - 30  # the clock ticks once a batch: two batches were earlier
    assert limited["rows"] == 7


def test_a_changed_probability_is_found(shop: Path, change: Callable[[sa.Update], None]) -> None:
    database = Database.open(open_workspace(shop).database_url, create=False)
    record = next(r for r in past_records(database) if len(msgspec.json.decode(r.arms)) > 3)
    database.close()
    names, p = msgspec.json.decode(record.arms), msgspec.json.decode(record.probabilities)
    one, two = [k for k in range(len(names)) if names[k] != record.arm][:2]
    p[one], p[two] = p[one] + 0.001, p[two] - 0.001
    change(sa.update(decisions).where(decisions.c.id == record.id).values(probabilities=msgspec.json.encode(p)))

    found = _audit(shop)

    assert found.exit_code == 1
    assert "distributions           1 differ; largest difference 1.0e-03" in found.output
    assert record.id in found.output
    assert "The log does not tell the truth." in found.output


def test_erased_facts_are_not_a_difference(shop: Path, change: Callable[[sa.Update], None]) -> None:
    change(sa.update(decisions).where(decisions.c.id == "order-5").values(facts=None))

    found = _audit(shop)

    assert found.exit_code == 0
    assert "facts erased            1" in found.output


def test_a_workspace_that_is_not_there(tmp_path: Path) -> None:
    assert _audit(tmp_path / "nowhere").exit_code == 2


@pytest.mark.parametrize("page", [1, 7, 30, 100, ROWS, 1000])
def test_pages_of_any_size_hold_each_record_once(written: Path, page: int) -> None:
    """Batches of 120 and 30 share their time, so pages end in the middle of equal times."""
    database = Database.open(open_workspace(written).database_url, create=False)
    ids = [record.id for record in past_records(database, page=page)]
    limited = [record.id for record in past_records(database, page=page, limit=133)]
    database.close()

    assert len(ids) == ROWS
    assert len(set(ids)) == ROWS
    assert limited == ids[:133]


def _audit(directory: Path, *options: str) -> Result:
    arguments = ["audit", str(directory), *options]
    return command.nba(*arguments)


def _requests(workspace: Workspace) -> list[DecisionRequest]:
    rng = np.random.default_rng(5)
    channels = list(workspace.service.channels)
    return [
        DecisionRequest(
            decision_id=f"order-{i}",
            channel=channels[int(rng.integers(len(channels)))],
            facts={
                "tenure_months": float(rng.integers(0, 70)),
                "monthly_charges": float(rng.gamma(4.0, 15.0)),
                "internet": str(rng.choice(["none", "dsl", "fiber"])),
                "senior": bool(rng.random() < 0.2),
                "consent_marketing": bool(rng.random() < 0.8),
                "owned": ["streaming"] if rng.random() < 0.3 else [],
            },
        )
        for i in range(ROWS)
    ]


def _published(workspace: Workspace, database: Database) -> Scorer:
    """A model with random weights, published as the learner would."""
    policy = workspace.policy
    featuriser = Featuriser(policy.features, workspace.catalogue.facts)
    lineage = Lineage(
        features=policy.features,
        learning=policy.learning,
        vw_args=vw_arguments(policy.features, policy.learning),
        feature_version=featuriser.version,
        reward_version=workspace.rewards.version,
        reward_range=workspace.rewards.range,
    )
    weights = np.random.default_rng(6).normal(0.0, 0.02, size=1 << policy.features.bits).astype(np.float32)
    one = Examples(
        contexts=featuriser.contexts(Facts.from_rows([{}], workspace.catalogue.facts), Coded(np.array([0]), ("web",))),
        arms=featuriser.arms(workspace.catalogue.arms),
        chosen=np.array([1]),
        reward=np.array([0.0]),
    )
    stored = package(
        b"VW's own bytes",
        SparseWeights.of(weights),
        lineage=lineage,
        parent="",
        learned=Learned(examples=500, since=1.0, until=2.0),
        recent=one,
        created_at=3.0,
    )
    with database.write() as connection:
        models.publish(connection, stored)
    return verified(stored)
