"""Arbitration in a workspace: values that change in time come from a file into the policy, and mistakes are named."""

from pathlib import Path

import msgspec
import pytest

from bandit_nba.decide.policy import Policy
from bandit_nba.errors import NbaError
from bandit_nba.workspace import init_workspace, open_workspace
from bandit_nba.workspace.open import inspect_workspace

VALUES = "action,from,value\nfiber_upgrade,2026-01-31,99\ndata_pack,2026-02-01T08:00:00+01:00,7.5\n\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    init_workspace(tmp_path / "shop")
    return tmp_path / "shop"


def arbitration(directory: Path, text: str) -> None:
    """Put `text` at the end of the table [arbitration] of policy.toml."""
    path = directory / "policy.toml"
    start = path.read_text().index("priority_range = 1.0")
    head, tail = path.read_text()[:start], path.read_text()[start:]
    levers = tail.index("[arbitration.levers]")
    rest = tail[levers:].split("\n", 1)[1]
    path.write_text(head.replace("use_value = false", "use_value = true") + f"priority_range = 1.0\n{text}\n{rest}")


def problems(directory: Path) -> list[NbaError]:
    return list(inspect_workspace(directory).problems)


def test_values_of_a_file_become_part_of_the_policy_and_its_version(directory: Path) -> None:
    before = open_workspace(directory).policy.version
    (directory / "values.csv").write_text(VALUES)
    arbitration(directory, 'values_file = "values.csv"')

    policy = open_workspace(directory).policy

    assert [(v.action, v.since.isoformat(), v.value) for v in policy.arbitration.values] == [
        ("fiber_upgrade", "2026-01-31T00:00:00", 99.0),
        ("data_pack", "2026-02-01T08:00:00+01:00", 7.5),
    ]
    stored = msgspec.json.decode(msgspec.json.encode(policy, order="sorted"), type=Policy)
    assert stored == policy
    assert stored.version == policy.version != before
    (directory / "values.csv").write_text(VALUES.replace("99", "98"))
    assert open_workspace(directory).policy.version != policy.version


def test_values_may_stand_in_toml(directory: Path) -> None:
    toml = '[[values]]\naction = "data_pack"\nfrom = 2026-02-01T00:00:00Z\nvalue = 3\n'
    (directory / "values.toml").write_text(toml)
    arbitration(directory, 'values_file = "values.toml"')

    (timed,) = open_workspace(directory).policy.arbitration.values

    assert (timed.action, timed.value) == ("data_pack", 3.0)


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("action,since,value\n", "values.csv: line 1", "another header"),
        ("action,from,value\nfiber_upgrade,soon,9\n", "values.csv: line 2", "is not a value"),
        ("action,from,value\nfiber_upgrade,2026-01-31\n", "values.csv: line 2", "is not a value"),
        ("action,from,value\nfiber_upgrade,2026-01-31,-1\n", "values.csv: line 2", ""),
        ("action,from,value\nfiber_upgrade,2026-01-31,nan\n", "values.csv: line 2", "finite"),
        ("action,from,value\nfibre,2026-01-31,9\n", "values.csv", "unknown action"),
        ("action,from,value\n" + "data_pack,2026-01-31,9\n" * 2, "values.csv", "stands twice"),
    ],
)
def test_mistakes_in_the_file_name_their_line(directory: Path, content: str, where: str, what: str) -> None:
    (directory / "values.csv").write_text(content)
    arbitration(directory, 'values_file = "values.csv"')

    (found,) = problems(directory)

    assert found.where.startswith(where)
    assert what in found.what


@pytest.mark.parametrize("name", ["../values.csv", "/etc/hosts", "values.txt", "gone.csv"])
def test_only_a_file_of_the_workspace_is_read(directory: Path, name: str) -> None:
    arbitration(directory, f'values_file = "{name}"')

    assert problems(directory)[0].where == "policy.toml: arbitration.values_file"


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ('[[arbitration.levers]]\ngroup = "up_cell"\nlever = 2', "arbitration.levers", "up_sell"),
        ('[[arbitration.levers]]\ngroup = "up_sell"\nlever = 0', "arbitration.levers[0].lever", ""),
        (
            '[[arbitration.levers]]\ngroup = "up_sell"\nlever = 2\nvalid_from = 2026-02-01T00:00:00Z\n'
            "valid_until = 2026-01-01T00:00:00Z",
            "arbitration.levers: up_sell.valid_until",
            "",
        ),
        (
            '[[arbitration.context_weights]]\nfact = "contrakt"\nvalues = { x = 2 }',
            "arbitration.context_weights[0].fact",
            "contract",
        ),
        (
            '[[arbitration.context_weights]]\nfact = "tenure_months"\nvalues = { x = 2 }',
            "arbitration.context_weights[0].fact",
            "",
        ),
        (
            '[[arbitration.context_weights]]\nfact = "channel"\nvalues = { wep = 2 }',
            "arbitration.context_weights[0].values",
            "web",
        ),
        (
            '[[arbitration.context_weights]]\nfact = "senior"\nvalues = { yes = 2 }',
            "arbitration.context_weights[0].values",
            "",
        ),
        (
            '[[arbitration.context_weights]]\nfact = "senior"\nvalues = { true = 2 }\ngroup = "retane"',
            "arbitration.context_weights[0].group",
            "retain",
        ),
    ],
)
def test_mistakes_in_policy_toml_name_their_place(directory: Path, text: str, where: str, hint: str) -> None:
    arbitration(directory, text)

    found = problems(directory)[0]

    assert found.where == f"policy.toml: {where}"
    assert hint in found.hint


def test_a_value_that_cannot_weigh_is_found_by_the_check(directory: Path) -> None:
    path = directory / "catalogue.toml"
    path.write_text(path.read_text().replace("value = 8.0", "value = 0.0"))
    assert not problems(directory)

    arbitration(directory, "")

    (found,) = problems(directory)
    assert "value of data_pack" in found.where


def test_timed_values_need_use_value(directory: Path) -> None:
    (directory / "values.csv").write_text(VALUES)
    arbitration(directory, 'values_file = "values.csv"')
    path = directory / "policy.toml"
    path.write_text(path.read_text().replace("use_value = true", "use_value = false"))

    assert "would not count" in problems(directory)[0].what


def test_a_safe_policy_that_cannot_be_is_found_by_the_check(directory: Path) -> None:
    path = directory / "policy.toml"
    path.write_text(path.read_text().replace('kind = "uniform_safe"', 'kind = "fixed"\narm = "network_state"'))

    (found,) = problems(directory)

    assert found.where == "policy.toml: safe.arm"
    assert "network_status" in found.hint
