"""Uniform numbers by counter: customer, step and purpose name each of them, whatever else is simulated.

    start  = mix(mix(key) + customer number)                       one stream per customer and replication
    u      = mix(start + (PURPOSES t + purpose + 1) g) >> 11, times 2^-53,   g = 0x9E3779B97F4A7C15

mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"), so
that u is SplitMix64's own sequence from `start`. Two policies that meet the same customer at the same step meet the
same chances (common random numbers), and a batch may be cut anywhere without changing a bit.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from bandit_nba.decide.columns import Floats, Ints

Streams = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SCALE = 2.0**-53


class Purpose:
    """What a uniform is for; the number is part of every log, so that new ones go to the end.

    Plain numbers: members of an enumeration cost a third of a microsecond each, on the path of every step.
    """

    RESPONSE: Final = 0
    DELAY_PART: Final = 1
    DELAY: Final = 2
    PURCHASES: Final = 3
    DROPOUT: Final = 4
    AMOUNT: Final = 5
    CHURN: Final = 6
    OPT_OUT: Final = 7
    LIFE_EVENT: Final = 8
    ISSUE: Final = 9
    CHANNEL: Final = 10
    HOUR: Final = 11
    POLICY: Final = 12  # left to whoever decides
    BUDGET: Final = 13


WORLD = 12  # the purposes that a step of the world needs
PURPOSES = 32  # room for more without moving the old ones


def mix(z: Streams) -> Streams:
    """SplitMix64's finaliser, a bijection of 64-bit numbers."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Streams = z ^ (z >> np.uint64(31))
    return mixed


def streams(key: tuple[int, ...], customer: Ints) -> Streams:
    """The start of each customer's stream, uint64 (N,); `key` such as (world seed, replication)."""
    with np.errstate(over="ignore"):
        state = np.zeros(1, dtype=np.uint64)
        for part in key:
            state = mix(state + np.uint64(part % 2**64) + _GOLDEN)
        return mix(state + customer.astype(np.uint64) * _GOLDEN)


def uniforms(start: Streams, t: int, *, first: int = 0, count: int = WORLD) -> Floats:
    """Uniforms of step t for the purposes first .. first + count - 1, float64 (count, N) in [0, 1)."""
    return _at(start, np.arange(PURPOSES * t + first + 1, PURPOSES * t + first + count + 1, dtype=np.uint64))


def episode(start: Streams, steps: int) -> Floats:
    """All that a world draws for whole episodes at once, float64 (steps, WORLD, N); row i belongs to step t = i."""
    of_step = np.arange(PURPOSES, PURPOSES * (steps + 1), PURPOSES, dtype=np.uint64)
    counters: Streams = np.add.outer(of_step, np.arange(1, WORLD + 1, dtype=np.uint64))
    u: Floats = _at(start, counters.ravel()).reshape(steps, WORLD, len(start))
    return u


def _at(start: Streams, counters: Streams) -> Floats:
    z = start + (counters * _GOLDEN)[:, None]
    work = z >> np.uint64(30)
    z ^= work
    z *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(z, np.uint64(27), out=work)
    z ^= work
    z *= np.uint64(0x94D049BB133111EB)
    np.right_shift(z, np.uint64(31), out=work)
    z ^= work
    z >>= np.uint64(11)
    u: Floats = z.astype(np.float64)
    u *= _SCALE
    return u


def uniform(start: Streams, t: int, purpose: int) -> Floats:
    """One purpose's uniforms, float64 (N,)."""
    u: Floats = uniforms(start, t, first=int(purpose), count=1)[0]
    return u
