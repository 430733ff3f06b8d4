"""One look at a challenger: its gain over the champion on the same decisions, as a confidence sequence."""

from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.policy import Policy
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.diagnostics import Finding, calibration, mean_weight, support, unsupported_mass
from bandit_nba.evaluate.gate import Verdict, gate
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.evaluate.policies import JudgedPolicy, refuse_seen
from bandit_nba.evaluate.result import ESS_FLOOR
from bandit_nba.evaluate.sample import checked_sample
from bandit_nba.promote.reading import Reading


@dataclass(frozen=True)
class Look:
    """The gate's verdict, and the checks that forbid to act on it."""

    verdict: Verdict
    stops: tuple[Finding, ...]

    @property
    def passes(self) -> bool:
        """Whether the gain is surely above 0 and nothing forbids to say so."""
        return self.verdict.action == "promote" and not self.stops

    @property
    def reason(self) -> str:
        """In words: what forbids it first; of a few decisions no check says more than that they are few."""
        if not self.stops or self.verdict.ess < ESS_FLOOR:
            return self.verdict.reason
        stop = self.stops[0]
        return f"{stop.what}: {stop.meaning}; {stop.action}"


def look(
    log: LoggedDecisions,
    challenger: JudgedPolicy,
    *,
    champion: JudgedPolicy | None,
    alpha: float,
    reward_range: tuple[float, float],
) -> Look:
    """Judge a challenger on a log in the order of time. champion: None where the log is the champion's own.

    Raises
    ------
    RefusedError
        If one of them may have learned from a decision of the log.
    """
    for policy in (challenger, champion):
        if policy is not None:
            refuse_seen(policy, log)
    chance = challenger.replay(log)
    weights = chance[log.chosen] / log.propensity
    rival = None if champion is None else champion.replay(log)[log.chosen] / log.propensity
    (verdict,) = gate(
        {challenger.name: weights}, log.reward, champion_weights=rival, alpha=alpha, reward_range=reward_range
    )
    sample = checked_sample(weights, log.reward, groups=log.group, reward_range=reward_range)
    chosen = np.zeros(len(log.arm))
    chosen[log.chosen] = 1.0
    checks = (
        support(unsupported_mass(chance, log.probability, log.row, len(log))),
        mean_weight(sample),
        calibration(log.probability, chosen),
    )
    return Look(verdict, tuple(check for check in checks if check.severity == "stop"))


def made_by(reading: Reading, policy: Policy, *, after_s: float) -> Reading:
    """The last unbroken run of decisions made by one policy file, after a moment: there the log is that policy's own.

    Raises
    ------
    RefusedError
        If it has made none.
    """
    late = reading.after(after_s)
    own = {version for version, content in reading.definitions.items() if content == policy}
    others = np.flatnonzero(np.array([version not in own for version in late.policies], dtype=np.bool_))
    start = after_s if not len(others) else float(late.log.decided_at[others[-1]])
    run = late.after(start)
    if not len(run.log):
        raise RefusedError(
            "no matured decision was made by this policy",
            got=policy.name,
            hint="it is judged once decisions that it made have matured",
        )
    return run
