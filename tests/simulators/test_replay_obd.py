"""Replay by rejection: what is kept is what the policy would have met, by enumeration and by count."""

import numpy as np
import pytest

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.errors import InputError, RefusedError
from simulators.replay_obd import Decide, LoggedImpressions, ReplayObd


def every_case() -> LoggedImpressions:
    """Each (context, item) of 2 x 3 exactly once: item 1 is clicked in context 0, item 2 in context 1."""
    contexts = np.repeat(np.array([[0.0], [1.0]]), 3, axis=0)
    item = np.tile(np.arange(3), 2)
    click = (item == 1 + contexts[:, 0]).astype(np.float64)
    return LoggedImpressions(contexts, item, click, np.full(6, 1 / 3), 3)


def always(which: int) -> Decide:
    def decide(contexts: Floats, _: np.random.Generator) -> Ints:
        return np.full(len(contexts), which, dtype=np.int64)

    return decide


def test_a_deterministic_policy_gets_its_exact_value_when_every_case_is_logged_once() -> None:
    """By enumeration: always item 1 is clicked in one of two contexts; the policy that knows, in both."""
    world = ReplayObd(every_case())
    rng = np.random.default_rng(0)

    assert world.play(always(1), rng=rng).value == 0.5
    assert world.play(lambda x, _: (1 + x[:, 0]).astype(np.int64), rng=rng).value == 1.0
    assert world.play(always(0), rng=rng).value == 0.0
    assert world.play(always(0), rng=rng).rate == pytest.approx(1 / 3)


def test_a_learner_is_told_only_of_what_it_chose() -> None:
    told: list[Ints] = []
    ReplayObd(every_case()).play(
        always(2), rng=np.random.default_rng(0), learn=lambda _x, item, _y: told.append(item), batch=2
    )

    assert set(np.concatenate(told).tolist()) == {2}


def test_random_policies_keep_one_in_k_and_meet_the_mean_click_rate() -> None:
    """30,000 impressions, 5 items: kept 1/5 and clicked .2 within 5 standard errors (seed 4, error rate 1e-6)."""
    rng = np.random.default_rng(4)
    n, k = 30_000, 5
    item = rng.integers(0, k, n)
    click = (rng.random(n) < 0.2).astype(np.float64)
    log = LoggedImpressions(rng.random((n, 2)), item, click, np.full(n, 1 / k), k)
    found = ReplayObd(log).play(lambda x, r: r.integers(0, k, len(x)), rng=rng)

    assert abs(found.rate - 0.2) < 5 * np.sqrt(0.2 * 0.8 / n)
    assert abs(found.value - 0.2) < 5 * np.sqrt(0.2 * 0.8 / len(found.kept))


def test_a_log_that_is_not_uniform_is_refused() -> None:
    log = every_case()
    skewed = LoggedImpressions(log.contexts, log.item, log.click, np.array([0.5, 0.25, 0.25] * 2), 3)

    with pytest.raises(InputError, match="not uniform"):
        ReplayObd(skewed)


def test_nothing_kept_has_no_value() -> None:
    empty = LoggedImpressions(np.empty((0, 1)), np.empty(0, dtype=np.int64), np.empty(0), np.empty(0), 3)

    with pytest.raises(RefusedError, match="no impression"):
        _ = ReplayObd(empty).play(always(0), rng=np.random.default_rng(0)).value


def test_a_policy_decides_once_for_each_context() -> None:
    """Otherwise numpy would hold one answer against every impression."""
    world = ReplayObd(every_case())
    with pytest.raises(InputError, match=r"decide: has another shape; got \(1,\); allowed: one item for each context"):
        world.play(lambda _x, _r: np.array([0]), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="batch: is out of range; got 0"):
        world.play(always(0), rng=np.random.default_rng(0), batch=0)
