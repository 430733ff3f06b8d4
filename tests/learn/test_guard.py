"""The static guard: whatever is damaged, whenever it was, is refused with what failed, and VW never sees it."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from bandit_nba.decide.policy import Exploration, FeatureSettings, Learning
from bandit_nba.errors import ModelError
from bandit_nba.learn import vowpal
from bandit_nba.learn.guard import REACH, Demands, verified
from bandit_nba.learn.manifest import StoredModel
from bandit_nba.learn.parts import joined, taken_apart
from bandit_nba.learn.registry import unfit
from bandit_nba.learn.sparse import SparseWeights
from bandit_nba.store.database import Database
from tests.learn import tiny_world as world
from tests.learn.damage import changed, cuts, everything_expected, flips, lineage_of, signed, with_weights
from tests.learn.tiny_world import Clock

SQUARECB = Exploration(kind="squarecb", floor=0.04)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """600 decisions of the tiny world, learned."""
    with world.opened(tmp_path_factory.mktemp("guard")) as database:
        world.play(database, 600, seed=1)
        world.learner(database, Clock(10_000.0), batch=1_000).step()
        yield database


@pytest.fixture(scope="module")
def stored(database: Database) -> StoredModel:
    newest = world.newest(database)
    assert newest is not None
    return newest


@pytest.fixture
def no_vw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vowpal Wabbit is out of reach."""

    def reached(*_args: object, **_options: object) -> None:
        pytest.fail("damaged bytes have reached Vowpal Wabbit")

    monkeypatch.setattr(vowpal, "_Trusting", reached)


def demands(exploration: Exploration = SQUARECB, **fields: object) -> Demands:
    policy = msgspec.structs.replace(world.POLICY, exploration=exploration)
    return replace(Demands.of(policy, world.CATALOGUE), **fields)


class TestDamageInStorage:
    """Length and SHA-256 find all of it."""

    @pytest.mark.usefixtures("no_vw")
    def test_a_sound_model_serves_under_its_own_version_and_count(self, stored: StoredModel) -> None:
        scorer = verified(stored, demands=demands())

        assert (scorer.version, scorer.examples_learned) == (stored.manifest.version, 600)

    @pytest.mark.usefixtures("no_vw")
    def test_sparse_weights_cut_or_with_a_flipped_bit(self, stored: StoredModel) -> None:
        for damaged in cuts(stored.sparse):
            with pytest.raises(ModelError, match="cut or too long"):
                verified(replace(stored, sparse=damaged))
        for damaged in flips(stored.sparse, seed=1):
            with pytest.raises(ModelError, match="SHA-256 differs"):
                verified(replace(stored, sparse=damaged))

    @pytest.mark.usefixtures("no_vw")
    def test_vws_bytes_cut_or_with_a_flipped_bit(self, stored: StoredModel) -> None:
        """VW itself would load most of them without complaint."""
        lineage = lineage_of(stored.manifest)
        assert stored.model is not None
        assert unfit(stored, lineage) == ""
        for damaged in cuts(stored.model):
            assert "cut or too long" in unfit(replace(stored, model=damaged), lineage)
        for damaged in flips(stored.model, seed=2):
            assert "SHA-256 differs" in unfit(replace(stored, model=damaged), lineage)

    def test_a_manifest_that_was_changed_afterwards(self, stored: StoredModel) -> None:
        manifest = msgspec.structs.replace(stored.manifest, examples_learned=10**9)

        with pytest.raises(ModelError, match="changed after it was written"):
            verified(replace(stored, manifest=manifest))


class TestDamageThatWasSigned:
    """A broken learner writes checksums that fit what it broke: finiteness and probes are left."""

    def test_cut_sparse_weights(self, stored: StoredModel) -> None:
        for damaged in cuts(stored.sparse):
            with pytest.raises(ModelError):
                verified(signed(stored, damaged))

    def test_no_flipped_bit_of_sparse_weights_changes_any_prediction(self, stored: StoredModel) -> None:
        """Every bit that changes what is expected of anybody by more than 1e-4 is found; the rest is rounding."""
        sound, passed = everything_expected(verified(stored)), 0
        for damaged in flips(stored.sparse, seed=3):
            with suppress(ModelError):
                found = everything_expected(verified(signed(stored, damaged)))
                passed += 1
                assert np.abs(found - sound).max() < 1e-4

        assert passed < 500  # low bits of weights are rounding, and the file's own checksum is signed anew

    def test_weights_that_are_not_finite(self, stored: StoredModel) -> None:
        for value in (np.inf, -np.inf, np.nan):
            sparse = bytearray(stored.sparse)
            sparse[-36:-32] = np.float32(value).tobytes()
            with pytest.raises(ModelError, match="not finite"):
                verified(signed(stored, bytes(sparse)))

    def test_any_weight_times_two_to_the_sixteenth(self, stored: StoredModel) -> None:
        """As one flipped bit of the exponent makes it; the probes use every weight there is."""
        weights = SparseWeights.from_bytes(stored.sparse)
        for slot in range(len(weights.values)):
            values = weights.values.copy()
            values[slot] *= 65_536.0
            damaged = SparseWeights(bits=weights.bits, indices=weights.indices, values=values)
            with pytest.raises(ModelError, match=r"expects other rewards|out of reach"):
                verified(with_weights(stored, damaged))

    def test_a_learner_whose_probes_are_as_broken_as_its_weights_is_found_by_their_reach(
        self, stored: StoredModel
    ) -> None:
        weights = SparseWeights.from_bytes(stored.sparse)
        broken = SparseWeights(bits=weights.bits, indices=weights.indices, values=weights.values * np.float32(1_000.0))
        probes = tuple(
            msgspec.structs.replace(probe, expected_reward=1_000.0 * probe.expected_reward)
            for probe in stored.manifest.probes
        )

        with pytest.raises(ModelError, match=f"out of reach.*within {REACH:g} widths"):
            verified(changed(with_weights(stored, broken), probes=probes))

    def test_vws_bytes_give_the_weights_that_were_published_or_are_not_gone_on_from(
        self, stored: StoredModel, database: Database
    ) -> None:
        """VW loads them, since their checksum fits; then its weights are held against those published beside them."""
        learner = world.learner(database, Clock(10_000.0))
        assert stored.model is not None
        assert learner._loaded(stored) is not None
        refused = 0
        for damaged in [*flips(stored.model, seed=4, size=150), *cuts(stored.model)]:
            fields = {"model_sha256": hashlib.sha256(damaged).hexdigest(), "model_length": len(damaged)}
            broken = replace(changed(stored, **fields), model=damaged)
            assert unfit(broken, learner.lineage) == ""
            found = learner._loaded(broken)
            refused += found is None
            assert found is None or found.regressor.weights().to_bytes() == stored.sparse

        assert refused > 120


class TestManifest:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"vw_args": ("--cb_adf", "--cb_type", "dr")}, "VW arguments"),
            ({"learning": Learning(options={"nn": 3.0})}, "cannot be used"),
            ({"bits": 15}, "width"),
            ({"weights_sha256": "0" * 64}, "weights are not those"),
            ({"reward_range": (1.0, 1.0)}, "no range of rewards"),
            ({"examples_learned": 10**9}, "examples by arm do not add up"),
        ],
    )
    def test_what_does_not_fit_the_model_is_refused(
        self, stored: StoredModel, fields: dict[str, object], message: str
    ) -> None:
        with pytest.raises(ModelError, match=message) as refused:
            verified(changed(stored, **fields))

        assert refused.value.where.startswith("model ")

    def test_probes_are_what_vw_expects_and_cover_what_was_learned(self, stored: StoredModel) -> None:
        """Three segments and four choices have twelve pairs, and the probes hold all of them."""
        probes = stored.manifest.probes
        assert stored.model is not None
        regressor = vowpal.VowpalRegressor(stored.manifest.features, stored.manifest.learning, model=stored.model)
        expected = everything_expected(verified(stored))

        assert len(probes) >= 12
        assert all(expected.min() - 0.1 < probe.expected_reward < expected.max() + 0.1 for probe in probes)
        assert regressor.weights().sha256() == stored.manifest.weights_sha256


class TestFit:
    def test_other_features_are_refused_with_a_hint(self, stored: StoredModel) -> None:
        with pytest.raises(ModelError, match=r"learned on other features.*Hint: the learner"):
            verified(stored, demands=demands(feature_version="another"))

    def test_other_terms_than_the_policys_are_refused(self, stored: StoredModel) -> None:
        policy = msgspec.structs.replace(world.POLICY, learning=Learning(options={"noconstant": True}))

        with pytest.raises(ModelError, match="sum other terms than the policy's"):
            verified(stored, demands=Demands.of(policy, world.CATALOGUE))

    def test_another_learning_rate_is_no_hindrance(self, stored: StoredModel) -> None:
        """It was for learning; what the model sums is the same."""
        policy = msgspec.structs.replace(world.POLICY, learning=Learning(options={"learning_rate": 0.1}))

        assert verified(stored, demands=Demands.of(policy, world.CATALOGUE)).version == stored.manifest.version

    def test_bits_are_part_of_the_features(self, stored: StoredModel) -> None:
        features = FeatureSettings(customer=("segment", "age"), bits=15)

        with pytest.raises(ModelError, match="other features"):
            verified(
                stored,
                demands=Demands.of(msgspec.structs.replace(world.POLICY, features=features), world.CATALOGUE),
            )


class TestExploration:
    def test_numbers_of_the_bound(self, stored: StoredModel) -> None:
        """SquareCB by hand, n = 600, gamma = 10 sqrt(600) = 244.949: K = 4, gaps of 2 ranges give the three others
        .96 / (4 + 489.898) + .01 = .011944 each; entropy .19383, exp of it 1.21388 effective arms.
        """
        p = 0.96 / (4.0 + 2.0 * 10.0 * 600**0.5) + 0.01
        bound = np.exp(-3 * p * np.log(p) - (1 - 3 * p) * np.log(1 - 3 * p))
        model = drifted(stored, 4.0)

        with pytest.raises(ModelError, match="exploration has collapsed") as refused:
            verified(model, demands=demands())

        assert f"at least {bound:.6f}" in refused.value.allowed
        assert "ranges apart" in refused.value.hint

    def test_without_demands_it_may_still_tell_what_it_told(self, stored: StoredModel) -> None:
        assert verified(drifted(stored, 4.0)).version

    @pytest.mark.parametrize("kind", ["greedy", "epsilon_greedy", "uniform"])
    def test_explorations_that_do_not_look_at_gaps_cannot_collapse(self, stored: StoredModel, kind: str) -> None:
        exploration = Exploration(kind=kind, floor=0.0)  # type: ignore[arg-type]  # one of its kinds

        assert verified(drifted(stored, 4.0), demands=demands(exploration)).version

    def test_an_ensemble_whose_members_are_all_alike(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        thompson = Exploration(kind="thompson", members=3)
        policy = msgspec.structs.replace(world.POLICY, exploration=thompson)
        with world.opened(tmp_path_factory.mktemp("members")) as database:
            world.play(database, 200, seed=1)
            world.learner(database, Clock(10_000.0), policy=policy, batch=1_000).step()
            stored = world.newest(database)
        assert stored is not None
        assert verified(stored, demands=demands(thompson)).version
        own, member, *_ = taken_apart(stored.sparse, 4)
        alike = joined([own, member, member, member])
        fields = {"sparse_sha256": hashlib.sha256(alike).hexdigest(), "sparse_length": len(alike)}

        with pytest.raises(ModelError, match=r"members of its ensemble are all alike.*3 equal members after 200"):
            verified(replace(changed(stored, **fields), sparse=alike), demands=demands(thompson))


def drifted(stored: StoredModel, apart: float) -> StoredModel:
    """Every weight scaled so that the probes' arms lie `apart` reward ranges apart, signed, its probes with it."""
    low, high = stored.manifest.reward_range
    spread = float(np.ptp(everything_expected(verified(stored)), axis=1).min())
    factor = np.float32(apart * (high - low) / spread)
    weights = SparseWeights.from_bytes(stored.sparse)
    broken = SparseWeights(bits=weights.bits, indices=weights.indices, values=weights.values * factor)
    probes = tuple(
        msgspec.structs.replace(probe, expected_reward=float(factor) * probe.expected_reward)
        for probe in stored.manifest.probes
    )
    return changed(with_weights(stored, broken), probes=probes)
