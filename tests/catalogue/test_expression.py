"""Rules as CEL: what is refused at load and how it is said, what `has` means, and that a failed rule never lets in."""

import contextlib
import datetime
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bandit_nba.catalogue.expression import DOES_NOT_HOLD, FAILED, HOLDS, Environment
from bandit_nba.catalogue.facts import FactKind
from bandit_nba.errors import RuleError

SCHEMA: Mapping[str, FactKind] = {
    "age": "number",
    "senior": "boolean",
    "contract": "category",
    "owned": "set",
    "note": "text",
}
WHERE = 'catalogue.toml: actions[3] "phone_case".eligibility'


@pytest.fixture(scope="module")
def environment() -> Environment:
    return Environment(SCHEMA)


def ask(environment: Environment, text: str, values: Mapping[str, object], *, action: str = "a") -> int:
    rule = environment.compile(text, action=action, group="g", where=WHERE)
    return rule.verdict(environment.activation(values))


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("customer.agee > 1.0", 'unknown fact "agee" at column 9', 'did you mean "age"?'),
        ("has(customer.agee)", 'unknown fact "agee"', 'did you mean "age"?'),
        ("age > 1.0", 'unknown name "age"', "customer.age"),
        ("chanel == 'web'", 'unknown name "chanel"', 'did you mean "channel"?'),
        ("action.ids == 'x'", 'unknown name "action.ids"', "action.id"),
        ("customer.note.startswith('a')", 'unknown name "startswith"', "startsWith"),
        ("customer.age > 12", "number and whole number", "12.0"),
        ("customer.age == 12", "number and whole number", "12.0"),
        ("customer.age in [1, 2]", "list of whole numbers", "12.0"),
        ("size(customer.owned) > 2.0", "whole number and number", "size()"),
        ("customer.contract == 1.0", "text and number", "one kind"),
        ("customer.owned == 'a'", "set of texts and text", '"text" in customer.NAME'),
        ("customer.contract in 'abc'", '"in" does not fit text and text', '["a", "b"]'),
        ("customer.age && true", "number and true or false", "true or false"),
        ("now > '2026-01-01'", "moment and text", 'timestamp("'),
        ("customer.age > 1.0 and true", "cannot be read", "&&"),
        ("customer.age = 1.0", "cannot be read", "=="),
        ("not customer.senior", "cannot be read", "write ! for not"),
        ("customer.age >", "cannot be read", ""),
        ("customer['age'] > 1.0", "a fact is missing", "customer.NAME"),
        ("customer.age.years > 1.0", "no parts", ""),
        ("customer.age", "this one gives double", "compare"),
        ("customer.contract", "this one gives string", "compare"),
        ("dyn(true)", "this one gives dyn", ""),
        ("has(channel)", "has() asks whether a customer's fact is known", ""),
        ("has(.customer.senior)", "has() asks", ""),
        ("has(customer.senior.x)", "has() asks", ""),
        ("   ", "cannot be read", ""),
        ("\ud800", "not valid text", ""),
        ("(" * 200 + "true" + ")" * 200, "does not compile", ""),
        ("customer.contract ==\n'a' && foo", "line 2, column 8", ""),
        ("true" + " " * 10_000, "too long", ""),
    ],
)
def test_what_does_not_compile_is_said_with_place_rule_and_hint(
    environment: Environment, text: str, what: str, hint: str
) -> None:
    with pytest.raises(RuleError) as caught:
        environment.check(text, where=WHERE)

    assert caught.value.where == WHERE
    assert caught.value.got == text
    assert what in caught.value.what
    assert hint in caught.value.hint
    str(caught.value).encode("utf-8", "strict")  # can be printed


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("customer.age >= 18.0", {"customer.age": 18.0}, HOLDS),
        ("customer.age >= 18.0", {"customer.age": 17.0}, DOES_NOT_HOLD),
        ("customer.age >= 18.0", {}, FAILED),
        ("!(customer.age >= 18.0)", {}, FAILED),
        ("customer.age != 18.0", {}, FAILED),
        ("customer.senior", {}, FAILED),
        ("customer.senior || customer.age > 1.0", {"customer.age": 2.0}, HOLDS),
        ("has(customer.age)", {"has.age": False}, DOES_NOT_HOLD),
        ("has(customer.age)", {"has.age": True}, HOLDS),
        ("!has( customer . age ) || customer.age < 5.0", {"has.age": False}, HOLDS),
        ("'phone' in customer.owned", {"customer.owned": []}, DOES_NOT_HOLD),
        ("'phone' in customer.owned", {"customer.owned": ["phone"]}, HOLDS),
        ("customer.contract in ['a', 'b']", {"customer.contract": "b"}, HOLDS),
        ("customer.note.matches('(')", {"customer.note": "("}, FAILED),
        ("int(customer.note) > 1", {"customer.note": "x"}, FAILED),
        ("1 / int(customer.age) > 0", {"customer.age": 0.0}, FAILED),
        ("channel == 'web'", {"channel": "web"}, HOLDS),
        ("now < timestamp('2026-01-02T00:00:00Z')", {"now": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)}, HOLDS),
        ("customer.`age` > 1.0", {"customer.age": 2.0}, HOLDS),
        ("customer.contract == 'x'", {"customer.contract": "\ud800"}, FAILED),
        ("customer.contract == 'x'", {"customer.contract": 7}, FAILED),
        ("customer.contract == 'x'", {"customer.contract": "x\0"}, FAILED),
        ("'x' in customer.owned", {"customer.owned": ["a", "x\0y"]}, FAILED),
    ],
)
def test_a_rule_holds_only_where_it_is_true(
    environment: Environment, text: str, values: dict[str, object], expected: int
) -> None:
    assert ask(environment, text, values) == expected


def test_endless_comprehensions_fail_instead_of_hanging(environment: Environment) -> None:
    text = "customer.owned.exists(a, customer.owned.exists(b, a + b == 'x'))"

    assert ask(environment, text, {"customer.owned": [str(i) for i in range(1_000)]}) == FAILED


def test_what_a_rule_reads_is_known_however_it_is_spelt(environment: Environment) -> None:
    text = "customer.`age` > 1.0 && !has(customer.senior) && .customer.note == '' // customer.owned"
    rule = environment.compile(text, action="a", group="g", where=WHERE)

    assert rule.reads == {"customer.age", "has.senior", "customer.note"}
    assert environment.compile("'customer.age' == channel", action="a", group="g", where=WHERE).reads == {"channel"}


def test_has_in_a_text_or_a_comment_is_no_question(environment: Environment) -> None:
    text = "customer.note == 'has(customer.age)' // has(customer.age)"

    assert ask(environment, text, {"customer.note": "has(customer.age)"}) == HOLDS


@pytest.mark.parametrize(
    "text", ["action.id == 'action.id'", 'action . id == "action.id"', "action.id == r'action.id' // action.id"]
)
def test_only_code_is_replaced_by_the_action(environment: Environment, text: str) -> None:
    assert ask(environment, text, {}, action="action.id") == HOLDS
    assert ask(environment, text, {}, action="b") == DOES_NOT_HOLD


def test_arms_share_the_program_of_a_rule_that_does_not_tell_them_apart(environment: Environment) -> None:
    first = environment.compile("customer.senior", action="a", group="g", where=WHERE)
    by_group = environment.compile("action.group == 'g'", action="a", group="g", where=WHERE)
    by_action = environment.compile("action.id == 'a'", action="a", group="g", where=WHERE)

    assert environment.compile("customer.senior", action="b", group="h", where=WHERE) is first
    assert environment.compile("action.group == 'g'", action="b", group="g", where=WHERE) is by_group
    assert environment.compile("action.id == 'a'", action="b", group="g", where=WHERE) is not by_action


@hypothesis_settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_no_id_becomes_code(name: str) -> None:
    environment = Environment({"note": "text"})

    assert ask(environment, "action.id == customer.note", {"customer.note": name}, action=name) == HOLDS
    assert ask(environment, "action.id == customer.note", {"customer.note": name + "x"}, action=name) == DOES_NOT_HOLD


@hypothesis_settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.text("has(customer.age)&|!'\"\\r/ \n=acthion.id", max_size=40))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    environment = Environment(SCHEMA)
    with contextlib.suppress(RuleError):
        rule = environment.compile(text, action="a", group="g", where=WHERE)
        assert rule.verdict(environment.activation({})) in (HOLDS, DOES_NOT_HOLD, FAILED)
