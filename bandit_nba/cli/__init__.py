"""The command line: `nba COMMAND DIR ...`.

One file per command, imported only when it is the one asked for, so that `nba --help` answers at once. A command is
listed below by name and summary; its file has a function of the same name, or, where it has commands of its own, a
`typer.Typer` named `app`.

Exit codes: 0 done; 1 a check failed; 2 wrong input or usage.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from bandit_nba.cli.usage import Usage

COMMANDS = {
    "init": "Write a new workspace: four commented files to make your own.",
    "check": "Check a whole workspace and say what is in it.",
    "catalogue": "Check, compare, list the actions, or put them in force under a running service.",
    "serve": "Run the service: decisions and outcomes over HTTP, and the learner beside them.",
    "migrate": "Bring a store of an earlier release up to date, after a backup.",
    "status": "Is it learning, and what became of decisions and outcomes?",
    "explain": "Why did a decision come out as it did?",
    "evaluate": "What policies would have earned, from the log alone.",
    "report": "Policies side by side on one page: verdict first, then everything behind it.",
    "search": "Look for a better policy on the log; the best becomes a policy file.",
    "promote": "Let a policy act once it surely earns more than today's, and watch it afterwards.",
    "keys": "Who may call the service, and for what: make, list, rotate or revoke API keys.",
    "audit-log": "Who changed what and when, and whether anybody tampered with that.",
    "log": "The decision log: archive closed days, export it, import one from elsewhere.",
    "models": "List, show, verify what has been learned; publish a model or roll one back.",
    "train": "Learn a model anew from the log, under other rewards, features or VW options if wished.",
    "quarantine": "Decisions that could not be learned: list, show, replay or drop them.",
    "audit": "Make every logged decision again, and say whether the log tells the truth.",
    "experiment": "List, run (resumable, on any number of processes) and report what researchers compare.",
    "backup": "Back up a workspace while it serves: a verified snapshot of the whole store.",
    "restore": "Make a workspace of a backup, verified before anything is written.",
    "world": "Simulated customers: list the worlds, write and check your own, fill a workspace with their log.",
    "demo": "Watch the system learn on 7,043 real customers, then read whether it did.",
}


def main() -> None:
    """The entry point of `nba`."""
    application(sys.argv[1:])(prog_name="nba")


def application(arguments: Sequence[str]) -> typer.Typer:
    """The application, with the one command that `arguments` name loaded and the others known by their summary."""
    app = typer.Typer(
        name="nba", cls=Usage, no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False
    )
    app.callback(help=_HELP)(_options)
    wanted = next((argument for argument in arguments if not argument.startswith("-")), "")
    for name, summary in COMMANDS.items():
        if name == wanted:
            _add(app, name, summary)
        else:
            app.command(name, help=summary)(_unloaded)
    return app


_HELP = """Next best action as a contextual bandit: decide, log true propensities, learn, and prove it from the log.

Start with:

  nba init shop          # a workspace: catalogue, rewards, policy, service

  nba check shop         # is everything sound?

Each command explains itself: nba COMMAND --help
"""


def _add(app: typer.Typer, name: str, summary: str) -> None:
    module = importlib.import_module(f"bandit_nba.cli.{name.replace('-', '_')}")
    group = getattr(module, "app", None)
    if isinstance(group, typer.Typer):
        app.add_typer(group, name=name, help=summary, no_args_is_help=True)
    else:
        command: Callable[..., None] = getattr(module, name.replace("-", "_"))
        app.command(name)(command)


def _unloaded() -> None:
    """Stands for a command that was not asked for."""


def _print_version(wanted: bool) -> None:  # the shape that typer asks of a callback
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(version("bandit-nba"))
        except PackageNotFoundError:
            print("unknown: run from a source tree that is not installed")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of `nba` itself."""
