"""The runner finds what it looks for: a store that is doctored afterwards breaks the promise, which is named."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bandit_nba.workspace import open_workspace
from tests.faults.check import check
from tests.faults.history import History
from tests.faults.run import played
from tests.faults.scenarios import Scenario, quiet
from tests.faults.shim import compiler

pytestmark = [
    pytest.mark.timeout(500),
    pytest.mark.skipif(compiler() is None, reason="the shim between SQLite and the kernel needs a C compiler"),
]

LEARNED = "SELECT id FROM decisions WHERE learned_in NOT IN ('never', 'quarantined', 'overridden') ORDER BY id LIMIT 1"
COUNTED = """
    SELECT o.id FROM outcomes o JOIN decisions d ON d.id = o.decision
    WHERE o.received_at <= d.matures_at AND o.type = 'accept' AND d.kind = 'normal' AND d.activate_by IS NULL
    ORDER BY o.id LIMIT 1
"""
LATE = COUNTED.replace("<=", ">")


@pytest.fixture(scope="module")
def quiet_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, History]:
    """The workspace and the history of a run in which nothing happened, and nothing was wrong."""
    directory = tmp_path_factory.mktemp("quiet") / "run"
    counts, violations, history = played(Scenario("quiet", quiet), profile="short", seed=1, directory=directory)
    assert violations == []
    assert counts.acknowledged_decisions > 20
    return directory / "w", history


@pytest.mark.parametrize(
    ("doctored", "which", "promise"),
    [
        ("DELETE FROM decisions WHERE id = :id", LEARNED, "P1"),
        ("UPDATE decisions SET answer = x'7b7d' WHERE id = :id", LEARNED, "P2"),
        ("DELETE FROM outcomes WHERE id = :id", COUNTED, "P1"),
        ("UPDATE outcomes SET amount = 7.77 WHERE id = :id", COUNTED, "P3"),
        ("UPDATE outcomes SET received_at = received_at - 60 WHERE id = :id", LATE, "P6: relearned"),
        ("UPDATE outcomes SET received_at = received_at + 60 WHERE id = :id", COUNTED, "P6: relearned"),
        ("UPDATE decisions SET matures_at = matures_at + 600 WHERE id = :id", LEARNED, "P4"),
        ("UPDATE decisions SET learned_in = NULL WHERE id = :id", LEARNED, "P4: 1 decisions were not learned"),
        ("UPDATE decisions SET learned_in = 'never' WHERE id = :id", LEARNED, "P6"),
        ("UPDATE decisions SET propensity = propensity * 0.9 WHERE id = :id", LEARNED, "P5"),
        ("UPDATE decisions SET valid_until = 9e999 WHERE id = :id", LEARNED, "P8"),
    ],
)
def test_it_finds(quiet_run: tuple[Path, History], tmp_path: Path, doctored: str, which: str, promise: str) -> None:
    workspace, history = quiet_run
    shutil.copytree(workspace, tmp_path / "w")
    engine = sa.create_engine(open_workspace(tmp_path / "w").database_url)
    with engine.begin() as connection:
        one = connection.execute(sa.text(which)).scalar_one()
        assert connection.execute(sa.text(doctored), {"id": one}).rowcount == 1
    engine.dispose()

    _, violations = check(tmp_path / "w", history, until_s=float("inf"), audit=promise == "P5")
    assert any(one.startswith(promise) for one in violations), violations


def test_it_finds_an_answer_that_changed(quiet_run: tuple[Path, History], tmp_path: Path) -> None:
    workspace, history = quiet_run
    decision, (payload, body) = next(iter(history.decisions.items()))
    told = History(tmp_path / "history.jsonl")
    told.decided(payload, body)
    told.decided(payload, body.replace(b"decidedAt", b"decided_at"))

    assert [one[:2] for one in told.wrong] == ["P2"]
    invented = {**history.decisions, f"{decision}-x": (payload, body)}
    _, violations = check(workspace, replace(history, decisions=invented), until_s=float("inf"), audit=False)
    assert [one[:2] for one in violations] == ["P1"]
