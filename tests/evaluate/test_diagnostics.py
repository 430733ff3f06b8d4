"""Every check speaks when its fault is planted, stays silent when not, and says what to do."""

import numpy as np
import pytest

from bandit_nba.errors import InputError
from bandit_nba.evaluate import Estimate, estimate
from bandit_nba.evaluate.diagnostics import (
    SIZE,
    decisions_needed,
    diagnose,
    unsupported_mass,
    verdict_allowed,
    weighted_successes,
)
from bandit_nba.evaluate.sample import checked_sample


def healthy(n=5000, seed=0):
    """A uniform log of 4 arms, judged for a policy with known probabilities."""
    rng = np.random.default_rng(seed)
    policy = np.array([0.4, 0.3, 0.2, 0.1])
    arm = rng.integers(0, 4, n)
    return 4 * policy[arm], (rng.random(n) < 0.3).astype(float), arm


def by_check(findings):
    return {finding.check: finding for finding in findings}


def test_a_healthy_log_passes_every_check():
    weights, rewards, arm = healthy()
    chosen = np.zeros((5000, 4))
    chosen[np.arange(5000), arm] = 1

    findings = diagnose(
        weights,
        rewards,
        groups=np.arange(5000) // 2,
        segments=np.where(np.arange(5000) % 2, "old", "new"),
        unsupported=np.zeros(5000),
        self_weights=np.ones(5000),
        cell_probabilities=np.full(20_000, 0.25),
        cell_chosen=chosen.ravel(),
        left_out={"fallback": 10, "immature": 100},
    )

    assert len(findings) == 10
    assert {finding.severity for finding in findings} == {"fine"}
    assert verdict_allowed(findings)


def planted(**faults):
    weights, rewards, _ = healthy()
    return by_check(diagnose(faults.pop("weights", weights), faults.pop("rewards", rewards), **faults))


def test_few_effective_decisions_stop_and_tell_how_many_more():
    finding = by_check(diagnose(np.full(150, 1.0), np.ones(150)))["effective sample size"]

    assert finding.severity == "stop"
    assert "50 more decisions" in finding.action


def test_a_log_about_other_policies_is_a_caution():
    rng = np.random.default_rng(0)
    weights = np.where(rng.random(100_000) < 0.004, 250.0, 0.0)

    finding = by_check(diagnose(weights, np.zeros(100_000)))["effective sample size"]

    assert finding.severity == "caution"
    assert finding.figures["share"] < 0.01


def test_a_heavy_tail_is_a_caution():
    weights = np.full(5000, 0.5)
    weights[:50] = 50.5

    finding = planted(weights=weights)["weight tail"]

    assert finding.severity == "caution"
    assert finding.figures["top_1_percent_share"] == pytest.approx(2525 / 5000)


@pytest.mark.parametrize(("factor", "cause"), [(0.8, "too high"), (1.25, "too low")])
def test_wrong_propensities_show_in_the_mean_weight(factor, cause):
    weights, _, _ = healthy()

    finding = planted(weights=factor * weights)["mean weight"]

    assert finding.severity == "stop"
    assert cause in finding.meaning
    assert finding.figures["mean"] == pytest.approx(factor, abs=0.03)


def test_a_constant_weight_other_than_one_is_wrong_for_certain():
    assert planted(weights=np.full(5000, 1.001))["mean weight"].severity == "stop"
    assert planted(weights=np.ones(5000))["mean weight"].severity == "fine"


def test_the_mean_weight_rarely_cries_wolf():
    # 300 healthy logs, chance .001 each: more than 4 alarms have chance < 1e-4
    alarms = sum(
        by_check(diagnose(healthy(400, seed)[0], np.zeros(400)))["mean weight"].severity == "stop"
        for seed in range(300)
    )

    assert alarms <= 4


@pytest.mark.parametrize(("mass", "severity"), [(0.0005, "fine"), (0.005, "caution"), (0.05, "stop")])
def test_lost_support(mass, severity):
    finding = planted(unsupported=np.full(5000, mass))["support"]

    assert finding.severity == severity
    assert finding.figures["mass"] == pytest.approx(mass)


def test_unsupported_mass_by_hand():
    # row 0: policy .7/.3 on log 1/0; row 2: .5/.5 on log .5/.5; row 1 has no cell
    actual = unsupported_mass([0.7, 0.3, 0.5, 0.5], [1.0, 0.0, 0.5, 0.5], [0, 0, 2, 2], 3)

    np.testing.assert_allclose(actual, [0.3, 0.0, 0.0])


def test_self_evaluation_names_the_first_row_that_is_off():
    replayed = np.ones(5000)
    replayed[[17, 40]] = 1.01

    finding = planted(self_weights=replayed)["self-evaluation"]

    assert finding.severity == "stop"
    assert "first: row 17" in finding.what
    assert finding.figures["wrong"] == 2


def test_logging_a_sharper_distribution_than_drawn_is_found():
    # drawn from p^1.3 (normalised), logged p
    rng = np.random.default_rng(1)
    logged = rng.dirichlet(np.ones(4), 5000)
    drawn = logged**1.3
    drawn /= drawn.sum(axis=1, keepdims=True)
    honest, wrong = ((p.cumsum(axis=1) > rng.random((5000, 1))).argmax(axis=1) for p in (logged, drawn))

    def severity(arms):
        chosen = np.eye(4)[arms]
        return planted(cell_probabilities=logged.ravel(), cell_chosen=chosen.ravel())["calibration"].severity

    assert severity(honest) == "fine"
    assert severity(wrong) == "stop"


def test_a_choice_of_probability_zero_is_impossible():
    finding = planted(cell_probabilities=[1.0, 0.0, 0.5, 0.5], cell_chosen=[0, 1, 1, 0])["calibration"]

    assert finding.severity == "stop"
    assert "1 decisions chose an arm with logged probability 0" in finding.what


def test_thin_segments_are_named():
    segments = np.array(["large"] * 4990 + ["tiny"] * 10)

    finding = planted(segments=segments)["segments"]

    assert finding.severity == "caution"
    assert "tiny" in finding.what
    assert "large" not in finding.what


def test_a_break_in_time_is_a_caution():
    weights, _, _ = healthy()
    broken = weights * np.where(np.arange(5000) < 2500, 1.15, 0.85)  # the mean stays 1

    findings = planted(weights=broken)

    assert findings["mean weight"].severity == "fine"
    assert findings["drift"].severity == "caution"
    assert "drift" not in planted(weights=broken, in_time_order=False)


def test_many_rows_left_out_are_a_caution():
    finding = planted(left_out={"override": 300, "immature": 700, "fallback": 0})["left out"]

    assert finding.severity == "caution"
    assert "16.7%" in finding.what
    assert "override 300, immature 700" in finding.what


def test_the_worst_comes_first_and_every_problem_says_what_to_do():
    findings = diagnose(np.full(100, 2.0), np.ones(100), left_out={"immature": 100})

    assert [finding.severity for finding in findings] == ["stop", "stop", "caution", "fine", "fine", "fine"]
    assert all(finding.meaning and finding.action for finding in findings if finding.severity != "fine")
    assert not verdict_allowed(findings)


def test_decisions_needed_by_hand():
    # half the width needs four times the decisions: 3,000 more
    assert decisions_needed(Estimate(0.1, 0.08, 0.12, 1000, 500.0), 0.01) == 3000
    assert decisions_needed(Estimate(0.1, 0.08, 0.12, 1000, 500.0), 0.02) == 0
    # the width is there, the effective decisions are not: 200 / 50 times the log
    assert decisions_needed(Estimate(0.1, 0.08, 0.12, 1000, 50.0), 0.02) == 3000
    assert decisions_needed(Estimate(0.0, 0.0, 0.0, 1000, 0.0), 0.02) == 10_000
    with pytest.raises(InputError, match="half_width"):
        decisions_needed(Estimate(0.1, 0.08, 0.12, 1000, 500.0), 0.0)


def test_the_decisions_needed_are_enough():
    weights, rewards, _ = healthy(2000)
    first = estimate(weights, rewards)
    more = decisions_needed(first, first.half_width / 2)

    weights, rewards, _ = healthy(2000 + more, seed=1)

    assert estimate(weights, rewards).half_width == pytest.approx(first.half_width / 2, rel=0.05)


@pytest.mark.parametrize(
    "options",
    [{"segments": ["a"]}, {"unsupported": [np.nan]}, {"cell_probabilities": [0.5], "cell_chosen": [1, 0]}],
)
def test_wrong_input_is_refused(options):
    with pytest.raises(InputError):
        diagnose([1.0, 1.0], [1.0, 0.0], **options)


def test_weighted_successes_by_hand():
    """Weights 1: the number of rewarded decisions; one weight of 1,000 among them: about one."""
    rewards = np.zeros(1_000)
    rewards[:150] = 1.0
    heavy = np.ones(1_000)
    heavy[0] = 1_000.0

    even = weighted_successes(checked_sample(np.ones(1_000), rewards))
    one = weighted_successes(checked_sample(heavy, rewards))
    none = weighted_successes(checked_sample(heavy, np.zeros(1_000)))
    few = weighted_successes(checked_sample(np.ones(1_000), (np.arange(1_000) < 40).astype(float)))

    assert even.figures["effective"] == pytest.approx(150)
    assert even.severity == "fine"
    # (1000 + 149)^2 / (1000^2 + 149)
    assert one.figures["effective"] == pytest.approx(1_149**2 / 1_000_149)
    assert (one.severity, none.severity, none.figures["more"]) == ("stop", "stop", 10_000)
    # 40 of 1,000: one hundred need 2,500
    assert few.action == "log about 1,500 more decisions"
    assert few.check in SIZE
