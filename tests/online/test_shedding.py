"""Where the queue is too long for the deadline, a request is refused at once, and what waits is answered in time."""

import asyncio
import threading
import time
from pathlib import Path

import numpy as np

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import StoreBusyError
from bandit_nba.online.answering import Answer
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.online.model_feed import Serving
from bandit_nba.online.replica import Replica
from bandit_nba.workspace import init_workspace, open_workspace

BATCH, BATCH_S, DEADLINE_S = 32, 0.2, 3.0


class Slow:
    """A model that takes 0.2 s for a batch, whatever its size; the first of a crowd waits until all have asked."""

    version = "none"
    examples_learned = 0

    def __init__(self) -> None:
        self.all_have_asked = threading.Event()

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        self.all_have_asked.wait(10.0)
        time.sleep(BATCH_S)
        return np.zeros((len(contexts), len(arms)))


def opened(directory: Path) -> Replica:
    init_workspace(directory)
    path = directory / "service.toml"
    text = path.read_text().replace("[channels.web]\n", f'[channels.web]\ndeadline = "PT{DEADLINE_S}S"\n')
    path.write_text(text.replace("max_batch = 512", f"max_batch = {BATCH}"))
    replica = Replica.open(open_workspace(directory))
    replica.feed.stop()
    replica.feed._serving = Serving(Slow(), 0.0)
    return replica


async def crowd(replica: Replica, size: int) -> tuple[list[Answer], int, float]:
    """Answers of those let in, how many were refused at once, and the longest wait."""
    begun, asked, refused = time.monotonic(), [], 0
    model = replica.feed.current()
    assert isinstance(model, Slow)
    model.all_have_asked.clear()
    for _ in range(size):
        try:
            asked.append(replica.decide(DecisionRequest(channel="web")))
        except StoreBusyError:
            refused += 1
    model.all_have_asked.set()
    answers = await asyncio.gather(*asked)
    return answers, refused, time.monotonic() - begun


def test_a_crowd_is_let_in_as_far_as_it_can_be_answered_in_time(tmp_path: Path) -> None:
    """32 decisions take 0.2 s: in half of 2.9 s about 232 more can wait, and of 1,000 the others go away at once."""
    replica = opened(tmp_path / "shop")
    try:
        asyncio.run(crowd(replica, 2 * BATCH))  # teaches the pace
        answers, refused, took_s = asyncio.run(crowd(replica, 1_000))

        assert len(answers) + refused == 1_000
        assert 64 <= len(answers) <= 300
        assert took_s < DEADLINE_S
        assert replica.punctual.counts["shed"] == refused
        assert replica.punctual.counts["late"] == 0
    finally:
        replica.close(drain_s=5.0)


def test_and_the_next_one_is_let_in_again(tmp_path: Path) -> None:
    replica = opened(tmp_path / "shop")
    try:
        asyncio.run(crowd(replica, 2 * BATCH))
        asyncio.run(crowd(replica, 500))
        answers, refused, _ = asyncio.run(crowd(replica, 1))

        assert (len(answers), refused) == (1, 0)
    finally:
        replica.close(drain_s=5.0)
