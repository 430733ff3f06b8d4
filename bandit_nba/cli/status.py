"""`nba status DIR`: is it learning, and what became of decisions and outcomes?"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bandit_nba.cli.failure import reported
from bandit_nba.cli.printing import print_json


@reported
def status(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Say whether the workspace learns, and what became of its decisions and outcomes, from the store alone.

    Works whether the service runs or not. What each fate of an outcome means stands in docs/outcomes.md.

    Examples:

      nba status shop

      nba status shop --json
    """
    import time

    from bandit_nba.online import status as state
    from bandit_nba.store.database import Database
    from bandit_nba.store.learner import quarantine
    from bandit_nba.workspace import open_workspace

    database = Database.open(open_workspace(directory).database_url, create=False)
    now_s = time.time()
    try:
        found = state.look(database, now_s=now_s)
        with database.read() as connection:
            held = quarantine.counts(connection)
    finally:
        database.close()
    content = {
        "learning": state.is_learning(found, now_s=now_s),
        "words": state.in_words(found, now_s=now_s),
        "decisions": state.decisions_status(found.counts),
        "quarantine": held,
        "outcomes": found.outcomes,
        "outcomeFates": dict(found.outcome_fates),
        "model": state.model_status(found, now_s=now_s),
    }
    if as_json:
        print_json(content)
        return
    print(content["words"])
    _numbers("decisions", msgspec.to_builtins(content["decisions"]))
    _numbers("quarantine", {state: n for state, n in held.items() if n})
    _numbers("outcomes", {"total": found.outcomes, **found.outcome_fates})


def _numbers(title: str, counts: dict[str, object]) -> None:
    numbers = {name: n for name, n in counts.items() if isinstance(n, int)}
    if numbers:
        print(f"\n{title}")
    for name, n in numbers.items():
        print(f"  {name:<20} {n:>12,}")
