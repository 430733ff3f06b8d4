"""Into the registry: a finished model is packed with its manifest, its checksums and its probes.

What it has to prove before it serves is in `guard`; a learner packs nothing that would not pass there.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.policy import FeatureSettings, Learning
from bandit_nba.errors import ModelError
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.examples import Examples
from bandit_nba.learn.guard import check_bytes, verified
from bandit_nba.learn.manifest import MOST_ARMS, Manifest, Probe, StoredModel
from bandit_nba.learn.parts import joined
from bandit_nba.learn.probes import Predict, probes
from bandit_nba.learn.sparse import SparseWeights
from bandit_nba.learn.typical import Mean


@dataclass(frozen=True)
class Lineage:
    """What must be equal for a model to be gone on from, and the reward's range."""

    features: FeatureSettings
    learning: Learning
    vw_args: tuple[str, ...]
    feature_version: str
    reward_version: str
    reward_range: tuple[float, float]
    members: int = 0


@dataclass(frozen=True)
class Learned:
    """How much a model has learned: examples, and the earliest and latest decided_at among them (0 for none).

    arms: examples by arm id. Ids that come inline are anybody's, so no more of them are counted than `MOST_ARMS`.
    """

    examples: int = 0
    since: float = 0.0
    until: float = 0.0
    arms: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest) -> "Learned":
        """What a model's manifest says."""
        return cls(
            examples=manifest.examples_learned,
            since=manifest.learned_from,
            until=manifest.learned_until,
            arms=manifest.arm_examples,
        )

    def more(self, decided_at: Floats, arms: Sequence[str] = (), *, inline: Sequence[bool] = ()) -> "Learned":
        """With these decisions on top. inline: whether the arm of each came with its request; empty for none."""
        if not len(decided_at):
            return self
        first, last = float(decided_at.min()), float(decided_at.max())
        since = min(self.since, first) if self.examples else first
        return Learned(
            examples=self.examples + len(decided_at),
            since=since,
            until=max(self.until, last),
            arms=self._counted(arms, inline or [False] * len(arms)),
        )

    def _counted(self, arms: Sequence[str], inline: Sequence[bool]) -> dict[str, int]:
        counts = dict(self.arms)
        if not any(inline):
            for arm, n in Counter(arms).items():
                counts[arm] = counts.get(arm, 0) + n
            return counts
        for arm, from_request in zip(arms, inline, strict=True):
            if arm in counts or not from_request or len(counts) < MOST_ARMS:
                counts[arm] = counts.get(arm, 0) + 1
        return counts


def package(
    model: bytes,
    weights: SparseWeights,
    *,
    lineage: Lineage,
    parent: str,
    learned: Learned,
    recent: Examples,
    earlier: Sequence[Probe] = (),
    predict: Predict | None = None,
    means: Sequence[Mean] = (),
    members: Sequence[SparseWeights] = (),
    created_at: float,
) -> StoredModel:
    """A model with its manifest, ready to be published.

    recent: examples it learned from, for its probes; earlier: the probes of the model before. predict: Vowpal Wabbit's
    own predictions, which the probes are held to; None where VW is not at hand. means: of context terms, for
    explanations. members: weights of the ensemble's members, where there are any.

    Raises
    ------
    ModelError
        If it fails what a replica will check.
    """
    sparse = joined([one.to_bytes() for one in (weights, *members)])
    scorer = CompiledScorer(weights, lineage.features, lineage.learning, version="", examples_learned=learned.examples)
    manifest = Manifest(
        parent=parent,
        vw_args=lineage.vw_args,
        bits=weights.bits,
        members=len(members),
        features=lineage.features,
        learning=lineage.learning,
        examples_learned=learned.examples,
        feature_version=lineage.feature_version,
        reward_version=lineage.reward_version,
        learned_from=learned.since,
        learned_until=learned.until,
        created_at=created_at,
        arm_examples=learned.arms,
        means=tuple(means),
        model_sha256=hashlib.sha256(model).hexdigest(),
        model_length=len(model),
        sparse_sha256=hashlib.sha256(sparse).hexdigest(),
        sparse_length=len(sparse),
        weights_sha256=weights.sha256(),
        reward_range=lineage.reward_range,
        probes=probes(recent, earlier, predict or scorer.score),
    ).named()
    stored = StoredModel(manifest=manifest, model=model, sparse=sparse)
    verified(stored)
    return stored


def unfit(stored: StoredModel, lineage: Lineage) -> str:
    """Why a learner cannot go on from this model, in words; "" if it can."""
    manifest = stored.manifest
    if manifest.feature_version != lineage.feature_version or manifest.features != lineage.features:
        return "features changed"
    if manifest.reward_version != lineage.reward_version:
        return "rewards changed"
    if manifest.vw_args != lineage.vw_args:
        return "VW options changed"
    if manifest.members != lineage.members:
        return "the ensemble's size changed"
    if stored.quarantined:
        return "it is quarantined"
    if stored.model is None:
        return "its bytes were pruned"
    try:
        check_bytes("VW's bytes", stored.model, manifest.model_length, manifest.model_sha256)
    except ModelError as error:
        return str(error)
    return ""
