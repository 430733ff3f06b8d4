"""Open Bandit Pipeline's dictionaries of logged feedback, both ways.

    {"n_rounds": n, "n_actions": K, "context": float (n, d), "action": int (n,), "position": int (n,) or None,
     "reward": (n,), "pscore": (n,) in (0, 1]}

Also `pi_b`, float (n, K) or (n, K, 1), where the whole distribution is known, and `action_names`, (K,).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bandit_nba.decide.batch import Coded, CodedSets, Facts, Floats, Ints
from bandit_nba.errors import InputError
from bandit_nba.evaluate.formats.read import from_rows
from bandit_nba.evaluate.formats.row import LogRow, checked_reward, distribution
from bandit_nba.evaluate.log import LoggedDecisions


def from_obp(feedback: Mapping[str, Any]) -> LoggedDecisions:
    """A dictionary as arrays: action k is the arm "k" or its name; `context[:, j]` the number `x{j}`; rounds in order.

    The position, where there is one, is the fact `position`: its rows are judged as what they are, single actions.

    Raises
    ------
    InputError
        If a part is missing or has another shape, or a row holds no reward, action or propensity; the row is named.
    """
    n, k = (_whole(feedback, name) for name in ("n_rounds", "n_actions"))
    action = _numbered(feedback, "action", n)
    reward, pscore = _part(feedback, "reward", (n,)), _part(feedback, "pscore", (n,))
    context = np.zeros((n, 0)) if feedback.get("context") is None else np.asarray(feedback["context"], dtype=np.float64)
    if context.ndim != 2 or len(context) != n:
        raise InputError("has another shape", where="context", got=context.shape, allowed=f"({n}, d)")
    position = None if feedback.get("position") is None else _numbered(feedback, "position", n)
    whole = None if feedback.get("pi_b") is None else np.asarray(feedback["pi_b"], dtype=np.float64)
    if whole is not None:
        if whole.shape not in ((n, k), (n, k, 1)):
            raise InputError("has another shape", where="pi_b", got=whole.shape, allowed=f"({n}, {k}) or ({n}, {k}, 1)")
        whole = whole.reshape(n, k)
    names = tuple(map(str, feedback.get("action_names", range(k))))

    def rows() -> Iterator[LogRow]:
        for i in range(n):
            try:
                if not 0 <= action[i] < k:
                    raise InputError("is no action", where="action", got=int(action[i]), allowed=f"0 to {k - 1}")
                chances = None if whole is None else whole[i].tolist()
                arm = names[action[i]]
                arms, drawn = distribution(arm, names, chances, float(pscore[i]))
                facts: dict[str, Any] = {f"x{j}": value for j, value in enumerate(context[i].tolist())}
                if position is not None:
                    facts["position"] = str(position[i])
                yield LogRow(
                    number=i + 1,
                    id=str(i),
                    arm=arm,
                    arms=arms,
                    probabilities=drawn,
                    reward=checked_reward(float(reward[i])),
                    decided_at=float(i),
                    facts=facts,
                )
            except InputError as error:
                where = f"{error.where}[{i}]"
                raise InputError(error.what, where=where, got=error.got, allowed=error.allowed) from None

    return from_rows(rows())


def to_obp(log: LoggedDecisions) -> dict[str, Any]:
    """Arrays as a dictionary: arms numbered in the order of `log.arms`, facts as numbers (categories one-hot).

    `pi_b` is zero where an arm was not eligible; `context_names` and `action_names` say what the columns are.
    """
    context, names = _context(log.facts)
    pi_b = np.zeros((len(log), len(log.arms), 1))
    pi_b[log.row, log.arm, 0] = log.probability
    return {
        "n_rounds": len(log),
        "n_actions": len(log.arms),
        "context": context,
        "action": log.arm[log.chosen],
        "position": np.zeros(len(log), dtype=np.int64),
        "reward": log.reward,
        "pscore": log.propensity,
        "pi_b": pi_b,
        "action_names": np.array(log.arms),
        "context_names": np.array(names),
    }


def _context(facts: Facts) -> tuple[Floats, list[str]]:
    columns: list[Floats] = []
    names: list[str] = []
    for name, column in facts.columns.items():
        if isinstance(column, Coded):
            for code, value in enumerate(column.values):
                columns.append((column.codes == code).astype(np.float64))
                names.append(f"{name}={value}")
        elif isinstance(column, CodedSets):
            row = np.repeat(np.arange(facts.size), np.diff(column.indptr))
            for code, value in enumerate(column.values):
                has = np.zeros(facts.size)
                has[row[column.codes == code]] = 1.0
                columns.append(has)
                names.append(f"{name}={value}")
        else:
            columns += [np.nan_to_num(column), np.isnan(column).astype(np.float64)]
            names += [name, f"{name}?"]
    return (np.stack(columns, axis=1) if columns else np.zeros((facts.size, 0))), names


def _whole(feedback: Mapping[str, Any], name: str) -> int:
    value = feedback.get(name)
    if not isinstance(value, int | np.integer) or value < 1:
        raise InputError("is no number of rounds or actions", where=name, got=value, allowed="a whole number above 0")
    return int(value)


def _numbered(feedback: Mapping[str, Any], name: str, n: int) -> Ints:
    """A vector of whole numbers: 1.7 is no action."""
    found = _part(feedback, name, (n,))
    broken = found != np.floor(found)
    if broken.any():
        row = int(np.argmax(broken))
        raise InputError("is no whole number", where=f"{name}[{row}]", got=float(found[row]))
    return found.astype(np.int64)


def _part(feedback: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Floats:
    if feedback.get(name) is None:
        raise InputError("is missing", where=name, allowed=f"numbers of shape {shape}")
    try:
        found = np.asarray(feedback[name], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"are no numbers ({error})", where=name) from None
    if found.shape != shape:
        raise InputError("has another shape", where=name, got=found.shape, allowed=str(shape))
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found)))
        raise InputError("is not finite", where=f"{name}[{row}]", got=float(found[row]), allowed="finite numbers")
    return found
