import pytest

from bandit_nba.errors import InputError
from serve.personalizer.features import action_features, binned, context_facts

SCHEMA = {"context": "set", "hour": "number", "plan": "category", "member": "boolean"}


def test_declared_facts_keep_their_kind_and_the_rest_becomes_words():
    features = [
        {"hour": 9, "plan": "gold", "member": True, "device": {"os": "ios", "mobile": True, "tablet": False}},
        {"interests": ["tv", "cars"], "age": 37, "nothing": None},
    ]

    assert context_facts(features, SCHEMA, words="context") == {
        "hour": 9.0,
        "plan": "gold",
        "member": True,
        "context": ["device.os=ios", "device.mobile", "interests=tv", "interests=cars", "age~32"],
    }


def test_a_value_of_another_kind_than_declared_is_a_word():
    found = context_facts([{"hour": "late", "plan": 3}, {"context": "x"}], SCHEMA, words="context")

    assert found == {"context": ["hour=late", "plan~1.8", "context=x"]}


@pytest.mark.parametrize(
    ("value", "bin_"),
    [
        (0, "0"),
        (1, "1"),
        (1.7, "1"),
        (1.8, "1.8"),
        (5, "3.2"),
        (9.99, "5.6"),
        (10, "10"),
        (-5, "-3.2"),
        (1e-9, "1e-09"),
    ],
)
def test_numbers_are_cut_into_quarters_of_a_decade(value: float, bin_: str):
    assert binned(value) == bin_


def test_features_of_actions_get_names_that_features_may_have():
    found = action_features([{"a": {"b c": 1}, "price": 9.5, "1st": True, "tags": ["x", "y"], "group": "g"}], where="f")

    assert found == {"a.b_c": 1.0, "price": 9.5, "f_1st": 1.0, "tags": "x", "tags.2": "y", "f_group": "g"}


def test_too_much_is_refused():
    deep: object = 1
    for _ in range(12):
        deep = {"x": deep}
    with pytest.raises(InputError, match="nested"):
        context_facts([{"x": deep}], SCHEMA, words="context")
    with pytest.raises(InputError, match="too many"):
        context_facts([{f"f{i}": "x" for i in range(201)}], SCHEMA, words="context")
    with pytest.raises(InputError, match="too many"):
        action_features([{f"f{i}": "x" for i in range(101)}], where="actions[0].features")
