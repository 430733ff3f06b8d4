"""The whole application over a real workspace, without Ray and without sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_nba.online.replica import Replica
from bandit_nba.workspace import Workspace, init_workspace, open_workspace
from serve.app import create_app
from tests.plain_policy import write_plain_policy
from tests.serve.asgi_client import Client


class Clock:
    """Stands still until it is turned; seconds since the epoch."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    init_workspace(tmp_path / "shop")
    write_plain_policy(tmp_path / "shop")
    return open_workspace(tmp_path / "shop")


@pytest.fixture
def replica(workspace: Workspace, clock: Clock) -> Iterator[Replica]:
    replica = Replica.open(workspace, clock=clock)
    yield replica
    replica.close(drain_s=1.0)


@pytest.fixture
def client(replica: Replica) -> Client:
    return Client(create_app(replica))
