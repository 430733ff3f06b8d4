"""Baselines by hand: what each chooses, what it learns, and how `[baseline]` in policy.toml is read."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import norm

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.decide.acting import ActingPolicy, Situation
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Coded, Facts, Floats
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policies.beta_thompson import BetaThompsonPolicy
from bandit_nba.decide.policies.campaign import SegmentCampaign
from bandit_nba.decide.policies.declared import declared_baseline
from bandit_nba.decide.policies.linear_thompson import LinearThompsonPolicy
from bandit_nba.decide.policies.linucb import LinUcbPolicy
from bandit_nba.decide.policies.segments import CategorySegments, NearestCentre
from bandit_nba.decide.policy import Baseline, FeatureSettings, Policy
from bandit_nba.errors import InputError, SettingsError
from bandit_nba.settings import parse
from tests.decide import decide_world as world

SCHEMA = {"plan": "category", "age": "number", "owned": "set"}
SHOP = Catalogue(
    facts=SCHEMA,  # type: ignore[arg-type]  # literals of the kinds
    actions=tuple(Action(id=name, kind="offer", group="g") for name in ("red", "green", "blue")),
)
COLUMN = {arm.id: k for k, arm in enumerate(SHOP.arms)}


def _engine() -> Engine:
    return world.engine(Policy(features=FeatureSettings(customer=("plan", "age"), channel=False)), SHOP)


def _situation(engine: Engine, rows: list[dict[str, object]], *, at: Floats | float = 0.0) -> Situation:
    requests = Requests(
        ids=[f"d{i}" for i in range(len(rows))],
        customers=[""] * len(rows),
        channels=Coded(codes=np.zeros(len(rows), dtype=np.int64), values=("web",)),
        decided_at=np.broadcast_to(np.asarray(at, dtype=np.float64), (len(rows),)),
        facts=Facts.from_rows(rows, SHOP.facts),  # type: ignore[arg-type]  # rows of facts
        readable=np.ones(len(rows), dtype=np.bool_),
    )
    return engine.situation(requests, engine.eligible(requests))


def _chosen(policy: ActingPolicy, situation: Situation) -> list[str]:
    """The arm of each row, of a policy that gives each row one."""
    p = policy.distribution(situation).probability
    assert (p.max(axis=1) == 1.0).all()
    return [SHOP.arms[k].id for k in p.argmax(axis=1).tolist()]


def _without(situation: Situation, *arms: str) -> Situation:
    mask = situation.mask.copy()
    mask[:, [COLUMN[arm] for arm in arms]] = False
    return replace(situation, mask=mask)


class TestDeclared:
    def test_ranking_takes_the_first_that_is_eligible(self) -> None:
        policy = declared_baseline(Baseline(kind="ranking", order=("blue", "red")), SHOP.arms, SHOP.facts)
        situation = _situation(_engine(), [{}])

        assert _chosen(policy, situation) == ["blue"]
        assert _chosen(policy, _without(situation, "blue")) == ["red"]
        assert _chosen(policy, _without(situation, "blue", "red")) == ["no_action"]  # and not green

    def test_doing_nothing_may_have_a_place_in_the_order(self) -> None:
        policy = declared_baseline(Baseline(kind="ranking", order=("no_action", "red")), SHOP.arms, SHOP.facts)

        assert _chosen(policy, _situation(_engine(), [{}])) == ["no_action"]

    def test_best_fixed(self) -> None:
        policy = declared_baseline(Baseline(kind="best_fixed", arm="green"), SHOP.arms, SHOP.facts)
        situation = _situation(_engine(), [{}])

        assert _chosen(policy, situation) == ["green"]
        assert _chosen(policy, _without(situation, "green")) == ["no_action"]

    def test_an_action_stands_for_its_treatments_which_share(self) -> None:
        engine = world.engine()
        policy = declared_baseline(Baseline(kind="best_fixed", arm="discount"), engine.arms, world.CATALOGUE.facts)
        requests = world.requests(300)
        situation = engine.situation(requests, engine.eligible(requests))

        p = policy.distribution(situation).probability

        at = [k for k, arm in enumerate(engine.arms) if arm.action.id == "discount"]
        has_all = situation.mask[:, at].all(axis=1)
        np.testing.assert_array_equal(p[has_all][:, at], 0.25)

    def test_campaigns_by_category_follow_each_other(self) -> None:
        baseline = parse(
            """
            kind = "segment_campaign"
            fact = "plan"
            [[campaigns]]
            starts = 1970-01-01T00:01:40Z
            offers = { basic = "red", gold = "blue" }
            [[campaigns]]
            starts = 1970-01-01T00:03:20Z
            offers = { basic = "green" }
            """,
            Baseline,
            where="policy.toml",
        )
        policy = declared_baseline(baseline, SHOP.arms, SHOP.facts)
        rows: list[dict[str, object]] = [{"plan": "basic"}, {"plan": "gold"}, {"plan": "other"}, {}]

        offers = {at: _chosen(policy, _situation(_engine(), rows, at=at)) for at in (99.0, 100.0, 199.0, 200.0)}

        assert offers[99.0] == ["no_action"] * 4
        assert offers[100.0] == offers[199.0] == ["red", "blue", "no_action", "no_action"]
        assert offers[200.0] == ["green", "no_action", "no_action", "no_action"]

    def test_campaigns_by_number(self) -> None:
        """Cut at 30 and 60, an edge belonging to the segment above it; unknown ages get nothing."""
        baseline = parse(
            'kind = "segment_campaign"\nfact = "age"\ncuts = [30.0, 60.0]\n[[campaigns]]\n'
            'starts = 1970-01-01T00:00:00Z\noffers = { "..30" = "red", "30..60" = "green", "60.." = "blue" }',
            Baseline,
            where="policy.toml",
        )
        policy = declared_baseline(baseline, SHOP.arms, SHOP.facts)
        rows: list[dict[str, object]] = [{"age": age} for age in (29.9, 30.0, 59.0, 60.0)] + [{}]

        assert _chosen(policy, _situation(_engine(), rows)) == ["red", "green", "green", "blue", "no_action"]

    @pytest.mark.parametrize(
        ("toml", "words"),
        [
            ('kind = "best_fixed"', 'baseline.arm: is missing for kind "best_fixed"'),
            (
                'kind = "best_fixed"\narm = "gren"',
                "baseline.arm: no such action; got 'gren'. Hint: did you mean \"green\"",
            ),
            ('kind = "ranking"\norder = ["red", "purple"]', "baseline.order: no such action; got 'purple'"),
            ('kind = "uniform"\narm = "red"', 'baseline.arm: has no effect on kind "uniform"; allowed: no key'),
            ('kind = "segment_campaign"\nfact = "plan"', "baseline.campaigns: is missing"),
            (
                'kind = "segment_campaign"\nfact = "pla"\n[[campaigns]]\nstarts = 2026-01-01\noffers = {}',
                "campaigns[0].starts",
            ),
            (
                'kind = "segment_campaign"\nfact = "pla"\n[[campaigns]]\nstarts = 2026-01-01T00:00:00Z\noffers = {}',
                "baseline.fact: no such fact; got 'pla'. Hint: did you mean \"plan\"",
            ),
            (
                'kind = "segment_campaign"\nfact = "owned"\n[[campaigns]]\nstarts = 2026-01-01T00:00:00Z\noffers = {}',
                "baseline.fact: cannot be cut into segments",
            ),
            (
                'kind = "segment_campaign"\nfact = "age"\n[[campaigns]]\nstarts = 2026-01-01T00:00:00Z\noffers = {}',
                "baseline.cuts: must be given and grow",
            ),
            (
                'kind = "segment_campaign"\nfact = "age"\ncuts = [3.0]\n[[campaigns]]\nstarts = 2026-01-01T00:00:00Z\n'
                'offers = {"..4" = "red"}',
                "no such segment; got '..4'; allowed: ..3, 3..",
            ),
        ],
    )
    def test_mistakes_are_named(self, toml: str, words: str) -> None:
        with pytest.raises(SettingsError) as caught:
            declared_baseline(parse(toml, Baseline, where="policy.toml: baseline"), SHOP.arms, SHOP.facts)

        assert words in str(caught.value)


class TestSegmentCampaign:
    def test_offers_are_chosen_again_when_a_period_is_over_and_not_before(self) -> None:
        """Blue earns among gold, red among basic; both are known after the first batch, and act from second 100 on."""
        engine = _engine()
        rows: list[dict[str, object]] = [{"plan": plan} for plan in ("basic", "gold") for _ in range(40)]
        policy = SegmentCampaign(
            CategorySegments("plan", ("basic", "gold")), SHOP.arms, start_s=0.0, period_s=100.0, prior=0.01
        )
        chosen = np.tile([0, 1, 2, 3], 20)
        best = np.repeat([COLUMN["red"], COLUMN["blue"]], 40)
        rewards = (chosen == best).astype(np.float64)
        ask = [{"plan": "basic"}, {"plan": "gold"}]

        policy.update(_situation(engine, rows, at=10.0), chosen, rewards)
        before = policy.distribution(_situation(engine, ask, at=20.0)).probability
        policy.update(_situation(engine, ask, at=99.0), np.array([0, 0]), np.zeros(2))
        still = policy.distribution(_situation(engine, ask, at=120.0)).probability
        policy.update(_situation(engine, ask, at=100.0), np.array([0, 0]), np.zeros(2))

        np.testing.assert_array_equal(before, 0.25)  # nothing was known when the first period began
        np.testing.assert_array_equal(still, before)
        assert _chosen(policy, _situation(engine, ask, at=100.0)) == ["red", "blue"]
        assert policy.offers.tolist()[:2] == [COLUMN["red"], COLUMN["blue"]]

    def test_k_means_finds_groups_that_are_there(self) -> None:
        """Three clouds of ages far apart: each row shares its segment with its cloud, whatever the start."""
        engine = _engine()
        ages = np.concatenate([rng_age + np.arange(20) / 100 for rng_age in (10.0, 50.0, 90.0)])
        situation = _situation(engine, [{"age": float(age)} for age in ages])
        found = []
        for seed in range(5):
            segments = NearestCentre.fit(situation, k=3, rng=np.random.default_rng(seed))
            of = segments.of(situation)
            found.append(len({tuple(of[i : i + 20]) for i in (0, 20, 40)}))
            assert len(segments.names) == 3
            assert set(of.tolist()) <= {0, 1, 2}

        assert 3 in found  # Lloyd's may stop at a poorer one from a poor start


class TestBetaThompson:
    def test_two_arms_against_the_closed_form(self) -> None:
        """P(Beta(8, 4) > Beta(3, 9)) by Evan Miller's sum over the first parameter."""
        a1, b1, a2, b2 = 3, 9, 8, 4
        exact = sum(
            float(np.exp(betaln(a1 + i, b1 + b2) - np.log(b2 + i) - betaln(1 + i, b2) - betaln(a1, b1)))
            for i in range(a2)
        )
        policy = BetaThompsonPolicy()
        situation = _without(_situation(_engine(), [{}]), "no_action", "blue")
        successes = [("red", a1 - 1, b1 - 1), ("green", a2 - 1, b2 - 1)]
        for arm, good, bad in successes:
            rows = _situation(_engine(), [{}] * (good + bad))
            policy.update(rows, np.full(good + bad, COLUMN[arm]), np.repeat([1.0, 0.0], [good, bad]))

        p = policy.distribution(situation).probability[0]

        assert p[COLUMN["green"]] == pytest.approx(exact, abs=1e-3)
        assert p[COLUMN["red"]] + p[COLUMN["green"]] == pytest.approx(1.0, abs=1e-12)

    def test_four_arms_against_draws(self) -> None:
        """200,000 draws of all rates, seed 8: within 5 standard errors and the grid's 1e-3."""
        policy, n = BetaThompsonPolicy(), {"no_action": (2, 50), "red": (5, 80), "green": (8, 90), "blue": (0, 4)}
        for arm, (good, bad) in n.items():
            rows = _situation(_engine(), [{}] * (good + bad))
            policy.update(rows, np.full(good + bad, COLUMN[arm]), np.repeat([1.0, 0.0], [good, bad]))
        rng = np.random.default_rng(8)
        draws = np.stack([rng.beta(1 + n[arm.id][0], 1 + n[arm.id][1], 200_000) for arm in SHOP.arms])

        p = policy.distribution(_situation(_engine(), [{}])).probability[0]

        wins = np.bincount(draws.argmax(axis=0), minlength=4) / 200_000
        assert (np.abs(p - wins) < 5 * np.sqrt(wins * (1 - wins) / 200_000) + 1e-3).all()

    def test_equal_counts_share_exactly(self) -> None:
        policy = BetaThompsonPolicy()
        rows = _situation(_engine(), [{}] * 8)
        policy.update(rows, np.array([1, 1, 2, 2, 3, 3, 3, 3]), np.array([1.0, 0, 0, 1, 0, 0, 0, 0]))

        p = policy.distribution(_situation(_engine(), [{}])).probability[0]

        assert p[COLUMN["red"]] == p[COLUMN["green"]] > p[COLUMN["blue"]]

    @pytest.mark.parametrize("reward", [1.5, -0.1, np.nan])
    def test_rewards_that_are_no_response_are_refused(self, reward: float) -> None:
        with pytest.raises(InputError, match=r"rewards\[1\]: is no response"):
            BetaThompsonPolicy().update(_situation(_engine(), [{}] * 2), np.array([0, 1]), np.array([1.0, reward]))


class TestLinear:
    def test_linucb_by_hand(self) -> None:
        """Age alone, ridge 1, alpha 1: after (x = (1, 2), r = 1) for red, A = [[2, 2], [2, 5]], theta = (1/6, 2/6)."""
        engine = world.engine(Policy(features=FeatureSettings(customer=("age",), channel=False)), SHOP)
        policy = LinUcbPolicy()
        policy.update(_situation(engine, [{"age": 2.0}]), np.array([COLUMN["red"]]), np.array([1.0]))

        made = policy.distribution(_situation(engine, [{"age": 1.0}]))

        inverse = np.linalg.inv([[2.0, 2.0], [2.0, 5.0]])
        x = np.array([1.0, 1.0])
        assert made.expected_reward[0, COLUMN["red"]] == pytest.approx(0.5)
        assert made.priority[0, COLUMN["red"]] == pytest.approx(0.5 + np.sqrt(x @ inverse @ x))
        np.testing.assert_allclose(made.priority[0, [0, 2, 3]], np.sqrt(2.0))
        np.testing.assert_allclose(made.probability[0], [1 / 3, 0.0, 1 / 3, 1 / 3], atol=1e-15)  # the untried tie

    def test_features_that_come_later_change_nothing_that_was_learned(self) -> None:
        """One batch or two, plans first seen in the second: the same bounds as a regression on all columns at once."""
        engine, rng = _engine(), np.random.default_rng(3)
        rows: list[dict[str, object]] = [{"age": float(a)} for a in rng.random(6)]
        rows += [{"age": float(a), "plan": p} for a, p in zip(rng.random(6), "abcabc", strict=True)]
        chosen, rewards = rng.integers(0, 4, 12), rng.random(12)
        once, twice = LinUcbPolicy(), LinUcbPolicy()
        once.update(_situation(engine, rows), chosen, rewards)
        twice.update(_situation(engine, rows[:6]), chosen[:6], rewards[:6])
        twice.update(_situation(engine, rows[6:]), chosen[6:], rewards[6:])
        ask = _situation(engine, [*rows, {"plan": "never seen", "age": 3.0}])

        np.testing.assert_allclose(
            twice.distribution(ask).priority, once.distribution(ask).priority, rtol=1e-9, atol=1e-12
        )

    def test_linear_thompson_follows_its_posterior(self) -> None:
        """Red's mean .8 and green's .3 with known spreads: shares of 4,000 draws against the normal difference."""
        engine = world.engine(Policy(features=FeatureSettings(channel=False)), SHOP)
        policy = LinearThompsonPolicy(world.SALT, draws=4_000, scale=1.0)
        n = 9
        for arm, rate in (("red", 0.8), ("green", 0.3)):
            policy.update(_situation(engine, [{}] * n), np.full(n, COLUMN[arm]), np.full(n, rate))
        situation = _without(_situation(engine, [{}]), "no_action", "blue")

        p = policy.distribution(situation).probability[0]

        exact = norm.cdf((0.8 - 0.3) * n / (n + 1) / np.sqrt(2 / (n + 1)))
        assert abs(p[COLUMN["red"]] - exact) < 4 * np.sqrt(exact * (1 - exact) / 4_000)
        np.testing.assert_allclose(p * 4_000, np.round(p * 4_000), atol=1e-9)  # a share of declared draws

    def test_draws_stand_still_until_the_arm_learns(self) -> None:
        engine, policy = _engine(), LinearThompsonPolicy(world.SALT)
        ask = _situation(engine, [{"age": 1.0, "plan": "a"}] * 3)
        policy.update(ask, np.array([0, 1, 2]), np.array([0.0, 1.0, 0.5]))
        first, second = policy.distribution(ask).probability, policy.distribution(ask).probability
        policy.update(ask, np.array([1, 1, 1]), np.array([0.0, 1.0, 0.5]))

        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(policy.distribution(ask).probability, first)

    @pytest.mark.parametrize("policy", [LinUcbPolicy(), LinearThompsonPolicy(world.SALT)])
    def test_rewards_must_be_finite(self, policy: LinUcbPolicy | LinearThompsonPolicy) -> None:
        with pytest.raises(InputError, match=r"rewards\[0\]: is not finite"):
            policy.update(_situation(_engine(), [{}]), np.array([0]), np.array([np.inf]))


@pytest.mark.parametrize(
    "new", [BetaThompsonPolicy, LinUcbPolicy, lambda: LinearThompsonPolicy(world.SALT)], ids=["beta", "ucb", "thompson"]
)
def test_learners_find_the_better_arm(new: type[BetaThompsonPolicy]) -> None:
    """Green responds to 60 %, the others to 20 %: after 30 batches of 50 it has most of the choices."""
    engine, policy, rng = _engine(), new(), np.random.default_rng(2)
    for _ in range(30):
        situation = _situation(engine, [{"plan": str(rng.choice(["a", "b"]))} for _ in range(50)])
        p = policy.distribution(situation).probability
        chosen = (p.cumsum(axis=1) > rng.random((50, 1))).argmax(axis=1)
        policy.update(situation, chosen, (rng.random(50) < np.where(chosen == 2, 0.6, 0.2)).astype(np.float64))

    assert policy.distribution(_situation(engine, [{"plan": "a"}])).probability[0, COLUMN["green"]] > 0.8
