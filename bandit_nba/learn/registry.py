"""Into the registry and out of it: a model is packed with its manifest, and proves itself before it may serve.

What must hold before a model serves: sparse weights and manifest are those that were published (lengths, SHA-256), the
VW arguments are what its settings give and all allowed, every weight is finite, and a few decisions that it learned
from are expected to earn what the manifest says, within reach of the reward's range. Damage in storage fails the
checksums; a model that was broken before its checksums were taken fails the probes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bandit_nba.decide.batch import Floats
from bandit_nba.decide.policy import FeatureSettings, Learning
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import ModelError, NbaError
from bandit_nba.learn.compile import CompiledEnsemble, CompiledScorer, compiled
from bandit_nba.learn.examples import Examples
from bandit_nba.learn.manifest import Manifest, Probe, StoredModel, Term
from bandit_nba.learn.options import vw_arguments
from bandit_nba.learn.parts import joined, taken_apart
from bandit_nba.learn.sparse import SparseWeights
from bandit_nba.learn.typical import Mean

PROBES = 8
MOST_ARMS = 5_000
REACH = 10.0
"""A probe may lie outside the reward's range by so many of its widths: linear models overshoot, broken ones leave."""
_TOLERANCE = 1e-6


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
    means: Sequence[Mean] = (),
    members: Sequence[SparseWeights] = (),
    created_at: float,
) -> StoredModel:
    """A model with its manifest, ready to be published. `recent`: examples it learned from, for its probes.
    `means`: of context terms, for explanations. `members`: weights of the ensemble's members, where there are any.

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
        probes=_probes(scorer, recent),
    ).named()
    stored = StoredModel(manifest=manifest, model=model, sparse=sparse)
    verified(stored)
    return stored


def verified(stored: StoredModel, *, feature_version: str = "") -> CompiledScorer:
    """The model as a scorer, once everything at the head of this module holds.

    feature_version: that of the features it will be given; "" where the caller knows that they fit.

    Raises
    ------
    ModelError
        With the model's version and what failed.
    """
    manifest = stored.manifest
    try:
        _check_manifest(manifest, feature_version)
        _check_bytes("sparse weights", stored.sparse, manifest.sparse_length, manifest.sparse_sha256)
        weights, *members = map(SparseWeights.from_bytes, taken_apart(stored.sparse, manifest.members + 1))
        if weights.sha256() != manifest.weights_sha256:
            raise ModelError("weights are not those of the manifest")
        scorer = compiled(
            weights,
            members,
            manifest.features,
            manifest.learning,
            version=manifest.version,
            examples_learned=manifest.examples_learned,
            arm_examples=manifest.arm_examples,
            means=manifest.means,
        )
        _check_probes(scorer, manifest)
    except NbaError as error:
        raise ModelError(
            error.what,
            where=f"model {manifest.version}",
            got=error.got,
            allowed=error.allowed,
            hint=error.hint,
        ) from None
    return scorer


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
    if stored.model is None:
        return "its bytes were pruned"
    try:
        _check_bytes("VW's bytes", stored.model, manifest.model_length, manifest.model_sha256)
    except ModelError as error:
        return str(error)
    return ""


def _check_manifest(manifest: Manifest, feature_version: str) -> None:
    if manifest.named() != manifest:
        raise ModelError("manifest was changed after it was written")
    if manifest.bits != manifest.features.bits:
        raise ModelError("has another width than its features", got=manifest.bits, allowed=str(manifest.features.bits))
    if manifest.vw_args != vw_arguments(manifest.features, manifest.learning):
        raise ModelError("VW arguments are not those of its settings", got=" ".join(manifest.vw_args))
    if feature_version and manifest.feature_version != feature_version:
        raise ModelError(
            "was learned on other features",
            got=manifest.feature_version,
            allowed=feature_version,
            hint="the learner makes a model for the new features from the log",
        )


def _check_bytes(what: str, content: bytes, length: int, sha256: str) -> None:
    """Raises `ModelError` where the bytes are not those that were stored."""
    if len(content) != length:
        raise ModelError(f"{what} are cut or too long", got=len(content), allowed=f"{length} bytes")
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"{what} are damaged: SHA-256 differs")


def _check_probes(scorer: CompiledScorer, manifest: Manifest) -> None:
    low, high = manifest.reward_range
    width = high - low
    actual = _scores(scorer, manifest.probes)
    if isinstance(scorer, CompiledEnsemble):
        _check_members(scorer, manifest)
    expected = np.array([probe.expected_reward for probe in manifest.probes])
    if not np.isfinite(actual).all() or (actual < low - REACH * width).any() or (actual > high + REACH * width).any():
        raise ModelError(
            "expects rewards out of reach",
            got=actual.tolist(),
            allowed=f"within {REACH:g} widths of [{low:g}, {high:g}]",
        )
    if (np.abs(actual - expected) > _TOLERANCE * (width + np.abs(expected))).any():
        raise ModelError("expects other rewards than when it was published", got=actual.tolist(), allowed=str(expected))


def _check_members(scorer: CompiledEnsemble, manifest: Manifest) -> None:
    low, high = manifest.reward_range
    reach = REACH * (high - low)
    contexts, arms = _rows([p.context for p in manifest.probes]), _rows([p.arm for p in manifest.probes])
    found = np.array([member.diagonal() for member in scorer.score_members(contexts, arms)])
    if not ((found >= low - reach) & (found <= high + reach)).all():  # False for NaN as well
        raise ModelError("has a member of its ensemble that expects rewards out of reach", got=found.tolist())


def _scores(scorer: CompiledScorer, probes: Sequence[Probe]) -> Floats:
    contexts, arms = _rows([probe.context for probe in probes]), _rows([probe.arm for probe in probes])
    return scorer.score(contexts, arms).diagonal()


def _probes(scorer: CompiledScorer, recent: Examples) -> tuple[Probe, ...]:
    """A few of the examples, spread evenly, with what the model expects of them."""
    picks = np.unique(np.linspace(0, len(recent) - 1, PROBES).astype(np.int64)).tolist()
    blank = [
        Probe(context=_terms(recent.contexts, i), arm=_terms(recent.arms, int(recent.chosen[i])), expected_reward=0.0)
        for i in picks
    ]
    expected = _scores(scorer, blank).tolist()
    return tuple(
        Probe(context=probe.context, arm=probe.arm, expected_reward=value)
        for probe, value in zip(blank, expected, strict=True)
    )


def _terms(rows: FeatureRows, i: int) -> tuple[Term, ...]:
    part = slice(int(rows.indptr[i]), int(rows.indptr[i + 1]))
    return tuple(
        Term(namespace=rows.namespaces[term], hash=int(rows.hashes[term]), value=value)
        for term, value in zip(rows.terms[part].tolist(), rows.values[part].tolist(), strict=True)
    )


def _rows(rows: Sequence[Sequence[Term]]) -> FeatureRows:
    """Feature rows again, each term with a place of its own in the vocabulary."""
    terms = [term for row in rows for term in row]
    indptr = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=indptr[1:])
    return FeatureRows(
        indptr=indptr,
        terms=np.arange(len(terms), dtype=np.int64),
        values=np.array([term.value for term in terms], dtype=np.float64),
        hashes=np.array([term.hash for term in terms], dtype=np.uint32),
        namespaces="".join(term.namespace for term in terms),
        names=("",) * len(terms),
    )
