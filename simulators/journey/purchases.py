"""Buying that no action changes: BG/NBD for when, Gamma-Gamma for how much.

BG/NBD (Fader, Hardie and Lee 2005, "Counting your customers the easy way", Marketing Science 24(2)): while alive a
customer buys as a Poisson process of rate lambda ~ Gamma(r, alpha), and leaves after each purchase with chance
p ~ Beta(a, b). Gamma-Gamma (Fader and Hardie 2013): amounts ~ Gamma(p, nu) with nu ~ Gamma(q, v), of mean p / nu.
"""

import numpy as np
from scipy.special import betaln, expit, gammaincinv, gammaln, hyp2f1
from scipy.stats import poisson

from bandit_nba.decide.columns import Bools, Floats, Ints
from simulators.journey.settings import Purchases

FEW = 30.0  # up to this mean the first term of Poisson's sum, exp(-30), is far above the last one that counts
LEAST_TERM = 1e-18


def expected_purchases(t: Floats | float, law: Purchases) -> Floats:
    """E[X(t)] of a new customer in t weeks, eq. (9) of the paper."""
    r, alpha, a, b = law.r, law.alpha, law.a, law.b
    time = np.asarray(t, dtype=np.float64)
    curve = (alpha / (alpha + time)) ** r * hyp2f1(r, b, a + b - 1.0, time / (alpha + time))
    found: Floats = (a + b - 1.0) / (a - 1.0) * (1.0 - curve)
    return found


def expected_future(t: float, *, x: float, tx: float, observed: float, law: Purchases) -> float:
    """E[Y(t) | x, tx, T], eq. (10): purchases in the next t weeks of who bought x times, last at tx, in T weeks."""
    r, alpha, a, b = law.r, law.alpha, law.a, law.b
    z = t / (alpha + observed + t)
    ratio = ((alpha + observed) / (alpha + observed + t)) ** (r + x)
    numerator = (a + b + x - 1.0) / (a - 1.0) * (1.0 - ratio * hyp2f1(r + x, b + x, a + b + x - 1.0, z))
    if x == 0:
        return float(numerator)
    logit = (r + x) * (np.log(alpha + observed) - np.log(alpha + tx)) + np.log(a) - np.log(b + x - 1.0)
    return float(numerator * expit(-logit))


def log_likelihood(x: Floats, tx: Floats, observed: Floats, law: Purchases) -> float:
    """Sum over customers of ln L(r, alpha, a, b | x, tx, T), eq. (6) in log space."""
    r, alpha, a, b = law.r, law.alpha, law.a, law.b
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - betaln(a, b)
    alive = betaln(a, b + x) - (r + x) * np.log(alpha + observed)
    safe = np.where(x > 0, x, 1.0)
    left = np.where(x > 0, betaln(a + 1.0, b + safe - 1.0) - (r + x) * np.log(alpha + tx), -np.inf)
    return float((common + np.logaddexp(alive, left)).sum())


def expected_amount(law: Purchases) -> float:
    """Mean amount of a purchase over customers: p v / (q - 1)."""
    return law.p * law.v / (law.q - 1.0)


def conditional_amount(mean: float, count: float, law: Purchases) -> float:
    """E[mean amount | observed mean over `count` purchases]: p (v + count mean) / (p count + q - 1)."""
    return law.p * (law.v + count * mean) / (law.p * count + law.q - 1.0)


def draw_customers(rng: np.random.Generator, n: int, law: Purchases) -> tuple[Floats, Floats, Floats]:
    """Rates a week, chances of leaving after a purchase, and mean amounts, each float64 (n,)."""
    return draw_rates(rng, n, law), draw_leaving(rng, n, law), draw_amounts(rng, n, law)


def draw_rates(rng: np.random.Generator, n: int, law: Purchases) -> Floats:
    """lambda ~ Gamma(r, alpha), purchases a week, float64 (n,)."""
    return rng.gamma(law.r, 1.0 / law.alpha, n)


def draw_leaving(rng: np.random.Generator, n: int, law: Purchases) -> Floats:
    """p ~ Beta(a, b), the chance of leaving after a purchase, float64 (n,)."""
    return rng.beta(law.a, law.b, n)


def draw_amounts(rng: np.random.Generator, n: int, law: Purchases) -> Floats:
    """Mean amounts p / nu with nu ~ Gamma(q, v), float64 (n,)."""
    return law.p / np.maximum(rng.gamma(law.q, 1.0 / law.v, n), 1e-9)


def purchases_within(mean: Floats, leave: Floats, u: Floats, u_leave: Floats) -> tuple[Ints, Bools]:
    """How often live customers buy in a step, int64 (n,), and who leaves at the last of these, bool (n,).

    mean: lambda x weeks. Exact: a Poisson count, cut at the first purchase after which the customer leaves, whose
    number is geometric.
    """
    count = poisson_quantile(mean, u)
    bounded = np.clip(leave, 1e-12, 1.0 - 1e-12)
    last = np.maximum(np.ceil(np.log1p(-u_leave) / np.log1p(-bounded)), 1.0)
    gone = count >= last
    return np.where(gone, last, count).astype(np.int64), gone


def amounts(mean: Floats, count: Ints, u: Floats, law: Purchases) -> Floats:
    """The sum of `count` amounts, each Gamma(p) of this mean: Gamma(p count) by its quantile, float64 (n,)."""
    total: Floats = gammaincinv(law.p * np.maximum(count, 1), u) * mean / law.p
    return np.where(count > 0, total, 0.0)


def poisson_quantile(mean: Floats, u: Floats) -> Ints:
    """The smallest k with F(k) > u of Poisson(mean), int64 (n,); above a mean of `FEW` by scipy's inverse."""
    count = np.zeros(len(mean), dtype=np.int64)
    many = (mean > FEW).nonzero()[0]
    if len(many):
        count[many] = np.maximum(poisson.ppf(u[many], mean[many]), 0.0).astype(np.int64)
    term = np.exp(-mean)
    below = term.copy()
    open_rows = ((u >= below) & (mean <= FEW)).nonzero()[0]
    k = 0
    while len(open_rows):
        k += 1
        term[open_rows] *= mean[open_rows] / k
        below[open_rows] += term[open_rows]
        count[open_rows] = k
        still = (u[open_rows] >= below[open_rows]) & (term[open_rows] > LEAST_TERM)
        open_rows = open_rows[still]
    return count
