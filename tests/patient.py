"""Channels that declare no deadline of their own have half a minute in tests, not half a second.

A test of the service asks for one decision and looks at what was decided. On a machine that other tests share, half a
second passes now and then before it is: the safe policy answers, or nobody, as promised. Who tests deadlines declares
them, and so do services that tests start as processes of their own.
"""

from pathlib import Path

from bandit_nba.settings import seconds
from bandit_nba.workspace.service import Channel

DEFAULT = "PT0.5S"  # of `Channel`, and in the templates
PATIENT = "PT30S"


def begin() -> None:
    """From now on, in this process."""
    Channel.deadline_s = property(_deadline_s)  # type: ignore[method-assign, assignment]  # the same, but for one


def _deadline_s(channel: Channel) -> float:
    return seconds(PATIENT if channel.deadline == DEFAULT else channel.deadline, where="deadline")


def make_patient(workspace: Path) -> None:
    """Declare it for the channel "web", for processes of their own."""
    path = workspace / "service.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count("[channels.web]\n") == 1
    path.write_text(text.replace("[channels.web]\n", f'[channels.web]\ndeadline = "{PATIENT}"\n'), encoding="utf-8")
