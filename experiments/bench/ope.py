"""Five policies judged on a million logged decisions over 20 arms, against Open Bandit Pipeline on the same arrays.

Ours: SNIPS, doubly robust and Cressie-Read, each with its interval, from the probabilities of every arm. The peer: its
SNIPS and doubly robust (it has no Cressie-Read), each with its only interval, here 100 bootstraps. Both read the
arrays, check them, and weigh; filling the arrays is on nobody's clock. Each side runs alone in a process of its own, on
one thread, so that its peak memory is its own and its CPU seconds are what it takes on an idle machine.
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.sample import FloatArray, IntArray
from bandit_nba.evaluate.shards import estimate_shards
from experiments.bench.memory import peak_mb
from experiments.ope.open_bandit_data import cache_folder, package_place

ARMS, POLICIES = 20, 5
SIZES = (100_000, 1_000_000, 10_000_000)
COMPARED, ROUNDS, REPEATS = 1_000_000, 2, 2
CHUNK = 50_000
SHARD = 16_384
SHARD = 16_384
WARM = 2_000
MOST_TIMES = 1.25  # what counts as the same time per decision, on a machine that others use
MOST_TIMES = 1.25  # what counts as the same time per decision, on a machine that others use
SAME = 1e-9  # both sides must find the same values
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
INTERVALS = {"snips": "gaussian", "dr": "gaussian", "cressie_read": "cressie_read"}


@dataclass(frozen=True)
class Log:
    """n logged decisions; `policy` is one judged policy's probabilities, refilled for the next.

    arm, reward, propensity: (n,). q: a reward model's expectation of every arm (n, 20). policy: (n, 20).
    """

    arm: IntArray
    reward: FloatArray
    propensity: FloatArray
    q: FloatArray
    policy: FloatArray

    def judge(self, policy: int) -> None:
        """Fill in the probabilities of policy 0 .. 4, chunk by chunk, without a second copy."""
        for start in range(0, len(self.arm), CHUNK):
            rows = self.policy[start : start + CHUNK]
            rows[:] = np.random.default_rng([2, policy, start]).exponential(size=rows.shape)
            rows /= rows.sum(axis=1, keepdims=True)


class Side(msgspec.Struct, frozen=True):
    """What a process measured: CPU seconds of each policy, memory in MB, and the values that it found."""

    seconds: list[float]
    arrays_mb: float
    peak_mb: float
    snips: list[float]
    dr: list[float]

    @property
    def working_mb(self) -> float:
        """Peak memory above that of the arrays."""
        return self.peak_mb - self.arrays_mb


def logged(n: int) -> Log:
    """A log from a policy with a floor; rewards of 0 and 1 at rates of 2 to 8 %."""
    made = Log(np.empty(n, np.intp), np.empty(n), np.empty(n), np.empty((n, ARMS)), np.empty((n, ARMS)))
    for start in range(0, n, CHUNK):
        rows = slice(start, min(n, start + CHUNK))
        size = rows.stop - start
        rng = np.random.default_rng([1, start])
        logging = rng.exponential(size=(size, ARMS))
        logging = 0.7 * logging / logging.sum(axis=1, keepdims=True) + 0.3 / ARMS
        arm = np.minimum((logging.cumsum(axis=1) < rng.random((size, 1))).sum(axis=1), ARMS - 1)
        made.arm[rows] = arm
        made.propensity[rows] = logging[np.arange(size), arm]
        made.reward[rows] = rng.random(size) < 0.02 + 0.06 * arm / ARMS
        made.q[rows] = 0.1 * rng.random((size, ARMS))
    return made


def ours(log: Log) -> tuple[float, float]:
    """Three estimates with intervals of the policy that the log holds; SNIPS and DR values come back.

    Shard by shard: what is weighed, checked and summed stays in the processor's cache, so that neither the time of a
    decision nor the memory grows with the log.
    """
    shards = (_weighed(log, slice(start, start + SHARD)) for start in range(0, len(log.arm), SHARD))
    found = estimate_shards(shards, INTERVALS)
    return found["snips"].value, found["dr"].value


def _weighed(log: Log, rows: slice) -> dict[str, FloatArray]:
    arm, policy, model = log.arm[rows], log.policy[rows], log.q[rows]
    at = np.arange(len(arm))
    return {
        "weights": policy[at, arm] / log.propensity[rows],
        "rewards": log.reward[rows],
        "q_logged": model[at, arm],
        "q_policy": np.einsum("nk,nk->n", policy, model),
    }


def timed(side: Callable[[Log], tuple[float, float]], *, n: int, policies: int) -> Side:
    """Run one side on policies 0 .. policies - 1; a small log first, so that nothing is imported on the clock."""
    warm = logged(WARM)
    warm.judge(0)
    side(warm)
    data = logged(n)
    data.judge(0)
    before = peak_mb()
    seconds, values = [], []
    for policy in range(policies):
        data.judge(policy)
        started = time.process_time()
        values.append(side(data))
        seconds.append(time.process_time() - started)
    snips, dr = zip(*values, strict=True)
    return Side(seconds, before, peak_mb(), list(snips), list(dr))


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Both sides in turn; `ratio` is the median over policies and rounds of the peer's seconds over ours.

    Where the peer cannot be fetched ours is measured alone and the message says so.
    """
    sizes = tuple(n // 10 for n in SIZES[:2]) if quick else SIZES
    n, rounds = (sizes[-1], 1) if quick else (COMPARED, ROUNDS)
    found = {"decisions": n, "arms": ARMS, "policies": POLICIES} | _growth(sizes)
    try:
        package_place(cache_folder())
    except RefusedError as missing:
        print(missing, file=sys.stderr)
        return {"ratio": None, "peer": str(missing), **_told("ours", [_child("ope", n, POLICIES)]), **found}
    pairs = [(_child("ope", n, POLICIES), _child("peer_obp", n, POLICIES)) for _ in range(rounds)]
    mine, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratios = [b / a for one, other in pairs for a, b in zip(one.seconds, other.seconds, strict=True)]
    gaps = np.abs(np.array([mine[0].snips, mine[0].dr]) - np.array([theirs[0].snips, theirs[0].dr]))
    if gaps.max() > SAME:
        raise AssertionError(f"the two sides do not estimate the same: they differ by {gaps.max():.2g}")
    return {
        "ratio": float(np.median(ratios)),
        "memory_ratio": theirs[0].working_mb / max(mine[0].working_mb, 1.0),
        **_told("ours", mine),
        **_told("peer", theirs),
        "largest_gap_of_values": float(gaps.max()),
        **found,
    }


def _growth(sizes: tuple[int, ...]) -> dict[str, Any]:
    """Time by size; linear where no size takes more than `MOST_TIMES` as long per decision as the smallest."""
    seconds = {size: min(_child("ope", size, REPEATS).seconds) for size in sizes}
    each = {str(size): 1e6 * took / size for size, took in seconds.items()}
    dearest = max(each.values()) / each[str(sizes[0])]
    first, last = sizes[0], sizes[-1]
    return {
        "us_per_decision": each,
        "linear": dearest <= MOST_TIMES,
        "dearest_over_smallest": dearest,
        "time_exponent": math.log(seconds[last] / seconds[first]) / math.log(last / first),
    }


def _told(name: str, sides: list[Side]) -> dict[str, Any]:
    return {
        f"{name}_s_per_policy": float(np.median([s for side in sides for s in side.seconds])),
        f"{name}_working_mb": max(side.working_mb for side in sides),
        f"{name}_peak_mb": max(side.peak_mb for side in sides),
    }


def _child(module: str, n: int, policies: int) -> Side:
    """Run one side in a process of its own."""
    command = [sys.executable, "-m", f"experiments.bench.{module}", str(n), str(policies)]
    done = subprocess.run(  # noqa: S603 - own modules only
        command, stdout=subprocess.PIPE, check=True, timeout=3600, env={**os.environ, **ONE_THREAD}
    )
    return msgspec.json.decode(done.stdout, type=Side)


def run_alone(side: Callable[[Log], tuple[float, float]]) -> None:
    """The process's whole work: `MODULE N POLICIES`, the measurement as JSON on the standard output."""
    n, policies = (int(word) for word in sys.argv[1:])
    print(msgspec.json.encode(timed(side, n=n, policies=policies)).decode())


if __name__ == "__main__":
    run_alone(ours)
