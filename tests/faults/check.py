"""The recorded history against the store, promise by promise."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from bandit_nba.store.database import Database
from bandit_nba.store.registry import models
from bandit_nba.workspace import open_workspace
from tests.faults.history import History
from tests.faults.oracle import lessons
from tests.faults.processes import ROOT
from tests.faults.relearn import relearn

_MARKS = ("never", "quarantined", "overridden")
_NUMBERS = {
    "decisions": ("decided_at", "valid_until", "matures_at", "activate_by", "activated_at", "propensity"),
    "outcomes": ("amount", "occurred_at", "received_at"),
}


@dataclass(frozen=True)
class Counts:
    """The last line of a run."""

    acknowledged_decisions: int = 0
    found_decisions: int = 0
    acknowledged_outcomes: int = 0
    learned_examples: int = 0
    oracle_examples: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: value + asdict(other)[name] for name, value in asdict(self).items()})

    def words(self) -> str:
        """For people."""
        return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in asdict(self).items())


def check(directory: Path, history: History, *, until_s: float, audit: bool = True) -> tuple[Counts, list[str]]:
    """The counts, and every violation in words. until_s: what matures later need not be learned."""
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url, create=False)
    try:
        rows = _rows(database)
        oracle = lessons(workspace.database_url, until_s=until_s)
        again = relearn(workspace, database)
        violations = [
            *history.wrong,
            *_durable(history, rows),
            *_never_early(rows),
            *_finite(database),
            *_learned(oracle, again, rows),
        ]
    finally:
        database.close()
    violations += _audited(directory) if audit else []
    found = sum(decision in rows["decisions"] for decision in history.decisions)
    counts = Counts(
        acknowledged_decisions=len(history.decisions),
        found_decisions=found,
        acknowledged_outcomes=len(history.outcomes),
        learned_examples=again.newest_examples,
        oracle_examples=len(oracle),
    )
    return counts, violations


def _rows(database: Database) -> dict[str, dict[str, Any]]:
    """Decisions, outcomes and models by id."""
    queries = {
        "decisions": "SELECT id, answer, arm, kind, matures_at, activated_at, learned_in FROM decisions",
        "outcomes": "SELECT id, decision, type, amount FROM outcomes",
        "models": "SELECT version AS id, created_at FROM models",
    }
    with database.read() as connection:
        return {name: {row.id: row for row in connection.execute(sa.text(query))} for name, query in queries.items()}


def _durable(history: History, rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """P1 and P2: everything that was acknowledged is there, as it was told."""
    for decision, (_, body) in history.decisions.items():
        row = rows["decisions"].get(decision)
        if row is None:
            yield f"P1: acknowledged decision {decision} is lost"
        elif bytes(row.answer) != body:
            yield f"P2: decision {decision} was told as {body!r} and is kept as {bytes(row.answer)!r}"
    for outcome, payload in history.outcomes.items():
        row = rows["outcomes"].get(outcome)
        if row is None:
            yield f"P1: acknowledged outcome {outcome} is lost"
        elif (row.decision, row.type, row.amount) != (
            payload.get("decisionId"),
            payload["type"],
            payload.get("amount"),
        ):
            yield f"P3: outcome {outcome} was told as {payload} and is kept as {row}"
    for decision in history.activated:
        row = rows["decisions"].get(decision)
        if row is None or row.activated_at is None:
            yield f"P1: the acknowledged activation of {decision} is lost"
    for decision in history.not_durable - history.decisions.keys():
        if decision in rows["decisions"] and rows["decisions"][decision].learned_in not in _MARKS:
            yield f"P1: {decision} was answered as not durable, and teaches the model"


def _never_early(rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """P4: no model was made before all that it learned had matured."""
    for decision, row in rows["decisions"].items():
        if row.learned_in is not None and row.learned_in not in _MARKS:
            model = rows["models"].get(row.learned_in)
            if model is None or model.created_at < row.matures_at:
                yield f"P4: {decision} matures at {row.matures_at} and was learned in {model}"


def _finite(database: Database) -> Iterator[str]:
    """P8: no number in the log that is none; P7: every published model passes what a replica asks of it."""
    with database.read() as connection:
        for table, columns in _NUMBERS.items():
            for row in connection.execute(sa.text(f"SELECT id, {', '.join(columns)} FROM {table}")):  # noqa: S608
                if not all(number is None or math.isfinite(number) for number in row[1:]):
                    yield f"P8: {table} {row.id} holds {row}"
        version = models.newest(connection)
    if version is not None:
        models.load_scorer(database, version)


def _learned(oracle: list[Any], again: Any, rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """P3, P4 and P6: what was learned is what had to be, each with its reward, and in that order."""
    missing = {lesson.decision for lesson in oracle} - set(again.ids)
    extra = set(again.ids) - {lesson.decision for lesson in oracle}
    if missing or extra:
        sample = [(name, rows["decisions"][name]) for name in sorted(missing | extra)[:2]]
        yield f"P4: {len(missing)} decisions were not learned, {len(extra)} should not have been, such as {sample}"
    elif [lesson.decision for lesson in oracle] != again.ids:
        yield "P6: learned in another order than by (matures_at, id)"
    elif not np.allclose([lesson.reward for lesson in oracle], again.reward, rtol=0, atol=1e-12):
        worst = max(zip(oracle, again.reward, strict=True), key=lambda pair: abs(pair[0].reward - pair[1]))
        yield f"P3: rewards differ from the oracle's, most for {worst}"
    if again.newest_examples != len(again.ids):
        yield f"P6: the newest model says {again.newest_examples} examples, the log's marks {len(again.ids)}"
    if again.ids and again.sha256 != again.newest_sha256:
        yield f"P6: relearned in one go the weights are {again.sha256}, the newest model's {again.newest_sha256}"


def _audited(directory: Path) -> Iterator[str]:
    """P5: every logged distribution and every draw, made again."""
    command = [sys.executable, "-m", "bandit_nba.cli", "audit", str(directory), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        yield f"P5: the audit fails: {done.stdout[-2_000:]} {done.stderr[-1_000:]}"
        return
    p_value = json.loads(done.stdout)["pitPValue"]
    if p_value is not None and p_value < 1e-6:
        yield f"P5: draws do not follow the logged distributions, p = {p_value}"
