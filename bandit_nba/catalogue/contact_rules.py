"""Contact rules: how often a customer may be contacted, and for how long not after an answer.

They are asked of a customer's past contacts: decisions for anything but "no action". "No action" itself is never
counted and never capped, and a customer without a name has no past.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from bandit_nba.errors import SettingsError
from bandit_nba.settings import Settings, nearest, seconds

if TYPE_CHECKING:
    from bandit_nba.catalogue.action import Catalogue

Scope = Literal["action", "group", "channel", "direction", "all"]
Direction = Literal["inbound", "outbound"]
Times = Annotated[int, Meta(ge=1, le=10_000)]

IGNORED = "ignored"
"""Stands among a rule's outcomes for: the decision matured and nothing but impressions came."""

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "cap": ("max", "within"),
    "suppression": ("after", "outcomes", "within", "pause"),
    "cool_down": ("outcomes", "pause"),
}
_EXAMPLES = {"max": "max = 2", "within": 'within = "P7D"', "after": "after = 2", "pause": 'pause = "P30D"'}


class ContactRule(Settings, frozen=True, kw_only=True):
    """One rule over a customer's past contacts, on all channels together.

    kind: "cap": at most `max` contacts `within` any such time. "suppression": once `after` contacts were answered by
    one of `outcomes` `within` such a time, none for `pause`. "cool_down": none for `pause` after one such answer.
    scope, names: for each action, group, channel or direction by itself, or for the named ones only; or for all
    contacts together. within, pause: ISO-8601. outcomes: types of rewards.toml, and "ignored".
    """

    kind: Literal["cap", "suppression", "cool_down"]
    scope: Scope
    names: tuple[str, ...] = ()
    max: Times | None = None
    within: str = ""
    after: Times | None = None
    outcomes: tuple[str, ...] = ()
    pause: str = ""

    @property
    def within_s(self) -> float:
        """`within` in seconds; 0 where there is none."""
        return seconds(self.within, where="within") if self.within else 0.0

    @property
    def pause_s(self) -> float:
        """`pause` in seconds; 0 where there is none."""
        return seconds(self.pause, where="pause") if self.pause else 0.0


def contact_problems(catalogue: "Catalogue", *, channels: Collection[str], where: str) -> Iterator[SettingsError]:
    """Each mistake in a catalogue's contact rules that their types cannot express; `where` names the file."""
    known: dict[str, Collection[str]] = {
        "action": [action.id for action in catalogue.actions],
        "group": catalogue.groups or {action.group for action in catalogue.actions},
        "channel": channels,
        "direction": ("inbound", "outbound"),
    }
    for i, rule in enumerate(catalogue.contact_rules):
        place = f"{where}: contact_rules[{i}]"
        yield from _key_problems(rule, place)
        yield from _name_problems(rule, known.get(rule.scope, ()), place)
        yield from _duration_problems(rule, place)


def outcome_problems(catalogue: "Catalogue", *, outcomes: Collection[str], where: str) -> Iterator[SettingsError]:
    """Each disagreement between contact rules and the declared outcome types."""
    for i, rule in enumerate(catalogue.contact_rules):
        for j, name in enumerate(rule.outcomes):
            if name != IGNORED and name not in outcomes:
                yield SettingsError(
                    "unknown outcome type",
                    where=f"{where}: contact_rules[{i}].outcomes[{j}]",
                    got=name,
                    allowed=f'a type of rewards.toml, or "{IGNORED}"',
                    hint=nearest(name, (*outcomes, IGNORED)),
                )


def _key_problems(rule: ContactRule, place: str) -> Iterator[SettingsError]:
    """Keys that a kind needs and that are missing, and keys that mean nothing to it."""
    needs = _NEEDS[rule.kind]
    for key in ("max", "within", "after", "outcomes", "pause"):
        given = bool(getattr(rule, key))
        if key in needs and not given:
            example = _EXAMPLES.get(key, 'outcomes = ["reject"]')
            yield SettingsError(f'a {rule.kind} needs the key "{key}"', where=place, allowed=f"such as {example}")
        elif given and key not in needs:
            yield SettingsError(
                f"means nothing to a {rule.kind}",
                where=f"{place}.{key}",
                got=getattr(rule, key),
                allowed=f"kind, scope, names, {', '.join(needs)}",
            )


def _name_problems(rule: ContactRule, known: Collection[str], place: str) -> Iterator[SettingsError]:
    if rule.scope == "all" and rule.names:
        yield SettingsError('the scope "all" has no names', where=f"{place}.names", got=rule.names)
        return
    seen: set[str] = set()
    for j, name in enumerate(rule.names):
        if name not in known:
            hint = nearest(name, known)
            yield SettingsError(f"unknown {rule.scope}", where=f"{place}.names[{j}]", got=name, hint=hint)
        elif name in seen:
            yield SettingsError("stands twice", where=f"{place}.names[{j}]", got=name)
        seen.add(name)


def _duration_problems(rule: ContactRule, place: str) -> Iterator[SettingsError]:
    for key, duration in (("within", rule.within), ("pause", rule.pause)):
        if duration:
            try:
                seconds(duration, where=f"{place}.{key}")
            except SettingsError as problem:
                yield problem
