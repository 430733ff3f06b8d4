"""Slates: what is logged for each place is what it was drawn from, proved by enumeration and by counting."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bandit_nba.catalogue import Action, Arm, Catalogue, Treatment
from bandit_nba.decide.batch import Decisions, Requests, Slate
from bandit_nba.decide.choice.explore import probabilities
from bandit_nba.decide.choice.sample import ARM, draw, uniforms
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.eligibility.exclusions import EVERYWHERE, FIRST_SLOT
from bandit_nba.decide.policy import Challenger, Exploration, Explorer, Mixture, Policy
from bandit_nba.decide.slates.slate import slates
from bandit_nba.decide.wanted import Slot, Wanted, ranking
from tests.decide import decide_world as world

KINDS = (
    Exploration(kind="squarecb", floor=0.05),
    Exploration(kind="epsilon_greedy", epsilon=0.3, floor=0.0),
    Exploration(kind="softmax", temperature=0.5, floor=0.02),
    Exploration(kind="uniform"),
)


def arms(*actions: Action) -> tuple[Arm, ...]:
    return Catalogue(facts={}, actions=actions).arms


def plain(n: int) -> tuple[Arm, ...]:
    """ "No action" and n - 1 others."""
    return arms(*(Action(id=f"a{i}", kind="offer", group="g") for i in range(1, n)))


def slots(*excluded: tuple[str, ...]) -> Wanted:
    return Wanted(kind="slots", slots=tuple(Slot(f"s{i}", names) for i, names in enumerate(excluded)))


class Tiny:
    """N decisions with the same priorities over a few arms; every probability can be worked out by hand."""

    def __init__(
        self, priority: list[float], wanted: Wanted, exploration: Exploration, *, rows: int, seed: int = 0
    ) -> None:
        self.arms = plain(len(priority))
        self.ids = [f"t{seed}-{i}" for i in range(rows)]
        self.priority = np.tile(np.array(priority), (rows, 1))
        self.exploration = exploration
        mask = np.ones((rows, len(priority)), dtype=np.bool_)
        first = self.again(np.arange(rows), mask)
        chosen = draw(first, uniforms(world.SALT, self.ids, purpose=ARM))
        self.slates = slates(
            self.ids,
            [wanted] * rows,
            self.arms,
            world.SALT,
            self.again,
            eligible=mask,
            expected_reward=self.priority,
            priority=self.priority,
            probability=first,
            chosen=chosen,
        )

    def again(self, rows: Ints, mask: Bools) -> Floats:
        known = np.where(mask, self.priority[rows], np.nan)
        return probabilities(known, mask, self.exploration, n=100, priority_range=1.0)

    def alone(self, left: set[int]) -> Floats:
        """The exploration over these arms as if there were no others."""
        at = sorted(left)
        p = np.zeros(len(self.arms))
        only = np.array([[self.priority[0, k] for k in at]])
        p[at] = probabilities(only, np.ones_like(only, dtype=np.bool_), self.exploration, n=100, priority_range=1.0)[0]
        return p


@pytest.mark.parametrize("exploration", KINDS, ids=lambda e: e.kind)
def test_every_ranking_has_the_probability_that_its_definition_gives(exploration: Exploration) -> None:
    """Enumeration: all 60 rankings of 3 out of 5 arms; logged conditionals equal the exploration on what is left."""
    tiny = Tiny([0.0, 0.3, 0.3, -0.2, 0.05], ranking(3), exploration, rows=4_000)
    of = {}
    for order in itertools.permutations(range(5), 3):
        left, p = set(range(5)), 1.0
        for k in order:
            p *= tiny.alone(left)[k]
            left.remove(k)
        of[order] = p

    assert sum(of.values()) == pytest.approx(1.0, abs=1e-12)
    for slate in tiny.slates.values():
        assert slate.propensity == pytest.approx(of[tuple(slate.chosen.tolist())], rel=1e-12)


@pytest.mark.parametrize("exploration", KINDS, ids=lambda e: e.kind)
def test_rankings_come_up_as_often_as_their_logged_propensity_says(exploration: Exploration) -> None:
    """Chi-squared over rankings expected at least 5 times in 40,000, the rest in one cell; false alarm 1e-4."""
    tiny = Tiny([0.0, 0.3, 0.1, -0.2], ranking(3), exploration, rows=40_000, seed=1)
    seen = Counter(tuple(s.chosen.tolist()) for s in tiny.slates.values())
    logged = {tuple(s.chosen.tolist()): s.propensity for s in tiny.slates.values()}

    often = [order for order, p in logged.items() if p * 40_000 >= 5.0]
    rest = 40_000 - sum(seen[order] for order in often)
    expected = [logged[order] * 40_000 for order in often]
    observed = [seen[order] for order in often]
    if 40_000 - sum(expected) >= 5.0:
        expected, observed = [*expected, 40_000 - sum(expected)], [*observed, rest]
    expected = [e * sum(observed) / sum(expected) for e in expected]
    assert stats.chisquare(observed, expected).pvalue > 1e-4


def test_slots_by_hand() -> None:
    """Uniform over "no action" and two offers, two slots, the second without a1.

    First slot 1/3 each. Second: after a1 {none, a2}, after a2 {none}, after none {none, a2}.
    """
    tiny = Tiny([0.0, 0.0, 0.0], slots((), ("a1",)), Exploration(kind="uniform"), rows=600)
    found = {tuple(s.chosen.tolist()): s.propensity for s in tiny.slates.values()}

    sixth, third = pytest.approx(1 / 6), pytest.approx(1 / 3)
    assert found == {(1, 0): sixth, (1, 2): sixth, (2, 0): third, (0, 0): sixth, (0, 2): sixth}


def test_no_action_ranks_once_and_a_ranking_ends_with_its_last_arm() -> None:
    tiny = Tiny([0.0, 0.1, 0.2], ranking(10), KINDS[0], rows=50)

    for slate in tiny.slates.values():
        assert sorted(slate.chosen.tolist()) == [0, 1, 2]
        assert (slate.asked, len(slate.slots)) == (10, 3)
        assert slate.conditionals[-1] == 1.0


def test_places_use_uniforms_of_their_own() -> None:
    """Given the first place, the second is drawn independently of it: all pairs as often as 1/4 x 1/3 of 24,000."""
    tiny = Tiny([0.0] * 4, ranking(2), Exploration(kind="uniform"), rows=24_000, seed=2)
    seen = Counter(tuple(s.chosen.tolist()) for s in tiny.slates.values())

    assert len(seen) == 12
    assert stats.chisquare(list(seen.values())).pvalue > 1e-4


def test_an_action_stands_in_one_slot_only_whatever_its_treatment() -> None:
    both = tuple(Treatment(id=t) for t in ("x", "y"))
    catalogue = Catalogue(facts={}, actions=(Action(id="a", kind="offer", group="g", treatments=both),))
    engine = world.engine(policy=Policy(exploration=Exploration(kind="uniform")), catalogue=catalogue)
    requests = _bare(400, slots((), ()))

    shown = [_names(d, s) for d in (engine.decide(requests, world.ExactModel()),) for s in d.slates.values()]
    assert {tuple(sorted(names)) for names in shown} == {
        ("a/x", "no_action"),
        ("a/y", "no_action"),
        ("no_action", "no_action"),
    }
    ranked = engine.decide(replace(requests, wanted=[ranking(3)] * 400), world.ExactModel())
    assert all(sorted(_names(ranked, s)) == ["a/x", "a/y", "no_action"] for s in ranked.slates.values())


class TestEngine:
    """The world's engine: rules, ragged sets, arbitration."""

    def decided(self, wanted: list[Wanted | None], *, seed: int = 0, **overrides: object) -> Decisions:
        requests = replace(world.requests(len(wanted), seed=seed), wanted=wanted)
        return world.engine(**overrides).decide(requests, world.ExactModel())

    def test_only_rows_that_want_a_slate_have_one_and_the_decision_is_its_first_place(self) -> None:
        got = self.decided([ranking(3), None, slots((), ()), Wanted(excluded=("tip1",))] * 50)

        assert sorted(got.slates) == [i for i in range(200) if i % 4 in (0, 2)]
        for i, slate in got.slates.items():
            assert slate.chosen[0] == got.chosen[i]
            assert slate.conditionals[0] == got.propensity[i]
            assert np.array_equal(slate.probability[0], got.probability[i])

    def test_what_others_want_changes_no_decision(self) -> None:
        plain_ = world.engine().decide(world.requests(100), world.ExactModel())
        got = self.decided([ranking(5) if i % 2 else None for i in range(100)])

        assert np.array_equal(got.chosen, plain_.chosen)
        assert np.array_equal(got.probability, plain_.probability)

    def test_a_row_alone_has_the_same_slate_bit_for_bit(self) -> None:
        wanted: list[Wanted | None] = [ranking(4), slots((), ("tip1",), ("fiber", "tv")), ranking(50)] * 7
        requests = replace(world.requests(21), wanted=wanted)
        engine = world.engine()
        whole = engine.decide(requests, world.ExactModel())

        for i in range(21):
            alone = engine.decide(requests.take(i, i + 1), world.ExactModel()).slates[0]
            assert np.array_equal(alone.chosen, whole.slates[i].chosen)
            assert np.array_equal(alone.probability, whole.slates[i].probability)

    def test_chunks_keep_slates_in_their_rows(self) -> None:
        wanted: list[Wanted | None] = [ranking(2) if i % 3 else None for i in range(100)]
        requests = replace(world.requests(100), wanted=wanted)
        engine = world.engine()
        whole = engine.decide(requests, world.ExactModel())
        engine.chunk_rows = 17
        cut = engine.decide(requests, world.ExactModel())

        assert sorted(cut.slates) == sorted(whole.slates)
        assert all(np.array_equal(cut.slates[i].chosen, slate.chosen) for i, slate in whole.slates.items())

    def test_no_place_holds_what_the_rules_or_the_request_take_out(self) -> None:
        excluding = replace(slots(("tip2",), (), ("tip3", "discount")), excluded=("tip1",))
        got = self.decided([excluding] * 500)

        for i, slate in got.slates.items():
            names = _names(got, slate)
            offered = [n for n in names if n != "no_action"]
            assert len(offered) == len(set(offered))
            assert "tip1" not in names
            assert names[0] != "tip2"
            assert names[2] != "tip3"
            assert not names[2].startswith("discount/")
            by_rules = got.eligibility.removed[i] > 0
            reasons = [got.eligibility.removals[c - 1] for c in got.eligibility.removed[i][by_rules]]
            ruled_out = {
                got.arms[k].id
                for k, removal in zip(np.flatnonzero(by_rules), reasons, strict=True)
                if removal.stage != "request"
            }
            assert not ruled_out & set(names)

    def test_exclusions_are_removals_with_a_reason_of_their_own(self) -> None:
        got = self.decided([replace(slots(("tip2",)), excluded=("tip1",))] * 20)
        said = {}
        for row in got.eligibility.removed:
            for k in np.flatnonzero(row):
                said.setdefault(got.arms[k].id, set()).add(got.eligibility.removals[row[k] - 1])

        assert EVERYWHERE in said["tip1"]
        assert FIRST_SLOT in said["tip2"]
        assert np.isnan(got.expected_reward[0, [a.id for a in got.arms].index("tip1")])

    def test_an_arm_kept_from_the_first_slot_alone_comes_into_later_ones(self) -> None:
        got = self.decided([slots(("tip2",), ())] * 2_000, kind="uniform")
        seconds = Counter(_names(got, slate)[1] for slate in got.slates.values())

        assert seconds["tip2"] > 0

    def test_rows_that_cannot_be_read_rank_safe_arms_only(self) -> None:
        requests = replace(world.requests(50, readable=0.0), wanted=[ranking(5)] * 50)
        got = world.engine().decide(requests, world.ExactModel())

        assert {name for s in got.slates.values() for name in _names(got, s)} == {"no_action", "bill_help", "tip1"}

    def test_the_fallback_fills_places_with_safe_arms(self) -> None:
        engine = world.engine()
        requests = replace(world.requests(60), wanted=[slots((), ("bill_help",)), ranking(9)] * 30)
        got = engine.fall_back(requests, engine.eligible(requests))

        assert {name for s in got.slates.values() for name in _names(got, s)} <= {"no_action", "bill_help", "tip1"}
        assert all(_names(got, s)[1] != "bill_help" for s in got.slates.values() if s.kind == "slots")
        nothing = engine.fall_back(requests, None)
        assert {name for s in nothing.slates.values() for name in _names(nothing, s)} == {"no_action"}


def _names(decisions: Decisions, slate: Slate) -> list[str]:
    return [decisions.arms[k].id if k >= 0 else "" for k in slate.chosen.tolist()]


def _bare(rows: int, wanted: Wanted) -> Requests:
    requests = world.requests(rows)
    return replace(requests, facts=replace(requests.facts, schema={}, columns={}), wanted=[wanted] * rows)


@pytest.mark.parametrize("control", [0.0, 0.3])
def test_places_of_a_mixture_are_drawn_from_the_mixture_over_what_is_left(control: float) -> None:
    """Each conditional is sum_c s_c p_c over the remaining arms: asked of the mixture itself with a smaller mask."""
    mixture = Mixture(
        experiment="e" if control else "",
        challengers=(Challenger(name="bold", share=0.3, exploration=Explorer(kind="uniform")),),
        baseline_share=0.2,
        control=control,
    )
    policy = Policy(features=world.POLICY.features, exploration=Exploration(floor=0.02), mixture=mixture)
    engine, model = world.engine(policy), world.ExactModel()
    requests = replace(world.requests(60), wanted=[ranking(3)] * 60)
    got = engine.decide(requests, model)
    whole = engine.eligible(requests)
    again = engine.acting(model).distribution(engine.situation(requests, whole)).again

    for i, slate in got.slates.items():
        left = whole.mask[i].copy()
        for place, k in enumerate(slate.chosen.tolist()):
            if place:
                expected = again(np.array([i]), left[None, :])[0]
                assert np.array_equal(slate.probability[place], expected)
                assert expected.sum() == pytest.approx(1.0)
            left[k] = False
