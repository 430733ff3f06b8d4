"""A policy file as a candidate: replayed on the log exactly as it would act, exploration and mixture included."""

from pathlib import Path

import numpy as np

from bandit_nba.decide.acting import Situation
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.choice.arbitrate import RewardUnit
from bandit_nba.decide.columns import Facts, Floats
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import Policy
from bandit_nba.decide.scoring import Scorer
from bandit_nba.errors import RefusedError, SettingsError
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.promote.files import KEPT
from bandit_nba.settings import load, nearest, read_table
from bandit_nba.workspace import Workspace
from bandit_nba.workspace.agreement import policy_problems
from bandit_nba.workspace.arbitration import arbitration_problems, with_values

ROWS = 20_000  # decisions replayed at once
MOST_FILES = 1_000  # of a folder are looked into for the policy that was meant


class Candidate:
    """A policy with a frozen model; a `evaluate.policies.JudgedPolicy`.

    A control group, drawn per customer when it acts, counts here with its share in every decision: its value is the
    same.

    Raises
    ------
    SettingsError
        If policy and catalogue do not fit together.
    """

    def __init__(
        self, policy: Policy, scorer: Scorer, workspace: Workspace, *, learned_until: float, name: str = ""
    ) -> None:
        self.name = name or policy.name
        self.policy = policy
        self.learned_until = learned_until
        self.model = scorer.version
        self._scorer = scorer
        unit: RewardUnit = workspace.rewards.unit
        self._engine = Engine(workspace.catalogue, workspace.rules, policy, workspace.salt, reward_unit=unit)

    def replay(self, log: LoggedDecisions) -> Floats:
        """Probability of every cell; arms that are gone from the catalogue get nothing.

        Raises
        ------
        RefusedError
            If a decision has no arm that the catalogue still knows.
        """
        replayed = np.zeros(len(log.arm))
        for start in range(0, len(log), ROWS):
            stop = min(start + ROWS, len(log))
            lo, hi = int(log.indptr[start]), int(log.indptr[stop])
            replayed[lo:hi] = self._replay(log, start, stop)
        return replayed

    def _replay(self, log: LoggedDecisions, start: int, stop: int) -> Floats:
        engine = self._engine
        position = {arm.id: k for k, arm in enumerate(engine.arms)}
        column = np.array([position.get(name, -1) for name in log.arms], dtype=np.int64)
        cells = slice(int(log.indptr[start]), int(log.indptr[stop]))
        row = np.repeat(np.arange(stop - start), np.diff(log.indptr[start : stop + 1]))
        at = column[log.arm[cells]]
        mask = np.zeros((stop - start, len(engine.arms)), dtype=np.bool_)
        mask[row[at >= 0], at[at >= 0]] = True
        if not mask.any(axis=1).all():
            first = int(np.argmin(mask.any(axis=1)))
            raise RefusedError("has no arm that the catalogue knows", where=f"decision {log.ids[start + first]}")
        requests = _requests(log, log.facts.take(start, stop), start, stop)
        situation = Situation(
            requests=requests,
            mask=mask,
            arms=engine.arms,
            contexts=engine.featuriser.contexts(requests.facts, requests.channels),
            arm_features=engine.arm_features,
        )
        made = engine.mandatory.distribution(engine.acting(self._scorer).distribution(situation), mask)
        chance: Floats = np.where(at >= 0, made.probability[row, at], 0.0)
        return chance


def _requests(log: LoggedDecisions, facts: Facts, start: int, stop: int) -> Requests:
    """Logged decisions as requests; customers are anonymous, so that a control group counts with its share."""
    size = stop - start
    channels = type(log.channels)(codes=log.channels.codes[start:stop], values=log.channels.values)
    return Requests(
        ids=log.ids[start:stop],
        customers=[""] * size,
        channels=channels,
        decided_at=log.decided_at[start:stop],
        facts=facts,
        readable=np.ones(size, dtype=np.bool_),
    )


def read_policy(path: Path, workspace: Workspace) -> Policy:
    """A policy file, held against the workspace's catalogue, channels and rewards.

    Raises
    ------
    NbaError
        For the first mistake in it, or if there is no such file.
    """
    if not path.is_file():
        raise SettingsError("there is no such policy file", where=str(path), hint=_meant(path, workspace))
    policy = with_values(load(path, Policy), workspace.path)
    wrong = [
        *arbitration_problems(policy.arbitration, workspace.catalogue, channels=workspace.service.channels),
        *policy_problems(policy, workspace.catalogue, workspace.rewards, where=path.name),
    ]
    for problem in wrong:
        raise _named(problem, path) if isinstance(problem, SettingsError) else problem
    return policy


def _meant(path: Path, workspace: Workspace) -> str:
    """Which file was meant, where one has that name inside, or nearly that name."""
    folders = (path.parent, workspace.path, workspace.path / KEPT)
    files = [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.toml"))[:MOST_FILES]]
    inside = [str(file) for file in dict.fromkeys(files) if _says(file) == str(path)]
    if inside:
        return f"policies go by their files; this `name` stands in {' and in '.join(inside)}"
    near = nearest(path.name, [file.name for file in files if file.parent == path.parent])
    return near or "name the file, as in `nba promote DIR bolder.toml`; `nba search DIR` writes one"


def _says(file: Path) -> str:
    """The `name` in a policy file; "" where it is no such file."""
    try:
        name = read_table(file).get("name")
    except SettingsError:
        return ""
    return name if isinstance(name, str) else ""


def _named(problem: SettingsError, path: Path) -> SettingsError:
    where = problem.where.replace("policy.toml", path.name, 1)
    return SettingsError(problem.what, where=where, got=problem.got, allowed=problem.allowed, hint=problem.hint)
