"""Ask a service for decisions and tell it outcomes, from Python: over HTTP, or in this process.

    from bandit_nba.client import Client

    with Client("http://127.0.0.1:8080", key="nba_...") as nba:
        decision = nba.decide("web", customer_id="4711", facts={"data_left_share": 0.1})
        nba.tell("accept", decision_id=decision.decision_id)

`AsyncClient` is the same to await. `LocalClient` decides in this process, without HTTP: its model is refreshed in the
background, its decisions are as durable.
"""

from typing import TYPE_CHECKING, Any

from bandit_nba.client.asynchronous import AsyncClient
from bandit_nba.client.failure import ServiceError, UnreachableError
from bandit_nba.client.patience import Patience
from bandit_nba.client.synchronous import Client

if TYPE_CHECKING:
    from bandit_nba.client.local import LocalClient

__all__ = ["AsyncClient", "Client", "LocalClient", "Patience", "ServiceError", "UnreachableError"]


def __getattr__(name: str) -> Any:
    """Load what decides in this process only for who asks for it: it brings numpy and the store along."""
    if name == "LocalClient":
        from bandit_nba.client.local import LocalClient

        return LocalClient
    raise AttributeError(name)
