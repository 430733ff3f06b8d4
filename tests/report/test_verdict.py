"""The sentence that a product owner acts on: what it says, and when it refuses."""

import numpy as np
import pytest

from bandit_nba.evaluate import Estimate
from bandit_nba.evaluate.diagnostics import Finding
from bandit_nba.evaluate.judge import Judgement
from bandit_nba.report.comparison import Comparison, Contender
from bandit_nba.report.verdict import Verdict, headline, verdict
from tests.evaluate.logs import sampled

LOG = sampled(1_000, seed=1)
FINE = Finding("support", "fine", "all is supported")
LOST = Finding("support", "stop", "9 % could never be logged", "unknown", "explore those arms")
FEW = Finding(
    "effective sample size", "stop", "1,000 logged decisions are worth 50", "far off", "log more", {"more": 3_000.0}
)


def contender(title: str, value: float, *findings: Finding, ess: float = 800.0, candidate: bool = True) -> Contender:
    found = Estimate(value, value - 0.01, value + 0.01, 1_000, ess)
    judgement = Judgement(title, {"snips": found, "dr": found}, LOG.probability, np.ones(1_000))
    return Contender(judgement, title, candidate, None, 0.05, findings or (FINE,))


def judged(gain: tuple[float, float, float], *findings: Finding, ess: float = 800.0, today: float = 0.1) -> Verdict:
    """gain: value, low, high per decision, where today's policy earns .1."""
    candidate = contender("B", today + gain[0], *findings, ess=ess)
    comparison = Comparison(LOG, [contender("today's policy", today, candidate=False), candidate], (), 0.05)
    return verdict(comparison, candidate, Estimate(*gain, 1_000, ess))


def test_a_sure_gain_says_switch() -> None:
    found = judged((0.0115, 0.008, 0.015))

    assert found.sentence == "B earns 8.0 % to 15 % more than today's policy; switch."
    assert found.advice == "switch"
    assert found.gain == pytest.approx((0.08, 0.15))


def test_a_sure_loss_says_keep() -> None:
    found = judged((-0.02, -0.03, -0.01))

    assert found.sentence == "B earns 10 % to 30 % less than today's policy; keep today's."


def test_an_open_gain_says_how_many_more_decisions() -> None:
    """Half width .02 must become .01, the gain itself: 4 times the log, 3,000 more."""
    found = judged((0.01, -0.01, 0.03))

    assert found.advice == "wait"
    assert found.more_decisions == 3_000
    assert found.sentence == (
        "Not enough data: about 3,000 more decisions are needed; so far B may earn between 10 % less and 30 % more "
        "than today's policy."
    )


def test_policies_too_alike_are_not_waited_for() -> None:
    """Gain .001 with half width .02: 400 times the log."""
    found = judged((0.001, -0.019, 0.021))

    assert found.advice == "keep"
    assert found.sentence.startswith("Too alike to tell apart")


def test_a_log_that_cannot_carry_it_says_how_many_more_even_where_the_interval_looks_sure() -> None:
    """ESS 50 of 1,000: 200 need 4,000."""
    found = judged((0.05, 0.04, 0.06), FEW, ess=50.0)

    assert found.advice == "wait"
    assert found.more_decisions == 3_000
    assert "switch" not in found.sentence


def test_a_wrong_log_refuses_whatever_the_interval_says() -> None:
    found = judged((0.05, 0.04, 0.06), LOST)

    assert found.advice == "refused"
    assert found.sentence == "No verdict on B: 9 % could never be logged. What to do: explore those arms."


def test_where_today_earns_nothing_gains_are_told_per_decision() -> None:
    assert judged((0.02, 0.01, 0.03), today=0.0).sentence == (
        "B earns 0.0100 per decision to 0.0300 per decision more than today's policy; switch."
    )


def test_the_page_begins_with_the_surest_gain() -> None:
    comparison = Comparison(LOG, [contender("today's policy", 0.1, candidate=False)], (), 0.05)
    far = Verdict("far", "switch", "far", (0.02, 0.9))
    sure = Verdict("sure", "switch", "sure", (0.05, 0.06))
    wait = Verdict("wait", "wait", "wait", (-0.1, 0.1), 10)

    assert headline(comparison, [wait, far, sure]).policy == "sure"
    assert headline(comparison, [wait]).policy == "wait"
    assert headline(comparison, []).advice == "none"
