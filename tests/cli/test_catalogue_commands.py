"""`nba catalogue diff|apply|list` as people use them: edit, compare, put in force."""

import json
from pathlib import Path

import pytest

from bandit_nba.cli import application
from bandit_nba.online import definitions
from bandit_nba.store.database import Database
from bandit_nba.workspace import init_workspace, open_workspace


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace whose service has run once."""
    init_workspace(tmp_path / "shop")
    workspace = open_workspace(tmp_path / "shop")
    database = Database.open(workspace.database_url)
    definitions.register(workspace, database)
    database.close()
    return tmp_path / "shop"


def nba(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    words = [str(argument) for argument in arguments]
    with pytest.raises(SystemExit) as left:
        application(words)(words, prog_name="nba")
    printed = capsys.readouterr()
    return (left.value.code if isinstance(left.value.code, int) else 0), printed.out, printed.err


def edit(shop: Path, before: str, after: str) -> None:
    path = shop / "catalogue.toml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


RETIRED = ('title = "10 GB more this month"', 'title = "20 GB more this month"\nretired = true')
RULE = "[groups.up_sell]", '[[contact_rules]]\nkind = "cap"\nscope = "all"\nmax = 2\nwithin = "P7D"\n\n[groups.up_sell]'


def test_edit_diff_apply(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = nba(capsys, "catalogue", "diff", shop)
    assert (code, out.split(":")[0]) == (0, "catalogue.toml is in force")

    edit(shop, *RETIRED)
    edit(shop, *RULE)
    code, out, _ = nba(capsys, "catalogue", "diff", shop)
    assert code == 1
    assert '  contact rule kind="cap" scope="all" max=2 within="P7D": added' in out
    assert "  action data_pack: retired" in out
    assert '      title: "10 GB more this month" -> "20 GB more this month"' in out
    assert "Not in force" in nba(capsys, "catalogue", "list", shop)[1]

    code, out, _ = nba(capsys, "catalogue", "apply", shop)
    version = open_workspace(shop).catalogue.version
    assert code == 0
    assert f"version {version}." in out.splitlines()[-1]
    assert nba(capsys, "catalogue", "diff", shop)[0] == 0
    assert "Not in force" not in nba(capsys, "catalogue", "list", shop)[1]
    assert nba(capsys, "catalogue", "apply", shop)[1].startswith("Nothing has changed.")


def test_json_for_machines(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = open_workspace(shop).catalogue.version
    edit(shop, *RETIRED)
    after = open_workspace(shop).catalogue.version
    code, out, _ = nba(capsys, "catalogue", "diff", shop, "--json")
    told = json.loads(out)
    applied = json.loads(nba(capsys, "catalogue", "apply", shop, "--json")[1])

    assert code == 1
    assert (told["inForce"]["version"], told["version"]) == (before, after)
    (change,) = told["changes"]
    assert (change["what"], change["id"], change["how"]) == ("action", "data_pack", "retired")
    assert {"field": "retired", "before": None, "after": True} in change["fields"]
    assert applied["inForce"]["version"] == after
    assert json.loads(nba(capsys, "catalogue", "list", shop, "--json")[1])["inForce"]["version"] == after


def test_a_workspace_that_never_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init_workspace(tmp_path / "new")
    code, out, _ = nba(capsys, "catalogue", "diff", tmp_path / "new")

    assert code == 1
    assert "No catalogue is in force yet" in out
    assert nba(capsys, "catalogue", "apply", tmp_path / "new")[0] == 0
    assert nba(capsys, "catalogue", "diff", tmp_path / "new")[0] == 0


def test_a_mistake_is_not_applied(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(shop, 'kind = "information"', 'kind = "infromation"')
    code, _, err = nba(capsys, "catalogue", "apply", shop)

    assert code == 2
    assert 'did you mean "information"' in err


def test_a_fact_of_another_kind_is_not_applied(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(shop, 'contract = "category"', 'contract = "text"')
    code, _, err = nba(capsys, "catalogue", "apply", shop)

    assert code == 2
    assert "a fact keeps its kind" in err
    assert "facts.contract" in err
