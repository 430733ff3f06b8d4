"""What was acknowledged is there after the process was killed at any moment."""

import subprocess
import time
from collections.abc import Callable

from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions

Start = Callable[..., "subprocess.Popen[str]"]


def test_every_acknowledged_decision_survives_kill_9(database: Database, url: str, start: Start) -> None:
    acknowledged: list[str] = []
    for round_, seconds in enumerate((0.2, 0.35, 0.5)):
        process = start("acknowledge", url, f"r{round_}", 60.0)
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(101)]
        time.sleep(seconds)
        process.kill()
        rest, _ = process.communicate()
        assert process.returncode == -9
        acknowledged += [line.rstrip("\n") for line in [*first, *rest.splitlines(keepends=True)] if line.endswith("\n")]
    with database.read() as connection:
        found = {r.id: r for r in decisions.scan(connection)}
        whole = connection.exec_driver_sql("PRAGMA integrity_check").scalar() if url.startswith("sqlite") else "ok"

    assert len(acknowledged) > 300
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= found.keys()
    assert len(found) - len(acknowledged) <= 3 * 64  # committed, but killed before the word was out
    assert all(r.facts for r in found.values())  # a decision and its facts come together
    assert whole == "ok"
