"""The slates of the store's own log as arrays: what every place was drawn from, and what was earned by it.

Places are drawn one after the other, each from what the places before have left. Therefore

- ips (products of all places) and cascade (products of the places so far) hold for every slate of ours;
- the pseudo-inverse assumes that places are drawn independently: here only where no arm could stand in two places
  (`independent`), as with slots whose arms differ. Elsewhere it is refused, not computed with a bias.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.slates.log import LoggedPlace, LoggedSlate, decoded
from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.exclusion import closes_at, why_left_out
from bandit_nba.evaluate.ids import Ids
from bandit_nba.evaluate.result import Estimate
from bandit_nba.evaluate.slates import PER_SLOT, estimate_slates
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.join import Outcomes, Windows, counted
from bandit_nba.learn.rewards import rewards
from bandit_nba.store.archive.restore import NO_ARCHIVE, Archive
from bandit_nba.store.database import Database
from bandit_nba.store.learner import learning
from bandit_nba.store.log.chunk import LogChunk, scan_chunks

TOLERANCE = 1e-9


@dataclass(frozen=True)
class LoggedSlates:
    """n matured slates of K places each, in (decided_at, id) order.

    Cells are what a place could hold: place k of slate i has the arms `arm[indptr[c]:indptr[c+1]]` with c = i * K + k,
    codes into `arms`, with `probability` above zero beside them, given the places before. chosen: flat index of the arm
    in each place, int64 (n, K), -1 where nothing was left. reward: of the whole slate, (n,). place_reward: of outcomes
    that name the place, (n, K). unplaced: slates with outcomes that name no place. group: the customer's code.
    independent: whether no arm could stand in two places, (n,). left_out: decisions that are not among these, by why.
    """

    ids: Sequence[str]
    group: Ints
    decided_at: Floats
    arms: tuple[str, ...]
    indptr: Ints
    arm: Ints
    probability: Floats
    chosen: Ints
    reward: Floats
    place_reward: Floats
    unplaced: Bools
    independent: Bools
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def places(self) -> int:
        """K."""
        return int(self.chosen.shape[1])

    def weights(self, probability: Floats) -> Floats:
        """pi_k / mu_k of each place, float64 (n, K), for a policy's probability of each cell; 1 where nothing was left.

        Raises
        ------
        InputError
            If it is not a distribution over each place's arms.
        """
        sizes = np.diff(self.indptr)
        cell_place = np.repeat(np.arange(len(sizes)), sizes)
        if probability.shape != self.probability.shape or not (probability >= 0.0).all():
            raise InputError("is no probability per cell", where="probability", got=probability.shape)
        total = np.bincount(cell_place, weights=probability, minlength=len(sizes))
        wrong = (np.abs(total - 1.0) > TOLERANCE) & (sizes > 0)
        if wrong.any():
            place = int(np.argmax(wrong))
            where = f"slate {self.ids[place // self.places]}, place {place % self.places}"
            raise InputError("is not a distribution over the place's arms", where=where, got=float(total[place]))
        taken = np.maximum(self.chosen, 0)
        ratio = probability[taken] / self.probability[taken]
        return np.where(self.chosen < 0, 1.0, ratio)


SlatePolicy = Callable[[LoggedSlates], Floats]
"""A policy's probability of each cell, given the places before as they were filled."""


def logging_policy(slates: LoggedSlates) -> Floats:
    """What made the log: every weight is one."""
    return slates.probability


def uniform_places(slates: LoggedSlates) -> Floats:
    """Every arm that the place could hold alike."""
    sizes = np.diff(slates.indptr)
    return np.repeat(1.0 / np.maximum(sizes, 1), sizes)


def judge_slates(
    slates: LoggedSlates,
    policy: SlatePolicy,
    *,
    estimator: str = "cascade",
    alpha: float = 0.05,
    rng: np.random.Generator | None = None,
) -> Estimate:
    """The policy's value per slate.

    Raises
    ------
    RefusedError
        If the estimator's assumption does not hold here: places that compete for arms, for the pseudo-inverse; outcomes
        that name no place, for the estimators that need a reward per place.
    """
    if estimator == "pseudo_inverse" and not slates.independent.all():
        raise RefusedError(
            "the pseudo-inverse needs places that are drawn independently",
            got=f"{int((~slates.independent).sum()):,} of {len(slates):,} slates with an arm for two places",
            hint="ips and cascade hold for slates whose places are drawn one after the other",
        )
    if estimator in PER_SLOT and slates.unplaced.any():
        raise RefusedError(
            f"{estimator} needs a reward for each place",
            got=f"{int(slates.unplaced.sum()):,} of {len(slates):,} slates with outcomes that name no place",
            hint="name the slot in every outcome, or use ips or pseudo_inverse",
        )
    per_place = estimator in PER_SLOT
    return estimate_slates(
        slates.weights(policy(slates)),
        slates.place_reward if per_place else slates.reward,
        estimator=estimator,
        alpha=alpha,
        groups=slates.group,
        rng=rng,
    )


def read_slates(
    database: Database,
    definition: RewardDefinition,
    *,
    now_s: float,
    places: int | None = None,
    horizon_s: float | None = None,
    archive: Archive = NO_ARCHIVE,
) -> LoggedSlates:
    """Matured slates with their rewards; those of another number of places are left out and counted.

    places: K; by default the most frequent number. horizon_s: as in `stored.read_log`.

    Raises
    ------
    InputError
        If a slate cannot be read or its numbers contradict each other; it is named.
    RefusedError
        If there is no slate.
    """
    found: list[_Slate] = []
    left_out: Counter[str] = Counter()
    with database.read() as connection:
        for chunk in map(archive.chunk, scan_chunks(connection)):
            closes = closes_at(chunk, definition, horizon_s=horizon_s)
            why = why_left_out(chunk, closes, now_s=now_s, slates=True)
            why = [
                reason or ("no slate" if slate is None else "") for reason, slate in zip(why, chunk.slate, strict=True)
            ]
            left_out.update(filter(None, why))
            kept = [i for i, reason in enumerate(why) if not reason]
            if kept:
                windows = _windows(chunk, kept, closes)
                found += _read(chunk, kept, windows, learning.outcomes_within(connection, windows), definition)
    sizes = Counter(len(slate.logged.slots) for slate in found)
    if not sizes:
        raise RefusedError("no matured slate to judge", got=dict(left_out) or None)
    size = places or sizes.most_common(1)[0][0]
    if other := sum(count for k, count in sizes.items() if k != size):
        left_out["other number of places"] = other
    kept_slates = [slate for slate in found if len(slate.logged.slots) == size]
    if not kept_slates:
        raise RefusedError("no slate of that many places", got=size, allowed=", ".join(map(str, sorted(sizes))))
    return _arrays(kept_slates, size, dict(left_out))


@dataclass(frozen=True)
class _Slate:
    id: str
    customer: str
    decided_at: float
    logged: LoggedSlate
    reward: float
    place_reward: Sequence[float]
    unplaced: bool


def _windows(chunk: LogChunk, kept: Sequence[int], closes: Floats) -> Windows:
    return Windows(
        ids=[chunk.id[i] for i in kept],
        customers=[chunk.customer[i] for i in kept],
        opens_at=np.array([chunk.decided_at[i] for i in kept], dtype=np.float64),
        closes_at=closes[kept],
    )


def _read(
    chunk: LogChunk, kept: Sequence[int], windows: Windows, outcomes: Outcomes, definition: RewardDefinition
) -> list[_Slate]:
    slates = [_decoded(chunk.id[i], chunk.slate[i] or b"") for i in kept]
    size = len(kept)
    whole = rewards(definition, counted(definition, windows, replace(outcomes, slots=())), size=size)
    unplaced = np.zeros(size, dtype=np.bool_)
    unplaced[counted(definition, windows, _those(outcomes, [not slot for slot in outcomes.slots])).rows] = True
    named = _those(outcomes, [bool(slot) for slot in outcomes.slots])
    most = max(len(slate.slots) for slate in slates)
    by_place = np.zeros((size, most))
    for place in range(most):
        ids = [slate.slots[place].id if place < len(slate.slots) else "" for slate in slates]
        found = counted(definition, replace(windows, first_slots=ids), named)
        answered = np.zeros(size, dtype=np.bool_)
        answered[found.rows] = True
        # what a decision earns without any outcome is the slate's, not each of its places'
        by_place[:, place] = np.where(answered, rewards(definition, found, size=size), 0.0)
    return [
        _Slate(
            id=chunk.id[i],
            customer=chunk.customer[i] or chunk.id[i],
            decided_at=chunk.decided_at[i],
            logged=slate,
            reward=float(whole[row]),
            place_reward=by_place[row, : len(slate.slots)].tolist(),
            unplaced=bool(unplaced[row]),
        )
        for row, (i, slate) in enumerate(zip(kept, slates, strict=True))
    ]


def _those(outcomes: Outcomes, which: Sequence[bool]) -> Outcomes:
    at = np.flatnonzero(which).tolist()
    return Outcomes(
        ids=[outcomes.ids[i] for i in at],
        decisions=[outcomes.decisions[i] for i in at],
        customers=[outcomes.customers[i] for i in at],
        types=[outcomes.types[i] for i in at],
        amounts=outcomes.amounts[at],
        received_at=outcomes.received_at[at],
        slots=[outcomes.slots[i] for i in at],
    )


def _decoded(decision: str, content: bytes) -> LoggedSlate:
    try:
        slate = decoded(content)
    except msgspec.DecodeError as error:
        raise InputError(f"its slate cannot be read ({error})", where=f"decision {decision}") from None
    for place in slate.slots:
        _check(slate, place, decision)
    return slate


def _check(slate: LoggedSlate, place: LoggedPlace, decision: str) -> None:
    where = f"decision {decision}, place {place.id}"
    if place.arm is None:
        return
    if len(place.probabilities) != len(slate.arms) or abs(sum(place.probabilities) - 1.0) > TOLERANCE:
        raise InputError("is not a distribution over the slate's arms", where=where, got=place.probabilities)
    if (
        place.arm not in slate.arms
        or abs(place.probabilities[slate.arms.index(place.arm)] - place.propensity) > TOLERANCE
    ):
        raise InputError("its arm has another probability", where=where, got=place.arm, allowed=f"{place.propensity:g}")
    if place.propensity <= 0.0:
        raise InputError("its arm has no probability", where=where, got=place.arm)


def _arrays(slates: Sequence[_Slate], places: int, left_out: Mapping[str, int]) -> LoggedSlates:
    codes: dict[str, int] = {}
    customers: dict[str, int] = {}
    sizes, arm, probability, chosen, independent = [0], list[int](), list[float](), list[list[int]](), list[bool]()
    for slate in slates:
        names = [codes.setdefault(name, len(codes)) for name in slate.logged.arms]
        row, seen, apart = list[int](), set[int](), True
        for place in slate.logged.slots:
            cells = [(k, p) for k, p in zip(names, place.probabilities, strict=True) if p > 0.0] if place.arm else []
            apart = apart and seen.isdisjoint(k for k, _ in cells)
            seen |= {k for k, _ in cells}
            at = [k for k, _ in cells].index(codes[place.arm]) + len(arm) if place.arm else -1
            row.append(at)
            arm += [k for k, _ in cells]
            probability += [p for _, p in cells]
            sizes.append(len(cells))
        chosen.append(row)
        independent.append(apart)
    return LoggedSlates(
        ids=Ids.of(slate.id for slate in slates),
        group=np.array([customers.setdefault(s.customer, len(customers)) for s in slates], dtype=np.int64),
        decided_at=np.array([slate.decided_at for slate in slates]),
        arms=tuple(codes),
        indptr=np.cumsum(sizes, dtype=np.int64),
        arm=np.array(arm, dtype=np.int64),
        probability=np.array(probability),
        chosen=np.array(chosen, dtype=np.int64).reshape(-1, places),
        reward=np.array([slate.reward for slate in slates]),
        place_reward=np.array([slate.place_reward for slate in slates]).reshape(-1, places),
        unplaced=np.array([slate.unplaced for slate in slates], dtype=np.bool_),
        independent=np.array(independent, dtype=np.bool_),
        left_out=left_out,
    )
