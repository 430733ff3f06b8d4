"""A shop that has decided and learned."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_nba.workspace import init_workspace
from tests.online.clock import Clock
from tests.workspace.shop import Shop, played, shop_at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(tmp_path: Path, clock: Clock) -> Iterator[Shop]:
    """A shop on SQLite that has decided 200 times and learned 120 of them."""
    init_workspace(tmp_path / "shop")
    (tmp_path / "shop" / "data" / "archive").mkdir(parents=True)
    (tmp_path / "shop" / "data" / "archive" / "2026-01-31.parquet").write_bytes(b"a closed day")
    (tmp_path / "shop" / "logs").mkdir()
    (tmp_path / "shop" / "logs" / "replica-1.log").write_text("not backed up")
    shop = shop_at(tmp_path / "shop", clock)
    played(shop)
    yield shop
    shop.close()
