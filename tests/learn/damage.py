"""A sound model, and ways to break it: in storage, or by a learner that signs what it broke."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import msgspec
import numpy as np

from bandit_nba.decide.columns import Coded, Facts, Floats
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.errors import ModelError
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.manifest import Manifest, StoredModel
from bandit_nba.learn.registry import Lineage
from bandit_nba.learn.sparse import SparseWeights
from tests.learn import tiny_world as world

FLIPS = 1_000


def changed(stored: StoredModel, **fields: object) -> StoredModel:
    """The model with another manifest that is consistent in itself, as a broken learner would write it."""
    return replace(stored, manifest=msgspec.structs.replace(stored.manifest, **fields).named())


def with_weights(stored: StoredModel, weights: SparseWeights) -> StoredModel:
    """The model with other weights, and a manifest whose checksums fit them; the probes are as they were."""
    return signed(stored, weights.to_bytes(), weights_sha256=weights.sha256())


def signed(stored: StoredModel, sparse: bytes, *, weights_sha256: str = "") -> StoredModel:
    """The model with these sparse weights, whose length and checksums the manifest confirms."""
    body = sparse[:-32]
    content = body + hashlib.sha256(body).digest() if len(sparse) > 32 else sparse
    if not weights_sha256:
        weights_sha256 = "0" * 64
        with suppress(ModelError):
            weights_sha256 = SparseWeights.from_bytes(content).sha256()
    fields = {"sparse_sha256": hashlib.sha256(content).hexdigest(), "sparse_length": len(content)}
    return replace(changed(stored, **fields, weights_sha256=weights_sha256), sparse=content)


def cuts(content: bytes) -> Iterator[bytes]:
    """Cut at every percent."""
    yield from (content[: len(content) * percent // 100] for percent in range(100))


def flips(content: bytes, *, seed: int, size: int = FLIPS) -> Iterator[bytes]:
    """One random bit turned, `size` times."""
    for bit in np.random.default_rng(seed).integers(0, 8 * len(content), size).tolist():
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)


def everything_expected(scorer: CompiledScorer) -> Floats:
    """What a model expects of every customer and arm that there can be in the tiny world: 21 contexts, 4 arms."""
    featuriser = Featuriser(world.POLICY.features, world.CATALOGUE.facts)
    rows = [{"segment": segment, "age": 30.0 + age} for segment in world.SEGMENTS for age in range(7)]
    channels = Coded(codes=np.zeros(len(rows), dtype=np.int64), values=("web",))
    contexts = featuriser.contexts(Facts.from_rows(rows, world.CATALOGUE.facts), channels)
    return scorer.score(contexts, featuriser.arms(world.CATALOGUE.arms))


def lineage_of(manifest: Manifest) -> Lineage:
    return Lineage(
        features=manifest.features,
        learning=manifest.learning,
        vw_args=manifest.vw_args,
        feature_version=manifest.feature_version,
        reward_version=manifest.reward_version,
        reward_range=manifest.reward_range,
        members=manifest.members,
    )
