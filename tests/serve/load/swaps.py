"""A model every second, at half the load: no request fails, and the slowest are no slower than twice the quiet ones."""

import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bandit_nba.store.database import Database
from bandit_nba.store.registry import models, serving
from bandit_nba.workspace import open_workspace
from tests.serve.load import generator
from tests.serve.load.saturation import capacity
from tests.serve.load.shop import Shop, open_shop
from tests.serve.load.verdict import Verdict

EVERY_S = 1.0
TIMES = 2.0


def swaps(folder: Path, seconds: float) -> Verdict:
    """Two published models take turns; phases with and without changes alternate, three each."""
    verdict = Verdict()
    with open_shop(folder) as shop:
        _, best = capacity(shop, folder, seconds=4.0, connections=(16, 64))
        versions = _two_models(shop)
        database = Database.open(open_workspace(shop.path).database_url)
        try:
            quiet, changing = [], []
            begun = int(shop.status()["replica"]["modelSwaps"])
            for _ in range(3):
                quiet.append(generator.paced(shop.url, shop.key, folder, per_s=best / 2, seconds=seconds / 3))
                with Turns(database, versions):
                    changing.append(generator.paced(shop.url, shop.key, folder, per_s=best / 2, seconds=seconds / 3))
            time.sleep(1.5)
            swapped = int(shop.status()["replica"]["modelSwaps"]) - begun
        finally:
            database.close()
        before = statistics.median(seen.p99_ms for seen in quiet)
        during = statistics.median(seen.p99_ms for seen in changing)
        verdict.note(
            rate_per_s=round(best / 2),
            swaps=swapped,
            p99_quiet_ms=[round(seen.p99_ms, 2) for seen in quiet],
            p99_changing_ms=[round(seen.p99_ms, 2) for seen in changing],
            ratio=round(during / before, 2),
            failed=sum(seen.failed for seen in changing),
        )
        verdict.require(swapped >= 0.7 * seconds, f"only {swapped} swaps in {seconds:.0f} s")
        verdict.require(during <= TIMES * before, f"p99 {during:.1f} ms instead of {before:.1f} ms")
        for seen in changing:
            verdict.require_ok(seen.statuses, seen.broken, "while models change")
    return verdict


class Turns:
    """Lets one of `versions` serve after the other, a second each, as `nba models publish` does."""

    def __init__(self, database: Database, versions: Sequence[str]) -> None:
        self._database = database
        self._versions = versions
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._change)

    def __enter__(self) -> "Turns":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _change(self) -> None:
        turn = 0
        while not self._stop.wait(EVERY_S):
            turn += 1
            with self._database.write() as connection:
                version = self._versions[turn % len(self._versions)]
                serving.change(connection, "publish", version, who="load", why="test", now_s=time.time())


def _two_models(shop: Shop) -> list[str]:
    """Two versions that the learner has published by now, as it learns from the decisions made so far."""
    give_up = time.monotonic() + 60.0
    database = Database.open(open_workspace(shop.path).database_url)
    try:
        while time.monotonic() < give_up:
            with database.read() as connection:
                if len(found := models.versions(connection)) >= 2:
                    return list(found)[:2]
            shop.send("POST", "/v1/decisions", b'{"channel":"web"}')
            time.sleep(0.5)
    finally:
        database.close()
    raise RuntimeError("the learner did not publish two models within a minute")
