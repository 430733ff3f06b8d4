"""Journeys: exact by enumeration, refused where nothing is left, and the trap of component propensities."""

import itertools

import numpy as np
import pytest

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.journeys import component_weights, estimate_journeys, step_ess
from bandit_nba.evaluate.unseen import unseen_variance

# A process of two steps: states 0/1, actions 0/1; the reward and the next state depend on both.
LOGGING = np.array([[0.3, 0.7], [0.6, 0.4]])  # by state
POLICY = np.array([[0.8, 0.2], [0.1, 0.9]])
GOOD = np.array([[0.2, 0.7], [0.5, 0.9]])  # chance of reward 1 by state and action
STAYS_UP = np.array([[0.4, 0.8], [0.9, 0.1]])  # chance that the next state is 1
DISCOUNT = 0.9
MODEL_Q = np.array([[[0.3, 0.9], [0.2, 0.8]], [[0.5, 0.5], [0.1, 0.6]]])  # wrong on purpose, by step, state, action


def every_journey():
    for a0, r0, s1, a1, r1 in itertools.product((0, 1), repeat=5):
        up = STAYS_UP[0, a0]
        chance = (
            LOGGING[0, a0]
            * (GOOD[0, a0] if r0 else 1 - GOOD[0, a0])
            * (up if s1 else 1 - up)
            * LOGGING[s1, a1]
            * (GOOD[s1, a1] if r1 else 1 - GOOD[s1, a1])
        )
        yield chance, (0, s1), (a0, a1), (float(r0), float(r1))


def truth():
    value = 0.0
    for a0, s1, a1 in itertools.product((0, 1), repeat=3):
        up = STAYS_UP[0, a0]
        chance = POLICY[0, a0] * (up if s1 else 1 - up) * POLICY[s1, a1]
        value += chance * (GOOD[0, a0] + DISCOUNT * GOOD[s1, a1])
    return value


@pytest.mark.parametrize("estimator", ["pdis", "dr"])
def test_unbiased_by_full_enumeration(estimator):
    # two copies of every journey with one step each way; the estimate is linear in journeys, so one by one will do
    expected = total = 0.0
    for chance, states, actions, rewards in every_journey():
        weights = [POLICY[s, a] / LOGGING[s, a] for s, a in zip(states, actions, strict=True)]
        q = [MODEL_Q[t][s, a] for t, (s, a) in enumerate(zip(states, actions, strict=True))]
        v = [float(POLICY[s] @ MODEL_Q[t][s]) for t, s in enumerate(states)]
        found = estimate_journeys(
            weights * 2,
            rewards * 2,
            journeys=[0, 0, 1, 1],
            steps=[0, 1, 0, 1],
            horizon=2,
            discount=DISCOUNT,
            q_logged=q * 2,
            q_policy=v * 2,
            estimator=estimator,
            ess_floor=0,
        )
        expected, total = expected + chance * found.estimate.value, total + chance

    assert total == pytest.approx(1.0, abs=1e-12)
    assert expected == pytest.approx(truth(), abs=1e-12)


def simulated(n, seed=0):
    rng = np.random.default_rng(seed)
    s0 = np.zeros(n, dtype=int)
    a0 = (rng.random(n) < LOGGING[s0, 1]).astype(int)
    s1 = (rng.random(n) < STAYS_UP[s0, a0]).astype(int)
    a1 = (rng.random(n) < LOGGING[s1, 1]).astype(int)
    states, actions = np.column_stack([s0, s1]), np.column_stack([a0, a1])
    rewards = (rng.random((n, 2)) < GOOD[states, actions]).astype(float)
    weights = POLICY[states, actions] / LOGGING[states, actions]
    q = np.column_stack([MODEL_Q[t][states[:, t], actions[:, t]] for t in range(2)])
    v = np.column_stack([(POLICY[states[:, t]] * MODEL_Q[t][states[:, t]]).sum(axis=1) for t in range(2)])
    flat = {"journeys": np.repeat(np.arange(n), 2), "steps": np.tile([0, 1], n)}
    return weights.ravel(), rewards.ravel(), {**flat, "q_logged": q.ravel(), "q_policy": v.ravel()}


@pytest.mark.parametrize("estimator", ["pdis", "wpdis", "dr"])
def test_intervals_miss_five_percent(estimator):
    # 200 seeds: between 1 and 22 misses with chance .999
    misses = 0
    for seed in range(200):
        weights, rewards, columns = simulated(1000, seed)
        found = estimate_journeys(
            weights, rewards, **columns, horizon=2, discount=DISCOUNT, estimator=estimator, ess_floor=100
        ).estimate
        misses += not found.low <= truth() <= found.high

    assert 1 <= misses <= 22


def test_intervals_agree():
    weights, rewards, columns = simulated(4000)

    found = {
        name: estimate_journeys(weights, rewards, **columns, horizon=2, interval=name).estimate
        for name in ("gaussian", "student_t", "bootstrap")
    }

    assert found["student_t"].half_width == pytest.approx(found["gaussian"].half_width, rel=1e-3)
    assert found["bootstrap"].half_width == pytest.approx(found["gaussian"].half_width, rel=0.1)
    assert found["gaussian"].n == 4000


def test_weighted_pdis_by_hand():
    # step 0: weights 2, 1; rewards 1, 0: 2/3. step 1: products 2*.5 = 1, 1*3 = 3; rewards 0, 1: 3/4. g = 1
    found = estimate_journeys(
        [2.0, 0.5, 1.0, 3.0], [1, 0, 0, 1], journeys=["a", "a", "b", "b"], steps=[0, 1, 0, 1], horizon=2, ess_floor=0
    )

    assert found.estimate.value == pytest.approx(2 / 3 + 3 / 4, abs=1e-12)
    assert found.ess_per_step == pytest.approx((9 / 5, 16 / 10), abs=1e-12)


def test_rows_in_any_order_and_short_journeys():
    # journey b ends after one step: it keeps its weight and earns nothing
    straight = estimate_journeys(
        [2.0, 0.5, 1.0], [1, 1, 1], journeys=[1, 1, 2], steps=[0, 1, 0], horizon=2, ess_floor=0, estimator="pdis"
    )
    mixed = estimate_journeys(
        [0.5, 1.0, 2.0], [1, 1, 1], journeys=[1, 2, 1], steps=[1, 0, 0], horizon=2, ess_floor=0, estimator="pdis"
    )

    assert straight.estimate.value == pytest.approx((2 + 1 + 1) / 2, abs=1e-12)
    assert mixed.estimate.value == pytest.approx(straight.estimate.value, abs=1e-12)


def test_a_horizon_without_effective_journeys_is_refused_with_the_one_that_works():
    # 4 arms, uniform log, epsilon .1 greedy policy: ESS falls by about 3 each step
    rng = np.random.default_rng(0)
    n, horizon = 4000, 5
    weights = np.where(rng.random((n, horizon)) < 0.25, 4 * 0.925, 4 * 0.025)
    columns = {"journeys": np.repeat(np.arange(n), horizon), "steps": np.tile(np.arange(horizon), n)}

    with pytest.raises(RefusedError, match="effective journeys") as caught:
        estimate_journeys(weights.ravel(), np.zeros(n * horizon), **columns, horizon=horizon)
    ess = step_ess(np.cumprod(weights, axis=1))
    allowed = int(np.argmax(ess < 200))
    found = estimate_journeys(weights.ravel(), np.zeros(n * horizon), **columns, horizon=allowed)

    assert 1 < allowed < horizon
    assert f"up to {allowed} steps" in caught.value.allowed
    assert min(found.ess_per_step) >= 200


def test_horizons_beyond_the_proved_ones_are_refused_whatever_the_log():
    n, horizon = 1000, 6
    columns = {"journeys": np.repeat(np.arange(n), horizon), "steps": np.tile(np.arange(horizon), n)}

    with pytest.raises(RefusedError, match="proved that far") as caught:
        estimate_journeys(np.ones(n * horizon), np.zeros(n * horizon), **columns, horizon=horizon)
    found = estimate_journeys(np.ones(n * horizon), np.zeros(n * horizon), **columns, horizon=horizon, longest=6)

    assert caught.value.allowed == "up to 5 steps"
    assert "simulator" in caught.value.hint
    assert found.ess_per_step == (1000.0,) * 6


def test_weights_that_do_not_average_one_are_refused_with_the_step_from_which():
    # the policy always plays an arm that the log plays in half of the journeys; its largest weights are missing at
    # step 1: means 1 and .8, the second 9 standard errors off (sd of 0 or 1.6: .8; .2 / (.8 / sqrt(1600)) = 10)
    n = 1600
    weights = np.column_stack([np.tile([2.0, 0.0], n // 2), np.tile([1.6, 0.0], n // 2)])
    flat = {"journeys": np.repeat(np.arange(n), 2), "steps": np.tile([0, 1], n)}
    cumulated = np.column_stack(
        [weights[:, 0], np.divide(weights[:, 1], weights[:, 0], where=weights[:, 0] > 0, out=np.ones(n))]
    )

    with pytest.raises(RefusedError, match=r"at step 1 the mean weight of a journey is 0\.8 .*z = -10\.0") as caught:
        estimate_journeys(cumulated.ravel(), np.ones(2 * n), **flat, horizon=2)

    assert caught.value.allowed == "up to 1 steps"
    assert estimate_journeys(cumulated.ravel(), np.ones(2 * n), **flat, horizon=1).estimate.value == 1.0


def test_components_per_customer_by_full_enumeration():
    # two components, each customer keeps one; actions 0/1 at two steps; the policy always plays 1, reward at the end
    # when both were 1: truth 1 * 1 = 1 for the product of the policy
    shares = np.array([0.5, 0.5])
    components = np.array([0.9, 0.1])  # chance of action 1
    right = wrong = 0.0
    for k, a0, a1 in itertools.product((0, 1), repeat=3):
        p = [components[k] if a else 1 - components[k] for a in (a0, a1)]
        chance = shares[k] * p[0] * p[1]
        policy = np.array([[float(a0 == 1), float(a1 == 1)]])
        mu = np.array([[[c if a else 1 - c for c in components] for a in (a0, a1)]])
        reward = float(a0 == 1 and a1 == 1)
        right += chance * component_weights(policy, mu, shares)[0, -1] * reward
        wrong += chance * float(np.prod(policy / (mu @ shares))) * reward

    assert right == pytest.approx(1.0, abs=1e-12)
    assert wrong == pytest.approx(1.64, abs=1e-12)  # (.5 * .81 + .5 * .01) / .25: the tempting product is wrong


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": [0, 2]}, "steps are not 0, 1, 2"),
        ({"steps": [0, 0]}, "same step twice"),
        ({"steps": [0, 0.5]}, "steps are not"),
        ({"horizon": 0}, "no step counts"),
        ({"discount": 0.0}, "discount"),
        ({"estimator": "dr"}, "dr needs expected rewards"),
        ({"estimator": "ips"}, "no such estimator"),
        ({"interval": "hoeffding"}, "no such interval"),
    ],
)
def test_wrong_input_is_refused(changes, message):
    options = {"journeys": [1, 1], "steps": [0, 1], "horizon": 2, "ess_floor": 0, **changes}
    with pytest.raises(InputError, match=message):
        estimate_journeys([1.0, 1.0], [1.0, 0.0], **options)


def test_what_heavy_weights_did_not_show_widens_the_interval():
    """One step, pdis, by hand: 8 journeys of weight 1/2, of which 4 earn 1; 1 of weight 4 that earns nothing.

    Under the judged policy the mean of r^2 is (4 x 1/2) / 8 = 1/4, and sum w^2 = 8/4 + 16 = 18, so that w^2 r^2 should
    sum to 4.5; seen are 4/4 = 1. Added to the variance: 3.5 / 9^2.
    """
    weights, rewards = np.array([0.5] * 8 + [4.0]), np.array([1.0] * 4 + [0.0] * 5)

    assert unseen_variance(weights[:, None], rewards[:, None], np.array([1 / 9])) == pytest.approx(3.5 / 81)
    # all that is heavy earned: nothing is unseen
    assert unseen_variance(weights[:, None], np.array([0.0] * 8 + [1.0])[:, None], np.array([1 / 9])) == 0.0


@pytest.mark.parametrize("estimator", ["pdis", "wpdis", "dr"])
def test_journeys_without_a_reward_under_heavy_weights_are_known_little_of(estimator):
    """60 of 10,000 have weight 85 and no reward, others .49 and 8 %: known to sqrt(.08 x .92 / ESS), not better."""
    n, heavy = 10_000, 60
    weights = np.full(n, (n - 85.0 * heavy) / (n - heavy))
    weights[:heavy] = 85.0
    rewards = np.zeros(n)
    rewards[heavy::13] = 1.0
    flat = {"journeys": np.arange(n), "steps": np.zeros(n), "horizon": 1, "ess_floor": 150, "estimator": estimator}
    model = {"q_logged": np.zeros(n), "q_policy": np.zeros(n)}

    found = estimate_journeys(weights, rewards, **flat, **model)
    plain = estimate_journeys(weights, rewards, **flat, **model, interval="gaussian").estimate
    p = plain.value
    known_to = 1.96 * np.sqrt(p * (1 - p) / found.ess_per_step[0])

    assert plain.half_width < 0.3 * known_to
    assert 0.95 * known_to < found.estimate.half_width < 1.3 * known_to


def test_what_a_model_explains_is_not_unseen():
    """Where q = r + .5 v' exactly, dr is the mean of v at step 0: only its spread counts, whatever the weights.

    v' is 0 under the heavy weights of step 0: another discount than .5 would leave something unseen there.
    """
    rng = np.random.default_rng(3)
    n = 4_000
    rewards, v = rng.random((n, 2)), rng.random((n, 2))
    weights = rng.choice([0.5, 5.5], p=[0.9, 0.1], size=(n, 2))
    v[:, 1] *= weights[:, 0] < 1
    q = np.column_stack([rewards[:, 0] + 0.5 * v[:, 1], rewards[:, 1]])
    flat = {"journeys": np.repeat(np.arange(n), 2), "steps": np.tile([0, 1], n), "horizon": 2, "discount": 0.5}

    found = estimate_journeys(
        weights.ravel(), rewards.ravel(), **flat, q_logged=q.ravel(), q_policy=v.ravel(), estimator="dr", ess_floor=100
    ).estimate

    assert found.value == pytest.approx(v[:, 0].mean(), abs=1e-9)
    assert found.half_width == pytest.approx(1.96 * v[:, 0].std() / np.sqrt(n), rel=0.01)
