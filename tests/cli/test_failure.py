"""How a command fails: what names hold never reaches the terminal as commands to it."""

from bandit_nba.cli.failure import block
from bandit_nba.errors import InputError


def test_nothing_in_a_name_steers_the_terminal() -> None:
    error = InputError("no such \x1b[31mthing", where="a\u202eb", got="\x1b]0;x\x07", hint="one\ntwo: größer")

    told = block(error)

    assert all(c.isprintable() or c == "\n" for c in told)
    assert "no such \\x1b[31mthing" in told
    assert "one\ntwo: größer" in told
