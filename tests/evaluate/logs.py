"""Small logs with known truth, as records of the store's own kind."""

import msgspec
import numpy as np

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.evaluate.gather import from_records
from bandit_nba.evaluate.log import LoggedDecisions

ARMS = ("no_action", "a", "b")
SCHEMA = {"segment": "category", "age": "number"}
# q[segment][arm]: arm a is for young customers, b for old ones
TRUE_Q = {"young": (0.0, 0.5, 0.1), "old": (0.0, 0.1, 0.6)}
LOGGED = (0.2, 0.4, 0.4)


def record(
    number: int, *, segment: str, arm: str, arms: tuple[str, ...] = ARMS, p: tuple[float, ...] = LOGGED, **other
):
    """One decision of kind "normal", decided at second `number`, mature 10 seconds later."""
    columns = {
        "id": f"d{number:06d}",
        "customer": f"c{number % 500}",
        "channel": "web",
        "decided_at": float(number),
        "valid_until": number + 60.0,
        "matures_at": number + 10.0,
        "activate_by": None,
        "kind": "normal",
        "arm": arm,
        "propensity": p[arms.index(arm)],
        "arms": msgspec.json.encode(arms),
        "probabilities": msgspec.json.encode(p),
        "expected_rewards": msgspec.json.encode([0.0] * len(arms)),
        "removed": b"{}",
        "catalogue_version": "c",
        "policy_version": "p",
        "feature_version": "f",
        "reward_version": "r",
        "model_version": "m",
        "salt_id": "s",
        "payload_sha256": b"0" * 32,
        "answer": b"{}",
        "facts": msgspec.json.encode({"segment": segment, "age": 25.0 if segment == "young" else 70.0}),
    }
    return DecisionRecord(**{**columns, **other})


def sampled(n: int, *, seed: int) -> LoggedDecisions:
    """n decisions drawn from LOGGED with rewards drawn from TRUE_Q; every tenth row cannot have arm b."""
    rng = np.random.default_rng(seed)
    records, rewards = [], {}
    for i in range(n):
        segment = ("young", "old")[int(rng.random() < 0.5)]
        arms, p = (ARMS, LOGGED) if i % 10 else (ARMS[:2], (0.5, 0.5))
        arm = arms[int(rng.choice(len(arms), p=p))]
        records.append(record(i, segment=segment, arm=arm, arms=arms, p=p))
        rewards[f"d{i:06d}"] = float(rng.random() < TRUE_Q[segment][ARMS.index(arm)])
    return from_records(records, rewards, SCHEMA, now_s=1e9)


def cell_truth(log: LoggedDecisions) -> np.ndarray:
    """TRUE_Q of every cell."""
    column = log.facts.columns["segment"]
    segment = [column.values[code] for code in column.codes]
    return np.array([TRUE_Q[segment[i]][ARMS.index(log.arms[a])] for i, a in zip(log.row, log.arm, strict=True)])
