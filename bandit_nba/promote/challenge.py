"""Champion against challenger: a policy file takes the place of today's once its gain is surely above 0."""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bandit_nba.decide.choice.explore import full_support
from bandit_nba.decide.policy import Policy
from bandit_nba.errors import InputError, StoreError
from bandit_nba.evaluate.gate import Verdict
from bandit_nba.online import definitions
from bandit_nba.promote import ledger
from bandit_nba.promote.candidate import Candidate, read_policy
from bandit_nba.promote.files import install
from bandit_nba.promote.frozen import Freezer, newest_fitting
from bandit_nba.promote.ledger import Event
from bandit_nba.promote.look import Look, look, made_by
from bandit_nba.promote.reading import Reading, read
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace

ENTRY_SHARE = 0.5
"""A new challenger's model leaves this share of the decisions to judge it on: more than a report, it must be sure."""


@dataclass(frozen=True)
class Outcome:
    """What came of a challenge. judged: decisions. backup: where the replaced policy is kept, "" where none was.

    restart: whether a running service has to be started again before the promoted policy acts.
    """

    promoted: bool
    reason: str
    verdict: Verdict
    judged: int
    alpha: float
    model: str
    backup: str = ""
    note: str = ""
    restart: bool = False


def challenge(workspace: Workspace, path: Path, *, alpha: float, now_s: float, write: bool) -> Outcome:
    """Judge the policy file at `path` against today's, and put it in its place if it wins; `write` False: only look.

    Both are judged on the decisions that today's policy made after the challenger's model had been frozen. The gain's
    confidence sequence holds however often one looks (see `ledger`).

    Raises
    ------
    InputError
        If it is today's policy.
    RefusedError
        If there is nothing to judge it on.
    SettingsError
        If the file is wrong.
    """
    policy = read_policy(path, workspace)
    today = workspace.policy
    if msgspec.structs.replace(policy, name=today.name) == today:
        raise InputError(
            "decides as today's policy does" if policy.name != today.name else "is today's policy already",
            where=path.name,
            got=policy.name,
            hint="change what it does, such as its exploration; `name` alone makes no other policy",
        )
    database = Database.open(workspace.database_url, create=False)
    try:
        reading = read(database, workspace, now_s=now_s)
        entry, is_new = _entry(database, workspace, reading, policy, now_s=now_s)
        freezer = Freezer(database, workspace, reading, split=entry.since)
        scorer, until = freezer.named(policy, entry.model)
    finally:
        database.close()
    log = made_by(reading, workspace.policy, after_s=entry.since).log
    name = policy.name if policy.name != today.name else f"{policy.name} of {path.name}"
    challenger = Candidate(policy, scorer, workspace, learned_until=until, name=name)
    share = alpha * entry.share
    found = look(log, challenger, champion=None, alpha=share, reward_range=workspace.rewards.range)
    if write and is_new:
        ledger.record(workspace.path, entry)
    outcome = Outcome(found.passes, found.reason, found.verdict, len(log), share, entry.model, note=_note(policy))
    if not (found.passes and write):
        return outcome
    rival = _own_model(workspace, reading, now_s)
    return _promoted(workspace, path, policy, outcome, found, entry, rival, now_s=now_s)


def _entry(
    database: Database, workspace: Workspace, reading: Reading, policy: Policy, *, now_s: float
) -> tuple[Event, bool]:
    """The challenger's entry, and whether it is made only now."""
    found = ledger.events(workspace.path)
    champion = workspace.policy.version
    entry = ledger.entry_of(found, champion=champion, policy=policy.version)
    if entry is not None:
        return entry, False
    since = Freezer(database, workspace, reading, share=ENTRY_SHARE).split
    entry = ledger.new_entry(found, at=now_s, champion=champion, policy=policy.version, name=policy.name, since=since)
    scorer, _ = Freezer(database, workspace, reading, split=entry.since).model(policy)
    return msgspec.structs.replace(entry, model=scorer.version), True


def _promoted(
    workspace: Workspace,
    path: Path,
    policy: Policy,
    outcome: Outcome,
    found: Look,
    entry: Event,
    rival: str,
    *,
    now_s: float,
) -> Outcome:
    kept = install(workspace.path, path.read_bytes(), old_version=workspace.policy.version)
    backup = str(kept.relative_to(workspace.path))
    event = Event(
        kind="promoted",
        at=now_s,
        champion=entry.champion,
        policy=entry.policy,
        name=entry.name,
        model=entry.model,
        rival_model=rival,
        since=entry.since,
        backup=backup,
        low=found.verdict.low,
        high=found.verdict.high,
        reason=found.reason,
    )
    ledger.record(workspace.path, event)
    return replace(outcome, promoted=True, backup=backup, restart=not tell_replicas(workspace, policy, now_s=now_s))


def tell_replicas(workspace: Workspace, policy: Policy, *, now_s: float) -> bool:
    """Put a policy in force for the replicas that run; True if they take it without being started again.

    Raises
    ------
    StoreError
        If they cannot be told; policy.toml has been replaced by then, so that a restart takes it.
    """
    try:
        database = Database.open(workspace.database_url, create=False)
        try:
            return definitions.promote(policy, database, clock=lambda: now_s)
        finally:
            database.close()
    except StoreError as error:
        raise StoreError(
            f"policy.toml is replaced, but running replicas could not be told ({error.what})",
            where=error.where,
            hint="start the service again",
        ) from error


def _own_model(workspace: Workspace, reading: Reading, now_s: float) -> str:
    """The newest model of today's policy: with it the policy is replayed once it is replaced."""
    found = newest_fitting(reading.known, workspace.policy, workspace.catalogue, workspace.rewards, until_s=now_s)
    return found.version if found else ""


def _note(policy: Policy) -> str:
    if full_support(policy.exploration):
        return ""
    return "it does not explore every action: once it acts, no other policy can be compared with it, nor rolled back to"
