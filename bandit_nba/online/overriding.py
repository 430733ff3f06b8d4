"""An employee's other choice: kept beside the decision, only for arms that the rules had left."""

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.decide.record import DecisionRecord, LoggedDecision, logged
from bandit_nba.errors import IdConflictError, InputError, RefusedError, UnknownIdError
from bandit_nba.online.answering import moment
from bandit_nba.online.messages import OverrideAnswer, OverrideRequest
from bandit_nba.settings import nearest
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import stamp
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.log import overrides
from bandit_nba.store.log.overrides import Override

EMPLOYEE = "\x00employee\x00"
"""Goes before an employee's id, so that nobody can tell an employee from a customer by pseudonym; no id can hold it."""


class Overriding:
    """Takes overrides for one workspace; safe to share between threads."""

    def __init__(self, pseudonym_key: bytes, database: Database, *, clock: Callable[[], float]) -> None:
        self._key = pseudonym_key
        self._database = database
        self._clock = clock

    def override(self, decision: str, request: OverrideRequest) -> tuple[OverrideAnswer, bool]:
        """Keep what an employee chose instead; True beside it where the same was known already.

        Raises
        ------
        UnknownIdError
            If there is no such decision.
        IdConflictError
            If the decision was overridden otherwise.
        InputError
            If the arm is not one that the rules had left, or the one that was decided.
        RefusedError
            If it comes too late: the decision has matured or was not activated in time.
        """
        payload = hashlib.sha256(msgspec.json.encode((request.arm, request.reason, request.employee_id))).digest()
        with self._database.write() as connection:
            now_s = stamp(connection, self._clock)
            record = decision_store.get(connection, decision)
            if record is None:
                raise UnknownIdError("no such decision", where="decisionId", got=decision)
            known = overrides.get(connection, decision)
            if known is None:
                refuse_late(record, now_s=now_s)
                _refuse_arm(logged(record), request.arm)
                made = Override(
                    decision=decision,
                    arm=request.arm,
                    reason=request.reason,
                    employee=pseudonym(self._key, EMPLOYEE + request.employee_id),
                    overridden_at=now_s,
                    shown=msgspec.json.encode(_shown(record)),
                    payload_sha256=payload,
                )
                overrides.put(connection, made)
                return answer_of(made, record), False
        if known.payload_sha256 != payload:
            raise IdConflictError(
                "the decision was overridden otherwise",
                where="decisionId",
                got=decision,
                hint="an override stays as it is",
            )
        return answer_of(known, record), True

    def of(self, record: DecisionRecord) -> OverrideAnswer | None:
        """What an employee did in place of a decision, None if it stands."""
        with self._database.read() as connection:
            known = overrides.get(connection, record.id)
        return None if known is None else answer_of(known, record)


def answer_of(override: Override, record: DecisionRecord) -> OverrideAnswer:
    """A stored override as it is told; the same bytes each time."""
    action, _, treatment = override.arm.partition("/")
    return OverrideAnswer(
        decision_id=override.decision,
        arm=override.arm,
        action=action,
        treatment=treatment or None,
        decided_arm=record.arm,
        shown=msgspec.json.decode(override.shown, type=list[str]),
        reason=override.reason,
        employee=override.employee,
        overridden_at=moment(override.overridden_at),
    )


def refuse_late(record: DecisionRecord, *, now_s: float) -> None:
    """Raise `RefusedError` where a person's choice comes after the decision has expired or matured."""
    if record.activate_by is not None and record.activated_at is None and record.activate_by < now_s:
        raise RefusedError(
            "the decision has expired", where="activateBy", got=moment(record.activate_by).isoformat(), hint=_ASK_ANEW
        )
    if record.matures_at < now_s:
        raise RefusedError(
            "too late: the decision has matured",
            where="maturesAt",
            got=moment(record.matures_at).isoformat(),
            hint=_ASK_ANEW,
        )


def _refuse_arm(decision: LoggedDecision, arm: str) -> None:
    if arm in decision.removed:
        stage, reason = decision.removed[arm]
        raise InputError(
            f"the rules exclude this action here ({stage}: {reason}), and rules cannot be overridden",
            where="arm",
            got=arm,
            allowed=", ".join(decision.arms),
        )
    if arm not in decision.arms:
        hint = nearest(arm, decision.arms)
        raise InputError("was no choice here", where="arm", got=arm, allowed=", ".join(decision.arms), hint=hint)
    if arm == decision.arm:
        raise InputError("is what was decided: there is nothing to override", where="arm", got=arm)


def _shown(record: DecisionRecord) -> Sequence[str]:
    """What the system had put forward: the decided arm, or all places of its slate."""
    if record.slate is None:
        return [record.arm]
    return [slot.arm for slot in msgspec.json.decode(record.slate, type=_Slate).slots if slot.arm is not None]


class _Place(msgspec.Struct, frozen=True):
    arm: str | None


class _Slate(msgspec.Struct, frozen=True):
    slots: tuple[_Place, ...]


_ASK_ANEW = "ask for a new decision"
