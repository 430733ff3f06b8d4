"""The audit: every logged decision is made again from what the log names, and compared with what the log says.

Made again are eligible set, distribution and expected rewards, from facts, channel, time and versions; and the choice,
from the logged distribution, the decision's id and its salt. On top, one test over all choices tells whether they
follow the logged distributions at all.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.audit.compare import TOLERANCE, Found, beside, compare
from bandit_nba.decide.audit.pit import BINS, histogram, randomised_pit, uniformity
from bandit_nba.decide.audit.recompute import Maker, Past, Source, maker
from bandit_nba.decide.audit.slates import inconsistency, misdrawn
from bandit_nba.decide.choice.sample import ARM, draw, uniforms
from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.record import DecisionRecord, LoggedDecision, Versions, logged
from bandit_nba.errors import InputError, NbaError

ALARM = 1e-4
"""A p-value below it says that choices do not follow the log; falsely so once in 10,000 audits."""

ROWS_PER_CHUNK, CELLS_PER_CHUNK = 8_192, 1_000_000
SHOWN = 10


@dataclass(frozen=True)
class Difference:
    """One decision that does not come out again as it was logged, and why."""

    id: str
    what: tuple[str, ...]


@dataclass(frozen=True)
class AuditResult:
    """What was found in `rows` decisions.

    differing: rows with any difference; differ: rows by what differs ("record", "definitions", "eligible set",
    "expected reward", "distribution", "chosen arm", "component", "shadow", "slate"). erased: rows whose facts were
    erased, of which only the choice could be checked. max_difference: the largest between a logged and a recomputed
    probability. pit: how the choices' randomised PIT fills its bins; pit_p_value: None for fewer than 100 rows. first:
    the first ten rows that differ.
    """

    rows: int
    kinds: Mapping[str, int]
    erased: int
    differing: int
    differ: Mapping[str, int]
    max_difference: float
    pit: tuple[int, ...]
    pit_p_value: float | None
    first: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs and the choices follow the logged distributions."""
        return not self.differing and (self.pit_p_value is None or self.pit_p_value >= ALARM)


def audit(
    records: Iterable[DecisionRecord],
    source: Source,
    *,
    rng: np.random.Generator,
    progress: Callable[[int], None] | None = None,
) -> AuditResult:
    """Audit records in any order; those that share versions are made again together.

    rng: for the PIT's own uniforms. progress: told how many rows each step has checked.
    """
    past, tally = Past(source), _Tally()
    for chunk in _chunks(records):
        tally.add(_checked(chunk, past, tally, rng))
        if progress:
            progress(len(chunk))
    return tally.result()


class _Tally:
    """Running totals of an audit."""

    def __init__(self) -> None:
        self.kinds: dict[str, int] = {}
        self.erased = 0
        self.differing = 0
        self.differ: dict[str, int] = {}
        self.max_difference = 0.0
        self.pit = np.zeros(BINS, dtype=np.int64)
        self.first: list[Difference] = []

    def add(self, found: Found) -> None:
        self.differing += len(found.what)
        self.max_difference = max(self.max_difference, found.max_difference)
        for position in sorted(found.what):
            reasons = found.what[position]
            for name in reasons:
                self.differ[name] = self.differ.get(name, 0) + 1
            if len(self.first) < SHOWN:
                words = tuple(f"{name}: {detail}" for name, detail in reasons.items())
                self.first.append(Difference(id=found.ids[position], what=words))

    def result(self) -> AuditResult:
        return AuditResult(
            rows=sum(self.kinds.values()),
            kinds=self.kinds,
            erased=self.erased,
            differing=self.differing,
            differ=self.differ,
            max_difference=self.max_difference,
            pit=tuple(self.pit.tolist()),
            pit_p_value=uniformity(self.pit),
            first=tuple(self.first),
        )


def _chunks(records: Iterable[DecisionRecord]) -> Iterator[list[DecisionRecord]]:
    chunk: list[DecisionRecord] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.probabilities) // 8  # at least a few characters a cell
        if len(chunk) == ROWS_PER_CHUNK or size >= CELLS_PER_CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _checked(chunk: Sequence[DecisionRecord], past: Past, tally: _Tally, rng: np.random.Generator) -> Found:
    found = Found(ids=[record.id for record in chunk])
    rows: dict[int, LoggedDecision] = {}
    for position, record in enumerate(chunk):
        tally.kinds[record.kind] = tally.kinds.get(record.kind, 0) + 1
        try:
            rows[position] = _consistent(logged(record))
        except NbaError as error:
            found.add([position], "record", str(error))
    tally.erased += sum(row.facts is None for row in rows.values())
    tally.pit += _check_choices(rows, past, found, rng.random(len(chunk)))
    groups: dict[tuple[Versions, Maker, bytes | None], dict[int, LoggedDecision]] = {}
    for position, row in rows.items():
        if row.facts is not None:
            groups.setdefault((row.versions, maker(row), row.inline_actions), {})[position] = row
    for (versions, made_by, actions), group in groups.items():
        compare(group, versions, made_by, past, found, inline_actions=actions)
    return found


def _consistent(row: LoggedDecision) -> LoggedDecision:
    """The row, if it is a distribution over its arms that holds the chosen arm with the logged propensity."""
    p = row.probabilities
    if not len(row.arms) == len(p) == len(row.expected_rewards) == len(set(row.arms)):
        raise InputError("arms, probabilities and expected rewards are not beside each other")
    if min(p, default=-1.0) < 0.0 or abs(sum(p) - 1.0) > TOLERANCE:
        raise InputError("is not a distribution", got=p)
    if row.arm not in row.arms or p[row.arms.index(row.arm)] != row.propensity:
        raise InputError("the chosen arm does not have the logged propensity", got=(row.arm, row.propensity))
    if row.support != (min(p) > 0.0):
        raise InputError("says otherwise than its distribution whether every arm has support", got=row.support)
    contradiction = inconsistency(row)
    if contradiction:
        raise InputError(contradiction)
    return row


def _check_choices(rows: Mapping[int, LoggedDecision], past: Past, found: Found, v: Floats) -> Ints:
    """Draw again from each logged distribution; gives the histogram of the logged choices' PIT."""
    if not rows:
        return np.zeros(BINS, dtype=np.int64)
    logged_rows = list(rows.values())
    positions = np.array(list(rows), dtype=np.int64)
    probability = beside([row.probabilities for row in logged_rows])
    chosen = np.array([row.arms.index(row.arm) for row in logged_rows], dtype=np.int64)
    salt_ids = np.array([row.versions.salt for row in logged_rows], dtype=object)
    for salt_id in dict.fromkeys(salt_ids):
        at = np.flatnonzero(salt_ids == salt_id)
        try:
            salt = past.salt(salt_id)
        except NbaError as error:
            found.add(positions[at].tolist(), "chosen arm", str(error))
            continue
        again = draw(probability[at], uniforms(salt, [logged_rows[i].id for i in at.tolist()], purpose=ARM))
        for i, k in zip(at.tolist(), again.tolist(), strict=True):
            if k != chosen[i]:
                row = logged_rows[i]
                found.add([int(positions[i])], "chosen arm", f"logged {row.arm}, the draw gives {row.arms[k]}")
        for position, detail in misdrawn({int(positions[i]): logged_rows[i] for i in at.tolist()}, salt).items():
            found.add([position], "slate", detail)
    return histogram(randomised_pit(probability, chosen, v[positions]))
