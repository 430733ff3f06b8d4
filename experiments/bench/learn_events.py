"""The same events for both sides: text for VW's driver, rows of the log for the learner.

10 arms, 7 categories of 10 values, 3 numbers, uniform decisions (propensity 1/10), one in ten accepted. VW's `mtr`
gives an event with K actions the importance 1 / (K p): with K = 10 and p = 1/10 that is 1, as for the learner, which
gives VW the chosen action alone with p = 1. So both learn the very same regression; the benchmark checks that they do.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.policy import FeatureSettings, Learning, Policy
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.learn.join import Outcomes, Windows
from bandit_nba.learn.log import LoggedBatch
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions, outcomes
from bandit_nba.store.log.outcomes import Outcome
from bandit_nba.store.registry import definitions

CATEGORIES, NUMBERS, VALUES, ARMS = 7, 3, 10, 10
START_S, WAIT_S = 1_000.0, 60.0
PART = 20_000

NAMES = (*(f"c{i}" for i in range(CATEGORIES)), *(f"n{i}" for i in range(NUMBERS)))
CATALOGUE = msgspec.convert(
    {
        "facts": {name: "category" if name[0] == "c" else "number" for name in NAMES},
        "groups": {"offers": {"title": "Offers"}},
        "actions": [{"id": f"a{i}", "kind": "offer", "group": "offers"} for i in range(ARMS - 1)],
    },
    Catalogue,
)
POLICY = Policy(
    features=FeatureSettings(customer=NAMES, channel=False, interactions=("UA",), bits=18), learning=Learning()
)
REWARDS = RewardDefinition(
    wait=f"PT{WAIT_S:g}S",
    outcomes={"accept": OutcomeReward(reward=1.0), "buy": OutcomeReward(reward=0.5, attribution="each")},
)


def batch(first: int, size: int) -> LoggedBatch:
    """Events first..first+size as the learner reads them; equal numbers give equal events."""
    rng = np.random.default_rng([7, first])
    values = rng.integers(0, VALUES, (size, CATEGORIES)).tolist()
    numbers = np.round(rng.random((size, NUMBERS)), 3).tolist()
    names = [arm.id for arm in CATALOGUE.arms]
    chosen = rng.integers(0, ARMS, size).tolist()
    accepted = np.flatnonzero(rng.random(size) < 0.1).tolist()
    ids = [f"d{number:09d}" for number in range(first, first + size)]
    facts = [
        msgspec.json.encode(
            {
                **{f"c{j}": f"v{value}" for j, value in enumerate(values[i])},
                **{f"n{j}": value for j, value in enumerate(numbers[i])},
            }
        )
        for i in range(size)
    ]
    decided_at = START_S + np.arange(first, first + size) / 1_000.0
    customers = [f"{number:032x}" for number in rng.integers(0, 1 << 62, size).tolist()]
    return LoggedBatch(
        channels=["web"] * size,
        arms=[names[k] for k in chosen],
        catalogues=[CATALOGUE.version] * size,
        facts=facts,
        windows=Windows(ids=ids, customers=customers, opens_at=decided_at, closes_at=decided_at + WAIT_S),
        outcomes=Outcomes(
            ids=[f"o{first + i}" for i in accepted],
            decisions=[ids[i] for i in accepted],
            customers=[""] * len(accepted),
            types=["accept"] * len(accepted),
            amounts=np.full(len(accepted), np.nan),
            received_at=decided_at[accepted] + 1.0,
        ),
    )


def parts(size: int) -> Iterator[LoggedBatch]:
    """All events, in parts."""
    for first in range(0, size, PART):
        yield batch(first, min(PART, size - first))


def write_text(path: Path, size: int) -> None:
    """The events as VW's users write them: the context, then every action, the chosen one labelled."""
    arms = Featuriser(POLICY.features, CATALOGUE.facts).arms(CATALOGUE.arms)
    names = [arm.id for arm in CATALOGUE.arms]
    actions = []
    for k in range(ARMS):
        terms = arms.terms[arms.indptr[k] : arms.indptr[k + 1]].tolist()
        actions.append("|A " + " ".join(arms.names[term] for term in terms))
    with path.open("w") as file:
        for part in parts(size):
            accepted = set(part.outcomes.decisions)
            for decision, arm, facts in zip(part.windows.ids, part.arms, part.facts, strict=True):
                cost = -1.0 if decision in accepted else 0.0
                row = msgspec.json.decode(facts or b"{}")
                context = " ".join(
                    f"{name}={value}" if isinstance(value, str) else f"{name}:{value!r}" for name, value in row.items()
                )
                lines = [
                    f"0:{cost:g}:{1 / ARMS:g} {action}" if name == arm else action
                    for name, action in zip(names, actions, strict=True)
                ]
                file.write(f"shared |U {context}\n" + "\n".join(lines) + "\n\n")


def store(database: Database, size: int) -> None:
    """The events as a service would have logged them, with the distributions and answers that make rows as wide."""
    arms = msgspec.json.encode([arm.id for arm in CATALOGUE.arms])
    with database.write() as connection:
        content = msgspec.json.encode(CATALOGUE, order="sorted")
        definitions.put(connection, "catalogue", CATALOGUE.version, content, now_s=START_S)
    rng = np.random.default_rng(3)
    for part in parts(size):
        expected = rng.random((len(part), ARMS)).tolist()
        records = [_record(part, i, arms=arms, expected=msgspec.json.encode(row)) for i, row in enumerate(expected)]
        received = [
            Outcome(id=name, type="accept", payload_sha256=bytes(32), decision=decision)
            for name, decision in zip(part.outcomes.ids, part.outcomes.decisions, strict=True)
        ]
        with database.write() as connection:
            decisions.insert(connection, records)
            outcomes.insert(connection, received, now_s=float(part.windows.opens_at[0]) + 30.0)


def _record(part: LoggedBatch, i: int, *, arms: bytes, expected: bytes) -> DecisionRecord:
    decided_at = float(part.windows.opens_at[i])
    return DecisionRecord(
        id=part.windows.ids[i],
        customer=part.windows.customers[i],
        channel="web",
        decided_at=decided_at,
        valid_until=decided_at + 30.0,
        matures_at=float(part.windows.closes_at[i]),
        activate_by=None,
        kind="normal",
        arm=part.arms[i],
        propensity=1 / ARMS,
        arms=arms,
        probabilities=b"[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]",
        expected_rewards=expected,
        removed=b"{}",
        catalogue_version=CATALOGUE.version,
        policy_version="bench",
        feature_version="bench",
        reward_version="bench",
        model_version="none",
        salt_id="bench",
        payload_sha256=bytes(32),
        answer=b"x" * 300,
        facts=part.facts[i],
    )
