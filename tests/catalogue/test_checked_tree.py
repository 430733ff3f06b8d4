"""The tree of a checked program, read from CEL's own serialised form."""

import pytest

from bandit_nba.catalogue.checked_tree import OTHER, Call, Listing, Literal, Node, Variable
from bandit_nba.catalogue.expression import Environment

AGE = Variable("customer.age")


@pytest.fixture(scope="module")
def environment() -> Environment:
    return Environment({"age": "number", "senior": "boolean", "contract": "category", "owned": "set"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("customer.age >= 18.0", Call("_>=_", (AGE, Literal(18.0)))),
        (".customer.`age` < -0.5", Call("_<_", (AGE, Literal(-0.5)))),
        ("customer.age == 0.0", Call("_==_", (AGE, Literal(0.0)))),
        ("!has(customer.senior)", Call("!_", (Variable("has.senior"),))),
        ("true && false", Call("_&&_", (Literal(value=True), Literal(value=False)))),
        ("'é\\n' in customer.owned", Call("@in", (Literal("é\n"), Variable("customer.owned")))),
        ("channel in ['a', '']", Call("@in", (Variable("channel"), Listing((Literal("a"), Literal("")))))),
        ("channel.startsWith('x')", Call("startsWith", (Variable("channel"), Literal("x")))),
        ("action.id == 'x'", Call("_==_", (Literal("act"), Literal("x")))),
        ("size(customer.owned) > 2", Call("_>_", (Call("size", (Variable("customer.owned"),)), OTHER))),
        ("customer.owned.exists(x, x == 'a')", OTHER),
        (
            "customer.senior ? true : customer.age / 2.0 > 1.0",
            Call(
                "_?_:_",
                (
                    Variable("customer.senior"),
                    Literal(value=True),
                    Call("_>_", (Call("_/_", (AGE, Literal(2.0))), Literal(1.0))),
                ),
            ),
        ),
    ],
)
def test_trees(environment: Environment, text: str, expected: Node) -> None:
    assert environment.compile(text, action="act", group="g", where="w").tree == expected


def test_long_chains_have_a_tree_or_are_left_to_cel(environment: Environment) -> None:
    text = " && ".join(["customer.senior"] * 500)

    rule = environment.compile(text, action="a", group="g", where="w")

    assert rule.tree == OTHER or isinstance(rule.tree, Call)
