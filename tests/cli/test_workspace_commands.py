"""`nba init`, `nba check` and `nba catalogue`, run as people run them."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bandit_nba.cli import COMMANDS, application
from bandit_nba.workspace import init_workspace

NBA = (sys.executable, "-c", "from bandit_nba.cli import main; main()")


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


Nba = Callable[..., Done]


@pytest.fixture
def nba(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Nba:
    """Runs a command as `main` does, in this process; one test below starts the real one."""
    for name, value in {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        words = [str(argument) for argument in arguments]
        with pytest.raises(SystemExit) as left:
            application(words)(words, prog_name="nba")
        printed = capsys.readouterr()
        code = left.value.code
        return Done(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    init_workspace(tmp_path / "shop")
    return tmp_path / "shop"


def test_the_real_command_prints_and_exits(tmp_path: Path) -> None:
    written = subprocess.run([*NBA, "init", tmp_path / "shop"], capture_output=True, text=True, timeout=60, check=False)
    again = subprocess.run([*NBA, "init", tmp_path / "shop"], capture_output=True, text=True, timeout=60, check=False)

    assert (written.returncode, written.stderr) == (0, "")
    assert "Wrote a workspace" in written.stdout
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("error: there is already a workspace")


def test_init_says_what_it_wrote_and_what_comes_next(nba: Nba, tmp_path: Path) -> None:
    done = nba("init", tmp_path / "new")

    assert done.returncode == 0
    assert done.stderr == ""
    for name in ("catalogue.toml", "rewards.toml", "policy.toml", "service.toml", "secrets/salts.toml"):
        assert name in done.stdout
        assert (tmp_path / "new" / name).is_file()
    assert f"nba check {tmp_path / 'new'}" in done.stdout


def test_init_twice_is_refused_in_one_block(nba: Nba, shop: Path) -> None:
    done = nba("init", shop)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: there is already a workspace; nothing was written",
        f"  where    {shop}",
        "  got      'catalogue.toml'",
        "  allowed  a new or empty directory",
    ]


def test_check_says_what_a_sound_workspace_holds(nba: Nba, shop: Path) -> None:
    done = nba("check", shop)

    assert done.returncode == 0
    assert f"{shop}: sound." in done.stdout
    assert "5 actions in 4 groups; 7 choices" in done.stdout
    assert "4 outcomes: click, accept, purchase, reject; decisions wait 30 min to 3 d" in done.stdout
    assert "3 channels: web, email, call_center" in done.stdout


def test_check_lists_every_mistake_and_fails(nba: Nba, shop: Path) -> None:
    policy, catalogue = shop / "policy.toml", shop / "catalogue.toml"
    policy.write_text(policy.read_text().replace("bits = 18", "bitts = 18"))
    catalogue.write_text(catalogue.read_text().replace("tenure_months >= 6.0", "tenure_months >= 6"))

    done = nba("check", shop)

    assert done.returncode == 1
    assert "where    policy.toml: features\n  got      'bitts'" in done.stdout
    assert 'hint     did you mean "bits"?' in done.stdout
    assert 'where    catalogue.toml: actions[3] "loyalty_discount".eligibility' in done.stdout
    assert "such as 12.0" in done.stdout
    assert done.stdout.endswith(f"{shop}: 2 mistakes.\n")


def test_check_for_machines(nba: Nba, shop: Path) -> None:
    sound = json.loads(nba("check", shop, "--json").stdout)
    assert sound["ok"] is True
    assert sound["problems"] == []
    assert set(sound["versions"]) == {"catalogue", "rewards", "policy", "features"}

    (shop / "rewards.toml").write_text("unit = 'euro'\n[outcomes.accept]\n")
    done = nba("check", shop, "--json")

    assert done.returncode == 1
    wrong = json.loads(done.stdout)
    assert wrong["ok"] is False
    assert wrong["problems"] == [
        {
            "kind": "SettingsError",
            "what": "is not allowed",
            "where": "rewards.toml: unit",
            "got": "'euro'",
            "allowed": '"money", "response"',
            "hint": "known: money, response",
        }
    ]


@pytest.mark.parametrize("command", [("check",), ("catalogue", "check"), ("catalogue", "list")])
def test_what_is_no_workspace_is_wrong_input(nba: Nba, tmp_path: Path, command: tuple[str, ...]) -> None:
    done = nba(*command, tmp_path / "none", "--json")

    assert done.returncode == 2
    assert done.stderr.startswith("error: no such workspace\n")
    assert json.loads(done.stdout)["problem"]["hint"] == "`nba init DIR` writes a new one"


def test_catalogue_check_and_list(nba: Nba, shop: Path) -> None:
    assert "sound; 5 actions, 7 choices, 6 rules; version " in nba("catalogue", "check", shop).stdout
    listed = nba("catalogue", "list", shop).stdout.splitlines()
    assert len(listed) == 6
    assert listed[2].split() == [
        "data_pack", "offer", "up_sell", "8", "-", "web,", "email", "10", "GB", "more", "this", "month"
    ]  # fmt: skip
    actions = json.loads(nba("catalogue", "list", shop, "--json").stdout)["actions"]
    assert [action["id"] for action in actions][:2] == ["fiber_upgrade", "data_pack"]


def test_catalogue_check_finds_what_is_wrong_in_the_catalogue_alone(nba: Nba, shop: Path) -> None:
    (shop / "policy.toml").write_text("not = 'read here'")
    assert nba("catalogue", "check", shop).returncode == 0

    path = shop / "catalogue.toml"
    path.write_text(path.read_text().replace('group = "retain"', 'group = "retian"'))
    done = nba("catalogue", "check", shop)

    assert done.returncode == 1
    assert 'did you mean "retain"?' in done.stdout
    done = nba("catalogue", "list", shop)
    assert done.returncode == 2
    assert 'did you mean "retain"?' in done.stderr


@pytest.mark.parametrize("arguments", [("chek",), ("check",), ("check", "a", "b"), ("check", "a", "--jsn")])
def test_wrong_usage_is_said_on_stderr(nba: Nba, arguments: tuple[str, ...]) -> None:
    done = nba(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: nba" in done.stderr


def test_a_mistyped_command_gets_the_nearest_one(nba: Nba) -> None:
    assert "check" in nba("chek").stderr


def test_help_names_every_command_and_loads_none_of_them() -> None:
    script = (
        "import sys; from bandit_nba.cli import application\n"
        "try: application(['--help'])(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'ray', 'sqlalchemy', 'matplotlib', 'cel_expr_python'} & set(sys.modules)\n"
        "print('LOADED', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert "LOADED []" in done.stdout
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", [("init",), ("check",), ("catalogue", "check"), ("catalogue", "list")])
def test_each_command_explains_itself_with_examples(nba: Nba, command: tuple[str, ...]) -> None:
    done = nba(*command, "--help")

    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert f"nba {' '.join(command)} shop" in done.stdout


def test_each_command_in_the_table_has_its_file_and_its_function() -> None:
    import importlib

    for name in COMMANDS:
        module = importlib.import_module(f"bandit_nba.cli.{name.replace('-', '_')}")
        assert callable(getattr(module, "app", None) or getattr(module, name.replace("-", "_"))), name


def test_check_names_the_store_that_will_be_used(nba: Nba, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init_workspace(tmp_path / "shop")
    here = nba("check", tmp_path / "shop").stdout
    monkeypatch.setenv("NBA_DATABASE_URL", "postgresql://nba:hidden-word@db.example/nba")
    elsewhere = nba("check", tmp_path / "shop").stdout

    assert "SQLite in data/nba.db" in here
    assert "PostgreSQL" in elsewhere
    assert "SQLite" not in elsewhere
    assert "hidden-word" not in elsewhere
