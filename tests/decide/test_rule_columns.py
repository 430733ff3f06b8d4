"""Rules over columns give the answers of CEL, row by row, whatever the rule and however odd the facts."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.catalogue.expression import DOES_NOT_HOLD, FAILED, HOLDS
from bandit_nba.catalogue.facts import FactKind, FactValue
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.eligibility.rule_columns import over_columns
from bandit_nba.decide.eligibility.rule_facts import RuleFacts

SCHEMA: Mapping[str, FactKind] = {
    "age": "number",
    "income": "number",
    "senior": "boolean",
    "contract": "category",
    "owned": "set",
    "note": "text",
}
CHANNELS = ("web", "sms")
Row = Mapping[str, FactValue]


def requests(rows: Sequence[Row]) -> Requests:
    count = len(rows)
    return Requests(
        ids=[f"d{i}" for i in range(count)],
        customers=[""] * count,
        channels=Coded(codes=np.arange(count) % 3 - 1, values=CHANNELS),  # the first, fourth ... have an unknown one
        decided_at=np.full(count, 1_780_000_000.0),
        facts=Facts.from_rows(rows, SCHEMA),
        readable=np.ones(count, dtype=np.bool_),
    )


def answers(text: str, rows: Sequence[Row]) -> tuple[list[int], list[int] | None, list[int]]:
    """What CEL says row by row, what columns say (None where they cannot), and what rows that are alike get."""
    action = Action(id="a1", kind="offer", group="g", eligibility=text)
    rules = compile_rules(Catalogue(facts=SCHEMA, actions=(action,)))
    everyone = np.arange(len(rows))
    one_by_one = RuleFacts(rules, (None,), requests(rows))
    plain = [one_by_one.verdict(0, row) for row in range(len(rows))]
    alike = RuleFacts(rules, (None,), requests(rows)).verdicts(0, everyone).tolist()
    part = over_columns(rules.rules[0].tree, SCHEMA)
    columns = None if part is None else RuleFacts(rules, (part,), requests(rows)).verdicts(0, everyone).tolist()
    return plain, columns, alike


_TEXTS = st.sampled_from(["", "x", "y", "x|y", "a b", "é", "'", '"', "x\0", "\ud800", "\n", "xyz"])
_NUMBERS = st.sampled_from([0.0, -0.0, 1.0, -1.5, 18.0, 1e15, 1e-300, 0.1])
_ROW = st.fixed_dictionaries(
    {},
    optional={
        "age": _NUMBERS,
        "income": _NUMBERS,
        "senior": st.booleans(),
        "contract": _TEXTS,
        "owned": st.lists(_TEXTS, max_size=3).map(lambda members: tuple(sorted(set(members)))),
        "note": _TEXTS,
    },
)


def _join(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


def _written(texts: Sequence[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


_WORD = _written(["'x'", "''", "'y'", "'a b'", "'é'", '"\'"', "'\\n'", "'xy'"])
_WORDS = st.lists(_WORD, min_size=1, max_size=3).map(lambda words: f"[{', '.join(words)}]")
_TEXT = _written(["customer.contract", "customer.note", "channel", "action.id"])
_SIGN = _written([" == ", " != ", " < ", " <= ", " > ", " >= "])
_NUMBER = st.recursive(
    _written(["customer.age", "customer.income", "0.0", "1.0", "18.0", "-1.5", "1e300"]),
    lambda inner: (
        _join(st.just("("), inner, _written([" + ", " - ", " * ", " / "]), inner, st.just(")"))
        | _join(st.just("-("), inner, st.just(")"))
    ),
    max_leaves=3,
)
_LIST = _written(["[1.0]", "[0.0, 18.0]", "[-1.5, 0.1]"])
_LEAF = st.one_of(
    _written(["true", "false", "customer.senior", "('x' in customer.owned)", "('' in customer.owned)"]),
    _written([f"has(customer.{name})" for name in SCHEMA]),
    _join(st.just("("), _NUMBER, _SIGN, _NUMBER, st.just(")")),
    _join(st.just("("), _NUMBER, st.just(" in "), _LIST, st.just(")")),
    _join(st.just("("), _TEXT, _written([" == ", " != "]), _WORD, st.just(")")),
    _join(st.just("("), _WORD, st.just(" == "), _TEXT, st.just(")")),
    _join(st.just("("), _TEXT, st.just(" in "), _WORDS, st.just(")")),
    _join(_TEXT, _written([".startsWith(", ".endsWith(", ".contains("]), _WORD, st.just(")")),
)
_RULE = st.recursive(
    _LEAF,
    lambda inner: st.one_of(
        _join(st.just("!("), inner, st.just(")")),
        _join(st.just("("), inner, _written([" && ", " || ", " == ", " != "]), inner, st.just(")")),
        _join(st.just("("), inner, st.just(" ? "), inner, st.just(" : "), inner, st.just(")")),
    ),
    max_leaves=5,
)


@hypothesis_settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(_RULE, st.lists(_ROW, min_size=1, max_size=12))
def test_columns_say_what_cel_says_row_by_row(text: str, rows: list[Row]) -> None:
    plain, columns, alike = answers(text, rows)

    assert columns == plain
    assert alike == plain


@pytest.mark.parametrize(
    "text",
    [
        "size(customer.owned) > 1",
        "customer.owned.exists(one, one.startsWith('x'))",
        "customer.note.matches('^x.*')",
        "customer.contract in customer.owned",
        "customer.contract == customer.note",
        "customer.contract + 'y' == 'xy'",
        "int(customer.age) % 2 == 0",
        "now > timestamp('2026-01-01T00:00:00Z')",
        "now.getHours() >= 0 && customer.senior",
        "dyn(customer.age) == 18",
        "customer.contract < 'x'",
        "customer.owned == ['x']",
        "customer.age in []",
    ],
)
def test_what_columns_cannot_say_is_left_to_cel_and_asked_once_for_rows_that_are_alike(text: str) -> None:
    rows: list[Row] = [
        {"age": 18.0, "senior": True, "contract": "x", "owned": ("x", "y"), "note": "x"},
        {"age": 18.0, "senior": True, "contract": "y", "owned": ("y",), "note": "xyz"},
        {"age": 17.0, "contract": "x", "note": "y"},
        {},
    ] * 5

    plain, columns, alike = answers(text, rows)

    assert columns is None
    assert alike == plain
    assert len(set(plain)) > 1 or text.startswith(("now >", "customer.age in []", "customer.owned =="))


def test_the_three_outcomes_by_hand() -> None:
    rows: list[Row] = [{"age": 20.0, "senior": True}, {"age": 10.0}, {"senior": False}, {}]

    said = {
        "customer.age >= 18.0": [HOLDS, DOES_NOT_HOLD, FAILED, FAILED],
        "customer.age >= 18.0 || customer.senior": [HOLDS, FAILED, FAILED, FAILED],
        "customer.age >= 18.0 && customer.senior": [HOLDS, DOES_NOT_HOLD, DOES_NOT_HOLD, FAILED],
        "customer.senior ? true : customer.age < 18.0": [HOLDS, FAILED, FAILED, FAILED],
        "!has(customer.age) || customer.age < 18.0": [DOES_NOT_HOLD, HOLDS, HOLDS, HOLDS],
    }

    for text, expected in said.items():
        plain, columns, alike = answers(text, rows)
        assert plain == columns == alike == expected, text
