"""Search for a better policy on the log: learned from the earlier part, judged on the later one, corrected for many.

Every model is learned anew from decisions whose wait was over before the split; every policy is judged on those after
it. Of m policies each gain is bounded at alpha / m, so that all bounds hold together and the best may be picked by
its lower one. Where the work is done is up to a `spread`: VW never lets go of Python's lock, so that more than one
model at a time takes more than one process.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from bandit_nba.decide.policy import Policy
from bandit_nba.errors import RefusedError, SettingsError
from bandit_nba.evaluate import Estimate, estimate_difference
from bandit_nba.evaluate.diagnostics import Finding, diagnose, unsupported_mass
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.promote import ledger
from bandit_nba.promote.candidate import Candidate
from bandit_nba.promote.frozen import Freezer, learned_from, longest_wait_s
from bandit_nba.promote.ledger import Event
from bandit_nba.promote.reading import read
from bandit_nba.promote.spread import Spread, in_process
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace, open_workspace


@dataclass(frozen=True)
class Try:
    """One policy that was tried: its gain per decision over what was logged, or what forbids to judge it."""

    policy: Policy
    gain: Estimate | None
    stop: Finding | None = None


@dataclass(frozen=True)
class Unjudged:
    """Policies that one check keeps from being judged: how many, and what it found of the one nearest to passing."""

    policies: int
    nearest: Finding

    def __str__(self) -> str:
        found = self.nearest
        then = "; ".join(text for text in (found.meaning, found.action) if text)
        return f"{self.policies:,} by {found.check} (at best {found.what}): {then}"


@dataclass(frozen=True)
class Task:
    """The log cut in two, and what is to be tried. alpha: of all bounds together."""

    workspace: Path
    early: LoggedDecisions
    late: LoggedDecisions
    policies: Sequence[Policy]
    split: float
    alpha: float

    @property
    def groups(self) -> list[list[Policy]]:
        """Policies that share a model, which is learned once."""
        found: dict[str, list[Policy]] = {}
        for policy in self.policies:
            key = f"{policy.features.version} {sorted(policy.learning.options.items())} {policy.ensemble}"
            found.setdefault(key, []).append(policy)
        return list(found.values())


def prepare(
    workspace: Workspace, policies: Sequence[Policy], *, judged_share: float, alpha: float, now_s: float
) -> Task:
    """Read the log and cut it in two.

    Raises
    ------
    RefusedError
        If there are too few decisions.
    """
    database = Database.open(workspace.database_url, create=False)
    try:
        reading = read(database, workspace, now_s=now_s)
        freezer = Freezer(database, workspace, reading, share=judged_share)
    finally:
        database.close()
    early = reading.log.between(-np.inf, freezer.split - longest_wait_s(workspace))
    if not len(early):
        raise RefusedError(
            "no decision is old enough to learn from",
            got=f"{len(reading.log):,} decisions",
            hint="those that teach must have matured before the first that judges: log longer than the longest wait",
        )
    return Task(workspace.path, early, reading.log.between(freezer.split), policies, freezer.split, alpha)


def run(task: Task, *, spread: Spread = in_process) -> Iterator[Try]:
    """Try all policies, group by group where `spread` does the work; each comes as soon as it is known."""
    for tries in spread(tried, task, task.groups):
        yield from tries


def best(tries: Sequence[Try]) -> Try:
    """The highest lower bound; equal ones by version, so that the order of trying does not matter.

    Raises
    ------
    RefusedError
        If nothing could be judged.
    """
    judged = [(one.gain.low, one.policy.version, one) for one in tries if one.gain is not None]
    if not judged:
        raise RefusedError(
            "the log can judge none of the policies",
            got=f"{len(tries):,} policies",
            hint=". ".join(map(str, unjudged(tries))) or "try more policies",
        )
    return max(judged, key=lambda found: found[:2])[2]


def unjudged(tries: Sequence[Try]) -> list[Unjudged]:
    """Why policies could not be judged, check by check, the most frequent first."""
    by_check: dict[str, list[Finding]] = {}
    for one in tries:
        if one.stop is not None:
            by_check.setdefault(one.stop.check, []).append(one.stop)
    found = [Unjudged(len(stops), min(stops, key=_distance)) for stops in by_check.values()]
    return sorted(found, key=lambda one: (-one.policies, one.nearest.check))


def _distance(stop: Finding) -> tuple[float, str]:
    """How far a finding is from passing, where its figures say so."""
    return stop.figures.get("more", stop.figures.get("mass", 0.0)), stop.what


def remember(workspace: Workspace, task: Task, found: Try, *, now_s: float) -> None:
    """Tell the ledger among how many this was the best, so that its promotion is judged accordingly."""
    event = Event(
        kind="searched",
        at=now_s,
        champion=workspace.policy.version,
        policy=found.policy.version,
        name=found.policy.name,
        since=task.split,
        among=len(task.policies),
        low=found.gain.low if found.gain else 0.0,
        high=found.gain.high if found.gain else 0.0,
    )
    ledger.record(workspace.path, event)


def tried(task: Task, group: Sequence[Policy]) -> list[Try]:
    """Learn the model that the policies of a group share, and judge each of them."""
    workspace = _opened(task.workspace)
    try:
        scorer, until = learned_from(task.early, group[0], workspace.catalogue)
    except SettingsError as error:
        stop = Finding("settings", "stop", f"{error.where}: {error.what}", action=error.hint)
        return [Try(policy, None, stop) for policy in group]
    made = [Candidate(policy, scorer, workspace, learned_until=until) for policy in group]
    return [_judged(task, workspace, candidate) for candidate in made]


@lru_cache(maxsize=1)
def _opened(path: Path) -> Workspace:
    """Once per process."""
    return open_workspace(path)


def _judged(task: Task, workspace: Workspace, candidate: Candidate) -> Try:
    log = task.late
    chance = candidate.replay(log)
    weights = chance[log.chosen] / log.propensity
    lost = unsupported_mass(chance, log.probability, log.row, len(log))
    found = diagnose(weights, log.reward, groups=log.group, unsupported=lost, in_time_order=False)
    stop = next((finding for finding in found if finding.severity == "stop"), None)
    if stop is not None:
        return Try(candidate.policy, None, stop)
    gain = estimate_difference(
        weights,
        np.ones(len(log)),
        log.reward,
        alpha=task.alpha / len(task.policies),
        reward_range=workspace.rewards.range,
        groups=log.group,
    )
    return Try(candidate.policy, gain)
