"""The safe policy that answers when the model or the rules fail: evenly over safe arms, or "no action" alone.

Its probabilities are logged as they were, in rows of kind "fallback", which learning and evaluation leave out.
"""

from collections.abc import Sequence

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.batch import Bools, Decisions, Eligibility, Floats, Ints, Removal, Requests, Slate
from bandit_nba.decide.exclusions import of_first_slot
from bandit_nba.decide.salt import Salt
from bandit_nba.decide.sample import ARM, draw, uniforms
from bandit_nba.decide.slate import slates

REMOVAL = Removal(stage="fallback", reason="model or rules failed: only safe actions")


def fallback_decisions(
    requests: Requests, arms: Sequence[Arm], salt: Salt, *, eligibility: Eligibility | None
) -> Decisions:
    """Decide without a model: each eligible arm marked `safe_without_profile` is equally likely.

    eligibility: what the rules left where only the model failed; None where the rules failed, which leaves "no action".
    Expected rewards and priorities are 0, since nothing is known. Of inline actions the first is the safe one.
    """
    anywhere = _safe_only(arms, eligibility) if eligibility is not None else _no_action_only(len(requests), len(arms))
    left = anywhere if requests.wanted is None else of_first_slot(anywhere, arms, requests.wanted)
    probability = fallback_probabilities(left.mask)
    unknown = np.where(left.mask, 0.0, np.nan)
    chosen = draw(probability, uniforms(salt, requests.ids, purpose=ARM))
    return Decisions(
        requests=requests,
        arms=tuple(arms),
        eligibility=left,
        expected_reward=unknown,
        priority=unknown,
        probability=probability,
        chosen=chosen,
        propensity=probability[np.arange(len(chosen)), chosen],
        fallback=True,
        slates=_slates(requests, arms, salt, anywhere, probability, chosen),
    )


def _slates(
    requests: Requests, arms: Sequence[Arm], salt: Salt, anywhere: Eligibility, probability: Floats, chosen: Ints
) -> dict[int, Slate]:
    if requests.wanted is None:
        return {}
    unknown = np.where(anywhere.mask, 0.0, np.nan)
    return slates(
        requests.ids,
        requests.wanted,
        arms,
        salt,
        lambda _, mask: fallback_probabilities(mask),
        eligible=anywhere.mask,
        expected_reward=unknown,
        priority=unknown,
        probability=probability,
        chosen=chosen,
    )


def fallback_probabilities(mask: Bools) -> Floats:
    """The safe policy's distribution over the arms left, float64 (N, K)."""
    even: Floats = mask / mask.sum(axis=1, keepdims=True)
    return even


def safe_arms(arms: Sequence[Arm]) -> Bools:
    """Arms that may be chosen without a model and without a profile, bool (K,); "no action" always."""
    return np.array([k == 0 or arm.action.safe_without_profile for k, arm in enumerate(arms)])


def _safe_only(arms: Sequence[Arm], eligibility: Eligibility) -> Eligibility:
    unsafe = eligibility.mask & ~safe_arms(arms)
    code = len(eligibility.removals) + 1
    return Eligibility(
        removed=np.where(unsafe, np.int16(code), eligibility.removed),
        removals=(*eligibility.removals, REMOVAL),
        failures=eligibility.failures,
    )


def _no_action_only(rows: int, arms: int) -> Eligibility:
    removed = np.ones((rows, arms), dtype=np.int16)
    removed[:, 0] = 0
    return Eligibility(removed=removed, removals=(REMOVAL,))
