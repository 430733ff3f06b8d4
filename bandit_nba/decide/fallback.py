"""The safe policy acts: when the model or the rules fail, and when the answer would come too late.

Its probabilities are logged as they were, in rows of kind "fallback", which learning and evaluation leave out.
"""

from collections.abc import Callable, Sequence

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.batch import Decisions, Eligibility, Removal, Requests, Slate
from bandit_nba.decide.choice.mandatory import Mandatory
from bandit_nba.decide.choice.safe import Safe, safe_arms, safe_probabilities
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.choice.sample import ARM, draw, uniforms
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.eligibility.exclusions import of_first_slot
from bandit_nba.decide.slates.caps import Caps
from bandit_nba.decide.slates.slate import slates

REMOVAL = Removal(stage="fallback", reason="model or rules failed: only safe actions")


def fallback_decisions(
    requests: Requests,
    arms: Sequence[Arm],
    salt: Salt,
    *,
    eligibility: Eligibility | None,
    safe: Safe,
    caps: Caps | None = None,
) -> Decisions:
    """Decide without a model, by the safe policy over the eligible arms that are marked `safe_without_profile`.

    eligibility: what the rules left where only the model failed, or `eligibility.unasked` where there is no time for
    rules; None where the rules failed, which leaves "no action".
    caps: see `slates`. Expected rewards and priorities are 0, since nothing is known. Of inline actions the first is
    the safe one.
    """
    anywhere = _safe_only(arms, eligibility) if eligibility is not None else _no_action_only(len(requests), len(arms))
    left = anywhere if requests.wanted is None else of_first_slot(anywhere, arms, requests.wanted)
    mandatory = Mandatory(arms)

    def chances(mask: Bools) -> Floats:
        return mandatory.first(safe_probabilities(mask, arms, safe), mask)

    probability = chances(left.mask)
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
        slates=_slates(requests, arms, salt, anywhere, probability, chosen, chances, caps),
    )


def _slates(
    requests: Requests,
    arms: Sequence[Arm],
    salt: Salt,
    anywhere: Eligibility,
    probability: Floats,
    chosen: Ints,
    chances: Callable[[Bools], Floats],
    caps: Caps | None,
) -> dict[int, Slate]:
    if requests.wanted is None:
        return {}
    unknown = np.where(anywhere.mask, 0.0, np.nan)
    return slates(
        requests.ids,
        requests.wanted,
        arms,
        salt,
        lambda _, mask: chances(mask),
        eligible=anywhere.mask,
        expected_reward=unknown,
        priority=unknown,
        probability=probability,
        chosen=chosen,
        caps=caps,
    )


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
