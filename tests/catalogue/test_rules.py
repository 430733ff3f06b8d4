"""The rules of a catalogue: which guards which arm, in which order, and that all mistakes are found."""

import pytest

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.rules import compile_rules, rule_count, rule_problems
from bandit_nba.errors import RuleError
from bandit_nba.settings import parse

TEXT = """
[facts]
age = "number"
consent = "boolean"

[rules]
suitability = "customer.age < 100.0"

[groups.sell]
consent = "customer.consent"
suitability = "customer.age < 90.0"

[[actions]]
id = "a"
kind = "offer"
group = "sell"
eligibility = "customer.age >= 18.0"
suitability = "action.id != 'zz'"

[[actions.treatments]]
id = "x"

[[actions.treatments]]
id = "y"

[[actions]]
id = "b"
kind = "service"
group = "sell"
eligibility = "customer.age >= 18.0"

[[actions]]
id = "old"
kind = "service"
group = "sell"
eligibility = "customer.age >= 21.0"
retired = true
"""


def catalogue(text: str = TEXT) -> Catalogue:
    return parse(text, Catalogue, where="catalogue.toml")


def test_checks_go_stage_by_stage_and_in_a_stage_from_the_catalogue_to_the_action() -> None:
    rules = compile_rules(catalogue())

    found = [(check.stage, check.level, check.name, check.arm, check.text) for check in rules.checks]

    arms = {1: "a", 2: "a", 3: "b"}
    assert found == [
        *(("consent", "group", "sell", arm, "customer.consent") for arm in arms),
        *(("eligibility", "action", name, arm, "customer.age >= 18.0") for arm, name in arms.items()),
        *(("suitability", "catalogue", "", arm, "customer.age < 100.0") for arm in arms),
        *(("suitability", "group", "sell", arm, "customer.age < 90.0") for arm in arms),
        *(("suitability", "action", "a", arm, "action.id != 'zz'") for arm in (1, 2)),
    ]


def test_equal_rules_are_one_program() -> None:
    rules = compile_rules(catalogue())

    assert [rule.text for rule in rules.rules] == [
        "customer.consent",
        "customer.age >= 18.0",
        "customer.age < 100.0",
        "customer.age < 90.0",
        "action.id != 'zz'",
    ]
    assert rules.reads == {"customer.consent", "customer.age"}
    assert rules.catalogue_version == catalogue().version
    assert rule_count(catalogue()) == 7


def test_no_action_is_never_guarded() -> None:
    rules = compile_rules(catalogue('facts = {}\nrules.consent = "false"\nactions = []'))

    assert rules.checks == ()
    assert rules.reads == frozenset()


def test_every_rule_that_does_not_compile_is_found_retired_ones_included() -> None:
    text = TEXT.replace("customer.consent", "customer.consnt").replace("21.0", "21").replace("90.0", "ninety")

    found = list(rule_problems(catalogue(text), where="catalogue.toml"))

    assert [error.where for error in found] == [
        "catalogue.toml: groups.sell.consent",
        "catalogue.toml: groups.sell.suitability",
        'catalogue.toml: actions[2] "old".eligibility',
    ]
    assert found[0].hint == 'did you mean "consent"?'
    with pytest.raises(RuleError, match="consnt"):
        compile_rules(catalogue(text))


def test_five_thousand_actions_compile_each_rule_once() -> None:
    actions = "".join(
        f'[[actions]]\nid = "a{i}"\nkind = "offer"\ngroup = "g"\neligibility = "customer.age > {i % 10}.0"\n'
        for i in range(5_000)
    )

    rules = compile_rules(catalogue(f'facts = {{ age = "number" }}\n{actions}'))

    assert len(rules.rules) == 10
    assert len(rules.checks) == 5_000
