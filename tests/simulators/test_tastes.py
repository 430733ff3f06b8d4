"""Tastes: standardised among those who may have the arm, repeatable, and not merely additive."""

import numpy as np
from sklearn.linear_model import LinearRegression

from simulators.tastes import TasteKind, traits, utilities
from simulators.telco_catalogue import telco_arms_catalogue
from simulators.telco_population import telco_customers


def _utilities(kind: TasteKind, seed: int = 3) -> np.ndarray:
    facts, arms = telco_customers().facts, telco_arms_catalogue().arms
    everyone = np.ones((facts.size, len(arms)), dtype=np.bool_)
    return utilities(np.random.default_rng(seed), facts, arms, everyone, kind=kind)


def test_traits_are_standardised_and_finite() -> None:
    columns, names = traits(telco_customers().facts)

    assert np.isfinite(columns).all()
    assert np.abs(columns.mean(axis=0)).max() < 0.05  # limited to four deviations after centring
    assert columns.shape[1] == len(names) == len(set(names))
    assert {"senior=true", "tenure_months", "contract=One year", "owned=fiber"} <= set(names)


def test_utilities_have_mean_zero_and_variance_one_over_the_eligible() -> None:
    facts, arms = telco_customers().facts, telco_arms_catalogue().arms
    eligible = np.random.default_rng(1).random((facts.size, len(arms))) < 0.4
    u = utilities(np.random.default_rng(3), facts, arms, eligible, kind=TasteKind())
    for k in range(len(arms)):
        assert abs(u[eligible[:, k], k].mean()) < 0.05
        assert 0.85 < u[eligible[:, k], k].std() <= 1.01
    assert np.abs(u).max() <= 4.0


def test_an_additive_model_explains_main_effects_but_not_everything() -> None:
    """R2 of a linear regression on all traits: all of it without steps and pairs, visibly less with them."""
    columns, _ = traits(telco_customers().facts)

    def explained(u: np.ndarray) -> float:
        return float(np.mean([LinearRegression().fit(columns, u[:, k]).score(columns, u[:, k]) for k in range(16)]))

    assert explained(_utilities(TasteKind(steps=0, pairs=0))) > 0.98
    assert 0.6 < explained(_utilities(TasteKind())) < 0.97


def test_another_seed_has_other_tastes() -> None:
    first, again, other = _utilities(TasteKind()), _utilities(TasteKind()), _utilities(TasteKind(), seed=4)

    assert (first == again).all()
    assert np.abs(np.corrcoef(first.T, other.T)[:16, 16:].diagonal()).mean() < 0.5
