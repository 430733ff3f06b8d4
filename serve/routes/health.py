"""Is it alive, is it ready, is it learning?"""

import msgspec

from bandit_nba.errors import StoreError
from bandit_nba.online.replica import Replica
from bandit_nba.online.status import Status
from serve import problem as problems
from serve.endpoint import Call, Operation, Reply
from serve.examples import STATUS
from serve.refusal import refused
from serve.wire import Health

_ALIVE = msgspec.json.encode(Health(status="alive"))
_READY = msgspec.json.encode(Health(status="ready"))


def operations(replica: Replica) -> list[Operation]:
    """The operations that tell how the service is."""

    async def alive(_: Call) -> Reply:
        return Reply(200, _ALIVE)

    async def ready(_: Call) -> Reply:
        try:
            await replica.check()
        except StoreError as error:
            raise refused(problems.NO_STORE, _reason(error), hint=error.hint) from error
        return Reply(200, _READY)

    async def status(_: Call) -> Reply:
        return Reply(200, msgspec.json.encode(await replica.status()))

    return [
        Operation(
            method="GET",
            path="/v1/status",
            name="getStatus",
            scope="report",
            summary="Whether it is learning, in words, and the numbers behind it.",
            handler=status,
            replies={200: (Status,)},
            shows=STATUS,
            refuses=problems.OF_STORE,
        ),
        Operation(
            method="GET",
            path="/healthz",
            name="getLiveness",
            summary="200 while the process answers.",
            handler=alive,
            replies={200: (Health,)},
            shows={"status": "alive"},
        ),
        Operation(
            method="GET",
            path="/readyz",
            name="getReadiness",
            summary="200 if a decision could be stored now; otherwise why not.",
            handler=ready,
            replies={200: (Health,)},
            shows={"status": "ready"},
            refuses=problems.OF_STORE,
        ),
    ]


def _reason(error: StoreError) -> str:
    """Why nothing can be stored, in our own words: the driver's, in brackets, may name files and hosts."""
    return f"nothing can be stored: the store {error.what.partition(' (')[0]}"
