"""`nba log archive|export|import DIR`: the decision log out of the store, out of the house, and in again."""

import typer

from bandit_nba.cli.log.archive import archive

app = typer.Typer()
app.command("archive")(archive)


@app.callback()
def _log() -> None:
    """The decision log: archive closed days, export it, import one from elsewhere."""
