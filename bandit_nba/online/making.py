"""Making decisions by one catalogue: from checked requests and what is known of their customers to records of the log.

Two requests of one customer are decided one after the other, the second knowing of the first. Nothing is written here.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.catalogue.facts import FactValue
from bandit_nba.decide.batch import Decisions, Eligibility, Requests
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.eligibility.contact import lookback_s, reads_answers
from bandit_nba.decide.eligibility.history import Contact, PastContacts
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.explain.reasons import reasons_of
from bandit_nba.decide.record import DecisionRecord, Versions, records
from bandit_nba.decide.scoring import Scorer
from bandit_nba.errors import ModelError
from bandit_nba.learn.join import matures_at
from bandit_nba.online.answering import Deadlines, Reasons, bodies
from bandit_nba.online.asked import Asked, Reception
from bandit_nba.online.brought import by_actions, engine_over
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.online.recent_contacts import RecentContacts
from bandit_nba.store import customers as customer_store
from bandit_nba.store.asking import profiles_and_versions
from bandit_nba.store.driver.bulk import Session
from bandit_nba.store.log.contacts import Needs, reached
from bandit_nba.workspace import Workspace

log = logging.getLogger("nba.decider")

Distrust = Callable[[str, str], None]
"""Told the version of a model that failed a decision, and why."""

Observe = Callable[[Decisions], None]
"""Told of decisions that the model made."""

Profiles = Mapping[str, Mapping[str, FactValue]]


@dataclass(frozen=True)
class Known:
    """What the store says of those who ask, in one snapshot. profiles: None where they cannot be read.

    contacts, versions: by customer, as far as contact rules ask for them; a version tells later whether any of the
    customer's contacts was missed.
    """

    profiles: Profiles | None = field(default_factory=dict)
    contacts: Mapping[str, Sequence[Contact]] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def nothing(cls) -> Self:
        """Where the store cannot be read: neither profile nor contacts, so that only safe arms are offered."""
        return cls(profiles=None)


class Making:
    """Makes decisions by one workspace, whose catalogue is the one in force; another catalogue needs another object.

    needs: what contact rules need of the log, and recent: what was lately read of it; None without contact rules.
    distrust: told of a model whose scores are no numbers; the safe policy has answered then. observe: told of all
    others that were made.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        distrust: Distrust = lambda version, why: None,  # noqa: ARG005 (nobody is told)
        observe: Observe = lambda decisions: None,  # noqa: ARG005 (the same)
    ) -> None:
        self._distrust = distrust
        self._observe = observe
        self.workspace = workspace
        self.reception = Reception(workspace, new_id=new_id)
        self.engine = Engine(
            workspace.catalogue,
            workspace.rules,
            workspace.policy,
            workspace.salt,
            reward_unit=workspace.rewards.unit,
        )
        self._rewards = workspace.rewards
        self._schema = workspace.catalogue.facts
        self._clock = clock
        self._wait_s = _longest_wait_s(workspace)
        self.needs = needs_of(workspace)
        self.recent = None if self.needs is None else RecentContacts(self.needs)
        channels = workspace.service.channels.items()
        self._outbound = frozenset(name for name, channel in channels if channel.direction == "outbound")
        self._versions = Versions(
            catalogue=workspace.catalogue.version,
            policy=workspace.policy.version,
            features=workspace.policy.features.version,
            reward=workspace.rewards.version,
            model="none",
            salt=workspace.salt.id,
        )
        self._versions_made = self._versions  # with the model that decided last

    def accept(self, request: DecisionRequest) -> Asked:
        """Check a request; raises `InputError` where it cannot be decided."""
        asked = self.reception.accept(request)
        self.engine_of(asked)
        return asked

    def engine_of(self, asked: Asked) -> Engine:
        """The engine over the catalogue's actions, or over those that the request brought."""
        return self.engine if asked.actions is None else engine_over(self.engine, asked.actions)

    def look(self, connection: Session, asked: Sequence[Asked]) -> Known:
        """What is known of those who ask: one query; more where there are contact rules and somebody is new."""
        keys = {a.customer for a in asked if a.customer}
        if not keys:
            return Known()
        if self.recent is None:
            return Known(profiles=customer_store.profiles(connection, keys))
        profiles, versions = profiles_and_versions(connection, keys)
        contacts = self.recent.look(connection, versions, now_s=self._clock())
        return Known(profiles=profiles, contacts=contacts, versions=versions)

    def make(self, asked: Sequence[Asked], known: Known, scorer: Scorer) -> list[DecisionRecord]:
        """Decide all that is asked, in any order; the requests of one customer in theirs."""
        if self.needs is None:
            return self._in_turn(asked, known, scorer)
        turns = _turns(asked)
        if len(turns) == 1:
            return self._in_turn(asked, known, scorer)
        contacts = {customer: list(past) for customer, past in known.contacts.items()}
        known = replace(known, contacts=contacts)
        made: list[DecisionRecord] = []
        for turn in turns:
            fresh = self._in_turn(turn, known, scorer)
            for record in fresh:
                if record.customer:
                    contacts.setdefault(record.customer, []).extend(contacts_of(record))
            made += fresh
        return made

    def _in_turn(self, asked: Sequence[Asked], known: Known, scorer: Scorer) -> list[DecisionRecord]:
        return [record for alike in by_actions(asked) for record in self._decided(alike, known, scorer)]

    def _history(self, asked: Sequence[Asked], known: Known) -> PastContacts | None:
        if self.needs is None:
            return None
        past = [known.contacts.get(a.customer, ()) for a in asked]
        return PastContacts(past, outbound=self._outbound, wait_s=self._wait_s)

    def _decided(self, asked: Sequence[Asked], known: Known, scorer: Scorer) -> list[DecisionRecord]:
        """Records of new decisions among the same actions. What fails in a batch is tried row by row: one bad row
        spoils no other.
        """
        try:
            engine, requests = self.engine_of(asked[0]), self._requests(asked, known)
            decisions = engine.decide(requests, scorer)
            records = self._records(asked, decisions, scorer.version, reasons=reasons_of(decisions, engine, scorer))
        except Exception as error:
            if isinstance(error, ModelError):
                self._distrust(scorer.version, str(error))
            if len(asked) > 1:
                return [record for a in asked for record in self._decided([a], known, scorer)]
            log.exception("model or rules failed; the safe policy answers", exc_info=error)
            return self._fallback(asked, known, scorer.version)
        self._observe(decisions)
        return records

    def _fallback(self, asked: Sequence[Asked], known: Known, model: str) -> list[DecisionRecord]:
        """The safe policy's decisions; where rules or profiles are at fault, without them."""
        engine = self.engine_of(asked[0])
        try:
            requests = self._requests(asked, known)
            left: Eligibility | None = engine.eligible(requests)
        except Exception:  # noqa: BLE001 (the second failure in a row: what remains is "no action")
            requests, left = self._requests(asked, Known()), None
        return self._records(asked, engine.fall_back(requests, left), model)

    def without_asking(self, asked: Sequence[Asked]) -> list[DecisionRecord]:
        """What the safe policy decides where there is no time for profiles, contacts, rules and the model."""
        return [record for alike in by_actions(asked) for record in self._unasked(alike)]

    def doing_nothing(self, asked: Sequence[Asked]) -> list[DecisionRecord]:
        """ "No action", or the first of the actions that a request brought."""
        known = Known.nothing()
        return [
            record
            for alike in by_actions(asked)
            for record in self._records(
                alike, self.engine_of(alike[0]).fall_back(self._requests(alike, known), None), self._versions.model
            )
        ]

    def _unasked(self, asked: Sequence[Asked]) -> list[DecisionRecord]:
        engine, requests = self.engine_of(asked[0]), self._requests(asked, Known.nothing())
        return self._records(asked, engine.fall_back(requests, engine.unasked(requests)), self._versions.model)

    def _requests(self, asked: Sequence[Asked], known: Known) -> Requests:
        """Columns of the batch; where no profile can be read, only anonymous rows are complete."""
        profiles = known.profiles or {}
        codes: dict[str, int] = {}
        return Requests(
            ids=[a.id for a in asked],
            customers=[a.customer for a in asked],
            channels=Coded(
                codes=np.array([codes.setdefault(a.channel, len(codes)) for a in asked], dtype=np.int64),
                values=tuple(codes),
            ),
            decided_at=np.full(len(asked), self._clock()),
            facts=Facts.from_rows([{**profiles.get(a.customer, {}), **a.facts} for a in asked], self._schema),
            readable=np.array([known.profiles is not None or not a.customer for a in asked], dtype=np.bool_),
            contacts=self._history(asked, known),
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
        versions = self._versions_with(model)
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

    def _versions_with(self, model: str) -> Versions:
        found = self._versions_made
        if found.model != model:
            found = self._versions_made = replace(self._versions, model=model)
        return found

    def _deadlines(self, asked: Sequence[Asked], decisions: Decisions) -> Deadlines:
        requests, channels = decisions.requests, self.reception.channels
        decided_at = requests.decided_at
        if len(requests.channels.values) == 1:
            valid_until = decided_at + channels[asked[0].channel].valid_for_s
        else:
            valid_until = decided_at + np.array([channels[a.channel].valid_for_s for a in asked])
        if any(a.deferred for a in asked):
            within = [channels[a.channel].activate_within_s if a.deferred else np.nan for a in asked]
            activate_by = decided_at + np.array(within)
            ripe = matures_at(self._rewards, requests.channels, decided_at, activate_by=activate_by)
        else:
            activate_by = np.full(len(asked), np.nan)
            ripe = matures_at(self._rewards, requests.channels, decided_at)
        return Deadlines(valid_until=valid_until, matures_at=ripe, activate_by=activate_by)


def needs_of(workspace: Workspace) -> Needs | None:
    """What the catalogue's contact rules need of the log, None without contact rules."""
    catalogue, outcomes = workspace.catalogue, workspace.rewards.outcomes.items()
    if not catalogue.contact_rules:
        return None
    return Needs(
        lookback_s=lookback_s(catalogue, wait_s=_longest_wait_s(workspace)),
        answers=reads_answers(catalogue),
        impressions=frozenset(name for name, outcome in outcomes if outcome.impression),
        each=frozenset(name for name, outcome in outcomes if outcome.attribution == "each"),
    )


def _longest_wait_s(workspace: Workspace) -> float:
    return max(workspace.rewards.wait_s(channel) for channel in workspace.service.channels)


def contacts_of(record: DecisionRecord) -> list[Contact]:
    """The contacts that a decision makes, before anything became of it."""
    if record.inline_actions is not None:
        return []
    until = np.inf if record.activate_by is None else record.activate_by
    if record.slate is None:  # nearly always
        if record.arm == NO_ACTION:
            return []
        return [Contact(record.arm.partition("/")[0], record.channel, record.decided_at, until)]
    return [
        Contact(action, record.channel, record.decided_at, until)
        for action in reached(record.arm, record.slate, None, None).values()
    ]


def _turns(asked: Sequence[Asked]) -> list[list[Asked]]:
    """Each customer at most once a turn, in the order of asking; nobody's requests all come in the first."""
    named = [a.customer for a in asked if a.customer]
    if len(set(named)) == len(named):  # nearly always
        return [list(asked)]
    turns: list[list[Asked]] = []
    next_of: dict[str, int] = {}
    for a in asked:
        turn = next_of.get(a.customer, 0)
        if a.customer:
            next_of[a.customer] = turn + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(a)
    return turns
