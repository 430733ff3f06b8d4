"""The sentence that a page begins with: switch, keep, or not enough data and how much more is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bandit_nba.evaluate.diagnostics import SIZE, Finding, decisions_needed
from bandit_nba.evaluate.result import Estimate
from bandit_nba.report.comparison import Comparison, Contender
from bandit_nba.report.table import number, percent

Advice = Literal["switch", "keep", "wait", "refused", "none"]
MOST_TIMES = 20  # a gain that would need so many times the log to be seen is too small to wait for


@dataclass(frozen=True)
class Verdict:
    """What to do about one candidate.

    gain: its interval as shares of what today's policy earns; None where that is not above 0. more_decisions: how many
    more are needed for a verdict; None where more of the same would not bring one.
    """

    policy: str
    advice: Advice
    sentence: str
    gain: tuple[float, float] | None = None
    more_decisions: int | None = None


def verdict(comparison: Comparison, candidate: Contender, gain: Estimate) -> Verdict:
    """Judge one candidate: no check may forbid it, and its gain's interval must lie on one side of 0."""
    name, scale = candidate.title, comparison.today.value.value
    shares = (gain.low / scale, gain.high / scale) if scale > 0 else None
    stops = [f for f in (*comparison.of_the_log, *candidate.findings) if f.severity == "stop"]
    others = [finding for finding in stops if finding.check not in SIZE]
    if others:
        why = others[0]
        return Verdict(name, "refused", f"No verdict on {name}: {why.what}. What to do: {why.action}.", shares)
    more = _needed(gain, stops)
    if stops:
        sentence = f"Not enough data to judge {name}: about {more:,} more decisions are needed ({stops[0].what})."
        return Verdict(name, "wait", sentence, shares, more)
    if gain.low > 0:
        return Verdict(name, "switch", f"{name} earns {_range(gain, scale)} than today's policy; switch.", shares)
    if gain.high < 0:
        return Verdict(name, "keep", f"{name} earns {_range(gain, scale)} than today's policy; keep today's.", shares)
    so_far = f"so far {name} may earn {_range(gain, scale)} than today's policy"
    if more > MOST_TIMES * len(comparison.log):
        return Verdict(name, "keep", f"Too alike to tell apart, keep today's policy: {so_far}.", shares)
    return Verdict(name, "wait", f"Not enough data: about {more:,} more decisions are needed; {so_far}.", shares, more)


def headline(comparison: Comparison, verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that the page begins with: the surest gain, else the first that waits, else what there is."""
    switching = [v for v in verdicts if v.advice == "switch"]
    if switching:
        return max(switching, key=lambda v: v.gain[0] if v.gain else 0.0)
    for advice in ("wait", "keep", "refused"):
        for found in verdicts:
            if found.advice == advice:
                return found
    return _only_today(comparison)


def _needed(gain: Estimate, stops: Sequence[Finding]) -> int:
    """More decisions until the gain that is seen now would be told from 0, and every check of size would pass."""
    n, needed = gain.n, 0
    if gain.value and gain.low <= 0 <= gain.high:
        needed = decisions_needed(gain, abs(gain.value))
    elif gain.low <= 0 <= gain.high:
        needed = (MOST_TIMES + 1) * n
    return _rounded(max(needed, *(int(finding.figures["more"]) for finding in stops), 0))


def _rounded(count: int) -> int:
    """Two digits, upwards: the number is a forecast."""
    unit = int(10 ** max(0, len(str(count)) - 2))
    return -(-count // unit) * unit


def _range(gain: Estimate, scale: float) -> str:
    """ "8 % to 15 % more", "between 3 % less and 12 % more"; in reward units where today's policy earns nothing."""

    def size(value: float) -> str:
        return percent(abs(value) / scale) if scale > 0 else f"{number(abs(value))} per decision"

    if gain.low > 0:
        return f"{size(gain.low)} to {size(gain.high)} more"
    if gain.high < 0:
        return f"{size(gain.high)} to {size(gain.low)} less"
    return f"between {size(gain.low)} less and {size(gain.high)} more"


def _only_today(comparison: Comparison) -> Verdict:
    """Without a candidate: what today's policy earns more than chance."""
    today = comparison.today.value
    uniform = next((c for c in comparison.contenders if c.name == "uniform" and c.gain is not None), None)
    sentence = f"Today's policy earns {number(today.value)} per decision ({number(today.low)} to {number(today.high)})"
    if uniform and uniform.gain and uniform.value.value > 0:
        gain, base = uniform.gain, uniform.value.value
        turned = Estimate(-gain.value, -gain.high, -gain.low, gain.n, gain.ess)
        sentence += f", {_range(turned, base)} than choosing at random"
    return Verdict("today's policy", "none", f"{sentence}. Name a policy file to compare it with.")
