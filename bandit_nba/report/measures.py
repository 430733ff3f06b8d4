"""What a report measures beside the reward: each measure as one number per decision, or the reason why there is none.

Which outcomes mean what is told by their names and by rewards.toml; the page says it in words beside every figure. What
the log cannot tell is named as missing, never shown as zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.promote.reading import Reading

Better = Literal["more", "less", "neither"]

COMPLAINT = ("complain",)
OPT_OUT = ("opt_out", "optout", "unsubscribe", "block", "spam")
CHURN = ("churn", "cancel")
SATISFACTION = ("satisf", "rating", "nps", "csat")
TIME = ("face_time", "talk_time", "call_time", "duration", "minutes")


@dataclass(frozen=True)
class Measure:
    """One metric. better: which way is wanted; guardrail: whether the other way is a warning.

    values: float64 (N,) as observed, one per decision. cells: float64 (cells,), what each logged cell would mean if it
    were chosen: exact for every policy, no estimate. rows: the decisions that it is about, None for all. weights:
    further weights of these decisions (N,), for those who were not watched long enough.
    """

    title: str
    words: str
    better: Better = "more"
    guardrail: bool = False
    values: Floats | None = None
    cells: Floats | None = None
    rows: Bools | None = None
    weights: Floats | None = None


@dataclass(frozen=True)
class Measures:
    """Those that the log can tell, in the order of the page; missing: the others with the reason."""

    found: Sequence[Measure]
    missing: Mapping[str, str] = field(default_factory=dict)


def is_bad(kind: str, definition: RewardDefinition) -> bool:
    """Whether an outcome of this type is something that nobody wants: by its name, or by a reward below 0."""
    declared = definition.outcomes.get(kind)
    return _named(kind, (*COMPLAINT, *OPT_OUT, *CHURN)) or (declared is not None and declared.reward < 0)


def measures(
    reading: Reading, catalogue: Catalogue, definition: RewardDefinition, *, retention: Measure | str
) -> Measures:
    """All measures of the judged decisions; retention is made elsewhere, or the reason why it is missing."""
    candidates: dict[str, Measure | str] = {
        "acceptance": _acceptance(reading, definition),
        "acceptance per contact": _per_contact(reading, definition),
        "revenue": _revenue(reading, catalogue, definition),
        "margin": _margin(reading, catalogue, definition),
        "cross-sell": _cross_sell(reading, catalogue, definition),
        "contact load": _contact_load(reading.log),
        "contact cost": _cost(reading.log, catalogue),
        "customer-face time": _time(reading),
        "retention": retention,
        "satisfaction": _satisfaction(reading),
        "opt-outs": _guardrail(reading, definition, "opt-outs", OPT_OUT),
        "complaints": _guardrail(reading, definition, "complaints", COMPLAINT),
    }
    found = [one for one in candidates.values() if isinstance(one, Measure)]
    return Measures(
        [*found, *_others(reading, definition)], {k: v for k, v in candidates.items() if isinstance(v, str)}
    )


def _acceptance(reading: Reading, definition: RewardDefinition) -> Measure | str:
    kinds = _good(definition)
    if not kinds:
        return "no outcome in rewards.toml earns a reward"
    words = f"Share of decisions that were answered within the wait by {_either(kinds)}."
    return Measure("acceptance", words, values=_any(reading, kinds))


def _per_contact(reading: Reading, definition: RewardDefinition) -> Measure | str:
    kinds, contacted = _good(definition), _contacted(reading.log)
    if not kinds or not contacted.any():
        return "nobody was offered anything" if kinds else "no outcome in rewards.toml earns a reward"
    words = f"Of the decisions with an action, the share that was answered by {_either(kinds)}."
    return Measure("acceptance per contact", words, values=_any(reading, kinds), rows=contacted)


def _revenue(reading: Reading, catalogue: Catalogue, definition: RewardDefinition) -> Measure | str:
    found = _money(reading, catalogue, definition)
    if isinstance(found, str):
        return found
    return Measure("revenue", found[1], values=found[0])


def _margin(reading: Reading, catalogue: Catalogue, definition: RewardDefinition) -> Measure | str:
    found, cost = _money(reading, catalogue, definition), _costs(reading.log, catalogue)
    if isinstance(found, str):
        return found
    if not cost.any():
        return "no action in the catalogue declares a cost, so that it would repeat the revenue"
    values = found[0] - cost[reading.log.chosen]
    return Measure("margin", "Revenue minus the cost of the contact, per decision.", values=values)


def _money(reading: Reading, catalogue: Catalogue, definition: RewardDefinition) -> tuple[Floats, str] | str:
    """Revenue per decision and what it is made of."""
    kinds = [
        kind for kind in reading.amounts if not is_bad(kind, definition) and not _named(kind, (*TIME, *SATISFACTION))
    ]
    if kinds:
        total = np.sum([reading.amounts[kind] for kind in kinds], axis=0)
        return total, f"Amounts of {_either(kinds)} received within the wait, per decision."
    values = {arm.id: arm.action.value for arm in catalogue.arms}
    good = _good(definition)
    if not good or all(value == 1.0 for name, value in values.items() if name != NO_ACTION):
        return "no purchase outcome came with an amount, and no action in the catalogue declares a value"
    worth = np.array([0.0 if name == NO_ACTION else values.get(name, 0.0) for name in reading.log.arms])
    value = worth[reading.log.arm[reading.log.chosen]] * _any(reading, good)
    return value, f"The catalogue's value of each action that was answered by {_either(good)}, per decision."


def _cross_sell(reading: Reading, catalogue: Catalogue, definition: RewardDefinition) -> Measure | str:
    sells = {
        arm.id
        for arm in catalogue.arms
        if arm.action.kind == "offer" and (arm.action.owned_as or "cross" in arm.action.group)
    }
    good = _good(definition)
    if not sells or not good:
        return "no offer in the catalogue says by owned_as, or by its group, that it sells something further"
    chosen = np.array([name in sells for name in reading.log.arms], dtype=np.bool_)[reading.log.arm[reading.log.chosen]]
    words = (
        "Share of decisions in which an offer of something that the customer did not own yet (owned_as in the "
        f"catalogue, or a cross-selling group) was answered by {_either(good)}."
    )
    return Measure("cross-sell", words, values=_any(reading, good) * chosen)


def _contact_load(log: LoggedDecisions) -> Measure:
    words = "Share of decisions in which the customer is offered anything at all. It follows from what a policy does."
    return Measure("contact load", words, better="neither", cells=_contact_cells(log).astype(np.float64))


def _cost(log: LoggedDecisions, catalogue: Catalogue) -> Measure | str:
    cost = _costs(log, catalogue)
    if not cost.any():
        return "no action in the catalogue declares a cost"
    words = "What the contacts cost by the catalogue, per decision. It follows from what a policy does."
    return Measure("contact cost", words, better="less", cells=cost)


def _time(reading: Reading) -> Measure | str:
    kinds = [kind for kind in reading.amounts if _named(kind, TIME)]
    if not kinds:
        return f"no outcome that measures time came with an amount (a type named {_either(TIME)})"
    words = f"Amounts of {_either(kinds)}, per decision, in the unit in which they were sent."
    values = np.sum([reading.amounts[kind] for kind in kinds], axis=0)
    return Measure("customer-face time", words, better="neither", values=values)


def _satisfaction(reading: Reading) -> Measure | str:
    for kind, amounts in reading.amounts.items():
        if _named(kind, SATISFACTION) and kind in reading.happened:
            words = f"Mean amount of {kind} over the decisions that were rated. Less is a warning."
            return Measure("satisfaction", words, guardrail=True, values=amounts, rows=reading.happened[kind])
    return f"no rating came with an amount (a type whose name has {_either(SATISFACTION)})"


def _guardrail(reading: Reading, definition: RewardDefinition, title: str, words: tuple[str, ...]) -> Measure | str:
    kinds = [kind for kind in sorted({*definition.outcomes, *reading.happened}) if _named(kind, words)]
    if not kinds:
        return f"no such outcome is declared or was ever received (a type whose name has {_either(words)})"
    told = f"Share of decisions with {_either(kinds)} within the wait. More is a warning."
    return Measure(title, told, better="less", guardrail=True, values=_any(reading, kinds))


def _others(reading: Reading, definition: RewardDefinition) -> list[Measure]:
    """Every other type of outcome as it is named."""
    told = (*COMPLAINT, *OPT_OUT, *SATISFACTION, *TIME)
    found = []
    for kind in sorted({*definition.outcomes, *reading.happened}):
        bad = is_bad(kind, definition)
        if not _named(kind, told):
            words = f"Share of decisions with {kind} within the wait.{' More is a warning.' if bad else ''}"
            flags = _any(reading, [kind])
            better: Better = "less" if bad else "neither" if kind not in _good(definition) else "more"
            found.append(Measure(f"outcome {kind}", words, better=better, guardrail=bad, values=flags))
    return found


def _good(definition: RewardDefinition) -> list[str]:
    return [
        kind
        for kind, declared in definition.outcomes.items()
        if (declared.reward > 0 or declared.amount_weight > 0) and not is_bad(kind, definition)
    ]


def _any(reading: Reading, kinds: Sequence[str]) -> Floats:
    happened = np.zeros(len(reading.log), dtype=np.bool_)
    for kind in kinds:
        happened |= reading.happened.get(kind, False)
    return happened.astype(np.float64)


def _contact_cells(log: LoggedDecisions) -> Bools:
    cells: Bools = np.array([name != NO_ACTION for name in log.arms], dtype=np.bool_)[log.arm]
    return cells


def _contacted(log: LoggedDecisions) -> Bools:
    return _contact_cells(log)[log.chosen]


def _costs(log: LoggedDecisions, catalogue: Catalogue) -> Floats:
    costs = {arm.id: arm.action.cost for arm in catalogue.arms}
    cells: Floats = np.array([costs.get(name, 0.0) for name in log.arms], dtype=np.float64)[log.arm]
    return cells


def _named(kind: str, words: Sequence[str]) -> bool:
    return any(word in kind for word in words)


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
