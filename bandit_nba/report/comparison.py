"""Policies side by side on the same decisions: values, gains over what was really done, and what gates a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.policy import FeatureSettings
from bandit_nba.evaluate import Estimate, estimate_difference
from bandit_nba.evaluate.diagnostics import Finding, calibration, diagnose, selection, unsupported_mass
from bandit_nba.evaluate.judge import Judgement, judge
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.evaluate.policies import JudgedPolicy


@dataclass(frozen=True)
class Contender:
    """One policy as the report shows it. gain: its value minus that of the log, None for the log itself.

    gain_alpha: the chance of error that the gain's interval was made with, shared among all candidates.
    """

    judgement: Judgement
    title: str
    is_candidate: bool
    gain: Estimate | None
    gain_alpha: float
    findings: Sequence[Finding]
    model: str = ""

    @property
    def name(self) -> str:
        """As the policy calls itself."""
        return self.judgement.policy

    @property
    def value(self) -> Estimate:
        """The estimate that the report stands on: self-normalised."""
        return self.judgement.estimates["snips"]


@dataclass(frozen=True)
class Judged:
    """What is judged: a policy, what people call it, whether somebody proposes it, and its model.

    among: how many policies it is the best of, by a search on the very decisions that judge it.
    """

    policy: JudgedPolicy
    title: str
    is_candidate: bool = False
    model: str = ""
    among: int = 1


@dataclass(frozen=True)
class Comparison:
    """Contenders on the judged decisions, the logging policy first; findings about the log are kept apart."""

    log: LoggedDecisions
    contenders: Sequence[Contender]
    of_the_log: Sequence[Finding]
    alpha: float

    @property
    def today(self) -> Contender:
        """What really decided."""
        return self.contenders[0]

    @property
    def foremost(self) -> Sequence[Contender]:
        """Today's policy and the candidates; without any, everybody."""
        return [self.today, *self.candidates] if self.candidates else self.contenders

    @property
    def candidates(self) -> Sequence[Contender]:
        """Those that somebody proposes."""
        return [contender for contender in self.contenders if contender.is_candidate]


def compare(
    log: LoggedDecisions,
    judged: Sequence[Judged],
    *,
    features: FeatureSettings,
    segments: Sequence[str],
    alpha: float,
    reward_range: tuple[float, float],
    rng: np.random.Generator,
) -> Comparison:
    """Judge everybody on `log`; `judged[0]` is the logging policy. segments: one name per decision.

    Gains of candidates hold together at 1 - alpha (Bonferroni), since the best of several is picked by them; so do
    those of all that a search tried.
    """
    found = judge(
        log,
        [one.policy for one in judged],
        features=features,
        estimators=("snips", "dr"),
        alpha=alpha,
        reward_range=reward_range,
        rng=rng,
    )
    share = alpha / max(1, sum(one.is_candidate for one in judged))
    contenders = [
        Contender(
            judgement=judgement,
            title=one.title,
            is_candidate=one.is_candidate,
            gain=gain(log, judgement.weights, alpha=share / one.among) if i else None,
            gain_alpha=share / one.among,
            findings=_findings(log, judgement, segments) if i else (),
            model=one.model,
        )
        for i, (one, judgement) in enumerate(zip(judged, found, strict=True))
    ]
    return Comparison(log=log, contenders=contenders, of_the_log=_of_the_log(log), alpha=alpha)


def gain(log: LoggedDecisions, weights: Floats, *, alpha: float, reward: Floats | None = None) -> Estimate:
    """How much more a policy earns per decision than the log did, on the same decisions, robust to returning customers.

    reward: what is counted instead of the log's reward.
    """
    counted = log.reward if reward is None else reward
    low, high = float(counted.min()), float(counted.max())
    return estimate_difference(
        weights,
        np.ones(len(log)),
        counted,
        alpha=alpha,
        groups=log.group,
        reward_range=(low, high if high > low else low + 1.0),
    )


def _findings(log: LoggedDecisions, judgement: Judgement, segments: Sequence[str]) -> tuple[Finding, ...]:
    lost = unsupported_mass(judgement.probability, log.probability, log.row, len(log))
    return diagnose(judgement.weights, log.reward, groups=log.group, segments=segments, unsupported=lost)


def _of_the_log(log: LoggedDecisions) -> tuple[Finding, ...]:
    chosen = np.zeros(len(log.arm))
    chosen[log.chosen] = 1.0
    return calibration(log.probability, chosen), selection(log.left_out, len(log))


def as_figures(estimate: Estimate) -> Mapping[str, float]:
    """Value and ends for machines."""
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "ess": estimate.ess}
