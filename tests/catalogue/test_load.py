"""Catalogue checks that no type can make: ids, groups, channels, dates, values, features, facts."""

import datetime
from pathlib import Path

import pytest

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.load import catalogue_problems, epoch, load_catalogue
from bandit_nba.errors import SettingsError
from bandit_nba.settings import parse

CHANNELS = ("web", "email")

SOUND = """
[facts]
age = "number"
owned = "set"

[groups.sell]

[[actions]]
id = "phone"
kind = "offer"
group = "sell"
channels = ["web", "email"]
valid_from = 2026-01-01T00:00:00
valid_until = 2026-02-01T00:00:00Z
owned_as = "phone"
features = { price = 3.0, color = "red" }

[[actions.treatments]]
id = "short"
channels = ["email"]
features = { tone = "warm" }

[[actions]]
id = "case"
kind = "offer"
group = "sell"
features = { price = 1.0 }
"""


def problems(text: str) -> list[SettingsError]:
    catalogue = parse(text, Catalogue, where="catalogue.toml")
    return list(catalogue_problems(catalogue, channels=CHANNELS, where="catalogue.toml"))


def test_a_sound_catalogue_loads(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(SOUND)

    catalogue = load_catalogue(path, channels=CHANNELS)

    assert [arm.id for arm in catalogue.arms] == ["no_action", "phone/short", "case"]
    assert catalogue.arms[1].channels == ("email",)
    assert problems(SOUND) == []


@pytest.mark.parametrize(
    ("old", "new", "where", "allowed", "hint"),
    [
        ('id = "case"', 'id = "phone"', 'actions[1] "phone".id', "", ""),
        ('id = "case"', 'id = "no_action"', 'actions[1] "no_action".id', "", ""),
        ('id = "case"', 'id = ""', 'actions[1] "".id', "at most 100 characters", ""),
        ('id = "case"', 'id = "a|b c:d"', 'actions[1] "a|b c:d".id', "lower-case", ""),
        ('id = "case"', 'id = "case\\n"', 'actions[1] "case\n".id', "lower-case", ""),
        ('id = "case"', 'id = "a/b"', 'actions[1] "a/b".id', "lower-case", ""),
        ('id = "case"', f'id = "{"a" * 101}"', f'actions[1] "{"a" * 100}".id', "at most 100", ""),
        ('id = "case"\nkind = "offer"', 'id = "case"\nkind = "none"', 'actions[1] "case".kind', "retention", ""),
        ('group = "sell"\nch', 'group = "sel"\nch', 'actions[0] "phone".group', "[groups]", 'did you mean "sell"?'),
        ("[groups.sell]", "[groups.none]\n[groups.sell]", "groups.none", "", ""),
        ("[groups.sell]", '[groups."a b"]\n[groups.sell]', "groups.a b", "lower-case", ""),
        ('["web", "email"]', '["wep"]', 'actions[0] "phone".channels[0]', "service.toml", 'did you mean "web"?'),
        ('["web", "email"]', '["web", "web", "email"]', 'actions[0] "phone".channels[1]', "", ""),
        ('["web", "email"]', '["web"]', 'actions[0] "phone".treatments[0].channels[0]', "of the action, web", "web"),
        ('id = "short"', 'id = "Short"', 'actions[0] "phone".treatments[0] "Short".id', "lower-case", ""),
        ("2026-02-01", "2026-01-01", 'actions[0] "phone".valid_until', "later than valid_from", ""),
        ("2026-02-01T00:00:00Z", "2026-01-01T01:00:00+02:00", 'actions[0] "phone".valid_until', "later", ""),
        ('owned = "set"', "", 'actions[0] "phone".owned_as', "", 'owned = "set"'),
        ('owned = "set"', 'owned = "text"', "facts.owned", '"set"', ""),
        ('age = "number"', '17 = "number"', "facts", "a letter first", ""),
        ('age = "number"', 'Age = "number"', "facts", "lower-case", ""),
        ('age = "number"', '"a b" = "number"', "facts", "lower-case", ""),
        ('age = "number"', 'in = "number"', "facts", "", "add a word"),
        ('group = "sell"\nfeatures', 'group = "sell"\nvalue = -1\nfeatures', 'actions[1] "case".value', "1e9", ""),
        ('group = "sell"\nfeatures', 'group = "sell"\ncost = 1e10\nfeatures', 'actions[1] "case".cost', "1e9", ""),
        ("{ price = 1.0 }", "{ price = 1e16 }", 'actions[1] "case".features.price', "1e15", ""),
        ("{ price = 1.0 }", '{ price = "1.0" }', 'actions[1] "case".features.price', "one kind", ""),
        ("{ price = 1.0 }", "{ 7 = 1.0 }", 'actions[1] "case".features', "a letter first", ""),
        ("{ price = 1.0 }", '{ "a=b|c" = 1.0 }', 'actions[1] "case".features', "lower-case", ""),
        ("{ price = 1.0 }", f'{{ color = "{"x" * 1001}" }}', 'actions[1] "case".features.color', "1000", ""),
    ],
)
def test_each_mistake_is_named_with_its_place(old: str, new: str, where: str, allowed: str, hint: str) -> None:
    assert old in SOUND
    found = problems(SOUND.replace(old, new, 1))

    assert f"catalogue.toml: {where}" in [error.where for error in found]
    error = next(error for error in found if error.where == f"catalogue.toml: {where}")
    assert allowed in error.allowed
    assert hint in error.hint


def test_the_first_mistake_is_raised(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(SOUND.replace('"case"', '"phone"').replace('age = "number"', 'true = "number"'))

    with pytest.raises(SettingsError, match="facts"):
        load_catalogue(path, channels=CHANNELS)


def test_groups_need_declaring_only_where_some_are_declared() -> None:
    assert problems(SOUND.replace("[groups.sell]", "")) == []


def test_two_treatments_of_an_action_need_two_ids() -> None:
    twice = '[[actions.treatments]]\nid = "short"\n[[actions.treatments]]\nid = "short"'

    found = problems(SOUND.replace('[[actions.treatments]]\nid = "short"', twice))

    assert ["taken by another treatment" in error.what for error in found] == [True]


def test_moments_without_a_zone_are_utc() -> None:
    utc = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

    assert epoch(datetime.datetime(2026, 1, 1)) == epoch(utc) == 1_767_225_600.0
    assert epoch(utc.astimezone(datetime.timezone(datetime.timedelta(hours=5)))) == 1_767_225_600.0
