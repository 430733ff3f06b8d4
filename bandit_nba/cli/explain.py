"""`nba explain DIR DECISION`: why did a decision come out as it did?"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bandit_nba.cli.failure import reported
from bandit_nba.cli.printing import print_json

if TYPE_CHECKING:
    from bandit_nba.online.explaining import ExplanationAnswer


class Lang(StrEnum):
    """The languages that explanations are written in."""

    en = "en"
    de = "de"


_HEADINGS = {
    "en": {"others": "Also possible", "excluded": "Not possible"},
    "de": {"others": "Auch möglich", "excluded": "Nicht möglich"},
}


@reported
def explain(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    decision: Annotated[str, typer.Argument(help="The id of a decision.", metavar="DECISION")],
    *,
    lang: Annotated[Lang, typer.Option(help="The language of the sentences.")] = Lang.en,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Explain one decision: what was not possible, what spoke for and against it, and how the choice came about.

    It is made again from the log, under the versions that made it; nothing changes. With --json all exact numbers.
    What facts and actions are called stands in labels.toml of the workspace.

    Examples:

      nba explain shop web-7c1f

      nba explain shop web-7c1f --lang de
    """
    found = _explained(directory, decision, lang)
    if as_json:
        print_json(found)
    else:
        _show(found, Console(soft_wrap=True))


def _explained(directory: Path, decision: str, lang: Lang) -> "ExplanationAnswer":
    # Imported here: `nba --help` must not load numpy and the database.
    from bandit_nba.online.explaining import Explaining
    from bandit_nba.store.archive.restore import Archive
    from bandit_nba.store.database import Database
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url, create=False)
    try:
        archive = Archive(workspace.archive_folder)
        return Explaining(database, workspace.salts, workspace.labels, archive=archive).explain(decision, lang.value)
    finally:
        database.close()


def _show(found: "ExplanationAnswer", console: Console) -> None:
    def line(text: str, indent: str = "") -> None:
        console.print(f"{indent}{text}", highlight=False, markup=False)

    words = found.words
    for text in (words.headline, *words.why):
        line(text)
    for text in (*words.speaks_for, *words.speaks_against, *words.weighing):
        line(text, "  ")
    for name, texts in (("others", words.others), ("excluded", words.excluded)):
        if texts:
            line(f"\n{_HEADINGS[found.language][name]}:")
        for text in texts:
            line(text, "  ")
