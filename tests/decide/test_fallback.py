"""The safe policy: what it may choose, and that it logs how likely that was."""

from dataclasses import replace

import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue, Group
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Eligibility, Removal, Requests
from bandit_nba.decide.choice.safe import Safe, check_safe
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.eligibility.stages import LATE, unasked
from bandit_nba.decide.fallback import fallback_decisions
from bandit_nba.errors import SettingsError

SALT = Salt(id="s1", key=b"0123456789abcdef")
ARMS = Catalogue(
    facts={},
    actions=(
        Action(id="phone", kind="offer", group="grow"),
        Action(id="help", kind="service", group="serve", safe_without_profile=True),
        Action(id="news", kind="information", group="serve", safe_without_profile=True),
    ),
).arms


def _requests(rows: int) -> Requests:
    return Requests(
        ids=[f"d{i}" for i in range(rows)],
        customers=[""] * rows,
        channels=Coded(codes=np.zeros(rows, dtype=np.int64), values=("web",)),
        decided_at=np.zeros(rows),
        facts=Facts.from_rows([{}] * rows, {}),
        readable=np.ones(rows, dtype=bool),
    )


def test_after_failed_rules_only_no_action_is_left() -> None:
    got = fallback_decisions(_requests(3), ARMS, SALT, eligibility=None, safe=Safe())

    assert got.probability.tolist() == [[1.0, 0.0, 0.0, 0.0]] * 3
    assert got.chosen.tolist() == [0, 0, 0]
    assert got.propensity.tolist() == [1.0, 1.0, 1.0]
    assert got.kinds == ["fallback"] * 3


def test_after_a_failed_model_eligible_safe_arms_are_equally_likely() -> None:
    """Row 0 may have all, row 1 not the news: even over {none, help, news} and {none, help}; phone is never safe."""
    eligibility = Eligibility(
        removed=np.array([[0, 0, 0, 0], [0, 0, 0, 1]], dtype=np.int16), removals=(Removal("consent", "no news"),)
    )

    got = fallback_decisions(_requests(2), ARMS, SALT, eligibility=eligibility, safe=Safe())

    np.testing.assert_allclose(got.probability, [[1 / 3, 0, 1 / 3, 1 / 3], [1 / 2, 0, 1 / 2, 0]], atol=1e-15)
    assert got.eligibility.removed.tolist() == [[0, 2, 0, 0], [0, 2, 0, 1]]
    assert [removal.stage for removal in got.eligibility.removals] == ["consent", "fallback"]
    np.testing.assert_array_equal(np.isnan(got.expected_reward), ~got.eligibility.mask)


def test_draws_follow_the_logged_probability() -> None:
    """Three equally likely arms, 30,000 fixed ids: each share within 4 standard errors (.0027) of a third."""
    eligibility = Eligibility(removed=np.zeros((30_000, 4), dtype=np.int16), removals=())

    got = fallback_decisions(_requests(30_000), ARMS, SALT, eligibility=eligibility, safe=Safe())

    shares = np.bincount(got.chosen, minlength=4) / 30_000
    np.testing.assert_allclose(shares, [1 / 3, 0.0, 1 / 3, 1 / 3], atol=0.011)
    np.testing.assert_allclose(got.propensity, 1 / 3)


def _all_left(rows: int) -> Eligibility:
    return Eligibility(removed=np.zeros((rows, len(ARMS)), dtype=np.int16), removals=())


@pytest.mark.parametrize(
    ("safe", "expected"),
    [
        (Safe(kind="no_action"), [1.0, 0.0, 0.0, 0.0]),
        (Safe(kind="fixed", arm="news"), [0.0, 0.0, 0.0, 1.0]),
        (Safe(kind="fixed", arm="no_action"), [1.0, 0.0, 0.0, 0.0]),
        (Safe(), [1 / 3, 0.0, 1 / 3, 1 / 3]),
    ],
)
def test_the_safe_policy_is_declared(safe: Safe, expected: list[float]) -> None:
    got = fallback_decisions(_requests(2), ARMS, SALT, eligibility=_all_left(2), safe=safe)

    np.testing.assert_allclose(got.probability, [expected] * 2, atol=1e-15)
    assert got.eligibility.removed.tolist() == [[0, 1, 0, 0]] * 2
    assert (got.propensity > 0.0).all()


def test_a_fixed_arm_that_is_not_left_means_no_action() -> None:
    eligibility = Eligibility(
        removed=np.array([[0, 0, 0, 1]], dtype=np.int16), removals=(Removal("consent", "no news"),)
    )

    got = fallback_decisions(_requests(1), ARMS, SALT, eligibility=eligibility, safe=Safe(kind="fixed", arm="news"))

    assert got.probability.tolist() == [[1.0, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("safe", "what"),
    [
        (Safe(kind="fixed", arm="phone"), "not marked|marked safe_without_profile"),
        (Safe(kind="fixed", arm="hepl"), "help"),
        (Safe(kind="fixed"), "safe_without_profile"),
        (Safe(kind="no_action", arm="help"), "only a fixed safe policy has an arm"),
    ],
)
def test_a_safe_policy_that_cannot_be_is_refused(safe: Safe, what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        check_safe(safe, ARMS)


class TestNoTimeToAsk:
    """What may be chosen without rules, profile or contacts."""

    catalogue = Catalogue(
        facts={"owned": "set", "age": "number"},
        groups={"serve": Group(), "asks": Group(consent="customer.age > 1.0")},
        actions=(
            Action(id="free", kind="service", group="serve", safe_without_profile=True),
            Action(id="unsafe", kind="service", group="serve"),
            Action(id="guarded", kind="service", group="serve", safe_without_profile=True, suitability="true"),
            Action(id="asking", kind="service", group="asks", safe_without_profile=True),
            Action(id="elsewhere", kind="service", group="serve", safe_without_profile=True, channels=("app",)),
            Action(id="case", kind="service", group="serve", safe_without_profile=True, owned_as="case"),
        ),
    )

    def test_only_safe_arms_that_no_rule_guards(self) -> None:
        requests = replace(_requests(2), facts=Facts.from_rows([{"owned": ("case",)}, {}], self.catalogue.facts))

        got = unasked(self.catalogue, compile_rules(self.catalogue), requests)

        names = [arm.id for arm in self.catalogue.arms]
        left = [[names[k] for k in np.flatnonzero(row)] for row in got.mask]
        assert left == [["no_action", "free"], ["no_action", "free", "case"]]
        stages = {names[k]: got.removals[code - 1] for k, code in enumerate(got.removed[0].tolist()) if code}
        assert stages["elsewhere"].stage == "channel"
        assert stages["case"].stage == "ownership"
        assert stages["unsafe"] == stages["guarded"] == stages["asking"] == LATE
