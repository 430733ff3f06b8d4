"""`nba status`: the words and numbers of /v1/status from the store alone."""

import json
from pathlib import Path

from bandit_nba.store.database import Database
from bandit_nba.store.log import outcome_counts
from bandit_nba.workspace import init_workspace, open_workspace
from tests import command
from tests.learn import tiny_world as world


def nba(*arguments: object) -> str:
    result = command.nba("status", *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_tells_what_became_of_decisions_and_outcomes(tmp_path: Path) -> None:
    init_workspace(tmp_path / "shop")
    database = Database.open(open_workspace(tmp_path / "shop").database_url)
    with database.write() as connection:
        world.put_catalogue(connection, world.CATALOGUE)
        outcome_counts.add(connection, {"late": 3, "counts": 2}, shard=1)
        outcome_counts.add(connection, {"late": 4}, shard=2)
    world.play(database, 20, seed=1)
    world.decide(database, [world.record(20, kind="fallback"), world.record(21, facts=b"{")])
    learner = world.learner(database, world.Clock(10_000.0))
    learner.step()
    learner.finish()
    database.close()

    text = nba(tmp_path / "shop")
    content = json.loads(nba(tmp_path / "shop", "--json"))

    assert text.startswith("Not learning: no learner is running.")
    assert ["late", "7"] in [line.split() for line in text.splitlines()]
    assert (content["decisions"]["learned"], content["decisions"]["quarantined"]) == (20, 1)
    assert content["outcomeFates"] == {"counts": 2, "late": 7}
    assert content["quarantine"]["held"] == 1
