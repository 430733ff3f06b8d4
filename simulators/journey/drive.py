"""Plays a journey world against the running HTTP service: every step all customers ask, then time passes.

The service's clock is real, the world's is not: a workspace for this is written with `write_workspace(path, world,
wait_s=...)`. What the service may know of a customer comes with each request, so that it need not be imported.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import msgspec
import numpy as np

from bandit_nba.decide.columns import Ints
from bandit_nba.errors import SettingsError
from simulators.drive import A_POST, JSON
from simulators.journey.state import State
from simulators.journey.world import JourneyWorld
from simulators.world import Outcome


@dataclass
class JourneyPlayed:
    """What the client saw: decisions answered and failed, arms that the world could not do, outcomes kept."""

    answered: int = 0
    failed: int = 0
    not_eligible: int = 0
    outcomes: int = 0
    value: float = 0.0
    reward: float = 0.0


async def play(
    session: aiohttp.ClientSession,
    world: JourneyWorld,
    state: State,
    *,
    steps: int,
    name: str,
    concurrency: int = 16,
    pause_s: float = 0.0,
    on_step: Callable[[State, Outcome], None] = lambda state, outcome: None,  # noqa: ARG005 (nobody is told)
) -> JourneyPlayed:
    """Play `steps` steps; `state` is changed in place. A decision that failed counts as no action.

    name: begins every decision id, so that two plays do not share ids. pause_s: between steps, such as the wait of the
    reward definition, so that what was decided has matured. Responses within the world's horizon are reported at once,
    later ones never.

    Raises
    ------
    SettingsError
        If the world has a budget, which the service does not know of.
    """
    if world.limits.budget_per_1000:
        raise SettingsError(
            "the service knows no budget",
            where=f"world {world.name}",
            hint='overrides={"limits.budget_per_1000": 0.0}',
        )
    played = JourneyPlayed()
    column = {arm.id: k for k, arm in enumerate(world.catalogue.arms)}
    for _ in range(steps):
        arm = await _decided(session, world, state, column, played, name=name, concurrency=concurrency)
        step = state.t
        outcome = world.step(state, arm)
        played.value += float(outcome.value.sum())
        played.reward += float(outcome.reward.sum())
        await _report(session, state, outcome, played, step=step, name=name)
        on_step(state, outcome)
        await asyncio.sleep(pause_s)
    return played


async def _decided(
    session: aiohttp.ClientSession,
    world: JourneyWorld,
    state: State,
    column: dict[str, int],
    played: JourneyPlayed,
    *,
    name: str,
    concurrency: int,
) -> Ints:
    """What the service answers for each customer, int64 (N,)."""
    facts, mask = world.facts(state).rows(), world.eligible(state)
    arm = np.zeros(len(state), dtype=np.int64)
    tickets = iter(range(len(state)))

    async def client() -> None:
        for i in tickets:
            body = msgspec.json.encode(
                {
                    "decisionId": _id(name, state.t, int(state.customer[i])),
                    "customerId": f"c{int(state.customer[i])}",
                    "channel": world.channels[int(state.channel[i])],
                    "facts": {**facts[i], "step": float(state.t)},
                }
            )
            try:
                async with session.post("/v1/decisions", data=body, headers=JSON) as answer:
                    content = await answer.read()
                    if answer.status not in (200, 201):
                        raise aiohttp.ClientError(f"{answer.status}: {content[:200]!r}")
                    arm[i] = column[msgspec.json.decode(content)["arm"]]
                    played.answered += 1
            except (aiohttp.ClientError, TimeoutError, KeyError, msgspec.DecodeError):
                played.failed += 1

    await asyncio.gather(*(client() for _ in range(concurrency)))
    wrong = ~mask[np.arange(len(state)), arm]
    played.not_eligible += int(wrong.sum())
    return np.where(wrong, 0, arm)


async def _report(
    session: aiohttp.ClientSession, state: State, outcome: Outcome, played: JourneyPlayed, *, step: int, name: str
) -> None:
    """Send the responses of a step, many in one request."""
    decisions = [_id(name, step, int(state.customer[i])) for i in outcome.reward.nonzero()[0]]
    for start in range(0, len(decisions), A_POST):
        page = [
            {"outcomeId": f"o-{decision}", "decisionId": decision, "type": "accept"}
            for decision in decisions[start : start + A_POST]
        ]
        async with session.post("/v1/outcomes", data=msgspec.json.encode(page), headers=JSON) as answer:
            results = msgspec.json.decode(await answer.read()).get("results", [])
            played.outcomes += sum(result["receipt"] in ("created", "duplicate") for result in results)


def _id(name: str, step: int, customer: int) -> str:
    return f"{name}-{step}-{customer}"
