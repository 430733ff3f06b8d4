"""Workspaces: written once, read as a whole, and every disagreement between their files named."""

import re
import stat
from pathlib import Path

import pytest

from bandit_nba.errors import NbaError, SettingsError
from bandit_nba.workspace import Workspace, init_workspace, inspect_workspace, open_workspace
from bandit_nba.workspace.open import DATABASE_VARIABLE
from tests import same_secrets


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    init_workspace(tmp_path / "shop")
    return tmp_path / "shop"


def edit(directory: Path, file: str, old: str, new: str) -> None:
    """Replace one piece of text that must be there."""
    text = (directory / file).read_text()
    assert text.count(old) >= 1, f"{file} has no {old!r}"
    (directory / file).write_text(text.replace(old, new, 1))


def problem(directory: Path) -> NbaError:
    """The only mistake of a workspace."""
    found = inspect_workspace(directory)
    assert len(found.problems) == 1, [str(p) for p in found.problems]
    with pytest.raises(NbaError) as caught:
        open_workspace(directory)
    assert str(caught.value) == str(found.problems[0])
    return found.problems[0]


def test_a_new_workspace_is_sound(directory: Path) -> None:
    found = inspect_workspace(directory)

    assert found.problems == ()
    assert found.notes == ()
    assert isinstance(found.workspace, Workspace)
    assert [arm.id for arm in found.workspace.catalogue.arms] == [
        "no_action",
        "fiber_upgrade/speed",
        "fiber_upgrade/price",
        "data_pack",
        "streaming_bundle",
        "loyalty_discount",
        "network_status",
    ]
    assert list(found.workspace.service.channels) == ["web", "email", "call_center"]


def test_every_file_of_a_new_workspace_is_commented(directory: Path) -> None:
    for name in ("catalogue.toml", "rewards.toml", "policy.toml", "service.toml", "secrets/salts.toml"):
        lines = (directory / name).read_text().splitlines()
        comments = [line for line in lines if "#" in line]

        assert len(comments) >= 4, name
        assert all(len(line) <= 120 for line in lines), name


def test_the_database_lives_in_the_workspace_unless_another_is_named(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_workspace(directory).database_url == f"sqlite:///{directory}/data/nba.db"

    edit(directory, "service.toml", 'database = ""', 'database = "postgresql+psycopg://nba@db/nba"')

    assert open_workspace(directory).database_url == "postgresql+psycopg://nba@db/nba"

    monkeypatch.setenv(DATABASE_VARIABLE, "postgresql://nba:secret@elsewhere/nba")
    workspace = open_workspace(directory)

    assert workspace.database_url == "postgresql://nba:secret@elsewhere/nba"
    assert "secret" not in repr(workspace)


def test_init_never_overwrites(directory: Path) -> None:
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}

    with pytest.raises(SettingsError, match="already a workspace"):
        init_workspace(directory)

    assert {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("left", ["catalogue.toml", "secrets/salts.toml", "data/nba.db"])
def test_init_refuses_a_directory_that_holds_any_part_of_a_workspace(tmp_path: Path, left: str) -> None:
    (tmp_path / left).parent.mkdir(exist_ok=True)
    (tmp_path / left).write_text("precious")

    with pytest.raises(SettingsError, match="already a workspace"):
        init_workspace(tmp_path)

    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(left).name]


def test_init_refuses_a_file_an_unknown_template_and_a_path_that_no_url_can_hold(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="is a file"):
        init_workspace(tmp_path / "file")
    with pytest.raises(SettingsError, match='did you mean "telco"'):
        init_workspace(tmp_path / "new", template="telko")
    with pytest.raises(SettingsError, match="question mark"):
        init_workspace(tmp_path / "what?")


def test_secrets_are_fresh_private_and_never_shown(tmp_path: Path) -> None:
    with same_secrets.as_people_get_them():
        init_workspace(tmp_path / "a")
        init_workspace(tmp_path / "b")
    a, b = open_workspace(tmp_path / "a"), open_workspace(tmp_path / "b")

    assert stat.S_IMODE((tmp_path / "a/secrets/salts.toml").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a/secrets").stat().st_mode) == 0o700
    assert a.salt.id == "s1"
    assert len(a.salt.key) == len(a.pseudonym_key) == 32
    assert len({a.salt.key, b.salt.key, a.pseudonym_key, b.pseudonym_key}) == 4
    for secret in (a.salt.key, a.pseudonym_key):
        assert secret.hex() not in repr(a)
        assert repr(secret) not in repr(a)
    assert "/secrets/" in (tmp_path / "a/.gitignore").read_text()


def test_the_current_salt_is_used_and_older_ones_stay(directory: Path) -> None:
    edit(directory, "secrets/salts.toml", 'current = "s1"', 'current = "s2"')
    edit(directory, "secrets/salts.toml", "[salts]", f'[salts]\ns2 = "{"ab" * 32}"')

    workspace = open_workspace(directory)

    assert workspace.salt.id == "s2"
    assert workspace.salt.key == b"\xab" * 32
    assert set(workspace.salts) == {"s1", "s2"}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('current = "s1"', 'current = "s3"', "no such salt"),
        ('current = "s1"', "current = 1", "is not allowed"),
        ('s1 = "', 's1 = "zz', "is not a key"),
        ('s1 = "', 'S_1 = "', "is not a salt id"),
        ('pseudonym_key = "', 'pseudonym_key = "0', "is not a key"),
        ('pseudonym_key = "', 'pseudonymkey = "', "unknown key"),
        ("[salts]", "[salt]", "unknown key"),
    ],
)
def test_wrong_secrets_are_refused_without_being_shown(directory: Path, old: str, new: str, what: str) -> None:
    keys = re.findall("[0-9a-f]{60}", (directory / "secrets/salts.toml").read_text())
    edit(directory, "secrets/salts.toml", old, new)

    with pytest.raises(SettingsError, match=what) as caught:
        open_workspace(directory)

    assert len(keys) == 2
    assert not any(key in str(caught.value) for key in keys)


def test_missing_secrets_are_refused(directory: Path) -> None:
    (directory / "secrets/salts.toml").unlink()

    assert "backup" in problem(directory).hint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_secrets_that_others_can_read_are_refused(directory: Path, mode: int) -> None:
    (directory / "secrets/salts.toml").chmod(mode)

    found = problem(directory)

    assert found.got == f"mode {mode:04o}"
    assert "chmod 600" in found.hint


@pytest.mark.parametrize(
    ("file", "old", "new", "where", "hint"),
    [
        ("service.toml", 'valid_for = "PT30M"', 'valid_for = "30m"', "service.toml: channels.web.valid_for", "PT30M"),
        ("service.toml", '"PT2S"', '"PT0S"', "service.toml: publish_every", ""),
        ("service.toml", "port = 8080", "port = 0", "service.toml: port", ""),
        ("service.toml", '"127.0.0.1"', '"http://x"', "service.toml: host", ""),
        ("service.toml", 'database = ""', 'database = "mysql://u:secret@h/d"', "service.toml: database", "sql"),
        ("service.toml", 'database = ""', 'database = "postgresql://u:secret@h/d"', "service.toml: database", "NBA_"),
        (
            "service.toml",
            'database = ""',
            'database = "postgresql://h/d?password=secret"',
            "service.toml: database",
            "",
        ),
        ("service.toml", 'database = ""', 'database = "nba.db"', "service.toml: database", ""),
        ("service.toml", "[channels.web]", '[channels."web\\n"]', "service.toml: channels.web\n", ""),
        (
            "service.toml",
            'activation = "deferred"',
            'activation = "defered"',
            "service.toml: channels.call_center.activation",
            "deferred",
        ),
        (
            "service.toml",
            'activate_within = "PT15M"',
            'activate_within = "PT31M"',
            "service.toml: channels.call_center.activate_within",
            "",
        ),
        ("rewards.toml", 'email = "P3D"', 'e_mail = "P3D"', "rewards.toml: waits", "email"),
        ("rewards.toml", 'email = "P3D"', 'email = "3 days"', "rewards.toml: waits.email", "P3D"),
        ("rewards.toml", "[0.0, 1.0]", "[1.0, 0.0]", "rewards.toml: range", ""),
        ("rewards.toml", "[0.0, 1.0]", "[0.0, 2.0]", "rewards.toml: range", ""),
        ("rewards.toml", "default = 0.0", "default = -1.0", "rewards.toml: default", ""),
        ("rewards.toml", 'unit = "response"', 'unit = "euro"', "rewards.toml: unit", "known"),
        ("policy.toml", '"senior", ', '"seniour", ', "policy.toml: features.customer", "senior"),
        ("policy.toml", '"senior", ', '"senior", "senior", ', "policy.toml: features.customer", ""),
        ("policy.toml", "data_left_share = {", "contract = {", "policy.toml: features.numbers", "data_left_share"),
        ("policy.toml", "[6.0, 12.0,", "[12.0, 6.0,", "policy.toml: features.numbers.tenure_months.bins", ""),
        ("policy.toml", '"UA"', '"UB"', "policy.toml: features.interactions[0]", ""),
        ("policy.toml", "# up_sell", "up_cell", "policy.toml: arbitration.levers", "up_sell"),
        ("policy.toml", "# up_sell = 1.2", "up_sell = -1", "policy.toml: arbitration.levers.up_sell", ""),
        ("policy.toml", "learning_rate = 0.2", "nn = 3", "policy.toml: learning.options.nn", "weights"),
        (
            "catalogue.toml",
            '["web", "email"]',
            '["web", "mail"]',
            'catalogue.toml: actions[1] "data_pack".channels[1]',
            "email",
        ),
        (
            "catalogue.toml",
            '"customer.data_left_share',
            '"customer.data_left',
            'catalogue.toml: actions[1] "data_pack".applicability',
            "data_left_share",
        ),
        ("catalogue.toml", 'product = "tv"', 'group = "tv"', "catalogue.toml: arm streaming_bundle", "another name"),
    ],
)
def test_each_disagreement_is_named_with_its_place_and_a_hint(
    directory: Path, file: str, old: str, new: str, where: str, hint: str
) -> None:
    edit(directory, file, old, new)

    found = problem(directory)

    assert found.where == where
    assert hint in found.hint
    assert "secret" not in str(found)


def test_values_are_refused_where_the_reward_is_money_already(directory: Path) -> None:
    edit(directory, "rewards.toml", 'unit = "response"', 'unit = "money"')
    assert inspect_workspace(directory).problems == ()

    edit(directory, "policy.toml", "use_value = false", "use_value = true ")

    found = problem(directory)
    assert found.where == "policy.toml: arbitration.use_value"
    assert "twice" in found.what
    assert "response" in found.allowed


def test_mistakes_of_all_files_are_listed_in_one_go(directory: Path) -> None:
    edit(directory, "policy.toml", "bits = 18", "bits = 99")
    edit(directory, "rewards.toml", "reward = 0.2", "rewart = 0.2")
    edit(directory, "catalogue.toml", 'group = "serve"', 'group = "server"')
    (directory / "service.toml").unlink()

    found = inspect_workspace(directory)

    assert found.workspace is None
    assert [p.where.removeprefix(f"{directory}/").split(":")[0] for p in found.problems] == [
        "service.toml",
        "rewards.toml",
        "policy.toml",
    ]


def test_what_is_not_a_workspace_is_refused_with_the_way_to_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, what in ((tmp_path / "none", "no such workspace"), (tmp_path / "file", "is a file")):
        with pytest.raises(SettingsError, match=what) as caught:
            open_workspace(path)
        assert "nba init" in caught.value.hint


def test_a_catalogue_without_actions_surprises_only_where_calls_do_not_bring_them(tmp_path: Path) -> None:
    init_workspace(tmp_path / "ranker", template="personalizer")
    assert inspect_workspace(tmp_path / "ranker").notes == ()

    service = tmp_path / "ranker" / "service.toml"
    lines = service.read_text().splitlines(keepends=True)
    start = lines.index("[personalizer]\n")
    service.write_text("".join(lines[:start] + lines[start + 4 :]))
    assert any("lists no action" in note for note in inspect_workspace(tmp_path / "ranker").notes)


def test_surprises_are_noted_not_refused(directory: Path) -> None:
    edit(directory, "policy.toml", '["UA", "RA"]', "[]")
    edit(directory, "policy.toml", 'kind = "squarecb"', 'kind = "greedy"')
    edit(directory, "policy.toml", "floor = 0.01", "floor = 0.0")

    found = inspect_workspace(directory)

    assert found.problems == ()
    assert "every customer gets the same ranking" in found.notes[0]
    assert "never explores" in found.notes[1]
