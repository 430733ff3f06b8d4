"""From moments to numbers: the estimate, and what each decision or customer contributes to it."""

import numpy as np

from bandit_nba.evaluate.estimators.protocol import AnyArray, Estimator
from bandit_nba.evaluate.sample import FloatArray, Sample


def point_value(estimator: Estimator, sample: Sample) -> float:
    """The estimate of `estimator` on `sample`."""
    return float(estimator.value(estimator.moments(sample).sum(axis=1)))


def contributions(estimator: Estimator, sample: Sample) -> FloatArray:
    """Per-decision contributions, shape (n,); their mean is the estimate.

    For an average these are its terms (IPS: w r). For every other estimator they are V plus the first-order influence
    of the decision, n * gradient(V) . moments_i: what the delta method needs.
    """
    moments = estimator.moments(sample)
    sums = moments.sum(axis=1)
    influence = gradient(estimator, sums) @ moments
    values: FloatArray = float(estimator.value(sums)) + sample.n * (influence - influence.mean())
    return values


def unit_influence(estimator: Estimator, sample: Sample) -> FloatArray:
    """Influence of each customer on the estimate, shape (n_groups,); they sum to 0."""
    moments = estimator.moments(sample)
    units = sample.per_unit(gradient(estimator, moments.sum(axis=1)) @ moments)
    centred: FloatArray = units - units.mean()
    return centred


def gradient(estimator: Estimator, sums: AnyArray) -> FloatArray:
    """Derivative of the value by each sum, shape (k,), exact to machine precision by a complex step.

    Every value is a rational function of its sums, so that V(s + i h) = V(s) + i h V'(s) + O(h^2), and a tiny h has no
    cancellation (Squire and Trapp 1998).
    """
    step = 1e-20 * np.maximum(np.abs(sums), 1.0)
    perturbed = sums + 1j * np.diag(step)
    slopes: FloatArray = np.imag(estimator.value(perturbed)) / step
    return slopes
