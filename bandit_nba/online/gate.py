"""Who may come in: the keys in the store, followed closely, so that a revoked key stops working on all replicas.

The ring of keys is read again every `FOLLOW_EVERY_S`. `nba keys revoke` returns only after twice that time, so that
once it has returned no replica lets the key in. Where the ring cannot be read for `STALE_AFTER_S`, nobody comes in:
a key may have been revoked meanwhile.
"""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bandit_nba.access import key as keys
from bandit_nba.access.grant import Grant
from bandit_nba.access.rate import Bucket, day_of, until_tomorrow
from bandit_nba.errors import StoreError
from bandit_nba.online.repeat import Repeat
from bandit_nba.store import keys as key_store
from bandit_nba.store.database import Database

FOLLOW_EVERY_S = 0.1
STALE_AFTER_S = 10.0
_COUNT_EVERY_S = 1.0


@dataclass(frozen=True)
class _Ring:
    """The keys as they were read. used: calls of today, by all replicas, of the keys that have a quota.

    met: the grants of keys that were sent and found to be right, by the SHA-256 of their text. Only keys that are right
    come in, so that there are never more than there are keys.
    """

    keys: Mapping[str, tuple[Grant, bytes]] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)
    day: int = 0
    met: dict[bytes, Grant] = field(default_factory=dict)


class Gate:
    """Knows whose key a text is, and whether that one has calls left; safe to share between threads.

    clock: seconds since the epoch, by which keys expire and days begin. Pace is measured on the monotonic clock.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._ring = _Ring()
        self._read_at = time.monotonic()
        self._buckets: dict[str, Bucket] = {}
        self._counting = threading.Lock()
        self._uncounted: Counter[str] = Counter()
        self._counted_at = 0.0
        self._repeat = Repeat(self.follow, every_s=FOLLOW_EVERY_S, name="nba-gate")

    def start(self) -> None:
        """Follow the keys in the background."""
        self._repeat.start()

    def stop(self) -> None:
        """End that, and keep what was counted."""
        self._repeat.stop()

    @property
    def alive(self) -> bool:
        """Whether it still follows in the background."""
        return self._repeat.alive

    @property
    def open(self) -> bool:
        """Whether no key was ever made, so that everybody on this machine may come in."""
        return not self._ring.keys

    def follow(self) -> None:
        """Read the keys, and add to the store what was used of quotas. Raises `StoreError`."""
        begun = time.monotonic()
        day = day_of(self._clock())
        self._count(day, now_s=begun)
        with self._database.read() as connection:
            found = {grant.key_id: (grant, digest) for grant, digest in key_store.every(connection)}
            limited = any(grant.per_day is not None for grant, _ in found.values())
            used = key_store.calls_on(connection, day) if limited else {}
        met = self._ring.met if found == self._ring.keys else {}
        self._ring = _Ring(found, used, day, met)
        self._read_at = begun

    def grant_of(self, text: str) -> Grant | None:
        """The rights of a key that is in force; None whatever is wrong with it: that is not told.

        Raises
        ------
        StoreError
            If the keys could not be read for so long that one may have been revoked meanwhile.
        """
        if time.monotonic() - self._read_at > STALE_AFTER_S:
            raise StoreError("keys cannot be checked", where="keys", hint="the same request may be sent again")
        ring = self._ring
        sent = hashlib.sha256(text.encode()).digest()
        grant = ring.met.get(sent)
        if grant is None:
            grant = _found(ring, text)
            if grant is not None:
                ring.met[sent] = grant
        return grant if grant is not None and grant.live(self._clock()) else None

    def wait_s(self, grant: Grant, *, calls: int = 1, taken: int = 0) -> float:
        """Seconds until the key may make `calls` more calls; 0 if they count as made now. taken: see `Bucket.take`."""
        if grant.rate_per_s is None and grant.per_day is None:
            return 0.0
        with self._counting:
            wait = self._quota_wait_s(grant, calls)
            if wait == 0.0 and grant.rate_per_s is not None:
                bucket = self._bucket(grant.key_id, grant.rate_per_s)
                wait = bucket.take(now_s=time.monotonic(), calls=calls, taken=taken)
            if wait == 0.0 and grant.per_day is not None:
                self._uncounted[grant.key_id] += calls
            return wait

    def _quota_wait_s(self, grant: Grant, calls: int) -> float:
        if grant.per_day is None:
            return 0.0
        now_s = self._clock()
        ring = self._ring
        used = ring.used.get(grant.key_id, 0) if ring.day == day_of(now_s) else 0
        over = used + self._uncounted[grant.key_id] + calls > grant.per_day
        return until_tomorrow(now_s) if over else 0.0

    def _bucket(self, key_id: str, rate_per_s: float) -> Bucket:
        bucket = self._buckets.get(key_id)
        if bucket is None or bucket.rate_per_s != rate_per_s:
            bucket = self._buckets[key_id] = Bucket.full(rate_per_s, now_s=time.monotonic())
        return bucket

    def _count(self, day: int, *, now_s: float) -> None:
        """What was used since the last time; given back where the store does not take it."""
        if not self._uncounted or now_s - self._counted_at < _COUNT_EVERY_S:
            return
        with self._counting:
            counted = Counter(self._uncounted)
        with self._database.write() as connection:
            key_store.count_calls(connection, counted, day=day)
        with self._counting:
            self._uncounted -= counted
        self._counted_at = now_s


def _found(ring: _Ring, text: str) -> Grant | None:
    """Whose key `text` is, whether or not it still opens anything; None for what is no key of the ring."""
    key = keys.parsed(text)
    if key is None:
        return None
    grant, digest = ring.keys.get(key.id, (None, None))
    return grant if keys.fits(key, digest) else None
