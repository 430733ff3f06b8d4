"""After a promotion: the replaced policy is replayed on the same later decisions, and comes back if it earns more."""

from dataclasses import dataclass

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.gate import Verdict
from bandit_nba.promote import ledger
from bandit_nba.promote.candidate import Candidate, read_policy
from bandit_nba.promote.challenge import tell_replicas
from bandit_nba.promote.files import install
from bandit_nba.promote.frozen import Freezer
from bandit_nba.promote.ledger import Event
from bandit_nba.promote.look import look, made_by
from bandit_nba.promote.reading import read
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace


@dataclass(frozen=True)
class Watched:
    """One look after a promotion. verdict: of the replaced policy's gain over the one that acts now.

    restart: whether a running service has to be started again before the policy that was put back acts.
    """

    rolled_back: bool
    reason: str
    verdict: Verdict
    judged: int
    promoted: Event
    restart: bool = False


def watch_once(workspace: Workspace, *, alpha: float, now_s: float, write: bool) -> Watched:
    """Hold the last promotion against what it replaced; `write` False: only look.

    The replaced policy has the model that it had when it was replaced: it cannot learn any more.

    Raises
    ------
    RefusedError
        If nothing was promoted, policy.toml was changed since, or no decision of the new policy has matured.
    """
    promoted = ledger.last_promotion(ledger.events(workspace.path))
    if promoted is None:
        hint = "nba promote DIR POLICY makes one; after a roll-back there is none"
        raise RefusedError("there is no promotion to watch", where=str(ledger.FILE), hint=hint)
    if promoted.policy != workspace.policy.version:
        raise RefusedError(
            "policy.toml was changed by hand since the promotion",
            got=f"{workspace.policy.name}, version {workspace.policy.version}",
            allowed=f"{promoted.name}, version {promoted.policy}",
            hint="promote it, so that it is watched",
        )
    backup = workspace.path / promoted.backup
    database = Database.open(workspace.database_url, create=False)
    try:
        reading = read(database, workspace, now_s=now_s)
        previous = read_policy(backup, workspace)
        scorer, until = Freezer(database, workspace, reading, split=promoted.at).named(previous, promoted.rival_model)
    finally:
        database.close()
    log = made_by(reading, workspace.policy, after_s=promoted.at).log
    rival = Candidate(previous, scorer, workspace, learned_until=until, name="the replaced policy")
    found = look(log, rival, champion=None, alpha=alpha, reward_range=workspace.rewards.range)
    restart = False
    if found.passes and write:
        _roll_back(workspace, promoted, backup.read_bytes(), found.verdict, now_s=now_s)
        restart = not tell_replicas(workspace, previous, now_s=now_s)
    return Watched(found.passes, found.reason, found.verdict, len(log), promoted, restart)


def _roll_back(workspace: Workspace, promoted: Event, content: bytes, verdict: Verdict, *, now_s: float) -> None:
    kept = install(workspace.path, content, old_version=workspace.policy.version)
    event = Event(
        kind="rolled_back",
        at=now_s,
        champion=promoted.champion,
        policy=promoted.policy,
        name=promoted.name,
        backup=str(kept.relative_to(workspace.path)),
        low=verdict.low,
        high=verdict.high,
        reason=verdict.reason,
    )
    ledger.record(workspace.path, event)
