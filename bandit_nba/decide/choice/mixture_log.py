"""What the log keeps of a mixture beside each decision, and how an audit compares it with what comes out again."""

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from bandit_nba.decide.batch import Assignment, Decisions
from bandit_nba.decide.columns import Floats

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class LoggedCredit:
    """The component of a mixture that a decision is credited to; "" where there is no mixture.

    share: the chance with which it was drawn. probabilities: its own distribution, floor included, beside the eligible
    arms; None where it is the decision's own.
    """

    component: str = ""
    share: float | None = None
    probabilities: tuple[float, ...] | None = None
    assignment: Assignment = "none"
    experiment: str = ""


class LoggedShadow(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy that did not act would have chosen, drawn apart; probabilities beside the decision's `arms`."""

    policy: str
    arm: str
    probabilities: tuple[float, ...]


NO_CREDIT = LoggedCredit()


def credit_of(decisions: Decisions, i: int, at: Indices) -> LoggedCredit:
    """The credit of row i; `at`: its eligible arms."""
    credit = decisions.credit
    if credit is None:
        return NO_CREDIT
    assignment = credit.assignment(i)
    return LoggedCredit(
        component=credit.names[int(credit.component[i])],
        share=float(credit.share[i]),
        probabilities=_listed(credit.probability, i, at) if assignment == "decision" else None,
        assignment=assignment,
        experiment=credit.experiment,
    )


def shadow_of(decisions: Decisions, i: int, at: Indices) -> LoggedShadow | None:
    """The shadow of row i; `at`: its eligible arms."""
    shadow = decisions.shadow
    if shadow is None:
        return None
    arm = decisions.arms[int(shadow.chosen[i])].id
    return LoggedShadow(policy=shadow.name, arm=arm, probabilities=_listed(shadow.probability, i, at))


def credit_differs(logged: LoggedCredit, again: LoggedCredit, *, tolerance: float) -> str:
    """What differs, in words; "" for nothing."""
    for name in ("component", "assignment", "experiment"):
        if getattr(logged, name) != getattr(again, name):
            return f"{name} logged {getattr(logged, name)!r}, made again {getattr(again, name)!r}"
    if not close((logged.share or 0.0,), (again.share or 0.0,), tolerance=tolerance):
        return f"share logged {logged.share!r}, made again {again.share!r}"
    if not close(logged.probabilities or (), again.probabilities or (), tolerance=tolerance):
        return f"{logged.component}'s own distribution logged {logged.probabilities}, made again {again.probabilities}"
    return ""


def shadow_differs(logged: LoggedShadow | None, again: LoggedShadow | None, *, tolerance: float) -> str:
    """What differs, in words; "" for nothing."""
    if logged is None or again is None:
        return "" if logged is again else f"logged {logged}, made again {again}"
    if (logged.policy, logged.arm) != (again.policy, again.arm):
        return f"logged {logged.arm} by {logged.policy}, made again {again.arm} by {again.policy}"
    if not close(logged.probabilities, again.probabilities, tolerance=tolerance):
        return f"distribution logged {logged.probabilities}, made again {again.probabilities}"
    return ""


def close(logged: tuple[float, ...], again: tuple[float, ...], *, tolerance: float) -> bool:
    """Whether lists are equally long and nowhere further apart; NaN is close to nothing."""
    if len(logged) != len(again):
        return False
    return bool((np.abs(np.array(logged) - np.array(again)) <= tolerance).all())


def _listed(values: Floats, i: int, at: Indices) -> tuple[float, ...]:
    return tuple(values[i, at].tolist())
