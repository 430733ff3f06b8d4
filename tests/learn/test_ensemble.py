"""Ensembles: reproducible random weights, the same bytes without members, and disagreement where data are few."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Coded, Facts, Floats, Ints
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import Challenger, Exploration, Explorer, FeatureSettings, Learning, Mixture, Policy
from bandit_nba.decide.scoring import EnsembleScorer, FeatureRows
from bandit_nba.errors import InputError, ModelError
from bandit_nba.learn.compile import CompiledEnsemble, CompiledScorer
from bandit_nba.learn.ensemble import Ensemble, bootstrap_weights
from bandit_nba.learn.examples import Examples
from bandit_nba.learn.manifest import StoredModel
from bandit_nba.learn.parts import joined, taken_apart
from bandit_nba.learn.registry import Learned, Lineage, package, unfit, verified
from bandit_nba.learn.vowpal import VowpalRegressor
from tests.decide import decide_world as world
from tests.learn import tiny_world as tiny

FEATURES = FeatureSettings(customer=("age", "contract"), channel=False, bits=12)
N = 400


def _data(n: int = N, *, seed: int = 0) -> tuple[FeatureRows, FeatureRows, Ints, Floats, list[str]]:
    """Decisions over the first three arms of the world; arm 1 earns .6, the others .2."""
    rng = np.random.default_rng(seed)
    engine = world.engine(Policy(features=FEATURES))
    requests = world.requests(n, seed=seed)
    contexts = engine.featuriser.contexts(requests.facts, requests.channels)
    chosen = rng.integers(0, 3, n)
    rewards = (rng.random(n) < np.where(chosen == 1, 0.6, 0.2)).astype(np.float64)
    return contexts, engine.arm_features, chosen, rewards, list(requests.ids)


def _taught(members: int, *, seed: int = 0) -> Ensemble:
    contexts, arms, chosen, rewards, ids = _data(seed=seed)
    ensemble = Ensemble(FEATURES, Learning(), members=members)
    ensemble.learn(contexts, arms, chosen, rewards, ids)
    return ensemble


class TestWeights:
    def test_poisson(self) -> None:
        """200,000 ids against e^-1 / k!, within 4.5 standard deviations each."""
        ids = [f"d{i}" for i in range(200_000)]

        counts = np.bincount(bootstrap_weights(ids, 0).astype(np.int64), minlength=6)

        factorial = 1.0
        for k in range(6):
            factorial *= max(k, 1)
            p = np.exp(-1.0) / factorial
            assert abs(counts[k] - 200_000 * p) < 4.5 * np.sqrt(200_000 * p * (1 - p))

    def test_members_are_independent_and_each_stands_still(self) -> None:
        ids = [f"d{i}" for i in range(50_000)]
        one, two = bootstrap_weights(ids, 0), bootstrap_weights(ids, 1)

        assert abs(np.corrcoef(one, two)[0, 1]) < 4.5 / np.sqrt(50_000)
        np.testing.assert_array_equal(one[::-1], bootstrap_weights(ids[::-1], 0))

    def test_the_first_ones_written_down(self) -> None:
        """Another hash would teach members otherwise whenever the log is learned again."""
        assert bootstrap_weights([f"d{i}" for i in range(12)], 3).tolist() == [1, 3, 3, 0, 2, 0, 4, 1, 0, 1, 1, 1]


class TestEnsemble:
    def test_without_members_it_is_the_regressor_alone(self) -> None:
        contexts, arms, chosen, rewards, _ = _data()
        alone = VowpalRegressor(FEATURES)
        alone.learn(contexts, arms, chosen, rewards)

        ensemble = _taught(0)

        assert ensemble.weights().sha256() == alone.weights().sha256()
        assert VowpalRegressor.from_bytes(ensemble.serialize(), FEATURES).weights().sha256() == alone.weights().sha256()

    def test_the_model_itself_learns_the_same_beside_members(self) -> None:
        assert _taught(3).weights().sha256() == _taught(0).weights().sha256()

    def test_a_member_learns_what_a_regressor_learns_with_its_weights(self) -> None:
        contexts, arms, chosen, rewards, ids = _data()
        alone = VowpalRegressor(FEATURES)
        alone.learn(contexts, arms, chosen, rewards, weights=bootstrap_weights(ids, 1))

        members = _taught(3).member_weights()

        assert members[1].sha256() == alone.weights().sha256()
        assert len({member.sha256() for member in members}) == 3

    def test_stored_and_loaded_it_learns_on_as_if_never_stopped(self) -> None:
        contexts, arms, chosen, rewards, ids = _data(seed=1)
        through, stopped = _taught(2), _taught(2)
        again = Ensemble(FEATURES, Learning(), members=2, model=stopped.serialize())
        for ensemble in (through, again):
            ensemble.learn(contexts, arms, chosen, rewards, ids)

        assert again.weights().sha256() == through.weights().sha256()
        assert [m.sha256() for m in again.member_weights()] == [m.sha256() for m in through.member_weights()]

    def test_members_disagree_less_the_more_is_known(self) -> None:
        """Standard deviation between 10 members of an arm's expected reward: 400 examples against 40."""
        spread = []
        for n in (40, 400):
            contexts, arms, chosen, rewards, ids = _data(n)
            ensemble = Ensemble(FEATURES, Learning(), members=10)
            ensemble.learn(contexts, arms, chosen, rewards, ids)
            scorers = [
                CompiledScorer(member, FEATURES, version="", examples_learned=n) for member in ensemble.member_weights()
            ]
            some, _, _, _, _ = _data(50, seed=9)
            spread.append(np.stack([s.score(some, arms)[:, :3] for s in scorers]).std(axis=0).mean())

        assert spread[1] < spread[0]

    def test_another_number_of_members_is_refused(self) -> None:
        with pytest.raises(ModelError, match="has another number of parts; got 3; allowed: 5"):
            Ensemble(FEATURES, Learning(), members=4, model=_taught(2).serialize())


class TestVowpalWeights:
    def test_ones_change_nothing_and_zeros_leave_out(self) -> None:
        contexts, arms, chosen, rewards, _ = _data()
        plain, ones, half = (VowpalRegressor(FEATURES) for _ in range(3))
        kept = np.arange(N) % 2 == 0
        plain.learn(contexts, arms, chosen, rewards)
        ones.learn(contexts, arms, chosen, rewards, weights=np.ones(N))
        half.learn(contexts, arms, chosen, rewards, weights=kept.astype(np.float64))

        assert ones.weights().sha256() == plain.weights().sha256()
        assert half.examples_learned == N // 2
        assert half.weights().sha256() != plain.weights().sha256()

    def test_a_larger_weight_pulls_further(self) -> None:
        """One example with reward 1: the estimate moves towards it, further for weight 4 than for 1, never beyond."""
        contexts, arms, _, _, _ = _data(1)
        estimates = []
        for weight in (1.0, 4.0):
            regressor = VowpalRegressor(FEATURES)
            regressor.learn(contexts, arms, np.array([1]), np.array([1.0]), weights=np.array([weight]))
            estimates.append(float(regressor.predict(contexts, arms)[0, 1]))

        assert 0.0 < estimates[0] < estimates[1] <= 1.0

    @pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf, 1e-9, 1e7])
    def test_impossible_weights_are_refused(self, weight: float) -> None:
        contexts, arms, _, _, _ = _data(2)

        with pytest.raises(InputError, match=r"weights\[1\]: is out of range"):
            VowpalRegressor(FEATURES).learn(
                contexts, arms, np.array([0, 1]), np.array([0.0, 1.0]), weights=np.array([1.0, weight])
            )


class TestPublished:
    def _lineage(self, members: int) -> Lineage:
        return Lineage(
            features=FEATURES,
            learning=Learning(),
            vw_args=VowpalRegressor(FEATURES).vw_args,
            feature_version="f",
            reward_version="r",
            reward_range=(0.0, 1.0),
            members=members,
        )

    def _packed(self, members: int) -> StoredModel:
        contexts, arms, chosen, rewards, ids = _data()
        ensemble = _taught(members)
        return package(
            ensemble.serialize(),
            ensemble.weights(),
            lineage=self._lineage(members),
            parent="",
            learned=Learned(examples=N),
            recent=Examples(contexts=contexts, arms=arms, chosen=chosen, reward=rewards, ids=ids),
            members=ensemble.member_weights(),
            created_at=0.0,
        )

    def test_a_published_ensemble_scores_as_its_members_do(self) -> None:
        stored = self._packed(3)
        contexts, arms, _, _, _ = _data(20, seed=5)

        scorer = verified(stored)

        assert isinstance(scorer, CompiledEnsemble)
        assert isinstance(scorer, EnsembleScorer)
        members = [
            CompiledScorer(member, FEATURES, version="", examples_learned=N).score(contexts, arms)
            for member in _taught(3).member_weights()
        ]
        np.testing.assert_array_equal(scorer.score_members(contexts, arms), np.stack(members))
        assert not isinstance(verified(self._packed(0)), EnsembleScorer)

    def test_a_damaged_member_never_serves(self) -> None:
        stored = self._packed(2)
        for place in (3, 10, len(stored.sparse) // 2, -40, -1):
            damaged = bytearray(stored.sparse)
            damaged[place] ^= 1
            with pytest.raises(ModelError):
                verified(replace(stored, sparse=bytes(damaged)))

    def test_another_size_of_the_ensemble_begins_anew(self) -> None:
        stored = self._packed(2)

        assert unfit(stored, self._lineage(3)) == "the ensemble's size changed"
        assert not unfit(stored, self._lineage(2))


class TestLearner:
    """On a real store: 900 decisions in batches of 130, a checkpoint after each, the learner changed midway."""

    POLICY = msgspec.structs.replace(tiny.POLICY, exploration=Exploration(kind="thompson", members=3, floor=0.0))

    def _learned(self, folder: Path, *, restarts: bool = False, size: int = 900) -> CompiledEnsemble:
        folder.mkdir()
        with tiny.opened(folder) as database:
            tiny.play(database, size, seed=3)
            for turn in range(3 if restarts else 1):
                learner = tiny.learner(
                    database, tiny.Clock(1e4 + turn), policy=self.POLICY, batch=130, holder=f"h{turn}"
                )
                for _ in range(2 if restarts and turn < 2 else 20):
                    learner.step()
                learner.finish()
            stored = tiny.newest(database)
            assert stored is not None
            assert stored.manifest.members == 3
            assert stored.manifest.examples_learned == size
            scorer = verified(stored)
        assert isinstance(scorer, CompiledEnsemble)
        return scorer

    def test_restarts_change_no_member(self, tmp_path: Path) -> None:
        engine, requests = self._engine(), self._requests()
        contexts = engine.featuriser.contexts(requests.facts, requests.channels)

        one, other = self._learned(tmp_path / "a"), self._learned(tmp_path / "b", restarts=True)

        np.testing.assert_array_equal(
            one.score_members(contexts, engine.arm_features), other.score_members(contexts, engine.arm_features)
        )

    def test_thompson_decides_by_the_members(self, tmp_path: Path) -> None:
        """After 150 decisions the members disagree; an arm's chance is the share of members that prefer it."""
        engine, requests = self._engine(), self._requests()
        scorer = self._learned(tmp_path / "a", size=150)

        made = engine.decide(requests, scorer)

        contexts = engine.featuriser.contexts(requests.facts, requests.channels)
        preferred = scorer.score_members(contexts, engine.arm_features).argmax(axis=2)
        shares = np.stack([(preferred == k).mean(axis=0) for k in range(4)], axis=1)
        np.testing.assert_allclose(made.probability, shares, atol=1e-12)
        assert ((shares > 0.0) & (shares < 1.0)).any()

    def test_asked_for_later_the_members_learn_the_log_anew(self, tmp_path: Path) -> None:
        with tiny.opened(tmp_path) as database:
            tiny.play(database, 300, seed=3)
            plain = tiny.learner(database, tiny.Clock(1e4), batch=130)
            for _ in range(5):
                plain.step()
            plain.finish()
            ensemble = tiny.learner(database, tiny.Clock(1e4 + 1), policy=self.POLICY, batch=130)
            for _ in range(5):
                ensemble.step()
            ensemble.finish()
            stored = tiny.newest(database)

        assert stored is not None
        assert (stored.manifest.members, stored.manifest.examples_learned, stored.manifest.parent) == (3, 300, "")

    def _engine(self) -> Engine:
        rules = compile_rules(tiny.CATALOGUE)
        return Engine(tiny.CATALOGUE, rules, self.POLICY, world.SALT, reward_unit="response")

    def _requests(self) -> Requests:
        rows = [{"segment": segment, "age": float(age)} for segment in tiny.SEGMENTS for age in range(30, 37)]
        return Requests(
            ids=[f"x{i}" for i in range(len(rows))],
            customers=[""] * len(rows),
            channels=Coded(codes=np.zeros(len(rows), dtype=np.int64), values=("web",)),
            decided_at=np.full(len(rows), 2e4),
            facts=Facts.from_rows(rows, tiny.CATALOGUE.facts),  # type: ignore[arg-type]  # rows of facts
            readable=np.ones(len(rows), dtype=np.bool_),
        )


class TestParts:
    def test_there_and_back(self) -> None:
        for parts in ([b"one"], [b"one", b"", b"three"], [b"x" * 1_000] * 9):
            assert taken_apart(joined(parts), len(parts)) == parts

    @pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:14], lambda b: b"Y" + b[1:]])
    def test_damage_is_refused(self, damage: object) -> None:
        data = joined([b"one", b"two", b"three"])

        with pytest.raises(ModelError):
            taken_apart(damage(data), 3)  # type: ignore[operator]  # a function


def test_a_policy_knows_how_many_members_it_needs() -> None:
    thompson = Explorer(kind="thompson", members=5)
    mixture = Mixture(challengers=(Challenger(name="t", share=0.1, exploration=thompson),))

    assert Policy().ensemble == 0
    assert Policy(exploration=Exploration(kind="thompson")).ensemble == 8
    assert Policy(mixture=mixture).ensemble == 5
    both = msgspec.structs.replace(Policy(mixture=mixture), exploration=Exploration(kind="thompson", members=3))
    assert both.ensemble == 5
