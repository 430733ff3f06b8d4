"""`nba train DIR`: learn a model anew from the log, under other settings if wished; it does not serve by itself."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from bandit_nba.cli.failure import reported
from bandit_nba.cli.opened import caller
from bandit_nba.cli.printing import print_json, quoted, utc

if TYPE_CHECKING:
    from bandit_nba.decide.policy import Policy
    from bandit_nba.learn.definition import RewardDefinition
    from bandit_nba.online.training import Outcome

Day = datetime.datetime | None


@reported
def train(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    policy: Annotated[Path | None, typer.Option(help="Features and VW options of this policy file.")] = None,
    rewards: Annotated[Path | None, typer.Option(help="Rewards by this file instead of rewards.toml.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="A VW option, NAME=VALUE; NAME=false takes it out; again for more.")
    ] = None,
    cross: Annotated[list[str] | None, typer.Option(help="These interactions instead, such as UA; again.")] = None,
    since: Annotated[Day, typer.Option(help="Only decisions made from then on, UTC, such as 2026-01-31.")] = None,
    until: Annotated[Day, typer.Option(help="Only decisions made before, UTC.")] = None,
    by: Annotated[
        Literal["learner", "driver"], typer.Option(help="In this process, or by VW's driver; equal weights.")
    ] = "learner",
    chunk: Annotated[int, typer.Option(min=1_000, help="Decisions between two checkpoints.")] = 50_000,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not go on with an unfinished run.")] = False,
    why: Annotated[str, typer.Option(help="For the record.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Learn a model from every matured decision of the log, in its order; with the settings in force it has the very
    weights of the learner's.

    The model goes into the registry and serves once `nba models publish` says so. A run that is interrupted goes on
    where it was when the same command is given again, and ends with the same weights.

    Examples:

      nba train shop

      nba train shop --rewards margin.toml --why "margin instead of clicks"

      nba train shop --option ftrl=false --option learning_rate=0.1 --cross UA --cross RA --json
    """
    found = _train(
        directory,
        files=(policy, rewards),
        changes=(option or [], cross or []),
        span=(since, until),
        how=(by, chunk),
        fresh=fresh,
        why=why,
        silent=as_json,
    )
    if as_json:
        print_json(_content(found))
    else:
        _show(found, directory)


def _train(
    directory: Path,
    *,
    files: tuple[Path | None, Path | None],
    changes: tuple[list[str], list[str]],
    span: tuple[Day, Day],
    how: tuple[Literal["learner", "driver"], int],
    fresh: bool,
    why: str,
    silent: bool,
) -> "Outcome":
    # Imported here: `nba --help` must not load numpy, VW and the database.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from bandit_nba.online.training import Wish, train
    from bandit_nba.store.database import Database
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    wish = Wish(
        policy=_changed(_policy(files[0]) or workspace.policy, *changes),
        rewards=_rewards(files[1]) or workspace.rewards,
        since_s=_seconds(span[0]),
        until_s=_seconds(span[1]),
        by=how[0],
        chunk=how[1],
    )
    database = Database.open(workspace.database_url, create=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    bar = Progress(TextColumn("decisions"), *columns, console=Console(stderr=True), transient=True, disable=silent)
    try:
        with bar:
            task = bar.add_task("", total=None)
            return train(
                workspace,
                database,
                wish,
                who=caller(),
                why=why,
                fresh=fresh,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    finally:
        database.close()


def _policy(path: Path | None) -> "Policy | None":
    from bandit_nba.decide.policy import Policy
    from bandit_nba.settings import parse

    return None if path is None else parse(_text(path, "policy.toml"), Policy, where=str(path))


def _rewards(path: Path | None) -> "RewardDefinition | None":
    from bandit_nba.learn.definition import RewardDefinition
    from bandit_nba.settings import parse

    return None if path is None else parse(_text(path, "rewards.toml"), RewardDefinition, where=str(path))


def _text(path: Path, like: str) -> str:
    from bandit_nba.errors import SettingsError

    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError("there is no such file", where=str(path), allowed=f"a file such as {like}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read ({error})", where=str(path), allowed="TOML in UTF-8") from None


def _changed(policy: "Policy", options: list[str], crosses: list[str]) -> "Policy":
    """The policy with VW options and interactions given on the command line."""
    from bandit_nba.decide.policy import Policy
    from bandit_nba.learn.options import without
    from bandit_nba.settings import convert

    content = msgspec.to_builtins(policy)
    given = {name.strip(): _value(value.strip()) for name, _, value in (each.partition("=") for each in options)}
    kept = content["learning"]["options"]
    taken_out = [name for name, value in given.items() if value is False and name in kept]
    for name in taken_out:
        kept = without(kept, name)
    added = {name: value for name, value in given.items() if name not in taken_out}
    content["learning"]["options"] = {**kept, **added}
    if crosses:
        content["features"]["interactions"] = crosses
    return convert(content, Policy, where="the policy with --option and --cross")


def _value(text: str) -> float | bool | str:
    """true, false and nothing at all (a flag) are booleans; what reads as a number is one."""
    if text in ("", "true", "false"):
        return text != "false"
    try:
        return float(text)
    except ValueError:
        return text


def _seconds(day: Day) -> float | None:
    return day.replace(tzinfo=datetime.UTC).timestamp() if day else None


def _content(found: "Outcome") -> dict[str, object]:
    manifest = found.manifest
    return {
        "version": manifest.version,
        "weightsSha256": manifest.weights_sha256,
        "examplesLearned": manifest.examples_learned,
        "decisions": found.decisions,
        "resumedAt": found.resumed,
        "failed": found.failed,
        "learnedFrom": utc(manifest.learned_from),
        "learnedUntil": utc(manifest.learned_until),
        "featureVersion": manifest.feature_version,
        "rewardVersion": manifest.reward_version,
        "vwArgs": " ".join(manifest.vw_args),
    }


def _show(found: "Outcome", directory: Path) -> None:
    manifest = found.manifest
    resumed = f", of them {found.resumed:,} before it was interrupted" if found.resumed else ""
    print(f"model {manifest.version}: {manifest.examples_learned:,} decisions learned{resumed}")
    print(f"made from {utc(manifest.learned_from)} to {utc(manifest.learned_until)}")
    for one in found.failed[:20]:
        print(f"left out {one.decision} ({one.reason}): {one.why}")
    if len(found.failed) > 20:
        print(f"... and {len(found.failed) - 20:,} more")
    print(f"It does not serve yet: nba models publish {quoted(directory)} {manifest.version}")
