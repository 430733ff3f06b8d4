"""What is expected of an action before it has been tried often: a declared rate, giving way as examples come in.

    expected = (n_a m_a + s r) / (n_a + s)

with m_a the model's estimate for arm a, n_a the examples of a that the model has learned, and r and s the rate and the
strength that the policy declares for the group of a: the posterior mean of a normal mean with s prior observations (for
rewards in [0, 1] that of a Beta-Bernoulli rate). Without it an arm that the model has never seen is scored by what its
features and the context share with others, which starves it where that lies below the best arm and floods it where it
lies above. n_a comes from the model's manifest and never from a live count, so that an audit can make it again. Arms
that the manifest does not know have n_a = 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import numpy as np
from msgspec import Meta

from bandit_nba.catalogue import Arm
from bandit_nba.decide.columns import Floats
from bandit_nba.settings import Settings

DEFAULT = "default"
"""The key of the prior for groups that have none of their own; "no action" takes only one written for its own group."""


class Prior(Settings, frozen=True, kw_only=True):
    """What is expected of an untried arm, in the reward's unit, and how many examples that belief is worth."""

    rate: Annotated[float, Meta(ge=-1e6, le=1e6)]
    strength: Annotated[float, Meta(gt=0.0, le=1e9)]


@runtime_checkable
class CountsArms(Protocol):
    """A model that knows how many examples of each arm it has learned."""

    @property
    def arm_examples(self) -> Mapping[str, int]:
        """Examples by arm id."""


@dataclass(frozen=True)
class Shrinkage:
    """expected = weight x model + offset, float64 (K,) each; weight 1 and offset 0 where no prior is declared."""

    weight: Floats
    offset: Floats

    def of(self, scores: Floats) -> Floats:
        """Scores (..., K) drawn towards the prior."""
        shrunk: Floats = scores * self.weight + self.offset
        return shrunk

    def apart(self, names: Sequence[str], contributions: Floats) -> tuple[tuple[str, ...], Floats]:
        """What scores are sums of, (T, K) beside T names, with the prior's part as one more."""
        return (*names, "prior"), np.vstack([contributions * self.weight, self.offset])


def shrinkage(arms: Sequence[Arm], priors: Mapping[str, Prior], model: object) -> Shrinkage | None:
    """What priors make of this model's scores for these arms; None where none is declared."""
    if not priors:
        return None
    known = model.arm_examples if isinstance(model, CountsArms) else {}
    found = [prior_of(arm, priors) for arm in arms]
    n = np.array([known.get(arm.id, 0) for arm in arms], dtype=np.float64)
    strength = np.array([prior.strength if prior else 0.0 for prior in found])
    rate = np.array([prior.rate if prior else 0.0 for prior in found])
    total = np.where(strength > 0.0, n + strength, 1.0)
    return Shrinkage(weight=np.where(strength > 0.0, n / total, 1.0), offset=strength * rate / total)


def prior_of(arm: Arm, priors: Mapping[str, Prior]) -> Prior | None:
    """The prior of an arm's group, or the default one."""
    if arm.action.kind == "none":
        return priors.get(arm.action.group)
    return priors.get(arm.action.group, priors.get(DEFAULT))
