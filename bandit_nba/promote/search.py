"""Search for a better policy on the log: learned from the earlier part, judged on the later one, corrected for many.

Every model is learned anew from decisions whose wait was over before the split; every policy is judged on those after
it. Of m policies each gain is bounded at alpha / m, so that all bounds hold together and the best may be picked by
its lower one. Models are learned in processes of their own, since VW never lets go of Python's lock.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandit_nba.decide.policy import Policy
from bandit_nba.errors import RefusedError, SettingsError
from bandit_nba.evaluate import Estimate, estimate_difference
from bandit_nba.evaluate.diagnostics import diagnose, unsupported_mass
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.promote import ledger
from bandit_nba.promote.candidate import Candidate
from bandit_nba.promote.frozen import Freezer, learned_from, longest_wait_s
from bandit_nba.promote.ledger import Event
from bandit_nba.promote.reading import read
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace, open_workspace


@dataclass(frozen=True)
class Try:
    """One policy that was tried: its gain per decision over what was logged, or why it cannot be judged."""

    policy: Policy
    gain: Estimate | None
    stop: str = ""


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
            key = f"{policy.features.version} {sorted(policy.learning.options.items())}"
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
        raise RefusedError("no decision is old enough to learn from", got=len(reading.log))
    return Task(workspace.path, early, reading.log.between(freezer.split), policies, freezer.split, alpha)


def run(task: Task, *, workers: int) -> Iterator[Try]:
    """Try all policies; each comes as soon as it is known."""
    if workers <= 1:
        worker = _Worker(task)
        for group in task.groups:
            yield from worker.tried(group)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(task,)) as pool:
        for done in as_completed([pool.submit(_tried, group) for group in task.groups]):
            yield from done.result()


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
            got=sorted({one.stop for one in tries}),
            hint="log more decisions, with more exploration",
        )
    return max(judged, key=lambda found: found[:2])[2]


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


class _Worker:
    """What every try of one process shares."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._workspace = open_workspace(task.workspace)

    def tried(self, group: Sequence[Policy]) -> list[Try]:
        task, catalogue = self._task, self._workspace.catalogue
        try:
            scorer, until = learned_from(task.early, group[0], catalogue)
        except SettingsError as error:
            return [Try(policy, None, str(error)) for policy in group]
        made = [Candidate(policy, scorer, self._workspace, learned_until=until) for policy in group]
        return [self._judged(candidate) for candidate in made]

    def _judged(self, candidate: Candidate) -> Try:
        log = self._task.late
        chance = candidate.replay(log)
        weights = chance[log.chosen] / log.propensity
        lost = unsupported_mass(chance, log.probability, log.row, len(log))
        found = diagnose(weights, log.reward, groups=log.group, unsupported=lost, in_time_order=False)
        stops = [finding.what for finding in found if finding.severity == "stop"]
        if stops:
            return Try(candidate.policy, None, stops[0])
        gain = estimate_difference(
            weights,
            np.ones(len(log)),
            log.reward,
            alpha=self._task.alpha / len(self._task.policies),
            reward_range=self._workspace.rewards.range,
            groups=log.group,
        )
        return Try(candidate.policy, gain)


_worker: list[_Worker] = []  # of this process, set once when it begins


def _begin(task: Task) -> None:
    _worker.append(_Worker(task))


def _tried(group: Sequence[Policy]) -> list[Try]:
    return _worker[0].tried(group)
