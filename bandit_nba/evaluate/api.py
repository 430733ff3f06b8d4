"""The public function: a policy's value with an interval, from weights and rewards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf, isfinite

import numpy as np
from numpy.typing import ArrayLike

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.contributions import point_value
from bandit_nba.evaluate.estimators import SHRUNK, build
from bandit_nba.evaluate.estimators.protocol import Estimator
from bandit_nba.evaluate.intervals import INTERVALS
from bandit_nba.evaluate.intervals.protocol import Bounds, Problem
from bandit_nba.evaluate.result import ESS_FLOOR, Estimate
from bandit_nba.evaluate.sample import Range, Sample, checked_sample
from bandit_nba.evaluate.tuning import tuned

# Mean weights further from 1 than so many standard errors do not come from correct propensities by chance (6e-5).
MEAN_WEIGHT_Z = 4.0


def estimate(
    weights: ArrayLike,
    rewards: ArrayLike,
    *,
    q_logged: ArrayLike | None = None,
    q_policy: ArrayLike | None = None,
    policy_match: ArrayLike | None = None,
    estimator: str = "snips",
    interval: str = "gaussian",
    alpha: float = 0.05,
    reward_range: Range = (0.0, 1.0),
    weight_range: Range = (0.0, inf),
    clip: float = inf,
    shrinkage: float | None = None,
    groups: ArrayLike | Sequence[object] | None = None,
    rng: np.random.Generator | None = None,
) -> Estimate:
    """Estimate what a policy would have earned per decision, from decisions that another policy made.

    n decisions i with weight w, reward r, expected reward q of the logged arm and v of the policy; E_n is their mean,
    l is `clip` or `shrinkage`.

    ============= ============================================== ===================================================
    estimator     formula                                        source
    ============= ============================================== ===================================================
    replay        mean r where `policy_match`                    Li, Chu, Langford and Wang 2011
    ips           E_n[min(w, l) r]                               Horvitz and Thompson 1952
    snips         sum w r / sum w                                Swaminathan and Joachims 2015
    dm            E_n[v]                                         Beygelzimer and Langford 2009
    dr            E_n[v + min(w, l) (r - q)]                     Dudik, Langford and Li 2011, arXiv 1103.4601
    sndr          E_n[v] + sum w (r - q) / sum w                 Thomas and Brunskill 2016; Open Bandit Pipeline
    switch_dr     E_n[v + w 1{w <= l} (r - q)]                   Wang, Agarwal and Dudik 2017, arXiv 1612.01205
    dros          dr with w' = l w / (w^2 + l)                   Su et al. 2020, arXiv 1907.09623
    subgaussian   ips (dr where q is given), w' = w / (1-l+l w)  Metelli, Russo and Restelli 2021
    el            sum Q w r + (1 - sum Q w)+ mean r,             Karampatziakis, Langford and Mineiro 2019,
                  Q the likeliest with sum Q w = 1               arXiv 1906.03323
    cressie_read  the same for the Cressie-Read(-2) divergence   vw-estimators
    ============= ============================================== ===================================================

    ==================== ======================================================= =======================================
    interval             formula                                                 source, and what it needs
    ==================== ======================================================= =======================================
    gaussian             V +- z se, delta method                                 about 100 expected weighted successes
    bootstrap            quantiles over 1,000 Poisson resamples                  Efron 1979; Chamandy et al. 2012
    student_t            V +- t(G - 1) se                                        as gaussian, for fewer customers
    skewed_t             t(c - 1), c customers carry sum u^2; the end on the     Satterthwaite 1946; Hall 1992; few and
                         skewed side further out by an Edgeworth term            heavy weights
    hoeffding            mean +- (b - a) sqrt(ln(2/alpha) / (2 n))               Hoeffding 1963; finite ranges
    empirical_bernstein  mean +- sqrt(2 S^2 L/n) + 7 (b-a) L/(3 (n-1)),          Maurer and Pontil 2009; finite ranges
                         L = ln(4/alpha)
    clopper_pearson      Beta quantiles of sum w r / w_max in n / w_max trials   vw-estimators; a heuristic
    cressie_read         re-weightings within an F(1, n) quantile                vw-estimators; reward_range
    el                   profile likelihood within a chi-square(1) quantile      arXiv 1906.03323; reward_range
    confidence_sequence  gamma-exponential mixture on w r and w (1 - r)          arXiv 1810.08240, 2210.10768
    robust_sequence      mixture of bets 1 + b (x - g) on the same               arXiv 2210.11133
    ==================== ======================================================= =======================================

    Repeated customers (`groups`): gaussian, student_t, skewed_t and bootstrap sum contributions by customer; hoeffding
    and empirical_bernstein bound the sum of a customer; clopper_pearson, cressie_read and el widen by the design
    effect; the sequences hold for the decisions made in their order and say in `warnings` that they promise no more.
    hoeffding, empirical_bernstein and the sequences bound the policy's value from unnormalised contributions, whatever
    the point estimator; clipping or shrinking moves what the first two cover.

    Parameters
    ----------
    weights
        w = pi(a|x) / p: the policy's probability of the logged arm over the propensity, shape (n,), at least 0.
    rewards
        Shape (n,), in any unit; inside `reward_range` for the intervals that need it.
    q_logged, q_policy
        Cross-fitted expected rewards q(x,a) and q(x,pi), shape (n,); for dm, dr, sndr, switch_dr, dros, subgaussian.
    policy_match
        For replay: whether the deterministic policy would have chosen the logged arm, shape (n,).
    alpha
        Chance that a two-sided interval misses, 0 to 1.
    reward_range, weight_range
        Smallest and largest *possible* values, never those seen.
    clip
        Above 0: largest weight used by ips, snips, dr, sndr; largest weight trusted by switch_dr.
    shrinkage
        At least 0 for dros (0: dm, inf: dr), 0 to 1 for subgaussian (0: none); None: by estimated MSE (`tuning`).
    groups
        Customer of each decision, shape (n,), any hashable keys.
    rng
        For the bootstrap; None is a fixed seed, so that a report can be made again.

    Returns
    -------
    Estimate
        Value and ends in the unit of the rewards; every number is finite.

    Raises
    ------
    InputError
        A vector or option is wrong; the message names the row.
    RefusedError
        The data cannot carry it: no weight at all, one customer, a bound that needs a range which is infinite.

    Examples
    --------
    >>> found = estimate([2.0, 0.5, 0.0, 1.5], [1.0, 0.0, 1.0, 1.0])
    >>> found.value
    0.875
    """
    sample = checked_sample(
        weights,
        rewards,
        q_logged=q_logged,
        q_policy=q_policy,
        policy_match=policy_match,
        groups=groups,
        reward_range=reward_range,
        weight_range=weight_range,
    )
    with carried():
        built, cautions = build_for(sample, estimator, clip, shrinkage)
        used = sample
        if built.name == "replay":
            used = sample.matched()
            cautions = few(used.n, "matching decisions")
        return bounded_estimate(used, built, interval=interval, alpha=alpha, rng=rng, warnings=cautions)


@contextmanager
def carried() -> Iterator[None]:
    """What is not finite inside is refused by name, not printed as a warning; what cannot be computed at all, too."""
    try:
        with np.errstate(all="ignore"):
            yield
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        raise RefusedError(
            "the numbers overflow, or no decision has weight",
            where="weights",
            got=str(error),
            allowed="weights, rewards and their ranges whose squares are finite",
        ) from error


def build_for(
    sample: Sample, estimator: str, clip: float, shrinkage: float | None
) -> tuple[Estimator, tuple[str, ...]]:
    """Make the estimator, tuned where its shrinkage is open, and say what weakens it whatever the interval."""
    if estimator == "dm":
        built = build(estimator, sample, clip=clip, shrinkage=shrinkage)
        return built, ("the direct method is as biased as its model, and the interval does not show it",)
    cautions = few(sample.ess) + wrong_mean_weight(float(sample.weights.mean()), sample.mean_weight_z)
    if estimator in SHRUNK:
        if shrinkage is None:
            shrinkage = tuned(sample, estimator).value
            cautions += (f"shrinkage {shrinkage:.3g} was chosen by estimated mean squared error on this log",)
        cautions += ("shrunk weights trade variance for a bias that the interval does not show",)
    clipped = float((sample.weights > clip).mean())
    if clipped > 0:
        cautions += (f"{clipped:.2%} of the weights exceed the clipping at {clip:g}: the estimate is biased",)
    return build(estimator, sample, clip=clip, shrinkage=shrinkage), cautions


def bounded_estimate(
    sample: Sample,
    estimator: Estimator,
    *,
    interval: str,
    alpha: float,
    rng: np.random.Generator | None,
    warnings: tuple[str, ...] = (),
    value_range: Range | None = None,
) -> Estimate:
    """Value and interval of any estimator on a checked sample; nothing that is not finite leaves."""
    if interval not in INTERVALS:
        raise InputError("no such interval", where="interval", got=interval, allowed=", ".join(INTERVALS))
    if not 0 < alpha < 1:
        raise InputError("alpha is the chance of missing the truth", where="alpha", got=alpha, allowed="0 to 1, open")
    value = finite_value(estimator.name, point_value(estimator, sample))
    # A report that is made again must show the same bootstrap: no generator means a fixed one.
    generator = np.random.default_rng(0) if rng is None else rng
    problem = Problem(sample, estimator, value, alpha, generator, value_range or sample.reward_range)
    bounds = INTERVALS[interval](problem)
    return finished(
        value, bounds, n=sample.n, ess=sample.ess, mean=float(sample.weights.mean()), by=interval, warnings=warnings
    )


def finite_value(name: str, value: float) -> float:
    """The estimate, or a refusal where it is no number."""
    if isfinite(value):
        return value
    raise RefusedError(
        f"{name} has no finite value on this log",
        where="weights",
        got=value,
        hint="no logged decision has weight, or the numbers overflow",
    )


def finished(
    value: float, bounds: Bounds, *, n: int, ess: float, mean: float, by: str, warnings: tuple[str, ...]
) -> Estimate:
    """Value and ends of the interval called `by` as they may leave; `mean` is that of the weights."""
    ends = (float(bounds.low), float(bounds.high))
    if not (isfinite(ends[0]) and isfinite(ends[1])):
        raise RefusedError(f"{by} has no finite ends on this log", where="interval", got=ends)
    if ends[0] > ends[1]:
        raise RefusedError(
            f"no value of the policy explains both ends of the {by} interval",
            where="interval",
            got=ends,
            hint=f"the mean weight is {mean:.3g} and should be 1: check the propensities",
        )
    more = bounds.warnings
    if ends[0] == ends[1]:
        more += ("the contributions do not vary, so the interval has no width: it says nothing about certainty",)
    if not ends[0] <= value <= ends[1]:
        more += ("the interval is of the policy's value and does not contain this point estimate: the log is small",)
    return Estimate(value, ends[0], ends[1], n, ess, warnings + more)


def few(ess: float, what: str = "decisions of this policy") -> tuple[str, ...]:
    """A caution under the floor of a verdict."""
    if ess >= ESS_FLOOR:
        return ()
    return (f"the log is worth only {ess:,.0f} {what}: too few for a verdict ({ESS_FLOOR:.0f})",)


def wrong_mean_weight(mean: float, z: float) -> tuple[str, ...]:
    """A caution where the mean weight is not 1; z: how many standard errors it is off."""
    if abs(z) <= MEAN_WEIGHT_Z:
        return ()
    return (
        f"the mean weight is {mean:.4g} and should be 1 (z = {z:.1f}): "
        "propensities are wrong, or the policy chooses what the log never chose",
    )
