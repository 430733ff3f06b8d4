"""What customers may have now, and how likely they take it: the exact truth of one step."""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import brentq

from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.errors import InputError, SettingsError
from simulators.journey.drift import angle, turned
from simulators.journey.fatigue import gain_factor
from simulators.journey.settings import JourneySettings
from simulators.journey.state import State
from simulators.journey.tables import MOST_ORGANIC, Tables
from simulators.journey.uplift import kept_and_room, sigmoid

MOST_STEPS_KNOWN = 512
LEVELS = (-20.0, 12.0)
MOST_LOGIT = 300.0  # far beyond what matters, and far below where exp overflows


@dataclass
class Responses:
    """The law of responses: p(x, a) of the settings' uplift, on tastes that may drift.

    within: share of responses that come within the horizon, by channel. season: logits by step. appeal: (K,). tastes:
    the old and the new utilities (P, K). drifts: which arms' tastes turn.
    """

    settings: JourneySettings
    tables: Tables
    within: Floats
    season: Floats
    appeal: Floats
    tastes: tuple[Floats, Floats]
    drifts: Bools
    live: Bools = field(init=False)  # which arms there are, by step
    base: Floats = field(init=False)
    new: Floats | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        step = np.arange(len(self.season))[:, None]
        self.live = (self.tables.arrives <= step) & (step < self.tables.retires)
        self._known: dict[int, tuple[Floats, Floats]] = {}
        self.response = np.array([self.settings.fatigue.response])  # an array of one number: see `Dynamics`
        self.stages = np.array([self.tables.organic.shape[1]])

    def set_level(self, level: float) -> None:
        """Lay out level + appeal + heterogeneity x taste, float64 (P, K), for old and new tastes."""
        scale = self.settings.uplift.heterogeneity
        self.base = level + self.appeal + scale * self.tastes[0]
        if self.drifts.any():
            self.new = np.where(self.drifts, level + self.appeal + scale * self.tastes[1], self.base)
        self.level = level
        largest = float(np.abs(self.base).max() + np.abs(self.tables.logits).max())
        if largest > MOST_LOGIT:
            raise SettingsError("logits are too large", got=largest, allowed=f"up to {MOST_LOGIT:g}")

    def eligible(self, state: State) -> Bools:
        """Bool (N, K)."""
        tables = self.tables
        mask = tables.fits.take(state.code, axis=0)
        mask &= (state.owned[:, None] & tables.concerns) == tables.needs
        mask &= self.live[state.t]
        mask &= state.reachable[:, None]
        mask[:, 0] = True
        return mask

    def check(self, state: State, arm: Ints) -> None:
        """Refuse arms that are not eligible; the first such row is named."""
        tables = self.tables
        if ((arm < 0) | (arm >= len(tables.value))).any():
            raise InputError("no such arm", where="arm", got=arm.min(), allowed=f"0 to {len(tables.value) - 1}")
        ok = tables.fits[state.code, arm] & state.reachable
        ok &= (state.owned & tables.concerns[arm]) == tables.needs[arm]
        ok &= self.live[state.t, arm]
        ok |= arm == 0
        if not ok.all():
            row = int(np.argmin(ok))
            raise InputError("the arm is not eligible", where=f"arm[{row}]", got=int(arm[row]), hint="ask `eligible`")

    def q(self, state: State) -> Floats:
        """Exact chance of a response within the horizon for every arm, float64 (N, K)."""
        return self.chances(state) * self.within[state.channel][:, None]

    def chances(self, state: State) -> Floats:
        """Chance of a response at all for every arm, float64 (N, K)."""
        logits = self._taste(state, None) + self.tables.logits.take(state.code, axis=0)
        kept, room = self._parts(state.t)
        group = self._group(state)
        filled = room.take(group, axis=0) * gain_factor(state.fatigue, self.response)[:, None]
        return filled * self._appeal(logits, state.t) + kept.take(group, axis=0)

    def chosen(self, state: State, arm: Ints) -> Floats:
        """Chance of a response to each customer's own arm, float64 (N,)."""
        logits = self._taste(state, arm)
        logits += self.tables.logits[state.code, arm]
        kept, room = self._parts(state.t)
        group = self._group(state)
        filled = room[group, arm]
        filled *= gain_factor(state.fatigue, self.response)
        filled *= self._appeal(logits, state.t)
        filled += kept[group, arm]
        return filled

    def _group(self, state: State) -> Ints:
        """Uplift type and stage as one number, the row of `_parts`."""
        group: Ints = state.kind * self.stages + state.stage
        return group

    def _taste(self, state: State, arm: Ints | None) -> Floats:
        """Level, appeal and taste: all arms (N, K), or one for each customer (N,)."""
        old = self.base.take(state.profile, axis=0) if arm is None else self.base[state.profile, arm]
        by = angle(self.settings.drift, state.t)
        if by == 0.0 or self.new is None:
            return old
        new = self.new[state.profile] if arm is None else self.new[state.profile, arm]
        if arm is None:
            return np.where(self.drifts, self._turned(old, new, by, self.drifts), old)
        return np.where(self.drifts[arm], self._turned(old, new, by, arm), old)

    def _turned(self, old: Floats, new: Floats, by: float, which: Ints | Bools) -> Floats:
        """Only the taste turns: level and appeal stay."""
        fixed = self.level + (self.appeal if which.dtype == np.bool_ else self.appeal[which])
        return fixed + turned(old - fixed, new - fixed, by)

    def _appeal(self, logits: Floats, t: int) -> Floats:
        return sigmoid(logits + self.season[t])

    def _parts(self, t: int) -> tuple[Floats, Floats]:
        """`kept_and_room` of step t, float64 (types x stages, K), whose season moves organic responses, too.

        Made once a step.
        """
        found = self._known.get(t)
        if found is None:
            tables = self.tables
            organic = np.minimum(tables.organic * np.exp(self.season[t]), MOST_ORGANIC)
            if len(self._known) >= MOST_STEPS_KNOWN:
                self._known.clear()
            kept, room = kept_and_room(organic, tables.gain, tables.harm)
            found = self._known[t] = kept.reshape(-1, kept.shape[2]), room.reshape(-1, room.shape[2])
        return found


def level_of(responses: Responses, state: State, target: float) -> float:
    """The level that has the best fixed arm, "no action" where it is not eligible, answered so often.

    Raises
    ------
    SettingsError
        If no level does: what customers do by themselves is more, or what contacts can gain is less.
    """
    responses.set_level(0.0)
    mask = responses.eligible(state)
    logits = responses.base[state.profile] + responses.tables.logits[state.code] + responses.season[0]
    group = responses._group(state)
    kept, room = (part[group] for part in responses._parts(0))
    room = room * gain_factor(state.fatigue, responses.response)[:, None]

    def excess(level: float) -> float:
        p = kept + room * sigmoid(logits + level)
        return float(np.where(mask, p, p[:, :1])[:, 1:].mean(axis=0).max()) - target

    least, most = (target + excess(level) for level in LEVELS)
    if not least <= target <= most:
        raise SettingsError(
            "no level gives this response to the best fixed action",
            where="uplift.best_fixed",
            got=target,
            allowed=f"{least:.4g} (nobody likes any action) to {most:.4g} (all like all) in this world",
        )
    return float(brentq(excess, *LEVELS, xtol=1e-9))
