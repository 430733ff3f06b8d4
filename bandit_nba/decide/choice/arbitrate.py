"""Arbitration: what an arm is expected to gain over doing nothing, weighed by what it is worth to the business.

    gain_a     = expected reward of a - expected reward of "no action"
    m_a        = context weight ^ s_c  x  value ^ s_v  x  lever ^ s_l            (above zero)
    priority_a =  gain_a ^ s_g  * m_a   where gain_a >= 0
               = -|gain_a| ^ s_g / m_a  where gain_a <  0

Each factor has a strength s, 1 unless it is set. Dividing a negative gain is the same as offsetting it by
|gain| (1 - 1/m): a larger lever never lowers an arm, a harmful arm never overtakes "no action", and the priority is
continuous at gain 0, increasing in the gain and in each factor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.catalogue.load import epoch
from bandit_nba.decide.choice.weighing import CHANNEL, Arbitration, ContextWeight, Strengths
from bandit_nba.decide.columns import Bools, Coded, CodedSets, Facts, Floats
from bandit_nba.errors import SettingsError

RewardUnit = Literal["response", "money"]

SMALLEST, LARGEST = 1e-9, 1e9  # of a factor, so that no product or quotient leaves the finite numbers


@dataclass(frozen=True)
class Factors:
    """What one arm's gain is weighed by, each above zero, before the strengths."""

    context_weight: float
    value: float
    lever: float
    strength: Strengths

    @property
    def multiplier(self) -> float:
        """All of them together, strengths included."""
        s = self.strength
        return float(self.context_weight**s.context_weight * self.value**s.value * self.lever**s.lever)


def priorities(expected_reward: Floats, multiplier: Floats | None, *, gain_strength: float = 1.0) -> Floats:
    """Priority per row and arm, float64 (N, K), in the reward's unit times the multiplier's; "no action" has 0.

    expected_reward: (N, K), column 0 is "no action"; NaN where an arm is not eligible stays NaN.
    multiplier: above zero, broadcast to (N, K); None for 1 everywhere.
    """
    gain: Floats = np.subtract(expected_reward, expected_reward[:, :1], order="C")
    if gain_strength != 1.0:
        gain = np.copysign(np.abs(gain) ** gain_strength, gain)
    if multiplier is None or (multiplier == 1.0).all():
        return gain
    return np.where(gain < 0.0, gain / multiplier, gain * multiplier)


class Arbiter:
    """Weighs the arms of one set under one policy; what depends on these alone is made once.

    Raises
    ------
    SettingsError
        If values would count twice (`use_value` with rewards in money), or a factor is not within 1e-9 ... 1e9.
    """

    def __init__(self, arms: Sequence[Arm], settings: Arbitration, *, reward_unit: RewardUnit) -> None:
        if settings.use_value and reward_unit == "money":
            raise SettingsError(
                "would count money twice: the reward's unit is money already",
                where="policy.toml: arbitration.use_value",
                got=True,
                allowed='true only where the unit in rewards.toml is "response"',
            )
        self.settings = settings
        self._starts = _starts(arms, settings)
        times = np.concatenate([[-np.inf], self._starts])
        self._value, self._lever = _values(arms, settings, times), _levers(arms, settings, times)
        strength = settings.strength
        self._by_era = self._value**strength.value * self._lever**strength.lever
        self._neutral = not settings.context_weights and bool((self._by_era == 1.0).all())
        self._contexts = [_Context(weight, arms) for weight in settings.context_weights]
        _check_contexts(self._contexts, strength.context_weight, arms)

    def priorities(self, expected_reward: Floats, *, facts: Facts, channels: Coded, decided_at: Floats) -> Floats:
        """Priority per row and arm, float64 (N, K); NaN where the expected reward is.

        facts, channels, decided_at: of the N rows, as in `Requests`.
        """
        if self._neutral:
            return priorities(expected_reward, None, gain_strength=self.settings.strength.gain)
        multiplier = self.multipliers(facts=facts, channels=channels, decided_at=decided_at)
        return priorities(expected_reward, multiplier, gain_strength=self.settings.strength.gain)

    def multipliers(self, *, facts: Facts, channels: Coded, decided_at: Floats) -> Floats:
        """All factors together, float64 (N, K), or (1, K) where all rows share them."""
        by_era = self._by_era if not len(self._starts) else self._by_era[self._era(decided_at)]
        if not self._contexts:
            return by_era
        return by_era * self._context_weights(facts, channels) ** self.settings.strength.context_weight

    def factors(self, *, facts: Facts, channels: Coded, decided_at: Floats) -> list[Factors]:
        """The factors of each arm for a batch of one, in the order of the arms; 1 where none is declared."""
        era = int(self._era(decided_at)[0])
        context = self._context_weights(facts, channels)[0].tolist()
        value, lever = self._value[era].tolist(), self._lever[era].tolist()
        rows = zip(context, value, lever, strict=True)
        return [Factors(context_weight=c, value=v, lever=x, strength=self.settings.strength) for c, v, x in rows]

    def _era(self, decided_at: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """The span between two changes of values or levers that each moment falls in."""
        return np.searchsorted(self._starts, decided_at, side="right")

    def _context_weights(self, facts: Facts, channels: Coded) -> Floats:
        weights = np.ones((facts.size, self._value.shape[1]))
        for context in self._contexts:
            np.multiply(weights, context.of(facts, channels)[:, None], out=weights, where=context.arms)
        return weights


class _Context:
    """One table of context weights over the arms that it meets, bool (K,)."""

    def __init__(self, weight: ContextWeight, arms: Sequence[Arm]) -> None:
        self.weight = weight
        self.arms: Bools = np.array([k > 0 and _meets(weight, arm) for k, arm in enumerate(arms)])
        self.most = max(weight.otherwise, *weight.values.values(), weight.otherwise)
        self.least = min(weight.otherwise, *weight.values.values(), weight.otherwise)

    def of(self, facts: Facts, channels: Coded) -> Floats:
        """The weight of each row, float64 (N,)."""
        weight = self.weight
        column = channels if weight.fact == CHANNEL else facts.columns.get(weight.fact)
        if column is None or isinstance(column, CodedSets):
            return np.full(facts.size, weight.otherwise)
        if isinstance(column, Coded):
            of_value = [weight.values.get(value, weight.otherwise) for value in column.values]
            return np.array([*of_value, weight.otherwise])[column.codes]  # code -1, unknown, is the last
        yes, no = (weight.values.get(name, weight.otherwise) for name in ("true", "false"))
        return np.where(np.isnan(column), weight.otherwise, np.where(column > 0.5, yes, no))


def _meets(weight: ContextWeight, arm: Arm) -> bool:
    if weight.action:
        return arm.action.id == weight.action
    return not weight.group or arm.action.group == weight.group


def _starts(arms: Sequence[Arm], settings: Arbitration) -> Floats:
    """The moments at which a value or a lever of these arms changes, in order, float64 (E,)."""
    actions, groups = {arm.action.id for arm in arms}, {arm.action.group for arm in arms}
    moments = [timed.since for timed in settings.values if timed.action in actions]
    for lever in settings.all_levers:
        if lever.group in groups:
            moments += [moment for moment in (lever.valid_from, lever.valid_until) if moment is not None]
    return np.array(sorted({epoch(moment) for moment in moments}), dtype=np.float64)


def _values(arms: Sequence[Arm], settings: Arbitration, times: Floats) -> Floats:
    """The value of each arm from each moment on, float64 (E + 1, K)."""
    out = np.ones((len(times), len(arms)))
    if not settings.use_value:
        return out
    steps: dict[str, list[tuple[float, float]]] = {}
    for timed in settings.values:
        steps.setdefault(timed.action, []).append((epoch(timed.since), timed.value))
    for k, arm in enumerate(arms):
        if arm.action.kind != "none":
            since, values = zip((-np.inf, arm.action.value), *sorted(steps.get(arm.action.id, [])), strict=True)
            out[:, k] = np.array(values)[np.searchsorted(since, times, side="right") - 1]
            words = f"catalogue.toml: value of {arm.action.id} (policy.toml says arbitration.use_value = true)"
            _check(out[:, k] ** settings.strength.value, where=words)
    return out


def _levers(arms: Sequence[Arm], settings: Arbitration, times: Floats) -> Floats:
    """The lever of each arm from each moment on, float64 (E + 1, K)."""
    out = np.ones((len(times), len(arms)))
    for lever in settings.all_levers:
        start = -np.inf if lever.valid_from is None else epoch(lever.valid_from)
        stop = np.inf if lever.valid_until is None else epoch(lever.valid_until)
        pulled = np.where((times >= start) & (times < stop), lever.lever, 1.0)
        meets = np.array([arm.action.group == lever.group and arm.action.kind != "none" for arm in arms])
        out = np.where(meets, out * pulled[:, None], out)
        _check(out[:, meets] ** settings.strength.lever, where=f"policy.toml: arbitration.levers.{lever.group}")
    return out


def _check_contexts(contexts: Sequence[_Context], strength: float, arms: Sequence[Arm]) -> None:
    """Refuse context weights that together can leave the range of a factor."""
    most, least = np.ones(len(arms)), np.ones(len(arms))
    for context in contexts:
        most, least = most * np.where(context.arms, context.most, 1.0), least * np.where(context.arms, context.least, 1)
        _check(np.concatenate([most, least]) ** strength, where="policy.toml: arbitration.context_weights")


def _check(factors: Floats, *, where: str) -> None:
    wrong = factors[~((factors >= SMALLEST) & (factors <= LARGEST))]
    if len(wrong := wrong.ravel()):
        raise SettingsError("factor out of range", where=where, got=float(wrong[0]), allowed="1e-9 to 1e9")
