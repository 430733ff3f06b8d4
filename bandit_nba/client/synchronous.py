"""The client: one connection pool, patient, safe to share between threads."""

import random
import time
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from bandit_nba.client.calls import Call, address, headers
from bandit_nba.client.offered import Offered
from bandit_nba.client.patience import Came, Patience, Trying

T = TypeVar("T")


class Client(Offered):
    """Calls the service at `url`.

    key: "nba_...", where the service asks for one. rng: where pauses are drawn from. transport: httpx2's, for tests and
    for proxies of one's own.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        patience: Patience = Patience(),  # noqa: B008 (frozen)
        rng: random.Random | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = httpx2.Client(
            base_url=address(url),
            headers=headers(key),
            timeout=patience.timeout_s,
            transport=transport,
            trust_env=False,
        )
        self._patience = patience
        self._rng = rng or random.Random()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def send(self, call: Call[T]) -> T:
        """Make the call until it is answered, refused for good, or patience ends."""
        trying = Trying(self._patience, self._rng)
        while (pause := trying.pause_after(came := self._try(call, trying.timeout_s))) is not None:
            time.sleep(pause)
        return call.read(came.status, came.body)

    def _try(self, call: Call[T], timeout_s: float) -> Came:
        try:
            answer = self._http.request(call.method, call.path, content=call.body or None, timeout=timeout_s)
        except httpx2.TransportError as error:
            return Came(0, why=type(error).__name__)
        return Came(answer.status_code, answer.content, answer.headers.get("retry-after"))
