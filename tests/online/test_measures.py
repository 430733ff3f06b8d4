"""What is counted in small batches adds up to what the decisions say."""

from typing import cast

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.batch import Decisions, Eligibility, Removal, Requests
from bandit_nba.online.measures import TOGETHER, Measures

REMOVALS = (Removal("consent", "x"), Removal("contact", "y"), Removal("consent", "z"))


def decisions(p: list[list[float]], removed: list[list[int]], removals: tuple[Removal, ...]) -> Decisions:
    probability = np.array(p)
    n, k = probability.shape
    chosen = np.zeros(n, dtype=np.int64)
    return Decisions(
        requests=cast(Requests, range(n)),
        arms=cast(tuple[Arm, ...], (None,) * k),
        eligibility=Eligibility(removed=np.array(removed, dtype=np.int16), removals=removals),
        expected_reward=probability,
        priority=probability,
        probability=probability,
        chosen=chosen,
        propensity=probability[:, 0],
    )


def test_sums_over_batches_of_any_arms_and_removals() -> None:
    measures = Measures()
    measures.made(decisions([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], [[0, 0, 1], [0, 2, 3]], REMOVALS))
    measures.made(decisions([[0.25, 0.75]], [[0, 0]], ()))
    measures.made(decisions([[0.5, 0.0, 0.5]], [[0, 2, 0]], REMOVALS))

    said = measures.choices()

    h = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert said.decisions == 4
    assert said.removed == {"consent": 2, "contact": 2}
    np.testing.assert_allclose(
        [said.entropy_sum, said.arms_sum, said.propensity_sum], [2 * np.log(2) + h, 2 + 1 + 2 + np.exp(h), 2.25]
    )
    assert measures.choices() == said


def test_what_waits_is_bounded() -> None:
    measures = Measures()
    for _ in range(3 * TOGETHER):
        measures.made(decisions([[1.0]], [[0]], ()))

    assert len(measures._waiting) < TOGETHER
    assert measures.choices().decisions == 3 * TOGETHER
