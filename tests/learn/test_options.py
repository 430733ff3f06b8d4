"""The allow-list of VW options: what it lets through, what it refuses and what it says then."""

import math

import pytest

from bandit_nba.decide.policy import FeatureSettings, Learning
from bandit_nba.errors import SettingsError
from bandit_nba.learn.linear_form import canonical
from bandit_nba.learn.options import ALLOWED, EXCLUDES, NEEDS, REFUSED, linear_form, vw_arguments

FEATURES = FeatureSettings(interactions=("UA", "URA"), bits=14)


def arguments(**options: float | bool | str) -> tuple[str, ...]:
    return vw_arguments(FEATURES, Learning(options=options))


def test_arguments_and_form() -> None:
    assert arguments(coin=True, ignore_linear="RU", noconstant=True, ftrl_alpha=2) == (
        "--cb_adf", "--cb_type", "mtr", "--bit_precision", "14", "--interactions", "UA", "--interactions", "URA",
        "--coin", "--ftrl_alpha", "2.0", "--ignore_linear", "R", "--ignore_linear", "U", "--noconstant",
    )  # fmt: skip
    form = linear_form(FEATURES, Learning(options={"ignore_linear": "RU", "noconstant": True}))
    assert (form.bits, form.crosses, form.constant, form.linear) == (14, ("UA", "URA"), False, "A")
    assert (int(form.mask), form.patterns) == (2**14 - 1, ("UR",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lerning_rate": 0.1}, 'unknown option.*did you mean "learning_rate"'),
        ({"l1": 1e-6}, "shrinkage"),
        ({"l2": 1e-6}, "shrinkage"),
        ({"--l2": 1e-6}, "shrinkage"),
        ({"boosting": 3}, "sum of weights"),
        ({"lrq": "UA3"}, "sum of weights"),
        ({"nn": 3}, "sum of weights"),
        ({"cb_type": "dr"}, "only mtr"),
        ({"epsilon": 0.1}, "outside VW"),
        ({"squarecb": True}, "outside VW"),
        ({"quadratic": "UA"}, "policy.toml"),
        ({"learning_rate": 0.0}, "above 0, at most 100"),
        ({"learning_rate": -1.0}, "above 0"),
        ({"learning_rate": math.nan}, "above 0"),
        ({"learning_rate": math.inf}, "above 0"),
        ({"learning_rate": True}, "above 0"),
        ({"learning_rate": "1"}, "above 0"),
        ({"power_t": 1.1}, "from 0, at most 1"),
        ({"sgd": 1.0}, "true or false"),
        ({"sgd": "yes --nn 3"}, "true or false"),
        ({"ignore_linear": True}, "letters"),
        ({"ignore_linear": ""}, "letters"),
        ({"ignore_linear": "X"}, "letters"),
        ({"ignore_linear": "U --nn 3"}, "letters"),
        ({"coin": True, "learning_rate": 0.1}, "no effect"),
        ({"coin": True, "ftrl": True}, "no effect"),
        ({"sgd": True, "adaptive": True}, "no effect"),
        ({"ftrl_alpha": 0.1}, "ftrl or coin"),
        ({"invariant": True}, "adaptive or normalized"),
    ],
)
def test_refused(options: dict[str, float | bool | str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        vw_arguments(FEATURES, Learning(options=options))

    assert caught.value.where.startswith("learning.options.")


def test_options_that_are_off_are_as_if_not_given() -> None:
    assert arguments(sgd=False, coin=True) == arguments(coin=True)


def test_the_tables_speak_of_the_same_options() -> None:
    assert not set(ALLOWED) & set(REFUSED)
    for table in (EXCLUDES, NEEDS):
        assert set(table) | {name for names in table.values() for name in names} <= set(ALLOWED)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("UA", "RA"), ("UA", "RA")),
        (("AU",), ("AU",)),
        (("UA", "AU", "UA"), ("UA",)),
        (("UAU",), ("AUU",)),
        (("URA", "ARU", "UR"), ("URA", "UR")),
        ((), ()),
    ],
)
def test_interactions_as_vowpal_wabbit_computes_them(given: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert canonical(given) == expected
