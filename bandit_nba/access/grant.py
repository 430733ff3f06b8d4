"""What the holder of a key may do."""

from dataclasses import dataclass

from bandit_nba.access.scopes import Scope


@dataclass(frozen=True)
class Grant:
    """One key's rights. channels: empty for all. rate_per_s, per_day: at most so many calls; None for no limit.

    created_at, expires_at, revoked_at: seconds since the epoch; the last two None where it never ends by itself, or
    was not revoked.
    """

    key_id: str
    client: str
    scopes: frozenset[Scope]
    channels: frozenset[str] = frozenset()
    created_at: float = 0.0
    expires_at: float | None = None
    revoked_at: float | None = None
    rate_per_s: float | None = None
    per_day: int | None = None

    def live(self, now_s: float) -> bool:
        """Whether it still opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now_s < self.expires_at)

    def allows(self, scope: Scope) -> bool:
        """Whether it has the scope."""
        return scope in self.scopes

    def allows_channel(self, channel: str) -> bool:
        """Whether it may act for the channel."""
        return not self.channels or channel in self.channels
