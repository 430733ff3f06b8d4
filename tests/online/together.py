"""Processes that share one store: `python together.py write|learn WORKSPACE NAME SECONDS`. Prints what happened."""

import asyncio
import json
import logging
import sys
import time
from collections import Counter

import msgspec

from bandit_nba.errors import NbaError
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest, Outcome
from bandit_nba.online.replica import Replica
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace, open_workspace

CLIENTS = 8


def write(workspace: Workspace, name: str, seconds: float) -> dict[str, object]:
    """A replica under load; what its clients were told, and the longest that one of them waited."""
    replica = Replica.open(workspace)
    counts: Counter[str] = Counter()
    errors: list[str] = []
    longest = 0.0
    stop = time.monotonic() + seconds

    async def client(number: int) -> None:
        nonlocal longest
        while (started := time.monotonic()) < stop:
            decision = f"{name}-{number}-{counts['asked']}"
            counts["asked"] += 1
            try:
                answer = await replica.decide(DecisionRequest(decision_id=decision, channel="web"))
                said = msgspec.json.decode(answer.body, type=DecisionAnswer)
                counts["decisions"] += 1
                if said.arm != "no_action":
                    outcome = Outcome(outcome_id=f"o-{decision}", decision_id=decision, type="accept")
                    (collected,) = await replica.collect([outcome])
                    counts[collected.receipt] += 1
            except NbaError as error:
                errors.append(str(error))
            longest = max(longest, time.monotonic() - started)

    async def load() -> None:
        await asyncio.gather(*[client(number) for number in range(CLIENTS)])

    asyncio.run(load())
    replica.close()
    return {**counts, "errors": errors, "longest_s": longest}


def learn(workspace: Workspace, _name: str, seconds: float) -> dict[str, object]:
    """A learner; how much it has learned."""
    database = Database.open(workspace.database_url)
    loop = LearningLoop.open(workspace, database)
    loop.start()
    time.sleep(seconds)
    give_up = time.monotonic() + 60.0
    while not loop.status().examples and time.monotonic() < give_up:  # on a busy machine writers begin late
        time.sleep(0.1)
    stopped = loop.stop()
    database.close()
    return {"examples": loop.status().examples, "stopped": stopped}


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    _, role, path, name, seconds = sys.argv
    print(json.dumps({"write": write, "learn": learn}[role](open_workspace(path), name, float(seconds))))
