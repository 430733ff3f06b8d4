"""What every acting policy keeps: learned under each exploration, every baseline, every mixture."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.decide.acting import ActingPolicy, Situation
from bandit_nba.decide.audit.pit import histogram, randomised_pit, uniformity
from bandit_nba.decide.batch import Decisions, Requests
from bandit_nba.decide.columns import Coded, Facts, Floats
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policies.beta_thompson import BetaThompsonPolicy
from bandit_nba.decide.policies.campaign import SegmentCampaign
from bandit_nba.decide.policies.linear_thompson import LinearThompsonPolicy
from bandit_nba.decide.policies.linucb import LinUcbPolicy
from bandit_nba.decide.policies.segments import NearestCentre
from bandit_nba.decide.policy import Baseline, Campaign, Challenger, Exploration, Explorer, Mixture, Policy
from bandit_nba.decide.scoring import FeatureRows
from tests.decide import decide_world as world

Make = Callable[[Catalogue], tuple[Engine, ActingPolicy]]

EXPLORERS = ("greedy", "epsilon_greedy", "epsilon_decay", "softmax", "squarecb", "thompson", "uniform")
ALARM = 1e-4  # a PIT's p-value below it fails: by chance once in 10,000 runs at another seed; the seed is fixed


class Ensemble(world.ExactModel):
    """Five models with exact sums as the members of one."""

    members = tuple(world.ExactModel(seed=seed) for seed in range(1, 6))

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        return self.score_members(contexts, arms).mean(axis=0)

    def score_members(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        return np.stack([member.score(contexts, arms) for member in self.members])


def _policy(**changes: object) -> Policy:
    return msgspec.structs.replace(world.POLICY, **changes)


def _declared(policy: Policy) -> Make:
    def make(catalogue: Catalogue) -> tuple[Engine, ActingPolicy]:
        engine = world.engine(policy, catalogue)
        return engine, engine.acting(Ensemble())

    return make


def _alone(baseline: Baseline) -> Make:
    """A declared baseline, acting by itself."""

    def make(catalogue: Catalogue) -> tuple[Engine, ActingPolicy]:
        engine = world.engine(_policy(baseline=baseline), catalogue)
        return engine, engine.baseline

    return make


def _taught(new: Callable[[Engine, Situation], ActingPolicy]) -> Make:
    """A learning baseline after three batches of its own decisions, rewards depending on arm and customer."""

    def make(catalogue: Catalogue) -> tuple[Engine, ActingPolicy]:
        engine = world.engine(catalogue=catalogue)
        policy = None
        for seed in (11, 12, 13):
            requests = _of(catalogue, world.requests(60, seed=seed))
            situation = engine.situation(requests, engine.eligible(requests))
            policy = policy or new(engine, situation)
            made = engine.act(requests, policy)
            rng = np.random.default_rng(seed)
            rewards = (rng.random(60) < 0.1 + 0.3 * (made.chosen % 3 == 1)).astype(np.float64)
            policy.update(situation, made.chosen, rewards)  # type: ignore[attr-defined]  # all of these learn
        assert policy is not None
        if isinstance(policy, SegmentCampaign):
            policy.begin()
        return engine, policy

    return make


def _segment_campaign(engine: Engine, situation: Situation) -> ActingPolicy:
    segments = NearestCentre.fit(situation, k=4, rng=np.random.default_rng(5))
    return SegmentCampaign(segments, engine.arms, start_s=world.T0, period_s=20.0)


FIXED = Baseline(kind="best_fixed", arm="no_action")
CAMPAIGNS = tuple(
    Campaign(starts=f"2023-11-14T22:13:{second:02d}Z", offers={"..30": offer, "60..": "no_action"})  # T0 is 22:13:20
    for second, offer in ((25, "no_action"), (40, "no_action"))
)
BOLD = Challenger(name="bold", share=0.3, exploration=Explorer(kind="uniform"))
SOFT = Challenger(name="soft", share=0.2, exploration=Explorer(kind="softmax", temperature=0.02))

POLICIES: dict[str, Make] = {
    **{
        f"{kind}, floor {floor}": _declared(_policy(exploration=Exploration(kind=kind, floor=floor, temperature=1e-6)))  # type: ignore[arg-type]  # literals of EXPLORERS
        for kind in EXPLORERS
        for floor in (0.0, 0.1)
    },
    "baseline uniform": _alone(Baseline(kind="uniform")),
    "best fixed": _alone(FIXED),
    "ranking": _alone(Baseline(kind="ranking", order=("no_action",))),
    "beta thompson": _taught(lambda *_: BetaThompsonPolicy()),
    "linucb": _taught(lambda *_: LinUcbPolicy()),
    "linear thompson": _taught(lambda *_: LinearThompsonPolicy(world.SALT, draws=40)),
    "segment campaign": _taught(_segment_campaign),
    "champion and challengers": _declared(_policy(mixture=Mixture(challengers=(BOLD, SOFT)))),
    "cautious": _declared(_policy(baseline=FIXED, mixture=Mixture(baseline_share=0.9))),
    "control group": _declared(_policy(mixture=Mixture(experiment="spring", control=0.4))),
    "deterministic control group": _declared(
        _policy(
            baseline=FIXED,
            mixture=Mixture(experiment="spring", control=0.4),
            exploration=Exploration(kind="epsilon_greedy", floor=0.0),
        )
    ),
    "apprentice": _declared(_policy(baseline=FIXED, mixture=Mixture(apprentice=True))),
    "apprentice without a floor": _declared(
        _policy(baseline=FIXED, mixture=Mixture(apprentice=True), exploration=Exploration(floor=0.0))
    ),
    "everything": _declared(
        _policy(
            baseline=FIXED,
            mixture=Mixture(experiment="e1", control=0.3, baseline_share=0.1, challengers=(BOLD, SOFT)),
            exploration=Exploration(kind="thompson", floor=0.02),
        )
    ),
}
REALISTIC: dict[str, Make] = {
    "ranking, three rules": _alone(Baseline(kind="ranking", order=("fiber", "discount", "bill_help"))),
    "best fixed, an offer": _alone(Baseline(kind="best_fixed", arm="discount/v2")),
    "declared campaigns": _alone(
        Baseline(
            kind="segment_campaign",
            fact="age",
            cuts=(30.0, 60.0),
            campaigns=tuple(
                msgspec.convert({"starts": c.starts, "offers": {"..30": a, "30..60": b}}, Campaign)
                for c, a, b in zip(CAMPAIGNS, ("tv", "phone"), ("yearly", "discount"), strict=True)
            ),
        )
    ),
}


def _of(catalogue: Catalogue, requests: Requests) -> Requests:
    return requests if catalogue is world.CATALOGUE else replace(requests, facts=_facts(requests, catalogue))


def _facts(requests: Requests, catalogue: Catalogue) -> Facts:
    return Facts(size=len(requests), schema=catalogue.facts, columns=requests.facts.columns)


def _requests(rows: int, *, seed: int = 0) -> Requests:
    """Random requests; a third of the customers are anonymous."""
    requests = world.requests(rows, seed=seed, readable=0.9)
    return replace(requests, customers=["" if i % 3 == 0 else c for i, c in enumerate(requests.customers)])


def _picked(requests: Requests, rows: Sequence[int]) -> Requests:
    return Requests(
        ids=[requests.ids[i] for i in rows],
        customers=[requests.customers[i] for i in rows],
        channels=Coded(codes=requests.channels.codes[list(rows)], values=requests.channels.values),
        decided_at=requests.decided_at[list(rows)],
        facts=Facts.from_rows([requests.facts.row(i) for i in rows], requests.facts.schema),
        readable=requests.readable[list(rows)],
    )


def _same(got: Decisions, expected: Decisions, rows: Sequence[int]) -> None:
    rows = list(rows)
    for name in ("probability", "chosen", "propensity", "expected_reward", "priority"):
        np.testing.assert_allclose(getattr(got, name), getattr(expected, name)[rows], rtol=0, atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(got.chosen, expected.chosen[rows])
    assert (got.credit is None) == (expected.credit is None)
    if got.credit and expected.credit:
        for name in ("component", "share", "by_customer"):
            np.testing.assert_array_equal(getattr(got.credit, name), getattr(expected.credit, name)[rows], err_msg=name)
        np.testing.assert_allclose(got.credit.probability, expected.credit.probability[rows], rtol=0, atol=1e-12)
    if got.shadow and expected.shadow:
        np.testing.assert_array_equal(got.shadow.chosen, expected.shadow.chosen[rows])


@pytest.mark.parametrize("make", [*POLICIES.values(), *REALISTIC.values()], ids=[*POLICIES, *REALISTIC])
class TestEveryPolicy:
    def test_a_distribution_over_ragged_eligible_sets(self, make: Make) -> None:
        engine, policy = make(world.CATALOGUE)

        got = engine.act(_requests(400), policy)

        mask = got.eligibility.mask
        assert len(set(mask.sum(axis=1).tolist())) > 5
        np.testing.assert_allclose(got.probability.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        assert (got.probability[~mask] == 0.0).all()
        assert (got.probability >= 0.0).all()
        np.testing.assert_array_equal(np.isnan(got.expected_reward), ~mask)
        np.testing.assert_array_equal(np.isnan(got.priority), ~mask)
        assert (got.propensity > 0.0).all()
        np.testing.assert_array_equal(got.propensity, got.probability[np.arange(400), got.chosen])

    def test_made_again_from_the_same_it_is_the_same(self, make: Make) -> None:
        requests = _requests(200)
        (engine, policy), (other_engine, other_policy) = make(world.CATALOGUE), make(world.CATALOGUE)

        _same(other_engine.act(requests, other_policy), engine.act(requests, policy), range(200))

    def test_choices_follow_the_distribution(self, make: Make) -> None:
        """The randomised PIT of 3,000 choices is uniform; seed 3, false alarm at 1e-4."""
        engine, policy = make(world.CATALOGUE)

        got = engine.act(_requests(3_000, seed=3), policy)

        pit = randomised_pit(got.probability, got.chosen, np.random.default_rng(3).random(3_000))
        p_value = uniformity(histogram(pit))
        assert p_value is not None
        assert p_value > ALARM

    def test_support_is_there_or_declared_to_be_missing(self, make: Make) -> None:
        engine, policy = make(world.CATALOGUE)

        got = engine.act(_requests(400), policy)

        if policy.full_support:
            assert got.support.all()
        elif policy.name != "beta_thompson":  # which has it but for numbers too small for float64
            assert not got.support.all()
        everything = (got.probability > 0.0) == got.eligibility.mask
        np.testing.assert_array_equal(got.support, everything.all(axis=1))

    def test_the_same_id_gets_the_same_choice(self, make: Make) -> None:
        engine, policy = make(world.CATALOGUE)
        requests = _requests(100)

        first, second = engine.act(requests, policy), engine.act(requests, policy)

        _same(second, first, range(100))

    def test_neither_order_nor_size_of_the_batch_matters(self, make: Make) -> None:
        engine, policy = make(world.CATALOGUE)
        requests = _requests(90)
        whole = engine.act(requests, policy)
        shuffled = np.random.default_rng(1).permutation(90).tolist()

        _same(engine.act(_picked(requests, shuffled), policy), whole, shuffled)
        for i in range(0, 90, 11):
            _same(engine.act(_picked(requests, [i]), policy), whole, [i])
        for start, stop in pairwise((0, 1, 2, 50, 90)):
            _same(engine.act(requests.take(start, stop), policy), whole, range(start, stop))
        engine.chunk_rows = 17
        _same(engine.act(requests, policy), whole, range(90))

    def test_asked_again_over_all_arms_it_says_the_same_and_over_fewer_it_is_a_distribution(self, make: Make) -> None:
        engine, policy = make(world.CATALOGUE)
        requests = _requests(80)
        situation = engine.situation(requests, engine.eligible(requests))
        made = policy.distribution(situation)
        rows = np.arange(5, 75, 2)
        left = situation.mask[rows] & (np.random.default_rng(2).random((len(rows), len(engine.arms))) < 0.6)
        left[~left.any(axis=1), 0] = True

        fewer = made.again(rows, left)

        np.testing.assert_allclose(made.again(rows, situation.mask[rows]), made.probability[rows], rtol=0, atol=1e-15)
        np.testing.assert_allclose(fewer.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        assert (fewer[~left] == 0.0).all()


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
class TestEdges:
    def test_nothing_but_no_action(self, make: Make) -> None:
        engine, policy = make(Catalogue(facts=world.CATALOGUE.facts, actions=()))

        got = engine.act(_of(engine.catalogue, _requests(5)), policy)

        assert got.chosen.tolist() == [0] * 5
        np.testing.assert_allclose(got.propensity, 1.0, rtol=0, atol=1e-12)

    def test_one_arm_beside_no_action(self, make: Make) -> None:
        engine, policy = make(
            Catalogue(facts=world.CATALOGUE.facts, actions=(Action(id="only", kind="offer", group="g"),))
        )

        got = engine.act(_of(engine.catalogue, _requests(20)), policy)

        assert got.probability.shape == (20, 2)
        np.testing.assert_allclose(got.probability.sum(axis=1), 1.0, rtol=0, atol=1e-12)

    def test_five_thousand_arms(self, make: Make) -> None:
        actions = tuple(Action(id=f"a{i}", kind="offer", group="g") for i in range(4_999))
        engine, policy = make(Catalogue(facts=world.CATALOGUE.facts, actions=actions))
        requests = _of(engine.catalogue, _requests(4))

        got = engine.act(requests, policy)

        assert got.probability.shape == (4, 5_000)
        np.testing.assert_allclose(got.probability.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        _same(engine.act(_picked(requests, [3]), policy), got, [3])

    def test_no_requests(self, make: Make) -> None:
        engine, policy = make(world.CATALOGUE)

        assert len(engine.act(world.requests(0), policy)) == 0


class Twins(Ensemble):
    """Every arm at an odd place expects what the arm before it expects."""

    def score_members(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        scores = super().score_members(contexts, arms)
        scores[:, :, 1::2] = scores[:, :, 0 : scores.shape[2] - scores.shape[2] % 2 : 2][:, :, : scores.shape[2] // 2]
        return scores


@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("kind", EXPLORERS)
def test_arms_that_tie_share_equally(kind: str, floor: float) -> None:
    """Exactly, alone and in a mixture with other explorations."""
    actions = tuple(Action(id=f"a{i}", kind="offer", group="g") for i in range(9))
    catalogue = Catalogue(facts=world.CATALOGUE.facts, actions=actions)
    exploration = Exploration(kind=kind, floor=floor, temperature=0.02)  # type: ignore[arg-type]  # a literal
    for mixture in (Mixture(), Mixture(challengers=(BOLD, SOFT))):
        engine = world.engine(_policy(exploration=exploration, mixture=mixture), catalogue)

        got = engine.decide(_of(catalogue, world.requests(100)), Twins())

        np.testing.assert_array_equal(got.probability[:, 1::2], got.probability[:, 0::2])
        assert len(np.unique(got.probability[0])) > 1 or kind == "uniform"


def test_before_anything_is_learned_the_learners_treat_all_arms_alike() -> None:
    """Exactly; for linear Thompson, which has declared draws, within what 400 draws can say (seeded by the salt)."""
    engine, requests = world.engine(), _requests(50)
    even = 1.0 / engine.eligible(requests).mask.sum(axis=1, keepdims=True)

    for policy in (BetaThompsonPolicy(), LinUcbPolicy()):
        got = engine.act(requests, policy)
        expected = np.where(got.eligibility.mask, even, 0.0)
        np.testing.assert_allclose(got.probability, expected, rtol=1e-12, err_msg=policy.name)
    drawn = engine.act(requests, LinearThompsonPolicy(world.SALT, draws=400))
    expected = np.where(drawn.eligibility.mask, even, 0.0)
    assert (np.abs(drawn.probability - expected) < 5 * np.sqrt(expected * (1 - expected) / 400) + 1e-12).all()
