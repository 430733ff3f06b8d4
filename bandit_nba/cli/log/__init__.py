"""`nba log archive|export|import DIR`: the decision log out of the store, out of the house, and in again."""

import typer

from bandit_nba.cli.log.archive import archive
from bandit_nba.cli.log.export import export
from bandit_nba.cli.log.importing import import_log

app = typer.Typer()
app.command("archive")(archive)
app.command("export")(export)
app.command("import")(import_log)
