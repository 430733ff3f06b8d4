"""Open Bandit Pipeline's dictionaries of logged feedback, both ways, and as a file of numpy's (`.npz`).

    {"n_rounds": n, "n_actions": K, "context": float (n, d), "action": int (n,), "position": int (n,) or None,
     "reward": (n,), "pscore": (n,) in (0, 1]}

Also `pi_b`, float (n, K) or (n, K, 1), where the whole distribution is known, and `action_names`, (K,). What the
pipeline does not know stands beside it where we write one, and is read where it is there: `eligible`, bool (n, K)
(without it every action is); `customer`, (n,) (without it every round has a customer of its own); `decided_at`, (n,),
seconds since the epoch (without it rounds are in their order).
"""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bandit_nba.decide.columns import Bools, Coded, CodedSets, Facts, Floats, Ints
from bandit_nba.errors import InputError, SettingsError
from bandit_nba.evaluate.formats.row import LogRow, Rejected, checked_reward, distribution, rejected
from bandit_nba.evaluate.log import LoggedDecisions


def read_obp(path: Path) -> Iterator[LogRow | Rejected]:
    """The rounds of a file that `np.savez` (or `nba log export --format obp`) made of a dictionary.

    Raises
    ------
    SettingsError
        If it is no such file, or a part is missing or has another shape.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            feedback = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError):  # numpy would advise to unpickle it
        raise SettingsError(
            "is no file of Open Bandit Pipeline's feedback",
            where=str(path),
            allowed="what np.savez(path, **bandit_feedback) writes, with numbers and texts alone",
        ) from None
    try:
        yield from obp_rows(feedback)
    except InputError as error:
        where = f"{path}: {error.where}"
        raise SettingsError(error.what, where=where, got=error.got, allowed=error.allowed) from None


def obp_rows(feedback: Mapping[str, Any]) -> Iterator[LogRow | Rejected]:
    """The rounds, in their order: action k is the arm "k" or its name; `context[:, j]` the number `x{j}`.

    The position, where rounds differ in it, is the fact `position`: they are judged as what they are, single actions.

    Raises
    ------
    InputError
        If a part is missing or has another shape.
    """
    n, k = (_whole(feedback, name) for name in ("n_rounds", "n_actions"))
    action, reward, pscore = (
        _numbered(feedback, "action", n),
        _part(feedback, "reward", n),
        _part(feedback, "pscore", n),
    )
    context = np.zeros((n, 0)) if _lacks(feedback, "context") else np.asarray(feedback["context"], dtype=np.float64)
    if context.ndim != 2 or len(context) != n:
        raise InputError("has another shape", where="context", got=context.shape, allowed=f"({n}, d)")
    position = None if _lacks(feedback, "position") else _numbered(feedback, "position", n)
    differs = position is not None and len(np.unique(position)) > 1
    whole, eligible = _per_action(feedback, "pi_b", n, k), _eligible(feedback, n, k)
    names = tuple(map(str, feedback.get("action_names", range(k))))
    customer = None if _lacks(feedback, "customer") else np.asarray(feedback["customer"]).astype(str).tolist()
    decided_at = None if _lacks(feedback, "decided_at") else _part(feedback, "decided_at", n)
    for i in range(n):
        try:
            if not 0 <= action[i] < k:
                raise InputError("is no action", where="action", got=int(action[i]), allowed=f"0 to {k - 1}")
            open_to = np.flatnonzero(eligible[i])
            chances = None if whole is None else whole[i, open_to].tolist()
            arm = names[action[i]]
            arms, drawn = distribution(arm, [names[a] for a in open_to], chances, float(pscore[i]))
            facts: dict[str, Any] = {f"x{j}": value for j, value in enumerate(context[i].tolist())}
            if position is not None and differs:
                facts["position"] = str(position[i])
            yield LogRow(
                number=i + 1,
                id=str(i),
                arm=arm,
                arms=arms,
                probabilities=drawn,
                reward=checked_reward(float(reward[i])),
                customer="" if customer is None else customer[i],
                decided_at=None if decided_at is None else float(decided_at[i]),
                facts=facts,
            )
        except InputError as error:
            yield rejected(error, number=i + 1, identifier=str(i))


def to_obp(log: LoggedDecisions) -> dict[str, Any]:
    """Arrays as a dictionary: arms numbered in the order of `log.arms`, facts as numbers (categories one-hot).

    `pi_b` is zero where an arm was not eligible; `context_names` and `action_names` say what the columns are,
    `customer` numbers customers.
    """
    context, names = _context(log.facts)
    pi_b = np.zeros((len(log), len(log.arms), 1))
    pi_b[log.row, log.arm, 0] = log.probability
    eligible = np.zeros((len(log), len(log.arms)), dtype=np.bool_)
    eligible[log.row, log.arm] = True
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
        "eligible": eligible,
        "customer": np.unique(log.group, return_inverse=True)[1],
        "decided_at": log.decided_at,
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


def _lacks(feedback: Mapping[str, Any], name: str) -> bool:
    """Whether a part is missing, or None, which a file keeps as an array that holds nothing."""
    found = feedback.get(name)
    return found is None or (isinstance(found, np.ndarray) and found.dtype == object)


def _per_action(feedback: Mapping[str, Any], name: str, n: int, k: int) -> Floats | None:
    if _lacks(feedback, name):
        return None
    found = np.asarray(feedback[name], dtype=np.float64)
    if found.shape not in ((n, k), (n, k, 1)):
        raise InputError("has another shape", where=name, got=found.shape, allowed=f"({n}, {k}) or ({n}, {k}, 1)")
    return found.reshape(n, k)


def _eligible(feedback: Mapping[str, Any], n: int, k: int) -> Bools:
    found = _per_action(feedback, "eligible", n, k)
    return np.ones((n, k), dtype=np.bool_) if found is None else found != 0


def _whole(feedback: Mapping[str, Any], name: str) -> int:
    value = feedback.get(name)
    if isinstance(value, np.ndarray) and value.ndim == 0:  # as a file keeps it
        value = value.item()
    if not isinstance(value, int | np.integer) or value < 1:
        raise InputError("is no number of rounds or actions", where=name, got=value, allowed="a whole number above 0")
    return int(value)


def _numbered(feedback: Mapping[str, Any], name: str, n: int) -> Ints:
    """A vector of whole numbers: 1.7 is no action."""
    found = _part(feedback, name, n)
    broken = found != np.floor(found)
    if broken.any():
        row = int(np.argmax(broken))
        raise InputError("is no whole number", where=f"{name}[{row}]", got=float(found[row]))
    return found.astype(np.int64)


def _part(feedback: Mapping[str, Any], name: str, n: int) -> Floats:
    if _lacks(feedback, name):
        raise InputError("is missing", where=name, allowed=f"{n} numbers")
    try:
        found = np.asarray(feedback[name], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"are no numbers ({error})", where=name) from None
    if found.shape != (n,):
        raise InputError("has another shape", where=name, got=found.shape, allowed=f"({n},)")
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found)))
        raise InputError("is not finite", where=f"{name}[{row}]", got=float(found[row]), allowed="finite numbers")
    return found
