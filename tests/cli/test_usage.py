"""A command that is called wrongly ends with exit code 2, for machines with a problem like that of any failure."""

import json

import pytest

from tests.command import nba


@pytest.mark.parametrize(
    ("command", "where", "what", "hint"),
    [
        (("experiment", "run", "bakeoff", "--wrokers", "2"), "--wrokers", "No such option", '"--workers"'),
        (("experiment", "run"), "NAME", "Missing argument", "nba experiment run --help"),
        (("experiment", "run", "bakeoff", "--workers", "many"), "--workers", "valid integer", "--help"),
        (("experiment", "run", "bakeoff", "--workers", "0"), "--workers", "greater than or equal to 1", "--help"),
        (("experiment", "run", "bakeoff", "--workers"), "--workers", "requires an argument", "--help"),
        (("experiment", "rnu"), "", "No such command", "--help"),
        (("status",), "DIR", "Missing argument", "nba status --help"),
    ],
)
def test_a_wrong_call_is_a_problem_for_machines(command: tuple[str, ...], where: str, what: str, hint: str) -> None:
    told = nba(*command[:2], "--json", *command[2:])
    plain = nba(*command)

    assert (told.exit_code, plain.exit_code) == (2, 2)
    problem = json.loads(told.stdout)["problem"]
    assert problem["kind"] == "InputError"
    assert problem.get("where", "") == where
    assert what in problem["what"]
    assert hint in problem["hint"]
    assert plain.stdout == ""
    assert what in " ".join(plain.stderr.split())


def test_where_json_is_a_file_stdout_stays_for_people() -> None:
    told = nba("report", "--json", "x.json", "--nonsense")

    assert (told.exit_code, told.stdout) == (2, "")
    assert "No such option" in told.stderr


def test_help_is_no_failure() -> None:
    told = nba("status", "--help", "--json")

    assert told.exit_code == 0
    assert "Usage: " in told.stdout
