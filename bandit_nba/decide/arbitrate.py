"""Arbitration: what an arm is expected to gain over doing nothing, weighed by what it is worth to the business.

    gain_a     = expected reward of a - expected reward of "no action"
    m_a        = context weight x value x lever                         (above zero)
    priority_a = gain_a * m_a   where gain_a >= 0
               = gain_a / m_a   where gain_a <  0

Dividing a negative gain is the same as offsetting it by |gain| (1 - 1/m): a larger lever never lowers an arm, a harmful
arm never overtakes "no action", and the priority is continuous at gain 0, increasing in the gain and in each factor.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.batch import Floats
from bandit_nba.decide.policy import Arbitration
from bandit_nba.errors import SettingsError

RewardUnit = Literal["response", "money"]

SMALLEST, LARGEST = 1e-9, 1e9  # of a factor, so that no product or quotient leaves the finite numbers


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
    factors = [_value(arm, settings) * _lever(arm, settings) for arm in arms[1:]]
    return np.array([1.0, *factors])


def _value(arm: Arm, settings: Arbitration) -> float:
    if not settings.use_value:
        return 1.0
    return _bounded(arm.action.value, where=f"catalogue.toml: value of {arm.action.id} (arbitration.use_value is true)")


def _lever(arm: Arm, settings: Arbitration) -> float:
    group = arm.action.group
    return _bounded(settings.levers.get(group, 1.0), where=f"policy.toml: arbitration.levers.{group}")


def _bounded(factor: float, *, where: str) -> float:
    if not SMALLEST <= factor <= LARGEST:
        raise SettingsError("factor out of range", where=where, got=factor, allowed="1e-9 to 1e9")
    return factor
