"""Every measure by hand on a small log, and its reason where the log cannot tell it."""

import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.promote.reading import Reading
from bandit_nba.report.build import build
from bandit_nba.report.measures import Measure, measures
from bandit_nba.report.metrics import metrics, worse
from bandit_nba.store.database import Database
from bandit_nba.store.log import outcomes
from bandit_nba.store.log.outcomes import Outcome
from bandit_nba.workspace import Workspace, open_workspace
from tests.evaluate.logs import ARMS, SCHEMA, sampled
from tests.promote import world

N = 6
REWARDS = RewardDefinition(
    unit="money",
    range=(-10.0, 100.0),
    outcomes={"purchase": OutcomeReward(amount_weight=1.0), "complaint": OutcomeReward(reward=-1.0)},
)


def catalogue(**of_a: object) -> Catalogue:
    settings = {"a": of_a, "b": {"cost": 0.5}}
    return Catalogue(
        facts=SCHEMA,
        actions=tuple(Action(id=name, kind="offer", group="g", **settings[name]) for name in ARMS[1:]),
    )


def reading(happened: dict[str, list[int]], amounts: dict[str, list[float]]) -> Reading:
    return Reading(
        log=sampled(N, seed=5),
        happened={kind: np.isin(np.arange(N), rows) for kind, rows in happened.items()},
        amounts={kind: np.array(values) for kind, values in amounts.items()},
        removed=np.zeros(N, dtype=np.int64),
        removals=[{}],
        policies=["p"] * N,
        definitions={},
        known=[],
    )


def by_title(found: Reading, of: Catalogue, definition: RewardDefinition = REWARDS) -> dict[str, Measure]:
    made = measures(found, of, definition, retention="nobody left")
    return {one.title: one for one in made.found}


def chosen(found: Reading) -> list[str]:
    return [found.log.arms[a] for a in found.log.arm[found.log.chosen].tolist()]


def test_money_time_and_ratings_by_hand() -> None:
    paid, talked, rated = [0.0, 30.0, 0.0, 12.0, 0.0, 0.0], [60.0, 0, 0, 0, 0, 30.0], [0, 0, 4.0, 0, 2.0, 0]
    found = reading(
        {"purchase": [1, 3], "talk_time": [0, 5], "rating": [2, 4], "complaint": [3]},
        {"purchase": paid, "talk_time": talked, "rating": rated},
    )
    told = by_title(found, catalogue(cost=2.0, owned_as="tv"))
    costs = np.array([{"no_action": 0.0, "a": 2.0, "b": 0.5}[arm] for arm in chosen(found)])
    is_a = np.array([arm == "a" for arm in chosen(found)])

    assert told["revenue"].values is not None
    assert told["revenue"].values.tolist() == paid
    assert told["margin"].values is not None
    assert told["margin"].values.tolist() == (np.array(paid) - costs).tolist()
    assert told["customer-face time"].values is not None
    assert told["customer-face time"].values.tolist() == talked
    assert told["satisfaction"].rows is not None
    assert told["satisfaction"].rows.tolist() == [False, False, True, False, True, False]
    assert told["complaints"].guardrail
    assert told["complaints"].values is not None
    assert told["complaints"].values.tolist() == [0, 0, 0, 1, 0, 0]
    assert told["cross-sell"].values is not None
    assert told["cross-sell"].values.tolist() == (np.isin(np.arange(N), [1, 3]) & is_a).tolist()
    assert told["acceptance per contact"].rows is not None
    assert told["acceptance per contact"].rows.tolist() == [arm != "no_action" for arm in chosen(found)]


def test_what_the_log_cannot_tell_is_named_and_never_zero() -> None:
    found = reading({"purchase": [1]}, {})
    plain = RewardDefinition(outcomes={"purchase": OutcomeReward(reward=1.0)})
    none = Catalogue(facts=SCHEMA, actions=tuple(Action(id=name, kind="service", group="g") for name in ARMS[1:]))

    made = measures(found, none, plain, retention="no churn was ever received")

    assert set(made.missing) == {
        "revenue",
        "margin",
        "cross-sell",
        "contact cost",
        "customer-face time",
        "retention",
        "satisfaction",
        "opt-outs",
        "complaints",
    }
    assert "no purchase outcome came with an amount" in made.missing["revenue"]
    assert [one.title for one in made.found] == [
        "acceptance",
        "acceptance per contact",
        "contact load",
        "outcome purchase",
    ]


def test_the_value_of_what_was_accepted_is_revenue_where_no_amounts_come() -> None:
    found = reading({"purchase": [0, 1, 2]}, {})
    plain = RewardDefinition(outcomes={"purchase": OutcomeReward(reward=1.0)})

    told = by_title(found, catalogue(value=40.0), plain)

    worth = np.array([{"no_action": 0.0, "a": 40.0, "b": 1.0}[arm] for arm in chosen(found)])
    assert told["revenue"].values is not None
    assert told["revenue"].values.tolist() == (worth * (np.arange(N) < 3)).tolist()


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """3,000 decisions, one a second; each tenth customer churns 1,500 s after the last one, within a day."""
    directory = tmp_path_factory.mktemp("left") / "shop"
    made = world.make(directory)
    world.play(made, 3_000, start_s=world.START_S, seed=21)
    (directory / "sharp.toml").write_text(world.SHARP)
    database = Database.open(made.database_url)
    gone = [
        Outcome(id=f"x{i}", type="churned", payload_sha256=b"0" * 32, customer=f"c{i}") for i in range(0, 3_000, 10)
    ]
    with database.write() as connection:
        outcomes.insert(connection, gone, now_s=world.START_S + 4_500.0)
    database.close()
    return open_workspace(directory)


def test_retention_counts_those_who_were_watched(left: Workspace) -> None:
    """Watched for two days: of all decisions nine in ten stay. Truth for every policy alike, churn being at random."""
    now_s = world.START_S + 2 * 86_400.0

    report = build(left, [left.path / "sharp.toml"], now_s=now_s, rng=np.random.default_rng(0))

    assert "retention" not in report.measures.missing
    (measure,) = [one for one in report.measures.found if one.title == "retention"]
    rows = [row for row in metrics(report.comparison, [measure]).rows if row[1] in ("today's policy", "sharp")]
    for row in rows:
        assert float(row[3]) < 0.9 < float(row[4]), row  # a 95 % interval, seed 21
    assert "a day later" in measure.words
    assert list(worse(report.comparison, [measure])) == []


def test_a_guardrail_that_gets_worse_is_said(left: Workspace) -> None:
    report = build(left, [left.path / "sharp.toml"], now_s=world.START_S + 86_400.0, rng=np.random.default_rng(0))
    log = report.comparison.log
    beta = np.array([name == "beta" for name in log.arms])[log.arm[log.chosen]]

    bad = Measure("noise", "Whether beta was offered.", better="less", guardrail=True, values=1.0 - beta)
    good = Measure("calm", "Whether beta was offered.", better="more", guardrail=True, values=beta.astype(float))
    never = Measure("never", "Nothing.", values=np.zeros(len(log)))

    # sharp offers beta to the old alone, about half of them, against a third at random
    assert list(worse(report.comparison, [bad])) == []
    assert list(worse(report.comparison, [good])) == []
    turned = Measure("noise", "Whether beta was offered.", better="less", guardrail=True, values=beta.astype(float))
    (sentence,) = worse(report.comparison, [turned])
    assert sentence.startswith("sharp brings more noise: at least 0.")
    (row,) = [r for r in metrics(report.comparison, [never]).rows if r[1] == "today's policy"]
    assert row[2:4] == [0.0, 0.0]
    assert row[4] == pytest.approx(1.0 - 0.05 ** (1.0 / len(log)))
