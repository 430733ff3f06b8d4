"""The static guard: what a model has to prove before it serves; whatever refuses it, the model before goes on.

Damage
    Sparse weights and manifest are those that were published (length, SHA-256), every weight is finite, the VW
    arguments are what the manifest's settings give (an allow-list, see `options`), examples counted by arm add up.
    Damage in storage ends here.
Probes
    The compiled scorer expects of a few decisions what Vowpal Wabbit did at publication (within 1e-5 of the sum of the
    terms' sizes: single precision), all within `REACH` widths of the reward's range. A model that was broken before its
    checksums were taken, by a faulty learner or by faulty memory, ends here.
Fit, with `Demands`
    The model was learned on the features that it will be given, and sums the terms that the policy says.
Exploration, with `Demands`
    In the probes' contexts, over the catalogue's arms, each arm keeps floor / K, and the effective number of arms,
    exp(mean entropy), is at least what the same exploration leaves where all other arms trail the best by `WIDEST`
    whole reward ranges: a model whose scores drive arms further apart than any reward can be has lost its measure, and
    would starve them of data. The members of an ensemble are not all alike.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.decide.choice.explore import probabilities
from bandit_nba.decide.columns import Floats
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.policy import Exploration, Policy
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import ModelError, NbaError
from bandit_nba.learn.compile import CompiledEnsemble, CompiledScorer, compiled
from bandit_nba.learn.linear_form import LinearForm
from bandit_nba.learn.manifest import MOST_ARMS, Manifest, StoredModel
from bandit_nba.learn.options import linear_form, vw_arguments
from bandit_nba.learn.parts import taken_apart
from bandit_nba.learn.probes import arms_of, contexts_of
from bandit_nba.learn.sparse import SparseWeights

REACH = 10.0
"""A probe may lie outside the reward's range by so many of its widths: linear models overshoot, broken ones leave."""
WIDEST = 2.0
"""No sound model sets all other arms further behind the best than so many whole reward ranges, on average."""
ALIKE_AFTER = 100
"""Examples after which two members of an ensemble with random weights cannot be alike by chance (below 1e-50)."""
_TOLERANCE = 1e-5  # of the sum of the terms' sizes; VW's single precision was measured at 9e-7


@dataclass(frozen=True)
class Demands:
    """What a policy over a catalogue demands of the model that serves it. arms: the catalogue's, namespace A."""

    feature_version: str
    form: LinearForm
    exploration: Exploration
    arms: FeatureRows

    @classmethod
    def of(cls, policy: Policy, catalogue: Catalogue) -> "Demands":
        """Raises `SettingsError` where they do not fit together."""
        featuriser = Featuriser(policy.features, catalogue.facts)
        return cls(
            feature_version=featuriser.version,
            form=linear_form(policy.features, policy.learning),
            exploration=policy.exploration,
            arms=featuriser.arms(catalogue.arms),
        )


def verified(stored: StoredModel, *, demands: Demands | None = None) -> CompiledScorer:
    """The model as a scorer, once everything at the head of this module holds.

    demands: None where the model is not to serve but to tell again what it once told: then only damage and probes.

    Raises
    ------
    ModelError
        With the model's version and what failed.
    """
    manifest = stored.manifest
    try:
        scorer = _undamaged(stored)
        if demands is not None:
            _check_fit(manifest, demands)
            _check_exploration(scorer, manifest, demands)
    except NbaError as error:
        raise ModelError(
            error.what,
            where=f"model {manifest.version}",
            got=error.got,
            allowed=error.allowed,
            hint=error.hint,
        ) from None
    return scorer


def check_bytes(what: str, content: bytes, length: int, sha256: str) -> None:
    """Raises `ModelError` where the bytes are not those that were stored."""
    if len(content) != length:
        raise ModelError(f"{what} are cut or too long", got=len(content), allowed=f"{length} bytes")
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"{what} are damaged: SHA-256 differs")


def _undamaged(stored: StoredModel) -> CompiledScorer:
    manifest = stored.manifest
    _check_manifest(manifest)
    check_bytes("sparse weights", stored.sparse, manifest.sparse_length, manifest.sparse_sha256)
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
    if manifest.probes:
        _check_probes(scorer, weights, manifest)
    return scorer


def _check_manifest(manifest: Manifest) -> None:
    if manifest.named() != manifest:
        raise ModelError("manifest was changed after it was written")
    if manifest.bits != manifest.features.bits:
        raise ModelError("has another width than its features", got=manifest.bits, allowed=str(manifest.features.bits))
    if manifest.vw_args != vw_arguments(manifest.features, manifest.learning):
        raise ModelError("VW arguments are not those of its settings", got=" ".join(manifest.vw_args))
    low, high = manifest.reward_range
    if not (np.isfinite([low, high]).all() and low < high):
        raise ModelError("has no range of rewards", got=manifest.reward_range)
    counted = sum(manifest.arm_examples.values())
    all_counted = 0 < len(manifest.arm_examples) < MOST_ARMS
    if counted > manifest.examples_learned or (all_counted and counted < manifest.examples_learned):
        raise ModelError("examples by arm do not add up", got=counted, allowed=f"{manifest.examples_learned} in all")


def _check_probes(scorer: CompiledScorer, weights: SparseWeights, manifest: Manifest) -> None:
    low, high = manifest.reward_range
    reach = REACH * (high - low)
    contexts, arms = contexts_of(manifest.probes), arms_of(manifest.probes)
    expected = np.array([probe.expected_reward for probe in manifest.probes])
    actual = scorer.score(contexts, arms).diagonal()
    if not ((actual >= low - reach) & (actual <= high + reach)).all():  # False for NaN as well
        raise ModelError(
            "expects rewards out of reach",
            got=actual.tolist(),
            allowed=f"within {REACH:g} widths of [{low:g}, {high:g}]",
        )
    if isinstance(scorer, CompiledEnsemble):
        found = np.array([member.diagonal() for member in scorer.score_members(contexts, arms)])
        if not ((found >= low - reach) & (found <= high + reach)).all():
            raise ModelError("has a member of its ensemble that expects rewards out of reach", got=found.tolist())
    off = np.abs(actual - expected)
    if not (off <= _TOLERANCE * _sizes(weights, manifest, contexts, arms) + 1e-9 * (high - low)).all():
        worst = int(np.nanargmax(np.where(np.isfinite(expected), off, np.inf)))
        raise ModelError(
            "expects other rewards than when it was published",
            got=f"{actual[worst]:.6g} for probe {worst + 1} of {len(expected)}",
            allowed=f"{expected[worst]:.6g}, as VW expected",
        )


def _sizes(weights: SparseWeights, manifest: Manifest, contexts: FeatureRows, arms: FeatureRows) -> Floats:
    """The sum of the sizes of a score's terms, for each probe: what its rounding is measured by."""
    sized = SparseWeights(bits=weights.bits, indices=weights.indices, values=-np.abs(weights.values))
    scorer = CompiledScorer(sized, manifest.features, manifest.learning, version="", examples_learned=0)
    return scorer.score(_positive(contexts), _positive(arms)).diagonal()


def _positive(rows: FeatureRows) -> FeatureRows:
    return FeatureRows(
        indptr=rows.indptr,
        terms=rows.terms,
        values=np.abs(rows.values),
        hashes=rows.hashes,
        namespaces=rows.namespaces,
        names=rows.names,
    )


def _check_fit(manifest: Manifest, demands: Demands) -> None:
    if manifest.feature_version != demands.feature_version:
        raise ModelError(
            "was learned on other features",
            got=manifest.feature_version,
            allowed=demands.feature_version,
            hint="the learner makes a model for the new features from the log",
        )
    if linear_form(manifest.features, manifest.learning) != demands.form:
        raise ModelError(
            "VW arguments sum other terms than the policy's",
            got=" ".join(manifest.vw_args),
            allowed=str(demands.form),
            hint="the learner makes a model for the new options from the log",
        )


def _check_exploration(scorer: CompiledScorer, manifest: Manifest, demands: Demands) -> None:
    if not manifest.probes or len(demands.arms) < 2:
        return
    contexts, size = contexts_of(manifest.probes), len(demands.arms)
    scores = scorer.score(contexts, demands.arms)
    members = scorer.score_members(contexts, demands.arms) if isinstance(scorer, CompiledEnsemble) else None
    if not np.isfinite(scores).all() or (members is not None and not np.isfinite(members).all()):
        raise ModelError("gives expected rewards that are not finite")
    if members is not None:
        _check_members_differ(members, scores, manifest, demands)
    found = _explored(scores, manifest, demands, members)
    least = demands.exploration.floor / size
    if found.min() < least * (1.0 - 1e-9):
        raise ModelError("leaves an arm less than the floor", got=float(found.min()), allowed=f"at least {least:.6g}")
    low, high = manifest.reward_range
    trailing = np.full((1, size), -WIDEST * (high - low))
    trailing[0, 0] = 0.0
    bound = _effective_arms(_explored(trailing, manifest, demands, None))
    effective = _effective_arms(found)
    if effective < bound * (1.0 - 1e-9):
        raise ModelError(
            "its exploration has collapsed",
            got=f"{effective:.6f} effective arms of {size}, mean of {len(found)} probes",
            allowed=f"at least {bound:.6f}, which are left where all others trail by {WIDEST:g} whole reward ranges",
            hint=f"its expected rewards lie up to {np.ptp(scores, axis=1).max() / (high - low):.3g} ranges apart",
        )


def _check_members_differ(members: Floats, scores: Floats, manifest: Manifest, demands: Demands) -> None:
    """Members that are all alike agree everywhere, and Thompson sampling by them explores nothing."""
    if demands.exploration.kind != "thompson" or manifest.examples_learned < ALIKE_AFTER:
        return
    if len(members) > 1 and np.equal(members, members[0]).all() and scores.any():
        raise ModelError(
            "its exploration has collapsed: the members of its ensemble are all alike",
            got=f"{len(members)} equal members after {manifest.examples_learned:,} examples",
            allowed="members that learned with weights of their own",
        )


def _explored(scores: Floats, manifest: Manifest, demands: Demands, members: Floats | None) -> Floats:
    """What the policy's exploration makes of expected rewards alone, gaps in whole reward ranges."""
    low, high = manifest.reward_range
    return probabilities(
        scores,
        np.ones(scores.shape, dtype=np.bool_),
        demands.exploration,
        n=manifest.examples_learned,
        priority_range=high - low,
        members=members,
    )


def _effective_arms(probability: Floats) -> float:
    """exp of the rows' mean entropy: K where all arms are alike, 1 where one has all."""
    logs = np.log(probability, where=probability > 0.0, out=np.zeros_like(probability))
    return float(np.exp(-(probability * logs).sum(axis=1).mean()))
