"""`nba check DIR`: is a workspace sound, and what is in it?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import as_dict, block, reported
from bandit_nba.cli.printing import print_json

if TYPE_CHECKING:
    from bandit_nba.workspace import Inspection, Workspace


@reported
def check(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Check a whole workspace and say what is in it; exit code 1 when something is wrong.

    Every file is read, every rule compiled, and the files are held against each other. All mistakes are listed, each
    with its place, the value found, what is allowed and a hint.

    Examples:

      nba check shop

      nba check shop --json
    """

    from bandit_nba.workspace import inspect_workspace

    if not directory.expanduser().is_dir():
        raise next(iter(inspect_workspace(directory).problems))
    found = inspect_workspace(directory)
    if as_json:
        print_json(_as_dict(found))
    else:
        _show(found, directory)
    if found.problems:
        raise typer.Exit(1)


def _show(found: "Inspection", directory: Path) -> None:
    for problem in found.problems:
        print(block(problem), end="\n\n")
    if found.workspace is None:
        count = len(found.problems)
        print(f"{directory}: {count} {'mistake' if count == 1 else 'mistakes'}.")
        return
    print(f"{directory}: sound.")
    for name, text in described(found.workspace).items():
        print(f"  {name:<10} {text}")
    for note in found.notes:
        print(f"  note       {note}")


def described(workspace: "Workspace") -> dict[str, str]:
    """What a workspace holds, in words, file by file."""
    from bandit_nba.catalogue.rules import rule_count
    from bandit_nba.decide.choice.mixture import in_words

    catalogue, rewards, policy, service = workspace.catalogue, workspace.rewards, workspace.policy, workspace.service
    retired = sum(action.retired for action in catalogue.actions)
    groups = {action.group for action in catalogue.actions}
    features = policy.features
    waits_s = [rewards.wait_s(channel) for channel in service.channels]
    exploring, mixed = policy.exploration, in_words(policy.mixture)
    return {
        "catalogue": f"{_count(len(catalogue.actions), 'action')} in {_count(len(groups), 'group')}"
        f"{f' ({retired} retired)' if retired else ''}; {_count(len(catalogue.arms), 'choice')}, no action and "
        f"message variants included; {_count(len(catalogue.facts), 'fact')}; {_count(rule_count(catalogue), 'rule')}; "
        f"version {catalogue.version}",
        "rewards": f"unit {rewards.unit}, from {rewards.range[0]:g} to {rewards.range[1]:g}; "
        f"{_count(len(rewards.outcomes), 'outcome')}: {', '.join(rewards.outcomes)}; decisions wait "
        f"{_span(min(waits_s))}{'' if min(waits_s) == max(waits_s) else f' to {_span(max(waits_s))}'}; "
        f"version {rewards.version}",
        "policy": f"{exploring.kind}, floor {exploring.floor:g}; {f'{mixed}; ' if mixed else ''}"
        f"{_count(len(features.customer) + len(features.request), 'fact')} as features, 2^{features.bits} weights; "
        f"version {policy.version}",
        "service": f"{_count(len(service.channels), 'channel')}: {', '.join(service.channels)}; "
        f"http://{service.host}:{service.port}; "
        f"{'SQLite in data/nba.db' if workspace.database_url.startswith('sqlite') else 'PostgreSQL'}",
        "secrets": f"{_count(len(workspace.salts), 'salt')}, new decisions use {workspace.salt.id}",
    }


def _as_dict(found: "Inspection") -> dict[str, object]:
    versions = {}
    if found.workspace:
        parts = {
            "catalogue": found.workspace.catalogue.version,
            "rewards": found.workspace.rewards.version,
            "policy": found.workspace.policy.version,
            "features": found.workspace.policy.features.version,
        }
        versions = {"versions": parts, "found": described(found.workspace)}
    return {
        "ok": not found.problems,
        "problems": [as_dict(p) for p in found.problems],
        "notes": found.notes,
        **versions,
    }


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _span(duration_s: float) -> str:
    """A duration in its largest fitting unit: 1800 -> "30 min"."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if duration_s >= size:
            return f"{duration_s / size:g} {unit}"
    return f"{duration_s:g} s"
