"""The benchmark of the log writes the same rows on both sides, and counts none that is not stored."""

from pathlib import Path

import pytest

from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.log import decisions
from experiments.bench import log


def test_every_load_stores_what_it_acknowledges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "ROWS", {"single": 5, "1": 5, "16": 40, "256": 300})
    url = sqlite_url(tmp_path / "nba.db")
    found = log._on(url, rounds=2)
    database = Database.open(url, create=False)
    with database.read() as connection:
        stored = list(decisions.scan(connection))
    database.close()

    assert len(stored) == 3 * 350  # and one round to warm up
    assert {log._bytes(record) // 100 for record in stored} <= set(range(22, 30))
    assert set(found["per_s"]) == {"single", "1", "16", "256"}
    assert min(found["per_s"].values()) > 0
