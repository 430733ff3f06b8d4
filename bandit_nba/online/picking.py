"""What somebody picks of a ranking: kept once, only of what was ranked, and only until the decision matures."""

from collections.abc import Callable

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.decide.slates.log import LoggedSlate, decoded
from bandit_nba.errors import IdConflictError, InputError, RefusedError, UnknownIdError
from bandit_nba.online.answering import moment
from bandit_nba.online.messages import PickAnswer, PickRequest
from bandit_nba.online.overriding import refuse_late
from bandit_nba.settings import nearest
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import stamp
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.log import overrides, picks


class Picking:
    """Takes picks for one store; safe to share between threads."""

    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def pick(self, decision: str, request: PickRequest) -> tuple[PickAnswer, bool]:
        """Keep a pick; True beside it where the same was known already.

        Raises
        ------
        UnknownIdError
            If there is no such decision.
        IdConflictError
            If something else was picked.
        InputError
            If the arm was not ranked.
        RefusedError
            If no ranking was asked for, the decision was overridden, or it comes too late.
        """
        with self._database.write() as connection:
            now_s = stamp(connection, self._clock)
            record = decision_store.get(connection, decision)
            if record is None:
                raise UnknownIdError("no such decision", where="decisionId", got=decision)
            slate = _ranking(record)
            if record.picked is None:
                refuse_late(record, now_s=now_s)
                if overrides.get(connection, decision) is not None:
                    raise RefusedError("the decision was overridden", where="decisionId", got=decision)
                _check_ranked(request.arm, slate)
                picks.put(connection, decision, request.arm, now_s=now_s)
                return _answer(record, slate, request.arm, now_s), False
        if record.picked != (request.arm or picks.NOTHING):
            raise IdConflictError(
                "something else was picked",
                where="arm",
                got=request.arm,
                allowed=record.picked or "null",
                hint="a pick stays as it is",
            )
        return _answer(record, slate, request.arm, record.picked_at or 0.0), True


def _ranking(record: DecisionRecord) -> LoggedSlate:
    slate = None if record.slate is None else decoded(record.slate)
    if slate is None or slate.kind != "ranking":
        raise RefusedError(
            "is no ranking to pick from", where="decisionId", got=record.id, hint="ask for one with topK"
        )
    return slate


def _check_ranked(arm: str | None, slate: LoggedSlate) -> None:
    ranked = [place.arm or "" for place in slate.slots]
    if arm is not None and arm not in ranked:
        raise InputError("was not ranked", where="arm", got=arm, allowed=", ".join(ranked), hint=nearest(arm, ranked))


def _answer(record: DecisionRecord, slate: LoggedSlate, arm: str | None, picked_at: float) -> PickAnswer:
    return PickAnswer(
        decision_id=record.id,
        arm=arm,
        ranking=[place.arm or "" for place in slate.slots],
        picked_at=moment(picked_at),
    )
