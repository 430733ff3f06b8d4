"""Percentile bootstrap over customers (Efron 1979), with Poisson weights (Chamandy et al. 2012).

Every round draws a Poisson(1) count for each customer and recomputes the estimate from re-weighted sums: numerator and
denominator move together, and no round needs the data again.
"""

import numpy as np
from scipy.special import gammaincc

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.intervals.protocol import Bounds, Problem, refuse_few_units
from bandit_nba.evaluate.sample import FloatArray, Sample

ROUNDS = 1000
# Above this many customers they are dealt at random into so many buckets, and the buckets are resampled: mean, variance
# and skewness of the sums stay the same, the standard error's own error is 1/sqrt(2 * 10,000) = 0.7 %, and the work no
# longer grows with the log.
BUCKETS = 10_000
CHUNK = 50
# Poisson(1) counts by quantile, drawn with 16 random bits: eight times as fast as the generator's own;
# mean and variance are right to 1e-4.
POISSON = np.searchsorted(gammaincc(np.arange(1.0, 12.0), 1.0), (np.arange(65536) + 0.5) / 65536).astype(np.float64)


def bootstrap(problem: Problem) -> Bounds:
    """Quantiles alpha/2 and 1 - alpha/2 of the estimate over 1,000 resamples."""
    refuse_few_units(problem)
    units = _unit_sums(problem.estimator.moments(problem.sample), problem.sample, problem.rng)
    values = np.concatenate(
        [
            problem.estimator.value(_resampled(units, min(CHUNK, ROUNDS - start), problem.rng))
            for start in range(0, ROUNDS, CHUNK)
        ]
    )
    defined = values[np.isfinite(values)]
    if len(defined) < ROUNDS / 2:
        raise RefusedError(
            "most resamples have no decision with weight",
            where="interval",
            got="bootstrap",
            hint="the policy agrees with too few logged decisions",
        )
    low, high = np.quantile(defined, [problem.alpha / 2, 1 - problem.alpha / 2])
    lost = ROUNDS - len(defined)
    warnings = (
        (f"{lost} of {ROUNDS} bootstrap resamples had no decision with weight and were left out",) if lost else ()
    )
    return Bounds(float(low), float(high), warnings)


def _unit_sums(moments: FloatArray, sample: Sample, rng: np.random.Generator) -> FloatArray:
    """Moments summed by customer, or by bucket of customers where there are many: shape (units, k)."""
    if sample.n_groups <= BUCKETS:
        return np.stack([sample.per_unit(row) for row in moments], axis=1)
    buckets = rng.integers(BUCKETS, size=sample.n_groups)
    dealt = buckets if sample.groups is None else buckets[sample.groups]
    return np.stack([np.bincount(dealt, weights=row, minlength=BUCKETS) for row in moments], axis=1)


def _resampled(units: FloatArray, rounds: int, rng: np.random.Generator) -> FloatArray:
    """Summed moments of `rounds` resamples, shape (rounds, k)."""
    drawn = rng.integers(0, len(POISSON), size=(rounds, len(units)), dtype=np.uint16)
    return POISSON[drawn] @ units
