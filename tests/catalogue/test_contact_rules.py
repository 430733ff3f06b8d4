"""Contact rules are read whole, and every mistake in one is named with its place and what is allowed."""

import pytest

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.contact_rules import contact_problems, outcome_problems
from bandit_nba.errors import SettingsError
from bandit_nba.settings import parse

HEAD = """
[facts]
[groups.sell]
[[actions]]
id = "tv"
kind = "offer"
group = "sell"
"""
CAP = 'kind = "cap"\nscope = "action"\nmax = 2\nwithin = "P7D"\n'
SUPPRESSION = (
    'kind = "suppression"\nscope = "group"\nafter = 2\noutcomes = ["reject"]\nwithin = "P30D"\npause = "P60D"\n'
)
COOL_DOWN = 'kind = "cool_down"\nscope = "action"\noutcomes = ["accept"]\npause = "P180D"\n'


def catalogue(*rules: str) -> Catalogue:
    return parse(HEAD + "".join(f"[[contact_rules]]\n{rule}" for rule in rules), Catalogue, where="catalogue.toml")


def problems(*rules: str) -> list[SettingsError]:
    return list(contact_problems(catalogue(*rules), channels=["web", "email"], where="catalogue.toml"))


def test_sound_rules_have_no_problem() -> None:
    channel = 'kind = "cap"\nscope = "channel"\nnames = ["email"]\nmax = 1\nwithin = "PT12H"\n'
    direction = 'kind = "cap"\nscope = "direction"\nnames = ["outbound"]\nmax = 1\nwithin = "PT12H"\n'
    rules = [CAP, SUPPRESSION, COOL_DOWN, channel, direction]

    assert problems(*rules) == []
    assert [rule.within_s for rule in catalogue(*rules).contact_rules] == [604_800, 2_592_000, 0, 43_200, 43_200]
    assert catalogue(SUPPRESSION).contact_rules[0].pause_s == 60 * 86_400


def test_a_rule_changes_the_catalogue_version() -> None:
    assert len({catalogue().version, catalogue(CAP).version, catalogue(CAP.replace("2", "3")).version}) == 3


@pytest.mark.parametrize(
    ("rule", "where", "words"),
    [
        (
            CAP.replace("max = 2\n", ""),
            "catalogue.toml: contact_rules[1]",
            'needs the key "max"; allowed: such as max = 2',
        ),
        (CAP.replace('within = "P7D"\n', ""), "catalogue.toml: contact_rules[1]", 'needs the key "within"'),
        (CAP + 'pause = "P1D"\n', "catalogue.toml: contact_rules[1].pause", "means nothing to a cap"),
        (CAP.replace("P7D", "7 days"), "catalogue.toml: contact_rules[1].within", 'did you mean "P7D"?'),
        (CAP + 'names = ["tb"]\n', "catalogue.toml: contact_rules[1].names[0]", 'did you mean "tv"?'),
        (CAP + 'names = ["tv", "tv"]\n', "catalogue.toml: contact_rules[1].names[1]", "stands twice"),
        (CAP.replace("action", "all") + 'names = ["tv"]\n', "catalogue.toml: contact_rules[1].names", "has no names"),
        (SUPPRESSION + 'names = ["sel"]\n', "catalogue.toml: contact_rules[1].names[0]", 'did you mean "sell"?'),
        (SUPPRESSION.replace("after = 2\n", ""), "catalogue.toml: contact_rules[1]", 'needs the key "after"'),
        (COOL_DOWN + "after = 2\n", "catalogue.toml: contact_rules[1].after", "means nothing to a cool_down"),
        (
            CAP.replace("action", "direction") + 'names = ["up"]\n',
            "catalogue.toml: contact_rules[1].names[0]",
            "outbound",
        ),
        (CAP.replace("action", "channel") + 'names = ["mail"]\n', "catalogue.toml: contact_rules[1].names[0]", "email"),
    ],
)
def test_a_mistake_is_named(rule: str, where: str, words: str) -> None:
    (problem,) = problems(CAP, rule)

    assert problem.where == where
    assert words in str(problem)


@pytest.mark.parametrize(
    "text", ["max = 0", "max = -1", "max = 1.5", 'scope = "actoin"', 'kind = "limit"', "maximum = 2"]
)
def test_wrong_types_are_refused_when_read(text: str) -> None:
    key = text.split(" ")[0]
    lines = [line for line in CAP.splitlines() if not line.startswith(f"{key} ")]
    with pytest.raises(SettingsError) as caught:
        catalogue("\n".join([*lines, text]) + "\n")

    assert caught.value.where.startswith("catalogue.toml: contact_rules[0]")


def test_outcomes_are_those_of_the_reward_definition() -> None:
    asked = catalogue(SUPPRESSION.replace('["reject"]', '["reject", "ignored", "acept"]'))
    (problem,) = outcome_problems(asked, outcomes=["accept", "reject"], where="catalogue.toml")

    assert problem.where == "catalogue.toml: contact_rules[0].outcomes[2]"
    assert problem.hint == 'did you mean "accept"?'
