"""Durable decisions: whatever is waiting is decided as one batch, written in one transaction, and answered after it.

The same id with the same payload gets the stored answer, byte for byte, also when both came in the same batch or to
two replicas at once; with another payload it is refused.
"""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import sqlalchemy as sa

from bandit_nba.catalogue.facts import FactValue
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Coded, Decisions, Eligibility, Facts, Requests
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.reasons import reasons_of
from bandit_nba.decide.record import DecisionRecord, Versions, records
from bandit_nba.decide.scoring import Scorer
from bandit_nba.errors import IdConflictError, NbaError, StoreError
from bandit_nba.learn.join import matures_at
from bandit_nba.online.answering import Answer, Deadlines, Reasons, bodies
from bandit_nba.online.asked import Asked, Reception
from bandit_nba.online.brought import by_actions, engine_over
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.store import customers as customer_store
from bandit_nba.store import decisions as decision_store
from bandit_nba.store.database import Database
from bandit_nba.store.decisions import Stored
from bandit_nba.workspace import Workspace

log = logging.getLogger("nba.decider")

Clock = Callable[[], float]
Profiles = Mapping[str, Mapping[str, FactValue]]

_ATTEMPTS = 3  # how often ids that another replica took meanwhile are looked up before giving up


class Models(Protocol):
    """Where the decider takes its model from, afresh for each batch."""

    def current(self) -> Scorer:
        """The model that serves now."""


class Decider:
    """Decides for one workspace and keeps what it decided. One thread at a time.

    clock: seconds since the epoch. new_id: names decisions that come without a name. `counts` tells what went on since
    the start: fallback and unreadable rows, replays, conflicts.
    """

    def __init__(
        self,
        workspace: Workspace,
        database: Database,
        models: Models,
        *,
        clock: Clock = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.reception = Reception(workspace, new_id=new_id)
        self.counts: Counter[str] = Counter()
        self.engine = Engine(
            workspace.catalogue,
            compile_rules(workspace.catalogue),
            workspace.policy,
            workspace.salt,
            reward_unit=workspace.rewards.unit,
        )
        self._schema = workspace.catalogue.facts
        self._rewards = workspace.rewards
        self._database = database
        self._models = models
        self._clock = clock
        self._versions = Versions(
            catalogue=workspace.catalogue.version,
            policy=workspace.policy.version,
            features=workspace.policy.features.version,
            reward=workspace.rewards.version,
            model="none",
            salt=workspace.salt.id,
        )

    def decide_batch(self, requests: Sequence[DecisionRequest]) -> list[Answer | NbaError]:
        """Answers in the order of `requests`; a refused request holds its error in its place.

        Raises
        ------
        StoreError
            If nothing could be stored: nobody has been answered then, and all may ask again.
        sqlalchemy.exc.IntegrityError
            If some decision breaks a constraint, so that the store refuses the whole batch.
        """
        accepted = [self._accept(request) for request in requests]
        first: dict[str, Asked] = {}
        for asked in accepted:
            if isinstance(asked, Asked):
                first.setdefault(asked.id, asked)
        settled, made = self._settle(list(first.values()))
        out: list[Answer | NbaError] = []
        for asked in accepted:
            if isinstance(asked, Asked):
                new = asked.id in made and asked is first[asked.id]
                out.append(self._answer(asked, settled[asked.id], replayed=not new))
            else:
                out.append(asked)
        return out

    def _accept(self, request: DecisionRequest) -> Asked | NbaError:
        try:
            asked = self.reception.accept(request)
            self._engine_of(asked)
            return asked
        except NbaError as error:
            return error

    def _engine_of(self, asked: Asked) -> Engine:
        """The engine over the catalogue's actions, or over those that the request brought."""
        return self.engine if asked.actions is None else engine_over(self.engine, asked.actions)

    def _answer(self, asked: Asked, settled: Stored, *, replayed: bool) -> Answer | NbaError:
        """What was settled for this id, for everybody who asked the same."""
        if settled.payload_sha256 == asked.payload_sha256:
            self.counts["replayed"] += replayed
            return Answer(settled.answer, replayed=replayed)
        self.counts["conflict"] += 1
        return IdConflictError(
            "this id was asked with another payload",
            where="decisionId",
            hint="a new question needs a new id; the same question is answered again as it was",
        )

    def _settle(self, asked: Sequence[Asked]) -> tuple[dict[str, Stored], frozenset[str]]:
        """What counts for each id, stored by now; and the ids that were decided here.

        Known ids are not looked for beforehand: nearly all are new, and whether one is known for sure only the write
        can tell. A batch with known ones is refused by it whole, and written again without them.
        """
        if not asked:
            return {}, frozenset()
        profiles, scorer = self._profiles(asked), self._models.current()
        made = [record for alike in by_actions(asked) for record in self._decided(alike, profiles, scorer)]
        settled: dict[str, Stored] = {}
        for _ in range(_ATTEMPTS):
            taken = self._write(made)
            if not taken:
                self.counts.update(record.kind for record in made)
                settled |= {record.id: Stored(record.payload_sha256, record.answer) for record in made}
                return settled, frozenset(record.id for record in made)
            settled |= taken
            made = [record for record in made if record.id not in taken]
        raise StoreError("ids are taken faster than they can be looked up", hint="the same request may be sent again")

    def _profiles(self, asked: Sequence[Asked]) -> Profiles | None:
        """The stored profiles of those who ask; None where they cannot be read."""
        keys = {a.customer for a in asked if a.customer}
        if not keys:
            return {}
        try:
            with self._database.read() as connection:
                return customer_store.profiles(connection, keys)
        except Exception as error:  # noqa: BLE001 (whatever it is: consent that was not read is not given)
            log.error("customers cannot be read; only safe arms are offered: %s", type(error).__name__)
            return None

    def _write(self, made: Sequence[DecisionRecord]) -> dict[str, Stored]:
        """Log all of `made` in one short transaction; or none of it, and then the ids that are known already."""
        if not made:
            return {}
        try:
            with self._database.write() as connection:
                decision_store.insert(connection, made)
            return {}
        except sa.exc.IntegrityError:
            with self._database.read() as connection:
                taken = decision_store.answers(connection, [record.id for record in made])
            if not taken:
                raise
            return taken

    def _decided(self, asked: Sequence[Asked], profiles: Profiles | None, scorer: Scorer) -> list[DecisionRecord]:
        """Records of new decisions among the same actions. What fails in a batch is tried row by row: one bad row
        spoils no other.
        """
        try:
            engine, requests = self._engine_of(asked[0]), self._requests(asked, profiles)
            decisions = engine.decide(requests, scorer)
            return self._records(asked, decisions, scorer.version, reasons=reasons_of(decisions, engine, scorer))
        except Exception as error:
            if len(asked) > 1:
                return [record for a in asked for record in self._decided([a], profiles, scorer)]
            log.exception("model or rules failed; the safe policy answers", exc_info=error)
            return self._fallback(asked, profiles, scorer.version)

    def _fallback(self, asked: Sequence[Asked], profiles: Profiles | None, model: str) -> list[DecisionRecord]:
        """The safe policy's decisions; where rules or profiles are at fault, without them."""
        engine = self._engine_of(asked[0])
        try:
            requests = self._requests(asked, profiles)
            left: Eligibility | None = engine.eligible(requests)
        except Exception:  # noqa: BLE001 (the second failure in a row: what remains is "no action")
            requests, left = self._requests(asked, {}), None
        return self._records(asked, engine.fall_back(requests, left), model)

    def _requests(self, asked: Sequence[Asked], profiles: Profiles | None) -> Requests:
        """Columns of the batch; `profiles` None: no profile can be read, so only anonymous rows are complete."""
        known = profiles or {}
        codes: dict[str, int] = {}
        return Requests(
            ids=[a.id for a in asked],
            customers=[a.customer for a in asked],
            channels=Coded(
                codes=np.array([codes.setdefault(a.channel, len(codes)) for a in asked], dtype=np.int64),
                values=tuple(codes),
            ),
            decided_at=np.full(len(asked), self._clock()),
            facts=Facts.from_rows([{**known.get(a.customer, {}), **a.facts} for a in asked], self._schema),
            readable=np.array([profiles is not None or not a.customer for a in asked], dtype=np.bool_),
            wanted=[a.wanted for a in asked] if any(a.wanted for a in asked) else None,
        )

    def _records(
        self,
        asked: Sequence[Asked],
        decisions: Decisions,
        model: str,
        *,
        reasons: Mapping[int, Reasons] | None = None,
    ) -> list[DecisionRecord]:
        versions = replace(self._versions, model=model)
        deadlines = self._deadlines(asked, decisions)
        return records(
            decisions,
            versions=versions,
            valid_until=deadlines.valid_until,
            matures_at=deadlines.matures_at,
            activate_by=deadlines.activate_by,
            payload_sha256=[a.payload_sha256 for a in asked],
            answers=bodies(decisions, deadlines, versions, reasons=reasons),
            inline_actions=asked[0].actions,
        )

    def _deadlines(self, asked: Sequence[Asked], decisions: Decisions) -> Deadlines:
        times = [self.reception.channels[a.channel] for a in asked]
        within = [t.activate_within_s if a.deferred else np.nan for a, t in zip(asked, times, strict=True)]
        requests = decisions.requests
        activate_by = requests.decided_at + np.array(within)
        return Deadlines(
            valid_until=requests.decided_at + np.array([t.valid_for_s for t in times]),
            matures_at=matures_at(self._rewards, requests.channels, requests.decided_at, activate_by=activate_by),
            activate_by=activate_by,
        )
