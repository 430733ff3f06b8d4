"""Arbitration: what an arm is expected to gain over doing nothing, weighed by what it is worth to the business.

    gain_a     = expected reward of a - expected reward of "no action"
    m_a        = context weight x value x lever                         (above zero)
    priority_a = gain_a * m_a   where gain_a >= 0
               = gain_a / m_a   where gain_a <  0

Dividing a negative gain is the same as offsetting it by |gain| (1 - 1/m): a larger lever never lowers an arm, a harmful
arm never overtakes "no action", and the priority is continuous at gain 0, increasing in the gain and in each factor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.batch import Floats
from bandit_nba.decide.policy import Arbitration
from bandit_nba.errors import SettingsError

RewardUnit = Literal["response", "money"]

SMALLEST, LARGEST = 1e-9, 1e9  # of a factor, so that no product or quotient leaves the finite numbers


@dataclass(frozen=True)
class Factors:
    """What one arm's gain is weighed by, each above zero."""

    value: float
    lever: float

    @property
    def multiplier(self) -> float:
        """All of them together."""
        return self.value * self.lever


def priorities(expected_reward: Floats, multiplier: Floats) -> Floats:
    """Priority per row and arm, float64 (N, K), in the reward's unit times the multiplier's; "no action" has 0.

    expected_reward: (N, K), column 0 is "no action"; NaN where an arm is not eligible stays NaN.
    multiplier: above zero, broadcast to (N, K): `multipliers`, times context weights where there are any.
    """
    gain: Floats = np.subtract(expected_reward, expected_reward[:, :1], order="C")
    if (multiplier == 1.0).all():
        return gain
    return np.where(gain < 0.0, gain / multiplier, gain * multiplier)


def multipliers(arms: Sequence[Arm], settings: Arbitration, *, reward_unit: RewardUnit) -> Floats:
    """Value x lever per arm, float64 (K,), for "no action" 1.

    Raises
    ------
    SettingsError
        If values would count twice (`use_value` with rewards in money), or a factor is not within 1e-9 ... 1e9.
    """
    if settings.use_value and reward_unit == "money":
        raise SettingsError(
            "would count money twice: the reward's unit is money already",
            where="policy.toml: arbitration.use_value",
            got=True,
            allowed='true only where the unit in rewards.toml is "response"',
        )
    return np.array([factors(arm, settings).multiplier for arm in arms])


def factors(arm: Arm, settings: Arbitration) -> Factors:
    """The factors of one arm; 1 where none is declared, and for "no action"."""
    if arm.action.kind == "none":
        return Factors(value=1.0, lever=1.0)
    action = arm.action
    weighed = f"catalogue.toml: value of {action.id} (policy.toml says arbitration.use_value = true)"
    value = _bounded(action.value, where=weighed) if settings.use_value else 1.0
    lever = _bounded(settings.levers.get(action.group, 1.0), where=f"policy.toml: arbitration.levers.{action.group}")
    return Factors(value=value, lever=lever)


def _bounded(factor: float, *, where: str) -> float:
    if not SMALLEST <= factor <= LARGEST:
        raise SettingsError("factor out of range", where=where, got=factor, allowed="1e-9 to 1e9")
    return factor
