"""A model proves itself before it serves: whatever is damaged, whenever it was, is refused with what failed."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bandit_nba.errors import ModelError
from bandit_nba.learn.manifest import Manifest, StoredModel
from bandit_nba.learn.registry import REACH, Learned, Lineage, unfit, verified
from bandit_nba.learn.sparse import SparseWeights
from bandit_nba.store import models
from tests.learn import tiny_world as world
from tests.learn.tiny_world import Clock


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredModel]:
    """A model that learned 600 decisions."""
    with world.opened(tmp_path_factory.mktemp("registry")) as database:
        world.play(database, 600, seed=1)
        world.learner(database, Clock(10_000.0), batch=1_000).step()
        newest = world.newest(database)
        assert newest is not None
        yield newest


def changed(stored: StoredModel, **fields: object) -> StoredModel:
    """The model with another manifest that is consistent in itself, as a broken learner would write it."""
    manifest = msgspec.structs.replace(stored.manifest, **fields).named()
    return StoredModel(manifest=manifest, model=stored.model, sparse=stored.sparse)


def with_weights(stored: StoredModel, weights: SparseWeights) -> StoredModel:
    """The model with other weights, and a manifest whose checksums fit them; the probes are as they were."""
    sparse = weights.to_bytes()
    manifest = msgspec.structs.replace(
        stored.manifest,
        sparse_sha256=hashlib.sha256(sparse).hexdigest(),
        sparse_length=len(sparse),
        weights_sha256=weights.sha256(),
    ).named()
    return StoredModel(manifest=manifest, model=stored.model, sparse=sparse)


def test_a_sound_model_serves_under_its_own_version_and_count(stored: StoredModel) -> None:
    scorer = verified(stored, feature_version=stored.manifest.feature_version)

    assert (scorer.version, scorer.examples_learned) == (stored.manifest.version, 600)


def test_probes_cover_what_was_learned(stored: StoredModel) -> None:
    expected = [probe.expected_reward for probe in stored.manifest.probes]

    assert len(expected) == 8
    assert len(set(expected)) > 3  # several arms and segments
    assert all(-0.5 < value < 1.5 for value in expected)


def test_sparse_weights_cut_anywhere_are_refused(stored: StoredModel) -> None:
    length = len(stored.sparse)
    for cut in sorted({length * percent // 100 for percent in range(100)} | {length - 1}):
        with pytest.raises(ModelError, match="cut or too long"):
            verified(StoredModel(manifest=stored.manifest, model=None, sparse=stored.sparse[:cut]))


def test_any_flipped_bit_of_the_sparse_weights_is_refused(stored: StoredModel) -> None:
    for bit in range(0, 8 * len(stored.sparse), 7):
        damaged = bytearray(stored.sparse)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ModelError, match="SHA-256 differs"):
            verified(StoredModel(manifest=stored.manifest, model=None, sparse=bytes(damaged)))


def test_any_flipped_bit_of_vws_bytes_keeps_the_learner_from_going_on_with_them(stored: StoredModel) -> None:
    """VW itself loads most damaged files without complaint."""
    lineage = lineage_of(stored.manifest)
    assert unfit(stored, lineage) == ""
    assert stored.model is not None
    for bit in range(0, 8 * len(stored.model), 11):
        damaged = bytearray(stored.model)
        damaged[bit // 8] ^= 1 << bit % 8
        broken = StoredModel(manifest=stored.manifest, model=bytes(damaged), sparse=stored.sparse)

        assert "SHA-256 differs" in unfit(broken, lineage)


def test_weights_that_were_damaged_before_their_checksum_fail_the_probes(stored: StoredModel) -> None:
    """Each weight that a probe uses, times two to the sixteenth, as one flipped bit of its exponent makes it."""
    weights = SparseWeights.from_bytes(stored.sparse)
    refusals = []
    for slot in range(len(weights.values)):
        values = weights.values.copy()
        values[slot] *= 65_536.0
        damaged = with_weights(stored, SparseWeights(bits=weights.bits, indices=weights.indices, values=values))
        with suppress(ModelError):
            verified(damaged)
            continue
        refusals.append(slot)

    assert len(refusals) >= 0.7 * len(weights.values)  # a few weights are used by none of the eight probes


def test_a_broken_learner_that_takes_its_probes_from_broken_weights_is_found_by_their_reach(
    stored: StoredModel,
) -> None:
    weights = SparseWeights.from_bytes(stored.sparse)
    broken = SparseWeights(bits=weights.bits, indices=weights.indices, values=weights.values * np.float32(1_000.0))
    model = with_weights(stored, broken)
    probes = tuple(
        msgspec.structs.replace(probe, expected_reward=1_000.0 * probe.expected_reward)
        for probe in stored.manifest.probes
    )

    with pytest.raises(ModelError, match=f"out of reach.*within {REACH:g} widths"):
        verified(changed(model, probes=probes))


def test_weights_that_are_not_finite_are_refused_with_a_fitting_checksum(stored: StoredModel) -> None:
    sparse = bytearray(stored.sparse[:-32])
    sparse[-4:] = np.float32(np.inf).tobytes()
    content = bytes(sparse) + hashlib.sha256(sparse).digest()
    fields = {"sparse_sha256": hashlib.sha256(content).hexdigest(), "sparse_length": len(content)}
    manifest = changed(stored, **fields).manifest

    with pytest.raises(ModelError, match="not finite"):
        verified(StoredModel(manifest=manifest, model=None, sparse=content))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vw_args": ("--cb_adf", "--cb_type", "dr")}, "VW arguments"),
        ({"bits": 15}, "width"),
        ({"weights_sha256": "0" * 64}, "weights are not those"),
    ],
)
def test_a_manifest_that_does_not_fit_the_model_is_refused(
    stored: StoredModel, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as refused:
        verified(changed(stored, **fields))

    assert refused.value.where.startswith("model ")


def test_a_manifest_that_was_changed_afterwards_is_refused(stored: StoredModel) -> None:
    manifest = msgspec.structs.replace(stored.manifest, examples_learned=10**9)

    with pytest.raises(ModelError, match="changed after it was written"):
        verified(StoredModel(manifest=manifest, model=None, sparse=stored.sparse))


def test_a_model_of_other_features_is_refused_with_a_hint(stored: StoredModel) -> None:
    with pytest.raises(ModelError, match=r"learned on other features.*Hint: the learner"):
        verified(stored, feature_version="another")


def test_how_much_was_learned_adds_up() -> None:
    learned = Learned().more(np.array([5.0, 3.0])).more(np.array([])).more(np.array([4.0, 9.0, 6.0]))

    assert learned == Learned(examples=5, since=3.0, until=9.0)


def lineage_of(manifest: Manifest) -> Lineage:
    return Lineage(
        features=manifest.features,
        learning=manifest.learning,
        vw_args=manifest.vw_args,
        feature_version=manifest.feature_version,
        reward_version=manifest.reward_version,
        reward_range=manifest.reward_range,
    )


def test_a_model_is_sound_as_read_back_from_the_store(tmp_path: Path) -> None:
    with world.opened(tmp_path) as database:
        world.play(database, 50, seed=1)
        report = world.learner(database, Clock(10_000.0)).step()
        assert report.published is not None

        assert models.load_scorer(database, report.published).version == report.published
