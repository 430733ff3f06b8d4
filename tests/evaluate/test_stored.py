"""The store's log under any reward definition and horizon, against what each row's outcomes say one by one."""

from pathlib import Path

import numpy as np
import pytest

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.diagnostics import selection
from bandit_nba.evaluate.stored import read_log, read_whole
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.log import outcomes
from bandit_nba.store.log.outcomes import Outcome
from tests.evaluate.logs import SCHEMA, record
from tests.learn.tiny_world import decide

IN_FORCE = RewardDefinition(wait="PT10S", outcomes={"accept": OutcomeReward(reward=1.0)})
MONEY = RewardDefinition(
    unit="money",
    range=(0.0, 100.0),
    aggregation="sum",
    wait="PT10S",
    waits={"mail": "PT40S"},
    outcomes={"accept": OutcomeReward(reward=2.0), "buy": OutcomeReward(amount_weight=0.5, attribution="each")},
)
LATER_S = 1e9


@pytest.fixture
def database(tmp_path: Path):
    found = Database.open(sqlite_url(tmp_path / "nba.db"))
    yield found
    found.close()


def filled(database: Database, n: int = 300) -> list[tuple[float, str, str, dict]]:
    """n decisions a second apart on two channels, and outcomes at random times; what arrived when, per decision."""
    rng = np.random.default_rng(3)
    channels = ["mail" if i % 3 == 0 else "web" for i in range(n)]
    decide(
        database,
        [record(i, segment="young", arm="a", channel=channels[i], reward_version=IN_FORCE.version) for i in range(n)],
    )
    arrived, received = [], []
    for k in range(2 * n):
        at, amount = float(rng.uniform(0, n + 60)), float(rng.integers(1, 9))
        if k % 4:
            decision = f"d{rng.integers(n):06d}"
            one = Outcome(id=f"o{k}", type="accept", payload_sha256=b"0" * 32, decision=decision)
            arrived.append((at, "accept", decision, 0.0))
        else:
            customer = f"c{rng.integers(n)}"
            one = Outcome(id=f"o{k}", type="buy", payload_sha256=b"0" * 32, customer=customer, amount=amount)
            arrived.append((at, "buy", customer, amount))
        received.append((at, one))
    with database.write() as connection:
        for at, one in received:
            outcomes.insert(connection, [one], now_s=at)
    return arrived


def by_hand(arrived, n: int, wait_of) -> list[float]:
    """MONEY's reward of each decision, outcome by outcome."""
    earned = []
    for i in range(n):
        total = 0.0
        for at, kind, name, amount in arrived:
            in_time = at <= i + wait_of(i)
            if kind == "accept" and name == f"d{i:06d}" and in_time:
                total += 2.0
            if kind == "buy" and name == f"c{i % 500}" and i <= at and in_time:
                total += 0.5 * amount
        earned.append(min(max(total, 0.0), 100.0))
    return earned


def test_another_definition_waits_as_long_as_it_says(database):
    n = 300
    arrived = filled(database, n)
    log = read_log(database, MONEY, SCHEMA, now_s=LATER_S)

    assert log.reward.tolist() == pytest.approx(by_hand(arrived, n, lambda i: 10.0 if i % 3 else 40.0))


@pytest.mark.parametrize("horizon_s", [1.0, 25.0, 1e5])
def test_a_horizon_holds_for_every_row(database, horizon_s):
    n = 300
    arrived = filled(database, n)
    log = read_log(database, MONEY, SCHEMA, now_s=LATER_S, horizon_s=horizon_s)

    assert log.reward.tolist() == pytest.approx(by_hand(arrived, n, lambda _: horizon_s))


def test_rows_are_immature_until_the_horizon_has_passed(database):
    filled(database, 300)
    log = read_log(database, MONEY, SCHEMA, now_s=310.0, horizon_s=60.0)

    assert log.decided_at.max() == 249.0  # 250 + 60 has not passed at 310
    assert log.left_out == {"immature": 50}
    assert selection(log.left_out, len(log)).severity == "caution"  # 17 % are gone


def test_the_share_left_out_warns_of_selection_above_five_percent(database):
    kept, out = 95, 5
    rows = [record(i, segment="young", arm="a", support=i < kept) for i in range(kept + out)]
    decide(database, rows)
    log = read_log(database, IN_FORCE, SCHEMA, now_s=LATER_S)
    assert selection(log.left_out, len(log)).severity == "fine"  # 5 % is not above 5 %

    decide(database, [record(500, segment="young", arm="a", kind="fallback")])
    log = read_log(database, IN_FORCE, SCHEMA, now_s=LATER_S)
    assert log.left_out == {"without support": 5, "fallback": 1}
    found = selection(log.left_out, len(log))
    assert found.severity == "caution"
    assert "selection" in found.meaning


def test_what_stands_beside_the_log_follows_its_order(database):
    filled(database, 300)
    with database.read() as connection:
        whole = read_whole(connection, MONEY, SCHEMA, now_s=LATER_S)

    assert (whole.log.reward > 0).tolist() == (whole.happened["accept"] | whole.happened["buy"]).tolist()
    assert (whole.amounts["buy"] > 0).tolist() == whole.happened["buy"].tolist()
    again = 2.0 * (whole.log.reward - 0.5 * whole.amounts["buy"] > 0) + 0.0
    assert ((again > 0) == whole.happened["accept"]).all()
    assert whole.policies.values == ("p",)


def test_an_empty_log_is_refused(database):
    with pytest.raises(RefusedError):
        read_log(database, IN_FORCE, SCHEMA, now_s=LATER_S)
