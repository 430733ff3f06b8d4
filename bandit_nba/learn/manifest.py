"""What is known of a published model; stored beside its bytes and checked before it serves."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from bandit_nba.decide.policy import FeatureSettings, Learning
from bandit_nba.learn.typical import Mean
from bandit_nba.settings import version_of

MOST_ARMS = 5_000
"""Arms whose examples a manifest counts: ids that come inline are anybody's."""


class Term(msgspec.Struct, frozen=True, array_like=True):
    """One feature of a probe: the letter of its namespace, VW's hash of it before masking, and its value."""

    namespace: str
    hash: int
    value: float


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that the model learned from, and what Vowpal Wabbit expected of it at publication."""

    context: tuple[Term, ...]
    arm: tuple[Term, ...]
    expected_reward: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Identity, origin and checksums of one model.

    parent: the model it went on from; "" for the first of a lineage, which starts anew whenever features, rewards or
    VW options or the ensemble's size change. members: of its ensemble, whose bytes and weights are joined with the
    model's own. features, learning: the settings behind feature_version and vw_args. model_sha256, model_length: of the
    VW bytes. sparse_sha256, sparse_length: of the sparse weights that replicas load. weights_sha256: over all
    2^bits float32 weights, the model's identity (VW bytes differ between equal models). learned_from, learned_until:
    the earliest and latest decided_at among learned decisions, parents' included, seconds since the epoch (0 for none);
    a policy with this model is judged only on later decisions. arm_examples: examples learned by arm id, for priors; of
    ids that came inline no more than fit. means: the average of each context term, for explanations. reward_range: of
    the reward definition. probes: tried before the model serves.
    """

    version: str = ""
    parent: str
    vw_args: tuple[str, ...]
    bits: int
    members: int = 0
    features: FeatureSettings
    learning: Learning
    examples_learned: int
    feature_version: str
    reward_version: str
    learned_from: float
    learned_until: float
    created_at: float
    arm_examples: Mapping[str, int] = {}
    means: tuple[Mean, ...] = ()
    model_sha256: str
    model_length: int
    sparse_sha256: str
    sparse_length: int
    weights_sha256: str
    reward_range: tuple[float, float]
    probes: tuple[Probe, ...]

    def named(self) -> "Manifest":
        """The same manifest with the version that its content gives it."""
        return msgspec.structs.replace(self, version=version_of(msgspec.structs.replace(self, version="")))


@dataclass(frozen=True)
class StoredModel:
    """A model as the store keeps it: VW's bytes (None once pruned) for the learner, sparse weights for replicas.

    quarantined: it never serves again, and no model goes on from it.
    """

    manifest: Manifest
    model: bytes | None
    sparse: bytes
    quarantined: bool = False
