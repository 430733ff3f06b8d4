"""The life cycle: prospect -> onboarding -> active -> loyal -> at risk -> churned -> won back."""

from typing import Final, get_args

import numpy as np

from bandit_nba.decide.columns import Bools, Ints
from simulators.journey.settings import Stage

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)


class In:
    """Stages as numbers, indices into `STAGES`."""

    PROSPECT: Final = 0
    ONBOARDING: Final = 1
    ACTIVE: Final = 2
    LOYAL: Final = 3
    AT_RISK: Final = 4
    CHURNED: Final = 5
    WON_BACK: Final = 6


CUSTOMER: Final[Bools] = np.array([False, True, True, True, True, False, True])
"""Which stages are those of a customer, by number."""


def next_stage(stage: int, *, joins: bool, leaves: bool, at_risk: bool, settled: bool, long: bool) -> int:
    """Where a customer goes from here.

    joins: a prospect or lost customer responded. leaves: the customer is lost. at_risk: the hazard of leaving is high.
    settled, long: the stage has lasted as long as onboarding does, as it takes to become loyal.
    """
    if joins and stage in (In.PROSPECT, In.CHURNED):
        return In.ONBOARDING if stage == In.PROSPECT else In.WON_BACK
    if leaves:
        return In.CHURNED
    if stage in (In.ACTIVE, In.LOYAL) and at_risk:
        return In.AT_RISK
    if stage == In.AT_RISK and not at_risk:
        return In.ACTIVE
    if stage in (In.ONBOARDING, In.WON_BACK) and settled:
        return In.ACTIVE
    return In.LOYAL if stage == In.ACTIVE and long else stage


def _moves() -> Ints:
    """`next_stage` by stage and flags, int64 (stages, 2, 2, 2, 2, 2)."""
    moves = np.empty((len(STAGES), 2, 2, 2, 2, 2), dtype=np.int64)
    for at in np.ndindex(moves.shape):
        stage, (joins, leaves, at_risk, settled, long) = at[0], map(bool, at[1:])
        moves[at] = next_stage(stage, joins=joins, leaves=leaves, at_risk=at_risk, settled=settled, long=long)
    return moves


MOVES: Final[Ints] = _moves()


def moved(
    stage: Ints, lasted: Ints, *, joins: Bools, leaves: Bools, at_risk: Bools, onboarding_steps: Ints, loyal_steps: Ints
) -> Ints:
    """The stage of each customer after this step, int64 (n,); `lasted`: steps in the present one.

    onboarding_steps, loyal_steps: int64 (1,).
    """
    settled, long = lasted >= onboarding_steps, lasted >= loyal_steps
    flags = [flag.view(np.int8) for flag in (joins, leaves, at_risk, settled, long)]
    new: Ints = MOVES[stage, *flags]
    return new
