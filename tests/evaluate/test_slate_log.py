"""Slates of our own log by enumeration: each possible one as often as it is drawn, so that no chance is left."""

from fractions import Fraction
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bandit_nba.decide.slates.log import LoggedPlace, LoggedSlate, encoded
from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.slate_log import judge_slates, logging_policy, read_slates, uniform_places
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.log import outcomes
from bandit_nba.store.log.outcomes import Outcome
from tests.evaluate.logs import record
from tests.learn.tiny_world import decide

REWARDS = RewardDefinition(
    wait="PT10S",
    unit="money",
    aggregation="sum",
    range=(0.0, 100.0),
    outcomes={"buy": OutcomeReward(amount_weight=1.0)},
)
ARMS = ("a", "b", "c", "d")
NOW_S = 1e9
# what each arm brings in the first and in the second place
WORTH = {"a": (3.0, 1.0), "b": (1.0, 4.0), "c": (0.0, 2.0), "d": (5.0, 7.0)}


@pytest.fixture
def database(tmp_path: Path):
    found = Database.open(sqlite_url(tmp_path / "nba.db"))
    yield found
    found.close()


def competing(shares: dict[str, Fraction]):
    """All slates of two places drawn one after the other from the same arms: (arms, first's and second's chances)."""
    for first, second in product(shares, repeat=2):
        if first != second:
            left = {arm: share for arm, share in shares.items() if arm != first}
            after = {arm: share / sum(left.values()) for arm, share in left.items()}
            yield (first, second), shares, after


def apart(first: dict[str, Fraction], second: dict[str, Fraction]):
    """All slates of two places with arms of their own."""
    for pair in product(first, second):
        yield pair, first, second


def log(database: Database, drawn, *, per_place=True, worth=None) -> None:
    """Each slate as often as its probability says, out of as few slates as make that a whole number."""
    drawn = list(drawn)
    chances = [first[pair[0]] * second[pair[1]] for pair, first, second in drawn]
    total = np.lcm.reduce([chance.denominator for chance in chances])
    number, rows, answers = 0, [], []
    for (pair, first, second), chance in zip(drawn, chances, strict=True):
        for _ in range(int(chance * int(total))):
            places = [
                LoggedPlace(
                    id=f"p{k}",
                    arm=arm,
                    propensity=float(table[arm]),
                    probabilities=tuple(float(table.get(name, 0)) for name in ARMS),
                )
                for k, (arm, table) in enumerate(zip(pair, (first, second), strict=True))
            ]
            slate = LoggedSlate(
                kind="slots",
                asked=2,
                propensity=float(chance),
                arms=ARMS,
                expected_rewards=(0.0,) * 4,
                slots=tuple(places),
            )
            rows.append(record(number, segment="young", arm="a", slate=encoded(slate)))
            for k, arm in enumerate(pair):
                amount = worth(pair, k) if worth else WORTH[arm][k]
                if amount:
                    answers.append(
                        Outcome(
                            id=f"o{number}-{k}",
                            type="buy",
                            payload_sha256=b"0" * 32,
                            decision=f"d{number:06d}",
                            amount=amount,
                            slot=f"p{k}" if per_place else None,
                        )
                    )
            number += 1
    decide(database, rows)
    with database.write() as connection:
        outcomes.insert(connection, answers, now_s=0.0)


def value(drawn, worth=None) -> float:
    """What is earned per slate when slates are drawn so."""
    earned = 0.0
    for pair, first, second in drawn:
        amounts = [worth(pair, k) if worth else WORTH[arm][k] for k, arm in enumerate(pair)]
        earned += float(first[pair[0]] * second[pair[1]]) * sum(amounts)
    return earned


HALF = Fraction(1, 2)
SHARES = {"a": HALF, "b": Fraction(1, 4), "c": Fraction(1, 4)}
EVEN = dict.fromkeys(SHARES, Fraction(1, 3))


@pytest.mark.parametrize("estimator", ["ips", "cascade"])
def test_places_that_compete_are_judged_without_bias(database, estimator):
    """Under the cascade's assumption: what the second place brings depends on the first one's arm, too."""

    def worth(pair, k):
        return WORTH[pair[0]][0] if k == 0 else WORTH[pair[1]][1] + (2.0 if pair[0] == "a" else 0.0)

    log(database, competing(SHARES), worth=worth)
    slates = read_slates(database, REWARDS, now_s=NOW_S)
    assert not slates.independent.any()

    found = judge_slates(slates, uniform_places, estimator=estimator)
    assert found.value == pytest.approx(value(competing(EVEN), worth), abs=1e-12)
    found = judge_slates(slates, logging_policy, estimator=estimator)
    assert found.value == pytest.approx(value(competing(SHARES), worth), abs=1e-12)


FIRST = {"a": Fraction(3, 4), "b": Fraction(1, 4)}
SECOND = {"c": Fraction(1, 5), "d": Fraction(4, 5)}


@pytest.mark.parametrize("estimator", ["ips", "pseudo_inverse", "cascade", "independent"])
def test_places_with_arms_of_their_own_are_judged_without_bias(database, estimator):
    log(database, apart(FIRST, SECOND))
    slates = read_slates(database, REWARDS, now_s=NOW_S)
    assert slates.independent.all()

    even = apart(dict.fromkeys(FIRST, HALF), dict.fromkeys(SECOND, HALF))
    assert judge_slates(slates, uniform_places, estimator=estimator).value == pytest.approx(value(even), abs=1e-12)


def test_the_pseudo_inverse_is_refused_where_it_would_be_biased(database):
    log(database, competing(SHARES))
    slates = read_slates(database, REWARDS, now_s=NOW_S)
    with pytest.raises(RefusedError, match="independently"):
        judge_slates(slates, uniform_places, estimator="pseudo_inverse")

    weights = slates.weights(uniform_places(slates))
    biased = float(((weights.sum(axis=1) - 1.0) * slates.reward).mean())
    assert value(competing(EVEN)) - biased == pytest.approx(1 / 18)


def test_outcomes_that_name_no_place_count_for_the_slate_alone(database):
    log(database, apart(FIRST, SECOND), per_place=False)
    slates = read_slates(database, REWARDS, now_s=NOW_S)

    even = apart(dict.fromkeys(FIRST, HALF), dict.fromkeys(SECOND, HALF))
    found = judge_slates(slates, uniform_places, estimator="pseudo_inverse")
    assert found.value == pytest.approx(value(even), abs=1e-12)
    with pytest.raises(RefusedError, match="name no place"):
        judge_slates(slates, uniform_places, estimator="cascade")


def test_a_policy_must_be_a_distribution_in_every_place(database):
    log(database, apart(FIRST, SECOND))
    slates = read_slates(database, REWARDS, now_s=NOW_S)
    with pytest.raises(InputError, match="place"):
        judge_slates(slates, lambda s: np.full(len(s.probability), 0.4), estimator="ips")


def test_a_slate_whose_numbers_contradict_each_other_is_named(database):
    log(database, apart(FIRST, SECOND))
    bad = LoggedSlate(
        kind="slots",
        asked=1,
        propensity=0.5,
        arms=ARMS,
        expected_rewards=(0.0,) * 4,
        slots=(LoggedPlace(id="p0", arm="a", propensity=0.5, probabilities=(0.4, 0.6, 0.0, 0.0)),),
    )
    decide(database, [record(999_999, segment="young", arm="a", slate=encoded(bad))])
    with pytest.raises(InputError, match="d999999"):
        read_slates(database, REWARDS, now_s=NOW_S + 1e7)


def test_slates_of_another_size_and_other_decisions_are_left_out_and_counted(database):
    log(database, apart(FIRST, SECOND))
    one = LoggedSlate(
        kind="slots",
        asked=1,
        propensity=1.0,
        arms=("a",),
        expected_rewards=(0.0,),
        slots=(LoggedPlace(id="p0", arm="a", propensity=1.0, probabilities=(1.0,)),),
    )
    decide(database, [record(5_000, segment="young", arm="a", slate=encoded(one)), record(5_001, segment="x", arm="a")])
    slates = read_slates(database, REWARDS, now_s=NOW_S)
    assert slates.left_out == {"no slate": 1, "other number of places": 1}
    assert read_slates(database, REWARDS, now_s=NOW_S, places=1).chosen.shape == (1, 1)
    assert msgspec.json.encode(slates.left_out)
