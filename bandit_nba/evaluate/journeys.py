"""Policies over whole customer journeys: several decisions that influence each other.

| estimator | formula | source |
|---|---|---|
| pdis  | E_n[sum_t g^t w_{0:t} r_t]                                     | Precup, Sutton and Singh 2000 |
| wpdis | sum_t g^t sum_i w_{0:t} r_t / sum_i w_{0:t}                    | Thomas 2015 |
| dr    | E_n[sum_t g^t (w_{0:t} (r_t - q_t) + w_{0:t-1} v_t)]           | Jiang and Li 2016, arXiv 1511.03722 |

n journeys, w_{0:t} the product of the weights of steps 0..t. The product loses its effective sample exponentially fast
(8 arms, epsilon .1, 20,000 customers: 23 at step 20), so horizons with a step below the floor are refused, and those of
more than five steps. A floor on what was *drawn* lets through just those logs near it that lack their largest weights,
or rewards under them; a stricter one would do so, too (measured: it lowers coverage). So the interval allows for both
(`skewed_t` with `unseen`), and a log whose mean cumulated weight is far from 1 is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.api import MEAN_WEIGHT_Z, bounded_estimate
from bandit_nba.evaluate.estimators.precomputed import Precomputed, average
from bandit_nba.evaluate.estimators.protocol import AnyArray, with_ones
from bandit_nba.evaluate.result import ESS_FLOOR, Estimate
from bandit_nba.evaluate.sample import FloatArray, IntArray, checked_sample, finite_vector
from bandit_nba.evaluate.unseen import unseen_variance

JourneyEstimator = Literal["pdis", "wpdis", "dr"]
INTERVALS = ("skewed_t", "gaussian", "student_t", "bootstrap")
LONGEST = 5
"""Steps up to which coverage was proved on played truth (`experiments/journey_ope`); longer claims need rollouts."""


@dataclass(frozen=True, slots=True)
class JourneyEstimate:
    """Discounted sum of rewards per journey, and what the log is worth at every step, shape (horizon,)."""

    estimate: Estimate
    ess_per_step: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """Steps of n journeys, shape (n, horizon): after its end a journey keeps its weight and earns nothing."""

    products: FloatArray
    before: FloatArray
    rewards: FloatArray
    q_logged: FloatArray
    q_policy: FloatArray


def estimate_journeys(
    weights: ArrayLike,
    rewards: ArrayLike,
    *,
    journeys: ArrayLike | Sequence[object],
    steps: ArrayLike,
    horizon: int,
    discount: float = 1.0,
    q_logged: ArrayLike | None = None,
    q_policy: ArrayLike | None = None,
    estimator: JourneyEstimator = "wpdis",
    interval: str = "skewed_t",
    alpha: float = 0.05,
    ess_floor: float = ESS_FLOOR,
    longest: int = LONGEST,
    rng: np.random.Generator | None = None,
) -> JourneyEstimate:
    """Value of a policy over the first `horizon` decisions of a journey.

    Parameters
    ----------
    weights, rewards
        Per decision, flat, shape (m,).
    journeys, steps
        Which journey a decision belongs to, and its place there: 0, 1, 2, ... without gaps. Shape (m,).
    horizon
        Number of steps that count, at least 1; later steps are left out.
    discount
        Factor per step, above 0 up to 1.
    q_logged, q_policy
        For dr: expected discounted reward from this step to the horizon, of the logged arm and of the policy.
    interval
        skewed_t, gaussian, student_t or bootstrap over journeys; the last three cover too seldom near the floor.
    longest
        Horizons above it are refused, whatever the log.

    Raises
    ------
    RefusedError
        The horizon is above `longest`; the effective sample size of some step is below `ess_floor` (the message says
        how far one can look); or the cumulated weights of a step do not average 1 within four standard errors.
    """
    if estimator not in ("pdis", "wpdis", "dr"):
        raise InputError("no such estimator for journeys", where="estimator", got=estimator, allowed="pdis, wpdis, dr")
    if interval not in INTERVALS:
        raise InputError("no such interval for journeys", where="interval", got=interval, allowed=", ".join(INTERVALS))
    if not 0 < discount <= 1:
        raise InputError("the discount is out of range", where="discount", got=discount, allowed="above 0, up to 1")
    table = _table(weights, rewards, journeys, steps, horizon, q_logged, q_policy, estimator)
    if horizon > longest:
        raise RefusedError(
            "no estimate from a log is proved that far",
            where="horizon",
            got=horizon,
            allowed=f"up to {longest} steps",
            hint="roll the policy out in a simulator",
        )
    ess = step_ess(table.products)
    _refuse_thin_steps(ess, ess_floor)
    _refuse_wrong_means(table.products)
    sample = checked_sample(table.products[:, -1], table.rewards.sum(axis=1), reward_range=(-np.inf, np.inf))
    discounts = np.power(discount, np.arange(horizon), dtype=np.float64)
    with np.errstate(all="ignore"):
        built = (
            _weighted(table, discounts)
            if estimator == "wpdis"
            else average(estimator, _terms(table, discounts, estimator))
        )
        built = replace(built, unseen=_unseen(table, discounts, estimator))
        found = bounded_estimate(sample, built, interval=interval, alpha=alpha, rng=rng)
    return JourneyEstimate(found, tuple(ess.tolist()))


def step_ess(products: FloatArray) -> FloatArray:
    """Effective sample size of the journeys at each step, from cumulative weights (n, steps) to (steps,)."""
    largest = products.max(axis=0)
    scaled = products / np.where(largest > 0, largest, 1.0)
    squares = (scaled**2).sum(axis=0)
    return np.where(squares > 0, scaled.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1.0), 0.0)


def component_weights(policy: ArrayLike, components: ArrayLike, shares: ArrayLike) -> FloatArray:
    """Cumulative weights w_{0:t}, shape (n, T), of a log whose component (say an A/B arm) is fixed per customer.

    prod_t pi / sum_k rho_k prod_t pi_k: the mixture of whole journeys. The product of marginal mixture propensities is
    wrong, since the component does not change from step to step.

    Parameters
    ----------
    policy
        The judged policy's probability of the logged arm at each step, shape (n, T).
    components
        Every component's probability of it, shape (n, T, C).
    shares
        Share of customers assigned to each component, shape (C,), summing to 1.
    """
    pi = np.asarray(policy, dtype=np.float64)
    mu = np.asarray(components, dtype=np.float64)
    rho = np.asarray(shares, dtype=np.float64)
    if mu.shape[:2] != pi.shape or mu.ndim != 3 or rho.shape != mu.shape[2:]:
        raise InputError("shapes do not fit", where="components", got=mu.shape, allowed=f"{pi.shape} and {rho.shape}")
    if abs(float(rho.sum()) - 1) > 1e-9 or (rho < 0).any():
        raise InputError("shares do not sum to 1", where="shares", got=rho.tolist(), allowed="at least 0, sum 1")
    mixture = np.cumprod(mu, axis=1) @ rho
    if (mixture <= 0).any():
        row = int(np.argmax((mixture <= 0).any(axis=1)))
        raise InputError("no component could have made this journey", where=f"components[{row}]", allowed="above 0")
    cumulative: FloatArray = np.cumprod(pi, axis=1) / mixture
    return cumulative


def _terms(table: _Table, discounts: FloatArray, estimator: str) -> FloatArray:
    if estimator == "pdis":
        return (table.products * table.rewards) @ discounts
    return (table.products * (table.rewards - table.q_logged) + table.before * table.q_policy) @ discounts


def _weighted(table: _Table, discounts: FloatArray) -> Precomputed:
    """[1, w r of each step, w of each step]: each step is a weighted mean of its own."""
    horizon = len(discounts)

    def value(sums: AnyArray) -> AnyArray:
        per_step = sums[..., 1 : horizon + 1] / sums[..., horizon + 1 :]
        total: AnyArray = per_step @ discounts
        return total

    moments = with_ones(*(table.products * table.rewards).T, *table.products.T)
    return Precomputed("wpdis", moments, value, False)


def _unseen(table: _Table, discounts: FloatArray, estimator: str) -> float:
    """`unseen_variance` of the estimator's steps; the residuals of dr are those of Bellman, r + g v' - q."""
    weights, rewards = table.products, table.rewards
    if estimator == "wpdis":
        totals = weights.sum(axis=0)
        return unseen_variance(weights, rewards - (weights * rewards).sum(axis=0) / totals, discounts / totals)
    residuals = rewards
    if estimator == "dr":
        following = np.concatenate([table.q_policy[:, 1:], np.zeros((len(weights), 1))], axis=1)
        ratio = discounts[1] if len(discounts) > 1 else 1.0
        residuals = rewards + ratio * following - table.q_logged
    return unseen_variance(weights, residuals, discounts / len(weights))


def _refuse_thin_steps(ess: FloatArray, floor: float) -> None:
    thin = ess < floor
    if thin.any():
        first = int(np.argmax(thin))
        raise RefusedError(
            f"at step {first} the log is worth only {ess[first]:.0f} journeys of this policy",
            where="horizon",
            got=len(ess),
            allowed=f"up to {first} steps (at least {floor:.0f} effective journeys)" if first else "none",
            hint="shorten the horizon, explore more, or roll the policy out in a simulator",
        )


def _refuse_wrong_means(products: FloatArray) -> None:
    """Cumulated weights average 1, or propensities are wrong, or the heaviest weights were not drawn."""
    n, means = len(products), products.mean(axis=0)
    errors = products.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.zeros_like(means)
    z = np.where(errors > 0, (means - 1.0) / np.where(errors > 0, errors, 1.0), 0.0)
    wrong = np.abs(z) > MEAN_WEIGHT_Z
    if wrong.any():
        first = int(np.argmax(wrong))
        raise RefusedError(
            f"at step {first} the mean weight of a journey is {means[first]:.3g} and should be 1 (z = {z[first]:.1f})",
            where="horizon",
            got=products.shape[1],
            allowed=f"up to {first} steps" if first else "none",
            hint="propensities are those of another policy, or the log lacks what this one would do; explore more",
        )


def _table(
    weights: ArrayLike,
    rewards: ArrayLike,
    journeys: ArrayLike | Sequence[object],
    steps: ArrayLike,
    horizon: int,
    q_logged: ArrayLike | None,
    q_policy: ArrayLike | None,
    estimator: str,
) -> _Table:
    if horizon < 1:
        raise InputError("no step counts", where="horizon", got=horizon, allowed="at least 1")
    if estimator == "dr" and (q_logged is None or q_policy is None):
        raise InputError("dr needs expected rewards", where="q_logged, q_policy", allowed="one for each decision")
    flat = checked_sample(
        weights, rewards, q_logged=q_logged, q_policy=q_policy, groups=journeys, reward_range=(-np.inf, np.inf)
    )
    rows = flat.groups if flat.groups is not None else np.arange(flat.n)
    columns = _checked_steps(steps, rows, flat.n_groups)
    within = columns < horizon

    def spread(values: FloatArray | None, empty: float) -> FloatArray:
        table = np.full((flat.n_groups, horizon), empty, dtype=np.float64)
        if values is not None:
            table[rows[within], columns[within]] = values[within]
        return table

    products = np.cumprod(spread(flat.weights, 1.0), axis=1, dtype=np.float64)
    before: FloatArray = np.concatenate([np.ones((flat.n_groups, 1)), products[:, :-1]], axis=1)
    return _Table(products, before, spread(flat.rewards, 0.0), spread(flat.q_logged, 0.0), spread(flat.q_policy, 0.0))


def _checked_steps(steps: ArrayLike, rows: IntArray, journeys: int) -> IntArray:
    """Steps as integers, each journey's exactly 0 .. length - 1."""
    numbers = finite_vector(steps, "steps", len(rows))
    columns = numbers.astype(np.intp)
    lengths = np.bincount(rows, minlength=journeys)
    wrong = (columns != numbers) | (columns < 0) | (columns >= lengths[rows])
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError("a journey's steps are not 0, 1, 2, ...", where=f"steps[{row}]", got=float(numbers[row]))
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    if len(np.unique(starts[rows] + columns)) != len(rows):
        raise InputError("a journey has the same step twice", where="steps", allowed="0, 1, 2, ... once each")
    return columns
