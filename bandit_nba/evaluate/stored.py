"""The log of a store with its rewards, as arrays to judge on."""

from collections.abc import Iterator

import numpy as np

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.decide.slate_log import first_slot
from bandit_nba.evaluate.log import LoggedDecisions, from_records, why_left_out
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.join import Windows, counted
from bandit_nba.learn.rewards import rewards
from bandit_nba.store import decisions, learning
from bandit_nba.store.database import Database

BATCH = 5_000


def read_log(
    database: Database,
    definition: RewardDefinition,
    schema: FactSchema,
    *,
    now_s: float,
    since_s: float | None = None,
    until_s: float | None = None,
) -> LoggedDecisions:
    """Decisions made in [since_s, until_s) that have matured by `now_s`, each with the reward received within its wait.

    One snapshot: what arrives meanwhile is not mixed in.
    """
    earned: dict[str, float] = {}

    def joined() -> Iterator[DecisionRecord]:
        for batch in _batches(decisions.scan(connection, since_s=since_s, until_s=until_s)):
            judged = [record for record in batch if not why_left_out(record, now_s=now_s)]
            windows = Windows(
                ids=[record.id for record in judged],
                customers=[record.customer for record in judged],
                opens_at=np.array([record.decided_at for record in judged], dtype=np.float64),
                closes_at=np.array([record.matures_at for record in judged], dtype=np.float64),
                first_slots=[first_slot(record.slate) for record in judged],
            )
            if judged:
                found = counted(definition, windows, learning.outcomes_within(connection, windows))
                reward = rewards(definition, found, size=len(judged))
                earned.update(zip(windows.ids, reward.tolist(), strict=True))
            yield from batch

    with database.read() as connection:
        return from_records(joined(), earned, schema, now_s=now_s)


def _batches(records: Iterator[DecisionRecord]) -> Iterator[list[DecisionRecord]]:
    batch: list[DecisionRecord] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch
