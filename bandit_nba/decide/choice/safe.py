"""The safe policy: what answers when nothing better can; it asks neither model nor profile."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.decide.eligibility.exclusions import named
from bandit_nba.errors import SettingsError
from bandit_nba.settings import Settings, nearest


class Safe(Settings, frozen=True, kw_only=True):
    """Which of the safe arms that are left it chooses.

    no_action: none. uniform_safe: each alike, "no action" among them. fixed: `arm` (an action's name stands for all its
    treatments, which share evenly), "no action" where that is not left.
    """

    kind: Literal["no_action", "uniform_safe", "fixed"] = "uniform_safe"
    arm: str = ""


def safe_arms(arms: Sequence[Arm]) -> Bools:
    """Arms that may be chosen without a model and without a profile, bool (K,); "no action" always."""
    return np.array([k == 0 or arm.action.safe_without_profile for k, arm in enumerate(arms)])


def safe_probabilities(mask: Bools, arms: Sequence[Arm], safe: Safe) -> Floats:
    """The safe policy's distribution over the arms left, float64 (N, K); at least one is left in each row."""
    if safe.kind == "uniform_safe":
        return _even(mask)
    preferred = np.arange(len(arms)) == 0 if safe.kind == "no_action" else named(arms, [safe.arm])
    baseline = np.where(mask[:, :1], np.arange(len(arms)) == 0, mask)
    wanted = mask & preferred
    return _even(np.where(wanted.any(axis=1, keepdims=True), wanted, baseline))


def check_safe(safe: Safe, arms: Sequence[Arm], *, where: str = "policy.toml: safe") -> None:
    """Refuse a fixed arm that is unknown or not safe, and an arm where none is asked for.

    Raises
    ------
    SettingsError
        With what is allowed.
    """
    if safe.kind != "fixed":
        if safe.arm:
            raise SettingsError("only a fixed safe policy has an arm", where=f"{where}.arm", got=safe.arm)
        return
    allowed = [arm.id for arm, is_safe in zip(arms, safe_arms(arms), strict=True) if is_safe]
    allowed += [arm.action.id for arm in arms if arm.action.safe_without_profile and arm.treatment is not None]
    if safe.arm not in allowed:
        raise SettingsError(
            "is no action that is marked safe_without_profile",
            where=f"{where}.arm",
            got=safe.arm,
            allowed=", ".join(dict.fromkeys(allowed)),
            hint=nearest(safe.arm, allowed),
        )


def _even(mask: Bools) -> Floats:
    even: Floats = mask / mask.sum(axis=1, keepdims=True)
    return even
