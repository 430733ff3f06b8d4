"""Two replicas and a learner on one store, each a process of its own: nobody is told of a lock, nothing is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions, outcomes
from bandit_nba.store.tables import decisions as table
from bandit_nba.workspace import Workspace
from tests.patient import make_patient

HERE = Path(__file__).parent


def started(role: str, workspace: Workspace, name: str, seconds: float) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, str(HERE / "together.py"), role, str(workspace.path), name, str(seconds)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finished(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert "locked" not in err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize(
    ("store", "seconds"),
    [("sqlite", 4.0), ("postgresql", 4.0), pytest.param("sqlite", 60.0, marks=pytest.mark.slow)],
    indirect=["store"],
)
def test_two_writers_and_a_learner_share_one_store(workspace: Workspace, database: Database, seconds: float) -> None:
    make_patient(workspace.path)
    rewards = workspace.path / "rewards.toml"
    rewards.write_text(rewards.read_text().replace('email = "P3D"', 'email = "P3D"\nweb = "PT1S"'))
    service = workspace.path / "service.toml"
    service.write_text(service.read_text().replace('publish_every = "PT2S"', 'publish_every = "PT0.5S"'))
    processes = [started(role, workspace, role + n, seconds) for role, n in (("write", "1"), ("write", "2"))]
    learner = finished(started("learn", workspace, "learn", seconds + 2.0))
    writers = [finished(process) for process in processes]

    assert [writer["errors"] for writer in writers] == [[], []]
    assert min(writer["decisions"] for writer in writers) > 20 * seconds  # nobody starves
    assert max(writer["longest_s"] for writer in writers) < 5.0
    assert learner["examples"] > 0
    with database.read() as connection:
        learned = connection.execute(sa.select(sa.func.count()).where(table.c.learned_in.is_not(None))).scalar_one()
        assert decisions.counts(connection, now_s=0.0).total == sum(writer["decisions"] for writer in writers)
        assert outcomes.count(connection) == sum(writer["created"] for writer in writers)
    assert learned == learner["examples"]
