"""Past decisions as requests again, and the engine and model that decided them, found by their versions."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, Protocol, TypeVar

import msgspec
import numpy as np

from bandit_nba.catalogue import Catalogue, FactSchema
from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.catalogue.facts import FactValue, checked
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide import inline
from bandit_nba.decide.batch import Decisions, Requests
from bandit_nba.decide.choice.arbitrate import RewardUnit
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.eligibility.exclusions import EVERYWHERE
from bandit_nba.decide.eligibility.history import GivenRemovals
from bandit_nba.decide.eligibility.stages import LATE
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.inline import InlineAction
from bandit_nba.decide.policy import Policy
from bandit_nba.decide.record import LoggedDecision, Versions
from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.decide.wanted import Slot, Wanted, ranking
from bandit_nba.errors import StoreError, UnknownIdError
from bandit_nba.settings import version_of

T = TypeVar("T")

DefinitionKind = Literal["catalogue", "policy", "reward"]
Maker = Literal["engine", "fallback over safe arms", "late fallback", "fallback to no action"]

ENGINES, MODELS = 16, 8  # kept at hand; a log in the order of time uses few at once


class Source(Protocol):
    """Where the definitions, models and salts that past decisions name are kept."""

    def definition(self, kind: DefinitionKind, version: str) -> bytes | None:
        """Canonical JSON of a definition, None if it is not known."""

    def scorer(self, version: str) -> Scorer:
        """A published model, verified; never asked for "none". Raises `NbaError` if it is gone or damaged."""

    def salt(self, salt_id: str) -> Salt | None:
        """The salt of that id, None if it is not known."""


class Past:
    """Engines and models by version, each made once and kept while it is in use."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._engine = lru_cache(maxsize=ENGINES)(self._make_engine)
        self._scorer = lru_cache(maxsize=MODELS)(source.scorer)

    def engine(self, versions: Versions, *, inline_actions: bytes | None = None) -> Engine:
        """The engine that decided under these versions, over the actions that the request brought if it did.

        Raises
        ------
        UnknownIdError
            If a definition or the salt is not known any more.
        StoreError
            If a definition cannot be read, or is not what its version names.
        """
        engine = self._engine(versions.catalogue, versions.policy, versions.reward, versions.salt)
        if engine.policy.features.version != versions.features:
            raise StoreError(
                "has other features than the log says",
                where=f"policy {versions.policy}",
                got=versions.features,
                allowed=engine.policy.features.version,
            )
        return engine if inline_actions is None else engine.over(_actions(inline_actions))

    def scorer(self, versions: Versions) -> Scorer:
        """The model that scored under these versions; before the first model, none."""
        none = NoModel()
        return none if versions.model == none.version else self._scorer(versions.model)

    def salt(self, salt_id: str) -> Salt:
        """The salt of that id; raises `UnknownIdError` if it is not known."""
        salt = self._source.salt(salt_id)
        if salt is None:
            raise UnknownIdError("salt is not known", got=salt_id, hint="salts are backed up apart from the data")
        return salt

    def _make_engine(self, catalogue_version: str, policy_version: str, reward_version: str, salt_id: str) -> Engine:
        catalogue = self._definition("catalogue", catalogue_version, Catalogue)
        policy = self._definition("policy", policy_version, Policy)
        unit = self._definition("reward", reward_version, _Reward).unit
        return Engine(catalogue, compile_rules(catalogue), policy, self.salt(salt_id), reward_unit=unit)

    def _definition(self, kind: DefinitionKind, version: str, as_type: type[T]) -> T:
        content = self._source.definition(kind, version)
        if content is None:
            raise UnknownIdError(f"{kind} is not known any more", got=version)
        try:
            # Of the content and not of what it is decoded to: that gains fields as this program grows.
            if version_of(msgspec.json.decode(content)) != version:
                raise StoreError("is not what its version names", where=f"{kind} {version}")
            return msgspec.json.decode(content, type=as_type)
        except msgspec.DecodeError as error:
            raise StoreError(f"cannot be read ({error})", where=f"{kind} {version}") from None


def facts_of(row: LoggedDecision, schema: FactSchema) -> dict[str, FactValue | None]:
    """The row's facts as the catalogue declares them, none where they were erased.

    Raises
    ------
    InputError
        If a fact is not declared or of another kind.
    """
    facts = row.facts or {}
    return {name: checked(name, value, schema, where=f"decision {row.id}") for name, value in facts.items()}


def requests_of(rows: Sequence[LoggedDecision], schema: FactSchema) -> Requests:
    """Logged decisions as the requests that they answered; raises as `facts_of` does."""
    channels: dict[str, int] = {}
    codes = [channels.setdefault(row.channel, len(channels)) for row in rows]
    return Requests(
        ids=[row.id for row in rows],
        customers=[row.customer for row in rows],
        channels=Coded(codes=np.array(codes, dtype=np.int64), values=tuple(channels)),
        decided_at=np.array([row.decided_at for row in rows], dtype=np.float64),
        facts=Facts.from_rows([facts_of(row, schema) for row in rows], schema),
        readable=np.array([row.kind != "unreadable" for row in rows], dtype=np.bool_),
        contacts=_contact_removals(rows),
        wanted=_wanted(rows),
    )


def _contact_removals(rows: Sequence[LoggedDecision]) -> GivenRemovals | None:
    """What contact rules took out then, as the log says; the rest of the eligible set is made again."""
    reasons = [{arm: why for arm, (stage, why) in row.removed.items() if stage == "contact"} for row in rows]
    return GivenRemovals(reasons) if any(reasons) else None


def _wanted(rows: Sequence[LoggedDecision]) -> list[Wanted | None] | None:
    """What the requests wanted: places from the slate, exclusions from what they took out."""
    found = [_wanted_of(row) for row in rows]
    return found if any(found) else None


def _wanted_of(row: LoggedDecision) -> Wanted | None:
    excluded = tuple(arm for arm, removal in row.removed.items() if removal == (EVERYWHERE.stage, EVERYWHERE.reason))
    if row.slate is None:
        return Wanted(excluded=excluded) if excluded else None
    if row.slate.kind == "ranking":
        return ranking(row.slate.asked, excluded=excluded)
    slots = tuple(Slot(place.id, place.excluded, place.capped) for place in row.slate.slots)
    return Wanted(kind=row.slate.kind, slots=slots, excluded=excluded)


def _actions(content: bytes) -> tuple[InlineAction, ...]:
    try:
        return inline.checked(inline.decoded(content), where="inline_actions")
    except msgspec.DecodeError as error:
        raise StoreError(f"cannot be read ({error})", where="inline_actions") from None


def maker(row: LoggedDecision) -> Maker:
    """What made this decision. Where the rules failed the fallback left "no action" alone, whatever they say today."""
    if row.kind != "fallback":
        return "engine"
    left = row.arms if row.slate is None else row.slate.arms
    baseline_only = left == (NO_ACTION,) or row.inline_actions is not None
    if baseline_only:
        return "fallback to no action"
    late = any(reason == LATE.reason for _, reason in row.removed.values())
    return "late fallback" if late else "fallback over safe arms"


def decide_again(
    rows: Sequence[LoggedDecision],
    versions: Versions,
    made_by: Maker,
    past: Past,
    *,
    inline_actions: bytes | None = None,
) -> Decisions:
    """Decisions as they were made, of rows that share versions, maker and inline actions.

    Raises
    ------
    InputError
        If a row's facts are not as its catalogue declares them.
    NbaError
        If something that they name is gone or damaged.
    """
    engine = past.engine(versions, inline_actions=inline_actions)
    requests = requests_of(rows, engine.catalogue.facts)
    if made_by == "engine":
        return engine.decide(requests, past.scorer(versions))
    if made_by == "fallback to no action":
        return engine.fall_back(requests, None)
    return engine.fall_back(
        requests, engine.unasked(requests) if made_by == "late fallback" else engine.eligible(requests)
    )


class _Reward(msgspec.Struct, frozen=True):
    """What deciding needs of a reward definition."""

    unit: RewardUnit = "response"
