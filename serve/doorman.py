"""Lets requests in: by their key where keys are configured, otherwise only from this machine.

Authentication is here, inside the replica, because a replica's own port can be reached beside the front end. What is
refused is not told why: 401 for everything that is no key in force, 403 for a key that does not open this address.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from bandit_nba.access.grant import Grant
from bandit_nba.access.scopes import Scope
from bandit_nba.online.gate import Gate
from serve import problem as problems
from serve.refusal import refused, retry_after

BEARER = b"bearer "
SUBSCRIPTION_KEY = b"ocp-apim-subscription-key"
"""Where clients of the retired Personalizer put their key."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. grant: None where no keys are configured; then everything is allowed."""

    grant: Grant | None = None
    gate: Gate | None = None

    def allows_channel(self, channel: str) -> bool:
        """Whether the key is for the channel."""
        return self.grant is None or self.grant.allows_channel(channel)

    def require_channel(self, channel: str) -> None:
        """Refuse what is about a channel that the key is not for."""
        if not self.allows_channel(channel):
            raise refused(problems.FORBIDDEN, _NOT_ALLOWED)

    def require_all_channels(self) -> None:
        """Refuse what is about a customer as a whole: a profile is read by the decisions of all channels."""
        if self.limited:
            raise refused(problems.FORBIDDEN, _NOT_ALLOWED)

    @property
    def limited(self) -> bool:
        """Whether the key is for some channels only."""
        return self.grant is not None and bool(self.grant.channels)

    def charge(self, calls: int) -> None:
        """Count further calls that one request makes, beside the one it was let in for: a page counts by item."""
        if self.grant is not None and self.gate is not None and calls > 0:
            _pace(self.gate, self.grant, calls, taken=1)


ANYBODY = Caller()


class Doorman:
    """Stands at the door of one replica."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def admit(self, scope: Scope, headers: Mapping[bytes, bytes], peer: tuple[str, int] | None) -> Caller:
        """Who it is, if they may do what needs `scope`.

        Raises
        ------
        Refused
            401 without a key in force, 403 if the key lacks the scope, 429 if it has no calls left.
        StoreError
            If the keys cannot be checked.
        """
        if self._gate.open:
            if peer is not None and not is_here(peer[0]):
                raise refused(problems.UNAUTHENTICATED, _LOOPBACK_ONLY, hint="`nba keys create DIR` makes a key")
            return ANYBODY
        grant = self._gate.grant_of(_sent(headers))
        if grant is None:
            raise refused(
                problems.UNAUTHENTICATED, _NO_KEY, hint=_HOW, headers=((b"www-authenticate", b'Bearer realm="nba"'),)
            )
        if not grant.allows(scope):
            raise refused(problems.FORBIDDEN, _NOT_ALLOWED)
        _pace(self._gate, grant, 1)
        return Caller(grant, self._gate)


@lru_cache(maxsize=1_024)
def is_here(address: str) -> bool:
    """Whether an address is one of this machine's own: the front end comes from one of them.

    Only an own address can be bound to; that asks the kernel and needs no list of interfaces.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if ip.is_loopback:
        return True
    with socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _sent(headers: Mapping[bytes, bytes]) -> str:
    """The key as it was sent, in whichever header."""
    authorization = headers.get(b"authorization", b"")
    if authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].decode("latin-1")
    return headers.get(SUBSCRIPTION_KEY, b"").decode("latin-1")


def _pace(gate: Gate, grant: Grant, calls: int, *, taken: int = 0) -> None:
    wait = gate.wait_s(grant, calls=calls, taken=taken)
    if wait > 0.0:
        headers = retry_after(wait)
        raise refused(problems.TOO_MANY, "this key has no calls left for now", hint=_LATER, headers=headers)


_NO_KEY = "no valid key was sent"
_NOT_ALLOWED = "this key does not open this"
_HOW = "send `Authorization: Bearer nba_...` or `Ocp-Apim-Subscription-Key: nba_...`"
_LATER = "Retry-After says in how many seconds there are more; each item of a page is a call"
_LOOPBACK_ONLY = "no keys are configured, so only this machine itself is answered"
