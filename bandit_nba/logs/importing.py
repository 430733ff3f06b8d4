"""A log from elsewhere into the store: the learner learns from it once, and judging knows where its rows come from.

Each row becomes a decision with its facts and one outcome of the type `recorded_reward`, which counts in full under
every reward definition: what the file says was earned. Row by row it is either kept, known already (the same id with
the same content: an import can be repeated, or go on after a crash), or rejected with the reason; nothing else.

A row that is imported beside a running learner matures behind what has been learned, so that learning it now and
learning everything anew come to the same weights.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa

from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.decide.inline import checked, encoded
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import InputError
from bandit_nba.evaluate.formats.read import typed, unknown
from bandit_nba.evaluate.formats.row import MOST_TEXT, LogRow, Rejected, RowError, rejected
from bandit_nba.learn.rewards import RECORDED
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import hold_horizon
from bandit_nba.store.log import contacts, decisions, outcome_counts
from bandit_nba.store.tables import outcomes
from bandit_nba.workspace import Workspace

BATCH = 1_000
ATTEMPTS = 10
IMPORTED = "imported"
"""What stands for versions that the log from elsewhere does not name."""

_STEP_S = 1e-6  # between rows that mature behind the horizon: they keep their order
_CANONICAL = msgspec.json.Encoder(order="sorted")


@dataclass
class Imported:
    """What became of the rows read. unknown_facts: rows by fact that the catalogue does not declare so."""

    kept: int = 0
    known: int = 0
    rejected: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    unknown_facts: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        """Rows of the file."""
        return self.kept + self.known + self.rejected + self.left_out.total()


@dataclass(frozen=True)
class _Ready:
    """A row that can be kept: its record but for the time of maturing, and its reward."""

    row: LogRow
    record: DecisionRecord
    matures_at: float


def import_rows(
    database: Database,
    workspace: Workspace,
    rows: Iterable[LogRow | Rejected],
    *,
    origin: str,
    channel: str = "",
    inline: bool = False,
    start_s: float | None = None,
    now_s: float,
    reject: Callable[[Rejected], None],
    progress: Callable[[Imported], None] | None = None,
) -> Imported:
    """Keep the rows that can be kept, a thousand per transaction; all others are counted, and told to `reject`.

    origin: the name under which judging shows them. channel: of rows that name none; by default the only one there is.
    inline: arms that the catalogue does not have come with the features that the row gives them. start_s: when the
    first row was decided in a file without times, whose rows are then a second apart. now_s: no row is later.

    Raises
    ------
    StoreError
        If the store cannot be written; what is kept stays kept, and the same call goes on.
    """
    if not 1 <= len(origin) <= 64:
        raise InputError("is no name of a log", where="--origin", got=origin, allowed="1 to 64 characters")
    maker = _Maker(workspace, origin=origin, channel=channel, inline=inline, start_s=start_s, now_s=now_s)
    out, rest = Imported(), iter(rows)
    while batch := list(islice(rest, BATCH)):
        ready: list[_Ready] = []
        for row in batch:
            found = row if isinstance(row, Rejected) else maker.ready(row, out)
            if isinstance(found, Rejected):
                out.rejected += 1
                reject(found)
            elif found is not None:
                ready.append(found)
        for conflict in _keep(database, ready, out):
            out.rejected += 1
            reject(conflict)
        if progress:
            progress(out)
    return out


def _keep(database: Database, ready: Sequence[_Ready], out: Imported) -> list[Rejected]:
    """What `_written` does; again where another import, or a decision, has kept one of the ids since it looked."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _written(database, ready, out)
        except sa.exc.IntegrityError:
            continue  # PostgreSQL alone: what the other has committed is known to the next look
    return _written(database, ready, out)


def _written(database: Database, ready: Sequence[_Ready], out: Imported) -> list[Rejected]:
    """Write what is new in one transaction; rows whose id is known with other content come back."""
    conflicts: list[Rejected] = []
    new: dict[str, _Ready] = {}
    with database.write() as connection:
        floor = hold_horizon(connection)
        known = decisions.answers(connection, {one.record.id for one in ready})
        before = {name: stored.payload_sha256 for name, stored in known.items()}
        repeated = 0
        for one in ready:
            seen = before.get(one.record.id)
            if seen is None:
                before[one.record.id] = one.record.payload_sha256
                new[one.record.id] = one
            elif seen == one.record.payload_sha256:
                repeated += 1
            else:
                conflicts.append(_conflict(one.row))
        decisions.insert(connection, list(_matured(new.values(), floor)))
        if new:
            connection.execute(sa.insert(outcomes), [_recorded(one) for one in new.values()])
            outcome_counts.add(connection, {"counts": len(new)}, shard=0)
        contacts.raise_versions(connection, {one.record.customer for one in new.values() if one.record.customer})
    out.kept += len(new)
    out.known += repeated
    return conflicts


def _matured(ready: Iterable[_Ready], floor: float) -> Iterator[DecisionRecord]:
    for place, one in enumerate(ready):
        at = one.matures_at if one.matures_at >= floor else floor + place * _STEP_S
        yield msgspec.structs.replace(one.record, matures_at=at)


def _recorded(one: _Ready) -> dict[str, object]:
    """The row's reward as an outcome that came at once, so that it counts within any horizon."""
    return {
        "id": hashlib.sha256(f"{RECORDED}:{one.record.id}".encode()).hexdigest(),
        "type": RECORDED,
        "decision": one.record.id,
        "amount": one.row.reward,
        "received_at": one.record.decided_at,
        "payload_sha256": one.record.payload_sha256,
    }


def _conflict(row: LogRow) -> Rejected:
    return Rejected(row.number, row.id, "id", "is known with other content", repr(row.id), "an id of its own")


class _Maker:
    """Checks rows against the workspace and makes records of them."""

    def __init__(
        self, workspace: Workspace, *, origin: str, channel: str, inline: bool, start_s: float | None, now_s: float
    ) -> None:
        self._workspace = workspace
        self._origin = origin
        channels = tuple(workspace.service.channels)
        self._channel = channel or (channels[0] if len(channels) == 1 else "")
        self._arms = frozenset(arm.id for arm in workspace.catalogue.arms)
        self._inline = inline
        self._start_s = start_s
        self._now_s = now_s

    def ready(self, row: LogRow, out: Imported) -> _Ready | Rejected | None:
        """The row as it will be kept, or why not; None where its own log leaves it out."""
        if row.skipped:
            out.left_out[row.skipped] += 1
            return None
        try:
            found = self._made(row)
        except InputError as error:
            return rejected(error, number=row.number, identifier=row.id)
        out.unknown_facts.update(unknown(row.facts, self._workspace.catalogue.facts))
        return found

    def _made(self, row: LogRow) -> _Ready:
        identifier = row.id or f"{self._origin}:{row.number}"
        if len(identifier) > MOST_TEXT:
            raise RowError("is too long", field="id", got=len(identifier), allowed=f"at most {MOST_TEXT} characters")
        definition = self._workspace.rewards
        low, high = definition.range
        if not low <= row.reward <= high:
            allowed = f"{low:g} to {high:g}, the range in rewards.toml"
            raise RowError("is outside the declared range", field="reward", got=row.reward, allowed=allowed)
        channel, at, actions = self._channel_of(row), self._time_of(row), self._actions_of(row)
        facts = typed(row.facts, self._workspace.catalogue.facts)
        said: tuple[Any, ...] = (row.arm, row.arms, row.probabilities, row.reward, facts, row.customer, channel, at)
        policy = self._workspace.policy
        return _Ready(
            row=row,
            matures_at=at + definition.wait_s(channel),
            record=DecisionRecord(
                id=identifier,
                customer=pseudonym(self._workspace.pseudonym_key, row.customer),
                channel=channel,
                decided_at=at,
                valid_until=at,
                matures_at=at,
                activate_by=None,
                kind="normal",
                arm=row.arm,
                propensity=row.propensity,
                arms=_CANONICAL.encode(row.arms),
                probabilities=_CANONICAL.encode(row.probabilities),
                expected_rewards=_CANONICAL.encode([0.0] * len(row.arms)),
                removed=b"{}",
                catalogue_version=self._workspace.catalogue.version,
                policy_version=IMPORTED,
                feature_version=policy.features.version,
                reward_version=IMPORTED,
                model_version="none",
                salt_id=IMPORTED,
                support=min(row.probabilities) > 0.0,
                payload_sha256=hashlib.sha256(_CANONICAL.encode((*said, actions))).digest(),
                answer=b"{}",
                inline_actions=actions,
                origin=self._origin,
                facts=_CANONICAL.encode(facts),
            ),
        )

    def _channel_of(self, row: LogRow) -> str:
        known: Mapping[str, object] = self._workspace.service.channels
        channel = row.channel or self._channel
        if channel not in known:
            allowed = ", ".join(known) + "; --channel names that of rows without one"
            raise RowError("is no channel of the service", field="channel", got=channel, allowed=allowed)
        return channel

    def _time_of(self, row: LogRow) -> float:
        at = row.decided_at
        if at is None and self._start_s is not None:
            at = self._start_s + row.number
        if at is None or not 0.0 <= at <= self._now_s:
            allowed = "a time that has passed; --start dates a file that has none"
            raise RowError("is no time of a decision", field="decided_at", got=at, allowed=allowed)
        return at

    def _actions_of(self, row: LogRow) -> bytes | None:
        """None where the catalogue has the arms; otherwise the row's own actions, if they are wished."""
        missing = [arm for arm in row.arms if arm not in self._arms]
        if not missing:
            return None
        if not self._inline or not row.actions:
            allowed = "arms of catalogue.toml; --inline takes actions with the features that the file gives them"
            raise RowError("is no arm of the catalogue", field="arm", got=missing[0], allowed=allowed)
        return encoded(checked(row.actions, where="actions"))
