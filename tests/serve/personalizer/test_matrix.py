"""Every address of Personalizer's x every scope, revoked, expired, malformed: only the allowed cells pass."""

import pytest

from bandit_nba.online.replica import Replica
from tests.serve.asgi_client import Client
from tests.serve.conftest import Clock
from tests.serve.test_access import Keys, check_matrix


@pytest.fixture
def keys(replica: Replica) -> Keys:
    return Keys(replica)


def test_the_whole_matrix(client: Client, keys: Keys, clock: Clock, replica: Replica) -> None:
    check_matrix(client, keys, clock, replica)
