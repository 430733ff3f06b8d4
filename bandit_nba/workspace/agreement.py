"""Where one file of a workspace must agree with another: mistakes that no file can show alone."""

import math
from collections.abc import Iterator

from bandit_nba.catalogue import Catalogue
from bandit_nba.decide.policy import FeatureSettings, Policy
from bandit_nba.errors import SettingsError
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.settings import nearest
from bandit_nba.workspace.service import Service

MAX_BINS = 1_000
MAX_EDGE = 1e15


def reward_problems(rewards: RewardDefinition, service: Service, *, where: str) -> Iterator[SettingsError]:
    """Each disagreement between the reward definition and the service's channels."""
    if not rewards.outcomes:
        yield SettingsError(
            "names no outcome", where=f"{where}: outcomes", allowed="at least one, such as [outcomes.accept]"
        )
    for name in rewards.waits:
        if name not in service.channels:
            yield SettingsError(
                "unknown channel",
                where=f"{where}: waits",
                got=name,
                allowed="a channel of service.toml",
                hint=nearest(name, service.channels),
            )
    for name, channel in service.channels.items():
        if channel.activation == "deferred" and channel.activate_within_s > rewards.wait_s(name):
            yield SettingsError(
                "a decision would mature before it must be activated",
                where=f"service.toml: channels.{name}.activate_within",
                got=channel.activate_within,
                allowed=f"at most the wait for outcomes, {rewards.waits.get(name, rewards.wait)} in {where}",
            )


def policy_problems(
    policy: Policy, catalogue: Catalogue, rewards: RewardDefinition, *, where: str
) -> Iterator[SettingsError]:
    """Each disagreement between the policy, the catalogue's facts and groups, and the reward's unit."""
    yield from _feature_problems(policy.features, catalogue, f"{where}: features")
    yield from _interaction_problems(policy.features, f"{where}: features.interactions")
    groups = {*catalogue.groups, *(action.group for action in catalogue.actions)}
    for group in policy.arbitration.levers:
        if group not in groups:
            yield SettingsError(
                "unknown group",
                where=f"{where}: arbitration.levers",
                got=group,
                allowed="a group of catalogue.toml",
                hint=nearest(group, groups),
            )
    if policy.arbitration.use_value and rewards.unit == "money":
        yield SettingsError(
            "would count money twice: the reward is already money",
            where=f"{where}: arbitration.use_value",
            got=True,
            allowed='false where rewards.toml says unit = "money"',
            hint='set use_value = false, or unit = "response"',
        )


def _feature_problems(features: FeatureSettings, catalogue: Catalogue, place: str) -> Iterator[SettingsError]:
    used: set[str] = set()
    for part, names in (("customer", features.customer), ("request", features.request)):
        for i, name in enumerate(names):
            if name not in catalogue.facts:
                yield SettingsError(
                    "unknown fact",
                    where=f"{place}.{part}[{i}]",
                    got=name,
                    allowed="a fact of catalogue.toml",
                    hint=nearest(name, catalogue.facts),
                )
            elif name in used:
                yield SettingsError("stands twice", where=f"{place}.{part}[{i}]", got=name)
            used.add(name)
    numbers = {name for name in used if catalogue.facts.get(name) == "number"}
    for name, number in features.numbers.items():
        if name not in numbers:
            yield SettingsError(
                "is not a number that the model sees",
                where=f"{place}.numbers",
                got=name,
                allowed=f'a fact of kind "number" that {place.split(": ")[-1]}.customer or .request lists',
                hint=nearest(name, numbers),
            )
        yield from _bin_problems(number.bins, f"{place}.numbers.{name}.bins")


def _bin_problems(bins: tuple[float, ...], place: str) -> Iterator[SettingsError]:
    edges = (-math.inf, *bins)
    growing = all(low < high for low, high in zip(edges, bins, strict=False))
    if not growing or len(bins) > MAX_BINS or any(abs(edge) > MAX_EDGE for edge in bins):
        yield SettingsError(
            "are not edges of intervals",
            where=place,
            got=list(bins),
            allowed=f"growing numbers, each once, at most {MAX_BINS:,}, at most 1e15 in size",
        )


def _interaction_problems(features: FeatureSettings, place: str) -> Iterator[SettingsError]:
    seen: dict[frozenset[str], str] = {}
    for i, letters in enumerate(features.interactions):
        if len(set(letters)) < len(letters):
            yield SettingsError(
                "crosses a namespace with itself", where=f"{place}[{i}]", got=letters, allowed="each letter once"
            )
        elif frozenset(letters) in seen:
            yield SettingsError(
                "crosses the same namespaces again",
                where=f"{place}[{i}]",
                got=letters,
                hint=f'"{seen[frozenset(letters)]}" is already listed',
            )
        seen[frozenset(letters)] = letters


def notes(policy: Policy, catalogue: Catalogue) -> Iterator[str]:
    """What is allowed but surprises people, in words."""
    features, exploration = policy.features, policy.exploration
    if not catalogue.actions:
        yield "catalogue.toml lists no action: every decision will be no action."
    context = features.customer or features.request or features.channel
    if not context or not any("A" in letters for letters in features.interactions):
        yield "policy.toml crosses no customer feature with the action: every customer gets the same ranking."
    random = {"uniform": True, "squarecb": True, "epsilon_greedy": exploration.epsilon > 0.0, "greedy": False}
    if not random[exploration.kind] and exploration.floor == 0.0:
        yield "policy.toml never explores: the log will not support judging any other policy."
