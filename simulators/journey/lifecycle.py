"""The life cycle: prospect -> onboarding -> active -> loyal -> at risk -> churned -> won back."""

from enum import IntEnum
from typing import Final, get_args

import numpy as np

from bandit_nba.decide.batch import Bools, Ints
from simulators.journey.settings import Stage

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)


class In(IntEnum):
    """Stages as numbers, indices into `STAGES`."""

    PROSPECT = 0
    ONBOARDING = 1
    ACTIVE = 2
    LOYAL = 3
    AT_RISK = 4
    CHURNED = 5
    WON_BACK = 6


CUSTOMER: Final[Bools] = np.array([False, True, True, True, True, False, True])
"""Which stages are those of a customer, by number."""


def moved(
    stage: Ints,
    since: Ints,
    *,
    joins: Bools,
    leaves: Bools,
    at_risk: Bools,
    onboarding_steps: int,
    loyal_steps: int,
) -> Ints:
    """The stage after this step, int64 (n,).

    since: steps in the stage before it. joins: prospects or lost customers who responded. leaves: customers who are
    lost. at_risk: whose hazard of leaving is high.
    """
    new = stage.copy()
    new[(stage == In.AT_RISK) & ~at_risk] = In.ACTIVE
    new[((stage == In.ONBOARDING) | (stage == In.WON_BACK)) & (since + 1 >= onboarding_steps)] = In.ACTIVE
    settled = (stage == In.ACTIVE) | (stage == In.LOYAL)
    new[(stage == In.ACTIVE) & (since + 1 >= loyal_steps)] = In.LOYAL
    new[settled & at_risk] = In.AT_RISK
    new[leaves] = In.CHURNED
    new[joins & (stage == In.PROSPECT)] = In.ONBOARDING
    new[joins & (stage == In.CHURNED)] = In.WON_BACK
    return new
