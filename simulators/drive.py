"""Plays a world against the running HTTP service, as a channel would: decisions side by side, outcomes later."""

import asyncio
import contextlib
import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import numpy as np

from bandit_nba.decide.columns import Floats, Ints
from simulators.world import World

JSON = {"Content-Type": "application/json"}
A_POST = 500
FLUSH_EVERY_S = 0.05
REJECTED_AFTER_S = 0.2


@dataclass
class Played:
    """What the client saw. Row i is the i-th decision; `arm` is -1 where no answer came.

    acknowledged and failed hold ids: an id is acknowledged once its answer (or, for outcomes, its 201) was read.
    """

    customer: Ints
    arm: Ints
    reward: Floats
    decisions_acknowledged: set[str] = field(default_factory=set)
    decisions_failed: set[str] = field(default_factory=set)
    outcomes_acknowledged: set[str] = field(default_factory=set)
    outcomes_failed: set[str] = field(default_factory=set)
    seconds: float = 0.0

    @property
    def answered(self) -> int:
        """Decisions answered so far."""
        return len(self.decisions_acknowledged)


async def import_customers(session: aiohttp.ClientSession, ids: Sequence[str], profiles: Sequence[Any]) -> int:
    """Send profiles in bulk; returns how many the service acknowledged."""
    done = 0
    for start in range(0, len(ids), A_POST):
        page = [
            {"customerId": i, "facts": facts}
            for i, facts in zip(ids[start : start + A_POST], profiles[start : start + A_POST], strict=True)
        ]
        async with session.put("/v1/customers", data=msgspec.json.encode(page), headers=JSON) as answer:
            if answer.status >= 300:
                raise RuntimeError(f"importing customers failed with {answer.status}: {await answer.text()}")
        done += len(page)
    return done


class Player:
    """n decisions of one world, sent in as many parts as you like, each followed by its outcome after its delay.

    Customers and channels are drawn at once and each decision's response from a stream of its own, so that nothing
    depends on which answer comes first. on_answer: called after each answer.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        world: World,
        *,
        n: int,
        channels: Sequence[str],
        rng: np.random.Generator,
        on_answer: Callable[[Played], None] = lambda _: None,
    ) -> None:
        self.session = session
        self.world = world
        self.ids = world.customers.ids
        self.column = {arm.id: k for k, arm in enumerate(world.catalogue.arms)}
        self.channels = [channels[int(c)] for c in rng.integers(len(channels), size=n)]
        self.seed = int(rng.integers(1 << 40))
        self.due: list[tuple[float, bytes, str]] = []
        self.finished = False
        self.on_answer = on_answer
        self.played = Played(
            customer=world.sample_customers(rng, n),
            arm=np.full(n, -1, dtype=np.int64),
            reward=np.zeros(n),
        )

    async def play(self, first: int, last: int, *, concurrency: int) -> None:
        """Send decisions first ... last - 1 from `concurrency` clients; returns when their outcomes are sent too."""
        started = time.perf_counter()
        self.finished = False
        flusher = asyncio.create_task(self.flush())
        try:
            tickets = iter(range(first, last))
            await asyncio.gather(*(self.client(tickets) for _ in range(concurrency)))
            self.played.seconds += time.perf_counter() - started
        finally:
            self.finished = True
            await flusher

    async def client(self, tickets: Iterator[int]) -> None:
        """One client: the next decision as soon as the last one is answered."""
        for i in tickets:
            await self.decide(i)
            self.on_answer(self.played)

    async def decide(self, i: int) -> None:
        decision = f"{self.seed:010x}-{i:08d}"
        customer = int(self.played.customer[i])
        body = msgspec.json.encode(
            {
                "decisionId": decision,
                "customerId": self.ids[customer],
                "channel": self.channels[i],
            }
        )
        try:
            async with self.session.post("/v1/decisions", data=body, headers=JSON) as answer:
                if answer.status not in (200, 201):
                    raise aiohttp.ClientError(f"{answer.status}: {await answer.text()}")
                arm = self.column[msgspec.json.decode(await answer.read())["arm"]]
        except (aiohttp.ClientError, TimeoutError, KeyError, msgspec.DecodeError):
            self.played.decisions_failed.add(decision)
            return
        self.played.decisions_acknowledged.add(decision)
        self.played.arm[i] = arm
        self.answer_of_customer(i, customer, arm, decision)

    def answer_of_customer(self, i: int, customer: int, arm: int, decision: str) -> None:
        """Draw the response of decision i from its own stream and put its outcome on the calendar."""
        rng = np.random.default_rng((self.seed, i))
        accepted, delay_s = self.world.respond(rng, np.array([customer]), np.array([arm]))
        self.played.reward[i] = float(accepted[0])
        if arm == 0:  # "no action" gives the customer nothing to answer
            return
        kind, after_s = ("accept", float(delay_s[0])) if accepted[0] else ("reject", REJECTED_AFTER_S)
        outcome = msgspec.json.encode({"outcomeId": f"o-{decision}", "decisionId": decision, "type": kind})
        heapq.heappush(self.due, (time.monotonic() + after_s, outcome, f"o-{decision}"))

    async def flush(self) -> None:
        """Send the outcomes that are due, many in one request, until the last one is out."""
        while not self.finished or self.due:
            await asyncio.sleep(FLUSH_EVERY_S)
            while self.due and self.due[0][0] <= time.monotonic():
                page: list[tuple[float, bytes, str]] = []
                while self.due and len(page) < A_POST and self.due[0][0] <= time.monotonic():
                    page.append(heapq.heappop(self.due))
                await self.send(page)

    async def send(self, page: list[tuple[float, bytes, str]]) -> None:
        body = b"[" + b",".join(raw for _, raw, _ in page) + b"]"
        kept: set[str] = set()
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            async with self.session.post("/v1/outcomes", data=body, headers=JSON) as answer:
                results = msgspec.json.decode(await answer.read()).get("results", [])
                kept = {result["outcomeId"] for result in results if result["receipt"] in ("created", "duplicate")}
        self.played.outcomes_acknowledged |= kept
        self.played.outcomes_failed |= {outcome for _, _, outcome in page} - kept
