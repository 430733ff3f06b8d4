"""The safe policy: what it may choose, and that it logs how likely that was."""

import numpy as np

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.decide.batch import Coded, Eligibility, Facts, Removal, Requests
from bandit_nba.decide.fallback import fallback_decisions
from bandit_nba.decide.salt import Salt

SALT = Salt(id="s1", key=b"0123456789abcdef")
ARMS = Catalogue(
    facts={},
    actions=(
        Action(id="phone", kind="offer", group="grow"),
        Action(id="help", kind="service", group="serve", safe_without_profile=True),
        Action(id="news", kind="information", group="serve", safe_without_profile=True),
    ),
).arms


def _requests(rows: int) -> Requests:
    return Requests(
        ids=[f"d{i}" for i in range(rows)],
        customers=[""] * rows,
        channels=Coded(codes=np.zeros(rows, dtype=np.int64), values=("web",)),
        decided_at=np.zeros(rows),
        facts=Facts.from_rows([{}] * rows, {}),
        readable=np.ones(rows, dtype=bool),
    )


def test_after_failed_rules_only_no_action_is_left() -> None:
    got = fallback_decisions(_requests(3), ARMS, SALT, eligibility=None)

    assert got.probability.tolist() == [[1.0, 0.0, 0.0, 0.0]] * 3
    assert got.chosen.tolist() == [0, 0, 0]
    assert got.propensity.tolist() == [1.0, 1.0, 1.0]
    assert got.kinds == ["fallback"] * 3


def test_after_a_failed_model_eligible_safe_arms_are_equally_likely() -> None:
    """Row 0 may have all, row 1 not the news: even over {none, help, news} and {none, help}; phone is never safe."""
    eligibility = Eligibility(
        removed=np.array([[0, 0, 0, 0], [0, 0, 0, 1]], dtype=np.int16), removals=(Removal("consent", "no news"),)
    )

    got = fallback_decisions(_requests(2), ARMS, SALT, eligibility=eligibility)

    np.testing.assert_allclose(got.probability, [[1 / 3, 0, 1 / 3, 1 / 3], [1 / 2, 0, 1 / 2, 0]], atol=1e-15)
    assert got.eligibility.removed.tolist() == [[0, 2, 0, 0], [0, 2, 0, 1]]
    assert [removal.stage for removal in got.eligibility.removals] == ["consent", "fallback"]
    np.testing.assert_array_equal(np.isnan(got.expected_reward), ~got.eligibility.mask)


def test_draws_follow_the_logged_probability() -> None:
    """Three equally likely arms, 30,000 fixed ids: each share within 4 standard errors (.0027) of a third."""
    eligibility = Eligibility(removed=np.zeros((30_000, 4), dtype=np.int16), removals=())

    got = fallback_decisions(_requests(30_000), ARMS, SALT, eligibility=eligibility)

    shares = np.bincount(got.chosen, minlength=4) / 30_000
    np.testing.assert_allclose(shares, [1 / 3, 0.0, 1 / 3, 1 / 3], atol=0.011)
    np.testing.assert_allclose(got.propensity, 1 / 3)
