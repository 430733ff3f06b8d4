"""The same outcome to two replicas at once: one keeps it, the other finds it known, on both databases."""

import threading

import pytest

from bandit_nba.online.collector import Collected, Collector
from bandit_nba.online.messages import Outcome
from bandit_nba.store.database import Database
from bandit_nba.store.log import outcomes as outcome_store
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("same", [True, False])
def test_the_second_finds_what_the_first_has_not_yet_committed(
    workspace: Workspace, database: Database, clock: Clock, same: bool
) -> None:
    kind = next(iter(workspace.rewards.outcomes))
    collector = Collector(workspace, database, clock=clock)
    found: list[list[Collected]] = []
    batch = [Outcome(outcome_id=name, decision_id="d", type=kind) for name in ("before", "o-1", "last")]
    other = Outcome(outcome_id="o-1", decision_id="d" if same else "another", type=kind)

    second = Database.open(workspace.database_url)
    try:
        with second.write() as connection:
            row = Collector(workspace, second, clock=clock)._row(other)
            outcome_store.insert(connection, [row], now_s=clock())
            thread = threading.Thread(target=lambda: found.append(collector.collect_batch(batch)))
            thread.start()
            thread.join(0.5)  # waits for the first to end
        thread.join(10.0)
    finally:
        second.close()

    assert [one.receipt for one in found[0]] == ["created", "duplicate" if same else "conflict", "created"]
    with database.read() as connection:
        assert outcome_store.count(connection) == 3
