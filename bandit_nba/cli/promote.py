"""`nba promote DIR POLICY`: let a policy act once it surely earns more; `--watch`: take it back if it does not."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import reported
from bandit_nba.cli.printing import print_json
from bandit_nba.errors import RefusedError

if TYPE_CHECKING:
    from bandit_nba.promote.challenge import Outcome
    from bandit_nba.promote.watch import Watched


@reported
def promote(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    policy: Annotated[Path | None, typer.Argument(help="The policy file to promote.", metavar="[POLICY]")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Watch the last promotion instead.")] = False,
    every: Annotated[float, typer.Option(min=0.0, help="With --watch: seconds between looks; 0: one look.")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look: change and record nothing.")] = False,
    alpha: Annotated[float, typer.Option(min=0.001, max=0.5, help="Chance that any promotion is wrong.")] = 0.05,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Promote a policy if its gain over today's is surely above 0; exit code 1 with the reason if not.

    Both are judged on the same decisions by a confidence sequence: look as often as you like. The old policy file is
    kept; replicas that run take the new one. With --watch the replaced policy is replayed on the new one's decisions;
    where it surely earns more it is put back, and the exit code is 1.

    Examples:

      nba promote demo bolder.toml --dry-run

      nba promote demo bolder.toml

      nba promote demo --watch --every 600
    """
    from bandit_nba.promote.challenge import challenge
    from bandit_nba.workspace import open_workspace

    if watch == (policy is not None):
        raise typer.BadParameter("name a policy file, or say --watch")
    if policy is None:
        _watch(directory, every_s=every, alpha=alpha, dry_run=dry_run, as_json=as_json)
        return
    workspace = open_workspace(directory)
    outcome = challenge(workspace, policy, alpha=alpha, now_s=time.time(), write=not dry_run)
    if as_json:
        print_json(_challenged(outcome, dry_run=dry_run))
    else:
        _tell(outcome, dry_run=dry_run)
    if not outcome.promoted:
        raise typer.Exit(1)


def _tell(outcome: "Outcome", *, dry_run: bool) -> None:
    if not outcome.promoted:
        print(f"Not promoted: {outcome.reason}.")
    else:
        print(f"{'Would be promoted' if dry_run else 'Promoted'}: {outcome.reason}.")
    print(f"Judged on {outcome.judged:,} decisions with model {outcome.model}, chance of error {outcome.alpha:.2g}.")
    if outcome.note:
        print(f"Note: {outcome.note}.")
    if outcome.backup:
        print(f"The old policy is kept as {outcome.backup}. {_next(outcome.restart)} Then: nba promote DIR --watch")


def _next(restart: bool) -> str:
    """What a service that runs needs."""
    if restart:
        return "It needs models of its own: stop nba serve and start it again."
    return "Replicas that run take it within seconds; nothing has to be started again."


def _challenged(outcome: "Outcome", *, dry_run: bool) -> Mapping[str, object]:
    return {
        "promoted": outcome.promoted and not dry_run,
        "passes": outcome.promoted,
        "action": outcome.verdict.action,
        "reason": outcome.reason,
        "gain": {"low": outcome.verdict.low, "high": outcome.verdict.high},
        "judged": outcome.judged,
        "ess": outcome.verdict.ess,
        "alpha": outcome.alpha,
        "model": outcome.model,
        "backup": outcome.backup,
        "restartNeeded": outcome.restart,
        "note": outcome.note,
    }


def _watch(directory: Path, *, every_s: float, alpha: float, dry_run: bool, as_json: bool) -> None:
    from bandit_nba.promote.watch import watch_once
    from bandit_nba.workspace import open_workspace

    while True:
        try:
            found = watch_once(open_workspace(directory), alpha=alpha, now_s=time.time(), write=not dry_run)
        except RefusedError as error:
            if not every_s:
                raise
            print(f"Waiting: {error}.")
        else:
            print_json(_watched(found, dry_run=dry_run)) if as_json else _tell_watched(found, dry_run=dry_run)
            if found.rolled_back:
                raise typer.Exit(1)
        if not every_s:
            return
        time.sleep(every_s)


def _tell_watched(found: "Watched", *, dry_run: bool) -> None:
    if found.rolled_back:
        did = "would be put back." if dry_run else f"is put back. {_next(found.restart)}"
        print(f"Rolled back: {found.reason}: {found.promoted.backup} {did}")
    else:
        print(f"Stays: {found.reason} (after {found.judged:,} decisions).")


def _watched(found: "Watched", *, dry_run: bool) -> Mapping[str, object]:
    return {
        "rolledBack": found.rolled_back and not dry_run,
        "reason": found.reason,
        "gainOfTheReplaced": {"low": found.verdict.low, "high": found.verdict.high},
        "judged": found.judged,
        "policy": found.promoted.policy,
        "backup": found.promoted.backup,
        "restartNeeded": found.restart,
    }
