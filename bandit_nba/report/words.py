"""What a report says in words: definitions, what the estimate means, and the checks."""

from collections.abc import Iterator, Mapping

from bandit_nba.evaluate.diagnostics import SUCCESSES_FLOOR, Finding
from bandit_nba.evaluate.result import ESS_FLOOR
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.report.page import Severity
from bandit_nba.report.table import percent

MEANING = (
    "What a policy would have earned is estimated from decisions that today's policy made: those that the other policy "
    "would have made more often count more. It works because each decision was drawn by chance, with logged odds.",
    "The figures are per decision, for customers as today's policy left them. A policy that annoys customers over "
    "weeks, or wins them, shows it only once it acts. Answers that came after the wait do not count.",
    "A policy that explores less earns more at once and learns less for later; only the first is counted here.",
    "A model is never judged on decisions it has learned from.",
)


def definitions(definition: RewardDefinition, alpha: float) -> Mapping[str, str]:
    """Every word that a reader may not know."""
    answers = ", ".join(f"{name} {kind.reward:g}" for name, kind in definition.outcomes.items())
    low, high = definition.range
    return {
        "reward": f"What one decision earns, from {low:g} to {high:g}, by the answers received within the wait "
        f"({definition.wait}): {answers}; without any {definition.default:g}.",
        "today's policy": "What really decided in the log: the learning policy with its exploration.",
        "uniform": "Every eligible action with the same probability.",
        "best fixed": "One action for everybody who may have it; chosen on the earlier decisions only.",
        "learned, greedy": "Always the action with the highest priority by the frozen model; it explores nothing, so "
        "it could not go on learning.",
        "candidate": "A policy file with the newest model of its own that is older than every judged decision, as it "
        "would act: its exploration included.",
        "estimate": "Self-normalised inverse propensity score (SNIPS); DR, the doubly robust estimate, is a second "
        "opinion that also uses a model of the reward.",
        "gain": "Estimate of the policy minus what today's policy earned, on the same decisions.",
        f"{percent(1 - alpha)} interval": "Drawn anew many times, about "
        f"{(1 - alpha) * 100:.0f} of 100 such intervals hold the truth. Gains of several candidates, or of all "
        "that a search has tried, hold together.",
        "ESS": "Effective sample size: how many decisions of that policy itself the log is worth. Below "
        f"{ESS_FLOOR:.0f} there is no verdict.",
        "effective rewarded decisions": "On how many answers an estimate really rests. Below "
        f"{SUCCESSES_FLOOR:.0f} there is no verdict.",
    }


def notes(findings: Mapping[str, tuple[Finding, ...]]) -> Iterator[tuple[Severity, str]]:
    """Every check as a sentence, what is wrong first; `findings` by whom they are about."""
    told = [(finding, about) for about, found in findings.items() for finding in found]
    order = {"stop": 0, "caution": 1, "fine": 2}
    for finding, about in sorted(told, key=lambda pair: order[pair[0].severity]):
        text = ". ".join(part[0].upper() + part[1:] for part in (finding.what, finding.meaning, finding.action) if part)
        yield finding.severity, f"{about}: {text}."
