"""What a reinforcement learner sees of a customer: one vector, within four deviations or [0, 4]."""

import math

import numpy as np
import numpy.typing as npt

from simulators.journey.calendar import WEEKS_A_YEAR
from simulators.journey.lifecycle import CUSTOMER, STAGES
from simulators.journey.state import State
from simulators.journey.world import JourneyWorld

Singles = npt.NDArray[np.float32]
LIMIT = 4.0
NUMBERS = ("tenure_years", "recency_quarters", "purchases_eighths", "contacts", "reachable", "year_cos", "year_sin")


class Observer:
    """Traits of the profile, then stage, channel, open event, and numbers; nothing that a company could not know.

    Left out on purpose, because they are latent: uplift type, fatigue, BG/NBD and sBG parameters.
    """

    def __init__(self, world: JourneyWorld) -> None:
        turn = 2.0 * math.pi * world.weeks / WEEKS_A_YEAR
        self.year = np.array([[math.cos(turn * t), math.sin(turn * t)] for t in range(world.steps + 1)])
        self.clock = np.arange(world.steps + 1)
        self.scale = np.array([world.weeks / 52.0, world.weeks / 13.0, 1 / 8, 1 / 16, 1.0, 1.0, 1.0], dtype=np.float32)
        self.traits: Singles = world.people.traits.astype(np.float32)
        events = ("none", *(e.name for e in world.settings.life_events))
        values = (STAGES, world.channels, events, ("no", "yes"))
        self.of_code = _indicators([len(v) for v in values])
        self.code_at = self.traits.shape[1]
        self.numbers_at = self.code_at + self.of_code.shape[1]
        self.owned_at = self.numbers_at + len(NUMBERS)
        self.limit = np.array([LIMIT], dtype=np.float32)
        self.bits = 1 << np.arange(len(world.people.products))
        self.names = (
            *world.people.trait_names,
            *(f"stage={s}" for s in STAGES),
            *(f"channel={c}" for c in world.channels),
            *(f"event={e}" for e in events),
            "issue",
            *NUMBERS,
            *(f"now_owns={p}" for p in world.people.products),
        )

    def __call__(self, state: State) -> Singles:
        """Float32 (N, D)."""
        return self.moving(state, self.fixed(state))

    def fixed(self, state: State) -> Singles:
        """What stays for a whole episode, float32 (N, D), zeros elsewhere."""
        seen = np.zeros((len(state), len(self.names)), dtype=np.float32)
        seen[:, : self.code_at] = self.traits.take(state.profile, axis=0)
        return seen

    def moving(self, state: State, seen: Singles) -> Singles:
        """Write what changes beside what is fixed; `seen` is changed and given back."""
        seen[:, self.code_at : self.numbers_at] = self.of_code.take(state.code, axis=0)
        numbers = seen[:, self.numbers_at : self.owned_at]
        now = self.clock[state.t : state.t + 1]
        numbers[:, 0] = now - state.joined
        numbers[:, 1] = now - state.last_purchase
        numbers[:, :2] *= CUSTOMER[state.stage][:, None]
        numbers[:, 2] = state.purchases
        numbers[:, 3] = np.bitwise_count(state.contacts)
        numbers[:, 4] = state.reachable
        numbers[:, 5:] = self.year[state.t]
        numbers *= self.scale
        np.minimum(numbers, self.limit, out=numbers)
        seen[:, self.owned_at :] = (state.owned[:, None] & self.bits).astype(np.bool_)
        return seen


def _indicators(sizes: list[int]) -> Singles:
    """For each code of stage, channel, event and trouble the indicators of its parts; of the trouble only "yes"."""
    parts = np.indices(sizes).reshape(len(sizes), -1)
    columns = [np.eye(size, dtype=np.float32)[part] for size, part in zip(sizes, parts, strict=True)]
    columns[-1] = columns[-1][:, 1:]
    return np.concatenate(columns, axis=1)
