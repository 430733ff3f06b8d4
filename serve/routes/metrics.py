"""Metrics for Prometheus."""

from bandit_nba.errors import StoreError
from bandit_nba.online.replica import Replica
from serve import metrics
from serve import problem as problems
from serve.endpoint import TEXT, Call, Operation, Reply
from serve.traffic import Traffic


def operation(replica: Replica, traffic: Traffic) -> Operation:
    """The operation that tells all numbers of this replica."""

    async def expose(_: Call) -> Reply:
        try:
            status = await replica.status()
        except StoreError:  # whoever watches wants the replica's own numbers then more than ever
            status = None
        return Reply(200, metrics.exposition(replica, traffic, status), TEXT)

    return Operation(
        method="GET",
        path="/metrics",
        name="getMetrics",
        scope="report",
        summary="The numbers of the replica that answers, in Prometheus' exposition format.",
        handler=expose,
        replies={200: (str,)},
        refuses=problems.OF_STORE,
        answers=TEXT,
    )
