"""Exploration against hand-computed rows, Vowpal Wabbit's own explorers, and the contract of every kind."""

from itertools import product

import numpy as np
import pytest
import vowpal_wabbit_next as vw
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_nba.decide.choice.explore import full_support, probabilities, share_explored, squarecb_gamma
from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.decide.policy import Exploration

KINDS = ("greedy", "epsilon_greedy", "epsilon_decay", "softmax", "squarecb", "thompson", "uniform")
EVERY = [
    Exploration(kind=kind, epsilon=epsilon, floor=floor)  # type: ignore[arg-type]  # the literals of KINDS
    for kind, epsilon, floor in product(KINDS, (0.0, 0.05, 1.0), (0.0, 0.05, 1.0))
]


def _row(*priority: float, exploration: Exploration, n: int = 100, priority_range: float = 1.0) -> list[float]:
    row = np.array([priority])
    return probabilities(row, ~np.isnan(row), exploration, n=n, priority_range=priority_range)[0].tolist()


def _ragged(rng: np.random.Generator, *, rows: int, arms: int) -> tuple[Floats, Bools]:
    """Priorities with ties (two decimals), infinitesimal and huge gaps, and rows of every number of eligible arms."""
    priority = rng.normal(size=(rows, arms)).round(2) * 10.0 ** rng.integers(-12, 9, size=(rows, 1))
    mask = rng.random((rows, arms)) < rng.random((rows, 1))
    mask[:, 0] = True
    priority[~mask] = np.nan
    return priority, mask


class TestByHand:
    def test_greedy_takes_the_best(self) -> None:
        assert _row(0.0, 0.3, 0.1, exploration=Exploration(kind="greedy", floor=0.0)) == [0.0, 1.0, 0.0]

    def test_epsilon_is_spread_over_all_eligible_arms(self) -> None:
        got = _row(0.0, 0.3, np.nan, 0.1, exploration=Exploration(kind="epsilon_greedy", epsilon=0.3, floor=0.0))

        np.testing.assert_allclose(got, [0.1, 0.8, 0.0, 0.1], atol=1e-15)

    def test_squarecb(self) -> None:
        """scale 10, n 100, exponent .5: gamma 100; gaps .3 and .1 of range 2: 1/(3+15), 1/(3+5), the rest 59/72."""
        got = _row(0.0, 0.3, 0.2, exploration=Exploration(floor=0.0), n=100, priority_range=2.0)

        np.testing.assert_allclose(got, [1 / 18, 59 / 72, 1 / 8], atol=1e-15)

    def test_the_floor_is_mixed_in_last(self) -> None:
        """The row above under f = .1: .9 p + .1 / 3."""
        got = _row(0.0, 0.3, 0.2, exploration=Exploration(floor=0.1), n=100, priority_range=2.0)

        np.testing.assert_allclose(got, [0.05 + 1 / 30, 0.7375 + 1 / 30, 0.1125 + 1 / 30], atol=1e-15)

    def test_epsilon_and_floor_together(self) -> None:
        """epsilon .2 gives (.1, .9), floor .1 then (.14, .86)."""
        got = _row(0.0, 0.3, exploration=Exploration(kind="epsilon_greedy", epsilon=0.2, floor=0.1))

        np.testing.assert_allclose(got, [0.14, 0.86], atol=1e-15)

    def test_ties_at_the_best_share_the_rest_equally(self) -> None:
        """Greedy (0, 1/2, 1/2); SquareCB with gamma 100: 1/(3+30), and the two best (1 - 1/33) / 2."""
        assert _row(0.0, 0.3, 0.3, exploration=Exploration(kind="greedy", floor=0.0)) == [0.0, 0.5, 0.5]
        np.testing.assert_allclose(
            _row(0.0, 0.3, 0.3, exploration=Exploration(floor=0.0)), [1 / 33, 16 / 33, 16 / 33], atol=1e-15
        )

    def test_epsilon_halves_with_what_was_learned(self) -> None:
        """epsilon .2, half_life 100: .2 before any example, .1 after 100, .05 after 300."""
        decay = Exploration(kind="epsilon_decay", epsilon=0.2, half_life=100.0, floor=0.0)

        assert [share_explored(decay, n=n) for n in (0, 100, 300)] == pytest.approx([0.2, 0.1, 0.05])
        np.testing.assert_allclose(_row(0.0, 0.3, exploration=decay, n=300), [0.025, 0.975], atol=1e-15)

    def test_softmax(self) -> None:
        """Temperature .5 of a range of 2: gaps .3 and .1 give e^-.3 and e^-.1 beside 1."""
        soft = Exploration(kind="softmax", temperature=0.5, floor=0.0)
        weights = np.exp([-0.3, 0.0, -0.1])

        got = _row(0.0, 0.3, 0.2, np.nan, exploration=soft, priority_range=2.0)

        np.testing.assert_allclose(got, [*(weights / weights.sum()), 0.0], atol=1e-15)

    def test_softmax_with_a_floor(self) -> None:
        soft = Exploration(kind="softmax", temperature=0.1, floor=0.2)
        weights = np.exp([-3.0, 0.0, 0.0])

        got = _row(0.0, 0.3, 0.3, exploration=soft)

        np.testing.assert_allclose(got, 0.8 * weights / weights.sum() + 0.2 / 3, atol=1e-15)

    @pytest.mark.parametrize("temperature", [1e-300, 1e-9, 1e9])
    @pytest.mark.parametrize("size", [1e-300, 1.0, 1e300])
    def test_softmax_of_any_size_stays_a_distribution(self, temperature: float, size: float) -> None:
        soft = Exploration(kind="softmax", temperature=temperature, floor=0.0)

        got = _row(0.0, size, -size, size / 2, exploration=soft)

        assert np.isfinite(got).all()
        assert sum(got) == pytest.approx(1.0, abs=1e-12)
        assert max(got) == got[1]

    def test_thompson_is_the_share_of_members_that_prefer_an_arm(self) -> None:
        """Four members: one for the first arm, two for the last, one torn between the last two; floor .1 on top."""
        members = np.array([[[3.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]], [[0.0, 1.0, 5.0]], [[0.0, 4.0, 4.0]]])
        for floor in (0.0, 0.1):
            thompson = Exploration(kind="thompson", floor=floor)

            got = probabilities(
                members.mean(axis=0), np.ones((1, 3), dtype=bool), thompson, n=1, priority_range=1.0, members=members
            )

            shares = np.array([0.25, 0.125, 0.625])
            np.testing.assert_allclose(got[0], (1 - floor) * shares + floor / 3, atol=1e-15)

    def test_thompson_with_one_model_is_greedy(self) -> None:
        assert _row(0.0, 0.3, 0.3, exploration=Exploration(kind="thompson", floor=0.0)) == [0.0, 0.5, 0.5]

    @pytest.mark.parametrize("kind", KINDS)
    def test_before_any_model_all_tie_and_share_equally(self, kind: str) -> None:
        exploration = Exploration(kind=kind)  # type: ignore[arg-type]  # a literal of KINDS

        np.testing.assert_allclose(_row(0.0, 0.0, np.nan, 0.0, exploration=exploration), [1 / 3, 1 / 3, 0, 1 / 3])

    def test_gamma_counts_from_one(self) -> None:
        assert squarecb_gamma(Exploration(scale=10.0, exponent=0.5), n=0) == 10.0
        assert squarecb_gamma(Exploration(scale=10.0, exponent=0.5), n=400) == 200.0

    def test_cents_explore_as_euros_do(self) -> None:
        """Priorities in cents with their range in cents give the probabilities of euros with their range in euros."""
        euros = _row(0.0, 3.0, 2.5, exploration=Exploration(), priority_range=5.0)
        cents = _row(0.0, 300.0, 250.0, exploration=Exploration(), priority_range=500.0)

        np.testing.assert_allclose(cents, euros, rtol=1e-12)


@pytest.mark.parametrize("exploration", EVERY, ids=lambda e: f"{e.kind}-epsilon{e.epsilon}-floor{e.floor}")
class TestContract:
    """Holds for every kind, epsilon and floor."""

    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), arms=st.integers(1, 40), n=st.sampled_from([0, 1, 1000, 10**12]))
    def test_a_distribution_over_the_eligible_arms(
        self, exploration: Exploration, seed: int, arms: int, n: int
    ) -> None:
        priority, mask = _ragged(np.random.default_rng(seed), rows=30, arms=arms)

        p = probabilities(priority, mask, exploration, n=n, priority_range=0.5)

        np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        assert (p[~mask] == 0.0).all()
        assert (p[mask] >= 0.0).all()
        if full_support(exploration):
            assert (p[mask] > 0.0).all()

    def test_lack_of_support_is_declared(self, exploration: Exploration) -> None:
        priority, mask = _ragged(np.random.default_rng(1), rows=300, arms=5)

        p = probabilities(priority, mask, exploration, n=100, priority_range=1e-9)

        assert (p[mask] > 0.0).all() == full_support(exploration)

    def test_no_eligible_arm_falls_below_the_floor(self, exploration: Exploration) -> None:
        priority, mask = _ragged(np.random.default_rng(2), rows=300, arms=20)

        p = probabilities(priority, mask, exploration, n=10**6, priority_range=0.1)

        bound = exploration.floor / np.broadcast_to(mask.sum(axis=1, keepdims=True), mask.shape)
        assert (p[mask] >= bound[mask] * (1 - 1e-12)).all()

    def test_a_higher_priority_never_has_a_lower_probability(self, exploration: Exploration) -> None:
        priority, mask = _ragged(np.random.default_rng(3), rows=200, arms=12)

        p = probabilities(priority, mask, exploration, n=50, priority_range=1.0)

        order = np.argsort(np.where(mask, priority, -np.inf), axis=1)
        assert (np.diff(np.take_along_axis(p, order, axis=1), axis=1) >= -1e-15).all()

    def test_equal_priorities_have_equal_probabilities(self, exploration: Exploration) -> None:
        priority, mask = _ragged(np.random.default_rng(4), rows=200, arms=30)

        p = probabilities(priority, mask, exploration, n=50, priority_range=1.0)

        same = priority[:, :, None] == priority[:, None, :]
        assert (np.abs(p[:, :, None] - p[:, None, :])[same] == 0.0).all()
        assert same.sum() > mask.sum()  # there are ties beside each arm with itself

    def test_a_row_does_not_depend_on_its_batch(self, exploration: Exploration) -> None:
        priority, mask = _ragged(np.random.default_rng(5), rows=257, arms=33)
        whole = probabilities(priority, mask, exploration, n=50, priority_range=1.0)

        ones = [
            probabilities(priority[i : i + 1], mask[i : i + 1], exploration, n=50, priority_range=1.0)
            for i in range(257)
        ]
        columns = probabilities(
            np.asfortranarray(priority), np.asfortranarray(mask), exploration, n=50, priority_range=1.0
        )

        np.testing.assert_array_equal(np.concatenate(ones), whole)
        np.testing.assert_array_equal(columns, whole)

    def test_the_inputs_are_left_alone(self, exploration: Exploration) -> None:
        priority, mask = _ragged(np.random.default_rng(6), rows=5, arms=4)
        before, allowed = priority.copy(), mask.copy()

        probabilities(priority, mask, exploration, n=50, priority_range=1.0)

        np.testing.assert_array_equal(priority, before)
        np.testing.assert_array_equal(mask, allowed)

    def test_only_no_action(self, exploration: Exploration) -> None:
        assert _row(0.0, np.nan, np.nan, exploration=exploration) == [1.0, 0.0, 0.0]
        assert _row(0.0, exploration=exploration) == [1.0]

    def test_five_thousand_arms(self, exploration: Exploration) -> None:
        priority, mask = _ragged(np.random.default_rng(7), rows=8, arms=5000)

        p = probabilities(priority, mask, exploration, n=10**5, priority_range=1.0)

        np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=0, atol=1e-12)


class TestVowpalWabbit:
    """VW's own explorers, asked with the same scores: costs are minus expected rewards, the range is 1."""

    @pytest.mark.parametrize(("scale", "exponent"), [(10.0, 0.5), (30.0, 0.6), (1000.0, 0.0)])
    def test_squarecb(self, scale: float, exponent: float) -> None:
        options = ["--squarecb", "--gamma_scale", str(scale), "--gamma_exponent", str(exponent)]
        exploration = Exploration(kind="squarecb", scale=scale, exponent=exponent, floor=0.0)

        _same_as_vw(options, exploration)

    @pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.7])
    def test_epsilon_greedy(self, epsilon: float) -> None:
        exploration = Exploration(kind="epsilon_greedy", epsilon=epsilon, floor=0.0)

        _same_as_vw(["--epsilon", str(epsilon)], exploration)


def _same_as_vw(options: list[str], exploration: Exploration) -> None:
    """VW learns 200 events and tells its distributions; ours, from its weights and its count, agree to 1e-6.

    The scores are read from the explorer's own weights: two workspaces with other options learn other weights.
    """
    rng = np.random.default_rng(20)
    base = ["--cb_explore_adf", *options, "--cb_type", "mtr", "--noconstant", "-b", "12", "--quiet"]
    workspace = vw.Workspace(base)
    parser = vw.TextFormatParser(workspace)

    def example(arms: list[int], label: str = "", at: int = -1) -> list[vw.Example]:
        lines = [f"{label if k == at else ''}|A a{arm} g{arm % 3}" for k, arm in enumerate(arms)]
        return [parser.parse_line(line) for line in lines]

    compared = 0
    for n in range(1, 201):
        arms = rng.permutation(12)[: rng.integers(1, 13)].tolist()
        at = int(rng.integers(len(arms)))
        cost = -float(rng.random() < 0.1 + 0.05 * arms[at])
        workspace.learn_one(example(arms, f"0:{cost}:0.5 ", at))
        if n % 10:
            continue
        weights = workspace.weights()[:, 0, 0]
        index = [
            [workspace.get_index_for_scalar_feature(t, namespace_name="A") for t in (f"a{a}", f"g{a % 3}")]
            for a in arms
        ]
        reward = -weights[np.array(index)].sum(axis=1).astype(np.float64)[None, :]  # summed in float32, as VW does
        if (reward == reward.max()).sum() > 1:
            continue  # VW gives a tie to one arm, we share it
        theirs = [chance for _, chance in sorted(workspace.predict_one(example(arms)))]
        ours = probabilities(reward, np.ones(reward.shape, dtype=bool), exploration, n=n, priority_range=1.0)
        np.testing.assert_allclose(ours[0], theirs, rtol=0, atol=1e-6)
        compared += 1

    assert compared >= 15
