"""Sampling: the draw that turns probabilities into a choice, the same for the same decision id for ever.

    k = first 16 hex digits of BLAKE2b(key = salt, data = "purpose:slot"), 64-byte digest, read as 16 ASCII bytes
    h = SplitMix64's finaliser of SipHash-2-4(key = k, data = decision id in UTF-8)
    u = (h >> 11) * 2^-53, in [0, 1)

One uniform per purpose and slot, so that no two draws of a decision share theirs. Whoever holds the salt can repeat
every draw; nobody else can foresee one.
"""

import functools
import hashlib
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from pandas.util import hash_array

from bandit_nba.decide.cells import first_above
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.columns import Floats, Ints

_WORD = (1 << 64) - 1
ARM = "arm"  # the purpose of the draw that chooses the arm


def uniforms(salt: Salt, ids: Sequence[str], *, purpose: str, slot: int = 0) -> Floats:
    """One number per decision id, float64 (N,) in [0, 1), uniform over ids, independent between purposes and slots."""
    key = _hash_key(salt, purpose, slot)
    if len(ids) == 1 and _siphash is not None:
        return np.array([(_mixed(int(_siphash(np.array(ids, dtype=object), key, "utf8")[0])) >> 11) * 2.0**-53])
    hashes = hash_array(np.array(ids, dtype=object), hash_key=key, categorize=False)
    u: Floats = (hashes >> np.uint64(11)).astype(np.float64)
    u *= 2.0**-53
    return u


_siphash: Any = getattr(importlib.import_module("pandas._libs.hashing"), "hash_object_array", None)
"""The part of `hash_array` that is compiled; for a lone id the rest of it costs 20 us more than this and `_mixed`."""


def _mixed(h: int) -> int:
    """SplitMix64's finaliser, as `hash_array` applies it."""
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & _WORD
    return h ^ (h >> 31)


def draw(probability: Floats, u: Floats) -> Ints:
    """Inverse CDF in arm order: the first arm whose cumulative probability exceeds u, int64 (N,).

    probability: (N, K), rows sum to 1 up to rounding. u: (N,) in [0, 1). An arm with probability 0 is never drawn;
    where rounding leaves the last sum at or below u, the last arm with a positive probability takes the rest.
    """
    chosen = first_above(probability, u)
    if len(chosen) == 1 and chosen[0] < probability.shape[1]:  # a lone row, nearly always
        return chosen
    short = np.flatnonzero(chosen == probability.shape[1])
    if len(short):
        chosen[short] = probability.shape[1] - 1 - np.argmax(probability[short, ::-1] > 0.0, axis=1)
    return chosen


@functools.lru_cache(maxsize=64)
def _hash_key(salt: Salt, purpose: str, slot: int) -> str:
    return hashlib.blake2b(f"{purpose}:{slot}".encode(), key=salt.key).hexdigest()[:16]
