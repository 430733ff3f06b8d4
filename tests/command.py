"""Commands run as people give them, in this process."""

from click.testing import Result
from typer.testing import CliRunner

from bandit_nba.cli import application


def nba(*arguments: object) -> Result:
    texts = [str(argument) for argument in arguments]
    return CliRunner().invoke(application(texts), texts)
