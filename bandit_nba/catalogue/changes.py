"""What differs between two catalogues, field by field, for people and machines."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from bandit_nba.catalogue.action import Catalogue
from bandit_nba.errors import RefusedError

What = Literal["fact", "rules", "group", "contact rule", "action"]
How = Literal["added", "changed", "retired", "brought back", "removed"]


class FieldChange(msgspec.Struct, frozen=True):
    """A field before and after; None where it was not there. `field` is a path such as "treatments.short.text"."""

    field: str
    before: Any
    after: Any


class Change(msgspec.Struct, frozen=True):
    """One thing that differs: an action with its fields, a fact, a contact rule."""

    what: What
    id: str
    how: How
    fields: tuple[FieldChange, ...] = ()


def changes(before: Catalogue, after: Catalogue) -> tuple[Change, ...]:
    """All that differs, in the order of the file; fields that are left at their default are not told."""
    found = (
        *_named("fact", _kinds(before), _kinds(after)),
        *_named("rules", {"catalogue": _fields(before.rules)}, {"catalogue": _fields(after.rules)}),
        *_named("group", _tables(before.groups), _tables(after.groups)),
        *_contact_rules(before, after),
        *_named("action", _actions(before), _actions(after)),
    )
    if not found and before != after:  # arms are drawn in the order of the file
        return (Change("action", "order in the file", "changed"),)
    return found


def refuse_other_kinds(before: Catalogue, after: Catalogue) -> None:
    """Refuse a fact that becomes of another kind while the service runs.

    Stored profiles hold it as the old kind, and the model has learned it so.

    Raises
    ------
    RefusedError
        For the first such fact.
    """
    for name, kind in after.facts.items():
        if before.facts.get(name, kind) != kind:
            raise RefusedError(
                "a fact keeps its kind: stored profiles and the model hold it so",
                where=f"catalogue.toml: facts.{name}",
                got=kind,
                allowed=before.facts[name],
                hint="declare a fact with a new name",
            )


def in_words(found: Sequence[Change]) -> list[str]:
    """One line for each change, and one below it for each field."""
    lines = []
    for change in found:
        lines.append(f"{change.what} {change.id}: {change.how}")
        if change.how == "removed" and change.what == "action":
            lines[-1] += " (better retired: its contacts no longer count for its group)"
        if change.how not in ("added", "removed"):
            lines += [f"    {f.field}: {_shown(f.before)} -> {_shown(f.after)}" for f in change.fields]
    return lines


def _named(what: What, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    found = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, {}), after.get(name, {})
        if old != new:
            fields = [FieldChange(f, old.get(f), new.get(f)) for f in dict.fromkeys((*old, *new))]
            how = _how(name, before, after)
            found.append(Change(what, name, how, tuple(f for f in fields if f.before != f.after)))
    return found


def _how(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> How:
    if name not in before:
        return "added"
    if name not in after:
        return "removed"
    was, is_now = before[name].get("retired", False), after[name].get("retired", False)
    if was != is_now:
        return "retired" if is_now else "brought back"
    return "changed"


def _contact_rules(before: Catalogue, after: Catalogue) -> list[Change]:
    """Contact rules have no names: one that changes goes and another one comes."""
    old, new = ([_written(rule) for rule in one.contact_rules] for one in (before, after))
    gone = [Change("contact rule", rule, "removed") for rule in old if rule not in new]
    return gone + [Change("contact rule", rule, "added") for rule in new if rule not in old]


def _kinds(catalogue: Catalogue) -> dict[str, dict[str, str]]:
    return {name: {"kind": kind} for name, kind in catalogue.facts.items()}


def _actions(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    return {action.id: _fields(action) for action in catalogue.actions}


def _tables(tables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: _fields(table) for name, table in tables.items()}


def _fields(table: Any) -> dict[str, Any]:
    """The fields that are not left at their default, by path."""
    empty = {f.name: f.default for f in msgspec.structs.fields(table)}
    given = {name: value for name, value in msgspec.structs.asdict(table).items() if value != empty[name]}
    return _flat(msgspec.json.decode(msgspec.json.encode(given)))


def _flat(data: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in data.items():
        path = f"{at}{name}"
        if isinstance(value, dict):
            out |= _flat(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(item, dict) and "id" in item for item in value):
            for item in value:
                kept = {key: part for key, part in item.items() if key != "id" and part not in ("", [], {})}
                out |= _flat(kept, f"{path}.{item['id']}.") or {f"{path}.{item['id']}": True}
        else:
            out[path] = value
    return out


def _written(rule: Any) -> str:
    """A contact rule on one line, as it would stand in the file."""
    fields = _fields(rule) | {"kind": rule.kind, "scope": rule.scope}
    ordered = ("kind", "scope", *(name for name in rule.__struct_fields__ if name not in ("kind", "scope")))
    return " ".join(f"{name}={_shown(fields[name])}" for name in ordered if name in fields)


def _shown(value: Any) -> str:
    text = "-" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else text[:117] + "..."
