"""Actions, their treatments, and the arms a catalogue offers to the policy."""

import datetime
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import msgspec

from bandit_nba.catalogue.contact_rules import ContactRule
from bandit_nba.catalogue.facts import FactKind
from bandit_nba.settings import Settings, version_of

Kind = Literal["offer", "service", "information", "retention", "none"]
Feature = float | str
NO_ACTION = "no_action"


class Rules(Settings, frozen=True, kw_only=True):
    """Engagement rules in CEL; an arm stays only where each given rule is true.

    eligibility: may this customer have it at all (law, contract)? applicability: does it make sense now (state,
    ownership)? suitability: is it good for this customer (interest, affordability)? consent: has the customer agreed
    to this use?
    """

    consent: str = ""
    eligibility: str = ""
    applicability: str = ""
    suitability: str = ""


class Group(Rules, frozen=True, kw_only=True):
    """Actions with one business purpose, such as up-sell or retain; its rules hold for each of its actions."""

    title: str = ""


class Treatment(Settings, frozen=True, kw_only=True):
    """A message variant of an action for some channels; none named means all channels of the action."""

    id: str
    channels: tuple[str, ...] = ()
    features: Mapping[str, Feature] = {}
    text: str = ""


class Action(Rules, frozen=True, kw_only=True):
    """Something the business can do for a customer.

    `value` is what one response is worth and `cost` what one contact costs, both in the catalogue's money unit.
    `owned_as` names the member of the customer's set `owned` that makes the action pointless.
    """

    id: str
    kind: Kind
    group: str
    title: str = ""
    value: float = 1.0
    cost: float = 0.0
    channels: tuple[str, ...] = ()
    valid_from: datetime.datetime | None = None
    valid_until: datetime.datetime | None = None
    owned_as: str = ""
    features: Mapping[str, Feature] = {}
    mandatory: bool = False
    safe_without_profile: bool = False
    treatments: tuple[Treatment, ...] = ()
    retired: bool = False


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """Action x treatment: what the policy chooses among. `id` is "action" or "action/treatment"."""

    id: str
    action: Action
    treatment: Treatment | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that may show this arm; empty means all."""
        own = self.treatment.channels if self.treatment else ()
        return own or self.action.channels

    @property
    def features(self) -> Mapping[str, Feature]:
        """The action's features, the treatment's on top."""
        return {**self.action.features, **(self.treatment.features if self.treatment else {})}


class Catalogue(Settings, frozen=True, kw_only=True, dict=True):
    """Declared facts, groups, catalogue-wide rules, contact rules and actions. "No action" is always the first arm."""

    facts: Mapping[str, FactKind]
    rules: Rules = Rules()
    groups: Mapping[str, Group] = {}
    contact_rules: tuple[ContactRule, ...] = ()
    actions: tuple[Action, ...]

    @cached_property
    def version(self) -> str:
        """Names this content; equal content has the same version."""
        return version_of(self)

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """All arms in catalogue order, "no action" first; retired actions have none."""
        none = Action(id=NO_ACTION, kind="none", group="none", title="No action", value=1.0, safe_without_profile=True)
        arms = [Arm(id=NO_ACTION, action=none)]
        for action in self.actions:
            if action.retired:
                continue
            if not action.treatments:
                arms.append(Arm(id=action.id, action=action))
            arms.extend(Arm(id=f"{action.id}/{t.id}", action=action, treatment=t) for t in action.treatments)
        return tuple(arms)
